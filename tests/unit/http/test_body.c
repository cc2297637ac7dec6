/* Bodies: buffers, chunks, gzip, Expect and what is dropped. */
#include "cmocka_test.h"
#include "http_fixture.h"
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POST "POST /x HTTP/1.1\r\nHost: a\r\n"
#define GZIP POST "Content-Encoding: gzip\r\n"
#define NEXT "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"

static void start(struct http_fixture *fixture, struct stream **stream) {
  fixture_prepare(fixture);
  fixture_start(fixture);
  *stream = fixture_open(fixture);
}

static void end(struct http_fixture *fixture, struct stream *stream) {
  fake_stream_free(stream, fixture->now_ns);
  fixture_end(fixture);
}

static void send_length(struct http_fixture *fixture, struct stream *stream, const char *head, size_t length) {
  char text[256];
  snprintf(text, sizeof text, "%sContent-Length: %zu\r\n\r\n", head, length);
  fixture_say(fixture, stream, text);
}

static void send_with_length(struct http_fixture *fixture, struct stream *stream, const char *head, const void *body,
                             size_t length) {
  send_length(fixture, stream, head, length);
  fixture_send(fixture, stream, body, length);
}

/* gzip of `length` bytes at `plain`. */
static size_t compressed(const void *plain, size_t length, uint8_t **gzip) {
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(9);
  const size_t bound = libdeflate_gzip_compress_bound(compressor, length);
  *gzip = malloc(bound);
  const size_t bytes = libdeflate_gzip_compress(compressor, plain, length, *gzip, bound);
  libdeflate_free_compressor(compressor);
  assert_true(bytes > 0);
  return bytes;
}

static uint32_t checksum_of(const uint8_t *bytes, size_t length) {
  uint32_t sum = 2166136261u;
  for (size_t i = 0; i < length; i++) sum = (sum ^ bytes[i]) * 16777619u;
  return sum;
}

static void assert_answered_with(const struct stream *stream, unsigned index, const uint8_t *body, size_t length) {
  struct fixture_answer answers[8];
  char expected[32];
  assert_true(fixture_answers(stream, answers, 8) > index);
  assert_int_equal(200, answers[index].status);
  snprintf(expected, sizeof expected, "%zu %08x", length, checksum_of(body, length));
  assert_int_equal(strlen(expected), answers[index].body_bytes);
  assert_memory_equal(expected, answers[index].body, answers[index].body_bytes);
}

static uint8_t *pattern(size_t length) {
  uint8_t *bytes = malloc(length ? length : 1);
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(i * 131 + (i >> 8) * 7);
  return bytes;
}

static void test_lengths(void **state) {
  (void)state;
  static const size_t lengths[] = {0, 1, 255, 256, 257, 4096, 4097, 65536, 65537, 512 * 1024};
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    uint8_t *body = pattern(lengths[i]);
    stream->sent_bytes = 0;
    send_with_length(&fixture, stream, POST, body, lengths[i]);
    assert_answered_with(stream, 0, body, lengths[i]);
    free(body);
  }
  assert_int_equal(http_server_counters(fixture.server)->body_bytes, http_server_counters(fixture.server)->body_bytes_decoded);
  end(&fixture, stream);
}

/* Chunks that make the body move through every pool. */
static void test_chunks_grow(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  const size_t length = 300000;
  uint8_t *body = pattern(length);
  fixture_say(&fixture, stream, POST "Transfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0, chunk = 1; at<length; at += chunk, chunk = chunk * 2> length - at - chunk ? length - at : chunk * 2) {
    char size[24];
    if (chunk > length - at) chunk = length - at;
    snprintf(size, sizeof size, "%zX\r\n", chunk);
    fixture_say(&fixture, stream, size);
    fixture_send(&fixture, stream, body + at, chunk);
    fixture_say(&fixture, stream, "\r\n");
  }
  fixture_say(&fixture, stream, "0\r\nTrailer: ignored\r\n\r\n");
  assert_answered_with(stream, 0, body, length);
  free(body);
  /* And the next one starts afresh. */
  fixture_say(&fixture, stream, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  assert_answered_with(stream, 1, (const uint8_t *)"abc", 3);
  end(&fixture, stream);
}

static void test_chunk_limits(void **state) {
  (void)state;
  char line[8400];
  static const struct {
    unsigned extension, trailer, status;
  } cases[] = {{4096, 0, 200}, {4096 + 1, 0, 400}, {0, 8000, 200}, {0, 8192, 431}};
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    fixture_say(&fixture, stream, POST "Transfer-Encoding: chunked\r\n\r\n0");
    memset(line, 'e', sizeof line);
    line[0] = ';';
    if (cases[i].extension) fixture_send(&fixture, stream, line, cases[i].extension);
    fixture_say(&fixture, stream, "\r\n");
    line[0] = 't';
    line[1] = ':';
    if (cases[i].trailer) fixture_send(&fixture, stream, line, cases[i].trailer);
    if (cases[i].trailer) fixture_say(&fixture, stream, "\r\n");
    fixture_say(&fixture, stream, "\r\n");
    assert_int_equal(cases[i].status, fixture_only_status(stream));
    end(&fixture, stream);
  }
}

static void test_too_large(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture.max_body_bytes = 1000;
  uint8_t *body = pattern(64 * 1024 + 1);
  /* Known from the head, short enough to be dropped: the connection goes on. */
  send_with_length(&fixture, stream, POST, body, 64 * 1024);
  fixture_say(&fixture, stream, NEXT);
  struct fixture_answer answers[4];
  assert_int_equal(2, fixture_answers(stream, answers, 4));
  assert_int_equal(413, answers[0].status);
  assert_null(strstr(answers[0].header, "Connection: close"));
  assert_int_equal(200, answers[1].status);
  /* Longer: the answer is the last. */
  send_with_length(&fixture, stream, POST, body, 64 * 1024 + 1);
  assert_int_equal(3, fixture_answers(stream, answers, 4));
  assert_int_equal(413, answers[2].status);
  assert_non_null(strstr(answers[2].header, "Connection: close"));
  assert_true(stream->close_called);
  fake_stream_free(stream, fixture.now_ns);
  /* Chunked: as soon as a chunk's size says so. */
  stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, POST "Transfer-Encoding: chunked\r\n\r\n3E7\r\n");
  fixture_send(&fixture, stream, body, 999);
  fixture_say(&fixture, stream, "\r\n1\r\n");
  assert_int_equal(0, stream->sent_bytes);
  fixture_say(&fixture, stream, "x\r\n1\r\n");
  assert_int_equal(413, fixture_only_status(stream));
  assert_true(stream->close_called);
  free(body);
  end(&fixture, stream);
}

/* More than any buffer holds is too large, whatever the application admits. */
static void test_larger_than_any_buffer(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture.max_body_bytes = UINT32_MAX;
  send_length(&fixture, stream, POST, (1u << 20) + 1);
  assert_int_equal(413, fixture_only_status(stream));
  fake_stream_free(stream, fixture.now_ns);
  stream = fixture_open(&fixture);
  fixture_say(&fixture, stream, POST "Transfer-Encoding: chunked\r\n\r\n100001\r\nx");
  assert_int_equal(413, fixture_only_status(stream));
  end(&fixture, stream);
}

static void test_no_body_buffer(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  static char large[4090]; /* more than a header block has left */
  memset(large, 'x', sizeof large);
  struct stream *streams[6];
  for (unsigned i = 0; i < 6; i++) {
    streams[i] = fixture_open(&fixture);
    send_length(&fixture, streams[i], POST, sizeof large);
  }
  /* 3 + 2 + 1 buffers: bodies take larger ones when theirs are out. */
  for (unsigned i = 0; i < 6; i++) assert_int_equal(0, streams[i]->sent_bytes);
  struct stream *eleventh = fixture_open(&fixture);
  send_with_length(&fixture, eleventh, POST, large, sizeof large);
  struct fixture_answer answers[4];
  assert_int_equal(1, fixture_answers(eleventh, answers, 4));
  assert_int_equal(503, answers[0].status);
  assert_non_null(strstr(answers[0].header, "\r\nRetry-After: 1\r\n"));
  assert_false(eleventh->close_called);
  assert_int_equal(1, http_server_counters(fixture.server)->no_body_buffer);
  /* The refused body was dropped; with a buffer free again the next request is served. */
  fake_stream_free(streams[0], fixture.now_ns);
  send_with_length(&fixture, eleventh, POST, large, sizeof large);
  assert_answered_with(eleventh, 1, (const uint8_t *)large, sizeof large);
  fixture_say(&fixture, eleventh, POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  assert_answered_with(eleventh, 2, (const uint8_t *)"hello", 5);
  fake_stream_free(eleventh, fixture.now_ns);
  for (unsigned i = 1; i < 6; i++) fake_stream_free(streams[i], fixture.now_ns);
  fixture_end(&fixture);
}

/* A body that its header block has room for takes no buffer, however slowly it comes. */
static void test_small_bodies_need_no_buffer(void **state) {
  (void)state;
  struct http_fixture fixture;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  struct stream *streams[20];
  for (unsigned i = 0; i < 20; i++) {
    streams[i] = fixture_open(&fixture);
    send_length(&fixture, streams[i], POST, 3500);
  }
  struct http_use use;
  http_server_use(fixture.server, &use);
  assert_int_equal(use.bodies[0].used, 0);
  assert_int_equal(use.bodies[0].capacity, 10);
  static uint8_t bytes[3500];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
  for (unsigned i = 0; i < 20; i++) {
    for (unsigned at = 0; at < sizeof bytes; at += 500) fixture_send(&fixture, streams[i], bytes + at, 500);
    assert_answered_with(streams[i], 0, bytes, sizeof bytes);
    /* A chunked one that outgrows the block moves into a buffer. */
    fixture_say(&fixture, streams[i], POST "Transfer-Encoding: chunked\r\n\r\ndac\r\n");
    fixture_send(&fixture, streams[i], bytes, sizeof bytes);
    http_server_use(fixture.server, &use);
    assert_int_equal(use.bodies[0].used, 0);
    fixture_say(&fixture, streams[i], "\r\n400\r\n");
    fixture_send(&fixture, streams[i], bytes, 1024);
    http_server_use(fixture.server, &use);
    assert_int_equal(use.bodies[0].used, 1);
    assert_int_equal(use.bodies[1].used, 1);
    fake_stream_free(streams[i], fixture.now_ns);
  }
  http_server_use(fixture.server, &use);
  assert_int_equal(use.bodies[0].used, 0);
  fixture_end(&fixture);
}

static void test_gzip(void **state) {
  (void)state;
  static const size_t lengths[] = {0, 1, 256, 257, 5000, 200000, 512 * 1024};
  for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    uint8_t *plain = pattern(lengths[i]), *gzip;
    const size_t length = compressed(plain, lengths[i], &gzip);
    send_with_length(&fixture, stream, GZIP, gzip, length);
    assert_answered_with(stream, 0, plain, lengths[i]);
    const struct http_counters *counters = http_server_counters(fixture.server);
    assert_int_equal(length, counters->body_bytes);
    assert_int_equal(lengths[i], counters->body_bytes_decoded);
    free(plain);
    free(gzip);
    end(&fixture, stream);
  }
}

static void test_gzip_members(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  /* The last member's length is no guess at the whole: the output moves up through the pools. */
  const size_t lengths[] = {300, 0, 70000, 5000, 1};
  uint8_t *plain = pattern(75301), *body = malloc(200000);
  size_t at = 0, body_bytes = 0;
  for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    uint8_t *gzip;
    const size_t length = compressed(plain + at, lengths[i], &gzip);
    memcpy(body + body_bytes, gzip, length);
    body_bytes += length;
    at += lengths[i];
    free(gzip);
  }
  send_with_length(&fixture, stream, POST "Content-Encoding: identity, X-GZIP\r\n", body, body_bytes);
  assert_answered_with(stream, 0, plain, at);
  /* Too many members is work without content. */
  uint8_t *gzip;
  const size_t length = compressed("", 0, &gzip);
  uint8_t *many = malloc(length * 1025);
  for (unsigned i = 0; i < 1025; i++) memcpy(many + i * length, gzip, length);
  struct fixture_answer answers[4];
  send_with_length(&fixture, stream, GZIP, many, length * 1024);
  send_with_length(&fixture, stream, GZIP, many, length * 1025);
  assert_int_equal(3, fixture_answers(stream, answers, 4));
  assert_int_equal(200, answers[1].status);
  assert_int_equal(400, answers[2].status);
  free(gzip);
  free(many);
  free(plain);
  free(body);
  end(&fixture, stream);
}

static void test_damaged_gzip(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  uint8_t *plain = pattern(2000), *gzip;
  const size_t length = compressed(plain, 2000, &gzip);
  uint8_t *damaged = malloc(length + 8);
  for (unsigned i = 0; i < 6; i++) {
    size_t damaged_bytes = length;
    memcpy(damaged, gzip, length);
    switch (i) {
    case 0:
      damaged_bytes--;
      break;
    case 1: /* the last bytes of a gzip file are often padding: not here */
      damaged[damaged_bytes++] = 0;
      break;
    case 2:
      memset(damaged + damaged_bytes, 'g', 8);
      damaged_bytes += 8;
      break;
    case 3:
      damaged[length - 5] ^= 1; /* CRC */
      break;
    case 4:
      damaged[length - 1] ^= 0x7f; /* length, which is also the guess at the buffer */
      break;
    default:
      damaged[0] = 0;
      break;
    }
    stream->sent_bytes = 0;
    send_with_length(&fixture, stream, GZIP, damaged, damaged_bytes);
    assert_int_equal(400, fixture_only_status(stream));
  }
  /* The body was read whole, so the connection is still good. */
  stream->sent_bytes = 0;
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_answered_with(stream, 0, plain, 2000);
  assert_int_equal(1, fixture.handled);
  free(plain);
  free(gzip);
  free(damaged);
  end(&fixture, stream);
}

static void test_gzip_bomb(void **state) {
  (void)state;
  const size_t plain_bytes = 10u << 20;
  uint8_t *plain = calloc(1, plain_bytes), *gzip;
  const size_t length = compressed(plain, plain_bytes, &gzip);
  assert_true(length < 16 * 1024);
  /* The trailer tells the truth, then lies. */
  for (unsigned lie = 0; lie < 2; lie++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    if (lie) memset(gzip + length - 4, 0, 4);
    fixture.max_body_bytes = 100000;
    send_with_length(&fixture, stream, GZIP, gzip, length);
    assert_int_equal(413, fixture_only_status(stream));
    assert_int_equal(0, fixture.handled);
    /* The same against the largest buffer. */
    stream->sent_bytes = 0;
    fixture.max_body_bytes = UINT32_MAX;
    send_with_length(&fixture, stream, GZIP, gzip, length);
    assert_int_equal(413, fixture_only_status(stream));
    assert_false(stream->close_called);
    end(&fixture, stream);
  }
  free(plain);
  free(gzip);
}

static void test_gzip_limit_is_exact(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  uint8_t *plain = calloc(1, 3001), *gzip;
  fixture.max_body_bytes = 3000;
  size_t length = compressed(plain, 3000, &gzip);
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_answered_with(stream, 0, plain, 3000);
  free(gzip);
  stream->sent_bytes = 0;
  length = compressed(plain, 3001, &gzip);
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_int_equal(413, fixture_only_status(stream));
  free(gzip);
  free(plain);
  end(&fixture, stream);
}

static void test_gzip_without_a_buffer(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  struct stream *holder = fixture_open(&fixture);
  send_length(&fixture, holder, POST, 70000); /* the only large buffer */
  uint8_t *plain = calloc(1, 70000), *gzip;
  const size_t length = compressed(plain, 70000, &gzip);
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_int_equal(503, fixture_only_status(stream));
  assert_int_equal(1, http_server_counters(fixture.server)->no_body_buffer);
  /* Beyond the limit it is too large, whether or not a larger buffer is free. */
  stream->sent_bytes = 0;
  fixture.max_body_bytes = 50000;
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_int_equal(413, fixture_only_status(stream));
  fixture.max_body_bytes = 512 * 1024;
  fake_stream_free(holder, fixture.now_ns);
  stream->sent_bytes = 0;
  send_with_length(&fixture, stream, GZIP, gzip, length);
  assert_answered_with(stream, 0, plain, 70000);
  free(gzip);
  free(plain);
  end(&fixture, stream);
}

static void test_other_content_codings(void **state) {
  (void)state;
  static const char *const codings[] = {"br", "deflate", "zstd", "gzip, gzip", "gzip;q=1"};
  for (unsigned i = 0; i < sizeof codings / sizeof codings[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    char head[128];
    snprintf(head, sizeof head, POST "Content-Encoding: %s\r\n", codings[i]);
    send_with_length(&fixture, stream, head, "hello", 5);
    fixture_say(&fixture, stream, NEXT);
    struct fixture_answer answers[4];
    assert_int_equal(2, fixture_answers(stream, answers, 4));
    assert_int_equal(415, answers[0].status);
    assert_non_null(strstr(answers[0].header, "\r\nAccept-Encoding: gzip\r\n"));
    assert_int_equal(200, answers[1].status);
    end(&fixture, stream);
  }
}

static void test_expect_continue(void **state) {
  (void)state;
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  fixture_say(&fixture, stream, POST "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n");
  assert_int_equal(25, stream->sent_bytes);
  assert_memory_equal("HTTP/1.1 100 Continue\r\n\r\n", stream->sent, 25);
  assert_int_equal(0, fixture.handled);
  fixture_say(&fixture, stream, "hello");
  assert_answered_with(stream, 1, (const uint8_t *)"hello", 5);
  /* Refused by the application: no 100, and a client that sends all the same keeps its connection. */
  stream->sent_bytes = 0;
  fixture_say(&fixture, stream, "POST /fail HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 500000\r\n\r\n");
  assert_int_equal(401, fixture_only_status(stream));
  assert_false(stream->close_called);
  uint8_t *body = pattern(500000);
  fixture_send(&fixture, stream, body, 500000);
  free(body);
  fixture_say(&fixture, stream, NEXT);
  struct fixture_answer answers[4];
  assert_int_equal(2, fixture_answers(stream, answers, 4));
  assert_non_null(strstr(answers[0].header, "\r\nWWW-Authenticate: Webhook\r\n"));
  assert_int_equal(200, answers[1].status);
  /* HTTP/1.0 knows no interim answer. */
  stream->sent_bytes = 0;
  fixture_say(&fixture, stream, "POST /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  assert_int_equal(0, stream->sent_bytes);
  fixture_say(&fixture, stream, "hello");
  assert_int_equal(200, fixture_only_status(stream));
  end(&fixture, stream);
}

/* The interim answer finds no room: it is sent when there is some, never twice, never after the final one. */
static void test_expect_continue_without_room(void **state) {
  (void)state;
  for (uint32_t room = 0; room < 25; room += 6) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    stream->room = room;
    fixture_say(&fixture, stream, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(room, stream->sent_bytes);
    fixture_say(&fixture, stream, "hello");
    fixture_room(&fixture, stream, UINT32_MAX);
    struct fixture_answer answers[4];
    assert_int_equal(room ? 2 : 1, fixture_answers(stream, answers, 4));
    if (room) assert_int_equal(100, answers[0].status);
    assert_answered_with(stream, room ? 1 : 0, (const uint8_t *)"hello", 5);
    end(&fixture, stream);
  }
  struct http_fixture fixture;
  struct stream *stream;
  start(&fixture, &stream);
  stream->room = 5;
  fixture_say(&fixture, stream, POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  fixture_room(&fixture, stream, 10);
  fixture_room(&fixture, stream, 100);
  assert_int_equal(25, stream->sent_bytes);
  end(&fixture, stream);
}

/* A refused chunked body is dropped up to a bound; what is wrong in it ends the connection, silently: it was answered. */
static void test_discarded_chunks(void **state) {
  (void)state;
  static const struct {
    const char *body;
    size_t filler;
    bool closes;
  } cases[] = {{"5\r\nhello\r\n0\r\n\r\n", 0, false}, {"5\r\nhelloX", 0, true}, {"FFFFF\r\n", 70000, true}};
  for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct http_fixture fixture;
    struct stream *stream;
    start(&fixture, &stream);
    fixture_say(&fixture, stream, "POST /fail HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    fixture_say(&fixture, stream, cases[i].body);
    uint8_t *filler = pattern(cases[i].filler);
    fixture_send(&fixture, stream, filler, cases[i].filler);
    free(filler);
    assert_int_equal(401, fixture_only_status(stream));
    assert_int_equal(cases[i].closes, stream->close_called);
    fixture_say(&fixture, stream, NEXT);
    assert_int_equal(cases[i].closes ? 0 : 1, fixture.handled);
    end(&fixture, stream);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_chunks_grow),
      cmocka_unit_test(test_chunk_limits),
      cmocka_unit_test(test_too_large),
      cmocka_unit_test(test_larger_than_any_buffer),
      cmocka_unit_test(test_no_body_buffer),
      cmocka_unit_test(test_small_bodies_need_no_buffer),
      cmocka_unit_test(test_gzip),
      cmocka_unit_test(test_gzip_members),
      cmocka_unit_test(test_damaged_gzip),
      cmocka_unit_test(test_gzip_bomb),
      cmocka_unit_test(test_gzip_limit_is_exact),
      cmocka_unit_test(test_gzip_without_a_buffer),
      cmocka_unit_test(test_other_content_codings),
      cmocka_unit_test(test_expect_continue),
      cmocka_unit_test(test_expect_continue_without_room),
      cmocka_unit_test(test_discarded_chunks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
