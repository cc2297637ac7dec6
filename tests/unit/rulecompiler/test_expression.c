/* What is accepted and how it is normalised: the canonical text shows precedence, types and defaults. */
#include "cmocka_test.h"

#include "rule_text_support.h"

struct expectation {
  const char *on, *source, *canonical;
};

static const struct expectation accepted[] = {
    /* Operators and their other spellings. */
    {"span", "span.a = 1", "span.a = 1"},
    {"span", "span.a == 1", "span.a = 1"},
    {"span", "span.a!=1", "span.a != 1"},
    {"span", "span.a<1 and span.a<=1 and span.a>1 and span.a>=1", "span.a < 1 && span.a <= 1 && span.a > 1 && span.a >= 1"},
    {"span", "name =~ \"a+\" or name !~ \"b\"", "name =~ \"a+\" || name !~ \"b\""},
    {"span", "name contains \"a\"", "name contains \"a\""},
    {"span", "span.a in [1, -2.5, \"x\", true, 3ms]", "span.a in [1, -2.5, \"x\", true, 3ms]"},
    {"span", "span.a in (1)", "span.a in [1]"},
    {"span", "span.a not in [1]", "span.a not in [1]"},
    {"span", "!(span.a in [1])", "span.a not in [1]"},
    {"span", "!span.a not in [1]", "span.a in [1]"},
    /* Constants on the left. */
    {"span", "500 <= span.a", "span.a >= 500"},
    {"span", "500 < span.a && 1 > span.a && 2 >= span.b", "span.a > 500 && span.a < 1 && span.b <= 2"},
    {"span", "\"x\" = name && 1 != span.a && true = root", "name = \"x\" && span.a != 1 && root = true"},
    /* Precedence. */
    {"span", "span.a || span.b && span.c", "span.a || span.b && span.c"},
    {"span", "(span.a || span.b) && span.c", "(span.a || span.b) && span.c"},
    {"span", "span.a && span.b || span.c && span.d", "span.a && span.b || span.c && span.d"},
    {"span", "span.a && (span.b && (span.c && span.d))", "span.a && span.b && span.c && span.d"},
    {"span", "((span.a))", "span.a"},
    {"span", "!span.a && span.b", "!span.a && span.b"},
    {"span", "!(span.a && span.b)", "!(span.a && span.b)"},
    {"span", "not span.a = 1 and span.b", "!(span.a = 1) && span.b"},
    {"span", "!!span.a", "span.a"},
    {"span", "!!!span.a", "!span.a"},
    {"span", "!(!(span.a || span.b)) || span.c", "span.a || span.b || span.c"},
    {"span", "span.a || !(!(span.b && !(!span.c)))", "span.a || span.b && span.c"},
    /* Bare booleans and constants. */
    {"span", "root", "root"},
    {"span", "true", "true"},
    {"span", "false || root", "false || root"},
    {"span", "root = false", "root = false"},
    /* Braces. */
    {"span", "{ root }", "root"},
    {"span", "{ root && span.a }", "root && span.a"},
    /* References. */
    {"span", "span.http.status_code = 1", "span.http.status_code = 1"},
    {"span", "span.\"http.status_code\" = 1", "span.http.status_code = 1"},
    {"span", "span.\"a-b\" = 1", "span.\"a-b\" = 1"},
    {"span", "span.a.\"b-c\".d = 1", "span.\"a.b-c.d\" = 1"},
    {"span", "span.\"a..b\" = 1", "span.\"a..b\" = 1"},
    {"span", "span.in.and.true = 1", "span.in.and.true = 1"},
    {"span", "span.2xx = 1", "span.2xx = 1"},
    {"span", "resource.service.name = \"a\"", "resource.service.name = \"a\""},
    {"span", "span.\"q\\\"uote\" = 1", "span.\"q\\\"uote\" = 1"},
    {"webhook", "body.order.amount > 5", "body.order.amount > 5"},
    {"webhook", "body.\"order.amount\" > 5", "body.\"order.amount\" > 5"},
    {"webhook", "body.order.\"line-items\".total > 5", "body.order.\"line-items\".total > 5"},
    {"webhook", "name = \"orders\"", "name = \"orders\""},
    {"alert", "label.severity = \"critical\" && annotation.\"a/b\" = \"\"",
     "label.severity = \"critical\" && annotation.\"a/b\" = \"\""},
    {"alert", "status = firing or status = \"resolved\"", "status = firing || status = resolved"},
    {"alert", "service = \"a\" and name = \"b\"", "service = \"a\" && name = \"b\""},
    /* Words. */
    {"span", "kind = server && kind != \"client\"", "kind = server && kind != client"},
    {"span", "kind in [server, consumer] || status in (ok)", "kind in [server, consumer] || status in [ok]"},
    {"span", "status = error || status = unset", "status = error || status = unset"},
    {"span", "trace_id = \"0123456789ABCDEF0123456789abcdef\"", "trace_id = \"0123456789abcdef0123456789abcdef\""},
    {"span", "span_id in [\"0123456789abcdef\"] && parent_id contains \"ab\"",
     "span_id in [\"0123456789abcdef\"] && parent_id contains \"ab\""},
    /* Numbers. */
    {"span", "span.a = -9223372036854775808", "span.a = -9223372036854775808"},
    {"span", "span.a = -9223372036854775808ns", "span.a = -9223372036854775808ns"},
    {"span", "span.a = +9223372036854775807", "span.a = 9223372036854775807"},
    {"span", "span.a = 1.0", "span.a = 1.0"},
    {"span", "span.a = 0.1", "span.a = 0.1"},
    {"span", "span.a = 1e3", "span.a = 1000.0"},
    {"span", "span.a = 1E-7", "span.a = 1e-07"},
    {"span", "span.a = 0.30000000000000004", "span.a = 0.30000000000000004"},
    {"span", "span.a = -0.0", "span.a = -0.0"},
    /* Durations. */
    {"span", "duration > 2s", "duration > 2s"},
    {"span", "duration > 1.5s", "duration > 1500ms"},
    {"span", "duration > 0.5us", "duration > 500ns"},
    {"span", "duration > 90m", "duration > 90m"},
    {"span", "duration > 120m", "duration > 2h"},
    {"span", "duration > 2000000000", "duration > 2s"},
    {"span", "duration > 0", "duration > 0s"},
    {"span", "duration > 1.50000000000000000000000000000000s", "duration > 1500ms"},
    {"span", "2s < duration", "duration > 2s"},
    {"span", "span.wait >= 250ms", "span.wait >= 250ms"},
    {"span", "duration > 2562047.5h", "duration > 153722850m"},
    /* Strings. */
    {"span", "name = \"\\\"\\\\\\/\\n\\t\\r\"", "name = \"\\\"\\\\/\\n\\t\\r\""},
    {"span", "name = \"\\u00e9\\uD83D\\uDE00\\u0000\\u0007\"", "name = \"é😀\\u0000\\u0007\""},
    {"span", "name = \"\"", "name = \"\""},
    /* Texts and presence. */
    {"span", "name startsWith \"a\" && name endsWith \"b\" && name matches \"c\"",
     "name startsWith \"a\" && name endsWith \"b\" && name =~ \"c\""},
    {"span", "exists span.a && not exists span.b", "exists span.a && !exists span.b"},
    {"span", "span.a = null || span.b != nil || null = span.c || nil != span.d",
     "!exists span.a || exists span.b || !exists span.c || exists span.d"},
    {"span", "!(span.a = null)", "exists span.a"},
    {"span", "exists service && parent_id = null", "exists service && !exists parent_id"},
    {"span", "span.a + 1 = null && span.a + 1 != null", "span.a + 1 = null && span.a + 1 != null"},
    {"span", "!(span.a * 2 != null)", "span.a * 2 = null"},
    {"span", "span.exists = 1 && span.null = 2", "span.exists = 1 && span.null = 2"},
    /* Two sides. */
    {"span", "span.a = span.b && span.a < span.b && name != service", "span.a = span.b && span.a < span.b && name != service"},
    {"span", "name startsWith service && name contains span.a", "name startsWith service && name contains span.a"},
    {"span", "duration > span.timeout && 5 + span.a > span.b", "duration > span.timeout && 5 + span.a > span.b"},
    /* Arithmetic. */
    {"span", "span.a + span.b * span.c > 1", "span.a + span.b * span.c > 1"},
    {"span", "(span.a + span.b) * span.c > 1", "(span.a + span.b) * span.c > 1"},
    {"span", "span.a - span.b - span.c = (span.a - span.b) - span.c", "span.a - span.b - span.c = span.a - span.b - span.c"},
    {"span", "span.a - (span.b - span.c) > 0", "span.a - (span.b - span.c) > 0"},
    {"span", "span.a / (span.b * span.c) % 2 = 1", "span.a / (span.b * span.c) % 2 = 1"},
    {"span", "span.a / span.b / span.c = 1", "span.a / span.b / span.c = 1"},
    {"span", "-span.a < - - span.b", "-span.a < -(-span.b)"},
    {"span", "-(span.a + 1) * 2 = -span.b * 3", "-(span.a + 1) * 2 = -span.b * 3"},
    {"span", "span.a -1 = 2 && span.a - -1 = 2 && span.a + +1 = 2", "span.a - 1 = 2 && span.a - -1 = 2 && span.a + 1 = 2"},
    {"span", "((span.a) + (1)) > ((2))", "span.a + 1 > 2"},
    {"span", "(span.a) && ((span.b) = 1)", "span.a && span.b = 1"},
    {"span", "!(span.a) = 1", "!(span.a = 1)"},
    {"span", "(span.a + 1) in [1, -2] && span.a % 2 not in [1]", "span.a + 1 in [1, -2] && span.a % 2 not in [1]"},
    {"span", "5 < span.a + 1", "span.a + 1 > 5"},
    {"span", "duration*2 > 1s", "duration * 2 > 1s"},
    {"span", "end - start > duration", "end - start > duration"},
    /* Constants fold. */
    {"span", "span.a > 2 * 3 + 1", "span.a > 7"},
    {"span", "span.a > 7 / 2", "span.a > 3.5"},
    {"span", "span.a > 7 % 4 - -2", "span.a > 5"},
    {"span", "span.a > -(2 + 3)", "span.a > -5"},
    {"span", "duration > 1s + 500ms && duration > 2 * 3s", "duration > 1500ms && duration > 6s"},
    {"span", "span.a = 1.5 * 2", "span.a = 3.0"},
    {"span", "span.a + 1 + 2 > 0 && span.a + (1 + 2) > 0", "span.a + 1 + 2 > 0 && span.a + 3 > 0"},
    /* Networks. */
    {"span", "span.a in cidr [\"10.0.0.0/8\", \"fd00::/8\"]", "span.a in cidr [\"10.0.0.0/8\", \"fd00::/8\"]"},
    {"span", "span.a not in cidr (\"1.2.3.4\")", "span.a not in cidr [\"1.2.3.4\"]"},
    {"span", "!(name in cidr [\"::/0\"])", "name not in cidr [\"::/0\"]"},
    /* Times. */
    {"span", "time_of_day >= 22:00 || time_of_day < 06:30:15", "time_of_day >= 22:00 || time_of_day < 06:30:15"},
    {"span", "time_of_day < 9h && time_of_day < 24:00 && time_of_day < 1500ms",
     "time_of_day < 09:00 && time_of_day < 24:00 && time_of_day < 1500ms"},
    {"span", "time_of_day in [00:00, 12:00] && time_of_day + 1h > 10:00",
     "time_of_day in [00:00, 12:00] && time_of_day + 1h > 10h"},
    {"span", "weekday in [saturday, sunday] && weekday != \"monday\"", "weekday in [saturday, sunday] && weekday != monday"},
    {"webhook", "weekday = friday && time_of_day > 17:00 && start > 0", "weekday = friday && time_of_day > 17:00 && start > 0"},
    {"alert", "start + 1h < end", "start + 1h < end"},
    /* Elements. */
    {"webhook", "body.items[*].sku = body.items[0].sku || body.m[*][2] > 1",
     "body.items[*].sku = body.items[0].sku || body.m[*][2] > 1"},
    {"webhook", "body.items[07].\"a b\" in[1] && exists body.a[*]", "body.items[7].\"a b\" in [1] && exists body.a[*]"},
    /* Comments and blanks. */
    {"span", "root # a comment\n      && span.a // another\n      # last", "root && span.a"},
    {"span", "root//x", "root"},
    {"span", "root\t&&\n      span.a", "root && span.a"},
};

static char *canonical_of(const char *on, const char *source) {
  char *text = rule_with(on, source);
  struct rule_set *set = parse_good(text);
  char *canonical = strdup(rule_set_at(set, 0)->condition_text);
  rule_set_free(set);
  free(text);
  return canonical;
}

static void test_accepted(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    char *canonical = canonical_of(accepted[i].on, accepted[i].source);
    assert_string_equal(canonical, accepted[i].canonical);
    char *again = canonical_of(accepted[i].on, canonical);
    assert_string_equal(again, canonical);
    free(again);
    free(canonical);
  }
}

static void test_trace_canonical(void **state) {
  (void)state;
  struct rule_set *set = parse_good("rules:\n"
                                    "  - name: a\n"
                                    "    when: '({ name=\"x\" && span.a>1 } and not {root}) or !({kind=server})'\n"
                                    "    always: '{name=\"y\"} || {root or span.b}'\n"
                                    "    never: '!!{root}'\n");
  const struct rule_definition *rule = rule_set_at(set, 0);
  assert_int_equal(rule->on, RULE_ON_TRACE);
  assert_null(rule->condition_text);
  assert_string_equal(rule->when_text, "{name = \"x\" && span.a > 1} && !{root} || !{kind = server}");
  assert_string_equal(rule->always_text, "{name = \"y\"} || {root || span.b}");
  assert_string_equal(rule->never_text, "{root}");
  rule_set_free(set);
}

static void test_defaults(void **state) {
  (void)state;
  struct rule_set *set = parse_good("rules:\n"
                                    "  - {name: a.B_c-1, on: span, if: root}\n"
                                    "  - name: full\n"
                                    "    severity: CRITICAL\n"
                                    "    on: alert\n"
                                    "    if: status = firing\n"
                                    "    enabled: false\n"
                                    "    message: \"hi ${name}\"\n"
                                    "    description: what it is\n"
                                    "    tags: [one, 'two words']\n"
                                    "    version: 7\n");
  const struct rule_definition *plain = rule_set_at(set, 0), *full = rule_set_at(set, 1);
  assert_int_equal(plain->severity, SEVERITY_MEDIUM);
  assert_true(plain->enabled);
  assert_string_equal(plain->message, "a.B_c-1");
  assert_null(plain->description);
  assert_int_equal(plain->tag_count, 0);
  assert_int_equal(plain->version, 0);
  assert_int_equal(plain->line, 2);
  assert_string_equal(plain->file, "test.yaml");
  assert_int_equal(full->severity, SEVERITY_CRITICAL);
  assert_int_equal(full->on, RULE_ON_ALERT);
  assert_false(full->enabled);
  assert_string_equal(full->message, "hi ${name}");
  assert_string_equal(full->description, "what it is");
  assert_int_equal(full->tag_count, 2);
  assert_string_equal(full->tags[1], "two words");
  assert_int_equal(full->version, 7);
  rule_set_free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accepted),
      cmocka_unit_test(test_trace_canonical),
      cmocka_unit_test(test_defaults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
