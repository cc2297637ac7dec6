/* What a shard sheds, in which order, and that it takes everything again when the load has gone. */
#include "cmocka_test.h"
#include "shard_rig.h"
#include <string.h>

#define SPANS "POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:"

static struct shard_rig rig;

static int tear_down(void **state) {
  (void)state;
  rig_stop(&rig);
  return 0;
}

static const struct watermark *pressure(enum pressure_resource resource) {
  return &rig.appliance.snapshots[0].pressure[resource];
}

static bool sheds(enum shed what) { return rig.appliance.snapshots[0].shedding >> what & 1; }

static void expect_state(enum pressure_resource resource, enum pressure state) {
  const struct watermark *watermark = pressure(resource);
  if (watermark->state != state)
    fail_msg("%s is %s with %llu of %llu, expected %s", pressure_resource_name(resource), pressure_name(watermark->state),
             (unsigned long long)watermark->used, (unsigned long long)watermark->capacity, pressure_name(state));
}

static void expect_normal(void) {
  for (unsigned r = 0; r < RESOURCES; r++) expect_state((enum pressure_resource)r, PRESSURE_NORMAL);
  assert_int_equal(rig.appliance.snapshots[0].shedding, 0);
}

static void expect_refused(uint32_t client, const char *word) {
  const struct rig_answer answer = rig_wait(&rig, client);
  assert_int_equal(answer.status, 503);
  assert_non_null(strcasestr(answer.head, "\r\nretry-after: 1\r\n"));
  if (!strstr(answer.body, word)) fail_msg("%s: no %s", answer.body, word);
}

static void post_spans(uint32_t client) { rig_post(&rig, client, APPLIANCE_OTLP_PORT, SPANS, "{}", 2); }

/* Webhooks that are only acknowledged as received fill the ring until they are refused. */
static void fill_records(void) {
  uint32_t refused = 0;
  rig.journal_held_up = true;
  for (uint32_t i = 0; i < 4000 && !refused; i++) {
    rig_post_order(&rig, 0, "quick", "e1", 500);
    rig_pass(&rig, RIG_MS);
    for (struct rig_answer answer; (answer = rig_answer(&rig, 0)).status;) refused += answer.status == 503;
  }
  assert_true(refused > 0);
}

/* The client forgets the connection that it had; the server does not. */
static void forget(uint32_t client) { rig.clients[client].state = CLIENT_TCP_IDLE; }

static void a_full_record_ring_sheds_spans_first_and_durable_webhooks_last(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.connections_max = 512;
  rig_start(&rig);
  fill_records();
  expect_state(RESOURCE_RECORDS, PRESSURE_SOFT);
  assert_true(sheds(SHED_SPANS) && sheds(SHED_WEBHOOKS) && !sheds(SHED_DURABLE_SPANS) && !sheds(SHED_DURABLE_WEBHOOKS));
  post_spans(1);
  expect_refused(1, "the journal is behind");
  rig_post_order(&rig, 2, "plain", "e2", 500);
  rig_pass(&rig, 20 * RIG_MS);
  assert_int_equal(rig_answer(&rig, 2).status, 0); /* taken: it waits for the disk */
  assert_int_equal(rig.appliance.snapshots[0].shard.webhooks_pending, 1);
  assert_int_equal(RIG_SUM(&rig, shard.shed[SHED_SPANS]), 1);
  assert_true(RIG_SUM(&rig, shard.shed[SHED_WEBHOOKS]) >= 1);
  /* Up to the last byte of the ring; then none is accepted that could not be kept. */
  unsigned status = 0, posted = 0;
  for (; status == 0 && posted < 250; posted++) {
    forget(3);
    rig_post_order(&rig, 3, "plain", "e3", 500);
    rig_pass(&rig, RIG_MS);
    status = rig_answer(&rig, 3).status;
  }
  assert_int_equal(status, 503);
  assert_true(posted > 50);
  expect_state(RESOURCE_RECORDS, PRESSURE_HARD);
  assert_true(sheds(SHED_DURABLE_SPANS) && !sheds(SHED_DURABLE_WEBHOOKS));
  assert_int_equal(RIG_SUM(&rig, shard.shed[SHED_DURABLE_WEBHOOKS]), 0);
  assert_int_equal(rig.appliance.snapshots[0].shard.webhooks_pending, posted);
  rig.journal_held_up = false;
  assert_int_equal(rig_wait(&rig, 2).status, 200);
  rig_pass(&rig, 200 * RIG_MS);
  expect_normal();
  post_spans(4);
  assert_int_equal(rig_wait(&rig, 4).status, 200);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_durable), posted);
}

/* Nothing is taken any more: webhooks not at all, spans are judged and counted, and their sender may try elsewhere. */
static void a_failed_journal_refuses_all_and_judges_spans(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig_start(&rig);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  rig_post_order(&rig, 0, "plain", "e1", 500);
  expect_refused(0, "the journal has failed");
  rig_post_order(&rig, 1, "quick", "e1", 500);
  expect_refused(1, "the journal has failed");
  const char payment[] =
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},"
      "\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"0123456789abcdef\","
      "\"name\":\"payment\",\"attributes\":[{\"key\":\"amount\",\"value\":{\"stringValue\":\"500\"}},"
      "{\"key\":\"note\",\"value\":{\"stringValue\":\"note-1\"}}]}]}]}]}";
  rig_post(&rig, 2, APPLIANCE_OTLP_PORT, SPANS, payment, sizeof payment - 1);
  expect_refused(2, "the journal has failed");
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), 1);
  assert_int_equal(RIG_SUM(&rig, engine.violations_emitted), 1);
  assert_true(sheds(SHED_DURABLE_WEBHOOKS) && sheds(SHED_WEBHOOKS));
}

/* Answers that wait: durable spans leave the last slots to durable webhooks. Those that need none are not refused. */
static void parked_slots_are_kept_for_webhooks(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.parked_max = 16;
  rig.options.spans_durable = true;
  rig_start(&rig);
  rig.journal_held_up = true;
  for (unsigned i = 0; i < 14; i++) {
    forget(0);
    rig_post_order(&rig, 0, "plain", "e1", 5);
    rig_pass(&rig, RIG_MS);
  }
  expect_state(RESOURCE_PARKED, PRESSURE_HARD);
  post_spans(1);
  expect_refused(1, "too many answers wait");
  for (uint32_t client = 2; client < 5; client++) rig_post_order(&rig, client, "plain", "e1", 5);
  rig_pass(&rig, 5 * RIG_MS);
  assert_int_equal(rig.appliance.snapshots[0].shard.parked, 16);
  assert_int_equal(rig_answer(&rig, 2).status, 0);
  expect_refused(4, "too many answers wait");
  rig.journal_held_up = false;
  assert_int_equal(rig_wait(&rig, 2).status, 200);
  rig_pass(&rig, 10 * RIG_MS);
  expect_normal();
  assert_int_equal(pressure(RESOURCE_PARKED)->entered[PRESSURE_NORMAL], 1);
  post_spans(1);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
}

static void open_idle(unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    forget(0);
    rig_post_order(&rig, 0, "quick", "e1", 5);
    assert_int_equal(rig_wait(&rig, 0).status, 202);
  }
}

/* The oldest idle connections are closed; past the hard mark only the port for webhooks takes new ones. */
static void idle_connections_make_room(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.connections_max = 32;
  rig_start(&rig);
  open_idle(30);
  rig_pass(&rig, RIG_MS);
  expect_state(RESOURCE_CONNECTIONS, PRESSURE_HARD);
  assert_int_equal(RIG_SUM(&rig, http.shed[HTTP_SHED_IDLE]), 0); /* all have just been served */
  client_tcp_start(&rig.clients[1], APPLIANCE_OTLP_PORT, &rig.random, rig.now_ns);
  rig_pass(&rig, 10 * RIG_MS);
  assert_int_equal(rig.clients[1].state, CLIENT_TCP_OPENING);
  assert_int_equal(RIG_SUM(&rig, network.tcp_refused_overload), 1);
  rig_post_order(&rig, 2, "plain", "e1", 5);
  assert_int_equal(rig_wait(&rig, 2).status, 200);
  /* Down to where that is over, and the SYN that comes again is taken. */
  rig_sleep(&rig, 1500 * RIG_MS);
  expect_state(RESOURCE_CONNECTIONS, PRESSURE_SOFT);
  const uint64_t reset = RIG_SUM(&rig, http.shed[HTTP_SHED_IDLE]);
  assert_true(reset >= 3 && reset <= 6);
  rig_sleep(&rig, 2000 * RIG_MS);
  assert_int_equal(rig.clients[1].state, CLIENT_TCP_OPEN);
  /* The rest is closed in order, no more than is too many, and reset when nobody answers. */
  rig_sleep(&rig, 12000 * RIG_MS);
  expect_normal();
  assert_true(rig.appliance.snapshots[0].network.tcp_connections >= 20);
  assert_true(RIG_SUM(&rig, http.shed[HTTP_SHED_CLOSING]) > 0);
}

/* Buffers that durable webhooks may need are not given to spans that are acknowledged as received. */
static void the_last_body_buffers_are_for_webhooks(void **state) {
  (void)state;
  static char body[20000];
  char head[128];
  memset(body, ' ', sizeof body);
  memcpy(body, "{}", 2);
  rig_init(&rig, 1);
  rig_start(&rig);
  /* Three of four, held by requests whose end does not come: at first nobody is too slow. */
  for (uint32_t client = 0; client < 3; client++) {
    snprintf(head, sizeof head, "POST /webhook/plain HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:");
    rig_post(&rig, client, APPLIANCE_WEBHOOK_PORT, head, body, sizeof body);
    rig.clients[client].out_bytes -= 1; /* not sent */
  }
  rig_pass(&rig, 20 * RIG_MS);
  expect_state(RESOURCE_BODIES_2, PRESSURE_SOFT);
  expect_state(RESOURCE_BODIES_1, PRESSURE_NORMAL);
  rig_post(&rig, 3, APPLIANCE_OTLP_PORT, SPANS, body, sizeof body);
  expect_refused(3, "no free body buffer");
  assert_int_equal(RIG_SUM(&rig, http.bodies_withheld), 1);
  rig_post(&rig, 4, APPLIANCE_OTLP_PORT, SPANS, body, 4000);
  assert_int_equal(rig_wait(&rig, 4).status, 200);
  snprintf(head, sizeof head, "POST /webhook/plain HTTP/1.1\r\nContent-Type: application/json\r\nX-Filler:");
  rig_post(&rig, 5, APPLIANCE_WEBHOOK_PORT, head, body, sizeof body);
  assert_int_equal(rig_wait(&rig, 5).status, 200);
  /* A second later they are, until there are enough again. */
  rig_pass(&rig, 1100 * RIG_MS);
  assert_int_equal(RIG_SUM(&rig, http.shed[HTTP_SHED_BODY]), RIG_SUM(&rig, http.answered[503]) - 1);
  assert_in_range(RIG_SUM(&rig, http.shed[HTTP_SHED_BODY]), 1, 2);
  expect_normal();
  rig_post(&rig, 3, APPLIANCE_OTLP_PORT, SPANS, body, sizeof body);
  assert_int_equal(rig_wait(&rig, 3).status, 200);
}

static void one_address_cannot_have_all(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.address_limits[ADDRESS_CONNECTIONS] = 3;
  rig_start(&rig);
  open_idle(3);
  client_tcp_start(&rig.clients[0], APPLIANCE_WEBHOOK_PORT, &rig.random, rig.now_ns);
  rig_pass(&rig, 10 * RIG_MS);
  assert_int_equal(rig.clients[0].state, CLIENT_TCP_RESET);
  assert_int_equal(rig.appliance.snapshots[0].addresses.refused[ADDRESS_CONNECTIONS], 1);
  rig_post_order(&rig, 1, "plain", "e1", 5);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(rig.appliance.snapshots[0].addresses.accounts, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_full_record_ring_sheds_spans_first_and_durable_webhooks_last, tear_down),
      cmocka_unit_test_teardown(a_failed_journal_refuses_all_and_judges_spans, tear_down),
      cmocka_unit_test_teardown(parked_slots_are_kept_for_webhooks, tear_down),
      cmocka_unit_test_teardown(idle_connections_make_room, tear_down),
      cmocka_unit_test_teardown(the_last_body_buffers_are_for_webhooks, tear_down),
      cmocka_unit_test_teardown(one_address_cannot_have_all, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
