/* The lifecycle of rules by real requests: shapes, statuses, places of errors. The book behind it is the real one. */
#include "cmocka_test.h"
#include "management_asking.h"
#include <curl/curl.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *text_at(const json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text ? text : "(none)";
}

static json_int_t number_at(const json_t *json, const char *key) {
  const json_t *number = json_object_get(json, key);
  return json_is_integer(number) ? json_integer_value(number) : -1;
}

static const json_t *answered(const char *method, const char *path, const char *body, long status) {
  const struct answer *answer = ask(method, path, body, false);
  if (answer->status != status) fail_msg("%s %s %s: %ld %s", method, path, body ? body : "", answer->status, answer->text);
  return answer->json;
}

static const char span_rule[] =
    "{\"name\":\"slow\",\"on\":\"span\",\"if\":\"duration > 1s\",\"severity\":\"HIGH\",\"tags\":[\"pay\"],"
    "\"description\":\"d\"}";

static void a_rule_from_creation_to_deletion(void **state) {
  (void)state;
  char who[32];
  const json_t *rule = answered("POST", "/v1/rules", span_rule, 200);
  static const char *const texts[][2] = {{"id", "slow"},       {"name", "slow"},       {"description", "d"},
                                         {"severity", "high"}, {"on", "span"},         {"expression", "duration > 1s"},
                                         {"message", "slow"},  {"state", "persisted"}, {"if", "duration > 1s"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) assert_string_equal(text_at(rule, texts[i][0]), texts[i][1]);
  assert_true(json_is_true(json_object_get(rule, "enabled")));
  assert_int_equal(number_at(rule, "version"), 1);
  assert_string_equal(json_string_value(json_array_get(json_object_get(rule, "tags"), 0)), "pay");
  assert_string_equal(text_at(rule, "created_at"), text_at(rule, "updated_at"));
  assert_non_null(strstr(text_at(rule, "created_at"), "2023-11-14T22:13:20."));
  snprintf(who, sizeof who, "uid %u", (unsigned)getuid());
  assert_memory_equal(text_at(rule, "created_by"), who, strlen(who));
  answered("POST", "/v1/rules", span_rule, 409);
  rule = answered("PUT", "/v1/rules/slow", "{\"name\":\"slow\",\"on\":\"span\",\"if\":\"duration > 2s\"}", 200);
  assert_int_equal(number_at(rule, "version"), 2);
  assert_string_not_equal(text_at(rule, "created_at"), text_at(rule, "updated_at"));
  assert_true(json_is_null(json_object_get(rule, "description")));
  rule = answered("POST", "/v1/rules/slow/disable", NULL, 200);
  assert_true(json_is_false(json_object_get(rule, "enabled")));
  rule = answered("POST", "/v1/rules/slow/enable", NULL, 200);
  assert_true(json_is_true(json_object_get(rule, "enabled")));
  rule = answered("POST", "/v1/rules/slow/enable", NULL, 200);
  assert_int_equal(number_at(rule, "version"), 4); /* what changes nothing makes no version */
  const json_t *success = json_object_get(answered("DELETE", "/v1/rules/slow", NULL, 200), "success");
  assert_true(json_is_true(success));
  expect_status("GET", "/v1/rules/slow", NULL, false, 404);
  expect_status("DELETE", "/v1/rules/slow", NULL, false, 404);
  expect_status("PUT", "/v1/rules/slow", span_rule, false, 404);
  expect_status("POST", "/v1/rules/slow/enable", NULL, false, 404);
}

/* What was got can be put, changed in one of the two ways in which it tells its condition. */
static void what_is_got_can_be_put(void **state) {
  (void)state;
  char body[4096];
  const struct answer *answer = ask("GET", "/v1/rules/second", NULL, false);
  assert_true(answer->length < sizeof body);
  memcpy(body, answer->text, answer->length + 1);
  assert_int_equal(number_at(answered("PUT", "/v1/rules/second", body, 200), "version"), 1);
  char *always = strstr(body, "\"always\":");
  assert_non_null(always);
  char *constant = strchr(always, 'c');
  *constant = 'z';
  const json_t *rule = answered("PUT", "/v1/rules/second", body, 200);
  assert_int_equal(number_at(rule, "version"), 2);
  assert_non_null(strchr(text_at(rule, "always"), 'z'));
  assert_non_null(strchr(text_at(rule, "expression"), 'z'));
}

static const char betrace_rule[] = "{\"name\":\"fraud\",\"description\":\"d\",\"enabled\":true,\"severity\":\"HIGH\",\"tags\":[],"
                                   "\"expression\":\"when { a.charge.where(amount > 1000) } always { a.check }\"}";

static void expressions_as_betrace_writes_them(void **state) {
  (void)state;
  const json_t *rule = answered("POST", "/v1/rules", betrace_rule, 200);
  assert_string_equal(text_at(rule, "on"), "trace");
  assert_string_equal(text_at(rule, "always"), "{name = \"a.check\"}");
  /* With a single event named, it is that one's condition. */
  rule = answered("POST", "/v1/rules", "{\"name\":\"v\",\"on\":\"span\",\"expression\":\"duration > 1s\"}", 200);
  assert_string_equal(text_at(rule, "if"), "duration > 1s");
  /* A whole rule as it was got, with another expression. */
  char body[4096];
  const struct answer *answer = ask("GET", "/v1/rules/v", NULL, false);
  char *seconds = strstr(answer->text, "\"expression\":\"duration > 1s\"");
  assert_true(seconds && answer->length < sizeof body);
  seconds[strlen("\"expression\":\"duration > ")] = '7';
  memcpy(body, answer->text, answer->length + 1);
  assert_string_equal(text_at(answered("PUT", "/v1/rules/v", body, 200), "if"), "duration > 7s");
  const json_t *json = answered("POST", "/v1/rules/validate", "{\"expression\":\"when { a }\\n always { b >\"}", 200);
  assert_true(json_is_false(json_object_get(json, "valid")));
  assert_int_equal(strncmp(text_at(json, "error"), "2:", 2), 0);
  json = answered("POST", "/v1/rules/validate", "{\"on\":\"span\",\"expression\":\"duration > 1s &&\\n nmae = 1\"}", 200);
  assert_int_equal(strncmp(text_at(json, "error"), "2:2: ", 5), 0);
}

static void lists_are_filtered_and_paged(void **state) {
  (void)state;
  answered("POST", "/v1/rules", span_rule, 200);
  const json_t *list = answered("GET", "/v1/rules", NULL, 200);
  assert_int_equal(number_at(list, "total_count"), 3);
  static const struct {
    const char *query, *first;
    json_int_t total;
    size_t given;
  } filters[] = {{"enabled_only=true", "first", 2, 2}, {"severity=HIGH", "slow", 1, 1},
                 {"tags=one&tags=two", "first", 1, 1}, {"tag=one&tag=pay", NULL, 0, 0},
                 {"limit=1", "first", 3, 1},           {"limit=1&after=first", "second", 3, 1},
                 {"after=second", "slow", 3, 1},       {"enabled_only=false", "first", 3, 3}};
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    char path[128];
    snprintf(path, sizeof path, "/v1/rules?%s", filters[i].query);
    list = answered("GET", path, NULL, 200);
    const json_t *rules = json_object_get(list, "rules");
    if (number_at(list, "total_count") != filters[i].total || json_array_size(rules) != filters[i].given)
      fail_msg("%s: %zu of %lld", path, json_array_size(rules), (long long)number_at(list, "total_count"));
    if (filters[i].first) assert_string_equal(text_at(json_array_get(rules, 0), "name"), filters[i].first);
  }
  assert_string_equal(text_at(answered("GET", "/v1/rules?limit=2", NULL, 200), "next"), "second");
  assert_true(json_is_null(json_object_get(answered("GET", "/v1/rules?limit=3", NULL, 200), "next")));
  expect_status("GET", "/v1/rules?severity=awful", NULL, false, 400);
  expect_status("GET", "/v1/rules?limit=0", NULL, false, 400);
}

/* Places are those of the body as it was sent. */
static void errors_have_their_place(void **state) {
  (void)state;
  static const struct {
    const char *path, *body, *message;
    json_int_t line, column;
  } wrong[] = {
      {"/v1/rules", "{\"name\":\"x\",\"on\":\"span\",\n \"if\":\"duration >\"}", "expression ends", 2, 18},
      {"/v1/rules", "{\"created_at\":\"2023\",\n\"id\":\"x\",\"name\":\"x\",\n \"on\":\"span\",\"if\":\"status ~ 1\"}",
       "is a status", 3, 20},
      {"/v1/rules", "rules:\n- name: x\n  on: span\n  if: duration >\n", "expression ends", 4, 17},
      {"/v1/rules", "{\"name\":\"x\",}", "not JSON", 1, 13},
      {"/v1/rules", "{\"id\":\"x\",\"on\":\"spam\",\"if\":\"true\"}", "did you mean", 1, 0},
      {"/v1/rules/import", "{\"rules\":[\n{\"name\":\"a\",\"on\":\"span\",\"if\":\"true\"},\n{\"name\":\"a b\"}]}", NULL, 3, 0},
      {"/v1/rules/import", "[\n{\"name\":\"a\",\"on\":\"span\",\"if\":\"true\"},\n{\"name\":\"a b\"}]", NULL, 3, 0},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const json_t *json = answered("POST", wrong[i].path, wrong[i].body, 400);
    const json_t *error = json_array_get(json_object_get(json, "errors"), 0);
    if (number_at(error, "line") != wrong[i].line || (wrong[i].column && number_at(error, "column") != wrong[i].column) ||
        (wrong[i].message && !strstr(text_at(error, "message"), wrong[i].message)))
      fail_msg("%s: %lld:%lld: %s", wrong[i].body, (long long)number_at(error, "line"), (long long)number_at(error, "column"),
               text_at(error, "message"));
  }
  static const char *const refused[] = {
      "",   "   ",
      "[]", "{\"rules\":[]}",
      "12", "[{\"name\":\"a\",\"on\":\"span\",\"if\":\"true\"},{\"name\":\"b\",\"on\":\"span\",\"if\":\"true\"}]"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) expect_status("POST", "/v1/rules", refused[i], false, 400);
  expect_status("PUT", "/v1/rules/first", span_rule, false, 400); /* another name */
  assert_int_equal(number_at(answered("GET", "/v1/rules", NULL, 200), "total_count"), 2);
  const json_t *failed = json_object_get(answered("GET", "/v1/ruleset/failed", NULL, 200), "failed");
  assert_true(json_array_size(failed) >= 3);
}

/* JSON's escapes and spellings that YAML does not have. */
static void json_is_read_as_json(void **state) {
  (void)state;
  const json_t *rule =
      answered("POST", "/v1/rules",
               "{\t\"id\" : \"odd\",\r\n\"on\":\"span\",\"if\":\"name = \\\"a\\\\n\\\\u00e9\\\"\",\"enabled\":false,"
               "\"message\":\"\\ud83d\\ude00 a\\/b \\u00e9: # '\",\"never\":null,\"state\":{\"a\":[1,{\"b\":\"}]\"}]}}",
               200);
  assert_string_equal(text_at(rule, "name"), "odd");
  assert_string_equal(text_at(rule, "message"), "\xf0\x9f\x98\x80 a/b \xc3\xa9: # '");
  assert_true(json_is_false(json_object_get(rule, "enabled")));
  assert_string_equal(text_at(rule, "if"), "name = \"a\\n\xc3\xa9\"");
}

static const char three[] = "rules:\n"
                            "- {name: good, on: span, if: duration > 1s}\n"
                            "- {name: bad, on: span, if: duration >}\n"
                            "- {name: first, on: span, if: duration > 3s}\n";

static void imports_are_whole_or_told_rule_by_rule(void **state) {
  (void)state;
  answered("POST", "/v1/rules/import", three, 400);
  expect_status("GET", "/v1/rules/good", NULL, false, 404);
  const json_t *json = answered("POST", "/v1/rules/import?atomic=false", three, 207);
  assert_int_equal(number_at(json, "total"), 3);
  assert_int_equal(number_at(json, "succeeded"), 2);
  assert_int_equal(number_at(json, "failed"), 1);
  static const char *const statuses[] = {"created", "failed", "updated"};
  for (size_t i = 0; i < 3; i++) {
    const json_t *result = json_array_get(json_object_get(json, "results"), i);
    assert_int_equal(number_at(result, "index"), i);
    assert_string_equal(text_at(result, "status"), statuses[i]);
  }
  const json_t *error = json_array_get(json_object_get(json, "errors"), 0);
  assert_string_equal(text_at(error, "rule_id"), "bad");
  assert_int_equal(number_at(error, "line"), 3);
  assert_string_equal(json_string_value(json_array_get(json_object_get(json, "imported"), 1)), "first");
  json = answered("POST", "/v1/rules/import",
                  "{\"atomic\":false,\"rules\":[{\"name\":\"good\",\"on\":\"span\",\"if\":\"duration > 1s\"}]}", 200);
  assert_string_equal(text_at(json_array_get(json_object_get(json, "results"), 0), "status"), "unchanged");
  answered("POST", "/v1/rules/import?atomic=false", "rules:\n- {name: worse, on: spam}\n", 400);
}

static void history_diff_and_rollback(void **state) {
  (void)state;
  answered("POST", "/v1/rules", span_rule, 200);
  answered("PUT", "/v1/rules/slow", "{\"name\":\"slow\",\"on\":\"span\",\"if\":\"duration > 2s\"}", 200);
  const json_t *versions = json_object_get(answered("GET", "/v1/rules/slow/history", NULL, 200), "versions");
  assert_int_equal(json_array_size(versions), 2);
  assert_string_equal(text_at(json_array_get(versions, 0), "action"), "update");
  assert_string_equal(text_at(json_object_get(json_array_get(versions, 1), "rule"), "if"), "duration > 1s");
  const json_t *diff = answered("GET", "/v1/rules/slow/diff?from=1&to=2", NULL, 200);
  const json_t *condition = json_object_get(json_object_get(diff, "changes"), "if");
  assert_string_equal(text_at(condition, "from"), "duration > 1s");
  assert_string_equal(text_at(condition, "to"), "duration > 2s");
  assert_non_null(strstr(text_at(diff, "diff"), "\n-    if: 'duration > 1s'\n"));
  diff = answered("GET", "/v1/rules/slow/diff", NULL, 200);
  assert_int_equal(number_at(diff, "from"), 1);
  assert_int_equal(number_at(diff, "to"), 2);
  expect_status("GET", "/v1/rules/slow/diff?from=1&to=9", NULL, false, 404);
  expect_status("GET", "/v1/rules/slow/diff?from=x", NULL, false, 400);
  expect_status("GET", "/v1/rules/nobody/diff", NULL, false, 404);
  expect_status("GET", "/v1/rules/nobody/history", NULL, false, 404);
  const json_t *rule = answered("POST", "/v1/rules/slow/rollback", "{\"version\":1}", 200);
  assert_int_equal(number_at(rule, "version"), 3);
  assert_string_equal(text_at(rule, "if"), "duration > 1s");
  expect_status("POST", "/v1/rules/slow/rollback", "{\"version\":77}", false, 404);
  expect_status("POST", "/v1/rules/slow/rollback", "{}", false, 400);
  expect_status("POST", "/v1/rules/slow/rollback?expected_version=1", "{\"version\":2}", false, 409);
}

static void the_set_goes_back_to_a_generation(void **state) {
  (void)state;
  static char before[1 << 16];
  strcpy(before, ask("GET", "/v1/ruleset", NULL, false)->text);
  answered("POST", "/v1/rules", span_rule, 200);
  answered("DELETE", "/v1/rules/first", NULL, 200);
  const json_t *history = answered("GET", "/v1/ruleset/history", NULL, 200);
  assert_int_equal(number_at(history, "generation"), 3);
  assert_int_equal(json_array_size(json_object_get(history, "generations")), 3);
  const json_t *diff = answered("GET", "/v1/ruleset/diff?from=1&to=3", NULL, 200);
  assert_string_equal(json_string_value(json_array_get(json_object_get(diff, "added"), 0)), "slow");
  assert_string_equal(json_string_value(json_array_get(json_object_get(diff, "removed"), 0)), "first");
  const json_t *result = answered("POST", "/v1/ruleset/rollback", "{\"generation\":1}", 200);
  assert_int_equal(number_at(result, "added"), 1);
  assert_int_equal(number_at(result, "removed"), 1);
  assert_int_equal(number_at(result, "unchanged"), 1);
  const char *line = strstr(before, "    version:"); /* rules that come back have new versions */
  assert_memory_equal(ask("GET", "/v1/ruleset", NULL, false)->text, before, (size_t)(line - before));
  assert_null(strstr(ask("GET", "/v1/ruleset", NULL, false)->text, "slow"));
  expect_status("POST", "/v1/ruleset/rollback", "{\"generation\":99}", false, 404);
  expect_status("GET", "/v1/ruleset/diff?from=99", NULL, false, 404);
}

static void several_by_name_or_tag(void **state) {
  (void)state;
  answered("POST", "/v1/rules", span_rule, 200);
  const json_t *json = answered("POST", "/v1/rules/disable", "{\"tags\":[\"pay\",\"one\"]}", 200);
  assert_int_equal(json_array_size(json_object_get(json, "results")), 2);
  assert_int_equal(number_at(json, "changed"), 2);
  expect_status("POST", "/v1/rules/enable", "{\"names\":[\"slow\",\"nobody\"]}", false, 404);
  assert_true(json_is_false(json_object_get(answered("GET", "/v1/rules/slow", NULL, 200), "enabled")));
  json = answered("POST", "/v1/rules/enable", "{\"names\":[\"slow\",\"first\"]}", 200);
  assert_string_equal(text_at(json_array_get(json_object_get(json, "results"), 0), "status"), "updated");
  json = answered("POST", "/v1/rules/delete", "{\"names\":[\"slow\",\"first\"]}", 200);
  assert_int_equal(number_at(json, "removed"), 2);
  static const char *const malformed[] = {"", "{}", "{\"names\":\"slow\"}", "{\"names\":[1]}", "{\"names\":[]}"};
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
    expect_status("POST", "/v1/rules/enable", malformed[i], false, 400);
}

static void rules_are_applied_by_the_socket(void **state) {
  (void)state;
  const char *body =
      "{\"files\":[{\"name\":\"new.yaml\",\"text\":\"rules:\\n- {name: new, on: span, if: duration > 1s}\\n\"}],\"merge\":true}";
  const json_t *json = answered("POST", "/v1/rules/apply", body, 200);
  assert_int_equal(number_at(json, "generation"), 2);
  assert_int_equal(number_at(json, "added"), 1);
  assert_int_equal(strlen(text_at(json, "sha256")), 64);
  assert_int_equal(strncmp(appliance.changed_who, "uid ", 4), 0);
  const char *bad = "{\"files\":[{\"name\":\"bad.yaml\",\"text\":\"rules: [{name: x}]\"}]}";
  json = answered("POST", "/v1/rules/apply", bad, 400);
  assert_string_equal(text_at(json_array_get(json_object_get(json, "errors"), 0), "file"), "bad.yaml");
  const char *twice = "{\"files\":[{\"name\":\"a\",\"text\":\"rules: [{name: x, on: span, if: 'true'}]\"},"
                      "{\"name\":\"b\",\"text\":\"rules: [{name: x, on: span, if: 'true'}]\"}]}";
  json = answered("POST", "/v1/rules/apply", twice, 400);
  assert_string_equal(text_at(json_array_get(json_object_get(json, "errors"), 0), "file"), "b");
  appliance.record_result = -EIO;
  expect_status("POST", "/v1/rules/apply", "{\"files\":[{\"name\":\"n\",\"text\":\"rules: []\"}]}", false, 503);
  appliance.record_result = 0;
  assert_int_equal(number_at(answered("GET", "/v1/rules", NULL, 200), "total_count"), 3);
  static const char *const malformed[] = {"[]", "{\"files\":{}}", "{\"files\":[{\"name\":1,\"text\":\"\"}]}", "{\"files\":[{}]}",
                                          "{"};
  const unsigned before = appliance.changes;
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
    expect_status("POST", "/v1/rules/apply", malformed[i], false, 400);
  assert_int_equal(appliance.changes, before);
}

static void validation_changes_nothing(void **state) {
  (void)state;
  const char *bad = "{\"files\":[{\"name\":\"x.yaml\",\"text\":\"rules:\\n  - name: a\\n    on: span\\n    if: name =\\n\"}]}";
  const json_t *json = answered("POST", "/v1/rules/validate", bad, 200);
  assert_true(json_is_false(json_object_get(json, "valid")));
  assert_int_equal(number_at(json_array_get(json_object_get(json, "errors"), 0), "line"), 4);
  assert_true(json_is_true(json_object_get(answered("POST", "/v1/rules/validate", span_rule, 200), "valid")));
  json = answered("POST", "/v1/rules/validate", three, 200);
  assert_true(json_is_false(json_object_get(json, "valid")));
  assert_int_equal(strncmp(text_at(json, "error"), "3:", 2), 0);
  expect_status("POST", "/v1/rules/validate", "{\"a\":", false, 400);
  assert_int_equal(appliance.changes, 0);
}

static void the_rules_are_always_released(void **state) {
  (void)state;
  expect_status("GET", "/v1/rules", NULL, false, 200);
  expect_status("GET", "/v1/rules/second", NULL, false, 200);
  expect_status("GET", "/v1/rules/third", NULL, false, 404);
  expect_status("GET", "/v1/rules/third/history", NULL, false, 404);
  expect_status("GET", "/v1/ruleset/diff?from=9", NULL, false, 404);
  assert_true(appliance.reads >= 5);
  assert_int_equal(appliance.reads, appliance.releases);
}

static void health_in_betraces_words(void **state) {
  (void)state;
  const json_t *json = answered("GET", "/v1/health", NULL, 200);
  assert_string_equal(text_at(json, "status"), "HEALTHY");
  assert_true(json_is_object(json_object_get(json, "metadata")));
  appliance.snapshot.ready = false;
  assert_string_equal(text_at(answered("GET", "/v1/ready", NULL, 503), "status"), "UNHEALTHY");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_rule_from_creation_to_deletion, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(what_is_got_can_be_put, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(expressions_as_betrace_writes_them, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(lists_are_filtered_and_paged, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(errors_have_their_place, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(json_is_read_as_json, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(imports_are_whole_or_told_rule_by_rule, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(history_diff_and_rollback, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(the_set_goes_back_to_a_generation, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(several_by_name_or_tag, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(rules_are_applied_by_the_socket, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(validation_changes_nothing, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(the_rules_are_always_released, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(health_in_betraces_words, asking_set_up, asking_tear_down),
  };
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
