/* What a shard's flight recorder holds after what happened to the shard, as it is printed; and the texts themselves. */
#include "cmocka_test.h"
#include "flight_text.h"
#include "shard_rig.h"
#include <stdlib.h>
#include <string.h>

static struct shard_rig rig;

static int tear_down(void **state) {
  (void)state;
  rig_stop(&rig);
  return 0;
}

static const struct flight_counters *flight(void) { return &rig.appliance.snapshots[0].flight; }

/* How many events there are whose line has all of these words; the last such line is kept. */
static char found[FLIGHT_TEXT_BYTES_MAX];
static unsigned count(const char *kind, const char *word, const char *other) {
  const struct flight_recorder *recorder = shard_flight_recorder(rig.appliance.shards[0]);
  const struct flight_range range = flight_range(recorder);
  char text[FLIGHT_TEXT_BYTES_MAX], wanted[64];
  unsigned lines = 0;
  snprintf(wanted, sizeof wanted, "\"kind\":\"%s\"", kind);
  for (uint64_t sequence = range.first; sequence < range.end; sequence++) {
    struct flight_event event;
    assert_true(flight_read(recorder, sequence, &event));
    const size_t length = flight_text(&event, text);
    assert_int_equal(length, strlen(text));
    if (!strstr(text, wanted) || !strstr(text, word) || !strstr(text, other)) continue;
    memcpy(found, text, sizeof found);
    lines++;
  }
  return lines;
}

static void post_spans(uint32_t client, const char *body) {
  rig_post(&rig, client, APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:", body,
           strlen(body));
}

static void requests_are_there_with_their_answers(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig_start(&rig);
  post_spans(0, "{}");
  assert_int_equal(rig_wait(&rig, 0).status, 200);
  rig_post_order(&rig, 1, "plain", "e1", 500);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(count("connection_accepted", "\"protocol\":\"otlp_http\"", "\"peer\":\"10.86.0.100\""), 1);
  assert_int_equal(count("request_received", "\"protocol\":\"otlp_http\"", "\"body_bytes\":2,"), 1);
  assert_int_equal(count("request_answered", "\"protocol\":\"otlp_http\"", "\"status\":200,"), 1);
  assert_non_null(strstr(found, "\"ns\":0,\"parked\":false"));
  assert_int_equal(count("request_answered", "\"protocol\":\"webhooks\"", "\"parked\":true"), 1);
  assert_null(strstr(found, "\"ns\":0,"));
  assert_int_equal(count("violations_raised", "\"violations\":1,", "\"total\":1,"), 1);
  assert_int_equal(count("rules_adopted", "\"generation\":1", ""), 1);
  assert_int_equal(flight()->sampled_out, 0);
}

static void what_is_refused_is_there_by_reason(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.recorder_sample_every = UINT32_MAX;
  rig_start(&rig);
  post_spans(0, "{\"resourceSpans\":7}");
  assert_int_equal(rig_wait(&rig, 0).status, 400);
  assert_int_equal(count("malformed", "\"reason\":\"malformed\"", "\"status\":400"), 1);
  rig_post(&rig, 1, APPLIANCE_WEBHOOK_PORT, "POST /webhook/nobody HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:", "{}",
           2);
  assert_int_equal(rig_wait(&rig, 1).status, 404);
  assert_int_equal(count("request_refused", "\"reason\":\"unknown_source\"", "\"status\":404"), 1);
  rig_post_signed(&rig, 2, "id-1", "e1", 500, false);
  assert_int_equal(rig_wait(&rig, 2).status, 401);
  assert_int_equal(count("request_refused", "\"reason\":\"bad_signature\"", "\"status\":401"), 1);
  rig_post(&rig, 3, APPLIANCE_WEBHOOK_PORT, "no request at all\r\nX-Filler:", "", 0);
  assert_int_equal(rig_wait(&rig, 3).status, 400);
  assert_int_equal(count("malformed", "\"reason\":\"http\"", "\"protocol\":\"webhooks\""), 1);
  /* Ordinary events were not sampled. */
  assert_int_equal(count("request_answered", "", ""), 0);
  assert_int_equal(count("connection_accepted", "", ""), 0);
  assert_true(flight()->sampled_out > 0);
}

/* Every reason that the shard gives has a name of its own, so that none is recorded as another. */
static void every_refusal_of_a_webhook_has_its_reason(void **state) {
  (void)state;
  for (unsigned refusal = 0; refusal < REFUSALS; refusal++) {
    const char *name = webhook_refusal_name(refusal);
    assert_string_equal(flight_reason_name(flight_reason_of_name(name)), name);
    assert_int_not_equal(flight_reason_of_name(name), 0);
  }
  for (unsigned outcome = 0; outcome < DATAGRAM_OUTCOMES; outcome++)
    assert_string_equal(flight_reason_name(flight_reason_of_datagram(outcome)),
                        datagram_outcome_name((enum datagram_outcome)outcome));
  assert_string_equal(flight_reason_name(flight_reason_of_name("no such reason")), "other");
}

static void a_request_that_asks_for_it_is_recorded(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.recorder_sample_every = UINT32_MAX;
  rig_start(&rig);
  post_spans(0, "{}");
  assert_int_equal(rig_wait(&rig, 0).status, 200);
  assert_int_equal(count("request_received", "", ""), 0);
  for (unsigned i = 0; i < 2 * FLIGHT_KIND_A_TICK; i++) {
    rig_post(&rig, 1, APPLIANCE_OTLP_PORT,
             "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nX-Force-Trace: 1\r\nX-Filler:", "{}", 2);
    assert_int_equal(rig_wait(&rig, 1).status, 200);
  }
  assert_int_equal(count("request_received", "\"forced\":true", ""), FLIGHT_KIND_A_TICK);
  assert_int_equal(count("request_answered", "\"status\":200", ""), FLIGHT_KIND_A_TICK);
  assert_int_equal(flight()->skipped[FLIGHT_REQUEST_RECEIVED], FLIGHT_KIND_A_TICK);
}

/* The ring to the journal fills: pressure, closed windows, refusals and what found no room are there. */
static void a_journal_that_stands_still_is_there(void **state) {
  (void)state;
  uint32_t refused = 0;
  rig_init(&rig, 1);
  rig.options.recorder_sample_every = UINT32_MAX;
  rig.options.connections_max = 512;
  rig_start(&rig);
  rig.journal_held_up = true;
  for (uint32_t i = 0; i < 4000 && !refused; i++) {
    rig_post_order(&rig, 0, "quick", "e1", 500);
    rig_pass(&rig, RIG_MS);
    for (struct rig_answer answer; (answer = rig_answer(&rig, 0)).status;) refused += answer.status == 503;
  }
  assert_true(refused > 0);
  assert_int_equal(count("pressure", "\"resource\":\"records\"", "\"before\":\"normal\",\"state\":\"soft\""), 1);
  assert_int_equal(count("receiving", "\"state\":\"paused\"", "\"before\":\"open\""), 1);
  assert_int_equal(count("receiving", "\"state\":\"refusing\"", "\"before\":\"paused\""), 1);
  assert_true(count("request_refused", "\"reason\":\"overloaded\"", "\"status\":503") > 0);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  rig_pass(&rig, RIG_MS);
  assert_int_equal(count("journal_failed", "\"ring_durable\":", ""), 1);
}

/* A flood of refusals: no more than a tick's share of them, and what was before it is still there. */
static void a_flood_does_not_wash_the_rest_away(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig_start(&rig);
  for (unsigned i = 0; i < 400; i++) {
    post_spans(0, "[");
    assert_int_equal(rig_wait(&rig, 0).status, 400);
  }
  const uint64_t recorded = flight()->recorded[FLIGHT_MALFORMED], skipped = flight()->skipped[FLIGHT_MALFORMED];
  assert_int_equal(recorded + skipped, 400);
  assert_true(skipped > 0);
  assert_int_equal(count("malformed", "", ""), recorded);
  assert_int_equal(count("rules_adopted", "", ""), 1);
}

static void nothing_is_recorded_when_it_is_off(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.recorder_off = true;
  rig_start(&rig);
  post_spans(0, "[");
  assert_int_equal(rig_wait(&rig, 0).status, 400);
  rig_post_order(&rig, 1, "plain", "e1", 500);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_null(shard_flight_recorder(rig.appliance.shards[0]));
  assert_int_equal(flight()->capacity, 0);
}

static void times_are_those_of_the_calendar(void **state) {
  (void)state;
  static const struct {
    uint64_t seconds;
    const char *text;
  } times[] = {{0, "1970-01-01T00:00:00"},          {951782399, "2000-02-28T23:59:59"},  {951782400, "2000-02-29T00:00:00"},
               {951868800, "2000-03-01T00:00:00"},  {1709164800, "2024-02-29T00:00:00"}, {1735689599, "2024-12-31T23:59:59"},
               {4107542400, "2100-03-01T00:00:00"}, {4107456000, "2100-02-28T00:00:00"}};
  for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
    char text[31], wanted[31];
    flight_time_text(times[i].seconds * 1000000000 + 7, text);
    snprintf(wanted, sizeof wanted, "%s.000000007Z", times[i].text);
    assert_string_equal(text, wanted);
  }
}

/* The longest that any event can be fits, and an event that is damaged is printed all the same. */
static void any_event_can_be_printed(void **state) {
  (void)state;
  char text[FLIGHT_TEXT_BYTES_MAX];
  struct flight_event event = {.sequence = UINT64_MAX, .wall_ns = UINT64_MAX, .shard = UINT16_MAX, .code = UINT32_MAX};
  memset(event.values, 0xff, sizeof event.values);
  for (unsigned kind = 0; kind <= FLIGHT_KINDS; kind++) {
    event.kind = (uint16_t)kind;
    assert_true(flight_text(&event, text) < FLIGHT_TEXT_BYTES_MAX);
    if (kind < FLIGHT_KINDS) assert_int_equal(flight_kind_of_name(flight_kind_name(kind)), kind);
  }
  assert_non_null(strstr(text, "\"kind\":\"unknown\"}"));
  assert_int_equal(flight_kind_of_name("unknown"), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(requests_are_there_with_their_answers, tear_down),
      cmocka_unit_test_teardown(what_is_refused_is_there_by_reason, tear_down),
      cmocka_unit_test(every_refusal_of_a_webhook_has_its_reason),
      cmocka_unit_test_teardown(a_request_that_asks_for_it_is_recorded, tear_down),
      cmocka_unit_test_teardown(a_journal_that_stands_still_is_there, tear_down),
      cmocka_unit_test_teardown(a_flood_does_not_wash_the_rest_away, tear_down),
      cmocka_unit_test_teardown(nothing_is_recorded_when_it_is_off, tear_down),
      cmocka_unit_test(times_are_those_of_the_calendar),
      cmocka_unit_test(any_event_can_be_printed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
