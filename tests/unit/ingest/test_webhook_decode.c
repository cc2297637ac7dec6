/* Which bodies are taken and which not, that nothing of a refused body is handed over, and what of an alert rules can read. */
#include "cmocka_test.h"
#include "guard_page.h"
#include "image_fixture.h"
#include "webhook.h"
#include <string.h>

#define START "\"startsAt\":\"2026-01-02T03:04:05.678Z\""
#define ALERT "{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\",\"service\":\"pay\",\"team\":\"x\"}," START "}"
#define BODY(alerts) "{\"version\":\"4\",\"receiver\":\"r\",\"alerts\":" alerts "}"

struct seen {
  uint32_t webhooks, alerts, firing, batches, batches_before_refusal;
  char name[64], service[64];
};

static void copy_text(char *to, size_t room, const char *from, uint32_t length) {
  assert_true(length < room);
  memcpy(to, from, length);
  to[length] = '\0';
}

static bool evaluate(void *context, struct event_batch *batch) {
  struct seen *seen = context;
  if (seen->batches++ == seen->batches_before_refusal) return false;
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_fields *fields = &batch->fields[row];
    if (batch->kind == EVENT_WEBHOOK) {
      seen->webhooks++;
      continue;
    }
    seen->alerts++;
    seen->firing += fields->firing;
    copy_text(seen->name, sizeof seen->name, fields->name.at, fields->name.length);
    if (fields->service.length) copy_text(seen->service, sizeof seen->service, fields->service.at, fields->service.length);
  }
  batch->count = 0;
  return true;
}

static struct webhook_result decode(enum webhook_kind kind, const char *text, uint32_t refuse_after, struct seen *seen) {
  static const struct fixture_column columns[] = {{SCOPE_LABEL, "team"}, {SCOPE_ANNOTATION, "summary"}};
  static char scratch[65536];
  const struct webhook_source source = {.name = "s", .kind = kind};
  struct image_fixture *webhooks = image_fixture_create(EVENT_WEBHOOK, NULL, 0);
  struct image_fixture *alerts = image_fixture_create(EVENT_ALERT, columns, 2);
  const struct event_sink sink = {.context = seen, .evaluate = evaluate};
  struct webhook_result result;
  struct guarded body = guarded_copy(text, strlen(text));
  *seen = (struct seen){.batches_before_refusal = refuse_after};
  webhook_decode(&source, body.bytes, (uint32_t)strlen(text), scratch, sizeof scratch, 5, &webhooks->batch, &alerts->batch, &sink,
                 &result);
  guarded_free(&body);
  image_fixture_destroy(webhooks);
  image_fixture_destroy(alerts);
  return result;
}

static const struct {
  const char *text;
  enum webhook_outcome outcome;
} alertmanager[] = {
    {BODY("[" ALERT "]"), WEBHOOK_DECODED},
    {BODY("[" ALERT "," ALERT "]"), WEBHOOK_DECODED},
    {BODY("[]"), WEBHOOK_SCHEMA},
    {BODY("{}"), WEBHOOK_SCHEMA},
    {BODY("[1]"), WEBHOOK_SCHEMA},
    {BODY("[" ALERT "],\"alerts\":1"), WEBHOOK_SCHEMA},
    {BODY("1,\"alerts\":[" ALERT "]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"status\":1,\"labels\":{\"alertname\":\"A\"}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"silent\",\"labels\":{\"alertname\":\"A\"}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"labels\":{\"alertname\":\"A\"}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"a\":\"A\"}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":\"\"}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":1}," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":[]," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"},\"annotations\":1," START "}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"}}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"},\"startsAt\":\"yesterday\"}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"firing\",\"labels\":{\"alertname\":\"A\"},\"startsAt\":\"2026-01-02T03:04:05.\"}]"), WEBHOOK_SCHEMA},
    {BODY("[{\"status\":\"resolved\",\"labels\":{\"alertname\":\"A\"},\"startsAt\":\"2026-01-02T03:04:05+01:00\"}]"),
     WEBHOOK_DECODED},
    {"{\"version\":\"3\",\"receiver\":\"r\",\"alerts\":[" ALERT "]}", WEBHOOK_SCHEMA},
    {"{\"version\":4,\"receiver\":\"r\",\"alerts\":[" ALERT "]}", WEBHOOK_SCHEMA},
    {"{\"version\":\"4\",\"alerts\":[" ALERT "]}", WEBHOOK_SCHEMA},
    {"[]", WEBHOOK_SCHEMA},
    {"", WEBHOOK_NOT_JSON},
    {"{\"version\":\"3\"", WEBHOOK_NOT_JSON},
    {BODY("[" ALERT "]") "x", WEBHOOK_NOT_JSON},
};

static void alertmanager_bodies(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof alertmanager / sizeof *alertmanager; i++) {
    struct seen seen;
    const struct webhook_result result = decode(WEBHOOK_ALERTMANAGER, alertmanager[i].text, UINT32_MAX, &seen);
    if (result.outcome != alertmanager[i].outcome)
      fail_msg("%s: %s", alertmanager[i].text, result.error ? result.error : "taken");
    if (result.outcome == WEBHOOK_DECODED) {
      assert_int_equal(seen.alerts, result.alerts);
    } else {
      assert_non_null(result.error);
      assert_int_equal(seen.batches, 0);
    }
  }
}

static void an_alert_has_its_name_service_and_state(void **state) {
  (void)state;
  struct seen seen;
  decode(WEBHOOK_ALERTMANAGER, BODY("[" ALERT "]"), UINT32_MAX, &seen);
  assert_int_equal(seen.webhooks, 1);
  assert_int_equal(seen.firing, 1);
  assert_string_equal(seen.name, "A");
  assert_string_equal(seen.service, "pay");
}

static void a_json_body_is_an_object(void **state) {
  (void)state;
  struct seen seen;
  assert_int_equal(decode(WEBHOOK_JSON, "{\"a\":{\"b\":[1,2]}}", UINT32_MAX, &seen).outcome, WEBHOOK_DECODED);
  assert_int_equal(seen.webhooks, 1);
  assert_int_equal(decode(WEBHOOK_JSON, "[1]", UINT32_MAX, &seen).outcome, WEBHOOK_SCHEMA);
  assert_int_equal(decode(WEBHOOK_JSON, "{\"a\":1", UINT32_MAX, &seen).outcome, WEBHOOK_NOT_JSON);
  assert_int_equal(decode(WEBHOOK_JSON, "{} {}", UINT32_MAX, &seen).outcome, WEBHOOK_NOT_JSON);
}

static void a_sink_without_room_is_told_to_the_caller(void **state) {
  (void)state;
  struct seen seen;
  assert_int_equal(decode(WEBHOOK_JSON, "{}", 0, &seen).outcome, WEBHOOK_NO_ROOM);
  assert_int_equal(decode(WEBHOOK_ALERTMANAGER, BODY("[" ALERT "]"), 1, &seen).outcome, WEBHOOK_NO_ROOM);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alertmanager_bodies),
      cmocka_unit_test(an_alert_has_its_name_service_and_state),
      cmocka_unit_test(a_json_body_is_an_object),
      cmocka_unit_test(a_sink_without_room_is_told_to_the_caller),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
