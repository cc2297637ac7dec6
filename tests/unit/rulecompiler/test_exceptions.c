/* Exceptions: the condition that a rule has with them, also with some from another file. */
#include "cmocka_test.h"
#include "rule_text_support.h"

static void expect(const struct rule_set *set, const char *rule, const char *condition) {
  const struct rule_definition *found = rule_set_find(set, rule);
  assert_non_null(found);
  assert_string_equal(found->condition_text ? found->condition_text : found->when_text, condition);
}

static void values_become_conditions(void **state) {
  (void)state;
  struct rule_set *set = parse_good(
      "lists: {trusted: [ann, \"bob\"]}\n"
      "macros: {big: span.size > 10}\n"
      "rules:\n"
      "  - name: single\n    on: span\n    if: |\n      big || name = \"x\" # comment\n"
      "    exceptions: [{name: e, fields: service, values: [a, \"5s\", trusted]}]\n"
      "  - name: single-compared\n    on: span\n    if: '{ big || root }'\n"
      "    exceptions: [{name: e, fields: span.user, comps: startswith, values: [sys, \"root\"]}]\n"
      "  - name: tuples\n    on: span\n    if: root\n"
      "    exceptions: [{name: e, fields: [service, span.port], values: [[cart, 80], [\"pay\", \"443\"]]}]\n"
      "  - name: compared\n    on: span\n    if: root\n"
      "    exceptions:\n"
      "      - name: e\n        fields: [service, span.port, span.ip]\n        comps: [=~, in, not in cidr]\n"
      "        values:\n          - [cart, [80, 443], [\"10.0.0.0/8\"]]\n          - [\"^p\", trusted, \"::1\"]\n"
      "  - name: several\n    on: span\n    if: root\n"
      "    exceptions: [{name: e, fields: service, values: [a]}, {name: f, fields: [name]}, {name: g, fields: [name], values: "
      "[[b]]}]\n"
      "  - name: none\n    on: span\n    if: root\n    exceptions: [{name: e, fields: service}, {name: f, fields: [name], "
      "values: []}]\n"
      "  - name: trace\n    when: '{root} || {big}'\n    never: '{name = \"y\"}'\n"
      "    exceptions: [{name: e, fields: [service, name], values: [[a, b], [c, d]]}, {name: f, fields: name, values: [q]}]\n");
  expect(set, "single", "(span.size > 10 || name = \"x\") && service not in [\"a\", \"5s\", \"ann\", \"bob\"]");
  expect(set, "single-compared", "(span.size > 10 || root) && !(span.user startsWith \"sys\" || span.user startsWith \"root\")");
  expect(set, "tuples", "root && !(service = \"cart\" && span.port = 80 || service = \"pay\" && span.port = \"443\")");
  expect(set, "compared",
         "root && !(service =~ \"cart\" && span.port in [80, 443] && span.ip not in cidr [\"10.0.0.0/8\"] || "
         "service =~ \"^p\" && span.port in [\"ann\", \"bob\"] && span.ip not in cidr [\"::1\"])");
  expect(set, "several", "root && !(service in [\"a\"] || name = \"b\")");
  expect(set, "none", "root");
  expect(set, "trace",
         "({root} || {span.size > 10}) && !({service = \"a\" && name = \"b\"} || {service = \"c\" && name = \"d\"} || {name in "
         "[\"q\"]})");
  rule_set_free(set);
}

static void another_file_appends(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  static const char local[] =
      "rules:\n"
      "  - {name: base, append: true, exceptions: [{name: known, values: [[b]]}]}\n"
      "  - {name: base, append: true, exceptions: [{name: known, values: [[c]]}, {name: own, fields: name, "
      "values: [health]}]}\n",
                    shipped[] = "rules: [{name: base, on: span, if: root, exceptions: [{name: known, fields: [service], "
                                "values: [[a]]}]}]\n";
  const struct rule_text texts[] = {{"local.yaml", local, sizeof local - 1}, {"shipped.yaml", shipped, sizeof shipped - 1}};
  struct rule_set *set = rule_set_parse_texts(texts, 2, false, &errors);
  if (!set) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  assert_int_equal(rule_set_count(set), 1);
  expect(set, "base", "root && !(service = \"a\" || service = \"b\" || service = \"c\" || name in [\"health\"])");
  rule_set_free(set);
  /* An error in what is appended stands in the file that it is appended from. */
  static const char wrong[] = "rules:\n  - name: base\n    append: true\n    exceptions: [{name: known, values: [[5]]}]\n";
  const struct rule_text with_error[] = {{"wrong.yaml", wrong, sizeof wrong - 1}, {"shipped.yaml", shipped, sizeof shipped - 1}};
  assert_null(rule_set_parse_texts(with_error, 2, false, &errors));
  assert_int_equal(errors.count, 1);
  assert_string_equal(errors.items[0].file, "wrong.yaml");
  assert_int_equal(errors.items[0].line, 4);
  assert_int_equal(errors.items[0].column, 42);
  rule_errors_free(&errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_become_conditions),
      cmocka_unit_test(another_file_appends),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
