#include "http2_client.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "http2 client: %s\n", what);
  abort();
}

#define REQUIRE(expression) require((expression), #expression)

static struct http2_answer *answer_of(nghttp2_session *session, int32_t id) {
  return nghttp2_session_get_stream_user_data(session, id);
}

static void keep(char *into, size_t room, const uint8_t *value, size_t length) {
  REQUIRE(length < room);
  memcpy(into, value, length);
  into[length] = 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *context) {
  (void)flags, (void)context;
  struct http2_answer *answer = answer_of(session, frame->hd.stream_id);
  const char *text = (const char *)name;
  (void)name_bytes;
  if (!answer) return 0;
  if (!strcmp(text, ":status") && answer->status == 100) answer->continued = true;
  if (!strcmp(text, ":status")) answer->status = atoi((const char *)value);
  if (!strcmp(text, "grpc-status")) answer->grpc_status = atoi((const char *)value);
  if (!strcmp(text, "grpc-message")) keep(answer->grpc_message, sizeof answer->grpc_message, value, value_bytes);
  if (!strcmp(text, "grpc-status-details-bin")) keep(answer->grpc_details, sizeof answer->grpc_details, value, value_bytes);
  if (!strcmp(text, "content-type")) keep(answer->content_type, sizeof answer->content_type, value, value_bytes);
  if (!strcmp(text, "retry-after")) keep(answer->retry_after, sizeof answer->retry_after, value, value_bytes);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length, void *context) {
  (void)flags, (void)context;
  struct http2_answer *answer = answer_of(session, id);
  REQUIRE(answer && answer->body_bytes + length <= sizeof answer->body);
  memcpy(answer->body + answer->body_bytes, bytes, length);
  answer->body_bytes += length;
  return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
  struct http2_client *client = context;
  struct http2_answer *answer = frame->hd.stream_id ? answer_of(session, frame->hd.stream_id) : NULL;
  if (frame->hd.type == NGHTTP2_GOAWAY) {
    client->goaways++;
    client->goaway_code = frame->goaway.error_code;
    client->goaway_last = frame->goaway.last_stream_id;
  }
  if (!answer) return 0;
  if (frame->hd.type == NGHTTP2_RST_STREAM) {
    answer->reset = true;
    answer->reset_code = frame->rst_stream.error_code;
  } else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
    answer->ended = true;
  }
  return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *context) {
  (void)session, (void)id, (void)context;
  struct http2_answer *answer = source->ptr;
  const size_t left = answer->request_bytes - answer->request_at, length = left < room ? left : room;
  if (length == 0 && answer->paused) return NGHTTP2_ERR_DEFERRED;
  if (length) memcpy(into, answer->request + answer->request_at, length);
  answer->request_at += length;
  if (length == left && !answer->paused) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)length;
}

struct http2_client *http2_client_open(struct http_fixture *fixture) {
  struct http2_client *client = calloc(1, sizeof *client);
  nghttp2_session_callbacks *callbacks = NULL;
  REQUIRE(client && nghttp2_session_callbacks_new(&callbacks) == 0);
  client->fixture = fixture;
  client->stream = fixture_open(fixture);
  REQUIRE(client->stream);
  client->stream->guarded = true;
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  REQUIRE(nghttp2_session_client_new(&client->session, callbacks, client) == 0);
  nghttp2_session_callbacks_del(callbacks);
  REQUIRE(nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
  return client;
}

void http2_client_free(struct http2_client *client) {
  nghttp2_session_del(client->session);
  fake_stream_free(client->stream, client->fixture->now_ns);
  fixture_check(client->fixture);
  free(client);
}

static bool say(struct http2_client *client) {
  const uint8_t *bytes;
  const ssize_t length = nghttp2_session_mem_send(client->session, &bytes);
  REQUIRE(length >= 0);
  for (size_t at = 0; at < (size_t)length;) {
    const size_t left = (size_t)length - at, piece = client->piece && client->piece < left ? client->piece : left;
    fixture_send(client->fixture, client->stream, bytes + at, piece);
    at += piece;
  }
  return length > 0;
}

static bool listen_to(struct http2_client *client) {
  const size_t unread = client->stream->sent_bytes - client->read;
  if (unread == 0) return false;
  REQUIRE(nghttp2_session_mem_recv(client->session, client->stream->sent + client->read, unread) == (ssize_t)unread);
  client->read += unread;
  return true;
}

void http2_client_exchange(struct http2_client *client) {
  bool said, heard;
  do {
    said = say(client);
    heard = listen_to(client);
  } while (said || heard);
}

static nghttp2_nv field(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static struct http2_answer *submit(struct http2_client *client, const char *method, const char *path, const char *const *fields,
                                   bool has_body) {
  nghttp2_nv list[140] = {field(":method", method), field(":scheme", "http"), field(":authority", "t"), field(":path", path)};
  size_t count = 4;
  for (; fields && *fields; fields += 2) {
    REQUIRE(count < sizeof list / sizeof list[0]);
    list[count++] = field(fields[0], fields[1]);
  }
  REQUIRE(client->count < HTTP2_CLIENT_REQUESTS_MAX);
  struct http2_answer *answer = &client->answers[client->count++];
  answer->status = answer->grpc_status = -1;
  const nghttp2_data_provider provider = {.source = {.ptr = answer}, .read_callback = read_request};
  answer->id = nghttp2_submit_request(client->session, NULL, list, count, has_body ? &provider : NULL, answer);
  REQUIRE(answer->id > 0);
  return answer;
}

struct http2_answer *http2_client_request(struct http2_client *client, const char *method, const char *path,
                                          const char *const *fields, const void *body, size_t bytes) {
  struct http2_answer *answer = submit(client, method, path, fields, body != NULL);
  answer->request = body;
  answer->request_bytes = bytes;
  return answer;
}

struct http2_answer *http2_client_call(struct http2_client *client, const char *path, const char *encoding, const void *message,
                                       size_t bytes) {
  const char *fields[] = {
      "content-type", "application/grpc", "te", "trailers", encoding ? "grpc-encoding" : NULL, encoding, NULL};
  uint8_t *framed = malloc(bytes + 5);
  REQUIRE(framed);
  framed[0] = encoding && strcmp(encoding, "gzip") == 0;
  for (unsigned i = 0; i < 4; i++) framed[1 + i] = (uint8_t)(bytes >> (24 - 8 * i));
  if (bytes) memcpy(framed + 5, message, bytes);
  struct http2_answer *answer = http2_client_request(client, "POST", path, fields, framed, bytes + 5);
  http2_client_exchange(client);
  /* All of it went out, or the server wants no more. */
  answer->request = NULL;
  answer->request_bytes = answer->request_at;
  free(framed);
  return answer;
}

void http2_client_continue(struct http2_client *client, struct http2_answer *answer, const void *body, size_t bytes, bool end) {
  answer->request = body;
  answer->request_bytes = bytes;
  answer->request_at = 0;
  answer->paused = !end;
  (void)nghttp2_session_resume_data(client->session, answer->id);
  http2_client_exchange(client);
}

void http2_client_forge(struct http2_client *client, uint8_t type, uint8_t flags, int32_t id, const void *payload,
                        uint32_t bytes) {
  uint8_t *frame = malloc(9 + bytes);
  REQUIRE(frame);
  const uint8_t header[9] = {
      (uint8_t)(bytes >> 16),        (uint8_t)(bytes >> 8),        (uint8_t)bytes, type, flags, (uint8_t)((uint32_t)id >> 24),
      (uint8_t)((uint32_t)id >> 16), (uint8_t)((uint32_t)id >> 8), (uint8_t)id};
  memcpy(frame, header, sizeof header);
  if (bytes) memcpy(frame + 9, payload, bytes);
  fixture_send(client->fixture, client->stream, frame, 9 + bytes);
  free(frame);
}
