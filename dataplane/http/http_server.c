#include "http_server.h"
#include "always_assert.h"
#include "http2_internal.h"
#include "http_connection_internal.h"
#include <libdeflate.h>

/* Few requests have more than a small header block holds. */
static uint32_t large_block_count(uint32_t connections_max) { return connections_max / 16 + 8; }

struct http_server *http_server_create(struct arena *arena, const struct http_config *config, uint64_t now_ns) {
  const struct http_application *application = config->application;
  ALWAYS_ASSERT(config->connections_max > 0);
  ALWAYS_ASSERT(application && application->admit && application->handle && application->aborted && application->error_body);
  struct http_server *server = ARENA_NEW(arena, struct http_server);
  if (!server) return NULL;
  server->config = *config;
  server->handler = http_connection_handler;
  server->handler.context = server;
  server->timers = timer_wheel_create(arena, now_ns);
  if (!server->timers) return NULL;
  if (!pool_init(&server->connections, arena, sizeof(struct http_connection), config->connections_max)) return NULL;
  if (!pool_init(&server->small_blocks, arena, http_header_block_bytes(HTTP_SMALL_TEXT_BYTES, HTTP_SMALL_HEADERS),
                 config->connections_max))
    return NULL;
  if (!pool_init(&server->large_blocks, arena, http_header_block_bytes(HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX),
                 large_block_count(config->connections_max)))
    return NULL;
  if (!http_body_pools_init(&server->bodies, arena, config, &server->counters)) return NULL;
  if (config->http2.connections_max && !(server->http2 = http2_server_create(arena, server))) return NULL;
  /* Last: with nghttp2's the one thing here that does not come from the arena. */
  server->decompressor = libdeflate_alloc_decompressor();
  if (server->decompressor) return server;
  if (server->http2) http2_server_destroy(server->http2);
  return NULL;
}

void http_server_destroy(struct http_server *server) {
  libdeflate_free_decompressor(server->decompressor);
  if (server->http2) http2_server_destroy(server->http2);
}

const struct stream_handler *http_server_stream_handler(struct http_server *server) { return &server->handler; }

uint32_t http_server_tick(struct http_server *server, uint64_t now_ns, uint32_t most) {
  return timer_wheel_advance(server->timers, server, now_ns, most);
}

void http_server_drain(struct http_server *server, uint64_t now_ns) {
  server->draining = true;
  for (struct http_connection *connection = server->open, *next; connection; connection = next) {
    next = connection->next;
    if (connection->phase != HTTP_PHASE_IDLE && connection->phase != HTTP_PHASE_HTTP2) continue;
    http_connection_enter(connection);
    if (connection->http2) {
      http2_connection_drain(connection->http2, now_ns);
    } else {
      http_connection_close(connection, now_ns);
    }
    http_connection_leave(connection);
  }
}

const struct http_counters *http_server_counters(const struct http_server *server) { return &server->counters; }

const char *http2_end_name(enum http2_end reason) {
  static const char *const names[HTTP2_ENDS] = {"peer",    "idle",          "drain",   "protocol",  "resets",
                                                "control", "continuations", "timeout", "no_memory", "overload"};
  ALWAYS_ASSERT(reason < HTTP2_ENDS);
  return names[reason];
}

const char *http_abort_name(enum http_abort reason) {
  static const char *const names[HTTP_ABORTS] = {"peer_reset", "peer_closed", "timeout", "drain", "no_memory"};
  ALWAYS_ASSERT(reason < HTTP_ABORTS);
  return names[reason];
}
