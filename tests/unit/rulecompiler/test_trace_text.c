/* Trace conditions between spans: what is accepted, how it is normalised, and that canonical text reads back as itself. */
#include "cmocka_test.h"

#include "rule_text_support.h"

struct expectation {
  const char *source, *canonical;
};

static const struct expectation accepted[] = {
    /* Aggregates; the constant goes to the right. */
    {"count({name=\"a\"})>3", "count({name = \"a\"}) > 3"},
    {"3 < count({root})", "count({root}) > 3"},
    {"3 == count({root}) or 4.5 >= count({root})", "count({root}) = 3 || count({root}) <= 4.5"},
    {"count({root}) != count({kind = server})", "count({root}) != count({kind = server})"},
    {"sum({root}, span.bytes) >= -1", "sum({root}, span.bytes) >= -1"},
    {"min({root},span.\"a-b\") < 2 and max({root}, span.a) < avg({span.b}, span.c)",
     "min({root}, span.\"a-b\") < 2 && max({root}, span.a) < avg({span.b}, span.c)"},
    {"max({root}, duration) > 2000000000", "max({root}, duration) > 2s"},
    {"250ms < avg({root}, duration)", "avg({root}, duration) > 250ms"},
    {"!count({root}) = 1", "!(count({root}) = 1)"},
    {"not (count({root}) = 1 && {root})", "!(count({root}) = 1 && {root})"},
    /* Intrinsics of the trace. */
    {"trace.duration > 1500ms && trace.span_count <= 500", "trace.duration > 1500ms && trace.span_count <= 500"},
    {"2000000000 < trace.duration", "trace.duration > 2s"},
    {"trace.span_count = count({root})", "trace.span_count = count({root})"},
    {"trace.root_name = \"GET /\"", "{root && name = \"GET /\"}"},
    {"trace.root_service =~ \"^shop\" or trace.root_name not in [\"a\", \"b\"]",
     "{root && service =~ \"^shop\"} || !{root && name in [\"a\", \"b\"]}"},
    /* Order. */
    {"{root} then {span.a}", "{root} then {span.a}"},
    {"{root} then {span.a} within 2000ms", "{root} then {span.a} within 2s"},
    {"{root} not followed by {span.a} within 1.5s", "{root} not followed by {span.a} within 1500ms"},
    {"{root} && not {span.a} then {span.b}", "{root} && !({span.a} then {span.b})"},
    /* Relations. */
    {"{root} > {span.a} && {root}>>{span.a}", "{root} > {span.a} && {root} >> {span.a}"},
    {"{root} < {span.a} && {root}<<{span.a}", "{root} < {span.a} && {root} << {span.a}"},
    {"{root} ~ {span.a} || {root} !~ {span.a}", "{root} ~ {span.a} || {root} !~ {span.a}"},
    {"{root} !> {span.a} || {root} !>> {span.a}", "{root} !> {span.a} || {root} !>> {span.a}"},
    {"{root} !< {span.a} || {root} !<< {span.a}", "{root} !< {span.a} || {root} !<< {span.a}"},
    {"!{root} > {span.a}", "!({root} > {span.a})"},
    {"!!({root} ~ {span.a} || count({root}) > 1) && {root}", "({root} ~ {span.a} || count({root}) > 1) && {root}"},
};

static struct rule_set *set_of(const char *when) {
  char *text = malloc(strlen(when) + 128);
  sprintf(text, "rules:\n  - name: a\n    when: |\n      %s\n    never: '{root}'\n", when);
  struct rule_set *set = parse_good(text);
  free(text);
  return set;
}

static void test_accepted(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    struct rule_set *set = set_of(accepted[i].source);
    assert_string_equal(rule_set_at(set, 0)->when_text, accepted[i].canonical);
    struct rule_set *again = set_of(accepted[i].canonical);
    assert_string_equal(rule_set_at(again, 0)->when_text, accepted[i].canonical);
    rule_set_free(again);
    rule_set_free(set);
  }
}

static void test_within_of_a_rule(void **state) {
  (void)state;
  struct rule_set *set = parse_good("rules:\n  - {name: a, when: '{root}', always: '{span.a}', within: 1.5s}\n");
  assert_int_equal(rule_set_at(set, 0)->within_ns, 1500000000);
  char *text = rule_set_text(set, NULL);
  assert_non_null(strstr(text, "within: 1500ms\n"));
  struct rule_set *again = parse_good(text);
  assert_int_equal(rule_set_at(again, 0)->within_ns, 1500000000);
  assert_int_equal(rule_set_compare(again, set).unchanged, 1);
  struct rule_set *other = parse_good("rules:\n  - {name: a, when: '{root}', always: '{span.a}', within: 2s}\n");
  assert_int_equal(rule_set_compare(other, set).changed, 1);
  rule_set_free(other);
  rule_set_free(again);
  rule_set_free(set);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accepted),
      cmocka_unit_test(test_within_of_a_rule),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
