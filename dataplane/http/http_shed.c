/* Who has to go when something is short. Connections are looked at in turn, a few a call, so that the path of a request keeps no
 * lists for it. What has only just begun is left alone: a client that is served needs less than SLOW_NS. */
#include "always_assert.h"
#include "http2_internal.h"

#define SLOW_NS UINT64_C(1000000000)
#define IDLE_FLOOR_NS UINT64_C(5000000000)
#define IDLE_FLOOR_HARD_NS SLOW_NS
#define OWED_NS UINT64_C(5000000000)           /* for the answer to what took effect: a lossy path may need so long */
#define LET_GO_HARD_NS UINT64_C(250000000)     /* a round trip, for the answer and our FIN */
#define BODY_LEAST_BYTES_PER_S UINT64_C(65536) /* while bodies are short */
/* A shortage that was over for so long begins again with the longest idle. */
#define FORGET_NS UINT64_C(1000000000)

static uint64_t since_deadline(uint64_t deadline_ns, uint64_t timeout_ns) {
  return deadline_ns > timeout_ns ? deadline_ns - timeout_ns : 0;
}

static bool older(uint64_t since_ns, uint64_t age_ns, uint64_t now_ns) {
  return now_ns >= since_ns && now_ns - since_ns >= age_ns;
}

/* Who never hears that a request took effect sends it again. */
static bool owed(uint16_t status) { return status < 400; }
static bool answer_owed(const struct http_connection *connection) {
  return connection->owes && stream_unacknowledged(connection->stream) > 0;
}

static bool body_is_slow(const struct http_body *body, uint64_t begun_ns, uint64_t now_ns) {
  const uint64_t age_ns = now_ns > begun_ns ? now_ns - begun_ns : 0;
  return age_ns >= SLOW_NS && body->length < age_ns / 1000000 * BODY_LEAST_BYTES_PER_S / 1000;
}

static bool body_is_short(const struct http_body *body, uint32_t shortages) {
  return http_body_is_pooled(body) && shortages >> HTTP_SHORT_BODIES_SHIFT >> body->pool & 1;
}

static void reset(struct http_connection *connection, uint64_t now_ns) {
  connection->abort_named = true;
  connection->abort_reason = HTTP_ABORT_TIMEOUT;
  stream_abort(connection->stream, now_ns);
}

/* Nothing is owed to its peer any more. */
static enum http_shed shed_idle(struct http_connection *connection, uint32_t shortages, uint64_t now_ns) {
  struct http_server *server = connection->server;
  const uint64_t since_ns = since_deadline(connection->deadline_ns, server->config.keep_alive_timeout_ns);
  const bool unread = (shortages & HTTP_SHORT_SEND_BLOCKS) && stream_unacknowledged(connection->stream);
  const bool holds = (shortages & HTTP_SHORT_RECEIVE_BLOCKS) && stream_holds_received(connection->stream);
  if ((unread || holds) && older(since_ns, answer_owed(connection) ? OWED_NS : SLOW_NS, now_ns)) {
    reset(connection, now_ns);
    return unread ? HTTP_SHED_UNREAD : HTTP_SHED_IDLE;
  }
  if (!(shortages & (HTTP_SHORT_CONNECTIONS | HTTP_SHORT_CONNECTIONS_HARD)) || server->shed_idle_left == 0 ||
      !older(since_ns, server->shed_idle_ns, now_ns))
    return HTTP_SHEDS;
  server->shed_idle_left--;
  if ((shortages & HTTP_SHORT_CONNECTIONS_HARD) && !answer_owed(connection)) {
    reset(connection, now_ns);
  } else {
    http_connection_close(connection, now_ns);
  }
  return HTTP_SHED_IDLE;
}

static enum http_shed shed_closing(struct http_connection *connection, uint32_t shortages, uint64_t now_ns) {
  const uint64_t since_ns = since_deadline(connection->deadline_ns, connection->server->config.body_timeout_ns);
  const uint32_t soon = HTTP_SHORT_CONNECTIONS_HARD | HTTP_SHORT_SEND_BLOCKS | HTTP_SHORT_RECEIVE_BLOCKS;
  const uint32_t any = soon | HTTP_SHORT_CONNECTIONS | HTTP_SHORT_HTTP2_CONNECTIONS | HTTP_SHORT_HTTP2_CONNECTIONS_HARD;
  const bool at_once = (shortages & soon) && !answer_owed(connection);
  if (!(shortages & any) || !older(since_ns, at_once ? LET_GO_HARD_NS : OWED_NS, now_ns)) return HTTP_SHEDS;
  reset(connection, now_ns);
  return HTTP_SHED_CLOSING;
}

/* One of HTTP/1.1. Returns what was wrong with it, or HTTP_SHEDS. */
static enum http_shed shed_one(struct http_connection *connection, uint32_t shortages, uint64_t now_ns) {
  const struct http_config *config = &connection->server->config;
  const bool hard = shortages & HTTP_SHORT_CONNECTIONS_HARD;
  const bool holds = (shortages & HTTP_SHORT_RECEIVE_BLOCKS) && stream_holds_received(connection->stream);
  switch (connection->phase) {
  case HTTP_PHASE_IDLE:
    return shed_idle(connection, shortages, now_ns);
  case HTTP_PHASE_CLOSING:
  case HTTP_PHASE_DISCARDING:
    return shed_closing(connection, shortages, now_ns);
  case HTTP_PHASE_HEADERS:
    if (!(hard || holds) || !older(since_deadline(connection->deadline_ns, config->header_timeout_ns), SLOW_NS, now_ns))
      return HTTP_SHEDS;
    http_answer_error(connection, 503, "overloaded: the request header comes too slowly", true, now_ns);
    return HTTP_SHED_HEADERS;
  case HTTP_PHASE_BODY:
    if (!(holds || body_is_short(&connection->body, shortages)) ||
        !body_is_slow(&connection->body, since_deadline(connection->body_end_ns, config->body_timeout_ns), now_ns))
      return HTTP_SHEDS;
    http_answer_error(connection, 503, "overloaded: the request body comes too slowly", true, now_ns);
    return HTTP_SHED_BODY;
  case HTTP_PHASE_FLUSHING:
    if (!(hard || holds || shortages & HTTP_SHORT_SEND_BLOCKS) ||
        !older(since_deadline(connection->deadline_ns, config->body_timeout_ns), connection->owes ? OWED_NS : SLOW_NS, now_ns))
      return HTTP_SHEDS;
    reset(connection, now_ns);
    return HTTP_SHED_UNREAD;
  case HTTP_PHASE_HANDLING:
  case HTTP_PHASE_PARKED:
  case HTTP_PHASE_HTTP2:
  case HTTP_PHASE_GONE:
    break;
  }
  return HTTP_SHEDS;
}

static enum http_shed shed_stream(struct http2_stream *stream, uint32_t shortages, uint64_t now_ns) {
  const struct http_config *config = &stream->connection->front->server->config;
  const bool streams = shortages & HTTP_SHORT_HTTP2_STREAMS;
  switch (stream->phase) {
  case HTTP2_STREAM_HEADERS_PHASE:
    if (!streams || !older(since_deadline(stream->deadline_ns, config->header_timeout_ns), SLOW_NS, now_ns)) return HTTP_SHEDS;
    /* Between two frames of a header block nothing else can be said. */
    http2_connection_end_for(stream->connection, HTTP2_END_OVERLOAD, NGHTTP2_ENHANCE_YOUR_CALM);
    return HTTP_SHED_HEADERS;
  case HTTP2_STREAM_BODY:
    if (!(streams || body_is_short(&stream->body, shortages)) ||
        !body_is_slow(&stream->body, since_deadline(stream->body_end_ns, config->body_timeout_ns), now_ns))
      return HTTP_SHEDS;
    stream->ends_answered = true;
    http2_stream_error(stream, 503, "overloaded: the request comes too slowly");
    return HTTP_SHED_BODY;
  case HTTP2_STREAM_ANSWERED:
    if (!streams ||
        !older(since_deadline(stream->deadline_ns, config->body_timeout_ns), owed(stream->status) ? OWED_NS : SLOW_NS, now_ns))
      return HTTP_SHEDS;
    if (nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL) != 0)
      stream->connection->failed = true;
    return HTTP_SHED_UNREAD;
  case HTTP2_STREAM_HANDLING:
  case HTTP2_STREAM_PARKED:
    break;
  }
  return HTTP_SHEDS;
}

/* A whole connection of HTTP/2, for what it is itself. */
static enum http_shed shed_http2(struct http2_connection *connection, uint32_t shortages, uint64_t now_ns) {
  struct http_server *server = connection->front->server;
  const uint32_t hard = HTTP_SHORT_CONNECTIONS_HARD | HTTP_SHORT_HTTP2_CONNECTIONS_HARD;
  const uint32_t idle = HTTP_SHORT_CONNECTIONS | HTTP_SHORT_HTTP2_CONNECTIONS | hard;
  const uint32_t unread = HTTP_SHORT_SEND_BLOCKS | hard;
  if (connection->pending_bytes && (shortages & unread) && older(connection->blocked_since_ns, OWED_NS, now_ns)) {
    http2_connection_abort_for(connection, HTTP2_END_OVERLOAD);
    return HTTP_SHED_UNREAD;
  }
  if (connection->streams || connection->draining || !(shortages & idle) || server->shed_idle_left == 0 ||
      !older(connection->idle_since_ns, server->shed_idle_ns, now_ns))
    return HTTP_SHEDS;
  server->shed_idle_left--;
  if ((shortages & hard) && !stream_unacknowledged(connection->front->stream)) {
    http2_connection_abort_for(connection, HTTP2_END_OVERLOAD);
  } else {
    http2_connection_end_for(connection, HTTP2_END_OVERLOAD, NGHTTP2_NO_ERROR);
    http2_connection_flush(connection);
  }
  return HTTP_SHED_IDLE;
}

/* Returns how many streams were looked at; `ended` counts. */
static uint32_t shed_streams(struct http2_connection *connection, uint32_t shortages, uint64_t now_ns, uint32_t *ended) {
  uint64_t *shed = connection->front->server->counters.shed;
  uint32_t looked_at = 0, before = *ended;
  connection->now_ns = now_ns;
  connection->inside = true;
  for (struct http2_stream *stream = connection->streams, *next; stream; stream = next, looked_at++) {
    next = stream->next;
    const enum http_shed what = shed_stream(stream, shortages, now_ns);
    if (what == HTTP_SHEDS) continue;
    shed[what]++;
    ++*ended;
  }
  connection->inside = false;
  if (*ended != before) http2_connection_flush(connection);
  return looked_at;
}

/* Returns the effort. */
static uint32_t shed_connection(struct http_connection *connection, uint32_t shortages, uint64_t now_ns, uint32_t *ended) {
  enum http_shed what = HTTP_SHEDS;
  uint32_t effort = 1;
  http_connection_enter(connection);
  if (connection->phase != HTTP_PHASE_HTTP2) {
    what = shed_one(connection, shortages, now_ns);
  } else {
    effort += shed_streams(connection->http2, shortages, now_ns, ended);
    if (connection->phase == HTTP_PHASE_HTTP2) what = shed_http2(connection->http2, shortages, now_ns);
  }
  if (what != HTTP_SHEDS) {
    connection->server->counters.shed[what]++;
    ++*ended;
  }
  http_connection_leave(connection);
  return effort;
}

/* How long idle is too long: at first only what is about to end anyhow, by half with each round. */
static void begin_round(struct http_server *server, uint32_t shortages) {
  const uint32_t hard = HTTP_SHORT_CONNECTIONS_HARD | HTTP_SHORT_HTTP2_CONNECTIONS_HARD;
  const uint64_t floor_ns = shortages & hard ? IDLE_FLOOR_HARD_NS : IDLE_FLOOR_NS;
  server->shed_at = server->open;
  server->shed_idle_ns = server->shed_idle_ns / 2 > floor_ns ? server->shed_idle_ns / 2 : floor_ns;
}

uint32_t http_server_shed(struct http_server *server, uint32_t shortages, uint32_t most, uint32_t idle_most, uint64_t now_ns) {
  uint32_t ended = 0;
  server->shed_idle_left = idle_most;
  if (now_ns - server->shed_ns > FORGET_NS) server->shed_idle_ns = server->config.keep_alive_timeout_ns;
  server->shed_ns = now_ns;
  for (uint32_t effort = 0; effort < most && server->open;) {
    if (!server->shed_at) begin_round(server, shortages);
    struct http_connection *connection = server->shed_at;
    server->shed_at = connection->next;
    effort += shed_connection(connection, shortages, now_ns, &ended);
    if (!server->shed_at) break; /* not twice in one call */
  }
  return ended;
}

void http_server_use(const struct http_server *server, struct http_use *use) {
  *use = (struct http_use){.closing = server->closing};
  for (uint32_t i = 0; i < server->bodies.count; i++) {
    for (uint32_t above = i; above < server->bodies.count; above++) {
      use->bodies[i].used += server->bodies.pools[above].in_use;
      use->bodies[i].capacity += server->bodies.pools[above].capacity;
    }
  }
  if (!server->http2) return;
  use->http2_connections.used = server->http2->connections.in_use;
  use->http2_connections.capacity = server->http2->connections.capacity;
  use->http2_streams.used = server->http2->streams.in_use;
  use->http2_streams.capacity = server->http2->streams.capacity;
  use->http2_memory.used = server->http2->memory.out;
  use->http2_memory.capacity = server->http2->memory.bytes;
}

const char *http_shed_name(enum http_shed what) {
  static const char *const names[HTTP_SHEDS] = {"closing", "idle", "slow_header", "slow_body", "unread"};
  ALWAYS_ASSERT(what < HTTP_SHEDS);
  return names[what];
}
