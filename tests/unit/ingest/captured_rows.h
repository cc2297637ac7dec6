#pragma once
/* A sink that keeps deep copies of the rows it gets, and one call to decode a body into it. */
#include "image_fixture.h"
#include "otlp.h"
#include <stddef.h>

#define CAPTURED_COLUMNS_MAX 16

struct captured_row {
  struct event_fields fields; /* texts are copies, NUL-terminated */
  struct value columns[CAPTURED_COLUMNS_MAX];
};

struct captured_rows {
  struct captured_row *rows;
  uint32_t count, room, columns, batches, batches_before_refusal, largest_batch;
  struct span_result result;
};

/* A decoder of some format; `scratch` has `bytes` bytes. */
typedef void (*captured_decoder)(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch,
                                 const struct event_sink *sink, struct span_result *result);
void captured_zipkin(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result);
void captured_jaeger(const uint8_t *body, uint32_t bytes, char *scratch, struct event_batch *batch, const struct event_sink *sink,
                     struct span_result *result);

/* Decodes from a copy of `body` that ends at an inaccessible page. `refuse_after` batches the sink has no room. */
void captured_decode_with(struct captured_rows *captured, struct image_fixture *fixture, captured_decoder decoder,
                          const void *body, size_t bytes, uint32_t refuse_after);
/* The same for OTLP. */
void captured_decode(struct captured_rows *captured, struct image_fixture *fixture, enum otlp_encoding encoding, const void *body,
                     size_t bytes, uint32_t refuse_after);
void captured_free(struct captured_rows *captured);
