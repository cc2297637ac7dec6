/* Deadlines, ends of connections from either side, draining, and pools that run out. */
#include "cmocka_test.h"
#include "expect_trap.h"
#include "http_fixture.h"
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: a\r\n"

static void start(struct http_fixture *fixture, struct stream **stream) {
  fixture_prepare(fixture);
  fixture_start(fixture);
  *stream = fixture_open(fixture);
}

static void end(struct http_fixture *fixture, struct stream *stream) {
  fake_stream_free(stream, fixture->now_ns);
  fixture_end(fixture);
}

static uint64_t aborted_by(const struct http_fixture *fixture, enum http_abort reason) {
  return http_server_counters(fixture->server)->aborted[reason];
}

static void test_header_deadline(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_wait(&fixture, 30 * FIXTURE_SECOND_NS);
  /* From the first byte, however the rest trickles in. */
  fixture_say(&fixture, stream, "GET /x HTTP/1.1\r\n");
  for (unsigned i = 0; i < 99; i++) {
    fixture_wait(&fixture, FIXTURE_SECOND_NS / 10);
    fixture_say(&fixture, stream, "a: b\r\n");
  }
  assert_int_equal(0, stream->sent_bytes);
  fixture_wait(&fixture, FIXTURE_SECOND_NS / 5);
  assert_int_equal(408, fixture_only_status(stream));
  assert_true(stream->close_called);
  end(&fixture, stream);
}

static void test_body_deadline(void **state) {
  (void)state;
  static const char *const heads[] = {POST("/x") "Content-Length: 100\r\n\r\n",
                                      POST("/x") "Transfer-Encoding: chunked\r\n\r\n64\r\n"};
  for (unsigned i = 0; i < 2; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    fixture_say(&fixture, stream, heads[i]);
    for (unsigned j = 0; j < 19; j++) {
      fixture_wait(&fixture, FIXTURE_SECOND_NS);
      fixture_say(&fixture, stream, "x");
    }
    assert_int_equal(0, stream->sent_bytes);
    fixture_wait(&fixture, FIXTURE_SECOND_NS + FIXTURE_SECOND_NS / 10);
    assert_int_equal(408, fixture_only_status(stream));
    assert_true(stream->close_called);
    end(&fixture, stream);
  }
}

static void test_body_rate(void **state) {
  (void)state;
  static const char sixty[] = "............................................................";
  for (unsigned more = 0; more < 2; more++) {
    struct http_fixture fixture;
    fixture_prepare(&fixture);
    fixture.config.body_grace_ns = 5 * FIXTURE_SECOND_NS;
    fixture.config.body_least_bytes = 60;
    fixture_start(&fixture);
    struct stream *stream = fixture_open(&fixture);
    fixture_say(&fixture, stream, POST("/x") "Content-Length: 239\r\n\r\n");
    for (unsigned i = 0; i < 3; i++) {
      fixture_wait(&fixture, 4 * FIXTURE_SECOND_NS);
      fixture_say(&fixture, stream, sixty);
      fixture_wait(&fixture, FIXTURE_SECOND_NS);
      assert_int_equal(0, stream->sent_bytes);
    }
    fixture_say(&fixture, stream, more ? sixty + 1 : sixty + 2);
    fixture_wait(&fixture, 49 * FIXTURE_SECOND_NS / 10);
    if (more) assert_int_equal(200, fixture_only_status(stream));
    if (!more) {
      assert_int_equal(0, stream->sent_bytes);
      fixture_wait(&fixture, FIXTURE_SECOND_NS / 5);
      assert_int_equal(408, fixture_only_status(stream));
      assert_true(stream->close_called);
    }
    end(&fixture, stream);
  }
}

static void test_keep_alive_deadline(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  struct stream *silent = fixture_open(&fixture);
  for (unsigned i = 0; i < 4; i++) {
    fixture_wait(&fixture, 50 * FIXTURE_SECOND_NS);
    fixture_say(&fixture, stream, GET("/x"));
    assert_false(stream->close_called);
  }
  assert_true(silent->close_called);
  fixture_wait(&fixture, 59 * FIXTURE_SECOND_NS);
  assert_false(stream->close_called);
  fixture_wait(&fixture, FIXTURE_SECOND_NS + FIXTURE_SECOND_NS / 10);
  assert_true(stream->close_called);
  assert_int_equal(4, http_server_counters(fixture.server)->requests);
  fake_stream_free(silent, fixture.now_ns);
  end(&fixture, stream);
}

static void test_parked_has_no_deadline(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, POST("/park") "Content-Length: 5\r\n\r\nhello");
  fixture_wait(&fixture, 600 * FIXTURE_SECOND_NS);
  assert_false(stream->close_called);
  assert_int_equal(1, http_server_counters(fixture.server)->parked);
  assert_int_equal(0, http_server_tick(fixture.server, ++fixture.now_ns, 64));
  /* Its request is still whole. */
  assert_true(http_text_equals(http_exchange_request(fixture.parked[0])->path, "/park"));
  fixture_answer_parked(&fixture, stream);
  assert_int_equal(200, fixture_only_status(stream));
  /* The next one's deadlines hold again. */
  fixture_wait(&fixture, 61 * FIXTURE_SECOND_NS);
  assert_true(stream->close_called);
  end(&fixture, stream);
}

/* A peer that does not read its answer. */
static void test_answer_deadline(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  stream->room = 100;
  fixture_say(&fixture, stream, GET("/large"));
  fixture_wait(&fixture, 19 * FIXTURE_SECOND_NS);
  assert_false(stream->gone);
  fixture_wait(&fixture, 2 * FIXTURE_SECOND_NS);
  assert_true(stream->gone);
  assert_int_equal(STREAM_END_ABORTED, stream->end);
  assert_int_equal(1, aborted_by(&fixture, HTTP_ABORT_TIMEOUT));
  end(&fixture, stream);
}

/* A refused body that never comes: it was answered, so the connection just ends. */
static void test_discard_deadline(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, POST("/fail") "Content-Length: 5\r\n\r\n");
  assert_int_equal(0, http_server_counters(fixture.server)->in_progress);
  fixture_wait(&fixture, 21 * FIXTURE_SECOND_NS);
  assert_true(stream->close_called);
  assert_int_equal(401, fixture_only_status(stream));
  fake_stream_free(stream, fixture.now_ns);
  /* Once it was dropped and the next request is answered, the connection is idle like any other. */
  stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, POST("/fail") "Content-Length: 5\r\n\r\nhello" GET("/x"));
  fixture_wait(&fixture, 59 * FIXTURE_SECOND_NS);
  assert_false(stream->close_called);
  end(&fixture, stream);
}

static void test_ends_by_the_network(void **state) {
  (void)state;
  static const char *const requests[] = {
      "GET /x HTT",
      GET("/large"),
      GET("/park"),
      POST("/x") "Content-Length: 5\r\n\r\nhe",
      POST("/x") "Transfer-Encoding: chunked\r\n\r\n5\r\nh",
  };
  static const struct {
    enum stream_end end;
    enum http_abort reason;
  } ends[] = {
      {STREAM_END_RESET, HTTP_ABORT_PEER_RESET},
      {STREAM_END_TIMED_OUT, HTTP_ABORT_TIMEOUT},
      {STREAM_END_ABORTED, HTTP_ABORT_NO_MEMORY},
      {STREAM_END_FINISHED, HTTP_ABORT_PEER_CLOSED},
  };
  for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    for (unsigned j = 0; j < sizeof ends / sizeof ends[0]; j++) {
      struct http_fixture fixture;
      struct stream *stream;
      start(&fixture, &stream);
      stream->room = 10; /* so that an answer is still on its way */
      fixture_say(&fixture, stream, requests[i]);
      assert_int_equal(1, http_server_counters(fixture.server)->in_progress);
      fake_stream_end(stream, ends[j].end, fixture.now_ns);
      fixture_check(&fixture);
      assert_int_equal(1, aborted_by(&fixture, ends[j].reason));
      assert_int_equal(i == 2, fixture.aborted_count);
      end(&fixture, stream);
    }
  }
}

static void test_peer_finishes(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    uint64_t aborted, answered;
  } cases[] = {
      {"", 0, 0},
      {"\r", 0, 0},
      {"GET /x HTTP/1.1\r\nHost", 1, 0},
      {POST("/x") "Content-Length: 5\r\n\r\nhell", 1, 0},
      {GET("/x"), 0, 1},
      {GET("/x") GET("/y") "G", 1, 2},
      {POST("/fail") "Content-Length: 5\r\n\r\nhell", 0, 1},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    fixture_say(&fixture, stream, cases[i].bytes);
    fixture_finish(&fixture, stream);
    assert_true(stream->close_called);
    assert_int_equal(cases[i].aborted, aborted_by(&fixture, HTTP_ABORT_PEER_CLOSED));
    assert_int_equal(cases[i].answered, http_server_counters(fixture.server)->answered_total);
    end(&fixture, stream);
  }
}

static void test_peer_finishes_while_parked(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, GET("/park"));
  fixture_finish(&fixture, stream);
  assert_false(stream->close_called);
  assert_int_equal(0, fixture.aborted_count);
  fixture_answer_parked(&fixture, stream);
  assert_int_equal(200, fixture_only_status(stream));
  assert_true(stream->close_called);
  fake_stream_free(stream, fixture.now_ns);
  /* The same with more requests before the FIN: all are answered first. */
  stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, GET("/park") GET("/park") GET("/x"));
  fixture_finish(&fixture, stream);
  fixture_answer_parked(&fixture, stream);
  fixture_answer_parked(&fixture, stream);
  struct fixture_answer answers[4];
  assert_int_equal(3, fixture_answers(stream, answers, 4));
  assert_true(stream->close_called);
  end(&fixture, stream);
}

static void test_peer_finishes_while_flushing(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  stream->room = 100;
  fixture_say(&fixture, stream, GET("/large"));
  fixture_finish(&fixture, stream);
  assert_false(stream->close_called);
  fixture_room(&fixture, stream, UINT32_MAX);
  assert_int_equal(200, fixture_only_status(stream));
  assert_true(stream->close_called);
  end(&fixture, stream);
}

static void test_connections_run_out(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.config.connections_max = 3;
  fixture_start(&fixture);
  struct stream *streams[3];
  for (unsigned i = 0; i < 3; i++) {
    streams[i] = fixture_open(&fixture);
    fixture_say(&fixture, streams[i], GET("/park"));
  }
  assert_null(fixture_open(&fixture));
  assert_int_equal(1, http_server_counters(fixture.server)->no_connection);
  fake_stream_free(streams[1], fixture.now_ns);
  assert_int_equal(1, fixture.aborted_count);
  streams[1] = fixture_open(&fixture);
  fixture_say(&fixture, streams[1], GET("/x"));
  assert_int_equal(200, fixture_only_status(streams[1]));
  for (unsigned i = 0; i < 3; i++) fake_stream_free(streams[i], fixture.now_ns);
  fixture_end(&fixture);
}

static void test_drain(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *idle, *begun, *parked, *dropping;
  start(&fixture, &idle);
  begun = fixture_open(&fixture);
  parked = fixture_open(&fixture);
  dropping = fixture_open(&fixture);
  fixture_say(&fixture, idle, GET("/x"));
  fixture_say(&fixture, begun, "GET /x HTTP/1.1\r\n");
  fixture_say(&fixture, parked, GET("/park") GET("/x"));
  fixture_say(&fixture, dropping, POST("/fail") "Content-Length: 5\r\n\r\n");
  http_server_drain(fixture.server, fixture.now_ns);
  fixture_check(&fixture);
  assert_true(idle->close_called);
  assert_false(begun->close_called || parked->close_called || dropping->close_called);
  assert_null(fixture_open(&fixture));
  fixture_say(&fixture, begun, "Host: a\r\n\r\n");
  struct fixture_answer answer;
  assert_int_equal(1, fixture_answers(begun, &answer, 1));
  assert_int_equal(200, answer.status);
  assert_non_null(strstr(answer.header, "\r\nConnection: close\r\n"));
  assert_true(begun->close_called);
  fixture_answer_parked(&fixture, parked);
  assert_int_equal(200, fixture_only_status(parked));
  assert_true(parked->close_called);
  fixture_say(&fixture, dropping, "hello");
  assert_true(dropping->close_called);
  fake_stream_free(begun, fixture.now_ns);
  fake_stream_free(parked, fixture.now_ns);
  fake_stream_free(dropping, fixture.now_ns);
  end(&fixture, idle);
}

/* What the network ends while draining is told apart. */
static void test_drain_cut_short(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, GET("/park"));
  http_server_drain(fixture.server, fixture.now_ns);
  stream_abort(stream, fixture.now_ns);
  assert_int_equal(1, aborted_by(&fixture, HTTP_ABORT_DRAIN));
  assert_int_equal(1, fixture.aborted_count);
  end(&fixture, stream);
}

static void test_abort_names(void **state) {
  (void)state;
  for (unsigned i = 0; i < HTTP_ABORTS; i++) {
    const char *name = http_abort_name((enum http_abort)i);
    assert_true(strlen(name) > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name));
    for (unsigned j = 0; j < i; j++) assert_string_not_equal(name, http_abort_name((enum http_abort)j));
  }
}

/* Every shortage of the arena is answered by NULL. */
static void test_create_without_memory(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.config.application = &fixture.application;
  bool created = false;
  for (unsigned takes = 0; takes < 20 && !created; takes++) {
    struct heap_arena *heap = heap_arena_create();
    heap_arena_limit(heap, takes);
    struct http_server *server = http_server_create(heap_arena_arena(heap), &fixture.config, 0);
    created = server != NULL;
    assert_true(created == (takes >= 13));
    if (server) http_server_destroy(server);
    heap_arena_destroy(heap);
  }
  assert_true(created);
}

static void respond_twice(void *context) {
  struct http_fixture *fixture = context;
  const struct http_response response = {.status = 200};
  struct http_exchange *exchange = fixture->parked[0];
  http_respond(exchange, &response, fixture->now_ns);
  http_respond(exchange, &response, fixture->now_ns);
}

static void test_answering_twice_is_our_own_mistake(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, GET("/park"));
  assert_true(traps(respond_twice, &fixture));
  end(&fixture, stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_header_deadline),
      cmocka_unit_test(test_body_deadline),
      cmocka_unit_test(test_body_rate),
      cmocka_unit_test(test_keep_alive_deadline),
      cmocka_unit_test(test_parked_has_no_deadline),
      cmocka_unit_test(test_answer_deadline),
      cmocka_unit_test(test_discard_deadline),
      cmocka_unit_test(test_ends_by_the_network),
      cmocka_unit_test(test_peer_finishes),
      cmocka_unit_test(test_peer_finishes_while_parked),
      cmocka_unit_test(test_peer_finishes_while_flushing),
      cmocka_unit_test(test_connections_run_out),
      cmocka_unit_test(test_drain),
      cmocka_unit_test(test_drain_cut_short),
      cmocka_unit_test(test_abort_names),
      cmocka_unit_test(test_create_without_memory),
      cmocka_unit_test(test_answering_twice_is_our_own_mistake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
