/* The stream's events and the deadlines, by the connection's phase. */
#include "always_assert.h"
#include "http2_internal.h"
#include "http_admission_internal.h"
#include "http_connection_internal.h"
#include <string.h>

void http_connection_enter(struct http_connection *connection) {
  ALWAYS_ASSERT(!connection->busy && connection->phase != HTTP_PHASE_GONE);
  connection->busy = true;
}

void http_connection_leave(struct http_connection *connection) {
  connection->busy = false;
  if (connection->phase == HTTP_PHASE_GONE) {
    pool_give(&connection->server->connections, connection);
    return;
  }
  if (connection->deadline_ns != HTTP_NO_DEADLINE &&
      (!timer_armed(&connection->timer) || connection->timer.deadline_ns > connection->deadline_ns))
    timer_arm(connection->server->timers, &connection->timer, connection->deadline_ns);
}

void http_connection_close(struct http_connection *connection, uint64_t now_ns) {
  if (connection->phase == HTTP_PHASE_CLOSING) return;
  connection->server->closing++;
  connection->phase = HTTP_PHASE_CLOSING;
  connection->deadline_ns = now_ns + connection->server->config.body_timeout_ns;
  stream_close(connection->stream);
}

void http_connection_next(struct http_connection *connection, uint64_t now_ns) {
  if (connection->peer_finished || connection->server->draining) {
    http_connection_close(connection, now_ns);
    return;
  }
  connection->phase = HTTP_PHASE_IDLE;
  connection->blank_bytes = 0;
  connection->deadline_ns = now_ns + connection->server->config.keep_alive_timeout_ns;
}

void http_connection_give_request(struct http_connection *connection) {
  struct http_server *server = connection->server;
  http_admission_end(connection, &connection->exchange);
  http_body_release(&server->bodies, &connection->body);
  pool_give(connection->block_is_large ? &server->large_blocks : &server->small_blocks, connection->block);
  connection->block = NULL;
}

static bool in_progress(const struct http_connection *connection) {
  return connection->phase >= HTTP_PHASE_HEADERS && connection->phase <= HTTP_PHASE_FLUSHING;
}

static void count_aborted(struct http_connection *connection, enum http_abort reason) {
  struct http_counters *counters = &connection->server->counters;
  counters->aborted[reason]++;
  counters->in_progress--;
  http_connection_give_request(connection);
}

static void begin_request(struct http_connection *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  server->counters.requests++;
  server->counters.in_progress++;
  connection->block = pool_take(&server->small_blocks);
  ALWAYS_ASSERT(connection->block); /* there is one for each connection */
  connection->block->text_capacity = HTTP_SMALL_TEXT_BYTES;
  connection->block->header_capacity = HTTP_SMALL_HEADERS;
  connection->block_is_large = false;
  connection->close_after = false;
  connection->discards_body = false;
  connection->continue_left = 0;
  connection->chunked = (struct http_chunked){0};
  connection->exchange.data = NULL;
  http_parse_begin(&connection->parse, connection->block, &connection->exchange.request);
  connection->phase = HTTP_PHASE_HEADERS;
  connection->deadline_ns = now_ns + server->config.header_timeout_ns;
}

static void move_to_large_block(struct http_connection *connection, uint64_t now_ns) {
  struct http_server *server = connection->server;
  struct http_header_block *large = pool_take(&server->large_blocks);
  if (!large) {
    server->counters.no_header_buffer++;
    http_answer_error(connection, 503, "no free header buffer", true, now_ns);
    return;
  }
  large->text_capacity = HTTP_HEADER_BYTES_MAX;
  large->header_capacity = HTTP_HEADERS_MAX;
  http_parse_move(large, connection->block, &connection->exchange.request);
  pool_give(&server->small_blocks, connection->block);
  connection->block = large;
  connection->block_is_large = true;
}

static uint32_t take_headers(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  enum http_parse_progress progress;
  const uint32_t taken =
      http_parse_bytes(&connection->parse, connection->block, &connection->exchange.request, bytes, length, &progress);
  switch (progress) {
  case HTTP_PARSE_MORE:
    break;
  case HTTP_PARSE_NO_SPACE:
    move_to_large_block(connection, now_ns);
    break;
  case HTTP_PARSE_FAILED:
    http_answer_error(connection, connection->parse.status, connection->parse.reason, true, now_ns);
    break;
  case HTTP_PARSE_DONE:
    http_exchange_admit(connection, now_ns);
    break;
  }
  return taken;
}

/* The first bytes of a connection: the HTTP/2 preface, or a request that begins like it. No method begins with PRI (RFC 9113
 * section 3.4). Returns whether the byte was taken. */
static bool take_preface(struct http_connection *connection, uint8_t byte, uint64_t now_ns) {
  if (byte == (uint8_t)HTTP2_PREFACE[connection->preface_at]) {
    if (++connection->preface_at < HTTP2_PREFACE_BYTES) return true;
    connection->began = true;
    connection->phase = HTTP_PHASE_HTTP2;
    if (!http2_connection_open(connection, now_ns)) http_connection_close(connection, now_ns);
    return true;
  }
  connection->began = true;
  if (connection->preface_at == 0) return false;
  begin_request(connection, now_ns);
  const uint32_t taken = take_headers(connection, (const uint8_t *)HTTP2_PREFACE, connection->preface_at, now_ns);
  ALWAYS_ASSERT(taken == connection->preface_at || connection->phase != HTTP_PHASE_HEADERS);
  return false;
}

static uint32_t take_idle(struct http_connection *connection, uint8_t byte, uint64_t now_ns) {
  static const uint8_t blank[2] = {'\r', '\n'};
  if (!connection->began && connection->server->http2) {
    if (take_preface(connection, byte, now_ns)) return 1;
    if (connection->phase != HTTP_PHASE_IDLE) return 0;
  }
  if (connection->blank_bytes < sizeof blank && byte == blank[connection->blank_bytes]) {
    connection->blank_bytes++;
    return 1;
  }
  begin_request(connection, now_ns);
  if (connection->blank_bytes == 1) http_answer_error(connection, 400, "CR without LF", true, now_ns);
  return 0;
}

/* One step by phase; false when the connection takes no more for now. */
static bool take(struct http_connection *connection, const uint8_t *bytes, uint32_t length, uint32_t *taken, uint64_t now_ns) {
  switch (connection->phase) {
  case HTTP_PHASE_IDLE:
    *taken += take_idle(connection, bytes[0], now_ns);
    return true;
  case HTTP_PHASE_HEADERS:
    *taken += take_headers(connection, bytes, length, now_ns);
    return true;
  case HTTP_PHASE_BODY:
    *taken += http_exchange_take_body(connection, bytes, length, now_ns);
    return true;
  case HTTP_PHASE_DISCARDING:
    *taken += http_exchange_discard(connection, bytes, length, now_ns);
    return true;
  case HTTP_PHASE_HTTP2:
    *taken += http2_connection_received(connection->http2, bytes, length, now_ns);
    return connection->phase != HTTP_PHASE_HTTP2;
  case HTTP_PHASE_CLOSING:
  case HTTP_PHASE_GONE:
    *taken += length;
    return false;
  case HTTP_PHASE_HANDLING:
  case HTTP_PHASE_PARKED:
  case HTTP_PHASE_FLUSHING:
    break;
  }
  return false;
}

static uint32_t received(void *state, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct http_connection *connection = state;
  http_connection_enter(connection);
  connection->bytes_left = false;
  uint32_t taken = 0;
  while (taken < length && take(connection, bytes + taken, length - taken, &taken, now_ns)) continue;
  connection->bytes_left = taken < length;
  http_connection_leave(connection);
  return taken;
}

static void expect(const void *state) {
  for (size_t at = 0; at < sizeof(struct http_connection); at += CACHE_LINE_BYTES)
    __builtin_prefetch((const char *)state + at, 1);
}

static void look_at_body(struct http_connection *connection, uint64_t now_ns) {
  const struct http_config *config = &connection->server->config;
  const uint32_t more = connection->body.length - connection->body_seen_bytes;
  if (!http_body_fast_enough(config, connection->body_end_ns, more, now_ns)) {
    http_answer_error(connection, 408, "request body took too long", true, now_ns);
    return;
  }
  connection->body_seen_bytes = connection->body.length;
  connection->deadline_ns = http_body_look_ns(config, connection->body_end_ns, now_ns);
}

static void on_deadline(struct timer *timer, void *context, uint64_t now_ns) {
  (void)context;
  struct http_connection *connection =
      (struct http_connection *)(void *)((char *)timer - offsetof(struct http_connection, timer));
  http_connection_enter(connection);
  if (now_ns >= connection->deadline_ns) {
    switch (connection->phase) {
    case HTTP_PHASE_IDLE:
    case HTTP_PHASE_DISCARDING:
      http_connection_close(connection, now_ns);
      break;
    case HTTP_PHASE_HTTP2:
      http2_connection_deadline(connection->http2, now_ns);
      break;
    case HTTP_PHASE_HEADERS:
      http_answer_error(connection, 408, "request headers took too long", true, now_ns);
      break;
    case HTTP_PHASE_BODY:
      look_at_body(connection, now_ns);
      break;
    case HTTP_PHASE_FLUSHING:
      connection->abort_named = true;
      connection->abort_reason = HTTP_ABORT_TIMEOUT;
      stream_abort(connection->stream, now_ns);
      break;
    case HTTP_PHASE_CLOSING:
      /* Acknowledging a byte now and then it could keep its place for ever. */
      connection->server->counters.closing_timed_out++;
      stream_abort(connection->stream, now_ns);
      break;
    case HTTP_PHASE_HANDLING:
    case HTTP_PHASE_PARKED:
    case HTTP_PHASE_GONE:
      break;
    }
  }
  http_connection_leave(connection);
}

static void *opened(void *context, struct stream *stream, uint16_t local_port, uint64_t now_ns) {
  struct http_server *server = context;
  struct http_connection *connection = server->draining ? NULL : pool_take(&server->connections);
  if (!connection) {
    server->counters.no_connection++;
    return NULL;
  }
  *connection = (struct http_connection){
      .exchange = {.respond = http_connection_respond},
      .server = server,
      .stream = stream,
      .next = server->open,
      .phase = HTTP_PHASE_IDLE,
      .timer = {.fire = on_deadline},
      .deadline_ns = now_ns + server->config.keep_alive_timeout_ns,
  };
  connection->exchange.request.local_port = local_port;
  connection->exchange.request.peer = stream_peer_address(stream);
  connection->exchange.request.peer_port = stream_peer_port(stream);
  if (server->config.address_limits)
    connection->account = address_account_hold(server->config.address_limits, &connection->exchange.request.peer);
  if (server->open) server->open->previous = connection;
  server->open = connection;
  server->counters.connections++;
  timer_arm(server->timers, &connection->timer, connection->deadline_ns);
  const struct http_application *application = server->config.application;
  if (application->connection_accepted)
    application->connection_accepted(application->context, local_port, &connection->exchange.request.peer);
  return connection;
}

static void peer_finished(void *state, uint64_t now_ns) {
  struct http_connection *connection = state;
  http_connection_enter(connection);
  connection->peer_finished = true;
  switch (connection->phase) {
  case HTTP_PHASE_HEADERS:
  case HTTP_PHASE_BODY:
    count_aborted(connection, HTTP_ABORT_PEER_CLOSED);
    http_connection_close(connection, now_ns);
    break;
  case HTTP_PHASE_HTTP2:
    http2_connection_peer_finished(connection->http2, now_ns);
    break;
  case HTTP_PHASE_IDLE:
  case HTTP_PHASE_DISCARDING:
    http_connection_close(connection, now_ns);
    break;
  case HTTP_PHASE_HANDLING:
  case HTTP_PHASE_PARKED:
  case HTTP_PHASE_FLUSHING: /* closes when answered */
  case HTTP_PHASE_CLOSING:
  case HTTP_PHASE_GONE:
    break;
  }
  http_connection_leave(connection);
}

static void writable(void *state, uint64_t now_ns) {
  struct http_connection *connection = state;
  http_connection_enter(connection);
  if (connection->phase == HTTP_PHASE_BODY || connection->phase == HTTP_PHASE_FLUSHING) http_answer_flush(connection, now_ns);
  if (connection->phase == HTTP_PHASE_HTTP2) http2_connection_writable(connection->http2, now_ns);
  http_connection_leave(connection);
}

static enum http_abort abort_reason_of(const struct http_connection *connection, enum stream_end end) {
  if (connection->abort_named) return connection->abort_reason;
  switch (end) {
  case STREAM_END_FINISHED:
    return HTTP_ABORT_PEER_CLOSED;
  case STREAM_END_RESET:
    return HTTP_ABORT_PEER_RESET;
  case STREAM_END_TIMED_OUT:
    return HTTP_ABORT_TIMEOUT;
  case STREAM_END_ABORTED:
    break;
  }
  return connection->server->draining ? HTTP_ABORT_DRAIN : HTTP_ABORT_NO_MEMORY;
}

static void closed(void *state, enum stream_end end, uint64_t now_ns) {
  struct http_connection *connection = state;
  struct http_server *server = connection->server;
  const struct http_application *application = server->config.application;
  (void)now_ns;
  ALWAYS_ASSERT(connection->phase != HTTP_PHASE_HANDLING && connection->phase != HTTP_PHASE_GONE);
  if (connection->phase == HTTP_PHASE_PARKED) {
    server->counters.parked--;
    application->aborted(application->context, &connection->exchange);
  }
  if (application->connection_ended) {
    const struct http_request *request = &connection->exchange.request;
    application->connection_ended(application->context, request->local_port, &request->peer, end);
  }
  if (in_progress(connection)) count_aborted(connection, abort_reason_of(connection, end));
  if (connection->http2) http2_connection_end(connection->http2, abort_reason_of(connection, end));
  if (connection->account) address_account_release(server->config.address_limits, connection->account);
  if (connection->phase == HTTP_PHASE_CLOSING) server->closing--;
  timer_cancel(&connection->timer);
  connection->phase = HTTP_PHASE_GONE;
  connection->stream = NULL;
  if (server->shed_at == connection) server->shed_at = connection->next;
  if (connection->next) connection->next->previous = connection->previous;
  *(connection->previous ? &connection->previous->next : &server->open) = connection->next;
  server->counters.connections--;
  if (!connection->busy) pool_give(&server->connections, connection);
}

const struct stream_handler http_connection_handler = {
    .opened = opened,
    .received = received,
    .expect = expect,
    .peer_finished = peer_finished,
    .writable = writable,
    .closed = closed,
};
