/* Captures of known content: what is taken out of them, when, and what is said of the rest. */
#include "capture_writer.h"
#include "cmocka_test.h"
#include "trial_input_internal.h"
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

#define START_NS 1767225600000000000ull
#define BODIES_MAX 64

struct taken {
  struct {
    enum trial_format format;
    uint64_t arrived_ns;
    size_t length;
    char bytes[4096], source[64];
  } bodies[BODIES_MAX];
  size_t count;
};

static void take(void *context, uint64_t arrived_ns, const struct trial_body *body, struct trial_answer *answer) {
  struct taken *taken = context;
  assert_true(taken->count < BODIES_MAX && body->length < sizeof taken->bodies[0].bytes);
  taken->bodies[taken->count].format = body->format;
  taken->bodies[taken->count].arrived_ns = arrived_ns;
  taken->bodies[taken->count].length = body->length;
  memcpy(taken->bodies[taken->count].bytes, body->bytes, body->length);
  snprintf(taken->bodies[taken->count].source, 64, "%s", body->source ? body->source : "");
  taken->count++;
  *answer = (struct trial_answer){0};
}

static void read_all(struct capture_writer *writer, struct taken *taken, struct trial_report *report) {
  struct rule_errors errors = {0};
  const struct trial_reader reader = {.context = taken, .body = take};
  capture_writer_close(writer);
  memset(taken, 0, sizeof *taken);
  assert_true(trial_recording_read(writer->path, &reader, report, &errors));
  assert_int_equal(errors.count, 0);
  assert_int_equal(report->recording, RECORDING_CAPTURE);
  uint64_t accounted = report->frames_read;
  for (int i = UNREAD_NOT_IP; i <= UNREAD_FRAGMENT; i++) accounted += report->unread[i];
  assert_int_equal(report->frames, writer->frames);
  assert_int_equal(accounted, report->frames);
  capture_writer_remove(writer);
  rule_errors_free(&errors);
}

static void expect_body(const struct taken *taken, size_t index, enum trial_format format, const char *bytes) {
  assert_true(index < taken->count);
  assert_int_equal(taken->bodies[index].format, format);
  assert_int_equal(taken->bodies[index].length, strlen(bytes));
  assert_memory_equal(taken->bodies[index].bytes, bytes, strlen(bytes));
}

static void test_one_post_over_each_family(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  char post[1024];
  (void)state;
  capture_writer_open(&writer, START_NS);
  struct written_flow flows[] = {{.client_port = 1000, .server_port = 4318, .sequence = 0xfffffff0u},
                                 {.ipv6 = true, .vlan = true, .client_port = 1001, .server_port = 4318, .sequence = 5}};
  for (size_t i = 0; i < 2; i++) {
    const uint32_t length = make_post(post, sizeof post, "/v1/traces", "application/json", "", "{\"x\":1}", 7);
    write_open(&writer, &flows[i]);
    write_bytes(&writer, &flows[i], post, length, 30);
    write_close(&writer, &flows[i]);
  }
  const uint64_t last_ns = writer.now_ns;
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 2);
  expect_body(&taken, 0, TRIAL_OTLP_JSON, "{\"x\":1}");
  expect_body(&taken, 1, TRIAL_OTLP_JSON, "{\"x\":1}");
  /* With the time of the frame that completes it. */
  assert_int_equal(taken.bodies[1].arrived_ns, last_ns - 1000000);
  assert_int_equal(report.connections, 2);
  assert_int_equal(report.requests, 2);
  assert_int_equal(report.frames_read, report.frames);
}

static void test_disorder_and_repetition(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  char post[1024];
  (void)state;
  capture_writer_open(&writer, START_NS);
  struct written_flow flow = {.client_port = 1000, .server_port = 4318, .sequence = 0xffffffc0u};
  uint32_t length = make_post(post, sizeof post, "/v1/traces", "application/json", "", "{\"first\":1}", 11);
  length += make_post(post + length, sizeof post - length, "/v1/traces", "application/x-protobuf", "", "second", 6);
  write_open(&writer, &flow);
  static const uint32_t starts[] = {90, 30, 30, 60, 0, 10, 120, 90};
  for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
    write_segment(&writer, &flow, starts[i], CLIENT_ACK, post + starts[i], 30);
  write_segment(&writer, &flow, 150, CLIENT_ACK | CLIENT_FIN, post + 150, length - 150);
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 2);
  expect_body(&taken, 0, TRIAL_OTLP_JSON, "{\"first\":1}");
  expect_body(&taken, 1, TRIAL_OTLP_PROTOBUF, "second");
  assert_int_equal(report.unread[UNREAD_GAP], 0);
}

static void test_ports_and_codings(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  char post[1024];
  uint8_t zipped[256];
  (void)state;
  capture_writer_open(&writer, START_NS);
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
  const size_t zipped_length = libdeflate_gzip_compress(compressor, "[{\"zipkin\":1}]", 14, zipped, sizeof zipped);
  libdeflate_free_compressor(compressor);
  struct written_flow zipkin = {.client_port = 1, .server_port = 9411, .sequence = 1};
  write_open(&writer, &zipkin);
  uint32_t length = make_post(post, sizeof post, "/api/v2/spans", "application/json", "Content-Encoding: gzip\r\n", zipped,
                              (uint32_t)zipped_length);
  write_bytes(&writer, &zipkin, post, length, 1000);
  struct written_flow webhook = {.client_port = 2, .server_port = 8080, .sequence = 1};
  write_open(&writer, &webhook);
  length = make_post(post, sizeof post, "/webhook/orders", "application/json", "", "{}", 2);
  write_bytes(&writer, &webhook, post, length, 1000);
  length = make_post(post, sizeof post, "/elsewhere", "application/json", "", "{}", 2);
  write_bytes(&writer, &webhook, post, length, 1000);
  static const char chunked[] = "POST /webhook/shop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  write_bytes(&writer, &webhook, chunked, sizeof chunked - 1, 9);
  struct written_flow otlp = {.client_port = 3, .server_port = 4318};
  write_datagram(&writer, &otlp, "otlp", 4);
  struct written_flow jaeger = {.ipv6 = true, .client_port = 3, .server_port = 6831};
  write_datagram(&writer, &jaeger, "jaeger", 6);
  struct written_flow dns = {.client_port = 3, .server_port = 53};
  write_datagram(&writer, &dns, "dns", 3);
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 5);
  expect_body(&taken, 0, TRIAL_ZIPKIN, "[{\"zipkin\":1}]");
  expect_body(&taken, 1, TRIAL_ANY_WEBHOOK, "{}");
  assert_string_equal(taken.bodies[1].source, "orders");
  assert_string_equal(taken.bodies[2].source, "shop");
  expect_body(&taken, 3, TRIAL_OTLP_PROTOBUF, "otlp");
  expect_body(&taken, 4, TRIAL_JAEGER, "jaeger");
  assert_int_equal(report.unread[UNREAD_OTHER_REQUESTS], 1);
  assert_int_equal(report.unread[UNREAD_OTHER_PORTS], 1);
  assert_int_equal(report.datagrams, 2);
}

static uint32_t put_literal(uint8_t *out, const char *name, const char *value) {
  uint32_t at = 0;
  out[at++] = 0; /* literal without indexing, new name (RFC 7541 section 6.2.2) */
  out[at++] = (uint8_t)strlen(name);
  memcpy(out + at, name, strlen(name));
  at += (uint32_t)strlen(name);
  out[at++] = (uint8_t)strlen(value);
  memcpy(out + at, value, strlen(value));
  return at + (uint32_t)strlen(value);
}

static uint32_t put_frame(uint8_t *out, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, uint32_t length) {
  const uint8_t head[9] = {(uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, type, flags, 0, 0, 0,
                           (uint8_t)stream};
  memcpy(out, head, 9);
  if (length) memcpy(out + 9, payload, length);
  return 9 + length;
}

static uint32_t make_grpc_call(uint8_t *out, uint32_t stream, const char *message) {
  uint8_t fields[512], data[128] = {0, 0, 0, 0, (uint8_t)strlen(message)};
  uint32_t length = put_literal(fields, ":method", "POST");
  length += put_literal(fields + length, ":scheme", "http");
  length += put_literal(fields + length, ":authority", "x");
  length += put_literal(fields + length, ":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
  length += put_literal(fields + length, "content-type", "application/grpc");
  length += put_literal(fields + length, "te", "trailers");
  memcpy(data + 5, message, strlen(message));
  uint32_t at = put_frame(out, 1, 4, stream, fields, length);
  return at + put_frame(out + at, 0, 1, stream, data, 5 + (uint32_t)strlen(message));
}

static void test_grpc(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  uint8_t bytes[4096];
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  (void)state;
  capture_writer_open(&writer, START_NS);
  uint32_t length = sizeof preface - 1;
  memcpy(bytes, preface, length);
  length += put_frame(bytes + length, 4, 0, 0, NULL, 0);
  length += put_frame(bytes + length, 4, 1, 0, NULL, 0); /* of the real server's settings */
  length += make_grpc_call(bytes + length, 1, "one");
  length += make_grpc_call(bytes + length, 3, "two");
  struct written_flow flow = {.client_port = 1000, .server_port = 4317, .sequence = 7};
  write_open(&writer, &flow);
  write_bytes(&writer, &flow, bytes, length, 77);
  write_close(&writer, &flow);
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 2);
  expect_body(&taken, 0, TRIAL_OTLP_PROTOBUF, "one");
  expect_body(&taken, 1, TRIAL_OTLP_PROTOBUF, "two");
}

static void test_what_is_missing(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  char post[1024];
  (void)state;
  capture_writer_open(&writer, START_NS);
  uint32_t length = make_post(post, sizeof post, "/v1/traces", "application/json", "", "{\"x\":1}", 7);
  /* The capture begins in the middle of a request; the next is whole. */
  struct written_flow middle = {.client_port = 1, .server_port = 4318, .sequence = 100};
  write_bytes(&writer, &middle, post + 20, length - 20, 1000);
  write_bytes(&writer, &middle, post, length, 1000);
  /* A segment is lost: the request is, and the one after it is read. */
  struct written_flow lossy = {.client_port = 2, .server_port = 4318, .sequence = 100};
  write_open(&writer, &lossy);
  write_bytes(&writer, &lossy, post, 40, 1000);
  lossy.sequence += 20;
  write_bytes(&writer, &lossy, post + 60, length - 60, 1000);
  write_bytes(&writer, &lossy, post, length, 1000);
  /* TLS. */
  struct written_flow tls = {.client_port = 3, .server_port = 4318, .sequence = 100};
  write_open(&writer, &tls);
  write_bytes(&writer, &tls, "\x16\x03\x01\x02\x00hello", 10, 1000);
  /* A request that does not end. */
  struct written_flow cut = {.client_port = 4, .server_port = 4318, .sequence = 100};
  write_open(&writer, &cut);
  write_bytes(&writer, &cut, post, length - 3, 1000);
  write_segment(&writer, &cut, 0, CLIENT_RST, NULL, 0);
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 2);
  assert_int_equal(report.unread[UNREAD_NO_BEGINNING], 1);
  assert_int_equal(report.unread[UNREAD_GAP], 1);
  assert_int_equal(report.unread[UNREAD_TLS], 1);
  assert_int_equal(report.unread[UNREAD_UNFINISHED], 2);
}

static void test_frames_that_are_not_read(void **state) {
  struct capture_writer writer;
  struct taken taken;
  struct trial_report report;
  uint8_t frame[128] = {0};
  (void)state;
  capture_writer_open(&writer, START_NS);
  frame[12] = 8; /* IPv4 */
  frame[14] = 0x45;
  frame[17] = 60;
  frame[23] = 6;
  write_frame(&writer, frame, 30, 74); /* truncated in the IP header */
  write_frame(&writer, frame, 50, 74); /* and behind it */
  write_frame(&writer, frame, 50, 50); /* a length that is wrong */
  write_frame(&writer, frame, 5, 5);   /* no Ethernet */
  write_frame(&writer, frame, 74, 74); /* TCP with a header of no bytes */
  frame[20] = 0x20;
  write_frame(&writer, frame, 74, 74); /* more fragments */
  frame[20] = 0;
  frame[23] = 1;
  write_frame(&writer, frame, 74, 74); /* ICMP */
  frame[13] = 6;
  write_frame(&writer, frame, 74, 74); /* ARP */
  read_all(&writer, &taken, &report);
  assert_int_equal(taken.count, 0);
  assert_int_equal(report.unread[UNREAD_TRUNCATED], 2);
  assert_int_equal(report.unread[UNREAD_BAD_HEADER], 3);
  assert_int_equal(report.unread[UNREAD_FRAGMENT], 1);
  assert_int_equal(report.unread[UNREAD_OTHER_PORTS], 1);
  assert_int_equal(report.unread[UNREAD_NOT_IP], 1);
}

static void test_a_file_that_ends_in_a_frame(void **state) {
  struct capture_writer writer;
  struct taken taken = {0};
  struct trial_report report;
  struct rule_errors errors = {0};
  const struct trial_reader reader = {.context = &taken, .body = take};
  (void)state;
  capture_writer_open(&writer, START_NS);
  const struct written_flow otlp = {.client_port = 3, .server_port = 4318};
  write_datagram(&writer, &otlp, "otlp", 4);
  fwrite("\x01\x02\x03", 3, 1, writer.file);
  capture_writer_close(&writer);
  assert_true(trial_recording_read(writer.path, &reader, &report, &errors));
  assert_int_equal(taken.count, 1);
  assert_int_equal(report.unread[UNREAD_CUT], 1);
  capture_writer_remove(&writer);
}

/* Any bytes in any frames: nothing but counters. */
static void test_hostile_frames(void **state) {
  struct capture_writer writer;
  struct trial_report report;
  static struct taken taken;
  uint8_t frame[160];
  uint64_t random = 88172645463325252ull;
  (void)state;
  capture_writer_open(&writer, START_NS);
  for (unsigned i = 0; i < 20000; i++) {
    for (size_t at = 0; at < sizeof frame; at++) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      frame[at] = (uint8_t)random;
    }
    const bool ipv6 = random & 1;
    memcpy(frame + 12, ipv6 ? "\x86\xdd\x60" : "\x08\x00\x45", 3);
    if (random & 2) memcpy(frame + (ipv6 ? 56 : 36), "\x10\xde", 2); /* port 4318 */
    if (random & 4) frame[ipv6 ? 20 : 23] = 6;
    if (random & 8) memset(frame + 20, 0, 2);
    write_frame(&writer, frame, 20 + (uint32_t)(random >> 8) % 140, 20 + (uint32_t)(random >> 16) % 140);
  }
  capture_writer_close(&writer);
  struct rule_errors errors = {0};
  const struct trial_reader reader = {.context = &taken, .body = take};
  assert_true(trial_recording_read(writer.path, &reader, &report, &errors));
  assert_int_equal(report.frames, writer.frames);
  capture_writer_remove(&writer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_post_over_each_family),
      cmocka_unit_test(test_disorder_and_repetition),
      cmocka_unit_test(test_ports_and_codings),
      cmocka_unit_test(test_grpc),
      cmocka_unit_test(test_what_is_missing),
      cmocka_unit_test(test_frames_that_are_not_read),
      cmocka_unit_test(test_a_file_that_ends_in_a_frame),
      cmocka_unit_test(test_hostile_frames),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
