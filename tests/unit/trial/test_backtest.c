/* Two rule sets side by side on the same recording: what both raise, what only one does, and that nothing is lost between. */
#include "capture_writer.h"
#include "cmocka_test.h"
#include "trial_backtest.h"
#include "trial_pairs_internal.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START_NS 1767225600000000000ull
#define SECOND_NS 1000000000ull

static struct rule_set *parse(const char *text) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("rules", text, strlen(text), &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  return set;
}

static long long number(json_t *json, const char *group, const char *key) {
  return (long long)json_integer_value(json_object_get(json_object_get(json, group), key));
}

static json_t *run(const struct rule_set *rules, const struct rule_set *against, const char *path, size_t limit,
                   uint16_t shards) {
  struct rule_errors errors = {0};
  const struct trial_backtest backtest = {
      .rules = rules, .against = against, .recording = path, .shards = shards, .limit = limit};
  json_t *result = trial_backtest_run(&backtest, &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  assert_non_null(result);
  return result;
}

static const char current_text[] =
    "rules:\n"
    "  - {name: slow, on: span, if: 'duration > 2s'}\n"
    "  - {name: unchecked, when: '{name = \"charge\" && span.amount > 100}', always: '{name = \"check\"}'}\n"
    "  - {name: order, on: webhook, if: 'body.amount > 10'}\n"
    "  - {name: gone, on: span, if: 'name = \"gone\"'}\n";
static const char new_text[] =
    "rules:\n"
    "  - {name: slow, on: span, if: 'duration > 3s'}\n"
    "  - {name: unchecked, when: '{name = \"charge\" && span.amount > 100}', always: '{name = \"check\"}'}\n"
    "  - {name: order, on: webhook, if: 'body.amount > 5'}\n"
    "  - {name: fresh, on: span, if: 'name = \"fresh\"'}\n";

static void test_a_capture_with_two_rule_sets(void **state) {
  struct capture_writer writer;
  char body[1024], post[2048];
  (void)state;
  capture_writer_open(&writer, START_NS);
  struct written_flow flow = {.client_port = 1, .server_port = 4318, .sequence = 1};
  write_open(&writer, &flow);
  for (unsigned i = 1; i <= 10; i++) { /* i * 500 ms: 6 above 2 s, 4 above 3 s */
    static const char *const names[] = {"charge", "gone", "fresh"};
    uint32_t length = make_span(body, sizeof body, i, "shop", names[i % 3], START_NS, i * 500 * (SECOND_NS / 1000), 150);
    length = make_post(post, sizeof post, "/v1/traces", "application/json", "", body, length);
    write_bytes(&writer, &flow, post, length, 200);
  }
  struct written_flow hooks = {.client_port = 2, .server_port = 8080, .sequence = 1};
  write_open(&writer, &hooks);
  for (int i = 1; i <= 4; i++) { /* 4, 8, 12, 16: two above 10, three above 5 */
    const int length = snprintf(body, sizeof body, "{\"amount\":%d}", 4 * i);
    const uint32_t post_length = make_post(post, sizeof post, "/webhook/orders", "application/json", "", body, (uint32_t)length);
    write_bytes(&writer, &hooks, post, post_length, 200);
  }
  capture_writer_close(&writer);
  struct rule_set *rules = parse(new_text), *against = parse(current_text);
  for (uint16_t shards = 1; shards <= 3; shards++) {
    json_t *result = run(rules, against, writer.path, 1000, shards), *rule;
    size_t index;
    /* slow 4 + unchecked 3 (ids 3, 6, 9) + order 2; fresh 3 (2, 5, 8) + order 1; slow 2 + gone 4 (1, 4, 7, 10) */
    assert_int_equal(number(result, "totals", "both"), 9);
    assert_int_equal(number(result, "totals", "only_new"), 4);
    assert_int_equal(number(result, "totals", "only_current"), 6);
    assert_int_equal(json_array_size(json_object_get(result, "rules")), 5);
    long long both = 0;
    json_array_foreach(json_object_get(result, "rules"), index, rule) both += json_integer_value(json_object_get(rule, "both"));
    assert_int_equal(both, 9);
    assert_int_equal(number(result, "input", "spans_judged"), 10);
    assert_int_equal(number(result, "input", "webhooks_judged"), 4);
    assert_int_equal(number(result, "input", "frames_read"), writer.frames);
    assert_int_equal(json_array_size(json_object_get(json_object_get(result, "violations"), "only_current")), 6);
    json_decref(result);
  }
  json_t *alone = run(rules, NULL, writer.path, 2, 1);
  assert_int_equal(number(alone, "totals", "only_new"), 13);
  assert_int_equal(json_array_size(json_object_get(json_object_get(alone, "violations"), "only_new")), 2);
  json_decref(alone);
  rule_set_free(rules);
  rule_set_free(against);
  capture_writer_remove(&writer);
}

static struct violation violation_of(const char *rule, enum rule_on on, uint64_t id, uint64_t wall_ns) {
  struct violation violation = {
      .wall_ns = wall_ns, .rule = {rule, (uint32_t)strlen(rule)}, .fixed = {.source = (uint8_t)on, .count = 1}};
  violation.fixed.has_trace = on == RULE_ON_SPAN || on == RULE_ON_TRACE;
  memcpy(violation.fixed.trace_id, &id, sizeof id);
  return violation;
}

static void expect_totals(struct trial_pairs *pairs, long long both, long long only_new, long long only_current) {
  json_t *result = trial_pairs_finish(pairs, false);
  assert_int_equal(number(result, "totals", "both"), both);
  assert_int_equal(number(result, "totals", "only_new"), only_new);
  assert_int_equal(number(result, "totals", "only_current"), only_current);
  json_decref(result);
  trial_pairs_free(pairs);
}

static void test_pairs(void **state) {
  (void)state;
  struct trial_pairs *pairs = trial_pairs_create(10);
  struct violation a = violation_of("a", RULE_ON_TRACE, 1, 1), later = violation_of("a", RULE_ON_TRACE, 1, 99);
  struct violation b = violation_of("b", RULE_ON_TRACE, 1, 1), span = violation_of("a", RULE_ON_SPAN, 1, 1);
  struct violation other_span = span;
  other_span.fixed.span_ids[0][0] = 7;
  trial_pairs_add(pairs, SIDE_NEW, &a);
  trial_pairs_add(pairs, SIDE_CURRENT, &b);          /* another rule */
  trial_pairs_add(pairs, SIDE_CURRENT, &later);      /* the trace counts, not the time */
  trial_pairs_add(pairs, SIDE_NEW, &span);           /* another source */
  trial_pairs_add(pairs, SIDE_CURRENT, &other_span); /* another span of the trace */
  expect_totals(pairs, 1, 1, 2);
  pairs = trial_pairs_create(10);
  struct violation hook = violation_of("w", RULE_ON_WEBHOOK, 1, 5), same = violation_of("w", RULE_ON_WEBHOOK, 2, 5);
  struct violation not_same = violation_of("w", RULE_ON_WEBHOOK, 1, 6);
  for (int i = 0; i < 3; i++) trial_pairs_add(pairs, SIDE_NEW, &hook);
  trial_pairs_add(pairs, SIDE_CURRENT, &same); /* one by one */
  trial_pairs_add(pairs, SIDE_CURRENT, &not_same);
  expect_totals(pairs, 1, 2, 1);
}

/* However many wait, memory is bounded and each is counted once. */
static void test_pairs_beyond_the_bound(void **state) {
  (void)state;
  struct trial_pairs *pairs = trial_pairs_create(5);
  const uint64_t many = 2 * PAIRS_WAITING_MAX;
  for (uint64_t i = 0; i < many; i++) {
    const struct violation violation = violation_of("a", RULE_ON_TRACE, i + 1, 1);
    trial_pairs_add(pairs, SIDE_NEW, &violation);
  }
  for (uint64_t i = 0; i < many; i++) {
    const struct violation violation = violation_of("a", RULE_ON_TRACE, i + 1, 1);
    trial_pairs_add(pairs, SIDE_CURRENT, &violation);
  }
  json_t *result = trial_pairs_finish(pairs, false);
  assert_int_equal(2 * number(result, "totals", "both") + number(result, "totals", "only_new") +
                       number(result, "totals", "only_current"),
                   2 * many);
  assert_true(number(result, "totals", "only_new") >= PAIRS_WAITING_MAX);
  assert_int_equal(json_array_size(json_object_get(json_object_get(result, "violations"), "only_new")), 5);
  json_decref(result);
  trial_pairs_free(pairs);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_capture_with_two_rule_sets),
      cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_pairs_beyond_the_bound),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
