/* The API by real requests over its socket and over loopback. */
#include "appliance_double.h"
#include "cmocka_test.h"
#include "management_server.h"
#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TCP_PORT 19464

static struct appliance_double appliance;
static struct management_server *server;
static char directory[32], socket_path[64];

struct answer {
  long status;
  char text[1u << 20];
  size_t length;
  json_t *json;
};

static int set_up(void **state) {
  (void)state;
  int error = 0;
  appliance_double_open(&appliance);
  strcpy(directory, "management-XXXXXX");
  assert_non_null(mkdtemp(directory));
  snprintf(socket_path, sizeof socket_path, "%s/control.sock", directory);
  const struct management_config config = {.socket_path = socket_path, .listen_address = "127.0.0.1", .listen_port = TCP_PORT};
  server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(server);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  management_server_stop(server);
  rmdir(directory);
  appliance_double_close(&appliance);
  return 0;
}

static size_t take(char *bytes, size_t size, size_t count, void *context) {
  struct answer *answer = context;
  if (answer->length + size * count >= sizeof answer->text) return 0;
  memcpy(answer->text + answer->length, bytes, size * count);
  answer->length += size * count;
  answer->text[answer->length] = '\0';
  return size * count;
}

/* By the socket unless `tcp`. */
static struct answer *ask(const char *method, const char *path, const char *body, bool tcp) {
  static struct answer answer;
  char url[256];
  CURL *curl = curl_easy_init();
  if (answer.json) json_decref(answer.json);
  memset(&answer, 0, sizeof answer);
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", TCP_PORT, path);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  if (!tcp) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  if (body) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
  assert_int_equal(curl_easy_perform(curl), CURLE_OK);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_easy_cleanup(curl);
  answer.json = json_loads(answer.text, 0, NULL);
  return &answer;
}

static void expect_status(const char *method, const char *path, const char *body, bool tcp, long status) {
  const struct answer *answer = ask(method, path, body, tcp);
  if (answer->status != status) fail_msg("%s %s: %ld %s, expected %ld", method, path, answer->status, answer->text, status);
  /* A refusal says why, in one form. */
  if (status >= 400 && !json_object_get(answer->json, "checks")) {
    assert_true(json_is_string(json_object_get(answer->json, "code")));
    assert_true(json_is_string(json_object_get(answer->json, "message")));
    assert_true(json_is_string(json_object_get(answer->json, "correlation_id")));
  }
}

static void paths_and_methods(void **state) {
  (void)state;
  static const char *const readable[] = {
      "/metrics",  "/healthz",        "/readyz",        "/v1/status",          "/v1/shards",
      "/v1/rules", "/v1/rules/first", "/v1/violations", "/v1/violations/tail", "/v1/violations/counts"};
  for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) {
    expect_status("GET", readable[i], NULL, false, 200);
    expect_status("GET", readable[i], NULL, true, 200);
  }
  expect_status("GET", "/", NULL, false, 404);
  expect_status("GET", "/v1/rules/nobody", NULL, false, 404);
  expect_status("GET", "/v1/rules/apply", NULL, false, 405);
  expect_status("GET", "/v1/config/reload", NULL, false, 405);
  expect_status("DELETE", "/v1/rules", NULL, false, 405);
  expect_status("POST", "/v1/violations", "{}", false, 404);
}

static void loopback_changes_nothing(void **state) {
  (void)state;
  expect_status("POST", "/v1/rules/apply", "{\"files\":[]}", true, 405);
  expect_status("POST", "/v1/config/reload", "", true, 405);
  assert_int_equal(appliance.applies, 0);
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

static void rules_are_applied_by_the_socket(void **state) {
  (void)state;
  const char *body = "{\"files\":[{\"name\":\"new.yaml\",\"text\":\"rules: []\"}],\"merge\":true}";
  const struct answer *answer = ask("POST", "/v1/rules/apply", body, false);
  assert_int_equal(answer->status, 200);
  assert_int_equal(json_integer_value(json_object_get(answer->json, "generation")), 7);
  assert_string_equal(appliance.applied_name, "new.yaml");
  assert_true(appliance.applied_merge);
  char who[32];
  snprintf(who, sizeof who, "uid %u", (unsigned)getuid());
  assert_string_equal(appliance.applied_who, who);
  appliance.apply_result = -EINVAL;
  answer = ask("POST", "/v1/rules/apply", body, false);
  assert_int_equal(answer->status, 400);
  const json_t *error = json_array_get(json_object_get(answer->json, "errors"), 0);
  assert_string_equal(json_string_value(json_object_get(error, "file")), "bad.yaml");
  assert_true(json_integer_value(json_object_get(error, "line")) > 0);
  appliance.apply_result = -EIO;
  expect_status("POST", "/v1/rules/apply", body, false, 503);
  static const char *const malformed[] = {"[]", "{\"files\":{}}", "{\"files\":[{\"name\":1,\"text\":\"\"}]}", "{\"files\":[{}]}",
                                          "{"};
  const unsigned before = appliance.applies;
  for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
    expect_status("POST", "/v1/rules/apply", malformed[i], false, 400);
  assert_int_equal(appliance.applies, before);
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

static void validation_changes_nothing(void **state) {
  (void)state;
  const char *bad = "{\"files\":[{\"name\":\"x.yaml\",\"text\":\"rules:\\n  - name: a\\n    on: span\\n    if: name =\\n\"}]}";
  const struct answer *answer = ask("POST", "/v1/rules/validate", bad, false);
  assert_int_equal(answer->status, 200);
  assert_true(json_is_false(json_object_get(answer->json, "valid")));
  const json_t *error = json_array_get(json_object_get(answer->json, "errors"), 0);
  assert_int_equal(json_integer_value(json_object_get(error, "line")), 4);
  assert_int_equal(appliance.applies, 0);
}

static void the_rule_set_is_always_released(void **state) {
  (void)state;
  expect_status("GET", "/v1/rules", NULL, false, 200);
  expect_status("GET", "/v1/rules/second", NULL, false, 200);
  expect_status("GET", "/v1/rules/third", NULL, false, 404);
  assert_true(appliance.acquired >= 3);
  assert_int_equal(appliance.acquired, appliance.released);
}

static void a_leftover_socket_is_taken_over_and_the_own_removed(void **state) {
  (void)state;
  int error = 0;
  management_server_stop(server);
  assert_int_equal(access(socket_path, F_OK), -1);
  const struct management_config config = {.socket_path = socket_path};
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  const int leftover = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(leftover, (struct sockaddr *)&address, sizeof address), 0);
  close(leftover);
  server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(server);
  expect_status("GET", "/healthz", NULL, false, 200);
}

static void a_file_that_is_no_socket_is_left_alone(void **state) {
  (void)state;
  int error = 0;
  management_server_stop(server);
  FILE *file = fopen(socket_path, "w");
  fclose(file);
  const struct management_config config = {.socket_path = socket_path};
  assert_null(management_server_start(&config, &appliance.face, &error));
  assert_int_equal(error, -EEXIST);
  assert_int_equal(unlink(socket_path), 0);
  server = management_server_start(&config, &appliance.face, &error);
  assert_non_null(server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(paths_and_methods, set_up, tear_down),
      cmocka_unit_test_setup_teardown(loopback_changes_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(health_and_readiness, set_up, tear_down),
      cmocka_unit_test_setup_teardown(status_tells_of_pressure, set_up, tear_down),
      cmocka_unit_test_setup_teardown(filters_that_make_no_sense, set_up, tear_down),
      cmocka_unit_test_setup_teardown(violations_by_filter_and_page, set_up, tear_down),
      cmocka_unit_test_setup_teardown(violations_in_both_orders_by_id_source_and_in_counts, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_flush_is_for_the_socket_and_says_how_far, set_up, tear_down),
      cmocka_unit_test_setup_teardown(rules_are_applied_by_the_socket, set_up, tear_down),
      cmocka_unit_test_setup_teardown(certificates_are_read_again, set_up, tear_down),
      cmocka_unit_test_setup_teardown(validation_changes_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_rule_set_is_always_released, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_leftover_socket_is_taken_over_and_the_own_removed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_file_that_is_no_socket_is_left_alone, set_up, tear_down),
  };
  curl_global_init(CURL_GLOBAL_DEFAULT);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
