/* From text to violations: compiled sets on the real engine of a shard. Conditions and trace rules are written at random with
 * their truth; each rule must have raised exactly as many violations as that says. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"
#include "violation.h"
#include "written_truth.h"

#define ROWS 3u
#define RULES_MAX 200
#define IDLE_NS 3000000000u
#define START_NS 1700000000000000000u

struct bench {
  struct heap_arena *heap;
  struct record_ring *records;
  struct line_ring *digests;
  struct engine *engine;
};

static struct bench bench_create(const struct rule_image *image) {
  struct bench bench = {.heap = heap_arena_create()};
  struct arena *arena = heap_arena_arena(bench.heap);
  bench.records = record_ring_create(arena, 4u << 20);
  bench.digests = line_ring_create(arena, 1u << 14);
  const struct engine_config config = {
      .shards = 1,
      .records = bench.records,
      .digests_to = {bench.digests},
      .column_capacity = RULE_COLUMNS_MAX,
      .traces_max = 64,
      .captures_max = 4096,
      .idle_ns = IDLE_NS,
  };
  bench.engine = engine_create(arena, &config, 1);
  assert_non_null(bench.engine);
  assert_true(engine_image_fits(image, RULE_COLUMNS_MAX));
  engine_adopt(bench.engine, image);
  return bench;
}

/* Violations in the record ring, by the number behind the r of their rule's name. */
static void count_violations(struct bench *bench, unsigned *counts) {
  uint32_t bytes;
  for (const void *record; (record = record_ring_peek(bench->records, &bytes)); record_ring_advance(bench->records)) {
    struct violation violation;
    assert_true(violation_decode(record, bytes, &violation));
    char name[16] = "";
    assert_true(violation.rule.length < sizeof name);
    memcpy(name, violation.rule.at, violation.rule.length);
    counts[atoi(name + 1)]++;
  }
}

static void set(struct event_batch *batch, uint32_t row, const char *key, struct value value) {
  event_batch_set(batch, row, event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, key, (uint32_t)strlen(key)), &value);
}

static void add_known_span(struct event_batch *batch) {
  const uint32_t row = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[row];
  memset(fields->trace_id, 7, sizeof fields->trace_id);
  fields->span_id[0] = (uint8_t)(row + 1);
  fields->kind = SPAN_KIND_CLIENT;
  fields->status = SPAN_STATUS_ERROR;
  fields->name = (struct event_text){.at = "op", .length = 2};
  fields->start_ns = START_NS;
  fields->end_ns = START_NS + 3000000000u;
  set(batch, row, "i", (struct value){.type = VALUE_INTEGER, .integer = 5});
  set(batch, row, "d", (struct value){.type = VALUE_DOUBLE, .real = 2.5});
  set(batch, row, "s", (struct value){.type = VALUE_STRING, .text = "hello", .length = 5});
  set(batch, row, "t", (struct value){.type = VALUE_BOOL, .boolean = true});
  set(batch, row, "f", (struct value){.type = VALUE_BOOL, .boolean = false});
  set(batch, row, "o", (struct value){.type = VALUE_OTHER});
}

static void check_span_rules(char *const *expressions, const bool *truths, uint32_t count) {
  size_t room = 64;
  for (uint32_t i = 0; i < count; i++) room += strlen(expressions[i]) + 128;
  char *text = malloc(room), *end = text + sprintf(text, "rules:\n");
  for (uint32_t i = 0; i < count; i++)
    end += sprintf(end, "  - name: r%u\n    on: span\n    if: |\n      %s\n", i, expressions[i]);
  struct rule_image *image = compile_text(text);
  struct bench bench = bench_create(image);
  struct event_batch *batch = engine_batch(bench.engine, EVENT_SPAN);
  for (uint32_t row = 0; row < ROWS; row++) add_known_span(batch);
  assert_true(engine_evaluate(bench.engine, batch, 2, START_NS));
  engine_commit(bench.engine);
  unsigned counts[RULES_MAX] = {0};
  count_violations(&bench, counts);
  for (uint32_t i = 0; i < count; i++)
    if (counts[i] != (truths[i] ? ROWS : 0)) fail_msg("%s is not %s", expressions[i], truths[i] ? "true" : "false");
  heap_arena_destroy(bench.heap);
  rule_image_free(image);
  free(text);
}

static void test_conditions(void **state) {
  (void)state;
  srandom(99);
  enum { RULES = 120 };
  char *expressions[RULES];
  bool truths[RULES];
  for (int i = 0; i < RULES; i++) expressions[i] = malloc(1 << 20);
  uint32_t leaves = 0;
  for (size_t i = 0; i < COUNT(true_leaves); i++, leaves++) truths[leaves] = strcpy(expressions[leaves], true_leaves[i]) != NULL;
  for (size_t i = 0; i < COUNT(false_leaves); i++, leaves++)
    truths[leaves] = strcpy(expressions[leaves], false_leaves[i]) == NULL;
  assert_true(leaves <= RULES);
  check_span_rules(expressions, truths, leaves);
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < RULES; i++) {
      struct written written;
      do {
        written = write_or(expressions[i], (unsigned)random() % 5);
      } while (written.end - expressions[i] > 20000);
      truths[i] = written.truth;
    }
    check_span_rules(expressions, truths, RULES);
  }
  for (int i = 0; i < RULES; i++) free(expressions[i]);
}

/* Selectors 0, 1 and 2 are each met by one span of the trace, others by none. */
static struct written write_trace(char *end, unsigned depth) {
  const long pick = random() % (depth == 0 ? 1 : 4);
  if (pick == 0) {
    const long number = random() % 5;
    return (struct written){.end = end + sprintf(end, "{span.number = %ld}", number), .truth = number < 3};
  }
  const bool negative = pick == 1, both = random() % 2;
  end += sprintf(end, "%s(", negative ? "!" : "");
  struct written left = write_trace(end, depth - 1);
  left.end += sprintf(left.end, both ? " && " : " || ");
  struct written right = write_trace(left.end, depth - 1);
  right.end += sprintf(right.end, ")");
  const bool truth = both ? left.truth & right.truth : left.truth | right.truth;
  return (struct written){.end = right.end, .truth = truth ^ negative};
}

static void send_trace(struct bench *bench) {
  struct event_batch *batch = engine_batch(bench->engine, EVENT_SPAN);
  for (int64_t number = 0; number < 3; number++) {
    add_known_span(batch);
    set(batch, (uint32_t)number, "number", (struct value){.type = VALUE_INTEGER, .integer = number});
  }
  assert_true(engine_evaluate(bench->engine, batch, 2, START_NS));
  engine_commit(bench->engine);
  unsigned digests = 0;
  for (const struct span_digest *digest; (digest = line_ring_peek(bench->digests)); line_ring_consume(bench->digests), digests++)
    engine_apply_digest(bench->engine, digest, 3, START_NS);
  assert_int_equal(digests, 3);
  engine_expire(bench->engine, 3ull + IDLE_NS, START_NS, 100);
}

static void test_trace_rules(void **state) {
  (void)state;
  srandom(5);
  enum { RULES = RULES_MAX };
  for (int round = 0; round < 10; round++) {
    char *text = calloc(1, 1 << 20), *end = text + sprintf(text, "rules:\n");
    bool violated[RULES];
    for (int i = 0; i < RULES; i++) {
      const bool has_always = random() % 2, has_never = !has_always || random() % 2;
      end += sprintf(end, "  - name: r%d\n    when: '", i);
      const struct written when = write_trace(end, (unsigned)random() % 3);
      end = when.end + sprintf(when.end, "'\n");
      violated[i] = false;
      if (has_always) {
        end += sprintf(end, "    always: '");
        const struct written always = write_trace(end, (unsigned)random() % 3);
        end = always.end + sprintf(always.end, "'\n");
        violated[i] |= !always.truth;
      }
      if (has_never) {
        end += sprintf(end, "    never: '");
        const struct written never = write_trace(end, (unsigned)random() % 3);
        end = never.end + sprintf(never.end, "'\n");
        violated[i] |= never.truth;
      }
      violated[i] &= when.truth;
    }
    struct rule_image *image = compile_text(text);
    struct bench bench = bench_create(image);
    send_trace(&bench);
    unsigned counts[RULES_MAX] = {0};
    count_violations(&bench, counts);
    for (uint32_t i = 0; i < RULES; i++)
      if (counts[i] != violated[i]) fail_msg("rule r%u is not %s in\n%s", i, violated[i] ? "violated" : "kept", text);
    heap_arena_destroy(bench.heap);
    rule_image_free(image);
    free(text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conditions),
      cmocka_unit_test(test_trace_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
