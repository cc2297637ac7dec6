/* Every operator against every type and null, as docs/rules.md has it. Each case is one span of a batch whose other spans have
 * other types, judged as `span.a OP span.b`, and as `span.a OP constant` where the right side can be written. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"
#include "violation.h"

/* Values by the text that a rule would have for them; NULL: missing; [] an array, which no rule can write. */
struct operator_case {
  const char *left, *operator, * right;
  bool holds;
};

static const struct operator_case cases[] = {
    /* Equality: numbers by value whatever their type, the rest within one type. */
    {"5", "=", "5", true},
    {"5", "=", "5.0", true},
    {"5.0", "=", "5", true},
    {"5", "=", "6", false},
    {"9007199254740993", "=", "9007199254740992.0", false},
    {"9007199254740992", "=", "9007199254740992.0", true},
    {"0", "=", "-0.0", true},
    {"\"x\"", "=", "\"x\"", true},
    {"\"x\"", "=", "\"X\"", false},
    {"\"\"", "=", "\"\"", true},
    {"\"5\"", "=", "5", false},
    {"true", "=", "true", true},
    {"true", "=", "false", false},
    {"true", "=", "1", false},
    {"true", "=", "\"true\"", false},
    {"[]", "=", "[]", false},
    {"[]", "=", "\"\"", false},
    {NULL, "=", "5", false},
    {"5", "=", NULL, false},
    {NULL, "=", NULL, false},
    /* Its opposite holds of different values, never of a null. */
    {"5", "!=", "6", true},
    {"5", "!=", "5.0", false},
    {"5", "!=", "\"5\"", true},
    {"true", "!=", "1", true},
    {"\"x\"", "!=", "\"y\"", true},
    {"\"x\"", "!=", "\"x\"", false},
    {"[]", "!=", "[]", true},
    {"[]", "!=", "1", true},
    {NULL, "!=", "5", false},
    {"5", "!=", NULL, false},
    {NULL, "!=", NULL, false},
    /* Order is of numbers. */
    {"5", "<", "6", true},
    {"5", "<", "5.5", true},
    {"4.5", "<", "5", true},
    {"5", "<", "5", false},
    {"-9223372036854775808", "<", "9223372036854775807", true},
    {"9223372036854775807", "<", "9223372036854775808.0", true},
    {"5", "<=", "5.0", true},
    {"6", "<=", "5", false},
    {"6", ">", "5", true},
    {"5.5", ">", "5", true},
    {"5", ">", "5", false},
    {"5", ">=", "5", true},
    {"4", ">=", "5", false},
    {"1e300", ">", "9223372036854775807", true},
    {"\"5\"", "<", "6", false},
    {"\"5\"", ">", "4", false},
    {"true", "<=", "1", false},
    {"[]", ">=", "0", false},
    {NULL, "<", "5", false},
    {NULL, ">=", "5", false},
    {"5", "<", NULL, false},
    {"5", ">=", NULL, false},
    /* Parts of strings. */
    {"\"abc\"", "contains", "\"b\"", true},
    {"\"abc\"", "contains", "\"\"", true},
    {"\"abc\"", "contains", "\"B\"", false},
    {"\"\"", "contains", "\"\"", true},
    {"\"b\"", "contains", "\"abc\"", false},
    {"5", "contains", "\"5\"", false},
    {"true", "contains", "\"t\"", false},
    {"[]", "contains", "\"\"", false},
    {NULL, "contains", "\"\"", false},
    {"\"abc\"", "startsWith", "\"ab\"", true},
    {"\"abc\"", "startsWith", "\"abc\"", true},
    {"\"abc\"", "startsWith", "\"abcd\"", false},
    {"\"abc\"", "startsWith", "\"\"", true},
    {"\"abc\"", "startsWith", "\"bc\"", false},
    {"\"abc\"", "startsWith", "\"A\"", false},
    {"5", "startsWith", "\"5\"", false},
    {"[]", "startsWith", "\"\"", false},
    {NULL, "startsWith", "\"\"", false},
    {"\"abc\"", "endsWith", "\"bc\"", true},
    {"\"abc\"", "endsWith", "\"abc\"", true},
    {"\"abc\"", "endsWith", "\"xabc\"", false},
    {"\"abc\"", "endsWith", "\"\"", true},
    {"\"abc\"", "endsWith", "\"ab\"", false},
    {"true", "endsWith", "\"e\"", false},
    {NULL, "endsWith", "\"\"", false},
    /* The right side of these may be missing or of a wrong type only when it is an attribute. */
    {"\"abc\"", "contains", NULL, false},
    {"\"abc\"", "startsWith", NULL, false},
    {"\"abc\"", "endsWith", NULL, false},
};

/* Of `span.a` alone. */
static const struct operator_case alone[] = {
    {"\"abc\"", "=~", "\"^a.c$\"", true},
    {"\"abc\"", "matches", "\"b\"", true},
    {"\"abc\"", "=~", "\"^b\"", false},
    {"\"\"", "=~", "\"^$\"", true},
    {"5", "=~", "\"5\"", false},
    {"true", "=~", "\"t\"", false},
    {"[]", "=~", "\"\"", false},
    {NULL, "=~", "\"\"", false},
    {"\"abc\"", "!~", "\"^b\"", true},
    {"\"abc\"", "!~", "\"b\"", false},
    {"5", "!~", "\"x\"", false},
    {"[]", "!~", "\"x\"", false},
    {NULL, "!~", "\"x\"", false},
    {"5", "in", "[4, 5.0]", true},
    {"5.0", "in", "[-5, 5]", true},
    {"-2.5", "in", "[-2.5]", true},
    {"\"x\"", "in", "[5, \"x\", true]", true},
    {"true", "in", "[1, true]", true},
    {"true", "in", "[1, \"true\"]", false},
    {"\"5\"", "in", "[5]", false},
    {"[]", "in", "[\"\"]", false},
    {NULL, "in", "[\"\"]", false},
    {"5", "not in", "[4, 6]", true},
    {"5", "not in", "[5]", false},
    {"[]", "not in", "[5]", true},
    {NULL, "not in", "[5]", true},
    {"\"10.1.2.3\"", "in cidr", "[\"10.0.0.0/8\"]", true},
    {"\"::ffff:10.1.2.3\"", "in cidr", "[\"10.0.0.0/8\"]", true},
    {"\"11.1.2.3\"", "in cidr", "[\"10.0.0.0/8\", \"11.1.2.3\"]", true},
    {"\"11.1.2.4\"", "in cidr", "[\"10.0.0.0/8\", \"11.1.2.3\"]", false},
    {"\"fd12::9\"", "in cidr", "[\"10.0.0.0/8\", \"fd00::/8\"]", true},
    {"\"10.1.2.3\"", "in cidr", "[\"::/0\"]", false},
    {"\"10.1.2.3:80\"", "in cidr", "[\"0.0.0.0/0\"]", false},
    {"\"localhost\"", "in cidr", "[\"0.0.0.0/0\", \"::/0\"]", false},
    {"167772160", "in cidr", "[\"10.0.0.0/8\"]", false},
    {"[]", "in cidr", "[\"::/0\"]", false},
    {NULL, "in cidr", "[\"::/0\"]", false},
    {"\"11.1.2.3\"", "not in cidr", "[\"10.0.0.0/8\"]", true},
    {"\"10.1.2.3\"", "not in cidr", "[\"10.0.0.0/8\"]", false},
    {NULL, "not in cidr", "[\"10.0.0.0/8\"]", true},
    {"5", "=", "null", false},
    {"[]", "=", "nil", false},
    {"\"\"", "=", "null", false},
    {"false", "=", "null", false},
    {NULL, "=", "null", true},
    {"5", "!=", "null", true},
    {"[]", "!=", "null", true},
    {"\"\"", "!=", "nil", true},
    {NULL, "!=", "null", false},
    {"true", "", "", true},
    {"false", "", "", false},
    {"1", "", "", false},
    {"\"true\"", "", "", false},
    {"[]", "", "", false},
    {NULL, "", "", false},
    /* Arithmetic: what has no result is null, and no comparison holds of that. */
    {"5", "+ 1 =", "6", true},
    {"5", "+ 1.5 =", "6.5", true},
    {"5.5", "+ 1 =", "6.5", true},
    {"9223372036854775807", "+ 1 >", "0", false},
    {"9223372036854775807", "+ 1 <=", "0", false},
    {"9223372036854775807", "+ 1 =", "null", true},
    {"9223372036854775807", "+ 1.0 >", "0", true},
    {"-9223372036854775808", "- 1 =", "null", true},
    {"4611686018427387904", "* 2 =", "null", true},
    {"-4611686018427387904", "* 2 =", "-9223372036854775808", true},
    {"7", "/ 2 =", "3.5", true},
    {"6", "/ 2 =", "3", true},
    {"6", "/ 0 =", "null", true},
    {"6.0", "/ 0.0 !=", "null", false},
    {"7", "% 3 =", "1", true},
    {"-7", "% 3 =", "-1", true},
    {"7", "% 0 =", "null", true},
    {"7.0", "% 3 =", "null", true},
    {"7", "* 2 in", "[13, 14]", true},
    {"7", "* 2 not in", "[13, 14]", false},
    {"\"7\"", "+ 1 =", "null", true},
    {"true", "+ 1 =", "null", true},
    {"[]", "+ 1 =", "null", true},
    {NULL, "+ 1 =", "null", true},
    {NULL, "+ 1 !=", "5", false},
    {NULL, "+ 1 not in", "[5]", true},
    {"2500000000", "+ 500ms =", "3s", true},
    {"2", "* 1s >", "1999ms", true},
    /* Several operations, and a value within itself. */
    {"3", "* span.a + span.a / 2 =", "10.5", true},
    {"3", "- (span.a - (span.a - 1)) =", "2", true},
    {"3", "- span.a - span.a =", "-3", true},
    {"3", "- -span.a =", "6", true},
    {"3", "- -(-span.a + 1) * 2 =", "-1", true},
    {"3", "= span.a && -span.a =", "-3", true},
    {"-9223372036854775808", "= span.a && -span.a =", "null", true},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct value value_of(const char *text) {
  if (!text) return (struct value){.type = VALUE_NULL};
  if (text[0] == '[') return (struct value){.type = VALUE_OTHER};
  if (text[0] == '"') return (struct value){.text = text + 1, .length = (uint32_t)strlen(text) - 2, .type = VALUE_STRING};
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
    return (struct value){.boolean = text[0] == 't', .type = VALUE_BOOL};
  if (strpbrk(text, ".e")) return (struct value){.real = strtod(text, NULL), .type = VALUE_DOUBLE};
  return (struct value){.integer = strtoll(text, NULL, 10), .type = VALUE_INTEGER};
}

/* A constant that the checker lets stand there. */
static bool writable(const struct operator_case *each) {
  if (!each->right || each->right[0] == '[') return false;
  const bool number = strchr("-0123456789", each->right[0]) != NULL, ordered = strchr("<>", each->operator[0]) != NULL;
  return number || !ordered;
}

struct world {
  struct heap_arena *heap;
  struct record_ring *records;
  struct engine *engine;
  struct rule_image *image;
};

static void open_world(struct world *world, const char *text) {
  *world = (struct world){.heap = heap_arena_create(), .image = compile_text(text)};
  struct arena *arena = heap_arena_arena(world->heap);
  struct engine_config config = {.shards = 1, .column_capacity = 64, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = world->records = record_ring_create(arena, 1u << 20);
  config.digests_to[0] = line_ring_create(arena, 64);
  world->engine = engine_create(arena, &config, 1);
  assert_true(engine_image_fits(world->image, 64));
  engine_adopt(world->engine, world->image);
}

static void set(struct event_batch *batch, uint32_t row, const char *key, const struct value *value) {
  event_batch_set(batch, row, event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, key, (uint32_t)strlen(key)), value);
}

static void send(struct world *world, const struct operator_case *list, unsigned count) {
  struct event_batch *batch = engine_batch(world->engine, EVENT_SPAN);
  for (unsigned i = 0; i < count; i++) {
    const uint32_t row = event_batch_add(batch);
    const struct value left = value_of(list[i].left), right = value_of(list[i].right);
    const struct value number = {.integer = i, .type = VALUE_INTEGER};
    set(batch, row, "case", &number);
    set(batch, row, "a", &left);
    set(batch, row, "b", &right);
    if (!event_batch_full(batch)) continue;
    assert_true(engine_evaluate(world->engine, batch, 2, 3));
    engine_commit(world->engine);
  }
  assert_true(engine_evaluate(world->engine, batch, 2, 3));
  engine_commit(world->engine);
}

/* Raised once, or not at all, for the span of the case. */
static void check(struct world *world, const struct operator_case *list, unsigned count, const char *form) {
  unsigned *raised = calloc(count, sizeof *raised);
  uint32_t bytes;
  for (const void *record; (record = record_ring_peek(world->records, &bytes)); record_ring_advance(world->records)) {
    struct violation violation;
    assert_true(violation_decode(record, bytes, &violation));
    raised[atoi(violation.rule.at + 1)]++;
  }
  for (unsigned i = 0; i < count; i++)
    if (raised[i] != list[i].holds)
      fail_msg("%s %s %s (%s) is %s", list[i].left ? list[i].left : "null", list[i].operator,
               list[i].right ? list[i].right : "null", form, raised[i] ? "true" : "false");
  free(raised);
}

enum form { BOTH_ATTRIBUTES, CONSTANT_RIGHT, IN_GROUPS };

static void check_form(const struct operator_case *list, unsigned count, enum form form) {
  static const char *const names[] = {"two attributes", "a constant", "a constant, in parentheses"};
  char *text = malloc(64 + count * 256ull), *end = text + sprintf(text, "rules:\n");
  struct operator_case *chosen = calloc(count, sizeof *chosen);
  unsigned chosen_count = 0;
  for (unsigned i = 0; i < count; i++) {
    const char *right = form == BOTH_ATTRIBUTES ? "span.b" : list[i].right;
    if (form != BOTH_ATTRIBUTES && list == cases && !writable(&list[i])) continue;
    end += sprintf(end, "  - name: c%u\n    on: span\n    if: |\n      span.case = %u && ", chosen_count, chosen_count);
    end +=
        sprintf(end, form == IN_GROUPS && list == cases ? "((span.a) %s (%s))\n" : "(span.a %s %s)\n", list[i].operator, right);
    chosen[chosen_count++] = list[i];
  }
  struct world world;
  open_world(&world, text);
  send(&world, chosen, chosen_count);
  check(&world, chosen, chosen_count, names[form]);
  heap_arena_destroy(world.heap);
  rule_image_free(world.image);
  free(chosen);
  free(text);
}

static void test_two_attributes(void **state) {
  (void)state;
  check_form(cases, COUNT(cases), BOTH_ATTRIBUTES);
}

static void test_constants(void **state) {
  (void)state;
  check_form(cases, COUNT(cases), CONSTANT_RIGHT);
  check_form(cases, COUNT(cases), IN_GROUPS);
}

static void test_alone(void **state) {
  (void)state;
  check_form(alone, COUNT(alone), CONSTANT_RIGHT);
}

/* The intrinsics that are times. */
static void test_times(void **state) {
  (void)state;
  struct world world;
  open_world(&world, "rules:\n"
                     "  - {name: c0, on: span, if: 'end - start = duration && start = 1700000000000000001'}\n"
                     "  - {name: c1, on: span, if: 'end = 1700000005000000001 && end - start = 5s'}\n"
                     "  - {name: c2, on: span, if: 'time_of_day = 22:13:20 || time_of_day - 1ns = 22:13:20'}\n"
                     "  - {name: c3, on: span, if: 'weekday = tuesday && weekday not in [monday]'}\n"
                     "  - {name: c4, on: span, if: 'time_of_day < 12:00 || weekday = monday || start > end'}\n");
  static const struct operator_case truths[] = {
      {.holds = true}, {.holds = true}, {.holds = true}, {.holds = true}, {.holds = false}};
  struct event_batch *batch = engine_batch(world.engine, EVENT_SPAN);
  const uint32_t row = event_batch_add(batch);
  batch->fields[row].start_ns = 1700000000000000001; /* Tuesday, 14 November 2023, 22:13:20 UTC */
  batch->fields[row].end_ns = 1700000005000000001;
  assert_true(engine_evaluate(world.engine, batch, 2, 3));
  engine_commit(world.engine);
  check(&world, truths, COUNT(truths), "times");
  heap_arena_destroy(world.heap);
  rule_image_free(world.image);
}

/* When the steps of a batch are spent, what is left is counted and the batch goes on. */
static void test_steps(void **state) {
  (void)state;
  char *text = malloc(1 << 20), *end = text + sprintf(text, "rules:\n");
  for (unsigned i = 0; i < 400; i++)
    end += sprintf(end, "  - {name: c%u, on: span, if: 'span.a + %u = span.b || span.a startsWith \"%u\"'}\n", i, i, i);
  sprintf(end, "  - {name: t, when: '{span.a + 1 = 2}', always: '{span.b + 1 = 2}'}\n");
  struct world world = {.heap = heap_arena_create(), .image = compile_text(text)};
  struct arena *arena = heap_arena_arena(world.heap);
  struct engine_config config = {
      .shards = 1, .column_capacity = 512, .traces_max = 16, .captures_max = 16, .idle_ns = 1, .batch_steps_max = 5000};
  config.records = world.records = record_ring_create(arena, 1u << 20);
  config.digests_to[0] = line_ring_create(arena, 64);
  world.engine = engine_create(arena, &config, 1);
  assert_true(engine_image_fits(world.image, 512));
  engine_adopt(world.engine, world.image);
  const struct operator_case one = {.left = "1", .right = "1"};
  for (unsigned i = 0; i < 3; i++) send(&world, &one, 1);
  const struct engine_counters *counters = engine_counters(world.engine);
  assert_int_equal(counters->batches_over_steps, 6); /* once for the rules, once for the selectors */
  assert_true(counters->programs_unjudged > 3 * 300 && counters->programs_unjudged < 3 * 402);
  assert_int_equal(counters->events_evaluated[EVENT_SPAN], 3);
  unsigned raised = 0;
  uint32_t bytes;
  for (; record_ring_peek(world.records, &bytes); record_ring_advance(world.records)) raised++;
  assert_int_equal(raised, 3); /* rule 0, which was asked first: 1 + 0 = 1 */
  /* The trace may have met what was not asked: `always` is not judged. */
  for (const struct span_digest *digest; (digest = line_ring_peek(config.digests_to[0]));
       line_ring_consume(config.digests_to[0])) {
    assert_true(digest->flags & DIGEST_UNJUDGED);
    engine_apply_digest(world.engine, digest, 3, 3);
  }
  engine_expire(world.engine, 1000000000000, 3, 100);
  assert_int_equal(counters->verdicts_withheld, 1);
  assert_null(record_ring_peek(world.records, &bytes));
  heap_arena_destroy(world.heap);
  rule_image_free(world.image);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_attributes), cmocka_unit_test(test_constants),
                                     cmocka_unit_test(test_alone), cmocka_unit_test(test_times), cmocka_unit_test(test_steps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
