#pragma once
/* What became of the spans of one body or datagram, whatever its format: either all of it decodes, or it is malformed and the
 * caller rolls back; a span that cannot be judged is rejected alone, by reason. Threads: any, one owner. */
#include "event.h"

/* Distinct resource attributes that rules may read. Beyond it a value stays null and is counted; an image is kept below it by the
 * columns a kind may have. */
#define SPAN_RESOURCE_COLUMNS_MAX 256

enum span_outcome { SPANS_DECODED, SPANS_MALFORMED, SPANS_NO_ROOM };
enum span_reject {
  SPAN_REJECT_TRACE_ID,
  SPAN_REJECT_SPAN_ID,
  SPAN_REJECT_PARENT_ID,
  SPAN_REJECT_TIME, /* microseconds that nanoseconds since 1970 cannot say */
  SPAN_REJECTS,
};

struct span_result {
  enum span_outcome outcome;
  uint64_t spans; /* all that were in the body up to where it ended, rejected included */
  uint64_t rejected[SPAN_REJECTS];
  uint64_t resource_values_dropped; /* see SPAN_RESOURCE_COLUMNS_MAX */
  const char *error;                /* static text, malformed only */
  uint32_t error_offset;
};

static inline uint64_t span_result_rejected(const struct span_result *result) {
  uint64_t total = 0;
  for (unsigned reason = 0; reason < SPAN_REJECTS; reason++) total += result->rejected[reason];
  return total;
}

const char *span_reject_name(enum span_reject reject);
