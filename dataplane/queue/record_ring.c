#include "record_ring.h"
#include "always_assert.h"
#include "ring_internal.h"

/* `bytes` of the prefix that fills the rest of the ring where a record did not fit before its end. */
#define PADDING 0

/* Stands before each record; both are 8-byte aligned, so there is always room for one before the ring's end. */
struct prefix {
  uint32_t bytes;      /* of the record, before rounding up */
  uint32_t unit_bytes; /* the first of those that are published together: all their footprints; the others: 0 */
};
_Static_assert(sizeof(struct prefix) == 8, "record_ring_footprint counts it");

/* Positions count bytes since start, prefixes and padding included, and never wrap. */
struct record_ring {
  /* constant after create */
  CACHE_ALIGNED uint8_t *storage;
  uint32_t capacity;
  uint32_t record_bytes_max;

  /* producer:rw */
  CACHE_ALIGNED uint64_t reserved_end;
  uint64_t known_read;     /* the consumer's position when last looked at */
  struct prefix *reserved; /* the last reserved record's */
  struct prefix *unit;     /* the first reserved record's */
  uint32_t reserved_count;
  uint32_t reserved_bytes;           /* their footprints */
  enum record_durability durability; /* of the next publish */

  /* producer:rw consumer:ro any:ro */
  CACHE_ALIGNED _Atomic uint64_t published_end;
  _Atomic uint64_t published;
  _Atomic uint64_t refused;
  _Atomic uint64_t producer_high_water;
  _Atomic uint64_t strict_end, balanced_end; /* the last position that was published so; written before published_end */

  /* consumer:rw */
  CACHE_ALIGNED uint64_t read_at;
  uint64_t known_published; /* the producer's position when last looked at */
  uint32_t peeked_bytes;    /* 0: nothing is peeked */
  uint32_t peeked_unit_bytes;

  /* consumer:rw producer:ro any:ro */
  CACHE_ALIGNED _Atomic uint64_t read_end;
  _Atomic uint64_t read;
  _Atomic uint64_t consumer_high_water;

  /* consumer:rw producer:ro any:ro; on its own line, because a shard polls it while the journal reads on */
  CACHE_ALIGNED _Atomic uint64_t durable;
};

struct record_ring *record_ring_create(struct arena *arena, uint32_t bytes) {
  ALWAYS_ASSERT(bytes >= 64 && (bytes & (bytes - 1)) == 0);
  struct record_ring *ring = ARENA_NEW(arena, struct record_ring);
  if (!ring) return NULL;
  ring->storage = arena_take(arena, bytes, CACHE_LINE_BYTES);
  if (!ring->storage) return NULL;
  ring->capacity = bytes;
  const uint32_t half = bytes / 2 - (uint32_t)sizeof(struct prefix);
  ring->record_bytes_max = half < RECORD_BYTES_MAX ? half : RECORD_BYTES_MAX;
  return ring;
}

static inline struct prefix *prefix_at(const struct record_ring *ring, uint64_t position) {
  return (struct prefix *)(void *)(ring->storage + (size_t)(position & (ring->capacity - 1)));
}

static inline uint32_t bytes_to_end(const struct record_ring *ring, uint64_t position) {
  return ring->capacity - (uint32_t)(position & (ring->capacity - 1));
}

/* Looks at the consumer's line only when what was known of it is not enough. */
static inline bool has_free(struct record_ring *ring, uint32_t bytes) {
  if (ring->reserved_end + bytes - ring->known_read <= ring->capacity) return true;
  ring->known_read = atomic_load_explicit(&ring->read_end, memory_order_acquire);
  counter_raise(&ring->producer_high_water, atomic_load_explicit(&ring->published_end, memory_order_relaxed) - ring->known_read);
  return ring->reserved_end + bytes - ring->known_read <= ring->capacity;
}

void *record_ring_reserve(struct record_ring *ring, uint32_t bytes) {
  ALWAYS_ASSERT(bytes > 0);
  const uint32_t to_end = bytes_to_end(ring, ring->reserved_end);
  if (bytes > ring->record_bytes_max) {
    counter_add(&ring->refused, 1);
    return NULL;
  }
  const uint32_t footprint = record_ring_footprint(bytes);
  const uint32_t padding = footprint > to_end ? to_end : 0;
  if (!has_free(ring, padding + footprint)) {
    counter_add(&ring->refused, 1);
    return NULL;
  }
  if (padding) *prefix_at(ring, ring->reserved_end) = (struct prefix){.bytes = PADDING};
  ring->reserved = prefix_at(ring, ring->reserved_end + padding);
  *ring->reserved = (struct prefix){.bytes = bytes};
  ring->reserved_end += padding + footprint;
  if (ring->reserved_count++ == 0) ring->unit = ring->reserved;
  ring->reserved_bytes += footprint;
  return ring->reserved + 1;
}

void record_ring_trim(struct record_ring *ring, uint32_t bytes) {
  ALWAYS_ASSERT(ring->reserved_count > 0 && bytes > 0 && bytes <= ring->reserved->bytes);
  const uint32_t less = record_ring_footprint(ring->reserved->bytes) - record_ring_footprint(bytes);
  ring->reserved_end -= less;
  ring->reserved_bytes -= less;
  ring->reserved->bytes = bytes;
}

uint64_t record_ring_publish(struct record_ring *ring) {
  if (ring->reserved_count > 0) {
    counter_add(&ring->published, ring->reserved_count);
    ring->unit->unit_bytes = ring->reserved_bytes;
    ring->reserved_count = ring->reserved_bytes = 0;
    if (ring->durability == DURABILITY_STRICT)
      atomic_store_explicit(&ring->strict_end, ring->reserved_end, memory_order_relaxed);
    else if (ring->durability == DURABILITY_BALANCED)
      atomic_store_explicit(&ring->balanced_end, ring->reserved_end, memory_order_relaxed);
    atomic_store_explicit(&ring->published_end, ring->reserved_end, memory_order_release);
  }
  ring->durability = DURABILITY_STRICT;
  return ring->reserved_end;
}

void record_ring_set_durability(struct record_ring *ring, enum record_durability durability) { ring->durability = durability; }

void record_ring_rollback(struct record_ring *ring) {
  ring->reserved_count = ring->reserved_bytes = 0;
  ring->durability = DURABILITY_STRICT;
  ring->reserved_end = atomic_load_explicit(&ring->published_end, memory_order_relaxed);
}

uint32_t record_ring_reserved_count(const struct record_ring *ring) { return ring->reserved_count; }

uint32_t record_ring_reserved_bytes(const struct record_ring *ring) { return ring->reserved_bytes; }

uint64_t record_ring_published_position(const struct record_ring *ring) {
  return atomic_load_explicit(&ring->published_end, memory_order_acquire);
}

uint64_t record_ring_durable(const struct record_ring *ring) {
  return atomic_load_explicit(&ring->durable, memory_order_acquire);
}

uint32_t record_ring_capacity(const struct record_ring *ring) { return ring->capacity; }

const void *record_ring_peek(struct record_ring *ring, uint32_t *bytes) {
  if (ring->read_at == ring->known_published) {
    ring->known_published = atomic_load_explicit(&ring->published_end, memory_order_acquire);
    if (ring->read_at == ring->known_published) return NULL;
    counter_raise(&ring->consumer_high_water,
                  ring->known_published - atomic_load_explicit(&ring->read_end, memory_order_relaxed));
  }
  const struct prefix *prefix = prefix_at(ring, ring->read_at);
  if (prefix->bytes == PADDING) {
    /* A record always follows: padding is never published alone. */
    ring->read_at += bytes_to_end(ring, ring->read_at);
    prefix = prefix_at(ring, ring->read_at);
  }
  ring->peeked_bytes = prefix->bytes;
  ring->peeked_unit_bytes = prefix->unit_bytes;
  ALWAYS_ASSERT(ring->peeked_bytes > 0 && ring->peeked_bytes <= ring->record_bytes_max);
  ALWAYS_ASSERT(record_ring_footprint(ring->peeked_bytes) <= ring->known_published - ring->read_at);
  *bytes = ring->peeked_bytes;
  return prefix + 1;
}

uint32_t record_ring_unit_bytes(const struct record_ring *ring) {
  ALWAYS_ASSERT(ring->peeked_bytes > 0);
  return ring->peeked_unit_bytes;
}

void record_ring_advance(struct record_ring *ring) {
  ALWAYS_ASSERT(ring->peeked_bytes > 0);
  ring->read_at += record_ring_footprint(ring->peeked_bytes);
  ring->peeked_bytes = 0;
  counter_add(&ring->read, 1);
  atomic_store_explicit(&ring->read_end, ring->read_at, memory_order_release);
}

uint64_t record_ring_read_position(const struct record_ring *ring) {
  return atomic_load_explicit(&ring->read_end, memory_order_relaxed);
}

enum record_durability record_ring_urgency(const struct record_ring *ring, uint64_t position) {
  if (atomic_load_explicit(&ring->strict_end, memory_order_relaxed) > position) return DURABILITY_STRICT;
  return atomic_load_explicit(&ring->balanced_end, memory_order_relaxed) > position ? DURABILITY_BALANCED : DURABILITY_RELAXED;
}

void record_ring_set_durable(struct record_ring *ring, uint64_t position) {
  ALWAYS_ASSERT(position >= atomic_load_explicit(&ring->durable, memory_order_relaxed));
  ALWAYS_ASSERT(position <= record_ring_read_position(ring));
  atomic_store_explicit(&ring->durable, position, memory_order_release);
}

struct record_ring_counters record_ring_read_counters(const struct record_ring *ring) {
  /* The consumer's end first: what is published is then at or after it. */
  const uint64_t read_end = atomic_load_explicit(&ring->read_end, memory_order_acquire);
  const uint64_t waiting = atomic_load_explicit(&ring->published_end, memory_order_acquire) - read_end;
  const uint64_t producer_high_water = atomic_load_explicit(&ring->producer_high_water, memory_order_relaxed);
  const uint64_t consumer_high_water = atomic_load_explicit(&ring->consumer_high_water, memory_order_relaxed);
  return (struct record_ring_counters){
      .published = atomic_load_explicit(&ring->published, memory_order_relaxed),
      .read = atomic_load_explicit(&ring->read, memory_order_relaxed),
      .refused = atomic_load_explicit(&ring->refused, memory_order_relaxed),
      .bytes_waiting = waiting < ring->capacity ? waiting : ring->capacity,
      .bytes_waiting_high_water = producer_high_water > consumer_high_water ? producer_high_water : consumer_high_water,
  };
}
