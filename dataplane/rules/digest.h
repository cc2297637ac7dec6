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
  LINE_WINDOW_DIGEST = 5,
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

/* What a shard tells the owner of a window's key about events of one batch that met the rule. Then follow `value_count` values of
 * 8 bytes (a double, or a hash for WINDOW_DISTINCT), the key's values as in a span digest but without identities, cut to
 * WINDOW_KEY_BYTES_MAX and padded to 8, and, of windows that carry their event, its violation as a record. */
#define WINDOW_KEY_BYTES_MAX 256u

struct window_digest {
  struct line_header header;
  uint64_t generation;
  uint64_t arrival_ns;        /* monotonic, of the shard that judged them */
  uint64_t key_hash;          /* keyed, of all of the key and the window's identity */
  uint64_t first_ns, last_ns; /* Unix: the events' */
  uint32_t window;            /* identity */
  uint16_t events;
  uint16_t value_count; /* 0, or as many as events */
  uint16_t key_bytes;
  uint16_t record_bytes;
  uint32_t reserved;
  uint8_t payload[];
};
_Static_assert(sizeof(struct window_digest) == LINE_BYTES, "a count without a key is one line");
