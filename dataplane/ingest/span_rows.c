#include "span_rows_internal.h"
#include <string.h>

#define NS_PER_US 1000u

static const uint8_t zeros[16];

void span_rows_begin(struct span_rows *rows, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result) {
  *result = (struct span_result){.outcome = SPANS_DECODED};
  rows->batch = batch;
  rows->sink = sink;
  rows->result = result;
  rows->reads_span_attributes = false;
  memset(rows->slot_by_mark, 0xff, sizeof rows->slot_by_mark);
  rows->resource_count = rows->resource_row = 0;
  span_resource_begin(rows);
  const struct image_kind *kind = batch->image ? &batch->image->kinds[EVENT_SPAN] : NULL;
  for (uint32_t slot = 0; kind && slot < kind->column_count; slot++) {
    const struct image_column *column = &kind->columns[slot];
    if (column->scope != SCOPE_SPAN) continue;
    uint16_t *marked = &rows->slot_by_mark[span_key_mark(column->key.at, column->key.length)];
    *marked = *marked == SPAN_MARK_NONE && slot < SPAN_MARK_SHARED ? (uint16_t)slot : SPAN_MARK_SHARED;
    rows->reads_span_attributes = true;
  }
}

/* The resource's values into all its rows, a column at a time. */
static void fill_resource(struct span_rows *rows) {
  if (rows->resource_row == rows->batch->count) return;
  for (uint32_t i = 0; i < rows->resource_count; i++) {
    const struct span_resource_value *of = &rows->resource[i];
    event_batch_set_run(rows->batch, rows->resource_row, of->slot, &of->value, of->interned);
  }
  rows->resource_row = rows->batch->count;
}

/* The sink empties the batch; when it had no room what it left, if anything, is dropped by span_rows_end. */
static bool hand_over(struct span_rows *rows) {
  fill_resource(rows);
  rows->resource_row = 0;
  if (rows->batch->count == 0 || rows->sink->evaluate(rows->sink->context, rows->batch)) return true;
  rows->result->outcome = SPANS_NO_ROOM;
  return false;
}

void span_rows_end(struct span_rows *rows, bool complete, const char *error, uint32_t error_offset) {
  struct span_result *result = rows->result;
  if (complete) {
    hand_over(rows);
  } else if (result->outcome != SPANS_NO_ROOM) {
    result->outcome = SPANS_MALFORMED;
    result->error = error;
    result->error_offset = error_offset;
  }
  rows->batch->count = 0;
}

void span_resource_begin(struct span_rows *rows) {
  fill_resource(rows);
  rows->service = (struct event_text){.at = NULL};
  rows->resource_count = 0;
}

void span_resource_set(struct span_rows *rows, const char *key, uint32_t key_length, const struct value *value) {
  static const char service_name[] = "service.name";
  if (key_length == sizeof service_name - 1 && memcmp(key, service_name, key_length) == 0) {
    const bool text = value->type == VALUE_STRING;
    rows->service = (struct event_text){.at = text ? value->text : NULL, .length = text ? value->length : 0};
  }
  const int slot = event_column_find(rows->batch->image, EVENT_SPAN, SCOPE_RESOURCE, key, key_length);
  if (slot < 0) return;
  uint32_t i = 0;
  while (i < rows->resource_count && rows->resource[i].slot != slot) i++;
  if (i == SPAN_RESOURCE_COLUMNS_MAX) {
    rows->result->resource_values_dropped++;
    return;
  }
  if (i == rows->resource_count) rows->resource_count++;
  rows->resource[i] =
      (struct span_resource_value){.slot = slot, .interned = event_batch_intern(rows->batch, slot, value), .value = *value};
}

int span_row_begin(struct span_rows *rows) {
  if (event_batch_full(rows->batch) && !hand_over(rows)) return -1;
  rows->result->spans++;
  const uint32_t row = event_batch_add(rows->batch);
  struct event_fields *fields = &rows->batch->fields[row];
  fields->name = (struct event_text){.at = "", .length = 0};
  fields->service = rows->service;
  return (int)row;
}

static void reject_last(struct span_rows *rows, enum span_reject reject) {
  rows->result->rejected[reject]++;
  event_batch_remove_last(rows->batch);
}

void span_row_end(struct span_rows *rows, uint32_t row, const struct span_ids *ids) {
  struct event_fields *fields = &rows->batch->fields[row];
  enum span_reject reject;
  if (ids->trace_id_bytes != sizeof fields->trace_id || memcmp(fields->trace_id, zeros, sizeof fields->trace_id) == 0) {
    reject = SPAN_REJECT_TRACE_ID;
  } else if (ids->span_id_bytes != sizeof fields->span_id || memcmp(fields->span_id, zeros, sizeof fields->span_id) == 0) {
    reject = SPAN_REJECT_SPAN_ID;
  } else if (ids->parent_id_bytes == 0) {
    memset(fields->parent_id, 0, sizeof fields->parent_id);
    return;
  } else if (ids->parent_id_bytes == sizeof fields->parent_id) {
    fields->has_parent = memcmp(fields->parent_id, zeros, sizeof fields->parent_id) != 0;
    return;
  } else {
    reject = SPAN_REJECT_PARENT_ID;
  }
  reject_last(rows, reject);
}

void span_row_end_us(struct span_rows *rows, uint32_t row, const struct span_ids *ids, uint64_t start_us, uint64_t duration_us) {
  struct event_fields *fields = &rows->batch->fields[row];
  uint64_t end_us;
  if (__builtin_add_overflow(start_us, duration_us, &end_us) ||
      __builtin_mul_overflow(end_us, (uint64_t)NS_PER_US, &fields->end_ns)) {
    reject_last(rows, SPAN_REJECT_TIME);
    return;
  }
  fields->start_ns = start_us * NS_PER_US;
  span_row_end(rows, row, ids);
}

uint8_t span_kind_of(int64_t kind) {
  return kind >= SPAN_KIND_UNSPECIFIED && kind <= SPAN_KIND_CONSUMER ? (uint8_t)kind : SPAN_KIND_UNSPECIFIED;
}

uint8_t span_status_of(int64_t code) {
  return code >= SPAN_STATUS_UNSET && code <= SPAN_STATUS_ERROR ? (uint8_t)code : SPAN_STATUS_UNSET;
}

const char *span_reject_name(enum span_reject reject) {
  static const char *const names[SPAN_REJECTS] = {[SPAN_REJECT_TRACE_ID] = "trace_id",
                                                  [SPAN_REJECT_SPAN_ID] = "span_id",
                                                  [SPAN_REJECT_PARENT_ID] = "parent_id",
                                                  [SPAN_REJECT_TIME] = "time"};
  return (unsigned)reject < SPAN_REJECTS ? names[reject] : "unknown";
}
