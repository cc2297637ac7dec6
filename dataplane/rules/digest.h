#pragma once
/* What a shard tells the owner of a trace about one span: a message on the line ring to that owner.
 * Then follow, for the trace rules whose `when` selectors the span met, the columns that their messages and attributes read:
 * `value_count` entries of u32 identity of the column, u32 type, then 8 bytes or u32 length and text (padded to 4), cut to fit.
 * Identities mean the same in every generation. */
#include "image.h"
#include "line_ring.h"

enum line_message {
  LINE_SPAN_DIGEST = 1,
  LINE_REPLAY_CLAIM = 2,
  LINE_REPLAY_VERDICT = 3,
  LINE_REPLAY_SETTLE = 4,
};

#define DIGEST_LINES_MAX 16

struct span_digest {
  struct line_header header;
  uint64_t generation;
  uint8_t trace_id[16];
  uint8_t span_id[8];
  uint64_t start_ns, end_ns;
  uint64_t selector_bits[IMAGE_SELECTORS_MAX / 64];
  uint16_t service_length; /* 0xffff: null; the service name comes first in `payload` */
  uint16_t value_count;
  uint32_t payload_bytes;
  uint8_t payload[];
};
