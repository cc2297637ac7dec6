#pragma once
/* A sink that keeps deep copies of the rows it gets, and one call to decode a body into it. */
#include "image_fixture.h"
#include "otlp.h"
#include <stddef.h>

#define CAPTURED_COLUMNS_MAX 8

struct captured_row {
  struct event_fields fields; /* texts are copies, NUL-terminated */
  struct value columns[CAPTURED_COLUMNS_MAX];
};

struct captured_rows {
  struct captured_row *rows;
  uint32_t count, room, columns, batches, batches_before_refusal, largest_batch;
  struct otlp_result result;
};

/* Decodes from a copy of `body` that ends at an inaccessible page. `refuse_after` batches the sink has no room. */
void captured_decode(struct captured_rows *captured, struct image_fixture *fixture, enum otlp_encoding encoding, const void *body,
                     size_t bytes, uint32_t refuse_after);
void captured_free(struct captured_rows *captured);
