#pragma once
/* What must hold of every batch a decoder hands over, whatever the bytes were: for fuzz targets. */
#include "always_assert.h"
#include "image_fixture.h"
#include "otlp.h"
#include <stdint.h>

struct decode_memory {
  const char *body, *body_end, *scratch, *scratch_end;
  uint64_t rows;
  uint32_t refuse_after; /* batches */
};

static inline void assert_text_inside(const struct decode_memory *memory, const char *text, uint32_t length) {
  if (length == 0) return;
  const uintptr_t first = (uintptr_t)text, last = first + length;
  ALWAYS_ASSERT((first >= (uintptr_t)memory->body && last <= (uintptr_t)memory->body_end) ||
                (first >= (uintptr_t)memory->scratch && last <= (uintptr_t)memory->scratch_end));
}

static inline bool assert_batch_is_sound(void *context, struct event_batch *batch) {
  struct decode_memory *memory = context;
  ALWAYS_ASSERT(batch->count > 0 && batch->count <= EVENT_BATCH_ROWS);
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_fields *fields = &batch->fields[row];
    ALWAYS_ASSERT(fields->name.at != NULL && fields->kind <= SPAN_KIND_CONSUMER && fields->status <= SPAN_STATUS_ERROR);
    uint8_t trace = 0, span = 0, parent = 0;
    for (uint32_t i = 0; i < sizeof fields->trace_id; i++) trace |= fields->trace_id[i];
    for (uint32_t i = 0; i < sizeof fields->span_id; i++) span |= fields->span_id[i];
    for (uint32_t i = 0; i < sizeof fields->parent_id; i++) parent |= fields->parent_id[i];
    ALWAYS_ASSERT(trace != 0 && span != 0 && fields->has_parent == (parent != 0));
    assert_text_inside(memory, fields->name.at, fields->name.length);
    ALWAYS_ASSERT(fields->service.at != NULL || fields->service.length == 0);
    assert_text_inside(memory, fields->service.at, fields->service.length);
    for (uint32_t slot = 0; slot < batch->column_capacity; slot++) {
      const struct value *value = event_batch_value(batch, row, slot);
      ALWAYS_ASSERT(value->type <= VALUE_OTHER);
      if (value->type == VALUE_STRING) assert_text_inside(memory, value->text, value->length);
    }
  }
  memory->rows += batch->count;
  batch->count = 0;
  return memory->refuse_after-- > 0;
}

static inline void assert_result_is_sound(const struct decode_memory *memory, const struct event_batch *batch,
                                          const struct span_result *result, size_t bytes) {
  uint64_t rejected = 0;
  for (int reject = 0; reject < SPAN_REJECTS; reject++) rejected += result->rejected[reject];
  ALWAYS_ASSERT(batch->count == 0);
  ALWAYS_ASSERT(memory->rows + rejected <= result->spans);
  if (result->outcome == SPANS_DECODED) ALWAYS_ASSERT(memory->rows + rejected == result->spans);
  ALWAYS_ASSERT((result->outcome == SPANS_MALFORMED) == (result->error != NULL));
  ALWAYS_ASSERT(result->error_offset <= bytes);
}

static inline bool same_result(const struct span_result *a, const struct span_result *b) {
  bool same = a->outcome == b->outcome && a->spans == b->spans && a->error == b->error && a->error_offset == b->error_offset;
  for (int reject = 0; reject < SPAN_REJECTS; reject++) same = same && a->rejected[reject] == b->rejected[reject];
  return same;
}
