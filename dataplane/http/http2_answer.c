/* Answers as HEADERS, DATA and, for gRPC, trailers. */
#include "always_assert.h"
#include "http2_internal.h"
#include <string.h>

#define NAME_VALUE(name_text, value_text, bytes)                                                                                 \
  ((nghttp2_nv){.name = (uint8_t *)(uintptr_t)(name_text),                                                                       \
                .namelen = sizeof(name_text) - 1,                                                                                \
                .value = (uint8_t *)(uintptr_t)(value_text),                                                                     \
                .valuelen = (bytes),                                                                                             \
                .flags = NGHTTP2_NV_FLAG_NONE})

static uint32_t decimal(uint32_t number, char out[12]) {
  char digits[10];
  uint32_t count = 0, length = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  while (count) out[length++] = digits[--count];
  return length;
}

/* A field whose value lives in `text` until nghttp2 has copied it. */
struct fields {
  nghttp2_nv list[8];
  size_t count;
};

/* grpc-status, and when it is not 0 what went wrong and when to come again. */
static void add_grpc_status(const struct http2_stream *stream, struct fields *fields, char status[12],
                            char message[HTTP2_MESSAGE_BYTES_MAX], char details[256]) {
  fields->list[fields->count++] = NAME_VALUE("grpc-status", status, decimal(stream->grpc_status, status));
  if (stream->grpc_status == 0) return;
  grpc_message_encode(stream->message, message);
  fields->list[fields->count++] = NAME_VALUE("grpc-message", message, strlen(message));
  if (stream->retry_after_s == 0) return;
  const uint32_t length = grpc_retry_details(stream->grpc_status, stream->message, stream->retry_after_s, details);
  fields->list[fields->count++] = NAME_VALUE("grpc-status-details-bin", details, length);
}

static int submit_trailers(nghttp2_session *session, const struct http2_stream *stream) {
  char status[12], message[HTTP2_MESSAGE_BYTES_MAX], details[256];
  struct fields fields = {.count = 0};
  add_grpc_status(stream, &fields, status, message, details);
  return nghttp2_submit_trailer(session, stream->id, fields.list, fields.count);
}

static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                           nghttp2_data_source *source, void *context) {
  (void)source, (void)context;
  struct http2_stream *stream = nghttp2_session_get_stream_user_data(session, id);
  if (!stream) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  const size_t left = stream->answer_bytes - stream->answer_at, length = left < room ? left : room;
  if (length) memcpy(into, stream->answer + stream->answer_at, length);
  stream->answer_at += (uint32_t)length;
  if (stream->answer_at < stream->answer_bytes) return (ssize_t)length;
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (!stream->exchange.request.grpc) return (ssize_t)length;
  *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  return submit_trailers(session, stream) == 0 ? (ssize_t)length : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* The body's copy, behind the five bytes of a gRPC message. False: no memory. */
static bool keep_body(struct http2_stream *stream, const struct http_response *response) {
  const uint32_t prefix = stream->exchange.request.grpc ? 5 : 0;
  stream->answer_bytes = prefix + response->body_bytes;
  stream->answer_at = 0;
  if (stream->answer_bytes == 0) return true;
  stream->answer = http2_budget_take(&stream->connection->budget, stream->answer_bytes);
  if (!stream->answer) return false;
  if (prefix) {
    const uint32_t length = response->body_bytes;
    const uint8_t head[5] = {0, (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(stream->answer, head, sizeof head);
  }
  if (response->body_bytes) memcpy(stream->answer + prefix, response->body, response->body_bytes);
  return true;
}

static int submit_plain(struct http2_stream *stream, const struct http_response *response) {
  char status[12], length[12], retry[12];
  struct fields fields = {.count = 0};
  const nghttp2_data_provider provider = {.read_callback = read_answer};
  const bool has_content = response->status != 204 && response->status != 304;
  fields.list[fields.count++] = NAME_VALUE(":status", status, decimal(response->status, status));
  if (response->content_type && has_content)
    fields.list[fields.count++] = NAME_VALUE("content-type", response->content_type, strlen(response->content_type));
  if (has_content) fields.list[fields.count++] = NAME_VALUE("content-length", length, decimal(response->body_bytes, length));
  if (response->retry_after_s)
    fields.list[fields.count++] = NAME_VALUE("retry-after", retry, decimal(response->retry_after_s, retry));
  if (response->allow) fields.list[fields.count++] = NAME_VALUE("allow", response->allow, strlen(response->allow));
  if (response->www_authenticate)
    fields.list[fields.count++] = NAME_VALUE("www-authenticate", response->www_authenticate, strlen(response->www_authenticate));
  if (response->status == 415 && stream->coding == HTTP_CODING_UNSUPPORTED)
    fields.list[fields.count++] = NAME_VALUE("accept-encoding", "gzip", 4);
  const bool body = has_content && response->body_bytes > 0 && stream->exchange.request.method != HTTP_HEAD;
  if (body && !keep_body(stream, response)) return NGHTTP2_ERR_NOMEM;
  return nghttp2_submit_response(stream->connection->session, stream->id, fields.list, fields.count, body ? &provider : NULL);
}

/* gRPC over HTTP/2, "Responses": a message and trailers, or trailers only. */
static int submit_grpc(struct http2_stream *stream, const struct http_response *response) {
  char status[12], message[HTTP2_MESSAGE_BYTES_MAX], details[256];
  struct fields fields = {.count = 0};
  const nghttp2_data_provider provider = {.read_callback = read_answer};
  stream->grpc_status = grpc_status_of(response->status);
  stream->retry_after_s = response->retry_after_s;
  const char *reason = response->message ? response->message : "";
  size_t length = strlen(reason);
  if (length >= HTTP2_MESSAGE_BYTES_MAX / 3) length = HTTP2_MESSAGE_BYTES_MAX / 3 - 1; /* encoded, each may take three */
  memcpy(stream->message, reason, length);
  stream->message[length] = '\0';
  fields.list[fields.count++] = NAME_VALUE(":status", "200", 3);
  fields.list[fields.count++] = NAME_VALUE("content-type", "application/grpc", 16);
  if (stream->coding == HTTP_CODING_UNSUPPORTED)
    fields.list[fields.count++] = NAME_VALUE("grpc-accept-encoding", "identity,gzip", 13);
  if (stream->grpc_status != 0) {
    add_grpc_status(stream, &fields, status, message, details);
    return nghttp2_submit_response(stream->connection->session, stream->id, fields.list, fields.count, NULL);
  }
  if (!keep_body(stream, response)) return NGHTTP2_ERR_NOMEM;
  return nghttp2_submit_response(stream->connection->session, stream->id, fields.list, fields.count, &provider);
}

void http2_stream_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns) {
  struct http2_stream *stream = (struct http2_stream *)exchange;
  struct http2_connection *connection = stream->connection;
  struct http_server *http = connection->front->server;
  const enum http2_stream_phase before = stream->phase;
  ALWAYS_ASSERT(before != HTTP2_STREAM_ANSWERED);
  stream->phase = HTTP2_STREAM_ANSWERED;
  stream->status = response->status;
  stream->deadline_ns = now_ns + http->config.body_timeout_ns;
  if (before == HTTP2_STREAM_PARKED) http->counters.parked--;
  /* Within `handle` the request stays valid until that returns. */
  if (before != HTTP2_STREAM_HANDLING) http_body_release(&http->bodies, &stream->body);
  const int result = stream->exchange.request.grpc ? submit_grpc(stream, response) : submit_plain(stream, response);
  if (result != 0) {
    http->counters.http2_no_memory++;
    connection->failed = true;
  }
  if (connection->inside) return;
  connection->now_ns = now_ns;
  struct http_connection *front = connection->front; /* outlives `connection`, which the flush may end */
  http_connection_enter(front);
  http2_connection_flush(connection);
  http_connection_leave(front);
}
