/* Requests on which two parsers might disagree: each must be refused, and the connection must end with the refusal, so that
 * nothing after it is ever taken for a request. */
#include "cmocka_test.h"
#include "http_fixture.h"
#include <string.h>

#define HOST "Host: a\r\n"
#define POST "POST /x HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

struct refused {
  unsigned status;
  const char *bytes;
  size_t length;
};

#define REFUSED(expected, text)                                                                                                  \
  { expected, text, sizeof(text) - 1 }

static const struct refused refused[] = {
    /* An authority that is none. */
    REFUSED(400, "GET http://a`b/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    /* Framing by two lengths. */
    REFUSED(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    REFUSED(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 5, 6\r\n\r\nhello!"),
    REFUSED(400, POST "Content-Length: 5, 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 5\r\ncontent-length: 06\r\n\r\nhello!"),
    /* Content-Length that is no number. */
    REFUSED(400, POST "Content-Length: +5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: -5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 0x5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 5 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 5a\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: 5.0\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length: \"5\"\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length:\r\n\r\n"),
    REFUSED(400, POST "Content-Length: ,\r\n\r\n"),
    REFUSED(413, POST "Content-Length: 18446744073709551615\r\n\r\n"),
    REFUSED(413, POST "Content-Length: 18446744073709551616\r\n\r\n"),
    REFUSED(413, POST "Content-Length: 184467440737095516170000000005\r\n\r\nhello"),
    REFUSED(411, POST "\r\n"),
    REFUSED(411, "PUT /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(411, "POST /x HTTP/1.0\r\n\r\n"),
    /* Names that only some read as framing. */
    REFUSED(400, POST "Content-Length : 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length\t: 5\r\n\r\nhello"),
    REFUSED(400, POST " Content-Length: 5\r\n\r\nhello"),
    REFUSED(400, POST "Content\rLength: 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length\0: 5\r\n\r\nhello"),
    REFUSED(400, POST "Content-Length\xc2\xa0: 5\r\n\r\nhello"),
    REFUSED(400, POST "\x0b"
                      "Content-Length: 5\r\n\r\nhello"),
    REFUSED(400, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(411, POST "Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(411, POST "Content-Length-: 5\r\n\r\nhello"),
    /* Transfer-Encoding. */
    REFUSED(501, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: identity\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: gzip\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
    REFUSED(501, POST "Transfer-Encoding: chunked chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding:\x0b"
                      "chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n"),
    REFUSED(400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
    REFUSED(400, "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    /* Line ends. */
    REFUSED(400, "GET /x HTTP/1.1\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nA: b\r\n c\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nA: b\r\n\tc\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n " HOST "\r\n"),
    REFUSED(400, "\r\n\r\nGET /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "\rGET /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "\nGET /x HTTP/1.1\r\n" HOST "\r\n"),
    /* Field values and names. */
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A: long enough for a word \x7f\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST ": b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A B: c\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "A(): c\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST "\xc3\xa9: c\r\n\r\n"),
    /* Host. */
    REFUSED(400, "GET /x HTTP/1.1\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\n" HOST HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    REFUSED(400, "GET /x HTTP/1.0\r\n" HOST HOST "\r\n"),
    /* The request line. */
    REFUSED(400, "GET  /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x  HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.1 \r\n" HOST "\r\n"),
    REFUSED(400, " GET /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x y HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET\t/x\tHTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1.10\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/1,1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x http/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x HTTP/01.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /x#y HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /\x80 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "G@T /x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET http://u@a/x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(400, "GET ftp://a/x HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(501, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n"),
    REFUSED(505, "GET /x HTTP/2.0\r\n" HOST "\r\n"),
    REFUSED(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    REFUSED(505, "GET /x HTTP/0.9\r\n" HOST "\r\n"),
    REFUSED(417, POST "Content-Length: 5\r\nExpect: 200-ok\r\n\r\nhello"),
    REFUSED(417, POST "Content-Length: 5\r\nExpect: 100-continue, other\r\n\r\nhello"),
    /* Chunks. */
    REFUSED(400, CHUNKED "\r\n\r\n"),
    REFUSED(400, CHUNKED "g\r\n\r\n"),
    REFUSED(400, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "-5\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5 ;a\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\rhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\rXhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r0\r\n\r\n"),
    REFUSED(400, CHUNKED "4\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5;a\0\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "10000000000000000\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    REFUSED(413, CHUNKED "fffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\nA\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\nA : b\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\nA: b\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\n\n"),
    REFUSED(400, CHUNKED "5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
};

static void refuses(const struct refused *request, size_t piece) {
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture.config.http2.connections_max = 0;
  fixture_start(&fixture);
  struct stream *stream = fixture_open(&fixture);
  for (size_t at = 0; at < request->length; at += piece)
    fixture_send(&fixture, stream, request->bytes + at, request->length - at < piece ? request->length - at : piece);
  fixture_say(&fixture, stream, SMUGGLED);
  if (fixture_only_status(stream) != request->status || fixture.handled || !stream->close_called)
    fail_msg("%.*s: %u instead of %u, %u handled", (int)request->length, request->bytes, fixture_only_status(stream),
             request->status, fixture.handled);
  assert_non_null(memmem(stream->sent, stream->sent_bytes, "\r\nConnection: close\r\n", 21));
  fake_stream_free(stream, fixture.now_ns);
  fixture_end(&fixture);
}

static void test_refused_whole(void **state) {
  (void)state;
  _Static_assert(sizeof refused / sizeof refused[0] >= 60, "the table was cut");
  for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) refuses(&refused[i], refused[i].length);
}

static void test_refused_byte_by_byte(void **state) {
  (void)state;
  for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) refuses(&refused[i], 1);
}

/* The same shapes with nothing wrong: the table above must not pass because everything is refused. */
static void test_accepted(void **state) {
  (void)state;
  static const char *const accepted[] = {
      POST "Content-Length: 5\r\n\r\nhello",
      POST "Content-Length: 005\r\n\r\nhello",
      POST "Content-Length:5\r\n\r\nhello",
      POST "Content-Length: \t 5 \t\r\n\r\nhello",
      POST "cOnTeNt-LeNgTh: 5\r\n\r\nhello",
      CHUNKED "5\r\nhello\r\n0\r\n\r\n",
      CHUNKED "05\r\nhello\r\n000\r\n\r\n",
      CHUNKED "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n",
      CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\nC:\r\n\r\n",
      POST "Transfer-Encoding: ChUnKeD\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "\r\n" POST "Content-Length: 5\r\n\r\nhello",
      "POST http://a:80/x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
      "POST /x HTTP/1.9\r\n" HOST "Content-Length: 5\r\n\r\nhello",
      "POST /x HTTP/1.1\r\nHost:\r\nContent-Length: 5\r\n\r\nhello",
      "POST /x HTTP/1.1\r\nHost: [::1]:4318\r\nContent-Length: 5\r\nA: \xc3\xa9 and a\ttab\r\n\r\nhello",
      "POST /x HTTP/1.0\r\nConnection: keep-alive\r\nExpect: other\r\nContent-Length: 5\r\n\r\nhello",
  };
  for (unsigned i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
    struct http_fixture fixture;
    fixture_prepare(&fixture);
    fixture_start(&fixture);
    struct stream *stream = fixture_open(&fixture);
    fixture_say(&fixture, stream, accepted[i]);
    if (fixture_only_status(stream) != 200) fail_msg("%s: %u", accepted[i], fixture_only_status(stream));
    fixture_say(&fixture, stream, "GET /next HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(2, fixture.handled);
    assert_non_null(memmem(stream->sent, stream->sent_bytes, "\r\n\r\n5 4f9f2cab", 14));
    fake_stream_free(stream, fixture.now_ns);
    fixture_end(&fixture);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refused_whole),
      cmocka_unit_test(test_refused_byte_by_byte),
      cmocka_unit_test(test_accepted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
