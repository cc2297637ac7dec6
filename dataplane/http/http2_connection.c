/* Bytes in and out of one connection's session, its deadlines and its end. */
#include "always_assert.h"
#include "http2_internal.h"

/* Deadlines of streams are looked at this often while there are any. */
#define SWEEP_NS 1000000000ull

/* What the peer goes on sending puts nothing off. */
static void settle_deadline(struct http2_connection *connection) {
  struct http_connection *front = connection->front;
  const struct http_config *config = &front->server->config;
  uint64_t deadline_ns = connection->streams ? connection->sweep_ns : connection->idle_since_ns + config->keep_alive_timeout_ns;
  if (connection->pending_bytes && connection->blocked_since_ns + config->body_timeout_ns < deadline_ns)
    deadline_ns = connection->blocked_since_ns + config->body_timeout_ns;
  if (connection->draining && !connection->going_away && connection->drain_since_ns + HTTP2_DRAIN_GRACE_NS < deadline_ns)
    deadline_ns = connection->drain_since_ns + HTTP2_DRAIN_GRACE_NS;
  front->deadline_ns = deadline_ns;
}

static void name_end(struct http2_connection *connection, enum http2_end end) {
  if (connection->end_named) return;
  connection->end_named = true;
  connection->end = end;
}

static void count_end(struct http2_connection *connection) {
  if (connection->end_counted) return;
  connection->end_counted = true;
  name_end(connection, connection->going_away ? HTTP2_END_DRAIN : HTTP2_END_PEER);
  connection->front->server->counters.http2_ended[connection->end]++;
}

void http2_connection_end_for(struct http2_connection *connection, enum http2_end end, uint32_t error_code) {
  name_end(connection, end);
  if (nghttp2_session_terminate_session(connection->session, error_code) != 0) connection->failed = true;
}

void http2_connection_abort_for(struct http2_connection *connection, enum http2_end end) {
  struct http_connection *front = connection->front;
  name_end(connection, end);
  count_end(connection);
  front->abort_named = true;
  front->abort_reason = HTTP_ABORT_TIMEOUT;
  stream_abort(front->stream, connection->now_ns);
}

bool http2_connection_open(struct http_connection *front, uint64_t now_ns) {
  static const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_A_CONNECTION},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW_BYTES},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP2_STREAM_TEXT_BYTES},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  };
  struct http2_server *server = front->server->http2;
  struct http2_connection *connection = server ? pool_take(&server->connections) : NULL;
  if (!connection) {
    front->server->counters.no_connection++;
    return false;
  }
  *connection = (struct http2_connection){.front = front, .server = server, .now_ns = now_ns, .idle_since_ns = now_ns};
  connection->control = (struct http2_allowance){.filled_ns = now_ns, .left = HTTP2_CONTROL_BURST};
  connection->resets = (struct http2_allowance){.filled_ns = now_ns, .left = HTTP2_RESET_BURST};
  http2_budget_init(&connection->budget, &server->memory, HTTP2_CONNECTION_MEMORY_BYTES);
  if (nghttp2_session_server_new3(&connection->session, server->callbacks, connection, server->options,
                                  &connection->budget.allocator) != 0) {
    front->server->counters.http2_no_memory++;
    pool_give(&server->connections, connection);
    return false;
  }
  front->http2 = connection;
  front->server->counters.http2_connections++;
  if (nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) != 0 ||
      nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_WINDOW_BYTES) != 0)
    connection->failed = true;
  settle_deadline(connection);
  http2_connection_flush(connection);
  return true;
}

/* What the stream does not take now goes out when it has room. */
static bool send_some(struct http2_connection *connection) {
  if (connection->pending_bytes == 0) {
    const ssize_t made = nghttp2_session_mem_send(connection->session, &connection->pending);
    if (made < 0) {
      connection->failed = true;
      return false;
    }
    connection->pending_bytes = (uint32_t)made;
    if (made == 0) return false;
  }
  const uint32_t sent = stream_write(connection->front->stream, connection->pending, connection->pending_bytes);
  connection->pending += sent;
  connection->pending_bytes -= sent;
  return connection->pending_bytes == 0;
}

static bool over(const struct http2_connection *connection) {
  if (connection->pending_bytes) return false;
  if ((connection->going_away || connection->front->peer_finished) && !connection->streams) return true;
  return !nghttp2_session_want_read(connection->session) && !nghttp2_session_want_write(connection->session);
}

void http2_connection_flush(struct http2_connection *connection) {
  if (connection->inside) return;
  const bool was_blocked = connection->pending_bytes > 0;
  connection->inside = true;
  while (!connection->failed && send_some(connection)) continue;
  connection->inside = false;
  if (connection->failed) {
    struct http_connection *front = connection->front;
    front->server->counters.http2_errors++;
    name_end(connection, HTTP2_END_NO_MEMORY);
    count_end(connection);
    front->abort_named = true;
    front->abort_reason = HTTP_ABORT_NO_MEMORY;
    stream_abort(front->stream, connection->now_ns);
    return;
  }
  if (connection->pending_bytes && !was_blocked) connection->blocked_since_ns = connection->now_ns;
  if (!connection->pending_bytes && was_blocked && connection->front->bytes_left) stream_resume(connection->front->stream);
  if (over(connection)) {
    count_end(connection);
    connection->front->owes = true; /* perhaps: its streams are forgotten by now */
    http_connection_close(connection->front, connection->now_ns);
    return;
  }
  settle_deadline(connection);
}

static void refused_by_library(struct http2_connection *connection, ssize_t error) {
  switch (error) {
  case NGHTTP2_ERR_NOMEM:
  case NGHTTP2_ERR_CALLBACK_FAILURE:
    connection->failed = true;
    break;
  case NGHTTP2_ERR_FLOODED:
    http2_connection_end_for(connection, HTTP2_END_CONTROL, NGHTTP2_ENHANCE_YOUR_CALM);
    break;
  case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
    http2_connection_end_for(connection, HTTP2_END_CONTINUATIONS, NGHTTP2_ENHANCE_YOUR_CALM);
    break;
  default:
    http2_connection_end_for(connection, HTTP2_END_PROTOCOL, NGHTTP2_PROTOCOL_ERROR);
    break;
  }
}

uint32_t http2_connection_received(struct http2_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  struct http_connection *front = connection->front;
  uint32_t taken = 0;
  connection->now_ns = now_ns;
  while (taken < length && front->http2 == connection && front->phase == HTTP_PHASE_HTTP2 && !connection->pending_bytes) {
    const uint32_t slice = length - taken < HTTP2_SLICE_BYTES ? length - taken : HTTP2_SLICE_BYTES;
    connection->inside = true;
    const ssize_t result = nghttp2_session_mem_recv(connection->session, bytes + taken, slice);
    connection->inside = false;
    taken += slice;
    if (result < 0) refused_by_library(connection, result);
    http2_connection_flush(connection);
  }
  return taken;
}

void http2_connection_writable(struct http2_connection *connection, uint64_t now_ns) {
  connection->now_ns = now_ns;
  http2_connection_flush(connection);
}

void http2_connection_peer_finished(struct http2_connection *connection, uint64_t now_ns) {
  connection->now_ns = now_ns;
  /* Requests whose end can no longer come. */
  for (struct http2_stream *stream = connection->streams, *next; stream; stream = next) {
    next = stream->next;
    if (stream->end_seen) continue;
    if (nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
      connection->failed = true;
  }
  http2_connection_flush(connection);
}

void http2_connection_deadline(struct http2_connection *connection, uint64_t now_ns) {
  const struct http_config *config = &connection->front->server->config;
  connection->now_ns = now_ns;
  if (connection->pending_bytes && now_ns >= connection->blocked_since_ns + config->body_timeout_ns) {
    http2_connection_abort_for(connection, HTTP2_END_TIMEOUT);
    return;
  }
  if (connection->draining && !connection->going_away && now_ns >= connection->drain_since_ns + HTTP2_DRAIN_GRACE_NS)
    http2_connection_go_away(connection);
  if (!connection->streams && now_ns >= connection->idle_since_ns + config->keep_alive_timeout_ns)
    http2_connection_end_for(connection, HTTP2_END_IDLE, NGHTTP2_NO_ERROR);
  if (now_ns >= connection->sweep_ns) connection->sweep_ns = now_ns + SWEEP_NS;
  connection->inside = true;
  for (struct http2_stream *stream = connection->streams, *next; stream; stream = next) {
    next = stream->next;
    if (http2_stream_in_time(stream)) continue;
    if (stream->phase == HTTP2_STREAM_HEADERS_PHASE) {
      /* Between two frames of a header block nothing else can be said. */
      http2_connection_end_for(connection, HTTP2_END_TIMEOUT, NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (stream->phase == HTTP2_STREAM_ANSWERED) {
      if (nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
        connection->failed = true;
    } else {
      http2_stream_error(stream, 408, "request took too long");
    }
  }
  connection->inside = false;
  http2_connection_flush(connection);
}

/* RFC 9113 section 6.8: first a GOAWAY that takes all, and once the peer has seen it (it acknowledges the PING behind it) one
 * that takes what has come. */
void http2_connection_drain(struct http2_connection *connection, uint64_t now_ns) {
  connection->now_ns = now_ns;
  connection->draining = true;
  connection->drain_since_ns = now_ns;
  if (nghttp2_submit_shutdown_notice(connection->session) != 0 ||
      nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL) != 0)
    connection->failed = true;
  http2_connection_flush(connection);
}

void http2_connection_go_away(struct http2_connection *connection) {
  connection->going_away = true;
  const int32_t last = nghttp2_session_get_last_proc_stream_id(connection->session);
  if (nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
    connection->failed = true;
}

void http2_connection_end(struct http2_connection *connection, enum http_abort reason) {
  count_end(connection);
  while (connection->streams) http2_stream_end(connection->streams, reason);
  nghttp2_session_del(connection->session);
  ALWAYS_ASSERT(connection->budget.used == 0);
  connection->front->server->counters.http2_connections--;
  connection->front->http2 = NULL;
  pool_give(&connection->server->connections, connection);
}
