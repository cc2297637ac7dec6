/* What the application sees of a request, and that it does not depend on how the bytes were cut. */
#include "cmocka_test.h"
#include "http_fixture.h"
#include "test_random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http_text text_of(const char *literal) { return (struct http_text){literal, (uint32_t)strlen(literal)}; }

static void test_text_functions(void **state) {
  (void)state;
  assert_true(http_text_equals(text_of("abc"), "abc"));
  assert_false(http_text_equals(text_of("abc"), "abd"));
  assert_false(http_text_equals(text_of("abc"), "ab"));
  assert_true(http_text_equals((struct http_text){NULL, 0}, ""));
  assert_true(http_text_equals_ignoring_case(text_of("aBc-1"), "AbC-1"));
  assert_false(http_text_equals_ignoring_case(text_of("@"), "`"));
  assert_true(http_media_type_is(text_of("application/json"), "application/json"));
  assert_true(http_media_type_is(text_of("Application/JSON ; charset=utf-8"), "application/json"));
  assert_false(http_media_type_is(text_of("application/jsonx"), "application/json"));
  assert_false(http_media_type_is(text_of("text/plain; application/json"), "application/json"));
  assert_false(http_media_type_is((struct http_text){NULL, 0}, "application/json"));
}

static void handles(const char *request, const char *log) {
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  struct stream *stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, request);
  assert_non_null(fixture.log);
  assert_string_equal(log, fixture.log);
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
}

static void test_parts_of_a_request(void **state) {
  (void)state;
  handles("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "0:8080:a560001:0:0:811c9dc5|/||host|a|\n");
  handles("POST /v1/%74races?x=1?y HTTP/1.1\r\nHOST: a\r\nContent-Length: 1\r\nX-Odd_1:  two  words \t\r\n\r\na",
          "2:8080:a560001:1:1:e40c292c|/v1/%74races|x=1?y|host|a|content-length|1|x-odd_1|two  words|\n");
  handles("DELETE http://host:1?q HTTP/1.1\r\nHost: a\r\nEmpty:\r\n\r\n", "4:8080:a560001:0:0:811c9dc5|/|q|host|a|empty||\n");
  handles("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "5:8080:a560001:0:0:811c9dc5|*||host|a|\n");
  handles("PATCH HTTPS://host/p/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
          "6:8080:a560001:ffffffffffffffff:1:e40c292c|/p/||host|a|transfer-encoding|chunked|\n");
}

static void test_first_of_repeated_headers(void **state) {
  (void)state;
  const struct http_header headers[] = {{text_of("a"), text_of("1")}, {text_of("b"), text_of("2")}, {text_of("a"), text_of("3")}};
  const struct http_request request = {.header_count = 3, .headers = headers};
  assert_true(http_text_equals(http_request_header(&request, "a"), "1"));
  assert_true(http_text_equals(http_request_header(&request, "b"), "2"));
  assert_null(http_request_header(&request, "c").at);
}

/* `count` fields with values of `value_bytes`; ends with the empty line. Valid until the next call. */
static const char *with_headers(unsigned count, unsigned value_bytes) {
  static char text[64 * 1024];
  size_t at = (size_t)snprintf(text, sizeof text, "GET /many?q=1 HTTP/1.1\r\nHost: a\r\n");
  for (unsigned i = 0; i < count; i++) {
    at += (size_t)snprintf(text + at, sizeof text - at, "N%u: ", i);
    memset(text + at, 'v', value_bytes);
    at += value_bytes;
    at += (size_t)snprintf(text + at, sizeof text - at, "\r\n");
  }
  snprintf(text + at, sizeof text - at, "\r\n");
  return text;
}

static unsigned status_of(const char *request, size_t piece, size_t *log_bytes) {
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  struct stream *stream = fixture_open(&fixture);
  const size_t length = strlen(request);
  for (size_t at = 0; at < length; at += piece)
    fixture_send(&fixture, stream, request + at, length - at < piece ? length - at : piece);
  const unsigned status = fixture_only_status(stream);
  if (log_bytes) *log_bytes = fixture.log_bytes;
  if (status == 200 && log_bytes) assert_non_null(strstr(fixture.log, "|/many|q=1|host|a|n0|v"));
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
  return status;
}

static void test_header_limits(void **state) {
  (void)state;
  static const size_t pieces[] = {1, 7, 1000, SIZE_MAX / 2};
  static const struct {
    unsigned count, value_bytes, status;
  } cases[] = {
      {HTTP_HEADERS_MAX - 1, 10, 200},
      {HTTP_HEADERS_MAX, 10, 431},
      {31, 1, 200},
      {32, 1, 200},
      {33, 1, 200},
      {1, 32700, 200},
      {1, 32768, 431},
      {1, 4096, 200},
      {90, 350, 200},
      {90, 400, 431},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *request = with_headers(cases[i].count, cases[i].value_bytes);
    for (unsigned j = 0; j < sizeof pieces / sizeof pieces[0]; j++) {
      size_t log_bytes;
      const unsigned status = status_of(request, pieces[j], &log_bytes);
      if (status != cases[i].status)
        fail_msg("%u fields of %u bytes in pieces of %zu: %u", cases[i].count, cases[i].value_bytes, pieces[j], status);
      /* Every field came through, moved to the large block or not. */
      if (status == 200) assert_true(log_bytes > (size_t)cases[i].count * (cases[i].value_bytes + 4));
    }
  }
}

static void test_exactly_the_largest_header_block(void **state) {
  (void)state;
  const unsigned frame = (unsigned)strlen("GET /many?q=1 HTTP/1.1\r\nHost: a\r\nN0: \r\n\r\n");
  for (unsigned extra = 0; extra < 2; extra++) {
    const char *request = with_headers(1, HTTP_HEADER_BYTES_MAX - frame + extra);
    assert_int_equal(extra ? 431 : 200, status_of(request, 1, NULL));
    assert_int_equal(extra ? 431 : 200, status_of(request, SIZE_MAX / 2, NULL));
  }
}

static void test_request_line_limit(void **state) {
  (void)state;
  char request[8192 + 64];
  for (unsigned extra = 0; extra < 2; extra++) {
    const size_t target = 8192 - strlen("GET / HTTP/1.1\r\n") + extra;
    size_t at = (size_t)sprintf(request, "GET /");
    memset(request + at, 'a', target);
    strcpy(request + at + target, " HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(extra ? 414 : 200, status_of(request, 1, NULL));
    assert_int_equal(extra ? 414 : 200, status_of(request, SIZE_MAX / 2, NULL));
  }
}

/* Large header blocks are few: who finds none is told so, and the others go on. */
static void test_large_header_blocks_run_out(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  struct stream *streams[12], *others[12];
  const char *request = with_headers(50, 100);
  for (unsigned i = 0; i < 12; i++) {
    streams[i] = fixture_open(&fixture);
    fixture_send(&fixture, streams[i], request, strlen(request) - 2);
  }
  const struct http_counters *counters = http_server_counters(fixture.server);
  const unsigned large = fixture.config.connections_max / 16 + 8;
  assert_int_equal(12 - large, counters->no_header_buffer);
  /* Others take the small blocks that were moved from. */
  for (unsigned i = 0; i < 12; i++) {
    others[i] = fixture_open(&fixture);
    fixture_say(&fixture, others[i], "GET /another?one=2&more=3 HTTP/1.1\r\nHost: b\r\n");
  }
  for (unsigned i = 0; i < 12; i++) {
    fixture_say(&fixture, streams[i], "\r\n");
    assert_int_equal(i < large ? 200 : 503, fixture_only_status(streams[i]));
    if (i >= large) assert_non_null(memmem(streams[i]->sent, streams[i]->sent_bytes, "\r\nRetry-After: 1\r\n", 18));
  }
  unsigned whole = 0;
  for (const char *at = fixture.log; (at = strstr(at, "|/many|q=1|host|a|n0|v")); at++) whole++;
  assert_int_equal(large, whole);
  for (unsigned i = 0; i < 12; i++) {
    fake_stream_free(streams[i], fixture.now_ns);
    fake_stream_free(others[i], fixture.now_ns);
  }
  fixture_end(&fixture);
}

/* Requests of all kinds, whole or damaged, one after the other. */
static size_t random_requests(struct test_random *random, char *text, size_t most) {
  static const char *const pieces[] = {
      "GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n",
      "HEAD /empty HTTP/1.1\r\nHost: a\r\n\r\n",
      "\r\nGET http://b/c HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
      "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
      "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na;e=f\r\n0123456789\r\n0\r\nT: u\r\n\r\n",
      "POST /fail HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
      "POST /fail HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: br\r\nContent-Length: 5\r\n\r\nhello",
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
      "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n",
      "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7530\r\n",
      "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "GET /close HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
  };
  const unsigned count = 1 + random_below(random, 6);
  size_t at = 0;
  for (unsigned i = 0; i < count; i++) {
    /* The closing ones less often. */
    const char *piece = pieces[random_below(random, random_below(random, 4) ? 14 : 16)];
    const size_t length = strlen(piece);
    if (at + length > most) break;
    memcpy(text + at, piece, length);
    at += length;
  }
  if (random_below(random, 3) == 0)
    for (unsigned i = 1 + random_below(random, 3); i-- > 0;) text[random_below(random, (uint32_t)at)] = (char)random_next(random);
  return at;
}

struct outcome {
  uint8_t *sent;
  size_t sent_bytes;
  char *log;
  size_t log_bytes;
  bool closed;
  struct http_counters counters;
};

static struct outcome outcome_of(const char *bytes, size_t length, struct test_random *splits, uint32_t piece_max, bool guarded) {
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.max_body_bytes = 20000;
  fixture_start(&fixture);
  struct stream *stream = fixture_open(&fixture);
  stream->guarded = guarded;
  for (size_t at = 0; at < length;) {
    size_t piece = piece_max ? 1 + random_below(splits, piece_max) : length;
    if (piece > length - at) piece = length - at;
    fixture_send(&fixture, stream, bytes + at, piece);
    at += piece;
  }
  struct outcome outcome = {.sent = stream->sent,
                            .sent_bytes = stream->sent_bytes,
                            .log = fixture.log,
                            .log_bytes = fixture.log_bytes,
                            .closed = stream->close_called,
                            .counters = *http_server_counters(fixture.server)};
  stream->sent = NULL;
  fixture.log = NULL;
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
  return outcome;
}

static void assert_same(const struct outcome *whole, const struct outcome *cut, unsigned seed) {
  if (whole->sent_bytes != cut->sent_bytes || whole->log_bytes != cut->log_bytes || whole->closed != cut->closed ||
      (whole->sent_bytes && memcmp(whole->sent, cut->sent, whole->sent_bytes) != 0) ||
      (whole->log_bytes && memcmp(whole->log, cut->log, whole->log_bytes) != 0) ||
      memcmp(&whole->counters, &cut->counters, sizeof whole->counters) != 0)
    fail_msg("seed %u: %.*s ... or ... %.*s", seed, (int)whole->sent_bytes, (const char *)whole->sent, (int)cut->sent_bytes,
             (const char *)cut->sent);
}

static void test_splits_do_not_matter(void **state) {
  (void)state;
  unsigned handled = 0, refused = 0;
  for (unsigned seed = 0; seed < 1500; seed++) {
    struct test_random random = {seed};
    char bytes[4096];
    const size_t length = random_requests(&random, bytes, sizeof bytes);
    struct outcome whole = outcome_of(bytes, length, NULL, 0, true);
    handled += whole.counters.answered[200] > 0;
    refused += whole.counters.answered[400] > 0;
    static const uint32_t piece_max[] = {1, 3, 40, 400};
    for (unsigned i = 0; i < 4; i++) {
      struct outcome cut = outcome_of(bytes, length, &random, piece_max[i], seed % 50 == 0);
      assert_same(&whole, &cut, seed);
      free(cut.sent);
      free(cut.log);
    }
    free(whole.sent);
    free(whole.log);
  }
  assert_true(handled > 300 && refused > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text_functions),
      cmocka_unit_test(test_parts_of_a_request),
      cmocka_unit_test(test_first_of_repeated_headers),
      cmocka_unit_test(test_header_limits),
      cmocka_unit_test(test_exactly_the_largest_header_block),
      cmocka_unit_test(test_request_line_limit),
      cmocka_unit_test(test_large_header_blocks_run_out),
      cmocka_unit_test(test_splits_do_not_matter),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
