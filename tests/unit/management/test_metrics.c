/* The text that Prometheus scrapes: each family described once, before its samples; no series twice; the values those of the
 * snapshot. promtool's own check runs on the real daemon in the interop suite. */
#include "appliance_double.h"
#include "cmocka_test.h"
#include "metrics.h"
#include <stdlib.h>
#include <string.h>

static struct appliance_double appliance;

static int set_up(void **state) {
  (void)state;
  appliance_double_open(&appliance);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  appliance_double_close(&appliance);
  return 0;
}

static char *render(void) {
  size_t length = 0;
  char *text = metrics_render(&appliance.face, &appliance.snapshot, &length);
  assert_non_null(text);
  assert_int_equal(strlen(text), length);
  return text;
}

/* A histogram's samples carry suffixes. */
static bool belongs(const char *series, const char *family) {
  const size_t length = strlen(family);
  if (strncmp(series, family, length) != 0) return false;
  static const char *const ends[] = {" ", "{", "_bucket{", "_sum{", "_count{"};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    if (strncmp(series + length, ends[i], strlen(ends[i])) == 0) return true;
  return false;
}

static void every_family_is_described_once_before_its_samples(void **state) {
  (void)state;
  char *text = render(), *saved = NULL, family[128] = "";
  size_t families = 0, samples = 0;
  char seen[400][128];
  for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
    if (strncmp(line, "# HELP ", 7) == 0) {
      assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
      for (size_t i = 0; i < families; i++) assert_string_not_equal(seen[i], family);
      assert_true(families < 400);
      strcpy(seen[families++], family);
    } else if (strncmp(line, "# TYPE ", 7) == 0) {
      char name[128], type[32];
      assert_int_equal(sscanf(line, "# TYPE %127s %31s", name, type), 2);
      assert_string_equal(name, family);
      assert_true(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0);
      const size_t length = strlen(name);
      if (strcmp(type, "counter") == 0) assert_true(length > 6 && strcmp(name + length - 6, "_total") == 0);
    } else {
      if (!belongs(line, family)) fail_msg("%s under %s", line, family);
      samples++;
    }
  }
  assert_true(families > 60 && samples > families);
  free(text);
}

static int compare(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void no_series_comes_twice(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 3);
  char *text = render(), *saved = NULL;
  char *series[4000];
  size_t count = 0;
  for (char *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
    if (*line == '#') continue;
    assert_true(count < 4000);
    *strrchr(line, ' ') = '\0';
    series[count++] = line;
  }
  qsort(series, count, sizeof *series, compare);
  for (size_t i = 1; i < count; i++)
    if (strcmp(series[i - 1], series[i]) == 0) fail_msg("%s comes twice", series[i]);
  free(text);
}

static void expect_line(const char *text, const char *line) {
  const char *found = strstr(text, line);
  if (!found || found[strlen(line)] != '\n' || found[-1] != '\n') fail_msg("no line: %s", line);
}

static void values_are_those_of_the_snapshot(void **state) {
  (void)state;
  appliance.snapshot.rules = (struct appliance_rules){
      .generation = 12, .sha256 = "ab34", .failed = 3, .in_state = {[RULE_PERSISTED] = 41, [RULE_UPDATING] = 1}};
  appliance.snapshot.shards[1].generation = 11;
  struct shard_snapshot *shard = &appliance.snapshot.shards[1];
  shard->queue.received = 18446744073709551615ull;
  shard->network.tcp_connections = 4294967295u;
  shard->network.drops[DROP_IPV4_CHECKSUM] = 5;
  shard->http.answered[503] = 6;
  shard->shard.spans_rejected_overload = 7;
  shard->shard.webhooks_refused[REFUSAL_CONFLICT] = 8;
  shard->engine.violations_emitted = 10;
  shard->tls.handshakes_done = 12;
  shard->tls.handshakes_failed[TLS_FAILURE_NOT_TLS] = 13;
  shard->tls.ended[TLS_END_TRUNCATED] = 14;
  shard->tls.waiting = 15;
  appliance.snapshot.certificate_count = 1;
  appliance.snapshot.certificates[0] = (struct appliance_certificate){.listener = "webhooks", .not_after_s = 1700000000};
  appliance.snapshot.violations_durable = 9;
  appliance.snapshot.shard_answered[1] = true;
  appliance.snapshot.ports[0].counters.missed = 11;
  shard->pressure[RESOURCE_PARKED] = (struct watermark){.used = 15, .capacity = 16, .entered = {1, 2, 3}, .state = PRESSURE_HARD};
  shard->shedding = 1u << SHED_SPANS;
  shard->shard.shed[SHED_SPANS] = 12;
  shard->http.shed[HTTP_SHED_HEADERS] = 13;
  shard->network.tcp_refused_address = 14;
  shard->addresses.refused[ADDRESS_BODY_BYTES] = 15;
  histogram_record(&shard->shard.park_ns[DURABILITY_STRICT], 150000);
  histogram_record(&shard->shard.park_ns[DURABILITY_STRICT], 3000000000);
  appliance_double_add(&appliance, "first", 3);
  char *text = render();
  expect_line(text, "tripline_wire_received_frames_total{shard=\"1\"} 18446744073709551615");
  expect_line(text, "tripline_shard_rules_generation{shard=\"1\"} 11");
  expect_line(text, "tripline_rules_generation 12");
  expect_line(text, "tripline_rules_info{sha256=\"ab34\"} 1");
  expect_line(text, "tripline_rules{state=\"persisted\"} 41");
  expect_line(text, "tripline_rules{state=\"updating\"} 1");
  expect_line(text, "tripline_rules_failed 3");
  expect_line(text, "tripline_tcp_connections{shard=\"1\"} 4294967295");
  expect_line(text, "tripline_frames_dropped_total{shard=\"1\",reason=\"ipv4_checksum\"} 5");
  expect_line(text, "tripline_responses_total{shard=\"1\",status=\"503\"} 6");
  expect_line(text, "tripline_spans_rejected_total{shard=\"1\",reason=\"overload\"} 7");
  expect_line(text, "tripline_webhooks_refused_total{shard=\"1\",reason=\"id_conflict\"} 8");
  expect_line(text, "tripline_tls_handshakes_total{shard=\"1\"} 12");
  expect_line(text, "tripline_tls_handshakes_failed_total{shard=\"1\",reason=\"not_tls\"} 13");
  expect_line(text, "tripline_tls_connections_ended_total{shard=\"1\",reason=\"truncated\"} 14");
  expect_line(text, "tripline_tls_handshakes_waiting{shard=\"1\"} 15");
  expect_line(text, "tripline_tls_certificate_expiry_time_seconds{listener=\"webhooks\"} 1700000000");
  expect_line(text, "tripline_pressure{shard=\"1\",resource=\"parked\"} 2");
  expect_line(text, "tripline_pressure{shard=\"0\",resource=\"parked\"} 0");
  expect_line(text, "tripline_pressure_used{shard=\"1\",resource=\"parked\"} 15");
  expect_line(text, "tripline_pressure_capacity{shard=\"1\",resource=\"parked\"} 16");
  expect_line(text, "tripline_pressure_transitions_total{shard=\"1\",resource=\"parked\",state=\"normal\"} 1");
  expect_line(text, "tripline_pressure_transitions_total{shard=\"1\",resource=\"parked\",state=\"hard\"} 3");
  expect_line(text, "tripline_shedding{shard=\"1\",what=\"spans\"} 1");
  expect_line(text, "tripline_shedding{shard=\"1\",what=\"durable_webhooks\"} 0");
  expect_line(text, "tripline_requests_shed_total{shard=\"1\",what=\"spans\"} 12");
  expect_line(text, "tripline_connections_shed_total{shard=\"1\",what=\"slow_header\"} 13");
  expect_line(text, "tripline_tcp_refused_total{shard=\"1\",reason=\"address\"} 14");
  expect_line(text, "tripline_address_refused_total{shard=\"1\",quota=\"body_bytes\"} 15");
  expect_line(text, "tripline_shard_answers{shard=\"0\"} 0");
  expect_line(text, "tripline_shard_answers{shard=\"1\"} 1");
  expect_line(text, "tripline_violations_durable_total 9");
  expect_line(text, "tripline_violations_pending 1");
  expect_line(text, "tripline_port_missed_frames_total{port=\"trip\"} 11");
  expect_line(text, "tripline_rule_violations_total{rule=\"first\"} 3");
  expect_line(text, "tripline_durable_park_seconds_bucket{shard=\"1\",durability=\"strict\",le=\"0.0001\"} 0");
  expect_line(text, "tripline_durable_park_seconds_bucket{shard=\"1\",durability=\"strict\",le=\"0.001\"} 1");
  expect_line(text, "tripline_durable_park_seconds_bucket{shard=\"1\",durability=\"strict\",le=\"1\"} 1");
  expect_line(text, "tripline_durable_park_seconds_bucket{shard=\"1\",durability=\"strict\",le=\"+Inf\"} 2");
  expect_line(text, "tripline_durable_park_seconds_count{shard=\"1\",durability=\"strict\"} 2");
  expect_line(text, "tripline_durable_park_seconds_count{shard=\"1\",durability=\"balanced\"} 0");
  expect_line(text, "tripline_durable_park_p99_seconds{durability=\"balanced\"} 0.000000000");
  expect_line(text, "tripline_durable_park_p99_seconds{durability=\"strict\"} 3.000000000");
  free(text);
}

static void an_impaired_port_says_what_was_done_to_its_frames(void **state) {
  (void)state;
  char *text = render();
  assert_null(strstr(text, "tripline_impaired_"));
  free(text);
  struct appliance_port *ports = appliance.snapshot.ports;
  appliance.snapshot.port_count = 2;
  strcpy(ports[1].information.name, "worse");
  ports[0].impaired = ports[1].impaired = true;
  ports[0].received.lost = 1;
  ports[1].received.no_room = 2;
  ports[1].sent.reordered = 3;
  every_family_is_described_once_before_its_samples(state);
  text = render();
  expect_line(text, "tripline_impaired_frames_total{port=\"trip\",direction=\"received\",fate=\"lost\"} 1");
  expect_line(text, "tripline_impaired_frames_total{port=\"worse\",direction=\"received\",fate=\"no_room\"} 2");
  expect_line(text, "tripline_impaired_frames_total{port=\"worse\",direction=\"sent\",fate=\"reordered\"} 3");
  free(text);
}

static void rules_without_a_series_of_their_own_are_summed(void **state) {
  (void)state;
  char *text = render();
  expect_line(text, "tripline_rule_matches_total{rule=\"first\",mode=\"enforce\"} 40");
  assert_null(strstr(text, "rule_matches_total{rule=\"second\"")); /* disabled */
  assert_null(strstr(text, "rule_matches_total{rule=\"other\""));
  free(text);
  appliance.rules_in_others = "first";
  appliance.matches_gone[RULE_ENFORCE] = 2;
  appliance.matches_gone[RULE_SHADOW] = 3;
  text = render();
  assert_null(strstr(text, "rule_matches_total{rule=\"first\""));
  expect_line(text, "tripline_rule_matches_total{rule=\"other\",mode=\"enforce\"} 42");
  expect_line(text, "tripline_rule_matches_total{rule=\"other\",mode=\"shadow\"} 3");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_family_is_described_once_before_its_samples, set_up, tear_down),
      cmocka_unit_test_setup_teardown(no_series_comes_twice, set_up, tear_down),
      cmocka_unit_test_setup_teardown(values_are_those_of_the_snapshot, set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_impaired_port_says_what_was_done_to_its_frames, set_up, tear_down),
      cmocka_unit_test_setup_teardown(rules_without_a_series_of_their_own_are_summed, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
