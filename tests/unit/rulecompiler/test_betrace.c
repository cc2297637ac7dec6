/* BeTrace's notation: the tree it becomes, and its own documented example rules, each judged on a trace like the one documented
 * with it, by the documented meaning of when, always and never. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"
#include "violation.h"

#define IDLE_NS 3000000000u

static struct rule_set *rule_of(const char *expression) {
  char *text = malloc(strlen(expression) * 2 + 128), *end = text;
  end += sprintf(end, "rules:\n  - name: it\n    expression: |\n      ");
  for (const char *at = expression; *at; at++) {
    *end++ = *at;
    if (*at == '\n') end += sprintf(end, "      ");
  }
  strcpy(end, "\n");
  struct rule_set *set = parse_good(text);
  free(text);
  return set;
}

static const struct {
  const char *expression, *when, *always, *never;
} forms[] = {
    {"when { a } always { b }", "{name = \"a\"}", "{name = \"b\"}", NULL},
    {"when { a } never { c } always { b }", "{name = \"a\"}", "{name = \"b\"}", "{name = \"c\"}"},
    {"when { \"GET /users\" } never { \"a-b\".\"c d\" }", "{name = \"GET /users\"}", NULL, "{name = \"a-b.c d\"}"},
    {"when { checkout-service.where(a == -5) } never { x.y_1 }", "{name = \"checkout-service\" && span.a = -5}", NULL,
     "{name = \"x.y_1\"}"},
    {"when { a.where(b == USD).where(c != eu.west) } never { d }", "{name = \"a\" && span.b = \"USD\" && span.c != \"eu.west\"}",
     NULL, "{name = \"d\"}"},
    {"when { a.where(b in [USD, \"EUR\", 5, -2.5, true, 1s]) } never { d }",
     "{name = \"a\" && span.b in [\"USD\", \"EUR\", 5, -2.5, true, 1s]}", NULL, "{name = \"d\"}"},
    {"when { a.where(\"data.x\" == true and not verified or data.y not in [1]) } never { d }",
     "{name = \"a\" && (span.data.x = true && !span.verified || span.data.y not in [1])}", NULL, "{name = \"d\"}"},
    {"when { a.where(m matches \"^x\\\\.\\\"y\\\"\" and c contains \"z\") } never { d }",
     "{name = \"a\" && span.m =~ \"^x\\\\.\\\"y\\\"\" && span.c contains \"z\"}", NULL, "{name = \"d\"}"},
    {"when { a or b and not c } always { (a or b) and not (c or not not d) }",
     "{name = \"a\"} || {name = \"b\"} && !{name = \"c\"}",
     "({name = \"a\"} || {name = \"b\"}) && !({name = \"c\"} || {name = \"d\"})", NULL},
    {"when { not not not a && !b || c } never { d }", "!{name = \"a\"} && !{name = \"b\"} || {name = \"c\"}", NULL,
     "{name = \"d\"}"},
    {"when { count(a) > 3 and 2 <= count(b.where(c)) } always { count(http.request) != count(http.response) }",
     "count({name = \"a\"}) > 3 && count({name = \"b\" && span.c}) >= 2",
     "count({name = \"http.request\"}) != count({name = \"http.response\"})", NULL},
    {"when { payment.charge.amount > 5 } never { \"GET /a\".\"http.code\" in [500] or a.b != x }",
     "{name = \"payment.charge\" && span.amount > 5}", NULL,
     "{name = \"GET /a\" && span.http.code in [500]} || {name = \"a\" && span.b != \"x\"}"},
    {"when { a.where(depth > capacity.max) } never { b.where(\"service.name\" == shop) }",
     "{name = \"a\" && span.depth > span.capacity.max}", NULL, "{name = \"b\" && service = \"shop\"}"},
    {"// all of it\nwhen { a // here\n} # and\nalways\n{ b }", "{name = \"a\"}", "{name = \"b\"}", NULL},
    {"trace.has(a).where(x > 1) and not trace.has(GET:/users/*)", "{name = \"a\" && span.x > 1} && !{name = \"GET:/users/*\"}",
     NULL, "{name = \"a\" && span.x > 1} && !{name = \"GET:/users/*\"}"},
    {"trace.count(a) != trace.count(b)", "count({name = \"a\"}) != count({name = \"b\"})", NULL,
     "count({name = \"a\"}) != count({name = \"b\"})"},
};

static void expect_text(const char *expression, const char *text, const char *expected) {
  if (!text != !expected || (text && strcmp(text, expected) != 0))
    fail_msg("%s\nis\n%s\nnot\n%s", expression, text ? text : "(nothing)", expected ? expected : "(nothing)");
}

static void it_becomes_the_tree_of_when_always_and_never(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    struct rule_set *set = rule_of(forms[i].expression);
    const struct rule_definition *rule = rule_set_at(set, 0);
    assert_int_equal(rule->on, RULE_ON_TRACE);
    expect_text(forms[i].expression, rule->when_text, forms[i].when);
    expect_text(forms[i].expression, rule->always_text, forms[i].always);
    expect_text(forms[i].expression, rule->never_text, forms[i].never);
    size_t length;
    char *text = rule_set_text(set, &length);
    struct rule_set *native = parse_good(text);
    assert_int_equal(rule_set_compare(native, set).unchanged, 1);
    rule_set_free(native);
    free(text);
    rule_set_free(set);
  }
}

static void a_condition_on_one_span_is_a_span_rule(void **state) {
  (void)state;
  static const struct {
    const char *expression, *condition;
  } spans[] = {
      {"span.status == \"ERROR\" and span.duration > 1000000000", "status = error && duration > 1s"},
      {"span.duration > 1s or not span.name matches \"^GET\"", "duration > 1s || !(name =~ \"^GET\")"},
      {"span.attributes[\"http.code\"] in [500, 503] and span.service_name == shop",
       "span.http.code in [500, 503] && service = \"shop\""},
      {"span.status in [OK, ERROR] and span.kind != SERVER", "status in [ok, error] && kind != server"},
      {"not (span.attributes.a.b == true or span.attributes[\"c d\"])", "!(span.a.b = true || span.\"c d\")"},
  };
  for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
    struct rule_set *set = rule_of(spans[i].expression);
    assert_int_equal(rule_set_at(set, 0)->on, RULE_ON_SPAN);
    expect_text(spans[i].expression, rule_set_at(set, 0)->condition_text, spans[i].condition);
    rule_set_free(set);
  }
}

static void the_keys_of_its_files_are_read(void **state) {
  (void)state;
  struct rule_set *set =
      parse_good("rules:\n"
                 "  - id: fraud-check\n    name: Fraud check, for large sums ($${x})\n    severity: CRITICAL\n"
                 "    tags: [pci, one]\n    compliance_frameworks: [SOC2, pci]\n"
                 "    condition: when { pay } always { check }\n"
                 "    exceptions: [{name: e, fields: service, values: [test]}]\n"
                 "    example_violation:\n      description: no check\n      trace:\n        - span: pay\n"
                 "          attributes: {sum: 5000, rate: 0.5, who: '5', ok: true, of: [a, 1], none: ~, at: 2025-01-01}\n"
                 "        - span: other\n"
                 "  - {id: only-id, severity: Low, expression: 'when { a } never { b }'}\n"
                 "  - {id: another, name: named, expression: 'when { a } never { b }', message: 'named'}\n");
  const struct rule_definition *rule = rule_set_find(set, "fraud-check");
  assert_non_null(rule);
  assert_string_equal(rule->title, "Fraud check, for large sums ($${x})");
  assert_string_equal(rule->message, rule->title);
  assert_int_equal(rule->severity, SEVERITY_CRITICAL);
  assert_int_equal(rule->tag_count, 3);
  assert_string_equal(rule->tags[2], "SOC2");
  assert_string_equal(rule->when_text, "{name = \"pay\"} && !{service in [\"test\"]}");
  const struct rule_example *example = rule->example;
  assert_non_null(example);
  assert_string_equal(example->description, "no check");
  assert_int_equal(example->span_count, 2);
  assert_string_equal(example->spans[1].name, "other");
  assert_int_equal(example->spans[0].attribute_count, 7);
  const struct rule_example_attribute *attributes = example->spans[0].attributes;
  assert_string_equal(attributes[0].key, "sum");
  assert_int_equal(attributes[0].value.integer, 5000);
  assert_true(attributes[1].value.type == VALUE_DOUBLE && attributes[1].value.real == 0.5);
  assert_true(attributes[2].value.type == VALUE_STRING && attributes[2].value.length == 1);
  assert_true(attributes[3].value.type == VALUE_BOOL && attributes[3].value.boolean);
  assert_int_equal(attributes[4].value.type, VALUE_OTHER);
  assert_int_equal(attributes[5].value.type, VALUE_NULL);
  assert_int_equal(attributes[6].value.type, VALUE_STRING);
  assert_non_null(rule_set_find(set, "only-id"));
  assert_int_equal(rule_set_find(set, "only-id")->severity, SEVERITY_LOW);
  assert_null(rule_set_find(set, "named")->title);
  size_t length;
  char *text = rule_set_text(set, &length);
  struct rule_set *again = parse_good(text);
  assert_int_equal(rule_set_compare(again, set).unchanged, 3);
  assert_int_equal(rule_set_find(again, "fraud-check")->example->span_count, 2);
  rule_set_free(again);
  free(text);
  rule_set_free(set);
}

#include "betrace_examples.h"

static struct value value_of(const char *text, size_t length) {
  char *end;
  if (length == 4 && memcmp(text, "true", 4) == 0) return (struct value){.type = VALUE_BOOL, .boolean = true};
  if (length == 5 && memcmp(text, "false", 5) == 0) return (struct value){.type = VALUE_BOOL};
  const long long integer = strtoll(text, &end, 10);
  if (end == text + length) return (struct value){.type = VALUE_INTEGER, .integer = integer};
  const double real = strtod(text, &end);
  if (end == text + length) return (struct value){.type = VALUE_DOUBLE, .real = real};
  return (struct value){.type = VALUE_STRING, .text = text, .length = (uint32_t)length};
}

/* `name key=value key=value; name ...` */
static void send(struct engine *engine, const char *spans) {
  struct event_batch *batch = engine_batch(engine, EVENT_SPAN);
  for (const char *at = spans; *at;) {
    const size_t bytes = strcspn(at, ";");
    const char *const end = at + bytes;
    const uint32_t row = event_batch_add(batch);
    struct event_fields *fields = &batch->fields[row];
    size_t word = strcspn(at, " ;");
    memset(fields->trace_id, 7, sizeof fields->trace_id);
    fields->span_id[0] = (uint8_t)(row + 1);
    fields->name = (struct event_text){.at = at, .length = (uint32_t)word};
    fields->start_ns = 1000 + row;
    fields->end_ns = 2000 + row;
    for (at += word; at < end; at += word) {
      at += *at == ' ';
      word = strcspn(at, " ;");
      const size_t key = strcspn(at, "=");
      const struct value value = value_of(at + key + 1, word - key - 1);
      event_batch_set(batch, row, event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, at, (uint32_t)key), &value);
    }
    at += strspn(at, "; ");
  }
  assert_true(engine_evaluate(engine, batch, 2, 3000));
  engine_commit(engine);
}

static unsigned judge(const char *expression, const char *spans) {
  struct heap_arena *heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(heap);
  struct rule_set *set = rule_of(expression);
  struct rule_image *image = compile_good(set, 1, NULL, 1);
  struct line_ring *digests = line_ring_create(arena, 1024);
  struct engine_config config = {.shards = 1,
                                 .records = record_ring_create(arena, 1 << 16),
                                 .digests_to = {digests},
                                 .column_capacity = 16,
                                 .traces_max = 16,
                                 .captures_max = 64,
                                 .idle_ns = IDLE_NS};
  struct engine *engine = engine_create(arena, &config, 1);
  assert_non_null(engine);
  assert_true(engine_image_fits(image, 16));
  engine_adopt(engine, image);
  send(engine, spans);
  for (const void *message; (message = line_ring_peek(digests)); line_ring_consume(digests))
    engine_apply_digest(engine, message, 2, 3000);
  engine_expire(engine, 2 + 2ull * IDLE_NS, 4000, 16);
  unsigned violations = 0;
  uint32_t bytes;
  for (; record_ring_peek(config.records, &bytes); record_ring_advance(config.records)) violations++;
  rule_set_free(set);
  heap_arena_destroy(heap);
  rule_image_free(image);
  return violations;
}

static void its_documented_examples_are_judged_as_documented(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
    const unsigned violations = judge(examples[i].expression, examples[i].trace);
    if (violations != examples[i].violates)
      fail_msg("%s\non %s: %u violations", examples[i].expression, examples[i].trace, violations);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_becomes_the_tree_of_when_always_and_never),
      cmocka_unit_test(a_condition_on_one_span_is_a_span_rule),
      cmocka_unit_test(the_keys_of_its_files_are_read),
      cmocka_unit_test(its_documented_examples_are_judged_as_documented),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
