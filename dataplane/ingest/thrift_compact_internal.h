#pragma once
/* A bounded pull reader of Thrift's compact protocol (thrift-compact-protocol.md): no allocation, no recursion. Strings are views
 * into the bytes. Once an error is set every call returns false and nothing moves. Threads: any, one owner. */
#include "event.h"

#define THRIFT_DEPTH_MAX 16 /* containers in containers that are passed over */

enum thrift_type {
  THRIFT_STOP,
  THRIFT_TRUE, /* a field's type is its value */
  THRIFT_FALSE,
  THRIFT_BYTE,
  THRIFT_I16,
  THRIFT_I32,
  THRIFT_I64,
  THRIFT_DOUBLE,
  THRIFT_BINARY, /* and text */
  THRIFT_LIST,
  THRIFT_SET,
  THRIFT_MAP,
  THRIFT_STRUCT,
  THRIFT_UUID,
};

struct thrift_reader {
  const uint8_t *start, *at, *end;
  const char *error; /* static text, NULL: none */
};

struct thrift_field {
  int16_t id; /* zero before the first */
  uint8_t type;
};

struct thrift_list {
  uint32_t count; /* no more than there are bytes left */
  uint8_t type;   /* of the elements; THRIFT_BYTE for bools, which are a byte each there */
};

bool thrift_fail(struct thrift_reader *reader, const char *error);
/* The next field's id and type, ready to read its value; false at the end of the struct (which is then left) or on error. The
 * same `field` for all fields of a struct: ids are written as differences. */
bool thrift_next_field(struct thrift_reader *reader, struct thrift_field *field);
bool thrift_read_byte(struct thrift_reader *reader, uint8_t *byte);
bool thrift_read_varint(struct thrift_reader *reader, uint64_t *value);
/* i16, i32 and i64 are written alike. */
bool thrift_read_integer(struct thrift_reader *reader, int64_t *value);
bool thrift_read_double(struct thrift_reader *reader, double *value);
bool thrift_read_binary(struct thrift_reader *reader, struct event_text *text);
bool thrift_enter_list(struct thrift_reader *reader, struct thrift_list *list);
/* A value of a field, or of an element, of this type. */
bool thrift_skip(struct thrift_reader *reader, uint8_t type);
