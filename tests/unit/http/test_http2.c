/* HTTP/2 and gRPC with nghttp2's own client at the other end: streams side by side, bodies in any pieces, refusals, limits, the
 * end of a connection at any moment, and hostile frames by hand. */
#include "cmocka_test.h"
#include "http_fixture.h"
#include "test_random.h"
#include <libdeflate.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX 256

struct reply {
  int32_t id;
  unsigned status;
  int grpc_status; /* -1: none */
  char message[200], details[300], body[5000];
  size_t body_bytes;
  bool closed;
  uint32_t error;
};

struct upload {
  const uint8_t *bytes;
  size_t length, at;
};

struct peer {
  struct http_fixture *fixture;
  struct stream *stream;
  nghttp2_session *session;
  size_t seen; /* of what the server sent */
  struct reply replies[STREAMS_MAX];
  struct upload uploads[STREAMS_MAX];
  unsigned count;
  bool goaway;
  uint32_t piece; /* bytes a delivery */
};

static struct http_fixture fixture;

static struct reply *reply_of(struct peer *peer, int32_t id) {
  for (unsigned i = 0; i < peer->count; i++)
    if (peer->replies[i].id == id) return &peer->replies[i];
  return NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *context) {
  (void)session, (void)name_bytes, (void)flags;
  struct reply *reply = reply_of(context, frame->hd.stream_id);
  const char *text = (const char *)value;
  if (!reply) return 0;
  if (strcmp((const char *)name, ":status") == 0) reply->status = (unsigned)atoi(text);
  if (strcmp((const char *)name, "grpc-status") == 0) reply->grpc_status = atoi(text);
  if (strcmp((const char *)name, "grpc-message") == 0)
    snprintf(reply->message, sizeof reply->message, "%.*s", (int)value_bytes, text);
  if (strcmp((const char *)name, "grpc-status-details-bin") == 0)
    snprintf(reply->details, sizeof reply->details, "%.*s", (int)value_bytes, text);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length, void *context) {
  (void)session, (void)flags;
  struct reply *reply = reply_of(context, id);
  assert_true(reply && reply->body_bytes + length < sizeof reply->body);
  memcpy(reply->body + reply->body_bytes, bytes, length);
  reply->body_bytes += length;
  return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
  (void)session;
  struct reply *reply = reply_of(context, id);
  if (!reply) return 0;
  reply->closed = true;
  reply->error = error;
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  (void)session;
  if (frame->hd.type == NGHTTP2_GOAWAY) ((struct peer *)context)->goaway = true;
  return 0;
}

static void peer_open(struct peer *peer) {
  nghttp2_session_callbacks *callbacks;
  memset(peer, 0, sizeof *peer);
  peer->fixture = &fixture;
  peer->piece = UINT32_MAX;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  assert_int_equal(nghttp2_session_client_new(&peer->session, callbacks, peer), 0);
  nghttp2_session_callbacks_del(callbacks);
  assert_int_equal(nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, NULL, 0), 0);
  peer->stream = fixture_open(&fixture);
  assert_non_null(peer->stream);
}

static bool receive(struct peer *peer) {
  const size_t fresh = peer->stream->sent_bytes - peer->seen;
  if (fresh == 0) return false;
  const ssize_t taken = nghttp2_session_mem_recv(peer->session, peer->stream->sent + peer->seen, fresh);
  assert_int_equal(taken, (ssize_t)fresh);
  peer->seen += fresh;
  return true;
}

/* Until neither side has anything to say. */
static void talk(struct peer *peer) {
  for (bool moved = true; moved;) {
    const uint8_t *bytes;
    ssize_t length;
    moved = false;
    while (!peer->stream->gone && (length = nghttp2_session_mem_send(peer->session, &bytes)) > 0) {
      for (size_t at = 0; at < (size_t)length && !peer->stream->gone;) {
        const size_t left = (size_t)length - at, piece = left < peer->piece ? left : peer->piece;
        fixture_send(&fixture, peer->stream, bytes + at, piece);
        at += piece;
      }
      moved = true;
    }
    moved |= receive(peer);
  }
}

static void peer_close(struct peer *peer) {
  nghttp2_session_del(peer->session);
  fake_stream_free(peer->stream, fixture.now_ns);
}

static ssize_t read_upload(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *context) {
  (void)session, (void)id, (void)context;
  struct upload *upload = source->ptr;
  const size_t left = upload->length - upload->at, length = left < room ? left : room;
  memcpy(into, upload->bytes + upload->at, length);
  upload->at += length;
  if (upload->at == upload->length) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)length;
}

#define FIELD(name_text, value_text)                                                                                             \
  ((nghttp2_nv){(uint8_t *)(uintptr_t)(name_text), (uint8_t *)(uintptr_t)(value_text), strlen(name_text), strlen(value_text), 0})

/* `extra` NULL-terminated pairs of name and value. */
static struct reply *request(struct peer *peer, const char *method, const char *path, const char *const *extra, const void *body,
                             size_t body_bytes) {
  nghttp2_nv fields[70] = {FIELD(":method", method), FIELD(":scheme", "http"), FIELD(":path", path), FIELD(":authority", "x")};
  size_t count = 4;
  for (; extra && *extra; extra += 2) fields[count++] = FIELD(extra[0], extra[1]);
  assert_true(peer->count < STREAMS_MAX);
  struct upload *upload = &peer->uploads[peer->count];
  *upload = (struct upload){.bytes = body, .length = body_bytes};
  const nghttp2_data_provider provider = {.source.ptr = upload, .read_callback = read_upload};
  const int32_t id = nghttp2_submit_request(peer->session, NULL, fields, count, body_bytes ? &provider : NULL, NULL);
  assert_true(id > 0);
  struct reply *reply = &peer->replies[peer->count++];
  *reply = (struct reply){.id = id, .grpc_status = -1};
  return reply;
}

static const char *const grpc_headers[] = {"content-type", "application/grpc", "te", "trailers", NULL};

static size_t frame_message(uint8_t *into, bool compressed, const void *message, size_t length) {
  const uint8_t head[5] = {compressed, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length};
  memcpy(into, head, 5);
  memcpy(into + 5, message, length);
  return length + 5;
}

static int set_up(void **state) {
  (void)state;
  fixture_prepare(&fixture);
  fixture_start(&fixture);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  fixture_end(&fixture);
  return 0;
}

static const struct http_counters *counters(void) { return http_server_counters(fixture.server); }

/* FNV-1a would do as well: it is the fixture's, over the body. */
static void expect_echo(const struct reply *reply, size_t body_bytes) {
  assert_int_equal(reply->status, 200);
  assert_true(reply->closed);
  assert_int_equal(reply->error, NGHTTP2_NO_ERROR);
  assert_int_equal(strtoul(reply->body, NULL, 10), body_bytes);
}

static void requests_of_all_sizes_in_all_pieces(void **state) {
  (void)state;
  static uint8_t body[200000];
  static const size_t sizes[] = {0, 1, 255, 256, 257, 16384, 65535, 65536, 200000};
  static const uint32_t pieces[] = {1, 7, 100, 5000, UINT32_MAX};
  struct test_random random = {1};
  for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)random_next(&random);
  for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
    struct peer *peer = malloc(sizeof *peer);
    peer_open(peer);
    peer->piece = pieces[p];
    peer->stream->guarded = pieces[p] < 5000;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      if (pieces[p] == 1 && sizes[i] > 20000) continue;
      struct reply *reply = request(peer, "POST", "/x?q=1", NULL, body, sizes[i]);
      talk(peer);
      expect_echo(reply, sizes[i]);
    }
    peer_close(peer);
    free(peer);
  }
}

static void streams_are_side_by_side(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  struct reply *parked[8];
  for (int i = 0; i < 8; i++) parked[i] = request(peer, "POST", "/park", NULL, "abc", 3);
  talk(peer);
  assert_int_equal(fixture.parked_count, 8);
  struct reply *between = request(peer, "POST", "/x", NULL, "de", 2);
  talk(peer);
  expect_echo(between, 2);
  for (int i = 0; i < 8; i++) {
    assert_false(parked[i]->closed);
    fixture_answer_parked(&fixture, peer->stream);
    talk(peer);
    expect_echo(parked[i], 3);
  }
  peer_close(peer);
  free(peer);
}

static void refusals_keep_the_connection(void **state) {
  (void)state;
  static uint8_t body[600 * 1024];
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  const char *const coding[] = {"content-encoding", "br", NULL};
  struct reply *refused = request(peer, "POST", "/fail", NULL, "abc", 3);
  struct reply *unsupported = request(peer, "POST", "/x", coding, "abc", 3);
  struct reply *too_large = request(peer, "POST", "/x", NULL, body, sizeof body);
  talk(peer);
  struct reply *good = request(peer, "POST", "/x", NULL, "abc", 3);
  talk(peer);
  assert_int_equal(refused->status, 401);
  assert_int_equal(unsupported->status, 415);
  assert_int_equal(too_large->status, 413);
  expect_echo(good, 3);
  char long_value[5000];
  memset(long_value, 'a', sizeof long_value - 1);
  long_value[sizeof long_value - 1] = '\0';
  const char *const large_header[] = {"x-large", long_value, NULL};
  struct reply *header = request(peer, "POST", "/x", large_header, NULL, 0);
  talk(peer);
  assert_int_equal(header->status, 431);
  const char *many[2 * 65 + 1] = {NULL};
  for (int i = 0; i < 65; i++) {
    many[2 * i] = "x";
    many[2 * i + 1] = "y";
  }
  struct reply *headers = request(peer, "POST", "/x", many, NULL, 0);
  talk(peer);
  assert_int_equal(headers->status, 431);
  peer_close(peer);
  free(peer);
}

static void grpc_calls(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  uint8_t frame[2000], compressed[1000], message[1000];
  memset(message, 'm', sizeof message);
  peer_open(peer);
  struct reply *plain = request(peer, "POST", "/x", grpc_headers, frame, frame_message(frame, false, message, sizeof message));
  talk(peer);
  assert_int_equal(plain->status, 200);
  assert_int_equal(plain->grpc_status, 0);
  assert_int_equal(plain->body[0], 0);
  assert_int_equal((size_t)(uint8_t)plain->body[4], plain->body_bytes - 5);
  assert_int_equal(strtoul(plain->body + 5, NULL, 10), sizeof message);
  struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(6);
  const size_t length = libdeflate_gzip_compress(compressor, message, sizeof message, compressed, sizeof compressed);
  libdeflate_free_compressor(compressor);
  const char *const gzip_headers[] = {"content-type", "application/grpc+proto", "grpc-encoding", "gzip", NULL};
  struct reply *gzip = request(peer, "POST", "/x", gzip_headers, frame, frame_message(frame, true, compressed, length));
  talk(peer);
  assert_int_equal(gzip->grpc_status, 0);
  assert_int_equal(strtoul(gzip->body + 5, NULL, 10), sizeof message);
  peer_close(peer);
  free(peer);
}

static void grpc_refusals_are_trailers_only(void **state) {
  (void)state;
  static uint8_t frame[600 * 1024];
  static const uint8_t large[520 * 1024];
  const char *const gzip_headers[] = {"content-type", "application/grpc", "grpc-encoding", "gzip", NULL};
  const char *const other_headers[] = {"content-type", "application/grpc", "grpc-encoding", "snappy", NULL};
  struct {
    const char *path;
    const char *const *headers;
    size_t length;
    int status;
  } table[] = {
      {"/fail", grpc_headers, 5, 16},
      {"/x", grpc_headers, 0, 3},                                         /* no message */
      {"/x", grpc_headers, 4, 3},                                         /* half a frame */
      {"/x", grpc_headers, frame_message(frame, false, "abc", 3) - 1, 3}, /* cut */
      {"/x", grpc_headers, frame_message(frame, false, "abc", 3) + 1, 3}, /* more behind it */
      {"/x", grpc_headers, frame_message(frame, false, large, sizeof large), 8},
      {"/x", other_headers, 5, 12},
  };
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    memset(frame, 0, 16);
    if (table[i].length > 4) frame_message(frame, false, "abc", 3);
    if (table[i].length > 100) frame_message(frame, false, large, sizeof large);
    struct reply *reply = request(peer, "POST", table[i].path, table[i].headers, frame, table[i].length);
    talk(peer);
    assert_int_equal(reply->status, 200);
    if (reply->grpc_status != table[i].status) fail_msg("%zu: grpc-status %d, %s", i, reply->grpc_status, reply->message);
    assert_int_equal(reply->body_bytes, 0);
  }
  struct reply *malformed = request(peer, "POST", "/x", gzip_headers, frame, frame_message(frame, true, "no gzip", 7));
  talk(peer);
  assert_int_equal(malformed->grpc_status, 3);
  assert_string_equal(malformed->message, "malformed gzip message");
  peer_close(peer);
  free(peer);
}

/* UNAVAILABLE, and when to come again: google.rpc.Status with a RetryInfo of one second, as gRPC's own libraries write it. */
static void grpc_overload_says_when_to_retry(void **state) {
  (void)state;
  uint8_t frame[5000], message[4090] = {0}; /* more than a stream keeps itself */
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  /* All buffers that could hold it are taken by requests that are parked. */
  static uint8_t held[60000];
  for (int i = 0; i < 8; i++) {
    request(peer, "POST", "/park", NULL, held, i < 4 ? sizeof held : sizeof message);
    talk(peer);
  }
  assert_int_equal(counters()->no_body_buffer, 2);
  struct reply *reply = request(peer, "POST", "/x", grpc_headers, frame, frame_message(frame, false, message, sizeof message));
  talk(peer);
  assert_int_equal(reply->grpc_status, 14);
  assert_string_equal(reply->message, "no free body buffer");
  assert_string_equal(reply->details,
                      "CA4SE25vIGZyZWUgYm9keSBidWZmZXIaMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAQ");
  peer_close(peer);
  free(peer);
}

static void a_connection_may_end_at_any_moment(void **state) {
  (void)state;
  for (int way = 0; way < 6; way++) {
    struct peer *peer = malloc(sizeof *peer);
    peer_open(peer);
    static uint8_t body[50000];
    request(peer, "POST", "/park", NULL, "abc", 3);
    struct reply *half = request(peer, "POST", "/x", NULL, body, sizeof body);
    const uint8_t *bytes;
    const ssize_t length = nghttp2_session_mem_send(peer->session, &bytes);
    fixture_send(&fixture, peer->stream, bytes, (size_t)length);
    receive(peer);
    if (way == 0) talk(peer);
    if (way == 1) fake_stream_end(peer->stream, STREAM_END_RESET, fixture.now_ns);
    if (way == 2) fixture_finish(&fixture, peer->stream);
    if (way == 3) nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, half->id, NGHTTP2_CANCEL);
    if (way == 4) nghttp2_session_terminate_session(peer->session, NGHTTP2_NO_ERROR);
    if (way == 5) fixture_room(&fixture, peer->stream, 10);
    if (way != 1) talk(peer);
    while (fixture.parked_count && !peer->stream->gone) fixture_answer_parked(&fixture, peer->stream);
    peer_close(peer);
    free(peer);
  }
}

static void what_does_not_fit_the_stream_goes_later(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  talk(peer);
  fixture_room(&fixture, peer->stream, 0);
  struct reply *replies[10];
  for (int i = 0; i < 10; i++) replies[i] = request(peer, "POST", "/large", NULL, "x", 1);
  talk(peer);
  for (int i = 0; i < 400; i++) {
    fixture_room(&fixture, peer->stream, 113);
    talk(peer);
  }
  for (int i = 0; i < 10; i++) {
    assert_true(replies[i]->closed);
    assert_int_equal(replies[i]->body_bytes, HTTP_RESPONSE_BODY_BYTES_MAX);
  }
  peer_close(peer);
  free(peer);
}

static void time_runs_out(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  static uint8_t body[400000];
  struct reply *slow = request(peer, "POST", "/x", NULL, body, sizeof body);
  struct reply *parked = request(peer, "POST", "/park", NULL, "x", 1);
  const uint8_t *bytes;
  for (int i = 0; i < 6; i++) {
    const ssize_t length = nghttp2_session_mem_send(peer->session, &bytes);
    if (length > 0) fixture_send(&fixture, peer->stream, bytes, (size_t)length);
  }
  fixture_wait(&fixture, 25 * FIXTURE_SECOND_NS);
  receive(peer);
  assert_int_equal(slow->status, 408);
  assert_false(parked->closed); /* the application's time, not the client's */
  talk(peer);
  if (fixture.parked_count) fixture_answer_parked(&fixture, peer->stream);
  talk(peer);
  assert_true(parked->closed);
  fixture_wait(&fixture, 130 * FIXTURE_SECOND_NS);
  assert_true(peer->stream->close_called);
  peer_close(peer);
  free(peer);
}

static void draining_finishes_what_was_begun(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  struct reply *parked = request(peer, "POST", "/park", NULL, "x", 1);
  talk(peer);
  http_server_drain(fixture.server, fixture.now_ns);
  talk(peer);
  assert_true(peer->goaway);
  assert_false(peer->stream->close_called);
  fixture_answer_parked(&fixture, peer->stream);
  talk(peer);
  expect_echo(parked, 1);
  assert_true(peer->stream->close_called);
  peer_close(peer);
  free(peer);
}

static void too_many_streams_are_refused_and_harm_nobody(void **state) {
  (void)state;
  struct peer *first = malloc(sizeof *first), *second = malloc(sizeof *second);
  peer_open(first);
  peer_open(second);
  talk(first);
  talk(second);
  fixture.max_body_bytes = 100;
  for (int i = 0; i < 64; i++) request(first, "POST", "/park", NULL, NULL, 0);
  talk(first);
  assert_int_equal(fixture.parked_count, 64);
  /* The fixture answers at once what it cannot park; its own streams are 120 for all. */
  struct reply *last = NULL;
  for (int i = 0; i < 60; i++) last = request(second, "POST", "/x", NULL, NULL, 0);
  talk(second);
  assert_true(last->closed);
  while (fixture.parked_count) fixture_answer_parked(&fixture, first->stream);
  talk(first);
  for (unsigned i = 0; i < first->count; i++) assert_true(first->replies[i].closed);
  peer_close(first);
  peer_close(second);
  free(first);
  free(second);
}

/* Opening and resetting without end (CVE-2023-44487): the connection is told off, and others go on. */
static void rapid_reset_ends_the_connection(void **state) {
  (void)state;
  struct peer *peer = malloc(sizeof *peer);
  peer_open(peer);
  talk(peer);
  unsigned sent = 0;
  for (; sent < 5000 && !peer->stream->gone && !peer->goaway; sent++) {
    peer->count = 0;
    const int32_t id = request(peer, "POST", "/park", NULL, NULL, 0)->id;
    talk(peer);
    nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    talk(peer);
  }
  assert_true(peer->goaway);
  assert_true(sent < 2000);
  peer_close(peer);
  free(peer);
}

/* Frames by hand: each must end the connection or be borne, with a bounded amount of memory. */
static void hostile_frames(void **state) {
  (void)state;
  static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
  static const struct {
    uint8_t head[9];
    uint32_t repeat;
  } frames[] = {
      {{0, 0, 8, 6, 0, 0, 0, 0, 0}, 5000},       /* PING flood */
      {{0, 0, 0, 4, 0, 0, 0, 0, 0}, 5000},       /* SETTINGS flood */
      {{0, 0, 4, 8, 0, 0, 0, 0, 0}, 10},         /* WINDOW_UPDATE of 0 */
      {{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1}, 1}, /* the longest length */
      {{0, 0, 0, 9, 0, 0, 0, 0, 1}, 10},         /* CONTINUATION of nothing */
      {{0, 0, 5, 2, 0, 0, 0, 0, 0}, 10},         /* PRIORITY of stream 0 */
      {{0, 0, 4, 3, 0, 0, 0, 0, 1}, 10},         /* RST_STREAM of an idle stream */
      {{0, 0, 0, 1, 4, 0, 0, 0, 2}, 1},          /* HEADERS on an even stream */
      {{0, 0, 0, 5, 4, 0, 0, 0, 1}, 1},          /* PUSH_PROMISE from a client */
      {{0, 0, 0, 200, 255, 0, 0, 0, 1}, 1000},   /* unknown type */
      {{0, 0, 1, 1, 0, 0, 0, 0, 1}, 1},          /* HEADERS without end, then nothing */
  };
  uint8_t payload[64] = {0};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    struct stream *stream = fixture_open(&fixture);
    fixture_send(&fixture, stream, preface, sizeof preface - 1);
    const size_t length = (size_t)frames[i].head[1] << 8 | frames[i].head[2];
    for (uint32_t r = 0; r < frames[i].repeat && !stream->gone; r++) {
      fixture_send(&fixture, stream, frames[i].head, 9);
      if (!stream->gone) fixture_send(&fixture, stream, payload, length < sizeof payload ? length : sizeof payload);
    }
    fake_stream_free(stream, fixture.now_ns);
  }
}

static void a_request_that_begins_like_the_preface(void **state) {
  (void)state;
  static const char *const requests[] = {"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
                                         "PRIx /x HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/1.1\r\nHost: x\r\n\r\n", "PR",
                                         "PRI * HTTP/2.0\r\n\r\nSX"};
  static const unsigned statuses[] = {200, 200, 400, 0, 505};
  for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
    for (size_t cut = 1; cut < 24; cut++) {
      struct stream *stream = fixture_open(&fixture);
      const size_t length = strlen(requests[i]), first = cut < length ? cut : length;
      fixture_send(&fixture, stream, requests[i], first);
      if (!stream->gone && !stream->close_called && first < length)
        fixture_send(&fixture, stream, requests[i] + first, length - first);
      const unsigned status = fixture_only_status(stream);
      if (status != statuses[i]) fail_msg("%s: %u", requests[i], status);
      fake_stream_free(stream, fixture.now_ns);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(requests_of_all_sizes_in_all_pieces, set_up, tear_down),
      cmocka_unit_test_setup_teardown(streams_are_side_by_side, set_up, tear_down),
      cmocka_unit_test_setup_teardown(refusals_keep_the_connection, set_up, tear_down),
      cmocka_unit_test_setup_teardown(grpc_calls, set_up, tear_down),
      cmocka_unit_test_setup_teardown(grpc_refusals_are_trailers_only, set_up, tear_down),
      cmocka_unit_test_setup_teardown(grpc_overload_says_when_to_retry, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_connection_may_end_at_any_moment, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_does_not_fit_the_stream_goes_later, set_up, tear_down),
      cmocka_unit_test_setup_teardown(time_runs_out, set_up, tear_down),
      cmocka_unit_test_setup_teardown(draining_finishes_what_was_begun, set_up, tear_down),
      cmocka_unit_test_setup_teardown(too_many_streams_are_refused_and_harm_nobody, set_up, tear_down),
      cmocka_unit_test_setup_teardown(rapid_reset_ends_the_connection, set_up, tear_down),
      cmocka_unit_test_setup_teardown(hostile_frames, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_request_that_begins_like_the_preface, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
