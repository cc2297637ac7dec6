/* Answers: their bytes, pipelining, persistence, and streams without room. */
#include "cmocka_test.h"
#include "http_fixture.h"
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static void start(struct http_fixture *fixture, struct stream **stream) {
  fixture_prepare(fixture);
  fixture_start(fixture);
  *stream = fixture_open(fixture);
}

static void end(struct http_fixture *fixture, struct stream *stream) {
  fake_stream_free(stream, fixture->now_ns);
  fixture_end(fixture);
}

static void answers_with(const char *request, const char *answer, bool closes) {
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, request);
  assert_int_equal(strlen(answer), stream->sent_bytes);
  assert_memory_equal(answer, stream->sent, stream->sent_bytes);
  assert_int_equal(closes, stream->close_called);
  end(&fixture, stream);
}

static void test_bytes_of_answers(void **state) {
  (void)state;
  answers_with(GET("/x"), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n0 811c9dc5", false);
  answers_with("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n",
               false);
  answers_with(GET("/empty"), "HTTP/1.1 204 No Content\r\n\r\n", false);
  answers_with(GET("/close"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true);
  answers_with("POST /x HTTP/1.1\r\nHost: a\r\n\r\n",
               "HTTP/1.1 411 Length Required\r\nContent-Type: text/plain\r\nContent-Length: 21\r\nConnection: close\r\n\r\n"
               "411 no Content-Length",
               true);
  answers_with("HEAD /fail HTTP/1.1\r\nHost: a\r\n\r\n",
               "HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nWWW-Authenticate: Webhook\r\n\r\n",
               false);
}

static void test_persistence(void **state) {
  (void)state;
  static const struct {
    const char *request;
    bool closes;
    const char *header;
  } cases[] = {
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true, "\r\nConnection: close\r\n"},
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n", true, "\r\nConnection: close\r\n"},
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: foo\r\nConnection: close, keep-alive\r\n\r\n", true, "close"},
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n", false, ""},
      {"GET /x HTTP/1.0\r\n\r\n", true, "\r\nConnection: close\r\n"},
      {"GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, "\r\nConnection: keep-alive\r\n"},
      {"GET /x HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", true, "\r\nConnection: close\r\n"},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    fixture_say(&fixture, stream, cases[i].request);
    struct fixture_answer answer;
    assert_int_equal(1, fixture_answers(stream, &answer, 1));
    assert_non_null(strstr(answer.header, cases[i].header));
    assert_int_equal(cases[i].closes, stream->close_called);
    fixture_say(&fixture, stream, GET("/next"));
    assert_int_equal(cases[i].closes ? 1 : 2, fixture.handled);
    end(&fixture, stream);
  }
}

static void test_pipelining(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream,
              GET("/1") "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/park") GET("/4") GET("/park")
                  GET("/6"));
  struct fixture_answer answers[8];
  assert_int_equal(2, fixture_answers(stream, answers, 8));
  assert_int_equal(3, fixture.handled);
  assert_true(stream->held_bytes > 0);
  /* More bytes while parked wait with the rest. */
  fixture_say(&fixture, stream, GET("/7"));
  assert_int_equal(3, fixture.handled);
  fixture_answer_parked(&fixture, stream);
  assert_int_equal(4, fixture_answers(stream, answers, 8));
  assert_int_equal(5, fixture.handled);
  fixture_answer_parked(&fixture, stream);
  assert_int_equal(7, fixture_answers(stream, answers, 8));
  assert_int_equal(0, stream->held_bytes);
  assert_int_equal(7, http_server_counters(fixture.server)->answered[200]);
  end(&fixture, stream);
}

/* Nothing after the request that asked for the end is served. */
static void test_pipelining_after_close(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, GET("/1") GET("/close") GET("/3"));
  assert_int_equal(2, fixture.handled);
  assert_int_equal(2, http_server_counters(fixture.server)->requests);
  assert_true(stream->close_called);
  end(&fixture, stream);
}

static void test_answer_without_room(void **state) {
  (void)state;
  for (uint32_t step = 1; step < 5000; step = step * 3 + 1) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    stream->room = 0;
    fixture_say(&fixture, stream, GET("/large") GET("/next"));
    const struct http_counters *counters = http_server_counters(fixture.server);
    assert_int_equal(1, fixture.handled);
    assert_int_equal(1, counters->in_progress);
    unsigned turns = 0;
    while (counters->answered_total < 2 && turns++ < 5000) fixture_room(&fixture, stream, step);
    struct fixture_answer answers[3];
    assert_int_equal(2, fixture_answers(stream, answers, 3));
    assert_int_equal(HTTP_RESPONSE_BODY_BYTES_MAX, answers[0].body_bytes);
    assert_int_equal('x', answers[0].body[0]);
    for (unsigned i = 1; i < HTTP_RESPONSE_BODY_BYTES_MAX; i++) assert_int_equal(0, answers[0].body[i]);
    assert_int_equal(10, answers[1].body_bytes);
    assert_int_equal(2, fixture.handled);
    end(&fixture, stream);
  }
}

static void test_close_waits_for_the_answer(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  stream->room = 10;
  fixture_say(&fixture, stream, GET("/close"));
  assert_false(stream->close_called);
  assert_int_equal(0, http_server_counters(fixture.server)->answered_total);
  fixture_room(&fixture, stream, UINT32_MAX);
  assert_true(stream->close_called);
  assert_int_equal(200, fixture_only_status(stream));
  end(&fixture, stream);
}

/* The refused body is dropped only after its answer is out. */
static void test_refusal_without_room(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  stream->room = 10;
  fixture_say(&fixture, stream, "POST /fail HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" GET("/next"));
  assert_int_equal(0, fixture.handled);
  fixture_room(&fixture, stream, UINT32_MAX);
  struct fixture_answer answers[3];
  assert_int_equal(2, fixture_answers(stream, answers, 3));
  assert_int_equal(401, answers[0].status);
  assert_int_equal(1, fixture.handled);
  end(&fixture, stream);
}

/* `handle` of one request may answer others: neither answer may touch the other. */
static void test_answering_others_within_handle(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  struct stream *parked = fixture_open(&fixture);
  fixture_say(&fixture, parked, "POST /park HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  fixture.answer_parked_in_handle = true;
  fixture_say(&fixture, stream, GET("/x"));
  struct fixture_answer answer;
  assert_int_equal(1, fixture_answers(stream, &answer, 1));
  assert_memory_equal("0 811c9dc5", answer.body, 10);
  assert_int_equal(1, fixture_answers(parked, &answer, 1));
  assert_memory_equal("5 4f9f2cab", answer.body, 10);
  fake_stream_free(parked, fixture.now_ns);
  end(&fixture, stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_of_answers),     cmocka_unit_test(test_persistence),
      cmocka_unit_test(test_pipelining),           cmocka_unit_test(test_pipelining_after_close),
      cmocka_unit_test(test_answer_without_room),  cmocka_unit_test(test_close_waits_for_the_answer),
      cmocka_unit_test(test_refusal_without_room), cmocka_unit_test(test_answering_others_within_handle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
