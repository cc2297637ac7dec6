/* HTTP/2 under hostile and unlucky peers: every bound has its counter, and the conservation law holds throughout. */
#include "cmocka_test.h"
#include "http2_client.h"
#include <stdlib.h>
#include <string.h>

static struct http2_client *start_prepared(struct http_fixture *fixture) {
  fixture_start(fixture);
  struct http2_client *client = http2_client_open(fixture);
  http2_client_exchange(client);
  return client;
}

static struct http2_client *start(struct http_fixture *fixture) {
  fixture_prepare(fixture);
  return start_prepared(fixture);
}

static void stop(struct http_fixture *fixture, struct http2_client *client) {
  http2_client_free(client);
  fixture_end(fixture);
}

static const struct http_counters *counters_of(const struct http_fixture *fixture) {
  return http_server_counters(fixture->server);
}

/* From the bytes: forged frames may have turned the client's library away. The last GOAWAY's code, or -1. */
static int64_t goaway_code(const struct stream *stream) {
  int64_t code = -1;
  for (size_t at = 0; at + 9 <= stream->sent_bytes;) {
    const uint8_t *frame = stream->sent + at;
    if (frame[3] == NGHTTP2_GOAWAY) code = (int64_t)frame[13] << 24 | frame[14] << 16 | frame[15] << 8 | frame[16];
    at += 9u + ((unsigned)frame[0] << 16 | (unsigned)frame[1] << 8 | frame[2]);
  }
  return code;
}

/* The reason is counted, the peer is told why, and the connection is closed. */
static void expect_end(const struct http_fixture *fixture, struct http2_client *client, enum http2_end end, uint32_t code) {
  http2_client_exchange(client);
  assert_int_equal(counters_of(fixture)->http2_ended[end], 1);
  assert_true(client->stream->close_called);
  assert_int_equal(goaway_code(client->stream), code);
}

static void test_rapid_reset(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  unsigned requests = 0;
  for (; requests < 500 && !client->stream->close_called; requests++) {
    struct http2_answer *answer = http2_client_request(client, "POST", "/park", NULL, NULL, 0);
    http2_client_exchange(client);
    nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, answer->id, NGHTTP2_CANCEL);
    http2_client_exchange(client);
  }
  assert_in_range(requests, 200, 202);
  expect_end(&fixture, client, HTTP2_END_RESETS, NGHTTP2_ENHANCE_YOUR_CALM);
  stop(&fixture, client);
}

static void test_slow_resets_are_no_flood(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  for (unsigned i = 0; i < 500; i++) {
    struct http2_answer *answer = http2_client_request(client, "POST", "/park", NULL, NULL, 0);
    http2_client_exchange(client);
    nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, answer->id, NGHTTP2_CANCEL);
    http2_client_exchange(client);
    fixture_wait(&fixture, FIXTURE_SECOND_NS / 40);
  }
  assert_int_equal(counters_of(&fixture)->http2_connections, 1);
  assert_int_equal(fixture.aborted_count, 500);
  stop(&fixture, client);
}

/* Each of these makes the server reset a stream of the peer's (CVE-2025-8671). */
static void test_provoked_resets(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  static const uint8_t most[4] = {0x7f, 0xff, 0xff, 0xff};
  for (unsigned i = 0; i < 500 && !client->stream->close_called; i++) {
    struct http2_answer *answer = http2_client_request(client, "POST", "/park", NULL, NULL, 0);
    http2_client_exchange(client);
    http2_client_forge(client, NGHTTP2_WINDOW_UPDATE, 0, answer->id, most, sizeof most);
    http2_client_exchange(client);
  }
  expect_end(&fixture, client, HTTP2_END_RESETS, NGHTTP2_ENHANCE_YOUR_CALM);
  stop(&fixture, client);
}

static void flood(struct http_fixture *fixture, uint8_t type, int32_t id, const void *payload, uint32_t bytes) {
  struct http2_client *client = start(fixture);
  struct http2_answer *answer = http2_client_request(client, "POST", "/park", NULL, "x", 1);
  answer->paused = true;
  http2_client_exchange(client);
  unsigned frames = 0;
  for (; frames < 3000 && !client->stream->close_called; frames++)
    http2_client_forge(client, type, 0, id < 0 ? answer->id : id, payload, bytes);
  assert_in_range(frames, 900, 1100);
  expect_end(fixture, client, HTTP2_END_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
  stop(fixture, client);
}

static void test_floods(void **state) {
  (void)state;
  struct http_fixture fixture;
  static const uint8_t eight[8] = {0}, setting[6] = {0, 4, 0, 0, 255, 255}, one[4] = {0, 0, 0, 1}, priority[5] = {0, 0, 0, 0, 9};
  flood(&fixture, NGHTTP2_PING, 0, eight, 8);
  flood(&fixture, NGHTTP2_SETTINGS, 0, setting, 6);
  flood(&fixture, NGHTTP2_SETTINGS, 0, NULL, 0);
  flood(&fixture, NGHTTP2_WINDOW_UPDATE, 0, one, 4);
  flood(&fixture, NGHTTP2_PRIORITY, 3, priority, 5);
  flood(&fixture, NGHTTP2_DATA, -1, NULL, 0);
}

static void test_pings_are_answered(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  for (unsigned i = 0; i < 3100; i++) {
    nghttp2_submit_ping(client->session, NGHTTP2_FLAG_NONE, NULL);
    http2_client_exchange(client);
    fixture_wait(&fixture, FIXTURE_SECOND_NS / 50);
  }
  /* They do not keep an idle connection, which goes after a minute. */
  expect_end(&fixture, client, HTTP2_END_IDLE, NGHTTP2_NO_ERROR);
  stop(&fixture, client);
}

/* A peer that does not read what it asks for is not read either. */
static void test_unread_pings(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  static const uint8_t eight[8] = {0};
  fixture_room(&fixture, client->stream, 0);
  for (unsigned i = 0; i < 900; i++) http2_client_forge(client, NGHTTP2_PING, 0, 0, eight, 8);
  assert_true(client->stream->held_bytes > 800 * 17);
  fixture_wait(&fixture, 21 * FIXTURE_SECOND_NS);
  assert_int_equal(counters_of(&fixture)->http2_ended[HTTP2_END_TIMEOUT], 1);
  assert_true(client->stream->gone);
  stop(&fixture, client);
}

static void test_continuations(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  static const uint8_t method[1] = {0x83};
  http2_client_forge(client, NGHTTP2_HEADERS, 0, 1, method, 1);
  for (unsigned i = 0; i < 100 && !client->stream->close_called; i++)
    http2_client_forge(client, NGHTTP2_CONTINUATION, 0, 1, method, 0);
  expect_end(&fixture, client, HTTP2_END_CONTINUATIONS, NGHTTP2_ENHANCE_YOUR_CALM);
  stop(&fixture, client);
}

static void test_a_header_block_that_stalls(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  static const uint8_t method[1] = {0x83};
  http2_client_forge(client, NGHTTP2_HEADERS, 0, 1, method, 1);
  fixture_wait(&fixture, 11 * FIXTURE_SECOND_NS);
  expect_end(&fixture, client, HTTP2_END_TIMEOUT, NGHTTP2_ENHANCE_YOUR_CALM);
  stop(&fixture, client);
}

static void test_malformed_frames(void **state) {
  (void)state;
  static const struct {
    uint8_t type, flags;
    int32_t id;
    uint32_t bytes;
    uint8_t payload[8];
  } cases[] = {
      {NGHTTP2_PING, 0, 0, 7, {0}},          {NGHTTP2_PING, 0, 1, 8, {0}},          {NGHTTP2_SETTINGS, 0, 0, 5, {0}},
      {NGHTTP2_SETTINGS, 1, 0, 6, {0}},      {NGHTTP2_DATA, 0, 0, 1, {0}},          {NGHTTP2_DATA, 0, 7, 1, {0}},
      {NGHTTP2_HEADERS, 4, 2, 1, {0x82}},    {NGHTTP2_HEADERS, 4, 1, 2, {0xff, 0}}, {NGHTTP2_CONTINUATION, 4, 1, 1, {0x82}},
      {NGHTTP2_WINDOW_UPDATE, 0, 0, 4, {0}}, {NGHTTP2_PUSH_PROMISE, 4, 1, 4, {0}},  {NGHTTP2_RST_STREAM, 0, 9, 4, {0}},
      {NGHTTP2_GOAWAY, 0, 1, 8, {0}},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_fixture fixture;
    struct http2_client *client = start(&fixture);
    http2_client_forge(client, cases[i].type, cases[i].flags, cases[i].id, cases[i].payload, cases[i].bytes);
    http2_client_exchange(client);
    assert_int_equal(counters_of(&fixture)->http2_ended[HTTP2_END_PROTOCOL], 1);
    assert_true(client->stream->close_called && goaway_code(client->stream) > 0);
    stop(&fixture, client);
  }
}

static void test_slow_body_and_slow_reader(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  struct http2_answer *slow = http2_client_request(client, "POST", "/x", NULL, "abc", 3);
  slow->paused = true;
  http2_client_exchange(client);
  static const nghttp2_settings_entry closed = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
  nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, &closed, 1);
  struct http2_answer *unread = http2_client_request(client, "GET", "/large", NULL, NULL, 0);
  http2_client_exchange(client);
  fixture_wait(&fixture, 21 * FIXTURE_SECOND_NS);
  http2_client_exchange(client);
  assert_int_equal(slow->status, 408);
  assert_true(unread->reset);
  fixture_wait(&fixture, 25 * FIXTURE_SECOND_NS);
  stop(&fixture, client);
}

static void test_drain(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture), *idle = http2_client_open(&fixture), *deaf = http2_client_open(&fixture);
  http2_client_exchange(idle);
  http2_client_exchange(deaf);
  struct http2_answer *parked = http2_client_request(client, "POST", "/park", NULL, "body", 4);
  http2_client_exchange(client);
  http_server_drain(fixture.server, fixture.now_ns);
  /* Sent before the GOAWAY was seen: still taken. */
  struct http2_answer *crossing = http2_client_request(client, "POST", "/x", NULL, "body", 4);
  http2_client_exchange(client);
  http2_client_exchange(idle);
  assert_int_equal(crossing->status, 200);
  assert_int_equal(client->goaways, 2);
  assert_int_equal(client->goaway_last, crossing->id);
  assert_true(idle->stream->close_called && !client->stream->close_called && !deaf->stream->close_called);
  fixture_answer_parked(&fixture, client->stream);
  http2_client_exchange(client);
  assert_int_equal(parked->status, 200);
  assert_true(client->stream->close_called);
  fixture_wait(&fixture, 2 * FIXTURE_SECOND_NS);
  assert_true(deaf->stream->close_called);
  assert_int_equal(counters_of(&fixture)->http2_ended[HTTP2_END_DRAIN], 3);
  assert_null(fixture_open(&fixture));
  http2_client_free(idle);
  http2_client_free(deaf);
  stop(&fixture, client);
}

static void test_pools_exhausted(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.config.http2.connections_max = 2;
  fixture.config.http2.streams_max = 10;
  fixture_start(&fixture);
  struct http2_client *clients[2];
  struct http2_answer *answers[24];
  for (unsigned i = 0; i < 2; i++) {
    clients[i] = http2_client_open(&fixture);
    for (unsigned j = 0; j < 12; j++) answers[i * 12 + j] = http2_client_request(clients[i], "POST", "/park", NULL, NULL, 0);
    http2_client_exchange(clients[i]);
  }
  /* The first connection has more than its share of five, but leaves the last quarter to the other. */
  for (unsigned i = 0; i < 24; i++) {
    const bool begun = i < 8 || i == 12 || i == 13;
    assert_int_equal(answers[i]->reset, !begun);
    if (begun) continue;
    assert_int_equal(answers[i]->reset_code, NGHTTP2_REFUSED_STREAM);
  }
  assert_int_equal(counters_of(&fixture)->http2_streams_refused, 14);
  struct http2_client *refused = http2_client_open(&fixture);
  http2_client_exchange(refused);
  assert_true(refused->stream->close_called);
  assert_int_equal(counters_of(&fixture)->no_connection, 1);
  http2_client_free(refused);
  while (fixture.parked_count) fixture_answer_parked(&fixture, clients[0]->stream);
  http2_client_exchange(clients[0]);
  struct http2_answer *after = http2_client_request(clients[1], "GET", "/x", NULL, NULL, 0);
  http2_client_exchange(clients[1]);
  assert_int_equal(after->status, 200);
  http2_client_free(clients[1]);
  stop(&fixture, clients[0]);
}

/* A byte now and then keeps neither a body nor an idle connection going. */
static void test_trickle(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  struct http2_answer *slow = http2_client_request(client, "POST", "/x", NULL, "a", 1);
  slow->paused = true;
  http2_client_exchange(client);
  for (unsigned i = 0; i < 60; i++) {
    http2_client_continue(client, slow, "b", 1, false);
    fixture_wait(&fixture, FIXTURE_SECOND_NS / 2);
  }
  http2_client_exchange(client);
  assert_int_equal(slow->status, 408);
  stop(&fixture, client);
}

/* Of two uploads that stay under the total time, only the one below the least rate is ended. */
static void test_body_rate(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.config.body_grace_ns = 4 * FIXTURE_SECOND_NS;
  fixture.config.body_least_bytes = 8;
  struct http2_client *client = start_prepared(&fixture);
  struct http2_answer *slow = http2_client_request(client, "POST", "/x", NULL, "a", 1);
  struct http2_answer *steady = http2_client_request(client, "POST", "/x", NULL, "a", 1);
  slow->paused = steady->paused = true;
  http2_client_exchange(client);
  for (unsigned i = 0; i < 8; i++) {
    http2_client_continue(client, slow, "b", 1, false);
    http2_client_continue(client, steady, "bbbbb", 5, false);
    fixture_wait(&fixture, FIXTURE_SECOND_NS);
    http2_client_exchange(client);
  }
  assert_int_equal(slow->status, 408);
  assert_int_equal(steady->status, -1);
  http2_client_continue(client, steady, "c", 1, true);
  http2_client_exchange(client);
  assert_int_equal(steady->status, 200);
  stop(&fixture, client);
}

static void test_peer_closes(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct http2_client *client = start(&fixture);
  struct http2_answer *parked = http2_client_request(client, "POST", "/park", NULL, "body", 4);
  struct http2_answer *half = http2_client_request(client, "POST", "/x", NULL, "body", 4);
  half->paused = true;
  http2_client_exchange(client);
  fixture_finish(&fixture, client->stream);
  assert_false(client->stream->close_called);
  fixture_answer_parked(&fixture, client->stream);
  http2_client_exchange(client);
  assert_int_equal(parked->status, 200);
  assert_true(client->stream->close_called);
  stop(&fixture, client);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rapid_reset),
      cmocka_unit_test(test_slow_resets_are_no_flood),
      cmocka_unit_test(test_provoked_resets),
      cmocka_unit_test(test_floods),
      cmocka_unit_test(test_pings_are_answered),
      cmocka_unit_test(test_unread_pings),
      cmocka_unit_test(test_continuations),
      cmocka_unit_test(test_a_header_block_that_stalls),
      cmocka_unit_test(test_malformed_frames),
      cmocka_unit_test(test_slow_body_and_slow_reader),
      cmocka_unit_test(test_drain),
      cmocka_unit_test(test_pools_exhausted),
      cmocka_unit_test(test_trickle),
      cmocka_unit_test(test_body_rate),
      cmocka_unit_test(test_peer_closes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
