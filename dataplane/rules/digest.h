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
  LINE_WINDOW_DIGEST = 5,
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
static inline uint32_t digest_selectors_at(const struct span_digest *digest) { return digest->flags & DIGEST_PARENT ? 8 : 0; }
static inline const uint16_t *digest_selectors(const struct span_digest *digest) {
  return (const uint16_t *)(const void *)(digest->rest + digest_selectors_at(digest));
}
static inline uint32_t digest_payload_at(const struct span_digest *digest) {
  return digest_selectors_at(digest) + ((digest->selector_count * 2u + 3u) & ~3u);
}
static inline const uint8_t *digest_payload(const struct span_digest *digest) { return digest->rest + digest_payload_at(digest); }

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
