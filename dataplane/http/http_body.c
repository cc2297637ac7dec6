#include "http_internal.h"
#include <string.h>

bool http_body_take(struct http_server *server, struct http_body *body, uint32_t room) {
  for (uint8_t i = 0; i < HTTP_BODY_POOLS; i++) {
    const uint32_t bytes = server->config.body_pools[i].bytes;
    if (server->config.body_pools[i].count == 0 || bytes < room) continue;
    uint8_t *taken = pool_take(&server->bodies[i]);
    if (!taken) continue;
    *body = (struct http_body){.bytes = taken, .room = bytes, .pool = i};
    return true;
  }
  server->counters.no_body_buffer++;
  return false;
}

bool http_body_grow(struct http_server *server, struct http_body *body, uint32_t room) {
  struct http_body larger;
  if (room <= body->room) return true;
  if (!http_body_take(server, &larger, room)) return false;
  memcpy(larger.bytes, body->bytes, body->length);
  larger.length = body->length;
  http_body_give(server, body);
  *body = larger;
  return true;
}

void http_body_give(struct http_server *server, struct http_body *body) {
  if (body->bytes) pool_give(&server->bodies[body->pool], body->bytes);
  *body = (struct http_body){0};
}
