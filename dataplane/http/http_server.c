#include "http_internal.h"

static bool create_bodies(struct http_server *server, struct arena *arena) {
  for (unsigned i = 0; i < HTTP_BODY_POOLS; i++) {
    if (server->config.body_pools[i].count == 0) continue;
    if (!pool_init(&server->bodies[i], arena, server->config.body_pools[i].bytes + HTTP_BODY_SLACK_BYTES,
                   server->config.body_pools[i].count))
      return false;
  }
  return true;
}

struct http_server *http_server_create(struct arena *arena, const struct http_config *config, uint64_t now_ns) {
  struct http_server *server = ARENA_NEW(arena, struct http_server);
  if (!server) return NULL;
  server->config = *config;
  server->handler = http_connection_handler;
  server->handler.context = server;
  server->timers = timer_wheel_create(arena, now_ns);
  server->decompressor = libdeflate_alloc_decompressor();
  const uint32_t connections = config->connections_max;
  if (!server->timers || !server->decompressor || !create_bodies(server, arena)) return NULL;
  if (!pool_init(&server->connections, arena, sizeof(struct http_exchange), connections) ||
      !pool_init(&server->small_blocks, arena, http_header_block_bytes(HTTP_SMALL_TEXT_BYTES, HTTP_SMALL_HEADERS), connections) ||
      !pool_init(&server->large_blocks, arena, http_header_block_bytes(HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MAX),
                 HTTP_LARGE_BLOCKS) ||
      !pool_init(&server->outputs, arena, HTTP_OUTPUT_BYTES, connections))
    return NULL;
  return server;
}

const struct stream_handler *http_server_stream_handler(struct http_server *server) { return &server->handler; }

uint32_t http_server_tick(struct http_server *server, uint64_t now_ns, uint32_t most) {
  return timer_wheel_advance(server->timers, server, now_ns, most);
}

/* Connections in the middle of a request end with its answer; idle ones now. */
void http_server_drain(struct http_server *server, uint64_t now_ns) {
  server->draining = true;
  for (uint32_t i = 0; i < server->connections.capacity; i++) {
    struct http_exchange *connection =
        (struct http_exchange *)(void *)(server->connections.items + (size_t)i * server->connections.item_bytes);
    if (!connection->stream || connection->state != HTTP_IDLE) continue;
    connection->state = HTTP_CLOSING;
    http_connection_arm(connection, now_ns + HTTP_LINGER_NS);
    stream_close(connection->stream);
  }
}

const struct http_counters *http_server_counters(const struct http_server *server) { return &server->counters; }

const char *http_abort_name(enum http_abort reason) {
  static const char *const names[HTTP_ABORTS] = {"peer_reset", "peer_closed", "timeout", "drain"};
  return names[reason];
}

void http_exchange_set_data(struct http_exchange *exchange, void *data) { exchange->data = data; }

void *http_exchange_data(const struct http_exchange *exchange) { return exchange->data; }

const struct http_request *http_exchange_request(const struct http_exchange *exchange) { return &exchange->request; }

void http_respond(struct http_exchange *exchange, const struct http_response *response, uint64_t now_ns) {
  if (exchange->state == HTTP_WAITING) exchange->server->counters.parked--;
  http_answer(exchange, response, now_ns);
}
