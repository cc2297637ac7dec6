/* The engine and decoders of the daemon without the daemon: what goes in is judged or refused, on any number of shards alike, and
 * time is the input's. */
#include "capture_writer.h"
#include "cmocka_test.h"
#include "trial_host.h"
#include <stdlib.h>
#include <string.h>

#define START_NS 1767225600000000000ull
#define SECOND_NS 1000000000ull

static const char rules_text[] = "rules:\n"
                                 "  - {name: slow, on: span, if: 'service = \"checkout\" && duration > 2s'}\n"
                                 "  - {name: unchecked, when: '{name = \"charge\" && span.amount > 100}', always: '{name = "
                                 "\"check\"}'}\n"
                                 "  - {name: forbidden, when: '{name = \"charge\"}', never: '{name = \"leak\"}'}\n"
                                 "  - {name: quiet, mode: shadow, on: span, if: 'name = \"quiet\"'}\n"
                                 "  - {name: order, on: webhook, if: 'name = \"orders\" && body.amount > 10'}\n"
                                 "  - {name: page, on: alert, if: 'label.severity = \"page\"'}\n";

struct seen {
  uint64_t hash, count, last_wall_ns;
  char last_rule[64];
};

/* The same whatever the order. */
static void see(void *context, const struct violation *violation) {
  struct seen *seen = context;
  const struct siphash_key key = {1, 2};
  seen->count++;
  seen->last_wall_ns = violation->wall_ns;
  snprintf(seen->last_rule, sizeof seen->last_rule, "%.*s", (int)violation->rule.length, violation->rule.at);
  seen->hash += siphash(&key, violation->rule.at, violation->rule.length) ^
                siphash(&key, violation->fixed.trace_id, sizeof violation->fixed.trace_id) ^ violation->wall_ns;
}

static struct trial_host *create(uint16_t shards, struct seen *seen) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("rules", rules_text, strlen(rules_text), &errors);
  const struct trial_config config = {
      .shards = shards, .start_wall_ns = START_NS, .traces_max = 4096, .captures_max = 4096, .context = seen, .violation = see};
  *seen = (struct seen){0};
  assert_non_null(set);
  struct trial_host *host = trial_host_create(set, &config, &errors);
  assert_non_null(host);
  rule_set_free(set);
  return host;
}

static enum trial_refusal take(struct trial_host *host, enum trial_format format, const char *bytes,
                               struct trial_answer *answer) {
  struct trial_answer ignored;
  const struct trial_body body = {.format = format, .bytes = bytes, .length = strlen(bytes), .source = "orders"};
  if (!answer) answer = &ignored;
  trial_host_take(host, &body, answer);
  return answer->refusal;
}

static void take_span(struct trial_host *host, unsigned id, const char *service, const char *name, uint64_t duration_ns,
                      long amount) {
  char text[1024];
  make_span(text, sizeof text, id, service, name, trial_host_wall_ns(host), duration_ns, amount);
  assert_int_equal(take(host, TRIAL_OTLP_JSON, text, NULL), TRIAL_TAKEN);
}

static void test_verdicts_come_in_time(void **state) {
  struct seen seen;
  struct trial_host *host = create(1, &seen);
  (void)state;
  take_span(host, 1, "checkout", "GET", 3 * SECOND_NS, 0);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.last_wall_ns, START_NS);
  take_span(host, 2, "shop", "charge", 0, 101);
  trial_host_advance(host, START_NS + 3 * SECOND_NS - TRIAL_STEP_NS);
  assert_int_equal(seen.count, 1);
  trial_host_advance(host, START_NS + 3 * SECOND_NS + TRIAL_STEP_NS);
  assert_int_equal(seen.count, 2);
  assert_string_equal(seen.last_rule, "unchecked");
  assert_true(seen.last_wall_ns >= START_NS + 3 * SECOND_NS && seen.last_wall_ns <= START_NS + 3 * SECOND_NS + TRIAL_STEP_NS);
  /* Time does not go back, and a `never` fires at once. */
  trial_host_advance(host, START_NS);
  assert_int_equal(trial_host_wall_ns(host), START_NS + 3 * SECOND_NS + TRIAL_STEP_NS);
  take_span(host, 3, "shop", "charge", 0, 1);
  assert_int_equal(seen.count, 2);
  char text[1024];
  make_span(text, sizeof text, 3, "shop", "leak", START_NS, 0, 1);
  memcpy(strstr(text, "\"spanId\":\"") + 10, "ffff", 4);
  assert_int_equal(take(host, TRIAL_OTLP_JSON, text, NULL), TRIAL_TAKEN);
  assert_int_equal(seen.count, 3);
  assert_string_equal(seen.last_rule, "forbidden");
  trial_host_free(host);
}

static void test_settle_and_drain(void **state) {
  struct seen seen;
  struct trial_host *host = create(2, &seen);
  (void)state;
  take_span(host, 1, "shop", "charge", 0, 101);
  assert_int_equal(trial_host_traces_live(host), 1);
  trial_host_settle(host);
  assert_int_equal(trial_host_traces_live(host), 0);
  assert_int_equal(seen.count, 1);
  take_span(host, 2, "shop", "charge", 0, 101);
  trial_host_drain(host);
  assert_int_equal(trial_host_traces_live(host), 0);
  assert_int_equal(seen.count, 1);
  assert_true(trial_host_restart(host, START_NS));
  take_span(host, 1, "shop", "charge", 0, 101);
  trial_host_settle(host);
  assert_int_equal(seen.count, 2);
  assert_int_equal(trial_host_counters(host)->bodies, 1);
  trial_host_free(host);
}

static void test_shadow_rules_fire_on_trial(void **state) {
  struct seen seen;
  struct trial_host *host = create(1, &seen);
  (void)state;
  take_span(host, 1, "x", "quiet", 0, 0);
  assert_int_equal(seen.count, 1);
  trial_host_free(host);
}

static void test_what_is_refused_is_counted(void **state) {
  struct seen seen;
  struct trial_answer answer;
  struct trial_host *host = create(1, &seen);
  (void)state;
  assert_int_equal(take(host, TRIAL_OTLP_JSON, "{\"resourceSpans\":7}", &answer), TRIAL_MALFORMED);
  assert_non_null(answer.error);
  assert_int_equal(take(host, TRIAL_OTLP_PROTOBUF, "\x0a\x7f", NULL), TRIAL_MALFORMED);
  assert_int_equal(take(host, TRIAL_ZIPKIN, "[{\"traceId\":\"x\",\"id\":\"1\"},{\"traceId\":\"1\",\"id\":\"1\"}]", &answer),
                   TRIAL_TAKEN);
  assert_int_equal(answer.spans, 1);
  assert_int_equal(answer.spans_rejected, 1);
  assert_int_equal(take(host, TRIAL_JAEGER, "nothing of Jaeger's", NULL), TRIAL_MALFORMED);
  assert_int_equal(take(host, TRIAL_WEBHOOK, "{\"amount\":", NULL), TRIAL_NOT_JSON);
  assert_int_equal(take(host, TRIAL_ALERTMANAGER, "{}", NULL), TRIAL_SCHEMA);
  assert_int_equal(take(host, TRIAL_ANY_WEBHOOK, "{\"amount\":11}", &answer), TRIAL_TAKEN);
  assert_int_equal(answer.alerts, 0);
  assert_int_equal(seen.count, 1);
  static const char alert[] =
      "{\"version\":\"4\",\"receiver\":\"r\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\",\"labels\":{"
      "\"alertname\":\"A\",\"severity\":\"page\"},\"annotations\":{},\"startsAt\":"
      "\"2026-01-01T00:00:00Z\"}]}";
  assert_int_equal(take(host, TRIAL_ANY_WEBHOOK, alert, &answer), TRIAL_TAKEN);
  assert_int_equal(answer.alerts, 1);
  assert_string_equal(seen.last_rule, "page");
  const struct trial_counters *counters = trial_host_counters(host);
  uint64_t taken = 0, rejected = 0;
  for (unsigned i = 0; i < TRIAL_REFUSALS; i++) taken += counters->taken[i];
  for (unsigned i = 0; i < SPAN_REJECTS; i++) rejected += counters->spans_rejected[i];
  assert_int_equal(counters->bodies, taken);
  assert_int_equal(counters->spans_decoded, counters->spans_judged + rejected + counters->spans_refused);
  assert_int_equal(counters->webhooks_judged, 2);
  assert_int_equal(counters->alerts_judged, 1);
  trial_host_free(host);
}

static void test_body_too_large(void **state) {
  struct seen seen;
  struct trial_answer answer;
  struct trial_host *host = create(1, &seen);
  (void)state;
  const struct trial_body body = {.format = TRIAL_OTLP_JSON, .bytes = "", .length = (size_t)TRIAL_BODY_BYTES_MAX + 1};
  trial_host_take(host, &body, &answer);
  assert_int_equal(answer.refusal, TRIAL_TOO_LARGE);
  assert_non_null(answer.error);
  trial_host_free(host);
}

static void test_when_a_body_was_sent(void **state) {
  struct seen seen;
  struct trial_host *host = create(1, &seen);
  char text[1024];
  (void)state;
  make_span(text, sizeof text, 1, "checkout", "x", START_NS, 5 * SECOND_NS, 0);
  const struct trial_body span = {.format = TRIAL_OTLP_JSON, .bytes = text, .length = strlen(text)};
  const struct trial_body none = {.format = TRIAL_OTLP_JSON, .bytes = "{", .length = 1};
  assert_int_equal(trial_host_latest_end_ns(host, &span), START_NS + 5 * SECOND_NS);
  assert_int_equal(trial_host_latest_end_ns(host, &none), 0);
  assert_int_equal(seen.count, 0);
  assert_int_equal(trial_host_counters(host)->bodies, 0);
  trial_host_free(host);
}

static uint64_t next_random(uint64_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 7;
  *random ^= *random << 17;
  return *random;
}

static void play_random(struct trial_host *host, uint64_t random) {
  static const char *const names[] = {"charge", "check", "leak", "GET", "quiet"};
  for (unsigned i = 0; i < 3000; i++) {
    const uint64_t number = next_random(&random);
    take_span(host, 1 + (unsigned)(number % 400), number & 1024 ? "checkout" : "shop", names[(number >> 16) % 5],
              (number >> 24) % 5 * SECOND_NS, (long)((number >> 32) % 200));
    if ((number >> 40) % 16 == 0) trial_host_advance(host, trial_host_wall_ns(host) + (number >> 48) % 2000 * 1000000);
  }
  trial_host_settle(host);
}

static void test_any_number_of_shards_is_alike(void **state) {
  struct seen one, many;
  (void)state;
  for (uint64_t seed = 1; seed <= 3; seed++) {
    struct trial_host *host = create(1, &one);
    play_random(host, seed * 88172645463325252ull);
    trial_host_free(host);
    assert_true(one.count > 100);
    for (uint16_t shards = 2; shards <= 5; shards++) {
      host = create(shards, &many);
      play_random(host, seed * 88172645463325252ull);
      assert_int_equal(many.count, one.count);
      assert_int_equal(many.hash, one.hash);
      uint64_t sent = 0, applied = 0;
      for (uint16_t i = 0; i < shards; i++) sent += trial_host_engine_counters(host, i)->digests_sent;
      for (uint16_t i = 0; i < shards; i++) applied += trial_host_engine_counters(host, i)->digests_applied;
      assert_int_equal(sent, 3000);
      assert_int_equal(applied, 3000);
      trial_host_free(host);
    }
  }
}

static void test_violations_as_json(void **state) {
  (void)state;
  const struct violation violation = {.wall_ns = START_NS, .fixed = {.count = 1}, .rule = {"r", 1}, .message = {"m", 1}};
  json_t *json = trial_violation_json(&violation);
  assert_string_equal(json_string_value(json_object_get(json, "rule")), "r");
  assert_null(json_object_get(json, "lsn"));
  assert_null(json_object_get(json, "id"));
  json_decref(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_verdicts_come_in_time),
      cmocka_unit_test(test_settle_and_drain),
      cmocka_unit_test(test_shadow_rules_fire_on_trial),
      cmocka_unit_test(test_what_is_refused_is_counted),
      cmocka_unit_test(test_body_too_large),
      cmocka_unit_test(test_when_a_body_was_sent),
      cmocka_unit_test(test_any_number_of_shards_is_alike),
      cmocka_unit_test(test_violations_as_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
