#pragma once
/* What a shard tells the owner of a trace about one span: a message on the line ring to that owner, one line long when the span
 * met no selector. Behind the fixed part follow
 * - with DIGEST_PARENT, the parent's id;
 * - the bits of the selectors that were met. A span that met more than fit in one message sends several: all but the last one
 *   taken as the same span by DIGEST_CONTINUED;
 * - for selectors that a `when` mentions the payload: the service name, then the columns that messages and attributes of these
 *   rules read: `value_count` entries of u32 identity of the column, u32 type, then 8 bytes or u32 length and text (padded to
 *   4), cut to fit. Identities mean the same in every generation. */
#include "image.h"
#include "line_ring.h"

enum line_message {
  LINE_SPAN_DIGEST = 1,
  LINE_REPLAY_CLAIM = 2,
  LINE_REPLAY_VERDICT = 3,
  LINE_REPLAY_SETTLE = 4,
};

#define DIGEST_LINES_MAX 24
#define DIGEST_SELECTORS_MAX 256
#define DIGEST_PAYLOAD_BYTES_MAX 896u
#define DIGEST_SERVICE_NULL 0xffffu

enum {
  DIGEST_ROOT = 1,      /* the span has no parent */
  DIGEST_CONTINUED = 2, /* an earlier message was about the same span */
  DIGEST_PARENT = 4,
  DIGEST_UNJUDGED = 8, /* it may have met selectors that were not asked: the steps of its batch were spent */
};

struct span_digest {
  struct line_header header; /* `reserved`: the hash of the trace id, for the owner's table */
  uint8_t trace_id[16];
  uint8_t span_id[8];
  uint64_t start_ns, end_ns;
  uint32_t generation;
  uint16_t flags;
  uint16_t selector_count;
  uint16_t payload_bytes;
  uint16_t service_length; /* DIGEST_SERVICE_NULL: null */
  uint16_t value_count;
  uint16_t unused;
  uint8_t rest[];
};
_Static_assert(sizeof(struct span_digest) == LINE_BYTES, "one line");

/* NULL: none was sent. */
static inline const uint8_t *digest_parent(const struct span_digest *digest) {
  return digest->flags & DIGEST_PARENT ? digest->rest : NULL;
}
static inline const uint16_t *digest_selectors(const struct span_digest *digest) {
  return (const uint16_t *)(const void *)(digest->rest + (digest->flags & DIGEST_PARENT ? 8 : 0));
}
static inline uint32_t digest_payload_at(const struct span_digest *digest) {
  return (digest->flags & DIGEST_PARENT ? 8u : 0u) + ((digest->selector_count * 2u + 3u) & ~3u);
}
static inline const uint8_t *digest_payload(const struct span_digest *digest) { return digest->rest + digest_payload_at(digest); }
