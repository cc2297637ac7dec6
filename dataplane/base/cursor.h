#pragma once
/* A bounded reader over bytes. A read past the end sets `failed`, returns zero and stays failed: decoders read on and
 * check once. Threads: any, one owner. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cursor {
  const uint8_t *at;
  const uint8_t *end;
  bool failed;
};

static inline struct cursor cursor_over(const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  return (struct cursor){.at = at, .end = at + length, .failed = false};
}

static inline size_t cursor_left(const struct cursor *cursor) { return (size_t)(cursor->end - cursor->at); }

/* The next `length` bytes, or NULL and `failed`. */
static inline const uint8_t *cursor_bytes(struct cursor *cursor, size_t length) {
  if (cursor->failed || length > cursor_left(cursor)) {
    cursor->failed = true;
    return NULL;
  }
  const uint8_t *bytes = cursor->at;
  cursor->at += length;
  return bytes;
}

static inline uint8_t cursor_u8(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 1);
  return bytes ? bytes[0] : 0;
}

static inline uint16_t cursor_be16(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 2);
  return bytes ? (uint16_t)((unsigned)bytes[0] << 8 | bytes[1]) : 0;
}

static inline uint32_t cursor_be32(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 4);
  return bytes ? (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3] : 0;
}

static inline uint16_t cursor_le16(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 2);
  return bytes ? (uint16_t)((unsigned)bytes[1] << 8 | bytes[0]) : 0;
}

static inline uint32_t cursor_le32(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 4);
  uint32_t value = 0;
  if (bytes) memcpy(&value, bytes, sizeof value);
  return value;
}

static inline uint64_t cursor_le64(struct cursor *cursor) {
  const uint8_t *bytes = cursor_bytes(cursor, 8);
  uint64_t value = 0;
  if (bytes) memcpy(&value, bytes, sizeof value);
  return value;
}

/* Protobuf base-128 varint, at most 10 bytes; an eleventh or bits beyond 64 fail. */
static inline uint64_t cursor_varint(struct cursor *cursor) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const uint8_t byte = cursor_u8(cursor);
    if (cursor->failed || (shift == 63 && byte > 1)) break;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  cursor->failed = true;
  return 0;
}
