#include "otlp_rows_internal.h"
#include <string.h>

static const uint8_t zeros[16];

void otlp_rows_begin(struct otlp_rows *rows, struct event_batch *batch, const struct event_sink *sink,
                     struct otlp_result *result) {
  *result = (struct otlp_result){.outcome = OTLP_OK};
  rows->batch = batch;
  rows->sink = sink;
  rows->result = result;
  rows->reads_span_attributes = false;
  memset(rows->slot_by_mark, 0xff, sizeof rows->slot_by_mark);
  rows->resource_count = rows->resource_row = 0;
  otlp_resource_begin(rows);
  const struct image_kind *kind = batch->image ? &batch->image->kinds[EVENT_SPAN] : NULL;
  for (uint32_t slot = 0; kind && slot < kind->column_count; slot++) {
    const struct image_column *column = &kind->columns[slot];
    if (column->scope != SCOPE_SPAN) continue;
    uint16_t *marked = &rows->slot_by_mark[otlp_key_mark(column->key.at, column->key.length)];
    *marked = *marked == OTLP_MARK_NONE && slot < OTLP_MARK_SHARED ? (uint16_t)slot : OTLP_MARK_SHARED;
    rows->reads_span_attributes = true;
  }
}

/* The resource's values into all its rows, a column at a time. */
static void fill_resource(struct otlp_rows *rows) {
  if (rows->resource_row == rows->batch->count) return;
  for (uint32_t i = 0; i < rows->resource_count; i++) {
    const struct otlp_resource_value *of = &rows->resource[i];
    event_batch_set_run(rows->batch, rows->resource_row, of->slot, &of->value, of->interned);
  }
  rows->resource_row = rows->batch->count;
}

/* The sink empties the batch; when it had no room what it left, if anything, is dropped by otlp_rows_end. */
static bool hand_over(struct otlp_rows *rows) {
  fill_resource(rows);
  rows->resource_row = 0;
  if (rows->batch->count == 0 || rows->sink->evaluate(rows->sink->context, rows->batch)) return true;
  rows->result->outcome = OTLP_NO_ROOM;
  return false;
}

void otlp_rows_end(struct otlp_rows *rows, bool complete, const char *error, uint32_t error_offset) {
  struct otlp_result *result = rows->result;
  if (complete) {
    hand_over(rows);
  } else if (result->outcome != OTLP_NO_ROOM) {
    result->outcome = OTLP_MALFORMED;
    result->error = error;
    result->error_offset = error_offset;
  }
  rows->batch->count = 0;
}

void otlp_resource_begin(struct otlp_rows *rows) {
  fill_resource(rows);
  rows->service = (struct event_text){.at = NULL};
  rows->resource_count = 0;
}

void otlp_resource_set(struct otlp_rows *rows, const char *key, uint32_t key_length, const struct value *value) {
  static const char service_name[] = "service.name";
  if (key_length == sizeof service_name - 1 && memcmp(key, service_name, key_length) == 0) {
    const bool text = value->type == VALUE_STRING;
    rows->service = (struct event_text){.at = text ? value->text : NULL, .length = text ? value->length : 0};
  }
  const int slot = event_column_find(rows->batch->image, EVENT_SPAN, SCOPE_RESOURCE, key, key_length);
  if (slot < 0) return;
  uint32_t i = 0;
  while (i < rows->resource_count && rows->resource[i].slot != slot) i++;
  if (i == OTLP_RESOURCE_COLUMNS_MAX) {
    rows->result->resource_values_dropped++;
    return;
  }
  if (i == rows->resource_count) rows->resource_count++;
  rows->resource[i] =
      (struct otlp_resource_value){.slot = slot, .interned = event_batch_intern(rows->batch, slot, value), .value = *value};
}

int otlp_span_begin(struct otlp_rows *rows) {
  if (event_batch_full(rows->batch) && !hand_over(rows)) return -1;
  rows->result->spans++;
  const uint32_t row = event_batch_add(rows->batch);
  struct event_fields *fields = &rows->batch->fields[row];
  fields->name = (struct event_text){.at = "", .length = 0};
  fields->service = rows->service;
  return (int)row;
}

void otlp_span_end(struct otlp_rows *rows, uint32_t row, const struct otlp_span_ids *ids) {
  struct event_fields *fields = &rows->batch->fields[row];
  enum otlp_reject reject;
  if (ids->trace_id_bytes != sizeof fields->trace_id || memcmp(fields->trace_id, zeros, sizeof fields->trace_id) == 0) {
    reject = OTLP_REJECT_TRACE_ID;
  } else if (ids->span_id_bytes != sizeof fields->span_id || memcmp(fields->span_id, zeros, sizeof fields->span_id) == 0) {
    reject = OTLP_REJECT_SPAN_ID;
  } else if (ids->parent_id_bytes == 0) {
    memset(fields->parent_id, 0, sizeof fields->parent_id);
    return;
  } else if (ids->parent_id_bytes == sizeof fields->parent_id) {
    fields->has_parent = memcmp(fields->parent_id, zeros, sizeof fields->parent_id) != 0;
    return;
  } else {
    reject = OTLP_REJECT_PARENT_ID;
  }
  rows->result->rejected[reject]++;
  event_batch_remove_last(rows->batch);
}

uint8_t otlp_span_kind(int64_t kind) {
  return kind >= SPAN_KIND_UNSPECIFIED && kind <= SPAN_KIND_CONSUMER ? (uint8_t)kind : SPAN_KIND_UNSPECIFIED;
}

uint8_t otlp_span_status(int64_t code) {
  return code >= SPAN_STATUS_UNSET && code <= SPAN_STATUS_ERROR ? (uint8_t)code : SPAN_STATUS_UNSET;
}

const char *otlp_reject_name(enum otlp_reject reject) {
  static const char *const names[OTLP_REJECTS] = {
      [OTLP_REJECT_TRACE_ID] = "trace_id", [OTLP_REJECT_SPAN_ID] = "span_id", [OTLP_REJECT_PARENT_ID] = "parent_id"};
  return (unsigned)reject < OTLP_REJECTS ? names[reject] : "unknown";
}
