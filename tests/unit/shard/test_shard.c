/* What a shard answers, when, and what it does for the others: directed stories on the rig. The simulator tells the random ones.
 */
#include "cmocka_test.h"
#include "shard_rig.h"
#include "webhook_record.h"
#include <string.h>

#define JSON "Content-Type: application/json\r\nX-Filler:"
#define PROTOBUF "Content-Type: application/x-protobuf\r\nX-Filler:"

static struct shard_rig rig;

static int tear_down(void **state) {
  (void)state;
  rig_stop(&rig);
  return 0;
}

static void start(uint16_t shards) {
  rig_init(&rig, shards);
  rig_start(&rig);
}

static void expect_status(uint16_t port, const char *head, const char *body, unsigned status) {
  rig_post(&rig, 0, port, head, body, strlen(body));
  const struct rig_answer answer = rig_wait(&rig, 0);
  if (answer.status != status) fail_msg("%s: %s, expected %u", head, answer.head, status);
}

static void each_refusal_has_its_status(void **state) {
  (void)state;
  start(1);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\n" JSON, "{}", 200);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/logs HTTP/1.1\r\n" JSON, "{}", 404);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/metrics HTTP/1.1\r\n" PROTOBUF, "", 404);
  expect_status(APPLIANCE_OTLP_PORT, "GET /v1/traces HTTP/1.1\r\nX-Filler:", "", 405);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\nContent-Type: text/plain\r\nX-Filler:", "{}", 415);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\n" JSON, "{", 400);
  expect_status(APPLIANCE_OTLP_PORT, "POST /v1/traces HTTP/1.1\r\n" PROTOBUF, "\xff", 400);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/nobody HTTP/1.1\r\n" JSON, "{}", 404);
  expect_status(APPLIANCE_WEBHOOK_PORT, "GET /webhook/plain HTTP/1.1\r\nX-Filler:", "", 405);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\nContent-Type: text/plain\r\nX-Filler:", "{}", 415);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\n" JSON, "[]", 422);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\n" JSON, "{", 400);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/quick HTTP/1.1\r\n" JSON, "{}", 202);
  static char large[40000];
  memset(large, ' ', sizeof large - 1);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\n" JSON, large, 413);
}

static void other_signals_are_told_that_only_traces_are_taken(void **state) {
  (void)state;
  static const char *const paths[] = {"/v1/logs", "/v1/metrics"};
  /* google.rpc.Status by hand: code 5 (NOT_FOUND), then the 43 bytes of the message. */
  static const char text[] = "only traces are taken here: POST /v1/traces";
  start(1);
  for (size_t i = 0; i < 2; i++) {
    char head[128];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" JSON, paths[i]);
    rig_post(&rig, 0, APPLIANCE_OTLP_PORT, head, "{}", 2);
    struct rig_answer answer = rig_wait(&rig, 0);
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.body, "{\"code\":5,\"message\":\"only traces are taken here: POST /v1/traces\"}");
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" PROTOBUF, paths[i]);
    rig_post(&rig, 0, APPLIANCE_OTLP_PORT, head, "", 0);
    answer = rig_wait(&rig, 0);
    assert_int_equal(answer.status, 404);
    assert_memory_equal(answer.body, "\x08\x05\x12\x2b", 4);
    assert_string_equal(answer.body + 4, text);
  }
}

static void a_durable_answer_waits_for_the_disk(void **state) {
  (void)state;
  start(2);
  rig.journal_held_up = true;
  rig_post_order(&rig, 0, "plain", "e1", 500);
  rig_post_order(&rig, 1, "plain", "e2", 5); /* no violation: its own record must be durable, too */
  rig_post_order(&rig, 2, "quick", "e3", 500);
  rig_pass(&rig, 20 * RIG_MS);
  assert_int_equal(rig_answer(&rig, 0).status, 0);
  assert_int_equal(rig_answer(&rig, 1).status, 0);
  assert_int_equal(rig_answer(&rig, 2).status, 202);
  rig.journal_held_up = false;
  assert_int_equal(rig_wait(&rig, 0).status, 200);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_durable), 2);
  assert_int_equal(RIG_SUM(&rig, engine.violations_emitted), 2);
}

/* One after another, over several flushes, and then all at once after one: no answer passes an earlier one. */
static void durable_answers_resume_in_order(void **state) {
  (void)state;
  start(1);
  for (unsigned held = 0; held < 2; held++) {
    char order[8];
    unsigned posted = 0, answered = 0;
    rig.journal_held_up = held;
    for (unsigned step = 0; step < 100000 && answered < RIG_CLIENTS; step++) {
      if (step % 30 == 0 && posted < RIG_CLIENTS) {
        snprintf(order, sizeof order, "o%u%u", held, posted);
        rig_post_order(&rig, posted++, "plain", order, 500);
      }
      if (posted == RIG_CLIENTS && step > 1000) rig.journal_held_up = false;
      rig_step(&rig, RIG_MS / 100);
      const unsigned before = answered;
      while (answered < posted && rig_answer(&rig, answered).status == 200) answered++;
      for (unsigned later = answered + 1; later < posted; later++) assert_int_equal(rig_answer(&rig, later).status, 0);
      assert_true(answered == before || !rig.journal_held_up);
    }
    assert_int_equal(answered, RIG_CLIENTS);
  }
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_durable), 2 * RIG_CLIENTS);
}

/* The newest durable record of a webhook; violations before it are counted. */
static struct webhook_account read_account(uint32_t *violations) {
  struct webhook_account account = {0};
  *violations = 0;
  for (const struct record_header *record; (record = appliance_read(&rig.appliance));) {
    if (record->type != RECORD_WEBHOOK) {
      *violations += record->type == RECORD_VIOLATION;
      continue;
    }
    assert_true(webhook_account_read(record, record->bytes, &account));
    return account;
  }
  return account;
}

static void an_accepted_webhook_is_recorded_with_its_verdict(void **state) {
  (void)state;
  uint32_t violations;
  start(1);
  expect_status(APPLIANCE_WEBHOOK_PORT,
                "POST /webhook/plain HTTP/1.1\r\ncookie: secret\r\nContent-Type: application/json\r\nX-Filler:",
                "{\"order\":{\"entry\":\"e1\",\"amount\":500}}", 200);
  struct webhook_account account = read_account(&violations);
  assert_true(account.audited);
  assert_int_equal(violations, 1);
  assert_int_equal(account.audit.violations, 1);
  assert_int_equal(account.audit.violation_id_count, 1);
  assert_int_equal(account.audit.generation, rig.appliance.generation);
  assert_int_equal(account.audit.peer_port, rig.clients[0].ends.client_port);
  assert_memory_equal(account.audit.peer, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x56\0\x64", 16);
  assert_true(account.audit.received_ns > 0 && account.audit.received_ns <= account.record.header.wall_ns);
  assert_int_equal(account.audit.flags, WEBHOOK_BODY_KEPT);
  assert_int_equal(account.audit.header_count, 2); /* of the four */
  assert_int_equal(account.headers[0].value.length, 16);
  assert_memory_equal(account.headers[0].name.at, "content-type", 12);
  assert_memory_equal(account.headers[0].value.at, "application/json", 16);
  assert_int_equal(account.record.body_bytes, 37);
  assert_memory_equal(account.body, "{\"order\":{\"entry\":\"e1\",\"amount\":500}}", 37);
  char body[400] = "{\"a\":\"";
  memset(body + 6, 'x', 390);
  memcpy(body + 396, "\"}", 3);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\n" JSON, body, 200);
  account = read_account(&violations);
  assert_int_equal(violations + account.audit.violations, 0);
  assert_int_equal(account.audit.flags, WEBHOOK_BODY_TOO_LARGE);
  assert_null(account.body);
  assert_int_equal(account.record.body_bytes, 398);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/plain HTTP/1.1\r\n" JSON, "{", 400);
  expect_status(APPLIANCE_WEBHOOK_PORT, "POST /webhook/quick HTTP/1.1\r\n" JSON, "{}", 202);
  rig_pass(&rig, 20 * RIG_MS);
  account = read_account(&violations); /* what was refused has none */
  assert_int_equal(account.record.status, 202);
}

/* Frame by frame by turns, and one queue stopped so that its frames roll over: still only the flow's owner answers. */
static void another_shards_frames_are_handed_over(void **state) {
  static const enum sim_spread spreads[] = {SIM_SPREAD_ROUND, SIM_SPREAD_ROLLOVER};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    rig_init(&rig, 3);
    rig.options.wire.spread = spreads[i];
    rig_start(&rig);
    for (uint32_t client = 0; client < RIG_CLIENTS; client++) rig_post_order(&rig, client, "plain", "e1", 500);
    for (uint32_t client = 0; client < RIG_CLIENTS; client++) assert_int_equal(rig_wait(&rig, client).status, 200);
    for (uint16_t queue = 0; queue < 3; queue++) {
      sim_wire_block_queue(rig.appliance.wires[0], queue, spreads[i] == SIM_SPREAD_ROLLOVER);
      for (uint32_t client = 0; client < RIG_CLIENTS; client++) rig_post_order(&rig, client, "plain", "e1", 500);
      for (uint32_t client = 0; client < RIG_CLIENTS; client++) assert_int_equal(rig_wait(&rig, client).status, 200);
      sim_wire_block_queue(rig.appliance.wires[0], queue, false);
    }
    assert_true(RIG_SUM(&rig, shard.frames_handed_over) > 0);
    assert_int_equal(RIG_SUM(&rig, network.tcp_resets_sent), 0);
    if (i == 0) rig_stop(&rig);
  }
}

/* Connections to different shards; the id has one owner. */
static void an_id_takes_effect_once_on_all_shards(void **state) {
  (void)state;
  start(4);
  rig.journal_held_up = true;
  for (uint32_t client = 0; client < RIG_CLIENTS; client++) rig_post_signed(&rig, client, "id-1", "e1", 500, true);
  rig_pass(&rig, 20 * RIG_MS);
  for (uint32_t client = 0; client < RIG_CLIENTS; client++) assert_int_equal(rig_answer(&rig, client).status, 0);
  rig.journal_held_up = false;
  const struct rig_answer first = rig_wait(&rig, 0);
  assert_int_equal(first.status, 200);
  for (uint32_t client = 1; client < RIG_CLIENTS; client++) {
    const struct rig_answer again = rig_wait(&rig, client);
    assert_int_equal(again.status, 200);
    assert_string_equal(again.body, first.body);
  }
  assert_int_equal(RIG_SUM(&rig, engine.violations_emitted), 1);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_accepted), 1);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_repeated), RIG_CLIENTS - 1);
  rig_post_signed(&rig, 3, "id-1", "e1", 501, true);
  assert_int_equal(rig_wait(&rig, 3).status, 409);
}

static void a_bad_signature_does_not_burn_an_id(void **state) {
  (void)state;
  start(2);
  rig_post_signed(&rig, 0, "id-1", "e1", 500, false);
  assert_int_equal(rig_wait(&rig, 0).status, 401);
  rig_post_signed(&rig, 1, "id-1", "e1", 500, true);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
}

static void a_full_table_of_ids_refuses_and_forgets_nothing(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.replay_capacity = 4;
  rig_start(&rig);
  char id[16];
  unsigned accepted = 0, refused = 0;
  for (unsigned i = 0; i < 12; i++) {
    snprintf(id, sizeof id, "id-%u", i);
    rig_post_signed(&rig, 0, id, "e1", 5, true);
    const unsigned status = rig_wait(&rig, 0).status;
    assert_true(status == 200 || status == 503);
    accepted += status == 200;
    refused += status == 503;
  }
  assert_true(accepted >= 4 && refused > 0);
  assert_int_equal(RIG_SUM(&rig, replay.full), refused);
  rig_post_signed(&rig, 1, "id-0", "e1", 5, true);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_repeated), 1);
}

/* Three hundred rules that an order violates: more than the journal keeps whole over a crash, and less than a ring holds. */
static const char *rules_of_a_large_unit(void) {
  static char text[300 * 400];
  size_t length = (size_t)sprintf(text, "rules:\n");
  for (unsigned i = 0; i < 300; i++)
    length += (size_t)snprintf(text + length, sizeof text - length,
                               "  - {name: large-%u, on: webhook, if: body.order.amount > 100, message: \"%0100u\"}\n", i, i);
  return text;
}

static void an_id_is_not_taken_for_more_than_a_crash_keeps_whole(void **state) {
  (void)state;
  rig_init(&rig, 1);
  rig.options.rules = rules_of_a_large_unit();
  rig_start(&rig);
  rig_post_order(&rig, 0, "plain", "e1", 500);
  assert_int_equal(rig_wait(&rig, 0).status, 200);
  rig_post_signed(&rig, 0, "id-1", "e1", 500, true);
  assert_int_equal(rig_wait(&rig, 0).status, 413);
  rig_post_signed(&rig, 0, "id-1", "e2", 50, true); /* the id was not used up */
  assert_int_equal(rig_wait(&rig, 0).status, 200);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_accepted), 2);
}

static void a_client_that_leaves_does_not_undo_its_webhook(void **state) {
  (void)state;
  start(2);
  rig.journal_held_up = true;
  rig_post_signed(&rig, 0, "id-1", "e1", 500, true);
  rig_pass(&rig, 5 * RIG_MS);
  client_tcp_abort(&rig.clients[0]);
  rig_pass(&rig, 5 * RIG_MS);
  rig.journal_held_up = false;
  rig_pass(&rig, 20 * RIG_MS);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_durable), 1);
  assert_int_equal(rig.appliance.snapshots[0].shard.parked + rig.appliance.snapshots[1].shard.parked, 0);
  rig_post_signed(&rig, 1, "id-1", "e1", 500, true);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_accepted), 1);
}

static void a_failed_journal_acknowledges_nothing(void **state) {
  (void)state;
  start(1);
  rig.journal_held_up = true;
  rig_post_order(&rig, 0, "plain", "e1", 500);
  rig_pass(&rig, 5 * RIG_MS);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  struct rig_answer answer = rig_wait(&rig, 0);
  assert_int_equal(answer.status, 503);
  assert_non_null(strstr(answer.body, "journal_failed"));
  assert_non_null(strcasestr(answer.head, "retry-after: "));
  rig_post_order(&rig, 1, "plain", "e2", 500);
  answer = rig_wait(&rig, 1);
  assert_int_equal(answer.status, 503);
  assert_non_null(strcasestr(answer.head, "retry-after: "));
}

/* First the windows close; half a second later requests are refused; once there is room again all is well. */
static void a_journal_that_falls_behind_pushes_back(void **state) {
  (void)state;
  start(1);
  rig.journal_held_up = true;
  uint32_t sent = 0, refused = 0, accepted = 0;
  for (uint32_t i = 0; i < 4000 && !refused; i++) {
    if (sent == accepted) {
      rig_post_order(&rig, 0, "quick", "e1", 500);
      sent++;
    }
    rig_pass(&rig, RIG_MS);
    for (struct rig_answer answer; (answer = rig_answer(&rig, 0)).status;) {
      accepted += answer.status == 202;
      refused += answer.status == 503;
    }
  }
  assert_int_equal(refused, 1);
  assert_int_equal(RIG_SUM(&rig, shard.receiving_paused), 1);
  assert_true(accepted > 100);
  const uint64_t waiting = RIG_SUM(&rig, records.bytes_waiting);
  assert_true(waiting > (256u << 10) / 4 * 3 && waiting <= 256u << 10);
  assert_int_equal(RIG_SUM(&rig, shard.webhooks_accepted), accepted);
  rig.journal_held_up = false;
  rig_pass(&rig, 50 * RIG_MS);
  rig_post_order(&rig, 1, "plain", "e2", 500);
  assert_int_equal(rig_wait(&rig, 1).status, 200);
  assert_int_equal(RIG_SUM(&rig, records.bytes_waiting), 0);
}

static void draining_ends_what_was_begun(void **state) {
  (void)state;
  start(2);
  rig.journal_held_up = true;
  rig_post_order(&rig, 0, "plain", "e1", 500);
  rig_pass(&rig, 5 * RIG_MS);
  appliance_request_drain(&rig.appliance);
  rig_pass(&rig, 20 * RIG_MS);
  assert_false(appliance_drained(&rig.appliance));
  rig.journal_held_up = false;
  const struct rig_answer answer = rig_wait(&rig, 0);
  assert_int_equal(answer.status, 200);
  assert_non_null(strcasestr(answer.head, "connection: close"));
  rig_pass(&rig, 20 * RIG_MS);
  assert_true(appliance_drained(&rig.appliance));
  client_tcp_start(&rig.clients[1], APPLIANCE_WEBHOOK_PORT, &rig.random, rig.now_ns);
  rig_pass(&rig, 5 * RIG_MS);
  assert_int_equal(rig.clients[1].state, CLIENT_TCP_RESET);
}

static void a_snapshot_is_taken_once_for_each_request(void **state) {
  (void)state;
  start(1);
  struct shard *shard = rig.appliance.shards[0];
  struct shard_snapshot snapshot;
  const uint64_t steps = shard_heartbeat(shard);
  assert_true(shard_snapshot_request(shard));
  assert_false(shard_snapshot_request(shard));
  assert_false(shard_snapshot_read(shard, &snapshot));
  shard_step(shard, rig.now_ns, appliance_wall_ns(&rig.appliance, rig.now_ns));
  assert_true(shard_snapshot_read(shard, &snapshot));
  assert_int_equal(snapshot.shard.steps, steps);
  assert_int_equal(snapshot.taken_ns, rig.now_ns);
  assert_int_equal(shard_heartbeat(shard), steps + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(each_refusal_has_its_status, tear_down),
      cmocka_unit_test_teardown(other_signals_are_told_that_only_traces_are_taken, tear_down),
      cmocka_unit_test_teardown(a_durable_answer_waits_for_the_disk, tear_down),
      cmocka_unit_test_teardown(durable_answers_resume_in_order, tear_down),
      cmocka_unit_test_teardown(an_accepted_webhook_is_recorded_with_its_verdict, tear_down),
      cmocka_unit_test_teardown(another_shards_frames_are_handed_over, tear_down),
      cmocka_unit_test_teardown(an_id_takes_effect_once_on_all_shards, tear_down),
      cmocka_unit_test_teardown(a_bad_signature_does_not_burn_an_id, tear_down),
      cmocka_unit_test_teardown(a_full_table_of_ids_refuses_and_forgets_nothing, tear_down),
      cmocka_unit_test_teardown(an_id_is_not_taken_for_more_than_a_crash_keeps_whole, tear_down),
      cmocka_unit_test_teardown(a_client_that_leaves_does_not_undo_its_webhook, tear_down),
      cmocka_unit_test_teardown(a_failed_journal_acknowledges_nothing, tear_down),
      cmocka_unit_test_teardown(a_journal_that_falls_behind_pushes_back, tear_down),
      cmocka_unit_test_teardown(draining_ends_what_was_begun, tear_down),
      cmocka_unit_test_teardown(a_snapshot_is_taken_once_for_each_request, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
