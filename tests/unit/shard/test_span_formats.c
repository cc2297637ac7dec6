/* Spans in the formats beside OTLP/HTTP, as a shard takes or refuses them: every request is answered, every datagram counted. */
#include "cmocka_test.h"
#include "shard_rig.h"
#include "thrift_writer.h"
#include <string.h>

#define ZIPKIN "POST /api/v2/spans HTTP/1.1\r\n" JSON
#define JSON "Content-Type: application/json\r\nX-Filler:"

static struct shard_rig rig;

static int tear_down(void **state) {
  (void)state;
  rig_stop(&rig);
  return 0;
}

static void start(void) {
  rig_init(&rig, 1);
  rig_start(&rig);
}

static struct rig_answer expect_status(const char *head, const char *body, unsigned status) {
  rig_post(&rig, 0, APPLIANCE_ZIPKIN_PORT, head, body, strlen(body));
  const struct rig_answer answer = rig_wait(&rig, 0);
  if (answer.status != status) fail_msg("%s: %s, expected %u", head, answer.head, status);
  return answer;
}

static void send_datagram(uint16_t port, const void *payload, uint32_t bytes) {
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  struct segment_ends ends = rig.clients[0].ends;
  ends.client_port = 40000;
  ends.server_port = port;
  sim_wire_peer_send(rig.appliance.wires[0], 0, frame, segment_write_datagram(&ends, payload, bytes, frame));
  rig_pass(&rig, RIG_MS);
}

static void each_datagram_is_accounted_once(void **state) {
  (void)state;
  static uint8_t request[64] = {0x0a, 34, 0x12, 32, 0x12, 30, 0x0a, 16}; /* one span: two ids and nothing else */
  memset(request + 8, 1, 16);
  memcpy(request + 24, "\x12\x08zzzzzzzz\x1a\x00", 12);
  start();
  send_datagram(APPLIANCE_OTLP_PORT, request, 36);
  send_datagram(APPLIANCE_OTLP_PORT, request, 35);
  send_datagram(APPLIANCE_OTLP_PORT, "", 0);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  rig_pass(&rig, RIG_MS);
  send_datagram(APPLIANCE_OTLP_PORT, request, 36);
  assert_int_equal(RIG_SUM(&rig, shard.otlp_datagrams.received), 4);
  assert_int_equal(RIG_SUM(&rig, shard.otlp_datagrams.outcomes[DATAGRAM_ACCEPTED]), 3);
  assert_int_equal(RIG_SUM(&rig, shard.otlp_datagrams.outcomes[DATAGRAM_MALFORMED]), 1);
  assert_int_equal(RIG_SUM(&rig, shard.otlp_datagrams.outcomes[DATAGRAM_OVERLOAD]), 0);
  /* Also those after the journal has failed: they are judged, and ask for no answer. */
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), 2);
}

/* In fragments, as a sender's kernel cuts it; without a UDP checksum. */
static void send_large_datagram(uint16_t port, const uint8_t *payload, uint32_t bytes) {
  static uint8_t packet[65536];
  uint8_t frame[SEGMENT_FRAME_BYTES_MAX];
  const uint32_t total = bytes + 8, piece = 1480;
  const uint8_t header[8] = {40001 >> 8, 40001 & 255, (uint8_t)(port >> 8), (uint8_t)port, (uint8_t)(total >> 8), (uint8_t)total};
  memcpy(packet, header, sizeof header);
  memcpy(packet + sizeof header, payload, bytes);
  for (uint32_t at = 0; at < total; at += piece) {
    const uint32_t length = total - at < piece ? total - at : piece;
    sim_wire_peer_send(rig.appliance.wires[0], 0, frame,
                       segment_write_fragment(&rig.clients[0].ends, 7, 17, packet, at, length, at + length == total, frame));
  }
  rig_pass(&rig, RIG_MS);
}

/* 60 KB of either kind: more than any frame holds. */
static void a_datagram_may_come_in_fragments(void **state) {
  (void)state;
  static struct thrift_writer message;
  static uint8_t request[60000];
  uint32_t bytes = 0;
  for (; bytes + 36 <= sizeof request; bytes += 36) {
    memcpy(request + bytes, "\x0a\x22\x12\x20\x12\x1e\x0a\x10", 8);
    memset(request + bytes + 8, 1, 16);
    memcpy(request + bytes + 24, "\x12\x08zzzzzzzz\x1a\x00", 12);
  }
  start();
  send_large_datagram(APPLIANCE_OTLP_PORT, request, bytes);
  assert_int_equal(RIG_SUM(&rig, shard.otlp_datagrams.outcomes[DATAGRAM_ACCEPTED]), 1);
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), bytes / 36);
  put_spans(&message, "shop", 1500);
  assert_in_range(message.length, 55000, 65000);
  send_large_datagram(APPLIANCE_JAEGER_PORT, message.bytes, message.length);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_ACCEPTED]), 1);
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), bytes / 36 + 1500);
  assert_int_equal(RIG_SUM(&rig, network.datagrams_reassembled), 2);
}

static void each_jaeger_datagram_is_accounted_by_reason(void **state) {
  (void)state;
  static struct thrift_writer message;
  static const char binary[] = "\x80\x01\x00\x04\0\0\0\x09"
                               "emitBatch";
  start();
  put_spans(&message, "shop", 3);
  send_datagram(APPLIANCE_JAEGER_PORT, message.bytes, message.length);
  send_datagram(APPLIANCE_JAEGER_PORT, message.bytes, message.length - 1);
  send_datagram(APPLIANCE_JAEGER_PORT, "", 0);
  send_datagram(APPLIANCE_JAEGER_PORT, binary, sizeof binary - 1);
  put_message(&message, "emitZipkinBatch");
  send_datagram(APPLIANCE_JAEGER_PORT, message.bytes, message.length);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  rig_pass(&rig, RIG_MS);
  put_spans(&message, "shop", 1);
  send_datagram(APPLIANCE_JAEGER_PORT, message.bytes, message.length);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.received), 6);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_ACCEPTED]), 2);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_MALFORMED]), 2);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_PROTOCOL]), 1);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_METHOD]), 1);
  assert_int_equal(RIG_SUM(&rig, shard.jaeger_datagrams.outcomes[DATAGRAM_OVERLOAD]), 0);
  /* The spans of the one that was cut were met before its end was. */
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), 4);
  assert_int_equal(RIG_SUM(&rig, shard.spans_decoded), 7);
  assert_int_equal(RIG_SUM(&rig, shard.spans_rejected_malformed), 3);
}

static void zipkin_spans_are_taken_or_refused(void **state) {
  (void)state;
  static const char good[] = "{\"traceId\":\"5b8efff798038103\",\"id\":\"eee19b7ec3c1b174\"}";
  static char body[300000];
  start();
  assert_string_equal(expect_status(ZIPKIN, "[]", 202).body, "");
  snprintf(body, sizeof body, "[%s,%s,{\"traceId\":\"x\"}]", good, good);
  expect_status(ZIPKIN, body, 202);
  expect_status(ZIPKIN, "[{}]", 400);
  snprintf(body, sizeof body, "[%s,", good);
  expect_status(ZIPKIN, body, 400);
  assert_int_equal(RIG_SUM(&rig, shard.zipkin_requests), 4);
  assert_int_equal(RIG_SUM(&rig, shard.spans_decoded), 5);
  assert_int_equal(RIG_SUM(&rig, shard.spans_evaluated), 2);
  assert_int_equal(RIG_SUM(&rig, shard.spans_rejected[SPAN_REJECT_TRACE_ID]), 2);
  assert_int_equal(RIG_SUM(&rig, shard.spans_rejected_malformed), 1);
  expect_status("POST /api/v1/spans HTTP/1.1\r\n" JSON, "[]", 404);
  expect_status("GET /api/v2/spans HTTP/1.1\r\nX-Filler:", "", 405);
  expect_status("POST /api/v2/spans HTTP/1.1\r\nContent-Type: application/x-protobuf\r\nX-Filler:", "", 415);
  memset(body, ' ', sizeof body - 1);
  expect_status(ZIPKIN, body, 413);
  shard_set_journal_failed(rig.appliance.shards[0], true);
  rig_pass(&rig, RIG_MS);
  rig_post(&rig, 1, APPLIANCE_ZIPKIN_PORT, ZIPKIN, "[]", 2);
  const struct rig_answer overloaded = rig_wait(&rig, 1);
  assert_int_equal(overloaded.status, 503);
  assert_non_null(strstr(overloaded.head, "Retry-After"));
}

/* With a violation, and the journal in the test's hand. */
static void zipkin_waits_for_the_disk_when_it_is_to(void **state) {
  (void)state;
  static const char body[] = "[{\"traceId\":\"1\",\"id\":\"2\",\"name\":\"payment\",\"localEndpoint\":{\"serviceName\":\"shop\"},"
                             "\"tags\":{\"amount\":\"500\",\"note\":\"note-1\",\"entry\":\"e1\"}}]";
  rig_init(&rig, 1);
  rig.options.spans_durable = true;
  rig_start(&rig);
  rig.journal_held_up = true;
  rig_post(&rig, 0, APPLIANCE_ZIPKIN_PORT, ZIPKIN, body, sizeof body - 1);
  rig_pass(&rig, 20 * RIG_MS);
  assert_int_equal(rig_answer(&rig, 0).status, 0);
  assert_int_equal(RIG_SUM(&rig, engine.violations_emitted), 1);
  rig.journal_held_up = false;
  assert_int_equal(rig_wait(&rig, 0).status, 202);
}

int main(void) {
  const struct CMUnitTest span_formats[] = {
      cmocka_unit_test_teardown(each_datagram_is_accounted_once, tear_down),
      cmocka_unit_test_teardown(a_datagram_may_come_in_fragments, tear_down),
      cmocka_unit_test_teardown(each_jaeger_datagram_is_accounted_by_reason, tear_down),
      cmocka_unit_test_teardown(zipkin_spans_are_taken_or_refused, tear_down),
      cmocka_unit_test_teardown(zipkin_waits_for_the_disk_when_it_is_to, tear_down),
  };
  return cmocka_run_group_tests(span_formats, NULL, NULL);
}
