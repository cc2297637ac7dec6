#pragma once
/* What all span formats share once bytes are understood: a span becomes a row with its resource's values, its ids are judged,
 * full batches go to the sink. Lives on the decoder's stack for one request. Threads: one shard. */
#include "image.h"
#include "span_result.h"
#include <string.h>

struct span_resource_value {
  int slot;
  uint32_t interned;
  struct value value;
};

#define SPAN_MARK_NONE 0xffffu
#define SPAN_MARK_SHARED 0xfffeu

struct span_rows {
  struct event_batch *batch;
  const struct event_sink *sink;
  struct span_result *result;
  bool reads_span_attributes; /* some rule does: else attributes are passed over */
  /* By key mark: the one SCOPE_SPAN column with that mark, or one of the two below. Most keys are no rule's, and are told so
   * without hashing them. */
  uint16_t slot_by_mark[256];
  struct event_text service; /* of the current resource */
  uint32_t resource_count;
  uint32_t resource_row; /* the first row of the batch that has not got its values yet */
  struct span_resource_value resource[SPAN_RESOURCE_COLUMNS_MAX];
};

/* Lengths of the ids as they came; 16 and 8 bytes are in the row's fields. */
struct span_ids {
  uint32_t trace_id_bytes, span_id_bytes, parent_id_bytes;
};
#define SPAN_ID_BAD UINT32_MAX

void span_rows_begin(struct span_rows *rows, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result);
/* The last batch to the sink, or on failure all rows dropped. `error` NULL: none. Sets the outcome. */
void span_rows_end(struct span_rows *rows, bool complete, const char *error, uint32_t error_offset);

void span_resource_begin(struct span_rows *rows);
void span_resource_set(struct span_rows *rows, const char *key, uint32_t key_length, const struct value *value);

/* Counts the span and gives it a row; -1: the sink had no room for the rows before it. */
int span_row_begin(struct span_rows *rows);
/* Keeps the row or rejects the span. */
void span_row_end(struct span_rows *rows, uint32_t row, const struct span_ids *ids);
/* The same for formats that count microseconds; an end beyond what 64 bits of nanoseconds can say rejects the span. */
void span_row_end_us(struct span_rows *rows, uint32_t row, const struct span_ids *ids, uint64_t start_us, uint64_t duration_us);
uint8_t span_kind_of(int64_t kind);
uint8_t span_status_of(int64_t code);

static inline uint8_t span_key_mark(const char *key, uint32_t length) {
  if (length == 0) return 0;
  return (uint8_t)(length * 37u + (uint8_t)key[length - 1] + (uint8_t)key[length / 2] * 7u);
}

/* Keys are short: eight bytes at a time, the last eight perhaps again, cost less than a call. */
static inline bool span_same_key(const char *a, const char *b, uint32_t length) {
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
static inline int span_row_column(const struct span_rows *rows, const char *key, uint32_t key_length) {
  const uint16_t slot = rows->slot_by_mark[span_key_mark(key, key_length)];
  if (slot == SPAN_MARK_NONE) return -1;
  const struct rule_image *image = rows->batch->image;
  if (slot == SPAN_MARK_SHARED) return event_column_find(image, EVENT_SPAN, SCOPE_SPAN, key, key_length);
  const struct image_text *expected = &image->kinds[EVENT_SPAN].columns[slot].key;
  return expected->length == key_length && span_same_key(expected->at, key, key_length) ? slot : -1;
}
