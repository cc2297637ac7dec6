/* /v1/webhooks by real requests: what is listed, in which order, and what is said to a wrong question. */
#include "cmocka_test.h"
#include "management_asking.h"
#include "uuid7.h"
#include <string.h>

#define BASE_NS 1700000000000000000ull

static void id_of(const struct webhook_fixture *webhook, char text[37]) {
  uint8_t id[16];
  webhook_fixture_correlation_id(webhook, id);
  uuid7_text(id, text);
}

static const struct webhook_fixture fixtures[] = {
    {.source = "orders", .status = 200, .wall_ns = BASE_NS, .number = 1, .claimed_id = "msg_1", .body = "{\"a\":1}"},
    {.source = "orders", .status = 202, .wall_ns = BASE_NS + 5000000000, .number = 2, .body = "{\"a\":2}", .short_form = true},
    {.source = "alerts",
     .kind = WEBHOOK_ALERTMANAGER,
     .status = 200,
     .shard = 1,
     .wall_ns = BASE_NS + 9000000000,
     .number = 3,
     .body = "\xff\xfe",
     .header_value = "b\xe4r",
     .violations = 2},
    {.source = "orders", .status = 200, .wall_ns = BASE_NS + 9000000001, .number = 4, .body = "{\"a\":4}", .too_large = true},
};

#define FIXTURES (sizeof fixtures / sizeof *fixtures)

static int set_up(void **state) {
  const int result = asking_set_up(state);
  for (size_t i = 0; result == 0 && i < FIXTURES; i++) appliance_double_add_webhook(&appliance, &fixtures[i]);
  return result;
}

static const char *text_at(json_t *object, const char *key) { return json_string_value(json_object_get(object, key)); }

/* The ids listed are those of these fixtures, by number. */
static json_t *expect_listed(const char *query, const char *numbers) {
  char path[256];
  snprintf(path, sizeof path, "/v1/webhooks?%s", query);
  const struct answer *answer = ask("GET", path, NULL, true);
  assert_int_equal(answer->status, 200);
  json_t *list = json_object_get(answer->json, "webhooks");
  assert_int_equal(json_array_size(list), strlen(numbers));
  for (size_t i = 0; i < strlen(numbers); i++) {
    char id[37];
    id_of(&fixtures[numbers[i] - '1'], id);
    assert_string_equal(text_at(json_array_get(list, i), "correlation_id"), id);
    assert_null(json_object_get(json_array_get(list, i), "body")); /* only one by one */
  }
  return answer->json;
}

static void the_newest_come_first(void **state) {
  (void)state;
  assert_true(json_is_null(json_object_get(expect_listed("", "4321"), "next")));
  expect_listed("source=orders", "421");
  expect_listed("source=alerts", "3");
  expect_listed("source=nobody", "");
  expect_listed("status=202", "2");
  expect_listed("since=1700000005", "432");
  expect_listed("until=1700000005", "1");
  expect_listed("since=2023-11-14T22:13:29Z&source=orders", "4");
  expect_listed("webhook_id=msg_1&source=orders", "1");
  expect_listed("webhook_id=msg_2&source=orders", "");
  json_t *first = expect_listed("limit=2", "43");
  char query[64];
  snprintf(query, sizeof query, "limit=2&after=%s", text_at(first, "next"));
  assert_true(json_is_null(json_object_get(expect_listed(query, "21"), "next")));
}

static void one_is_shown_with_all_that_was_kept(void **state) {
  (void)state;
  char id[37], path[96];
  id_of(&fixtures[2], id);
  snprintf(path, sizeof path, "/v1/webhooks/%s", id);
  json_t *json = ask("GET", path, NULL, false)->json;
  assert_string_equal(text_at(json, "correlation_id"), id);
  assert_string_equal(text_at(json, "kind"), "alertmanager");
  assert_string_equal(text_at(json, "time"), "2023-11-14T22:13:29.000000000Z");
  assert_string_equal(text_at(json, "peer"), "192.0.2.1");
  assert_int_equal(json_integer_value(json_object_get(json, "peer_port")), 4242);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "verdict"), "violations")), 2);
  assert_true(json_is_null(json_object_get(json, "id_key")));
  assert_string_equal(text_at(json, "body"), "//4=");
  assert_string_equal(text_at(json, "body_encoding"), "base64");
  json_t *header = json_array_get(json_object_get(json, "headers"), 0);
  assert_string_equal(text_at(header, "name"), "x-sent-by");
  assert_string_equal(text_at(header, "value"), "YuRy");
  assert_string_equal(text_at(header, "encoding"), "base64");
  id_of(&fixtures[1], id); /* as an earlier release wrote it */
  snprintf(path, sizeof path, "/v1/webhooks/%s", id);
  json = ask("GET", path, NULL, false)->json;
  assert_true(json_is_null(json_object_get(json, "verdict")));
  assert_true(json_is_null(json_object_get(json, "headers")));
  assert_string_equal(text_at(json, "body_state"), "not kept");
  id_of(&fixtures[3], id);
  snprintf(path, sizeof path, "/v1/webhooks/%s", id);
  json = ask("GET", path, NULL, false)->json;
  assert_string_equal(text_at(json, "body_state"), "not kept: too large");
  assert_true(json_is_null(json_object_get(json, "body")));
  assert_int_equal(json_integer_value(json_object_get(json, "body_bytes")), 7);
}

static void wrong_questions_are_answered(void **state) {
  (void)state;
  static const char *const wrong[] = {"/v1/webhooks?status=20",     "/v1/webhooks?status=x",  "/v1/webhooks?limit=0",
                                      "/v1/webhooks?limit=10001",   "/v1/webhooks?after=-1",  "/v1/webhooks?webhook_id=msg_1",
                                      "/v1/webhooks?since=then",    "/v1/webhooks?until=now", "/v1/webhooks?correlation_id=12",
                                      "/v1/webhooks/not-a-webhook", "/v1/webhooks/"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect_status("GET", wrong[i], NULL, false, 400);
  expect_status("GET", "/v1/webhooks/018bcfe5-6800-7000-0900-000000000000", NULL, false, 404);
  expect_status("POST", "/v1/webhooks", "{}", false, 404);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_newest_come_first, set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(one_is_shown_with_all_that_was_kept, set_up, asking_tear_down),
      cmocka_unit_test_setup_teardown(wrong_questions_are_answered, set_up, asking_tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
