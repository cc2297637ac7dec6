/* A journal judged again: which of its webhooks can be, which cannot and why, and what is said of what each had raised. */
#include "cmocka_test.h"
#include "journal_rig.h"
#include "trial_backtest.h"
#include "violation.h"
#include "webhook_fixture.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_NS 1700000000000000000ull

static char directory[] = "/tmp/recorded-webhooks-XXXXXX";
static struct journal_io *io;
static struct journal_rig rig;

static int set_up(void **state) {
  const char *why = "";
  int error = 0;
  (void)state;
  strcpy(directory + sizeof directory - 7, "XXXXXX");
  if (!mkdtemp(directory) || !(io = journal_io_uring_create(directory, &error, &why))) return -1;
  rig_init(&rig, io, 1);
  return rig_open(&rig);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)status, (void)kind, (void)where;
  return remove(path);
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void publish_violation(const char *rule, const struct webhook_fixture *webhook) {
  struct violation violation = {.wall_ns = webhook->wall_ns,
                                .shard = webhook->shard,
                                .rule = {rule, (uint32_t)strlen(rule)},
                                .message = {"x", 1},
                                .fixed = {.rule_version = 1, .source = RULE_ON_WEBHOOK, .count = 1}};
  webhook_fixture_correlation_id(webhook, violation.fixed.trace_id);
  const uint32_t bytes = violation_encoded_bytes(&violation);
  void *record = record_ring_reserve(rig.config.rings[0], bytes);
  assert_non_null(record);
  violation_encode(&violation, record);
  record_ring_publish(rig.config.rings[0]);
}

/* With what the rule `large` (above 10) raised. */
static void publish(struct webhook_fixture webhook, bool raised) {
  webhook.source = "orders";
  webhook.status = 200;
  webhook.wall_ns = BASE_NS + webhook.number * 1000000;
  if (raised) publish_violation("large", &webhook);
  assert_true(webhook_fixture_publish(rig.config.rings[0], &webhook));
}

static json_t *backtest(const char *text) {
  struct rule_errors errors = {0};
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  struct rule_set *rules = rule_set_parse("rules", text, strlen(text), &errors);
  assert_non_null(rules);
  json_t *result =
      trial_backtest_run(&(struct trial_backtest){.rules = rules, .recording = directory, .shards = 1, .limit = 100}, &errors);
  assert_non_null(result);
  assert_int_equal(errors.count, 0);
  rule_set_free(rules);
  return result;
}

static void expect(json_t *result, const char *group, const char *key, int64_t wanted) {
  const json_t *found = json_object_get(json_object_get(result, group), key);
  if (json_integer_value(found) != wanted)
    fail_msg("%s.%s is %lld, expected %lld", group, key, (long long)json_integer_value(found), (long long)wanted);
}

static int64_t not_judged(json_t *result, const char *why) {
  return json_integer_value(json_object_get(json_object_get(json_object_get(result, "input"), "webhooks_not_judged"), why));
}

#define LARGE(limit) "rules:\n  - {name: large, on: webhook, if: 'body.amount > " #limit "', message: x}\n"

static void each_is_judged_or_said_not_to_be(void **state) {
  (void)state;
  publish((struct webhook_fixture){.number = 1, .body = "{\"amount\":50}", .violations = 1}, true);
  publish((struct webhook_fixture){.number = 2, .body = "{\"amount\":15}", .violations = 1}, true);
  publish((struct webhook_fixture){.number = 3, .body = "{\"amount\":8}"}, false);
  publish((struct webhook_fixture){.number = 4, .body = "{\"amount\":60}", .too_large = true, .violations = 1}, true);
  publish((struct webhook_fixture){.number = 5, .body = "{\"amount\":60}", .short_form = true}, true);
  publish((struct webhook_fixture){.number = 6, .body = "{\"amount\":60}", .violations = 1}, false); /* what it raised is gone */
  publish((struct webhook_fixture){.number = 7, .body = "{\"amount\":60}", .violations = 1}, true);
  assert_true(rig_publish(&rig, 0, 100)); /* too short for either form */
  json_t *result = backtest(LARGE(10));
  expect(result, "input", "recorded_webhooks", 8);
  expect(result, "input", "webhooks_judged", 4);
  assert_int_equal(not_judged(result, "body_too_large"), 1);
  assert_int_equal(not_judged(result, "earlier_release"), 1);
  assert_int_equal(not_judged(result, "verdict_missing"), 1);
  assert_int_equal(not_judged(result, "malformed"), 1);
  expect(result, "totals", "both", 3);
  expect(result, "totals", "only_new", 0);
  expect(result, "totals", "only_current", 0);
  expect(result, "totals", "not_judged", 2);
  json_decref(result);
  result = backtest(LARGE(20));
  expect(result, "totals", "both", 2);
  expect(result, "totals", "only_current", 1);
  json_decref(result);
  result = backtest(LARGE(5));
  expect(result, "totals", "both", 3);
  expect(result, "totals", "only_new", 1);
  json_decref(result);
  /* The rule is gone: whatever was judged. */
  result = backtest("rules:\n  - {name: other, on: webhook, if: 'body.amount > 1000000'}\n");
  expect(result, "totals", "only_current", 5);
  expect(result, "totals", "not_judged", 0);
  json_decref(result);
}

/* The same millisecond and service: only the webhook tells them apart. */
static void what_one_raised_is_not_taken_for_anothers(void **state) {
  (void)state;
  struct webhook_fixture webhook = {.source = "orders", .status = 200, .wall_ns = BASE_NS};
  for (uint32_t i = 0; i < 50; i++) {
    webhook.number = i + 1;
    webhook.body = i % 2 ? "{\"amount\":11}" : "{\"amount\":9}";
    webhook.violations = i % 2;
    if (i % 2) publish_violation("large", &webhook);
    assert_true(webhook_fixture_publish(rig.config.rings[0], &webhook));
  }
  /* A rule that says the opposite, under the same name. */
  json_t *result = backtest("rules:\n  - {name: large, on: webhook, if: 'body.amount <= 10', message: x}\n");
  expect(result, "totals", "both", 0);
  expect(result, "totals", "only_new", 25);
  expect(result, "totals", "only_current", 25);
  json_decref(result);
}

static void rules_with_windows_are_not_compared(void **state) {
  (void)state;
  for (uint32_t i = 1; i <= 20; i++)
    publish((struct webhook_fixture){.number = i, .body = "{\"amount\":50}", .violations = 1}, true);
  json_t *result = backtest("rules:\n  - {name: large, on: webhook, if: 'body.amount > 10', suppress: {by: [name], for: 1h}}\n");
  expect(result, "input", "webhooks_judged", 20);
  expect(result, "input", "window_verdicts_not_compared", 1);
  expect(result, "totals", "not_judged", 20);
  expect(result, "totals", "only_new", 0);
  json_decref(result);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_is_judged_or_said_not_to_be, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_one_raised_is_not_taken_for_anothers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(rules_with_windows_are_not_compared, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
