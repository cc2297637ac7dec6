#pragma once
/* Writes Thrift's compact protocol, right or wrong as the test wants it: for Jaeger's datagrams. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct thrift_writer {
  uint8_t bytes[65536];
  uint32_t length;
  int16_t last_id[16]; /* of the structs that are open */
  unsigned depth;
};

static inline void put_byte(struct thrift_writer *writer, uint8_t byte) {
  if (writer->length == sizeof writer->bytes) abort();
  writer->bytes[writer->length++] = byte;
}

static inline void put_varint(struct thrift_writer *writer, uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(writer, (uint8_t)(value | 0x80));
  put_byte(writer, (uint8_t)value);
}

static inline void put_zigzag(struct thrift_writer *writer, int64_t value) {
  put_varint(writer, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static inline void put_text(struct thrift_writer *writer, const char *text) {
  put_varint(writer, strlen(text));
  while (*text) put_byte(writer, (uint8_t)*text++);
}

static inline void put_struct(struct thrift_writer *writer) { writer->last_id[++writer->depth] = 0; }

static inline void put_stop(struct thrift_writer *writer) {
  put_byte(writer, 0);
  writer->depth--;
}

static inline void put_field(struct thrift_writer *writer, int16_t id, uint8_t type) {
  const int difference = id - writer->last_id[writer->depth];
  writer->last_id[writer->depth] = id;
  if (difference > 0 && difference < 16) {
    put_byte(writer, (uint8_t)((unsigned)difference << 4 | type));
    return;
  }
  put_byte(writer, type);
  put_zigzag(writer, id);
}

static inline void put_i64(struct thrift_writer *writer, int16_t id, int64_t value) {
  put_field(writer, id, 6);
  put_zigzag(writer, value);
}

static inline void put_i32(struct thrift_writer *writer, int16_t id, int32_t value) {
  put_field(writer, id, 5);
  put_zigzag(writer, value);
}

static inline void put_string(struct thrift_writer *writer, int16_t id, const char *text) {
  put_field(writer, id, 8);
  put_text(writer, text);
}

/* A list's head; its elements follow. */
static inline void put_list(struct thrift_writer *writer, uint8_t type, uint32_t count) {
  if (count < 15) {
    put_byte(writer, (uint8_t)(count << 4 | type));
    return;
  }
  put_byte(writer, (uint8_t)(0xf0 | type));
  put_varint(writer, count);
}

static inline void put_message(struct thrift_writer *writer, const char *method) {
  writer->length = 0;
  writer->depth = 0;
  put_byte(writer, 0x82);
  put_byte(writer, 4 << 5 | 1);
  put_varint(writer, 7);
  put_text(writer, method);
}

/* Up to the batch's fields. */
static inline void put_batch(struct thrift_writer *writer) {
  put_message(writer, "emitBatch");
  put_struct(writer);
  put_field(writer, 1, 12);
  put_struct(writer);
}

static inline void put_process(struct thrift_writer *writer, const char *service) {
  put_field(writer, 1, 12);
  put_struct(writer);
  put_string(writer, 1, service);
  put_stop(writer);
}

/* What every span has; it stays open. */
static inline void put_span(struct thrift_writer *writer, int64_t trace_low, int64_t span, const char *name) {
  put_struct(writer);
  put_i64(writer, 1, trace_low);
  put_i64(writer, 2, 0);
  put_i64(writer, 3, span);
  put_i64(writer, 4, 0);
  put_string(writer, 5, name);
  put_i32(writer, 7, 1);
  put_i64(writer, 8, 1000);
  put_i64(writer, 9, 50);
}

/* A whole datagram. */
static inline void put_spans(struct thrift_writer *writer, const char *service, uint32_t count) {
  put_batch(writer);
  put_process(writer, service);
  put_field(writer, 2, 9);
  put_list(writer, 12, count);
  for (uint32_t i = 0; i < count; i++) {
    put_span(writer, 1 + i, 100 + i, "GET /orders/by/id");
    put_stop(writer);
  }
  put_stop(writer);
  put_stop(writer);
}
