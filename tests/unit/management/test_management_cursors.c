/* Cursors and what is read from them, by real requests. */
#include "cmocka_test.h"
#include "management_asking.h"
#include <errno.h>
#include <string.h>

static json_int_t number(const struct answer *answer, const char *key) {
  return json_integer_value(json_object_get(answer->json, key));
}

static const char *text(const struct answer *answer, const char *key) {
  return json_string_value(json_object_get(answer->json, key));
}

static void expect_code(const char *method, const char *path, const char *body, long status, const char *code) {
  expect_status(method, path, body, false, status);
  assert_string_equal(text(ask(method, path, body, false), "code"), code);
}

static void a_cursor_is_put_got_reset_and_deleted(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 10);
  expect_status("GET", "/v1/cursors/a", NULL, false, 404);
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":4}", false, 201);
  const struct answer *answer = ask("GET", "/v1/cursors/a", NULL, true);
  assert_int_equal(answer->status, 200);
  assert_int_equal(number(answer, "lsn"), 4);
  assert_int_equal(number(answer, "durable_lsn"), 4);
  assert_int_equal(number(answer, "lag_records"), 7); /* six violations, and the cursor's own record */
  assert_string_equal(text(answer, "kind"), "tail");
  assert_true(json_is_false(json_object_get(answer->json, "hold")));
  assert_true(json_is_null(json_object_get(answer->json, "gap")));
  assert_non_null(strstr(text(answer, "who"), "uid "));
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":6,\"expected_lsn\":4}", false, 200);
  expect_code("PUT", "/v1/cursors/a", "{\"lsn\":7,\"expected_lsn\":4}", 409, "moved");
  expect_code("PUT", "/v1/cursors/a", "{\"lsn\":5}", 409, "backwards");
  expect_code("PUT", "/v1/cursors/a", "{\"lsn\":999}", 409, "beyond");
  expect_status("POST", "/v1/cursors/a/reset", "{\"lsn\":2}", false, 200);
  expect_status("PUT", "/v1/cursors/a/reset", "{\"lsn\":\"oldest\"}", false, 200);
  assert_int_equal(number(ask("GET", "/v1/cursors/a", NULL, false), "lsn"), 0);
  expect_status("PUT", "/v1/cursors/a", "{\"hold\":true}", false, 200);
  answer = ask("GET", "/v1/cursors/a", NULL, false);
  assert_true(json_is_true(json_object_get(answer->json, "hold")));
  assert_int_equal(number(answer, "lsn"), 0);
  expect_status("PUT", "/v1/cursors/s", "{\"kind\":\"sink\"}", false, 201);
  answer = ask("GET", "/v1/cursors", NULL, false);
  assert_int_equal(json_array_size(json_object_get(answer->json, "cursors")), 2);
  expect_status("DELETE", "/v1/cursors/a", NULL, false, 200);
  expect_status("DELETE", "/v1/cursors/a", NULL, false, 404);
  expect_status("POST", "/v1/cursors/a/reset", "{\"lsn\":2}", false, 404);
  expect_code("PUT", "/v1/cursors/a", "{\"lsn\":7,\"expected_lsn\":4}", 404, "not_found"); /* not made again */
}

static void what_a_cursor_does_not_take(void **state) {
  (void)state;
  static const char *const bodies[] = {"",
                                       "[]",
                                       "7",
                                       "{\"lsn\":-1}",
                                       "{\"lsn\":1.5}",
                                       "{\"lsn\":\"later\"}",
                                       "{\"lsn\":null}",
                                       "{\"hold\":1}",
                                       "{\"kind\":\"pipe\"}",
                                       "{\"kind\":7}",
                                       "{\"expected_lsn\":\"1\"}",
                                       "{\"LSN\":1}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) expect_code("PUT", "/v1/cursors/a", bodies[i], 400, "malformed");
  expect_code("POST", "/v1/cursors/a/reset", "{}", 400, "malformed");
  expect_code("PUT", "/v1/cursors/.a", "{}", 400, "name");
  expect_code("PUT", "/v1/cursors/a%20b", "{}", 400, "name");
  expect_status("PUT", "/v1/cursors/a/b", "{}", false, 404);
  expect_status("PUT", "/v1/cursors/", "{}", false, 405);
  expect_status("PATCH", "/v1/cursors/a", "{}", false, 405);
  expect_status("POST", "/v1/cursors", "{}", false, 404);
  expect_status("PUT", "/v1/cursors/a", "{}", true, 405); /* changes go through the socket */
  expect_status("DELETE", "/v1/cursors/a", NULL, true, 405);
  assert_int_equal(json_array_size(json_object_get(ask("GET", "/v1/cursors", NULL, false)->json, "cursors")), 0);
}

static void a_journal_in_trouble_answers_503_and_when_to_come_back(void **state) {
  (void)state;
  expect_status("PUT", "/v1/cursors/a", "{}", false, 201);
  appliance.journal_trouble = -ENOSPC;
  expect_code("PUT", "/v1/cursors/a", "{\"lsn\":\"now\"}", 503, "not_durable");
  expect_code("PUT", "/v1/cursors/b", "{}", 503, "not_durable");
  expect_code("DELETE", "/v1/cursors/a", NULL, 503, "not_durable");
  expect_status("GET", "/v1/cursors/a", NULL, false, 200);
  appliance.journal_trouble = 0;
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":\"now\"}", false, 200);
  expect_status("GET", "/v1/cursors/b", NULL, false, 404);
}

static void violations_are_read_from_where_it_is(void **state) {
  (void)state;
  appliance_double_add(&appliance, "first", 10);
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":3}", false, 201);
  const struct answer *answer = ask("GET", "/v1/violations?cursor=a&limit=4", NULL, true);
  const json_t *list = json_object_get(answer->json, "violations");
  assert_int_equal(json_array_size(list), 4);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "lsn")), 4);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 3), "lsn")), 7);
  assert_int_equal(number(answer, "position"), 7);
  assert_true(json_is_true(json_object_get(answer->json, "more")));
  /* Reading alone moves nothing. */
  assert_int_equal(number(ask("GET", "/v1/violations?cursor=a&limit=1", NULL, false), "position"), 4);
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":7}", false, 200);
  answer = ask("GET", "/v1/violations?cursor=a", NULL, false);
  list = json_object_get(answer->json, "violations");
  assert_int_equal(json_array_size(list), 3);
  assert_int_equal(number(answer, "position"), 12); /* past the records of the cursor, too */
  assert_true(json_is_false(json_object_get(answer->json, "more")));
  expect_status("GET", "/v1/violations?cursor=b", NULL, false, 404);
  expect_code("GET", "/v1/violations?cursor=a&limit=0", NULL, 400, "argument");
  expect_code("GET", "/v1/violations?cursor=a&wait=31", NULL, 400, "argument");
  expect_code("GET", "/v1/violations?cursor=a&rule=first", NULL, 400, "argument");
}

static void forget(void *context, const struct cursor_view *view) { (void)context, (void)view; }

static void a_gap_is_told_until_it_is_acknowledged(void **state) {
  (void)state;
  uint64_t position;
  appliance_double_add(&appliance, "first", 10);
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":3,\"hold\":true}", false, 201);
  assert_int_equal(cursor_table_let_go(appliance.cursors, 8, false, forget, NULL, &position), -EBUSY);
  assert_int_equal(cursor_table_let_go(appliance.cursors, 8, true, forget, NULL, &position), 0);
  for (int i = 0; i < 2; i++) {
    expect_code("GET", "/v1/violations?cursor=a", NULL, 410, "gap");
    const json_t *gap = json_object_get(ask("GET", "/v1/violations?cursor=a", NULL, false)->json, "gap");
    assert_int_equal(json_integer_value(json_object_get(gap, "from")), 4);
    assert_int_equal(json_integer_value(json_object_get(gap, "to")), 7);
  }
  const struct answer *answer = ask("GET", "/v1/status", NULL, false);
  const json_t *cursors = json_object_get(answer->json, "cursors");
  assert_int_equal(json_integer_value(json_object_get(cursors, "with_gap")), 1);
  assert_int_equal(json_integer_value(json_object_get(cursors, "lost_records")), 4);
  assert_int_equal(json_array_size(json_object_get(cursors, "attention")), 1);
  expect_code("POST", "/v1/cursors/a/reset", "{\"lsn\":6}", 410, "removed");
  expect_status("PUT", "/v1/cursors/a", "{\"lsn\":7}", false, 200);
  answer = ask("GET", "/v1/violations?cursor=a", NULL, false);
  assert_int_equal(answer->status, 200);
  assert_int_equal(json_array_size(json_object_get(answer->json, "violations")), 3);
  assert_non_null(strstr(ask("GET", "/metrics", NULL, true)->text, "tripline_cursor_lost_records_total{cursor=\"a\"} 4\n"));
}

/* One that holds and has something to read, but does not. */
static void a_cursor_that_does_not_move_is_stale(void **state) {
  (void)state;
  expect_status("PUT", "/v1/cursors/a", "{\"hold\":true}", false, 201);
  expect_status("PUT", "/v1/cursors/b", "{}", false, 201);
  const json_t *cursors = json_object_get(ask("GET", "/v1/status", NULL, false)->json, "cursors");
  assert_int_equal(json_integer_value(json_object_get(cursors, "stale")), 1); /* by the wall clock of this journal it is 2023 */
  assert_int_equal(json_integer_value(json_object_get(cursors, "holding")), 1);
  appliance.face.cursor_stale_ns = 0;
  cursors = json_object_get(ask("GET", "/v1/status", NULL, false)->json, "cursors");
  assert_int_equal(json_integer_value(json_object_get(cursors, "stale")), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, asking_set_up, asking_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_cursor_is_put_got_reset_and_deleted),
      TEST(what_a_cursor_does_not_take),
      TEST(a_journal_in_trouble_answers_503_and_when_to_come_back),
      TEST(violations_are_read_from_where_it_is),
      TEST(a_gap_is_told_until_it_is_acknowledged),
      TEST(a_cursor_that_does_not_move_is_stale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
