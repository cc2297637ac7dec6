#include "protobuf_internal.h"

/* No message of ours has groups (proto3 has none): they are only passed over, so a low limit refuses nobody. */
#define GROUP_DEPTH_MAX 32

const uint8_t *protobuf_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
  uint64_t sum = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (at == end) return NULL;
    const uint8_t byte = *at++;
    if (shift == 63 && byte > 1) return NULL;
    sum |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) {
      *value = sum;
      return at;
    }
  }
  return NULL;
}

const uint8_t *protobuf_skip_group(const uint8_t *at, const uint8_t *end, uint32_t number) {
  uint32_t open[GROUP_DEPTH_MAX];
  uint32_t depth = 0;
  open[depth++] = number;
  while (depth > 0) {
    uint32_t tag;
    const uint8_t *payload = protobuf_tag(at, end, &tag);
    if (!payload) return NULL;
    if ((tag & 7) == PROTOBUF_GROUP_END) {
      if (tag >> 3 != open[--depth]) return NULL;
      at = payload;
    } else if ((tag & 7) == PROTOBUF_GROUP_START) {
      if (depth == GROUP_DEPTH_MAX) return NULL;
      open[depth++] = tag >> 3;
      at = payload;
    } else {
      struct protobuf_field ignored;
      at = protobuf_next(at, end, &ignored);
      if (!at) return NULL;
    }
  }
  return at;
}
