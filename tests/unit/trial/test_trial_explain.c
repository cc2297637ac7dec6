/* What explain says of rules whose neighbours are known. */
#include "cmocka_test.h"
#include "trial_explain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rule_set *parse(const char *text) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("rules", text, strlen(text), &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  return set;
}

static json_t *explain(const struct rule_set *set, const char *name, uint64_t measure_ns) {
  struct rule_errors errors = {0};
  json_t *json = trial_explain(set, name, measure_ns, &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  return json;
}

static long long rules_with(json_t *json, const char *list, const char *key, const char *text) {
  json_t *item;
  size_t index;
  json_array_foreach(json_object_get(json, list), index, item) {
    if (strcmp(json_string_value(json_object_get(item, key)), text) == 0)
      return (long long)json_integer_value(json_object_get(item, "rules"));
  }
  return 0;
}

static void test_shared_predicates_and_columns(void **state) {
  (void)state;
  struct rule_set *set = parse("rules:\n"
                               "  - {name: a, on: span, if: 'service = \"x\" && duration > 1s && service = \"x\"'}\n"
                               "  - {name: b, on: span, if: 'service = \"x\" || span.k = 5'}\n"
                               "  - {name: c, when: '{service = \"x\"}', never: '{span.k = 5 || duration > 1s}'}\n"
                               "  - {name: d, on: webhook, if: 'name = \"x\"'}\n");
  json_t *json = explain(set, "a", 0);
  assert_int_equal(rules_with(json, "predicates", "predicate", "service = \"x\""), 3);
  assert_int_equal(rules_with(json, "predicates", "predicate", "duration > 1000000000"), 2);
  assert_int_equal(json_array_size(json_object_get(json, "predicates")), 2);
  assert_int_equal(rules_with(json, "columns", "reference", "service"), 3);
  json_decref(json);
  json = explain(set, "c", 0);
  assert_int_equal(rules_with(json, "predicates", "predicate", "span.k = 5"), 2);
  assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(json, "conditions"), 0), "part")), "when");
  json_decref(json);
  json = explain(set, "d", 0);
  assert_int_equal(rules_with(json, "columns", "reference", "name"), 1);
  json_decref(json);
  assert_null(explain(set, "nothing", 0));
  rule_set_free(set);
}

static void expect_found_by(const struct rule_set *set, const char *name, bool always, const char *key) {
  json_t *json = explain(set, name, 0), *found = json_object_get(json, "found_by"), *keys = json_object_get(found, "keys");
  assert_int_equal(json_is_true(json_object_get(found, "always_run")), always);
  if (key) {
    assert_int_equal(json_array_size(keys), 1);
    assert_string_equal(json_string_value(json_array_get(keys, 0)), key);
  }
  json_decref(json);
}

/* Enough rules for an index. */
static void test_what_finds_a_rule(void **state) {
  char text[32768] = "rules:\n"
                     "  - {name: equal, on: span, if: 'service = \"only\" && duration > 1s'}\n"
                     "  - {name: negated, on: span, if: '!(service = \"only\")'}\n"
                     "  - {name: above, on: span, if: 'span.amount > 77'}\n"
                     "  - {name: number, on: span, if: 'span.amount = 78'}\n"
                     "  - {name: pattern, on: span, if: 'span.url =~ \"^/x\"'}\n";
  (void)state;
  for (int i = 0; i < 60; i++) {
    const size_t length = strlen(text);
    snprintf(text + length, sizeof text - length,
             "  - {name: r%d, on: span, if: 'service = \"s%d\"'}\n"
             "  - {name: a%d, on: span, if: 'span.amount > %d'}\n"
             "  - {name: n%d, on: span, if: 'span.amount = %d'}\n"
             "  - {name: p%d, on: span, if: 'span.url =~ \"^/y%d\"'}\n",
             i, i, i, 100 + i, i, 100 + i, i, i);
  }
  struct rule_set *set = parse(text);
  expect_found_by(set, "equal", false, "service = \"only\"");
  expect_found_by(set, "negated", true, NULL);
  expect_found_by(set, "above", false, "span.amount above 77");
  expect_found_by(set, "number", false, "span.amount = 78");
  expect_found_by(set, "pattern", false, "span.url =~ \"^/x\"");
  expect_found_by(set, "r59", false, "service = \"s59\"");
  rule_set_free(set);
}

static void test_compiled_text_keeps_its_meaning(void **state) {
  (void)state;
  struct rule_set *set =
      parse("rules:\n  - name: a\n    on: span\n    if: |\n"
            "      (span.a = 1 || span.b = 2.5) && !(span.c = \"x\\\"y\" && span.d) || span.e in [1, \"z\"]\n");
  json_t *json = explain(set, "a", 0);
  assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(json, "conditions"), 0), "compiled")),
                      "(span.a = 1 || span.b = 2.5) && !(span.c = \"x\\\"y\" && span.d) || span.e in [1, \"z\"]");
  json_decref(json);
  rule_set_free(set);
}

static void test_facts_of_traces(void **state) {
  (void)state;
  struct rule_set *set =
      parse("rules:\n"
            "  - name: a\n"
            "    when: '({name = \"x\"} then {span.k = 1} within 2s) && {name = \"x\"} !>> {name = \"y\"}'\n"
            "    never: 'avg({name = \"x\"}, span.n) >= 2.5 || trace.duration > 3s || {name = \"x\"} ~ {name = \"z\"}'\n"
            "    always: '{name = \"x\"} not followed by {name = \"y\"} within 1s'\n");
  static const char *const compiled[] = {
      "{name = \"x\"} then {span.k = 1} within 2000000000ns && {name = \"x\"} !>> {name = \"y\"}",
      "{name = \"x\"} not followed by {name = \"y\"} within 1000000000ns",
      "avg({name = \"x\"}, span.n) >= 2.5 || trace.duration > 3000000000 || {name = \"x\"} ~ {name = \"z\"}"};
  json_t *json = explain(set, "a", 0), *conditions = json_object_get(json, "conditions");
  assert_int_equal(json_array_size(conditions), 3);
  for (size_t i = 0; i < 3; i++)
    assert_string_equal(json_string_value(json_object_get(json_array_get(conditions, i), "compiled")), compiled[i]);
  assert_int_equal(rules_with(json, "columns", "reference", "span.n"), 1);
  json_decref(json);
  rule_set_free(set);
}

/* Read again as an expression, it is the same rule; what the notation cannot say is null. */
static void test_betrace_text_is_the_same_rule(void **state) {
  static const struct {
    const char *when, *never, *betrace;
  } rules[] = {
      {"{name = \"pay.charge\" && span.amount > 100}", "{name = \"log\"}",
       "when { pay.charge.where(\"amount\" > 100) } never { log }"},
      {"{name = \"GET /users\" && (span.a = \"x\" || !(span.b in [1, 2.5]))} && !{name = \"c\"}", "{name = \"count\"}",
       "when { \"GET /users\".where(\"a\" == \"x\" or not (\"b\" in [1, 2.5])) && !(c) } never { \"count\" }"},
      {"{name = \"a\" && span.ok} || {name = \"b\" && span.u =~ \"^x\" && service = \"s\"}", "{name = \"d\"}", ""},
      {"count({name = \"a\" && span.k = 1}) > 3", "count({name = \"b\"}) = count({name = \"c\"})",
       "when { count(a.where(\"k\" == 1)) > 3 } never { count(b) == count(c) }"},
      {"{name = \"a\"} then {name = \"b\"} within 2s", "{name = \"d\"}", NULL},
      {"{name = \"a\"} > {name = \"b\"}", "{name = \"d\"}", NULL},
      {"sum({name = \"a\"}, span.n) > 5", "{name = \"d\"}", NULL},
      {"{name = \"a\" && duration > 1s}", "{name = \"d\"}", NULL},
      {"{span.a = 1}", "{name = \"d\"}", NULL},
      {"{name = \"a\" || span.a = 1}", "{name = \"d\"}", NULL},
      {"{!(name = \"a\")}", "{name = \"d\"}", NULL},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    char text[2048];
    snprintf(text, sizeof text, "rules:\n  - name: r\n    when: |\n      %s\n    never: |\n      %s\n", rules[i].when,
             rules[i].never);
    struct rule_set *set = parse(text);
    json_t *json = explain(set, "r", 0);
    const char *betrace = json_string_value(json_object_get(json, "betrace"));
    if (!rules[i].betrace) {
      assert_null(betrace);
    } else {
      assert_non_null(betrace);
      if (*rules[i].betrace) assert_string_equal(betrace, rules[i].betrace);
      snprintf(text, sizeof text, "rules:\n  - name: r\n    expression: |\n      %s\n", betrace);
      struct rule_set *again = parse(text);
      json_t *json_again = explain(again, "r", 0);
      assert_true(json_equal(json_object_get(json, "conditions"), json_object_get(json_again, "conditions")));
      json_decref(json_again);
      rule_set_free(again);
    }
    json_decref(json);
    rule_set_free(set);
  }
}

/* Every kind of rule gets a figure, and a match costs more than none. */
static void test_estimates(void **state) {
  (void)state;
  struct rule_set *set = parse("rules:\n"
                               "  - {name: span, on: span, if: 'service = \"x\" && duration > 1s && span.k in [4, 5]'}\n"
                               "  - {name: hook, on: webhook, if: 'name = \"x\" && body.a.b >= 2'}\n"
                               "  - {name: alert, on: alert, if: 'status = firing && label.l startsWith \"x\"'}\n"
                               "  - {name: trace, when: '{name = \"x\"}', always: '{name = \"y\"}'}\n"
                               "  - {name: off, enabled: false, on: span, if: 'name = \"x\"'}\n");
  static const char *const names[] = {"span", "hook", "alert", "trace"};
  for (size_t i = 0; i < 4; i++) {
    json_t *json = explain(set, names[i], 4000000), *estimate = json_object_get(json, "estimate");
    const double event = json_real_value(json_object_get(estimate, "ns_per_event"));
    assert_true(event > 0 && event < 1e6);
    assert_true(json_is_real(json_object_get(estimate, "ns_per_match")));
    if (i < 3) assert_true(json_real_value(json_object_get(estimate, "ns_per_match")) > event);
    json_decref(json);
  }
  json_t *json = explain(set, "off", 4000000);
  assert_non_null(json);
  assert_null(json_object_get(json, "estimate"));
  assert_null(json_object_get(json, "found_by"));
  json_decref(json);
  rule_set_free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shared_predicates_and_columns),   cmocka_unit_test(test_what_finds_a_rule),
      cmocka_unit_test(test_compiled_text_keeps_its_meaning), cmocka_unit_test(test_facts_of_traces),
      cmocka_unit_test(test_betrace_text_is_the_same_rule),   cmocka_unit_test(test_estimates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
