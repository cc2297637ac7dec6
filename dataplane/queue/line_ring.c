#include "line_ring.h"
#include "always_assert.h"
#include "ring_internal.h"

/* `lines` of the header that fills the rest of the ring where a message did not fit before its end. */
#define PADDING 0

/* Positions count lines since start and never wrap; the slot is the position modulo the ring. */
struct line_ring {
  /* constant after create */
  CACHE_ALIGNED uint8_t *slots;
  uint32_t line_count;
  uint32_t message_lines_max;

  /* producer:rw */
  CACHE_ALIGNED uint64_t reserved_end;
  uint64_t free_end;            /* the consumer's position when last looked at, and a whole ring further */
  struct line_header *unsealed; /* the last reserved message */
  uint32_t unsealed_lines;
  uint32_t reserved_messages;

  /* producer:rw consumer:ro any:ro */
  CACHE_ALIGNED _Atomic uint64_t published_end;
  _Atomic uint64_t published;
  _Atomic uint64_t refused;

  /* consumer:rw */
  CACHE_ALIGNED uint64_t read_at;
  uint64_t known_published; /* the producer's position when last looked at */
  uint32_t peeked_lines;    /* 0: nothing is peeked */

  /* consumer:rw producer:ro any:ro */
  CACHE_ALIGNED _Atomic uint64_t consumed_end;
  _Atomic uint64_t consumed;
};

struct line_ring *line_ring_create(struct arena *arena, uint32_t lines) {
  ALWAYS_ASSERT(lines >= 2 && (lines & (lines - 1)) == 0);
  struct line_ring *ring = ARENA_NEW(arena, struct line_ring);
  if (!ring) return NULL;
  ring->slots = arena_take(arena, (size_t)lines * LINE_BYTES, LINE_BYTES);
  if (!ring->slots) return NULL;
  ring->line_count = lines;
  ring->free_end = lines;
  ring->message_lines_max = lines / 2 < LINE_MESSAGE_LINES_MAX ? lines / 2 : LINE_MESSAGE_LINES_MAX;
  return ring;
}

static inline struct line_header *header_at(const struct line_ring *ring, uint64_t position) {
  return (struct line_header *)(void *)(ring->slots + (size_t)(position & (ring->line_count - 1)) * LINE_BYTES);
}

static inline uint32_t lines_to_end(const struct line_ring *ring, uint64_t position) {
  return ring->line_count - (uint32_t)(position & (ring->line_count - 1));
}

static inline uint32_t padding_before(const struct line_ring *ring, uint32_t lines) {
  const uint32_t to_end = lines_to_end(ring, ring->reserved_end);
  return lines > to_end ? to_end : 0;
}

/* Looks at the consumer's cache line only when what was known of it is not enough. */
static inline bool has_free(struct line_ring *ring, uint32_t lines) {
  if (ring->reserved_end + lines <= ring->free_end) return true;
  ring->free_end = atomic_load_explicit(&ring->consumed_end, memory_order_acquire) + ring->line_count;
  return ring->reserved_end + lines <= ring->free_end;
}

/* Done when the caller has filled the message, so that one who writes the whole first line cannot spoil it. */
static inline void seal(struct line_ring *ring) {
  if (ring->unsealed) ring->unsealed->lines = (uint16_t)ring->unsealed_lines;
}

bool line_ring_has_room(struct line_ring *ring, uint32_t lines) {
  return lines <= ring->message_lines_max && has_free(ring, padding_before(ring, lines) + lines);
}

static inline void *take(struct line_ring *ring, uint32_t lines) {
  struct line_header *message = header_at(ring, ring->reserved_end);
  seal(ring);
  ring->unsealed = message;
  ring->unsealed_lines = lines;
  ring->reserved_end += lines;
  ring->reserved_messages++;
  return message;
}

/* At the ring's end, or where the consumer must be looked at. */
static __attribute__((noinline)) void *reserve_slowly(struct line_ring *ring, uint32_t lines) {
  ALWAYS_ASSERT(lines > 0);
  if (!line_ring_has_room(ring, lines)) {
    counter_add(&ring->refused, 1);
    return NULL;
  }
  const uint32_t padding = padding_before(ring, lines);
  if (padding) header_at(ring, ring->reserved_end)->lines = PADDING;
  ring->reserved_end += padding;
  return take(ring, lines);
}

void *line_ring_reserve(struct line_ring *ring, uint32_t lines) {
  /* Zero lines wrap round and take the slow way to their assertion. */
  if (lines - 1 < ring->message_lines_max && lines <= lines_to_end(ring, ring->reserved_end) &&
      ring->reserved_end + lines <= ring->free_end)
    return take(ring, lines);
  return reserve_slowly(ring, lines);
}

void line_ring_publish(struct line_ring *ring) {
  if (ring->reserved_messages == 0) return;
  seal(ring);
  counter_add(&ring->published, ring->reserved_messages);
  ring->unsealed = NULL;
  ring->reserved_messages = 0;
  atomic_store_explicit(&ring->published_end, ring->reserved_end, memory_order_release);
}

void line_ring_rollback(struct line_ring *ring) {
  ring->unsealed = NULL;
  ring->reserved_messages = 0;
  ring->reserved_end = atomic_load_explicit(&ring->published_end, memory_order_relaxed);
}

uint32_t line_ring_capacity(const struct line_ring *ring) {
  /* At most one message meets the ring's end, and leaves fewer lines than its own unused. */
  return ring->line_count - (ring->message_lines_max - 1);
}

/* At the ring's end, or where the producer must be looked at. */
static __attribute__((noinline)) const void *peek_slowly(struct line_ring *ring) {
  if (ring->read_at == ring->known_published) {
    ring->known_published = atomic_load_explicit(&ring->published_end, memory_order_acquire);
    if (ring->read_at == ring->known_published) return NULL;
  }
  const struct line_header *message = header_at(ring, ring->read_at);
  if (message->lines == PADDING) {
    /* A message always follows: padding is never published alone. */
    ring->read_at += lines_to_end(ring, ring->read_at);
    message = header_at(ring, ring->read_at);
  }
  ring->peeked_lines = message->lines;
  ALWAYS_ASSERT(ring->peeked_lines > 0 && ring->peeked_lines <= ring->known_published - ring->read_at);
  return message;
}

const void *line_ring_peek(struct line_ring *ring) {
  const uint64_t waiting = ring->known_published - ring->read_at;
  if (waiting > 0) {
    const struct line_header *message = header_at(ring, ring->read_at);
    /* Padding wraps round and takes the slow way. */
    if (message->lines - UINT64_C(1) < waiting) {
      ring->peeked_lines = message->lines;
      return message;
    }
  }
  return peek_slowly(ring);
}

uint32_t line_ring_look_ahead(struct line_ring *ring, const struct line_header **messages, uint32_t most) {
  uint32_t count = 0;
  ring->known_published = atomic_load_explicit(&ring->published_end, memory_order_acquire);
  for (uint64_t at = ring->read_at; count < most && at != ring->known_published;) {
    const struct line_header *message = header_at(ring, at);
    if (message->lines == PADDING) {
      at += lines_to_end(ring, at);
      continue;
    }
    messages[count++] = message;
    at += message->lines;
  }
  return count;
}

void line_ring_consume(struct line_ring *ring) {
  ALWAYS_ASSERT(ring->peeked_lines > 0);
  ring->read_at += ring->peeked_lines;
  ring->peeked_lines = 0;
  counter_add(&ring->consumed, 1);
  atomic_store_explicit(&ring->consumed_end, ring->read_at, memory_order_release);
}

struct line_ring_counters line_ring_read_counters(const struct line_ring *ring) {
  /* The consumer's end first: what is published is then at or after it. */
  const uint64_t consumed_end = atomic_load_explicit(&ring->consumed_end, memory_order_acquire);
  const uint64_t waiting = atomic_load_explicit(&ring->published_end, memory_order_acquire) - consumed_end;
  return (struct line_ring_counters){
      .published = atomic_load_explicit(&ring->published, memory_order_relaxed),
      .consumed = atomic_load_explicit(&ring->consumed, memory_order_relaxed),
      .refused = atomic_load_explicit(&ring->refused, memory_order_relaxed),
      .lines_waiting = waiting < ring->line_count ? (uint32_t)waiting : ring->line_count,
  };
}
