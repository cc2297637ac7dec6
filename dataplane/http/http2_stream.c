/* One request of an HTTP/2 connection, from its header to the application. */
#include "always_assert.h"
#include "http2_internal.h"
#include "http_admission_internal.h"
#include "http_content_coding_internal.h"
#include <string.h>

static struct http_server *http_of(const struct http2_stream *stream) { return stream->connection->front->server; }

/* Each connection has an equal share; of what is left beyond it the last quarter is for those who have less. */
static bool may_begin(const struct http2_connection *connection) {
  const struct pool *streams = &connection->server->streams;
  if (connection->stream_count < streams->capacity / connection->server->connections.capacity) return true;
  return pool_free_count(streams) > streams->capacity / 4;
}

struct http2_stream *http2_stream_begin(struct http2_connection *connection, int32_t id) {
  struct http_server *http = connection->front->server;
  struct http2_stream *stream = may_begin(connection) ? pool_take(&connection->server->streams) : NULL;
  if (!stream) {
    http->counters.http2_streams_refused++;
    return NULL;
  }
  const struct http_request *front = &connection->front->exchange.request;
  /* Header text and array stay as they are: they are filled before they are read. */
  memset(stream, 0, offsetof(struct http2_stream, headers));
  stream->exchange.respond = http2_stream_respond;
  stream->exchange.request = (struct http_request){.method = HTTP_METHOD_OTHER,
                                                   .local_port = front->local_port,
                                                   .peer = front->peer,
                                                   .peer_port = front->peer_port,
                                                   .headers = stream->headers,
                                                   .content_length = UINT64_MAX,
                                                   .http2 = true};
  stream->connection = connection;
  stream->id = id;
  stream->next = connection->streams;
  if (stream->next) stream->next->previous = stream;
  if (!connection->streams) connection->sweep_ns = connection->now_ns;
  connection->streams = stream;
  connection->stream_count++;
  stream->deadline_ns = connection->now_ns + http->config.header_timeout_ns;
  stream->counted = true;
  http->counters.requests++;
  http->counters.in_progress++;
  return stream;
}

static struct http_text keep(struct http2_stream *stream, const uint8_t *bytes, size_t length) {
  if (length > HTTP2_STREAM_TEXT_BYTES - stream->text_bytes) {
    stream->overflowed = true;
    return (struct http_text){"", 0};
  }
  char *at = stream->text + stream->text_bytes;
  if (length) memcpy(at, bytes, length);
  stream->text_bytes += (uint32_t)length;
  return (struct http_text){at, (uint32_t)length};
}

static void note_method(struct http_request *request, struct http_text method) {
  static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (http_text_equals(method, names[i])) request->method = (enum http_method)i;
}

static void note_path(struct http_request *request, struct http_text path) {
  const char *mark = path.length ? memchr(path.at, '?', path.length) : NULL;
  request->path = path;
  if (!mark) return;
  request->path.length = (uint32_t)(mark - path.at);
  request->query = (struct http_text){mark + 1, path.length - request->path.length - 1};
}

static void note_coding(struct http2_stream *stream, struct http_text value) {
  if (http_text_equals_ignoring_case(value, "gzip") || http_text_equals_ignoring_case(value, "x-gzip")) {
    stream->coding = HTTP_CODING_GZIP;
  } else if (!http_text_equals_ignoring_case(value, "identity")) {
    stream->coding = HTTP_CODING_UNSUPPORTED;
  }
}

/* application/grpc, with or without +format or parameters; not application/grpc-web. */
static bool is_grpc(struct http_text content_type) {
  static const char grpc[] = "application/grpc";
  const uint32_t length = sizeof grpc - 1;
  if (content_type.length < length || !http_text_equals_ignoring_case((struct http_text){content_type.at, length}, grpc))
    return false;
  return content_type.length == length || content_type.at[length] == '+' || content_type.at[length] == ';';
}

/* nghttp2 has checked pseudo headers, names and content-length against the data (RFC 9113 section 8). */
void http2_stream_header(struct http2_stream *stream, const uint8_t *name, size_t name_bytes, const uint8_t *value,
                         size_t value_bytes) {
  struct http_request *request = &stream->exchange.request;
  const struct http_header header = {.name = keep(stream, name, name_bytes), .value = keep(stream, value, value_bytes)};
  if (stream->overflowed) return;
  if (http_text_equals(header.name, ":method")) note_method(request, header.value);
  if (http_text_equals(header.name, ":path")) note_path(request, header.value);
  if (name_bytes && name[0] == ':') return;
  if (request->header_count == HTTP2_STREAM_HEADERS) {
    stream->overflowed = true;
    return;
  }
  stream->headers[request->header_count++] = header;
  if (http_text_equals(header.name, "content-type")) request->grpc = is_grpc(header.value);
}

/* Which header names the coding depends on whether it is gRPC, which only the whole block tells. */
static void find_coding(struct http2_stream *stream) {
  const struct http_request *request = &stream->exchange.request;
  const struct http_text value = http_request_header(request, request->grpc ? "grpc-encoding" : "content-encoding");
  if (value.at) note_coding(stream, value);
}

void http2_stream_admit(struct http2_stream *stream) {
  struct http_server *http = http_of(stream);
  const struct http_application *application = http->config.application;
  struct http_admission admission = {0};
  if (stream->overflowed) {
    http2_stream_error(stream, 431, "header too large");
    return;
  }
  find_coding(stream);
  const char *refusal = http_admission_refusal(stream->connection->front, &stream->exchange);
  if (refusal) {
    http2_stream_error(stream, 503, refusal);
    return;
  }
  application->admit(application->context, &stream->exchange.request, &admission, stream->connection->now_ns);
  if (admission.status) {
    admission.response.status = admission.status;
    http2_stream_respond(&stream->exchange, &admission.response, stream->connection->now_ns);
    return;
  }
  if (stream->coding == HTTP_CODING_UNSUPPORTED) {
    http2_stream_error(stream, stream->exchange.request.grpc ? 501 : 415, "encoding must be gzip or identity");
    return;
  }
  stream->max_body_bytes = admission.max_body_bytes;
  stream->body.pools_closed = (uint8_t)admission.body_pools_closed;
  stream->body.account = stream->connection->front->account;
  http_body_begin(&stream->body, (uint8_t *)stream->text + stream->text_bytes, HTTP2_STREAM_TEXT_BYTES - stream->text_bytes);
  stream->phase = HTTP2_STREAM_BODY;
  stream->body_end_ns = stream->connection->now_ns + http->config.body_timeout_ns;
  stream->deadline_ns = http_body_look_ns(&http->config, stream->body_end_ns, stream->connection->now_ns);
}

bool http2_stream_in_time(struct http2_stream *stream) {
  const struct http_config *config = &http_of(stream)->config;
  const uint64_t now_ns = stream->connection->now_ns;
  if (now_ns < stream->deadline_ns) return true;
  if (stream->phase != HTTP2_STREAM_BODY) return stream->phase == HTTP2_STREAM_PARKED; /* that is the application's time */
  if (!http_body_fast_enough(config, stream->body_end_ns, stream->body.length - stream->body_seen_bytes, now_ns)) return false;
  stream->body_seen_bytes = stream->body.length;
  stream->deadline_ns = http_body_look_ns(config, stream->body_end_ns, now_ns);
  return true;
}

void http2_stream_data(struct http2_stream *stream, const uint8_t *bytes, size_t length) {
  struct http_server *http = http_of(stream);
  if (stream->phase != HTTP2_STREAM_BODY) {
    stream->discarded_bytes += length;
    return;
  }
  const uint64_t total = (uint64_t)stream->body.length + length;
  const uint64_t most = (uint64_t)stream->max_body_bytes + (stream->exchange.request.grpc ? 5 : 0);
  const enum http_body_result result =
      total > most ? HTTP_BODY_TOO_LARGE : http_body_reserve(&http->bodies, &stream->body, total);
  switch (result) {
  case HTTP_BODY_OK:
    http_body_append(&stream->body, bytes, (uint32_t)length);
    return;
  case HTTP_BODY_TOO_LARGE:
    http2_stream_error(stream, 413, "body too large");
    return;
  case HTTP_BODY_NO_BUFFER:
    http->counters.no_body_buffer++;
    http2_stream_error(stream, 503, "no free body buffer");
    return;
  }
}

/* False: answered. */
static bool decode(struct http2_stream *stream) {
  struct http_server *http = http_of(stream);
  const char *reason = NULL;
  if (stream->exchange.request.grpc) {
    const uint16_t status = grpc_unwrap(stream, &reason);
    if (status) http2_stream_error(stream, status, reason);
    return status == 0;
  }
  if (stream->coding != HTTP_CODING_GZIP || stream->body.length == 0) return true;
  switch (http_gzip_decode(http->decompressor, &http->bodies, &stream->body, stream->max_body_bytes)) {
  case HTTP_DECODE_OK:
    return true;
  case HTTP_DECODE_MALFORMED:
    http2_stream_error(stream, 400, "malformed gzip body");
    return false;
  case HTTP_DECODE_TOO_LARGE:
    http2_stream_error(stream, 413, "decompressed body too large");
    return false;
  case HTTP_DECODE_NO_BUFFER:
    http->counters.no_body_buffer++;
    http2_stream_error(stream, 503, "no free body buffer");
    return false;
  }
  return false;
}

static void handle(struct http2_stream *stream) {
  static const uint8_t no_body[HTTP_BODY_SLACK_BYTES];
  struct http_server *http = http_of(stream);
  const struct http_application *application = http->config.application;
  struct http_body *body = &stream->body;
  struct http_request *request = &stream->exchange.request;
  http->counters.body_bytes_decoded += body->length;
  if (body->bytes) memset(body->bytes + body->length, 0, HTTP_BODY_SLACK_BYTES);
  request->body = body->bytes ? body->bytes : no_body;
  request->body_bytes = body->length;
  stream->phase = HTTP2_STREAM_HANDLING;
  const enum http_disposition disposition =
      application->handle(application->context, &stream->exchange, request, stream->connection->now_ns);
  if (stream->phase == HTTP2_STREAM_ANSWERED) {
    http_body_release(&http->bodies, body);
    return;
  }
  ALWAYS_ASSERT(disposition == HTTP_PARKED);
  stream->phase = HTTP2_STREAM_PARKED;
  http->counters.parked++;
}

void http2_stream_complete(struct http2_stream *stream) {
  stream->end_seen = true;
  if (stream->phase != HTTP2_STREAM_BODY) return;
  http_of(stream)->counters.body_bytes += stream->body.length;
  if (decode(stream)) handle(stream);
}

void http2_stream_error(struct http2_stream *stream, uint16_t status, const char *reason) {
  struct http_server *http = http_of(stream);
  const struct http_application *application = http->config.application;
  struct http_response response = {.status = status, .body = http->error_body, .message = reason};
  if (status == 503) response.retry_after_s = HTTP_RETRY_AFTER_S;
  response.body_bytes =
      application->error_body(application->context, stream->exchange.request.local_port, &stream->exchange.request, status,
                              reason, http->error_body, &response.content_type);
  http2_stream_respond(&stream->exchange, &response, stream->connection->now_ns);
}

void http2_stream_answered(struct http2_stream *stream) {
  struct http_server *http = http_of(stream);
  if (!stream->counted) return;
  stream->counted = false;
  http->counters.answered[stream->status]++;
  http->counters.answered_total++;
  http->counters.in_progress--;
  if (!stream->ends_answered || stream->end_seen) return;
  if (nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR) != 0)
    stream->connection->failed = true;
}

void http2_stream_end(struct http2_stream *stream, enum http_abort reason) {
  struct http2_connection *connection = stream->connection;
  struct http_server *http = http_of(stream);
  const struct http_application *application = http->config.application;
  ALWAYS_ASSERT(stream->phase != HTTP2_STREAM_HANDLING);
  if (stream->phase == HTTP2_STREAM_PARKED) {
    http->counters.parked--;
    application->aborted(application->context, &stream->exchange);
  }
  if (stream->counted) {
    http->counters.aborted[reason]++;
    http->counters.in_progress--;
  }
  http_admission_end(connection->front, &stream->exchange);
  http_body_release(&http->bodies, &stream->body);
  http2_budget_give(&connection->budget, stream->answer);
  *(stream->previous ? &stream->previous->next : &connection->streams) = stream->next;
  if (stream->next) stream->next->previous = stream->previous;
  connection->stream_count--;
  if (!connection->streams) connection->idle_since_ns = connection->now_ns;
  nghttp2_session_set_stream_user_data(connection->session, stream->id, NULL);
  pool_give(&connection->server->streams, stream);
}
