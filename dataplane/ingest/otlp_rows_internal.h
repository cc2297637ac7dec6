#pragma once
/* What both encodings share once bytes are understood: a span becomes a row with its resource's values, its ids are judged, full
 * batches go to the sink. Lives on the decoder's stack for one request. Threads: one shard. */
#include "image.h"
#include "otlp.h"

struct otlp_resource_value {
  int slot;
  struct value value;
};

struct otlp_rows {
  struct event_batch *batch;
  const struct event_sink *sink;
  struct otlp_result *result;
  bool reads_span_attributes; /* some rule does: else attributes are passed over */
  uint64_t span_keys[4]; /* a 256-bit set of key marks of SCOPE_SPAN columns: most keys are no rule's, and are told so cheaply */
  struct event_text service; /* of the current resource */
  uint32_t resource_count;
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

static inline void otlp_span_attribute(struct otlp_rows *rows, uint32_t row, const char *key, uint32_t key_length,
                                       const struct value *value) {
  event_batch_set(rows->batch, row, event_column_find(rows->batch->image, EVENT_SPAN, SCOPE_SPAN, key, key_length), value);
}

/* False: certainly no rule reads this span attribute. */
static inline bool otlp_may_read(const struct otlp_rows *rows, const char *key, uint32_t key_length) {
  const uint8_t mark = otlp_key_mark(key, key_length);
  return rows->span_keys[mark / 64] >> (mark % 64) & 1;
}
