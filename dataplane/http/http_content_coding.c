#include "http_internal.h"

static uint32_t next_room(const struct http_server *server, uint32_t room) {
  for (unsigned i = 0; i < HTTP_BODY_POOLS; i++)
    if (server->config.body_pools[i].count && server->config.body_pools[i].bytes > room)
      return server->config.body_pools[i].bytes;
  return 0;
}

/* Every member of the gzip body after the one before (RFC 1952 section 2.2). */
static enum libdeflate_result decode_members(struct libdeflate_decompressor *decompressor, const struct http_body *from,
                                             struct http_body *to, uint32_t most) {
  uint32_t at = 0;
  const uint32_t room = to->room < most ? to->room : most;
  to->length = 0;
  while (at < from->length) {
    size_t taken = 0, made = 0;
    const enum libdeflate_result result = libdeflate_gzip_decompress_ex(decompressor, from->bytes + at, from->length - at,
                                                                        to->bytes + to->length, room - to->length, &taken, &made);
    if (result != LIBDEFLATE_SUCCESS) return result;
    at += (uint32_t)taken;
    to->length += (uint32_t)made;
  }
  return LIBDEFLATE_SUCCESS;
}

/* Each try has a larger buffer, so at most as many tries as there are sizes: the work is bounded by the limit. */
uint16_t http_body_decode(struct http_server *server, struct http_body *body, uint32_t max_body_bytes, const char **reason) {
  uint32_t room = body->length < max_body_bytes / 4 ? body->length * 4 : max_body_bytes;
  for (;;) {
    struct http_body decoded;
    if (!http_body_take(server, &decoded, room)) {
      *reason = "no buffer for the decoded body is free";
      return 503;
    }
    const enum libdeflate_result result = decode_members(server->decompressor, body, &decoded, max_body_bytes);
    if (result == LIBDEFLATE_SUCCESS) {
      http_body_give(server, body);
      *body = decoded;
      return 0;
    }
    const uint32_t tried = decoded.room;
    http_body_give(server, &decoded);
    if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
      *reason = "the body is not gzip";
      return 400;
    }
    room = next_room(server, tried);
    if (tried >= max_body_bytes || room == 0) {
      *reason = "the decoded body is too large";
      return 413;
    }
  }
}
