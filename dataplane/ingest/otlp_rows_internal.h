#pragma once
/* What both encodings share once bytes are understood: a span becomes a row with its resource's values, its ids are judged, full
 * batches go to the sink. Lives on the decoder's stack for one request. Threads: one shard. */
#include "image.h"
#include "otlp.h"
#include <string.h>

struct otlp_resource_value {
  int slot;
  uint32_t interned;
  struct value value;
};

#define OTLP_MARK_NONE 0xffffu
#define OTLP_MARK_SHARED 0xfffeu

struct otlp_rows {
  struct event_batch *batch;
  const struct event_sink *sink;
  struct otlp_result *result;
  bool reads_span_attributes; /* some rule does: else attributes are passed over */
  /* By key mark: the one SCOPE_SPAN column with that mark, or one of the two below. Most keys are no rule's, and are told so
   * without hashing them. */
  uint16_t slot_by_mark[256];
  struct event_text service;             /* of the current resource */
  uint32_t resource_count, resource_row; /* the first row of the batch that has not got its values yet */
  struct otlp_resource_value resource[OTLP_RESOURCE_COLUMNS_MAX];
};

/* Lengths of the ids as they came; 16 and 8 bytes are in the row's fields. */
struct otlp_span_ids {
  uint32_t trace_id_bytes, span_id_bytes, parent_id_bytes;
};
#define OTLP_ID_BAD UINT32_MAX

void otlp_rows_begin(struct otlp_rows *rows, struct event_batch *batch, const struct event_sink *sink,
                     struct otlp_result *result);
/* The last batch to the sink, or on failure all rows dropped. `error` NULL: none. Sets the outcome. */
void otlp_rows_end(struct otlp_rows *rows, bool complete, const char *error, uint32_t error_offset);

void otlp_resource_begin(struct otlp_rows *rows);
void otlp_resource_set(struct otlp_rows *rows, const char *key, uint32_t key_length, const struct value *value);

/* Counts the span and gives it a row; -1: the sink had no room for the rows before it. */
int otlp_span_begin(struct otlp_rows *rows);
/* Keeps the row or rejects the span. */
void otlp_span_end(struct otlp_rows *rows, uint32_t row, const struct otlp_span_ids *ids);
uint8_t otlp_span_kind(int64_t kind);
uint8_t otlp_span_status(int64_t code);

static inline uint8_t otlp_key_mark(const char *key, uint32_t length) {
  if (length == 0) return 0;
  return (uint8_t)(length * 37u + (uint8_t)key[length - 1] + (uint8_t)key[length / 2] * 7u);
}

/* Keys are short: eight bytes at a time, the last eight perhaps again, cost less than a call. */
static inline bool otlp_same_key(const char *a, const char *b, uint32_t length) {
  uint64_t left, right, difference = 0;
  if (length < sizeof left) return memcmp(a, b, length) == 0;
  for (uint32_t at = 0; at + sizeof left < length; at += sizeof left) {
    memcpy(&left, a + at, sizeof left);
    memcpy(&right, b + at, sizeof right);
    difference |= left ^ right;
  }
  memcpy(&left, a + length - sizeof left, sizeof left);
  memcpy(&right, b + length - sizeof right, sizeof right);
  return (difference | (left ^ right)) == 0;
}

/* The column of a span attribute, or -1. */
static inline int otlp_span_column(const struct otlp_rows *rows, const char *key, uint32_t key_length) {
  const uint16_t slot = rows->slot_by_mark[otlp_key_mark(key, key_length)];
  if (slot == OTLP_MARK_NONE) return -1;
  const struct rule_image *image = rows->batch->image;
  if (slot == OTLP_MARK_SHARED) return event_column_find(image, EVENT_SPAN, SCOPE_SPAN, key, key_length);
  const struct image_text *expected = &image->kinds[EVENT_SPAN].columns[slot].key;
  return expected->length == key_length && otlp_same_key(expected->at, key, key_length) ? slot : -1;
}
