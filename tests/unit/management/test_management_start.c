/* What the API answers before the appliance runs: only about the start, and never from anything else. */
#include "cmocka_test.h"
#include "management_asking.h"
#include <string.h>

static int begin(void **state) {
  asking_set_up(state);
  appliance.start = (struct appliance_start){.phase = APPLIANCE_RECOVERING,
                                             .reason = "recovering 43 %",
                                             .version = "test",
                                             .node = "018f0000-0000-7000-8000-000000000000",
                                             .wall_ns = 2000000000,
                                             .started_wall_ns = 500000000,
                                             .recovery = {.ratio = 0.439,
                                                          .bytes_read = 439,
                                                          .bytes_to_read = 1000,
                                                          .segment = 12,
                                                          .segments_read = 2,
                                                          .segments_to_read = 5,
                                                          .records = 77,
                                                          .elapsed_ns = 1000000000,
                                                          .rest_ns = 1300000000}};
  /* Whatever a handler of a running appliance would ask for is not there. */
  struct appliance nothing = {.context = &appliance, .starting = appliance.face.starting};
  appliance.face = nothing;
  return 0;
}

static const char *text_of(const struct answer *answer, const char *key) {
  const char *text = json_string_value(json_object_get(answer->json, key));
  return text ? text : "";
}

static void health(void **state) {
  (void)state;
  for (int tcp = 0; tcp < 2; tcp++) {
    const struct answer *answer = ask("GET", "/healthz", NULL, tcp);
    assert_int_equal(answer->status, 200);
    assert_string_equal(text_of(answer, "status"), "ok");
    answer = ask("GET", "/readyz", NULL, tcp);
    assert_int_equal(answer->status, 503);
    assert_string_equal(text_of(answer, "reason"), "recovering 43 %");
    answer = ask("GET", "/v1/health", NULL, tcp);
    assert_int_equal(answer->status, 200);
    assert_string_equal(text_of(answer, "status"), "HEALTHY");
    answer = ask("GET", "/v1/ready", NULL, tcp);
    assert_int_equal(answer->status, 503);
    assert_string_equal(text_of(answer, "status"), "UNHEALTHY");
  }
}

static void status(void **state) {
  (void)state;
  const struct answer *answer = ask("GET", "/v1/status", NULL, false);
  assert_int_equal(answer->status, 200);
  assert_string_equal(text_of(answer, "state"), "recovering");
  assert_true(json_is_false(json_object_get(answer->json, "ready")));
  const json_t *recovery = json_object_get(answer->json, "recovery");
  assert_int_equal(json_integer_value(json_object_get(recovery, "percent")), 43);
  assert_int_equal(json_integer_value(json_object_get(recovery, "bytes_read")), 439);
  assert_int_equal(json_integer_value(json_object_get(recovery, "bytes_to_read")), 1000);
  assert_int_equal(json_integer_value(json_object_get(recovery, "segment")), 12);
  assert_int_equal(json_integer_value(json_object_get(recovery, "records")), 77);
  assert_float_equal(json_real_value(json_object_get(recovery, "estimated_rest_seconds")), 1.3, 1e-9);
  appliance.start.phase = APPLIANCE_STARTING;
  answer = ask("GET", "/v1/status", NULL, false);
  assert_string_equal(text_of(answer, "state"), "starting");
}

static void metrics(void **state) {
  (void)state;
  const struct answer *answer = ask("GET", "/metrics", NULL, true);
  assert_int_equal(answer->status, 200);
  assert_non_null(strstr(answer->text, "\ntripline_recovery_progress_ratio 0.439"));
  assert_non_null(strstr(answer->text, "\ntripline_recovery_records 77\n"));
  assert_non_null(strstr(answer->text, "\ntripline_ready 0\n"));
}

static void all_else_has_to_wait(void **state) {
  (void)state;
  static const char *const paths[] = {"/v1/rules",           "/v1/rules/first", "/v1/violations", "/v1/violations/counts",
                                      "/v1/violations/tail", "/v1/shards",      "/v1/ruleset",    "/",
                                      "/v1/nothing"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    expect_status("GET", paths[i], NULL, false, 503);
    expect_status("GET", paths[i], NULL, true, 503);
    assert_string_equal(text_of(ask("GET", paths[i], NULL, false), "message"), "recovering 43 %");
  }
  expect_status("POST", "/v1/rules/apply", "{}", false, 503);
  expect_status("POST", "/healthz", "", false, 503);
  expect_status("POST", "/v1/journal/flush", "", false, 503);
  expect_status("PUT", "/v1/rules/first", "{}", false, 503);
  expect_status("DELETE", "/v1/rules/first", NULL, false, 503);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(health, begin, asking_tear_down),
                                     cmocka_unit_test_setup_teardown(status, begin, asking_tear_down),
                                     cmocka_unit_test_setup_teardown(metrics, begin, asking_tear_down),
                                     cmocka_unit_test_setup_teardown(all_else_has_to_wait, begin, asking_tear_down)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
