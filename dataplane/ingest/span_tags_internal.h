#pragma once
/* Tags that say what other formats have fields for: `error` and, as OpenTelemetry's exporters to Zipkin and Jaeger write it,
 * `otel.status_code`, which counts for more. In whatever order they come. Threads: any, one owner. */
#include "event_text_internal.h"

struct span_status_tags {
  bool error;
  uint8_t code; /* enum span_status */
};

/* Of a tag `otel.status_code`. */
static inline void span_status_tags_code(struct span_status_tags *tags, const struct event_text *code) {
  tags->code = SPAN_STATUS_UNSET;
  if (event_text_is(code, "OK")) tags->code = SPAN_STATUS_OK;
  if (event_text_is(code, "ERROR")) tags->code = SPAN_STATUS_ERROR;
}

static inline uint8_t span_status_of_tags(const struct span_status_tags *tags) {
  if (tags->code != SPAN_STATUS_UNSET) return tags->code;
  return tags->error ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
}
