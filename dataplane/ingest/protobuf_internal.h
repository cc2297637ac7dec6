#pragma once
/* The protobuf wire format, field by field, over bounded bytes. A position of NULL means malformed. Threads: any. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum protobuf_wire {
  PROTOBUF_VARINT = 0,
  PROTOBUF_FIXED64 = 1,
  PROTOBUF_BYTES = 2,
  PROTOBUF_GROUP_START = 3,
  PROTOBUF_GROUP_END = 4,
  PROTOBUF_FIXED32 = 5,
};

#define PROTOBUF_TAG(number, wire) ((uint32_t)(number) << 3 | (wire))
#define PROTOBUF_FIELD(number) ((uint64_t)1 << (number))

struct protobuf_field {
  uint32_t tag;
  uint32_t length;      /* of bytes */
  const uint8_t *bytes; /* PROTOBUF_BYTES */
  uint64_t scalar;      /* VARINT, FIXED64, FIXED32 */
};

/* Whether the field's number is in `known` (a set of PROTOBUF_FIELD): with another wire type than it should have, as the caller
 * did not recognise its tag. */
static inline int protobuf_mistyped(const struct protobuf_field *field, uint64_t known) {
  return field->tag >> 3 < 64 && (known >> (field->tag >> 3) & 1);
}

/* More than one byte, or none. Bits beyond 64 are malformed. */
const uint8_t *protobuf_long_varint(const uint8_t *at, const uint8_t *end, uint64_t *value);
/* A whole group, `at` behind its start tag. Bounded in depth, without recursion. */
const uint8_t *protobuf_skip_group(const uint8_t *at, const uint8_t *end, uint32_t number);

static inline const uint8_t *protobuf_varint(const uint8_t *at, const uint8_t *end, uint64_t *value) {
  if (at < end && *at < 0x80) {
    *value = *at;
    return at + 1;
  }
  return protobuf_long_varint(at, end, value);
}

/* Field numbers are 1 to 2^29 - 1. */
static inline const uint8_t *protobuf_tag(const uint8_t *at, const uint8_t *end, uint32_t *tag) {
  uint64_t value;
  at = protobuf_varint(at, end, &value);
  if (!at || value > UINT32_MAX || value >> 3 == 0) return NULL;
  *tag = (uint32_t)value;
  return at;
}

/* Reads one field and returns the position behind it. `at` is before `end`. A group is passed
 * over whole; only its start tag is given. */
static inline const uint8_t *protobuf_next(const uint8_t *at, const uint8_t *end, struct protobuf_field *field) {
  at = protobuf_tag(at, end, &field->tag);
  if (!at) return NULL;
  uint64_t length;
  uint32_t half;
  switch (field->tag & 7) {
  case PROTOBUF_BYTES:
    at = protobuf_varint(at, end, &length);
    if (!at || length > (size_t)(end - at)) return NULL;
    field->bytes = at;
    field->length = (uint32_t)length;
    return at + length;
  case PROTOBUF_VARINT:
    return protobuf_varint(at, end, &field->scalar);
  case PROTOBUF_FIXED64:
    if (end - at < 8) return NULL;
    memcpy(&field->scalar, at, sizeof field->scalar);
    return at + 8;
  case PROTOBUF_FIXED32:
    if (end - at < 4) return NULL;
    memcpy(&half, at, sizeof half);
    field->scalar = half;
    return at + 4;
  case PROTOBUF_GROUP_START:
    return protobuf_skip_group(at, end, field->tag >> 3);
  default:
    return NULL;
  }
}
