/* Bytes in and out of one connection's session, its deadlines and its end. */
#include "always_assert.h"
#include "http2_internal.h"

/* Deadlines of streams are looked at this often while there are any. */
#define SWEEP_NS 1000000000ull

static void settle_deadline(struct http2_connection *connection) {
  struct http_connection *front = connection->front;
  const uint64_t wait_ns = connection->streams ? SWEEP_NS : front->server->config.keep_alive_timeout_ns;
  front->deadline_ns = connection->now_ns + wait_ns;
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
  *connection = (struct http2_connection){.front = front, .server = server, .now_ns = now_ns};
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
  if ((connection->draining || connection->front->peer_finished) && !connection->streams) return true;
  return !nghttp2_session_want_read(connection->session) && !nghttp2_session_want_write(connection->session);
}

void http2_connection_flush(struct http2_connection *connection) {
  if (connection->inside) return;
  connection->inside = true;
  while (!connection->failed && send_some(connection)) continue;
  connection->inside = false;
  if (connection->failed) {
    struct http_connection *front = connection->front;
    front->server->counters.http2_errors++;
    front->abort_named = true;
    front->abort_reason = HTTP_ABORT_NO_MEMORY;
    stream_abort(front->stream, connection->now_ns);
    return;
  }
  if (over(connection)) http_connection_close(connection->front);
}

void http2_connection_received(struct http2_connection *connection, const uint8_t *bytes, uint32_t length, uint64_t now_ns) {
  connection->now_ns = now_ns;
  connection->inside = true;
  const ssize_t taken = nghttp2_session_mem_recv(connection->session, bytes, length);
  connection->inside = false;
  if (taken < 0) connection->failed = true;
  settle_deadline(connection);
  http2_connection_flush(connection);
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
  connection->now_ns = now_ns;
  if (!connection->streams) {
    if (nghttp2_session_terminate_session(connection->session, NGHTTP2_NO_ERROR) != 0) connection->failed = true;
  }
  connection->inside = true;
  for (struct http2_stream *stream = connection->streams, *next; stream; stream = next) {
    next = stream->next;
    if (now_ns < stream->deadline_ns) continue;
    if (stream->phase == HTTP2_STREAM_ANSWERED) {
      if (nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
        connection->failed = true;
    } else if (stream->phase != HTTP2_STREAM_PARKED) {
      http2_stream_error(stream, 408, "request took too long");
    }
  }
  connection->inside = false;
  settle_deadline(connection);
  http2_connection_flush(connection);
}

void http2_connection_drain(struct http2_connection *connection, uint64_t now_ns) {
  connection->now_ns = now_ns;
  connection->draining = true;
  const int32_t last = nghttp2_session_get_last_proc_stream_id(connection->session);
  if (nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0)
    connection->failed = true;
  http2_connection_flush(connection);
}

void http2_connection_end(struct http2_connection *connection, enum http_abort reason) {
  while (connection->streams) http2_stream_end(connection->streams, reason);
  nghttp2_session_del(connection->session);
  ALWAYS_ASSERT(connection->budget.used == 0);
  connection->front->server->counters.http2_connections--;
  connection->front->http2 = NULL;
  pool_give(&connection->server->connections, connection);
}
