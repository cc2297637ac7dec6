/* The API by real requests over its socket and over loopback. */
#include "cmocka_test.h"
#include "management_asking.h"
#include "management_server.h"
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void paths_and_methods(void **state) {
  (void)state;
  static const char *const readable[] = {"/metrics",
                                         "/healthz",
                                         "/readyz",
                                         "/v1/status",
                                         "/v1/shards",
                                         "/v1/rules",
                                         "/v1/rules/first",
                                         "/v1/violations",
                                         "/v1/violations/tail",
                                         "/v1/violations/counts",
                                         "/v1/health",
                                         "/v1/ready",
                                         "/v1/rules/first/history",
                                         "/v1/ruleset",
                                         "/v1/ruleset/history",
                                         "/v1/ruleset/failed",
                                         "/v1/ruleset/diff"};
  for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) {
    expect_status("GET", readable[i], NULL, false, 200);
    expect_status("GET", readable[i], NULL, true, 200);
  }
  expect_status("GET", "/", NULL, false, 404);
  expect_status("GET", "/v1/rules/nobody", NULL, false, 404);
  expect_status("GET", "/v1/rules/apply", NULL, false, 405);
  expect_status("GET", "/v1/config/reload", NULL, false, 405);
  expect_status("DELETE", "/v1/rules", NULL, false, 405);
  expect_status("PATCH", "/v1/rules/first", NULL, false, 405);
  expect_status("POST", "/v1/rules/first", "{}", false, 404);
  expect_status("GET", "/v1/rules/first/enable", NULL, false, 404);
  expect_status("POST", "/v1/violations", "{}", false, 404);
}

static void loopback_changes_nothing(void **state) {
  (void)state;
  expect_status("POST", "/v1/rules/apply", "{\"files\":[]}", true, 405);
  expect_status("POST", "/v1/config/reload", "", true, 405);
  assert_int_equal(appliance.changes, 0);
  assert_int_equal(appliance.certificate_reloads, 0);
}

static void health_and_readiness(void **state) {
  (void)state;
  appliance.snapshot.check_count = 1;
  appliance.snapshot.checks[0] = (struct appliance_check){.name = "journal", .passed = false, .detail = "no space"};
  appliance.snapshot.ready = false;
  expect_status("GET", "/healthz", NULL, true, 200);
  const struct answer *answer = ask("GET", "/readyz", NULL, true);
  assert_int_equal(answer->status, 503);
  const json_t *check = json_array_get(json_object_get(answer->json, "checks"), 0);
  assert_string_equal(json_string_value(json_object_get(check, "detail")), "no space");
  appliance.snapshot.live = false;
  expect_status("GET", "/healthz", NULL, true, 503);
}

/* The worst of all shards. */
static void status_tells_of_pressure(void **state) {
  (void)state;
  appliance.snapshot.shards[0].pressure[RESOURCE_RECORDS].state = PRESSURE_SOFT;
  appliance.snapshot.shards[1].pressure[RESOURCE_RECORDS].state = PRESSURE_HARD;
  appliance.snapshot.shards[1].shedding = 1u << SHED_SPANS | 1u << SHED_DURABLE_SPANS;
  const struct answer *answer = ask("GET", "/v1/status", NULL, false);
  const json_t *pressure = json_object_get(answer->json, "pressure"), *shedding = json_object_get(answer->json, "shedding");
  assert_int_equal(json_object_size(pressure), RESOURCES);
  assert_string_equal(json_string_value(json_object_get(pressure, "records")), "hard");
  assert_string_equal(json_string_value(json_object_get(pressure, "connections")), "normal");
  assert_int_equal(json_array_size(shedding), 2);
  assert_string_equal(json_string_value(json_array_get(shedding, 1)), "durable_spans");
}

static void filters_that_make_no_sense(void **state) {
  (void)state;
  static const char *const wrong[] = {"severity=awful",
                                      "trace=12",
                                      "since=yesterday",
                                      "until=tomorrow",
                                      "limit=0",
                                      "limit=1000001",
                                      "limit=-1",
                                      "limit=ten",
                                      "after=x",
                                      "limit=",
                                      "source=email",
                                      "id=12",
                                      "id=018f0000-0000-7000-8000-00000000000g",
                                      "order=random",
                                      "trace=zz000000000000000000000000000000"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char path[128];
    snprintf(path, sizeof path, "/v1/violations?%s", wrong[i]);
    expect_status("GET", path, NULL, false, 400);
  }
  expect_status("GET", "/v1/violations/tail?after=-1", NULL, false, 400);
}

static size_t count_of(const char *path) {
  const struct answer *answer = ask("GET", path, NULL, false);
  if (answer->status != 200) fail_msg("%s: %s", path, answer->text);
  return json_array_size(json_object_get(answer->json, "violations"));
}

static void violations_by_filter_and_page(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 5);
  appliance_double_add(&appliance, "second", 2);
  assert_int_equal(count_of("/v1/violations"), 7);
  assert_int_equal(count_of("/v1/violations?rule=first"), 5);
  assert_int_equal(count_of("/v1/violations?rule=first&severity=low"), 0);
  assert_int_equal(count_of("/v1/violations?since=1700000003"), 2);
  assert_int_equal(count_of("/v1/violations?until=2023-11-14T22:13:21Z"), 2);
  char next[64] = "", path[128];
  size_t pages = 0, total = 0;
  do {
    snprintf(path, sizeof path, "/v1/violations?limit=3%s%s", *next ? "&after=" : "", next);
    total += count_of(path);
    const json_t *cursor = json_object_get(ask("GET", path, NULL, false)->json, "next");
    snprintf(next, sizeof next, "%s", json_is_string(cursor) ? json_string_value(cursor) : "");
    pages++;
  } while (*next && pages < 10);
  assert_int_equal(pages, 3);
  assert_int_equal(total, 7);
}

static void violations_in_both_orders_by_id_source_and_in_counts(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 5);
  appliance_double_add(&appliance, "second", 2);
  assert_int_equal(count_of("/v1/violations?source=span"), 7);
  assert_int_equal(count_of("/v1/violations?source=alert"), 0);
  assert_int_equal(count_of("/v1/violations?service=none"), 0);
  assert_int_equal(count_of("/v1/violations?id=00000000-0000-0000-0000-000000000000"), 7); /* the double gives no ids */
  assert_int_equal(count_of("/v1/violations?id=018f0000-0000-7000-8000-000000000000"), 0);
  const struct answer *answer = ask("GET", "/v1/violations?order=oldest&limit=3", NULL, false);
  const json_t *list = json_object_get(answer->json, "violations");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "lsn")), 1);
  assert_string_equal(json_string_value(json_object_get(answer->json, "next")), "3");
  answer = ask("GET", "/v1/violations?order=oldest&limit=10&after=3", NULL, false);
  list = json_object_get(answer->json, "violations");
  assert_int_equal(json_array_size(list), 4);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "lsn")), 4);
  assert_true(json_is_null(json_object_get(answer->json, "next")));
  answer = ask("GET", "/v1/violations/counts?by=rule", NULL, false);
  assert_int_equal(json_integer_value(json_object_get(answer->json, "total")), 7);
  list = json_object_get(answer->json, "counts");
  assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "key")), "first");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "count")), 2);
  answer = ask("GET", "/v1/violations/counts?by=severity&rule=second", NULL, false);
  list = json_object_get(answer->json, "counts");
  assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "key")), "high");
  assert_int_equal(json_integer_value(json_object_get(answer->json, "total")), 2);
  answer = ask("GET", "/v1/violations/counts?by=time&bucket=2s", NULL, false);
  list = json_object_get(answer->json, "counts");
  assert_int_equal(json_array_size(list), 3);
  assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "key")), "2023-11-14T22:13:20.000000000Z");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "count")), 4);
  expect_status("GET", "/v1/violations/counts?by=colour", NULL, false, 400);
  expect_status("GET", "/v1/violations/counts?by=time&bucket=0s", NULL, false, 400);
}

static void a_flush_is_for_the_socket_and_says_how_far(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 3);
  expect_status("GET", "/v1/journal/flush", NULL, false, 405);
  expect_status("POST", "/v1/journal/flush", "{}", true, 405);
  const struct answer *answer = ask("POST", "/v1/journal/flush", "{}", false);
  assert_int_equal(answer->status, 200);
  assert_int_equal(json_integer_value(json_object_get(answer->json, "durable_lsn")), 3);
  appliance.flush_result = -EIO;
  expect_status("POST", "/v1/journal/flush", "{}", false, 503);
}

static void the_black_box_by_kind_shard_and_limit(void **state) {
  (void)state;
  appliance.snapshot.shards[0].flight = (struct flight_counters){.recorded = {[FLIGHT_DRAINING] = 5, [FLIGHT_RULES_ADOPTED] = 2},
                                                                 .skipped = {[FLIGHT_MALFORMED] = 3},
                                                                 .sampled_out = 99,
                                                                 .overwritten = 4,
                                                                 .capacity = 1024};
  json_t *events = json_object_get(ask("GET", "/v1/blackbox", NULL, true)->json, "events");
  assert_int_equal(json_array_size(events), 3);
  assert_string_equal(json_string_value(json_object_get(json_array_get(events, 1), "kind")), "rules_adopted");
  assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 1), "generation")), 1);
  events = json_object_get(ask("GET", "/v1/blackbox?kind=draining&limit=1", NULL, true)->json, "events");
  assert_int_equal(json_array_size(events), 1);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 0), "sequence")), 2);
  assert_int_equal(json_array_size(json_object_get(ask("GET", "/v1/blackbox?shard=1", NULL, true)->json, "events")), 0);
  static const char *const wrong[] = {"kind=none", "kind=", "shard=2", "shard=-1", "limit=1x", "limit=1000001"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char path[64];
    snprintf(path, sizeof path, "/v1/blackbox?%s", wrong[i]);
    expect_status("GET", path, NULL, false, 400);
  }
  const json_t *shard = json_array_get(json_object_get(ask("GET", "/v1/blackbox/stats", NULL, true)->json, "shards"), 0);
  assert_int_equal(json_integer_value(json_object_get(shard, "recorded")), 7);
  assert_int_equal(json_integer_value(json_object_get(shard, "skipped")), 3);
  assert_int_equal(json_integer_value(json_object_get(shard, "sampled_out")), 99);
  assert_int_equal(json_integer_value(json_object_get(shard, "overwritten")), 4);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(shard, "recorded_by_kind"), "draining")), 5);
}

static void certificates_are_read_again(void **state) {
  (void)state;
  appliance.snapshot.wall_ns = 1700000000000000000u;
  appliance.snapshot.certificate_count = 1;
  appliance.snapshot.certificates[0] = (struct appliance_certificate){
      .listener = "webhooks", .not_after_s = 1700000000 + 30 * 86400, .asks_clients = true, .sha256 = "ab12"};
  const struct answer *answer = ask("POST", "/v1/config/reload", "", false);
  assert_int_equal(answer->status, 200);
  assert_int_equal(appliance.certificate_reloads, 1);
  const json_t *certificate = json_array_get(json_object_get(answer->json, "certificates"), 0);
  assert_string_equal(json_string_value(json_object_get(certificate, "listener")), "webhooks");
  assert_string_equal(json_string_value(json_object_get(certificate, "not_after")), "2023-12-14T22:13:20.000000000Z");
  assert_int_equal(json_integer_value(json_object_get(certificate, "days_left")), 30);
  assert_true(json_is_true(json_object_get(certificate, "asks_clients")));
  answer = ask("GET", "/v1/status", NULL, true);
  assert_int_equal(json_array_size(json_object_get(answer->json, "certificates")), 1);
  appliance.reload_result = -EINVAL;
  answer = ask("POST", "/v1/config/reload", "", false);
  assert_int_equal(answer->status, 422);
  assert_non_null(strstr(json_string_value(json_object_get(answer->json, "message")), "not the certificate's"));
}

static void a_leftover_socket_is_taken_over_and_the_own_removed(void **state) {
  (void)state;
  int error = 0;
  management_server_stop(asked_server);
  assert_int_equal(access(socket_path, F_OK), -1);
  const struct management_config config = {.socket_path = socket_path};
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  const int leftover = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(leftover, (struct sockaddr *)&address, sizeof address), 0);
  close(leftover);
  asked_server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(asked_server);
  expect_status("GET", "/healthz", NULL, false, 200);
}

static void a_file_that_is_no_socket_is_left_alone(void **state) {
  (void)state;
  int error = 0;
  management_server_stop(asked_server);
  FILE *file = fopen(socket_path, "w");
  fclose(file);
  const struct management_config config = {.socket_path = socket_path};
  assert_null(management_server_start(&config, &appliance.face, &error));
  assert_int_equal(error, -EEXIST);
  assert_int_equal(unlink(socket_path), 0);
  asked_server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(asked_server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(paths_and_methods, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(loopback_changes_nothing, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(health_and_readiness, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(status_tells_of_pressure, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(filters_that_make_no_sense, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(violations_by_filter_and_page, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(violations_in_both_orders_by_id_source_and_in_counts, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(a_flush_is_for_the_socket_and_says_how_far, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(the_black_box_by_kind_shard_and_limit, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(certificates_are_read_again, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(a_leftover_socket_is_taken_over_and_the_own_removed, asking_set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, asking_set_up, asking_tear_down),
  };
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
