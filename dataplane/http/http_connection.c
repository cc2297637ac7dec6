#include "http_internal.h"
#include <string.h>

void http_connection_arm(struct http_exchange *connection, uint64_t deadline_ns) {
  timer_arm(connection->server->timers, &connection->timer, deadline_ns);
}

static void give_request(struct http_exchange *connection) {
  struct http_server *server = connection->server;
  if (connection->block) pool_give(connection->block_large ? &server->large_blocks : &server->small_blocks, connection->block);
  connection->block = NULL;
  http_body_give(server, &connection->body);
}

static void close_when_sent(struct http_exchange *connection, uint64_t now_ns) {
  connection->state = HTTP_CLOSING;
  http_connection_arm(connection, now_ns + HTTP_LINGER_NS);
  if (http_output_continue(connection)) stream_close(connection->stream);
}

/* The answer is on its way: what the connection does next. */
void http_connection_answered(struct http_exchange *connection, uint64_t now_ns) {
  give_request(connection);
  if (connection->close_after) {
    close_when_sent(connection, now_ns);
    return;
  }
  if (connection->output) {
    connection->state = HTTP_FLUSHING;
    http_connection_arm(connection, now_ns + connection->server->config.keep_alive_timeout_ns);
    return;
  }
  connection->state = connection->body_left ? HTTP_DISCARDING : HTTP_IDLE;
  http_connection_arm(connection, now_ns + (connection->body_left ? connection->server->config.body_timeout_ns
                                                                  : connection->server->config.keep_alive_timeout_ns));
  stream_resume(connection->stream);
}

static void refuse(struct http_exchange *connection, uint16_t status, const char *reason, bool close, uint64_t now_ns) {
  http_answer_error(connection, status, reason, close, now_ns);
}

static void begin_request(struct http_exchange *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  connection->state = HTTP_HEADERS;
  connection->answered = false;
  connection->close_after = false;
  connection->counted = true;
  connection->data = NULL;
  connection->body_left = 0;
  connection->chunked = (struct http_chunked){0};
  connection->parse = (struct http_parse){0};
  server->counters.requests++;
  server->counters.in_progress++;
  connection->block = pool_take(&server->small_blocks);
  connection->block_large = false;
  ALWAYS_ASSERT(connection->block); /* one a connection */
  connection->block->text_capacity = HTTP_SMALL_TEXT_BYTES;
  connection->block->header_capacity = HTTP_SMALL_HEADERS;
  http_parse_begin(&connection->parse, connection->block, &connection->request);
  http_connection_arm(connection, now_ns + server->config.header_timeout_ns);
}

static bool move_to_large_block(struct http_exchange *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  struct http_header_block *large = connection->block_large ? NULL : pool_take(&server->large_blocks);
  if (!large) {
    refuse(connection, 503, "no room for a large header block", true, now_ns);
    return false;
  }
  large->text_capacity = HTTP_HEADER_BYTES_MAX;
  large->header_capacity = HTTP_HEADERS_MAX;
  http_parse_move(large, connection->block, &connection->request);
  pool_give(&server->small_blocks, connection->block);
  connection->block = large;
  connection->block_large = true;
  return true;
}

static void finish_handling(struct http_exchange *connection, enum http_disposition disposition, uint64_t now_ns) {
  if (connection->answered) {
    http_connection_answered(connection, now_ns);
    return;
  }
  ALWAYS_ASSERT(disposition == HTTP_PARKED);
  connection->state = HTTP_WAITING;
  connection->server->counters.parked++;
  timer_cancel(&connection->timer);
}

static void body_complete(struct http_exchange *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  const struct http_application *application = server->config.application;
  if (connection->parse.content_coding == HTTP_CODING_GZIP && connection->body.length) {
    const char *reason = NULL;
    const uint16_t status = http_body_decode(server, &connection->body, connection->max_body_bytes, &reason);
    if (status) {
      refuse(connection, status, reason, false, now_ns);
      return;
    }
  }
  static const uint8_t empty[HTTP_BODY_SLACK_BYTES];
  server->counters.body_bytes_decoded += connection->body.length;
  connection->request.body = connection->body.bytes ? connection->body.bytes : empty;
  connection->request.body_bytes = connection->body.length;
  connection->state = HTTP_HANDLING;
  struct stream *stream = connection->stream;
  const enum http_disposition disposition = application->handle(application->context, connection, &connection->request, now_ns);
  if (connection->stream == stream) finish_handling(connection, disposition, now_ns);
}

/* A body that nobody wants: small ones are read and dropped, so that the connection goes on; others end it. */
static bool must_close(struct http_exchange *connection) {
  const struct http_parse *parse = &connection->parse;
  if (parse->chunked || parse->expect_continue || parse->content_length > HTTP_DISCARD_BYTES_MAX) return true;
  connection->body_left = parse->content_length;
  return false;
}

static void refuse_early(struct http_exchange *connection, uint16_t status, const char *reason, uint64_t now_ns) {
  const bool close = must_close(connection);
  refuse(connection, status, reason, close, now_ns);
}

static void begin_body(struct http_exchange *connection, uint64_t now_ns) {
  static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
  const struct http_parse *parse = &connection->parse;
  const uint32_t first_room = parse->chunked ? 1 : (uint32_t)parse->content_length;
  if (!http_body_take(connection->server, &connection->body, first_room)) {
    refuse_early(connection, 503, "no body buffer is free", now_ns);
    return;
  }
  connection->state = HTTP_BODY;
  connection->body_left = parse->chunked ? 0 : parse->content_length;
  http_connection_arm(connection, now_ns + connection->server->config.body_timeout_ns);
  if (parse->expect_continue && stream_write_room(connection->stream) >= sizeof go_on - 1)
    stream_write(connection->stream, go_on, sizeof go_on - 1);
}

static void headers_complete(struct http_exchange *connection, uint64_t now_ns) {
  const struct http_application *application = connection->server->config.application;
  const struct http_parse *parse = &connection->parse;
  struct http_admission admission = {0};
  if (parse->connection_close || (parse->version_1_0 && !parse->connection_keep_alive)) connection->close_after = true;
  application->admit(application->context, &connection->request, &admission, now_ns);
  connection->max_body_bytes = admission.max_body_bytes;
  if (admission.status) {
    if (must_close(connection)) admission.response.close = true;
    http_answer(connection, &admission.response, now_ns);
  } else if (parse->content_coding == HTTP_CODING_UNSUPPORTED) {
    refuse_early(connection, 415, "content encoding must be gzip or identity", now_ns);
  } else if (!parse->chunked && parse->content_length > admission.max_body_bytes) {
    refuse_early(connection, 413, "the body is too large", now_ns);
  } else if (!parse->chunked && parse->content_length == 0) {
    body_complete(connection, now_ns);
  } else {
    begin_body(connection, now_ns);
  }
}

static uint32_t take_headers(struct http_exchange *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  enum http_parse_progress progress;
  const uint32_t taken = http_parse_bytes(&connection->parse, connection->block, &connection->request, bytes, length, &progress);
  switch (progress) {
  case HTTP_PARSE_MORE:
    break;
  case HTTP_PARSE_NO_SPACE:
    move_to_large_block(connection, now_ns);
    break;
  case HTTP_PARSE_FAILED:
    refuse(connection, connection->parse.status, connection->parse.reason, true, now_ns);
    break;
  case HTTP_PARSE_DONE:
    headers_complete(connection, now_ns);
    break;
  }
  return taken;
}

static bool append_body(struct http_exchange *connection, const uint8_t *data, uint32_t length, uint64_t now_ns) {
  struct http_body *body = &connection->body;
  if (length > connection->max_body_bytes - body->length) {
    refuse(connection, 413, "the body is too large", true, now_ns);
    return false;
  }
  if (!http_body_grow(connection->server, body, body->length + length)) {
    refuse(connection, 503, "no larger body buffer is free", true, now_ns);
    return false;
  }
  memcpy(body->bytes + body->length, data, length);
  body->length += length;
  connection->server->counters.body_bytes += length;
  return true;
}

static uint32_t take_body(struct http_exchange *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  if (!connection->parse.chunked) {
    const uint32_t part = length < connection->body_left ? length : (uint32_t)connection->body_left;
    if (!append_body(connection, bytes, part, now_ns)) return part;
    connection->body_left -= part;
    if (connection->body_left == 0) body_complete(connection, now_ns);
    return part;
  }
  const uint8_t *data;
  uint32_t data_bytes;
  const uint32_t taken = http_chunked_read(&connection->chunked, bytes, length, &data, &data_bytes);
  if (data_bytes && !append_body(connection, data, data_bytes, now_ns)) return taken;
  if (connection->chunked.state == HTTP_CHUNKED_FAILED) {
    refuse(connection, connection->chunked.status, connection->chunked.reason, true, now_ns);
  } else if (connection->chunked.state == HTTP_CHUNKED_DONE) {
    body_complete(connection, now_ns);
  }
  return taken;
}

static uint32_t discard(struct http_exchange *connection, uint32_t length, uint64_t now_ns) {
  const uint32_t part = length < connection->body_left ? length : (uint32_t)connection->body_left;
  connection->body_left -= part;
  if (connection->body_left == 0) {
    connection->state = HTTP_IDLE;
    http_connection_arm(connection, now_ns + connection->server->config.keep_alive_timeout_ns);
  }
  return part;
}

static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct http_exchange *connection = state;
  struct stream *stream = connection->stream;
  uint32_t taken = 0;
  while (taken < length && connection->stream == stream) {
    switch (connection->state) {
    case HTTP_IDLE:
      /* One empty line before a request line is ignored (RFC 9112 section 2.2). */
      if (bytes[taken] == '\r' || bytes[taken] == '\n') {
        taken++;
        break;
      }
      begin_request(connection, now_ns);
      break;
    case HTTP_HEADERS:
      taken += take_headers(connection, bytes + taken, length - taken, now_ns);
      break;
    case HTTP_BODY:
      taken += take_body(connection, bytes + taken, length - taken, now_ns);
      break;
    case HTTP_DISCARDING:
      taken += discard(connection, length - taken, now_ns);
      break;
    case HTTP_HANDLING:
    case HTTP_WAITING:
    case HTTP_FLUSHING:
      return taken;
    case HTTP_CLOSING:
      return length;
    }
  }
  return taken;
}

static void on_deadline(struct timer *timer, void *context, uint64_t now_ns) {
  (void)context;
  struct http_exchange *connection = (struct http_exchange *)((char *)timer - offsetof(struct http_exchange, timer));
  switch (connection->state) {
  case HTTP_IDLE:
    connection->state = HTTP_CLOSING;
    http_connection_arm(connection, now_ns + HTTP_LINGER_NS);
    stream_close(connection->stream);
    return;
  case HTTP_HEADERS:
  case HTTP_BODY:
    refuse(connection, 408, "the request took too long", true, now_ns);
    return;
  case HTTP_FLUSHING:
  case HTTP_DISCARDING:
  case HTTP_CLOSING:
    stream_abort(connection->stream, now_ns);
    return;
  case HTTP_HANDLING:
  case HTTP_WAITING:
    return;
  }
}

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  struct http_server *server = context;
  struct http_exchange *connection = server->draining ? NULL : pool_take(&server->connections);
  if (!connection) {
    server->counters.no_connection++;
    return NULL;
  }
  *connection = (struct http_exchange){.server = server, .stream = stream, .state = HTTP_IDLE, .timer.fire = on_deadline};
  connection->request.local_port = local_port;
  connection->request.peer_ipv4 = stream_peer_ipv4(stream);
  server->counters.connections++;
  http_connection_arm(connection, now_ns + server->config.keep_alive_timeout_ns);
  return connection;
}

static void count_abort(struct http_exchange *connection, enum http_abort reason) {
  struct http_counters *counters = &connection->server->counters;
  if (!connection->counted) return;
  connection->counted = false;
  counters->aborted[reason]++;
  counters->in_progress--;
}

static void peer_finished(void *state, uint64_t now_ns) {
  struct http_exchange *connection = state;
  connection->peer_finished = true;
  switch (connection->state) {
  case HTTP_WAITING:
  case HTTP_HANDLING:
    return; /* it is still answered */
  case HTTP_FLUSHING:
    connection->close_after = true;
    return;
  case HTTP_HEADERS:
  case HTTP_BODY:
    count_abort(connection, HTTP_ABORT_PEER_CLOSED);
    give_request(connection);
    break;
  default:
    break;
  }
  connection->state = HTTP_CLOSING;
  http_connection_arm(connection, now_ns + HTTP_LINGER_NS);
  stream_close(connection->stream);
}

static void writable(void *state, uint64_t now_ns) {
  struct http_exchange *connection = state;
  if (!connection->output || !http_output_continue(connection)) return;
  if (connection->state == HTTP_CLOSING) {
    stream_close(connection->stream);
  } else if (connection->state == HTTP_FLUSHING) {
    http_connection_answered(connection, now_ns);
  }
}

static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  struct http_exchange *connection = state;
  struct http_server *server = connection->server;
  (void)now_ns;
  timer_cancel(&connection->timer);
  if (connection->state == HTTP_WAITING) {
    server->config.application->aborted(server->config.application->context, connection);
    server->counters.parked--;
  }
  count_abort(connection, end == STREAM_END_RESET      ? HTTP_ABORT_PEER_RESET
                          : end == STREAM_END_FINISHED ? HTTP_ABORT_PEER_CLOSED
                          : server->draining           ? HTTP_ABORT_DRAIN
                                                       : HTTP_ABORT_TIMEOUT);
  give_request(connection);
  if (connection->output) pool_give(&server->outputs, connection->output);
  connection->output = NULL;
  connection->stream = NULL;
  server->counters.connections--;
  pool_give(&server->connections, connection);
}

const struct stream_handler http_connection_handler = {
    .opened = opened,
    .received = received,
    .peer_finished = peer_finished,
    .writable = writable,
    .closed = closed,
};
