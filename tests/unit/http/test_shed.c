/* Who is ended when something is short, and who is not; requests in progress, and body buffers, of one address. */
#include "cmocka_test.h"
#include "http2_client.h"
#include <stdlib.h>
#include <string.h>

#define SECOND FIXTURE_SECOND_NS
#define POST "POST /x HTTP/1.1\r\nHost: h\r\n"

static struct http_fixture fixture;

static void start(void) {
  fixture_prepare(&fixture);
  fixture.config.body_timeout_ns = 60 * SECOND;
  fixture_start(&fixture);
}

static const struct http_counters *counters(void) { return http_server_counters(fixture.server); }

/* Every connection is looked at once. */
static uint32_t shed(uint32_t shortages) {
  const uint32_t ended = http_server_shed(fixture.server, shortages, 1000, UINT32_MAX, fixture.now_ns);
  fixture_check(&fixture);
  return ended;
}

static uint32_t shed_rounds(uint32_t shortages, unsigned rounds) {
  uint32_t ended = 0;
  while (rounds--) ended += shed(shortages);
  return ended;
}

static struct stream *served(void) {
  struct stream *stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_int_equal(fixture_only_status(stream), 200);
  return stream;
}

static void the_longest_idle_go_first(void **state) {
  (void)state;
  start();
  struct stream *old = served();
  fixture_wait(&fixture, 20 * SECOND);
  struct stream *middle = served();
  fixture_wait(&fixture, 10 * SECOND);
  struct stream *young = served();
  fixture_wait(&fixture, 4 * SECOND);
  /* 34, 14 and 4 seconds: the first round asks for 30, then 15, 7.5 and 5. */
  assert_int_equal(shed(HTTP_SHORT_CONNECTIONS), 1);
  assert_true(old->close_called && !old->gone);
  assert_int_equal(shed(HTTP_SHORT_CONNECTIONS), 0);
  assert_int_equal(shed(HTTP_SHORT_CONNECTIONS), 1);
  assert_true(middle->close_called);
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS, 5), 0);
  assert_false(young->close_called);
  /* When it is worse, what has been idle for a second; and what does not let go is reset. */
  fixture_wait(&fixture, SECOND);
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS_HARD, 8), 3);
  assert_true(young->gone && old->gone && middle->gone);
  assert_int_equal(counters()->shed[HTTP_SHED_IDLE], 3);
  assert_int_equal(counters()->shed[HTTP_SHED_CLOSING], 2);
  fake_stream_free(old, fixture.now_ns);
  fake_stream_free(middle, fixture.now_ns);
  fake_stream_free(young, fixture.now_ns);
  fixture_end(&fixture);
}

static void a_shortage_of_its_own_begins_again(void **state) {
  (void)state;
  start();
  struct stream *idle = served();
  fixture_wait(&fixture, 6 * SECOND);
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS, 3), 0);
  fixture_wait(&fixture, 2 * SECOND);
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS, 2), 0);
  assert_int_equal(shed(HTTP_SHORT_CONNECTIONS), 1);
  fake_stream_free(idle, fixture.now_ns);
  fixture_end(&fixture);
}

static void slow_headers_end_only_when_connections_are_very_short(void **state) {
  (void)state;
  start();
  struct stream *slow = fixture_open(&fixture), *quick = fixture_open(&fixture), *parked = fixture_open(&fixture);
  fixture_say(&fixture, slow, "POST /x HT");
  fixture_say(&fixture, parked, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
  fixture_wait(&fixture, SECOND);
  fixture_say(&fixture, quick, "POST /x HT");
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS | HTTP_SHORT_SEND_BLOCKS | HTTP_SHORT_HTTP2_STREAMS | 0xff00, 4), 0);
  assert_int_equal(shed_rounds(HTTP_SHORT_CONNECTIONS_HARD, 4), 1);
  struct fixture_answer answer;
  assert_int_equal(fixture_answers(slow, &answer, 1), 1);
  assert_int_equal(answer.status, 503);
  assert_non_null(strstr(answer.header, "\r\nRetry-After: 1\r\n"));
  assert_true(slow->close_called && !quick->close_called && !parked->close_called);
  assert_int_equal(counters()->shed[HTTP_SHED_HEADERS], 1);
  fixture_say(&fixture, quick, "TP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(fixture_only_status(quick), 200);
  fixture_answer_parked(&fixture, parked);
  assert_int_equal(fixture_only_status(parked), 200);
  fake_stream_free(slow, fixture.now_ns);
  fake_stream_free(quick, fixture.now_ns);
  fake_stream_free(parked, fixture.now_ns);
  fixture_end(&fixture);
}

/* Only those that hold a buffer of the pool that is short, and bring less than 64 KiB a second. */
static void slow_bodies_give_their_buffers_back(void **state) {
  (void)state;
  static uint8_t bytes[70000];
  start();
  struct stream *slow = fixture_open(&fixture), *fast = fixture_open(&fixture), *small = fixture_open(&fixture);
  fixture_say(&fixture, slow, POST "Content-Length: 60000\r\n\r\n");
  fixture_say(&fixture, fast, POST "Content-Length: 60000\r\n\r\n");
  fixture_say(&fixture, small, POST "Content-Length: 3000\r\n\r\n");
  fixture_send(&fixture, slow, bytes, 30000);
  fixture_send(&fixture, fast, bytes, 59999);
  const uint32_t pool_3 = 1u << (HTTP_SHORT_BODIES_SHIFT + 2), pool_2 = pool_3 >> 1;
  assert_int_equal(shed(pool_3), 0);
  fixture_wait(&fixture, SECOND);
  assert_int_equal(shed(pool_2), 0);
  struct stream *young = fixture_open(&fixture);
  fixture_say(&fixture, young, POST "Content-Length: 60000\r\n\r\n");
  fixture_send(&fixture, fast, bytes, 1);
  assert_int_equal(fixture_only_status(fast), 200);
  assert_int_equal(shed(pool_3), 1);
  assert_int_equal(fixture_only_status(slow), 503);
  assert_true(slow->close_called);
  assert_int_equal(counters()->shed[HTTP_SHED_BODY], 1);
  struct http_use use;
  http_server_use(fixture.server, &use);
  assert_int_equal(use.bodies[2].used, 1); /* young's */
  fixture_send(&fixture, small, bytes, 3000);
  assert_int_equal(fixture_only_status(small), 200);
  fake_stream_free(slow, fixture.now_ns);
  fake_stream_free(fast, fixture.now_ns);
  fake_stream_free(small, fixture.now_ns);
  fake_stream_free(young, fixture.now_ns);
  fixture_end(&fixture);
}

/* The answer to what took effect is waited for longer than one that says it did not. */
static void unread_answers_end_when_send_blocks_are_short(void **state) {
  (void)state;
  start();
  struct stream *deaf = fixture_open(&fixture), *refused = fixture_open(&fixture), *slow = fixture_open(&fixture);
  fixture_room(&fixture, deaf, 100);
  fixture_room(&fixture, refused, 20);
  fixture_say(&fixture, deaf, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  fixture_say(&fixture, refused, "GET /fail HTTP/1.1\r\nHost: h\r\n\r\n");
  fixture_wait(&fixture, SECOND);
  assert_int_equal(shed(HTTP_SHORT_SEND_BLOCKS), 1);
  assert_true(refused->gone && !deaf->gone);
  fixture_wait(&fixture, 4 * SECOND);
  fixture_room(&fixture, slow, 100);
  fixture_say(&fixture, slow, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_int_equal(shed(HTTP_SHORT_SEND_BLOCKS), 1);
  assert_true(deaf->gone && !slow->gone);
  assert_int_equal(counters()->shed[HTTP_SHED_UNREAD], 2);
  assert_int_equal(counters()->aborted[HTTP_ABORT_TIMEOUT], 2);
  fixture_room(&fixture, slow, 10000);
  assert_int_equal(fixture_only_status(slow), 200);
  fake_stream_free(deaf, fixture.now_ns);
  fake_stream_free(refused, fixture.now_ns);
  fake_stream_free(slow, fixture.now_ns);
  fixture_end(&fixture);
}

/* Closed by this side, and the peer neither reads nor goes: its place is free when the time for a body is over. */
static void a_peer_that_does_not_let_go_is_reset(void **state) {
  (void)state;
  start();
  struct stream *stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, "GET /close HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_true(stream->close_called);
  fixture_wait(&fixture, 59 * SECOND);
  assert_false(stream->gone);
  fixture_wait(&fixture, 2 * SECOND);
  assert_true(stream->gone);
  assert_int_equal(counters()->closing_timed_out, 1);
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
}

static void http2_connections_and_streams_make_room(void **state) {
  (void)state;
  start();
  struct http2_client *idle = http2_client_open(&fixture), *slow = http2_client_open(&fixture);
  struct http2_answer *body = http2_client_request(slow, "POST", "/x", NULL, "abc", 3);
  body->paused = true;
  struct http2_answer *parked = http2_client_request(slow, "GET", "/park", NULL, NULL, 0);
  http2_client_exchange(idle);
  http2_client_exchange(slow);
  fixture_wait(&fixture, 2 * SECOND);
  struct http2_answer *young = http2_client_request(slow, "POST", "/x", NULL, "abc", 3);
  young->paused = true;
  http2_client_exchange(slow);
  assert_int_equal(shed_rounds(HTTP_SHORT_HTTP2_CONNECTIONS, 8), 0);
  assert_int_equal(shed(HTTP_SHORT_HTTP2_STREAMS), 1);
  http2_client_exchange(slow);
  assert_int_equal(body->status, 503);
  assert_string_equal(body->retry_after, "1");
  assert_int_equal(young->status, -1);
  assert_int_equal(counters()->shed[HTTP_SHED_BODY], 1);
  fixture_wait(&fixture, 4 * SECOND);
  assert_int_equal(shed_rounds(HTTP_SHORT_HTTP2_CONNECTIONS, 8), 1);
  http2_client_exchange(idle);
  assert_int_equal(idle->goaways, 1);
  assert_true(idle->stream->close_called && !slow->stream->close_called);
  assert_int_equal(counters()->http2_ended[HTTP2_END_OVERLOAD], 1);
  http2_client_continue(slow, young, "d", 1, true);
  http2_client_exchange(slow);
  assert_int_equal(young->status, 200);
  fixture_answer_parked(&fixture, slow->stream);
  http2_client_exchange(slow);
  assert_int_equal(parked->status, 200);
  /* When it is worse: at once, with a RST. */
  fixture_wait(&fixture, SECOND);
  assert_int_equal(shed_rounds(HTTP_SHORT_HTTP2_CONNECTIONS_HARD, 8), 1);
  assert_true(slow->stream->gone);
  http2_client_free(idle);
  http2_client_free(slow);
  fixture_end(&fixture);
}

static void an_http2_header_that_does_not_end_ends_its_connection(void **state) {
  (void)state;
  static const uint8_t block[] = {0x82}; /* :method GET */
  start();
  struct http2_client *client = http2_client_open(&fixture);
  http2_client_exchange(client);
  http2_client_forge(client, NGHTTP2_HEADERS, 0, 1, block, sizeof block);
  fixture_wait(&fixture, SECOND);
  assert_int_equal(shed(HTTP_SHORT_HTTP2_CONNECTIONS), 0);
  assert_int_equal(shed(HTTP_SHORT_HTTP2_STREAMS), 1);
  http2_client_exchange(client);
  assert_int_equal(client->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
  assert_int_equal(counters()->http2_ended[HTTP2_END_OVERLOAD], 1);
  http2_client_free(client);
  fixture_end(&fixture);
}

static void a_look_is_bounded_and_goes_on_where_it_ended(void **state) {
  (void)state;
  struct stream *streams[20];
  start();
  for (unsigned i = 0; i < 20; i++) streams[i] = served();
  fixture_wait(&fixture, 20 * SECOND);
  uint32_t ended =
      http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 7, UINT32_MAX, fixture.now_ns); /* of the round for 30 s */
  for (int i = 0; i < 2; i++) ended += http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 7, UINT32_MAX, fixture.now_ns);
  assert_int_equal(ended, 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 7, UINT32_MAX, fixture.now_ns), 7);
    fake_stream_free(streams[3 + i], fixture.now_ns);
    streams[3 + i] = NULL;
  }
  while (http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 7, UINT32_MAX, fixture.now_ns)) continue;
  for (unsigned i = 0; i < 20; i++) {
    if (!streams[i]) continue;
    assert_true(streams[i]->close_called);
    fake_stream_free(streams[i], fixture.now_ns);
  }
  assert_int_equal(http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 7, UINT32_MAX, fixture.now_ns), 0);
  fixture_end(&fixture);
}

/* No more than asked for: those that were closed are on their way. */
static void so_many_idle_ones_and_no_more(void **state) {
  (void)state;
  struct stream *streams[6];
  unsigned closed = 0;
  start();
  for (unsigned i = 0; i < 6; i++) streams[i] = served();
  fixture_wait(&fixture, 40 * SECOND);
  assert_int_equal(http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 100, 2, fixture.now_ns), 2);
  assert_int_equal(http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 100, 0, fixture.now_ns), 0);
  struct http_use use;
  http_server_use(fixture.server, &use);
  assert_int_equal(use.closing, 2);
  for (unsigned i = 0; i < 6; i++) closed += streams[i]->close_called;
  assert_int_equal(closed, 2);
  /* Five seconds later they are reset. */
  fixture_wait(&fixture, 5 * SECOND);
  assert_int_equal(http_server_shed(fixture.server, HTTP_SHORT_CONNECTIONS, 100, 0, fixture.now_ns), 2);
  assert_int_equal(counters()->shed[HTTP_SHED_CLOSING], 2);
  http_server_use(fixture.server, &use);
  assert_int_equal(use.closing, 0);
  for (unsigned i = 0; i < 6; i++) fake_stream_free(streams[i], fixture.now_ns);
  fixture_end(&fixture);
}

static void one_address_has_so_many_requests_and_bytes(void **state) {
  (void)state;
  const struct address_limits_config config = {
      .most = {[ADDRESS_REQUESTS] = 2, [ADDRESS_BODY_BYTES] = 65536 + 4096}, .accounts_max = 8, .key = {1, 2}};
  struct heap_arena *heap = heap_arena_create();
  fixture_prepare(&fixture);
  fixture.config.address_limits = address_limits_create(heap_arena_arena(heap), &config);
  fixture_start(&fixture);
  const struct address_counters *addresses = address_limits_counters(fixture.config.address_limits);
  struct stream *streams[3];
  for (unsigned i = 0; i < 3; i++) streams[i] = fixture_open(&fixture);
  struct http2_client *client = http2_client_open(&fixture);
  fixture_say(&fixture, streams[0], POST "Content-Length: 60000\r\n\r\n");
  fixture_say(&fixture, streams[1], POST "Content-Length: 60000\r\n\r\n");
  assert_int_equal(fixture_only_status(streams[1]), 503);
  assert_int_equal(addresses->refused[ADDRESS_BODY_BYTES], 1);
  struct http2_answer *parked = http2_client_request(client, "GET", "/park", NULL, NULL, 0);
  struct http2_answer *third = http2_client_request(client, "GET", "/x", NULL, NULL, 0);
  http2_client_exchange(client);
  assert_int_equal(third->status, 503);
  assert_string_equal(third->retry_after, "1");
  fixture_say(&fixture, streams[2], "GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_int_equal(fixture_only_status(streams[2]), 503);
  assert_int_equal(addresses->refused[ADDRESS_REQUESTS], 2);
  assert_int_equal(counters()->refused_address, 2);
  fixture_answer_parked(&fixture, client->stream);
  http2_client_exchange(client);
  assert_int_equal(parked->status, 200);
  struct http2_answer *again = http2_client_request(client, "GET", "/x", NULL, NULL, 0);
  http2_client_exchange(client);
  assert_int_equal(again->status, 200);
  for (unsigned i = 0; i < 3; i++) fake_stream_free(streams[i], fixture.now_ns);
  http2_client_free(client);
  assert_int_equal(addresses->accounts, 0);
  fixture_end(&fixture);
  heap_arena_destroy(heap);
}

static void a_shard_has_so_many_requests(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture.config.requests_max = 1;
  fixture_start(&fixture);
  struct stream *parked = fixture_open(&fixture), *other = fixture_open(&fixture);
  fixture_say(&fixture, parked, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
  fixture_say(&fixture, other, POST "Content-Length: 5\r\n\r\nhello");
  assert_int_equal(fixture_only_status(other), 503);
  assert_int_equal(counters()->refused_requests_max, 1);
  assert_false(other->close_called);
  fixture_answer_parked(&fixture, parked);
  fixture_say(&fixture, other, POST "Content-Length: 5\r\n\r\nhello");
  struct fixture_answer answers[2];
  assert_int_equal(fixture_answers(other, answers, 2), 2);
  assert_int_equal(answers[1].status, 200);
  fake_stream_free(parked, fixture.now_ns);
  fake_stream_free(other, fixture.now_ns);
  fixture_end(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_longest_idle_go_first),
      cmocka_unit_test(a_shortage_of_its_own_begins_again),
      cmocka_unit_test(slow_headers_end_only_when_connections_are_very_short),
      cmocka_unit_test(slow_bodies_give_their_buffers_back),
      cmocka_unit_test(unread_answers_end_when_send_blocks_are_short),
      cmocka_unit_test(a_peer_that_does_not_let_go_is_reset),
      cmocka_unit_test(http2_connections_and_streams_make_room),
      cmocka_unit_test(an_http2_header_that_does_not_end_ends_its_connection),
      cmocka_unit_test(a_look_is_bounded_and_goes_on_where_it_ended),
      cmocka_unit_test(so_many_idle_ones_and_no_more),
      cmocka_unit_test(one_address_has_so_many_requests_and_bytes),
      cmocka_unit_test(a_shard_has_so_many_requests),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
