#include "captured_rows.h"
#include "cmocka_test.h"
#include "guard_page.h"
#include "jaeger.h"
#include "zipkin.h"
#include <stdlib.h>

static char *copy_text(const char *text, uint32_t length) {
  char *copy = malloc((size_t)length + 1);
  if (!copy) abort();
  if (length) memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

static bool capture(void *context, struct event_batch *batch) {
  struct captured_rows *captured = context;
  assert_in_range(batch->count, 1, EVENT_BATCH_ROWS);
  if (batch->count > captured->largest_batch) captured->largest_batch = batch->count;
  const bool room = captured->batches_before_refusal-- > 0;
  for (uint32_t row = 0; room && row < batch->count; row++) {
    if (captured->count == captured->room) {
      captured->room = captured->room * 2 + 16;
      captured->rows = realloc(captured->rows, captured->room * sizeof *captured->rows);
      if (!captured->rows) abort();
    }
    struct captured_row *copy = &captured->rows[captured->count++];
    copy->fields = batch->fields[row];
    assert_non_null(copy->fields.name.at);
    copy->fields.name.at = copy_text(copy->fields.name.at, copy->fields.name.length);
    if (copy->fields.service.at) copy->fields.service.at = copy_text(copy->fields.service.at, copy->fields.service.length);
    for (uint32_t slot = 0; slot < captured->columns; slot++) {
      copy->columns[slot] = *event_batch_value(batch, row, slot);
      if (copy->columns[slot].type == VALUE_STRING)
        copy->columns[slot].text = copy_text(copy->columns[slot].text, copy->columns[slot].length);
    }
  }
  captured->batches++;
  batch->count = 0;
  return room;
}

void captured_decode_with(struct captured_rows *captured, struct image_fixture *fixture, captured_decoder decoder,
                          const void *body, size_t bytes, uint32_t refuse_after) {
  *captured = (struct captured_rows){.columns = fixture->batch.column_capacity, .batches_before_refusal = refuse_after};
  assert_in_range(captured->columns, 0, CAPTURED_COLUMNS_MAX);
  struct guarded guarded = guarded_copy(body, bytes);
  /* Exactly as much scratch as promised to suffice. */
  char *scratch = malloc(bytes ? bytes : 1);
  const struct event_sink sink = {.context = captured, .evaluate = capture};
  decoder(guarded.bytes, (uint32_t)bytes, scratch, &fixture->batch, &sink, &captured->result);
  assert_int_equal(fixture->batch.count, 0);
  assert_int_equal(captured->result.outcome == SPANS_MALFORMED, captured->result.error != NULL);
  assert_in_range(captured->result.error_offset, 0, bytes);
  free(scratch);
  guarded_free(&guarded);
}

static void protobuf(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result) {
  (void)scratch;
  otlp_decode_protobuf(body, bytes, batch, sink, result);
}

static void json(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                 struct span_result *result) {
  otlp_decode_json(body, bytes, scratch, bytes, batch, sink, result);
}

void captured_zipkin(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result) {
  zipkin_decode_json(body, bytes, scratch, bytes, batch, sink, result);
}

void captured_jaeger(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result) {
  (void)scratch;
  jaeger_decode_compact(body, bytes, batch, sink, result);
}

void captured_decode(struct captured_rows *captured, struct image_fixture *fixture, enum otlp_encoding encoding, const void *body,
                     size_t bytes, uint32_t refuse_after) {
  captured_decode_with(captured, fixture, encoding == OTLP_JSON ? json : protobuf, body, bytes, refuse_after);
}

void captured_free(struct captured_rows *captured) {
  for (uint32_t i = 0; i < captured->count; i++) {
    struct captured_row *row = &captured->rows[i];
    free((void *)(uintptr_t)row->fields.name.at);
    free((void *)(uintptr_t)row->fields.service.at);
    for (uint32_t slot = 0; slot < captured->columns; slot++)
      if (row->columns[slot].type == VALUE_STRING) free((void *)(uintptr_t)row->columns[slot].text);
  }
  free(captured->rows);
}
