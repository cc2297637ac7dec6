#pragma once
/* One run of a decoder of spans in JSON: no over-read, texts inside body or scratch, scratch of the body's length always enough,
 * a verdict that does not depend on what rules read, and nothing decoded from what is no JSON. */
#include "decode_invariants.h"

struct json_spans {
  void (*decode)(const uint8_t *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes, struct event_batch *batch,
                 const struct event_sink *sink, struct span_result *result);
  const struct fixture_column *columns; /* that rules read */
  size_t column_count;
  struct image_fixture *reading, *passing; /* NULL before the first run */
};

void json_spans_run(struct json_spans *spans, const uint8_t *bytes, size_t length);
