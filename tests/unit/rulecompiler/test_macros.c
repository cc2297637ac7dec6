/* Macros and lists: what rules become of them, over several files, and what keeps them small. */
#include "cmocka_test.h"
#include "rule_text_support.h"

static void expect(const struct rule_set *set, const char *rule, const char *condition) {
  const struct rule_definition *found = rule_set_find(set, rule);
  assert_non_null(found);
  assert_string_equal(found->condition_text ? found->condition_text : found->when_text, condition);
}

static void names_become_what_they_stand_for(void **state) {
  (void)state;
  struct rule_set *set = parse_good("rules:\n"
                                    "  - {name: before, on: span, if: slow && !at_shop or root}\n"
                                    "  - {name: lists, on: span, if: 'span.code in codes and span.who not in (people, \"x\")'}\n"
                                    "  - {name: kinds, on: span, if: 'kind in sides && span.wait in waits'}\n"
                                    "  - {name: texts, on: span, if: 'span.slow = \"slow\" && span.codes > 1 # slow'}\n"
                                    "  - name: trace\n    when: shopping && !{slow}\n    always: '{at_shop}'\n"
                                    "macros:\n"
                                    "  at_shop: service = \"shop\" || resource.team in people // at_shop\n"
                                    "  slow: |\n    duration > 2s # comment\n"
                                    "  shopping: '{at_shop} then {name = \"pay\"}'\n"
                                    "lists:\n"
                                    "  codes: [500, more_codes, \"500\", true, -2.5]\n"
                                    "  more_codes: [502, \"more_codes\"]\n"
                                    "  people: [ann, \"b ob\", 'c\"d']\n"
                                    "  waits: [2s, 250ms]\n"
                                    "  sides: [server, client]\n");
  expect(set, "before", "duration > 2s && !(service = \"shop\" || resource.team in [\"ann\", \"b ob\", \"c\\\"d\"]) || root");
  expect(
      set, "lists",
      "span.code in [500, 502, \"more_codes\", \"500\", true, -2.5] && span.who not in [\"ann\", \"b ob\", \"c\\\"d\", \"x\"]");
  expect(set, "kinds", "kind in [server, client] && span.wait in [2s, 250ms]");
  expect(set, "texts", "span.slow = \"slow\" && span.codes > 1");
  expect(set, "trace",
         "{service = \"shop\" || resource.team in [\"ann\", \"b ob\", \"c\\\"d\"]} then {name = \"pay\"} && !{duration > 2s}");
  size_t length;
  char *text = rule_set_text(set, &length);
  assert_null(strstr(text, "macros"));
  struct rule_set *again = parse_good(text); /* canonical text needs nothing beside it */
  assert_int_equal(rule_set_compare(again, set).unchanged, 5);
  rule_set_free(again);
  free(text);
  rule_set_free(set);
}

static void files_of_one_load_share_them(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  static const char user[] = "rules: [{name: r, on: span, if: far && span.x in xs}]\n", macros[] = "macros: {far: root}\n",
                    lists[] = "lists: {xs: [1]}\n";
  const struct rule_text texts[] = {
      {"user.yaml", user, sizeof user - 1}, {"macros.yaml", macros, sizeof macros - 1}, {"lists.yaml", lists, sizeof lists - 1}};
  struct rule_set *set = rule_set_parse_texts(texts, 3, false, &errors);
  assert_non_null(set);
  expect(set, "r", "root && span.x in [1]");
  rule_set_free(set);
  assert_null(rule_set_parse_texts(texts, 2, false, &errors));
  assert_int_equal(errors.count, 1);
  assert_string_equal(errors.items[0].file, "user.yaml");
  assert_string_equal(errors.items[0].message, "unknown list `xs`");
  rule_errors_free(&errors);
  /* The good ones of a load with an error, for those who ask. */
  static const char half[] = "rules: [{name: good, on: span, if: far}, {name: bad, on: span, if: fra}]\n";
  const struct rule_text some[] = {{"half.yaml", half, sizeof half - 1}, {"macros.yaml", macros, sizeof macros - 1}};
  set = rule_set_parse_texts(some, 2, true, &errors);
  assert_int_equal(rule_set_count(set), 1);
  assert_int_equal(errors.count, 1);
  assert_string_equal(errors.items[0].message, "unknown reference `fra`; did you mean `far`?");
  rule_set_free(set);
  rule_errors_free(&errors);
}

/* Errors in the order of files as given, each with its own text. */
static void an_error_in_a_macro_tells_both_places(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  static const char first[] = "rules:\n  - {name: r, on: span, if: far}\n  - {name: s, on: span, if: root && far}\n",
                    second[] = "macros:\n  far: spam.x = 1\n";
  const struct rule_text texts[] = {{"a.yaml", first, sizeof first - 1}, {"b.yaml", second, sizeof second - 1}};
  assert_null(rule_set_parse_texts(texts, 2, false, &errors));
  assert_int_equal(errors.count, 2);
  assert_string_equal(errors.items[0].file, "a.yaml");
  assert_int_equal(errors.items[0].line, 3);
  assert_int_equal(errors.items[0].column, 37);
  assert_non_null(strstr(errors.items[0].message, "in macro `far`, b.yaml:2:8: unknown reference"));
  assert_string_equal(errors.items[1].file, "b.yaml");
  assert_int_equal(errors.items[1].column, 8);
  assert_non_null(strstr(errors.items[1].message, "(macro `far`, used at a.yaml:2:29)"));
  rule_errors_free(&errors);
}

/* Ten macros of two uses each would be 2^10 copies, sixty 2^60. */
static void bombs_are_bounded(void **state) {
  (void)state;
  char *text = calloc(1, 1 << 16), *end = text;
  end += sprintf(end, "rules: [{name: r, on: span, if: m29}]\nmacros:\n  m0: span.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa = 1\n");
  for (int i = 1; i < 30; i++) end += sprintf(end, "  m%d: m%d || m%d\n", i, i - 1, i - 1);
  struct rule_errors errors = {0};
  assert_null(parse_text(text, &errors));
  assert_int_equal(errors.count, 1);
  assert_non_null(strstr(errors.items[0].message, "more than 65536 bytes"));
  rule_errors_free(&errors);
  /* A chain is as deep as is allowed, or an error. */
  for (int depth = 30; depth < 36; depth++) {
    end = text + sprintf(text, "rules: [{name: r, on: span, if: m%d}]\nmacros:\n  m0: root\n", depth);
    for (int i = 1; i <= depth; i++) end += sprintf(end, "  m%d: m%d\n", i, i - 1);
    struct rule_set *set = parse_text(text, &errors);
    assert_true((set != NULL) == (depth < 32));
    if (!set) assert_non_null(strstr(errors.items[0].message, "nested more than 32 deep"));
    rule_set_free(set);
    rule_errors_free(&errors);
  }
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_become_what_they_stand_for),
      cmocka_unit_test(files_of_one_load_share_them),
      cmocka_unit_test(an_error_in_a_macro_tells_both_places),
      cmocka_unit_test(bombs_are_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
