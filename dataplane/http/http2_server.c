#include "always_assert.h"
#include "http2_callbacks_internal.h"
#include "http2_internal.h"

#define CONTINUATIONS_MAX 8u /* of one header block */

struct http2_server *http2_server_create(struct arena *arena, struct http_server *http) {
  const struct http_config *config = &http->config;
  struct http2_server *server = ARENA_NEW(arena, struct http2_server);
  if (!server) return NULL;
  server->http = http;
  if (!http2_memory_init(&server->memory, arena, (uint64_t)config->http2.connections_max * (HTTP2_CONNECTION_MEMORY_BYTES / 4)))
    return NULL;
  if (!pool_init(&server->connections, arena, sizeof(struct http2_connection), config->http2.connections_max)) return NULL;
  if (!pool_init(&server->streams, arena, sizeof(struct http2_stream), config->http2.streams_max)) return NULL;
  /* With the decompressor the only things here that do not come from the arena: made once, before the first packet. */
  if (nghttp2_session_callbacks_new(&server->callbacks) != 0) return NULL;
  if (nghttp2_option_new(&server->options) != 0) {
    nghttp2_session_callbacks_del(server->callbacks);
    return NULL;
  }
  http2_callbacks_set(server->callbacks);
  nghttp2_option_set_no_recv_client_magic(server->options, 1); /* it brought the connection here */
  /* Its own limit on resets reads a clock: out of reach. Ours (http2_callbacks.c) counts in the shard's time. */
  nghttp2_option_set_stream_reset_rate_limit(server->options, UINT64_MAX, UINT64_MAX);
  nghttp2_option_set_max_continuations(server->options, CONTINUATIONS_MAX);
  nghttp2_option_set_no_closed_streams(server->options, 1);
  return server;
}

void http2_server_destroy(struct http2_server *server) {
  nghttp2_session_callbacks_del(server->callbacks);
  nghttp2_option_del(server->options);
}
