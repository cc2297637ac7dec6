#pragma once
/* A fixed pool of equal items on a free list. Bound: `capacity`; take returns NULL when all are out and counts it.
 * Threads: one owner. */
#include "arena.h"
#include <stdbool.h>
#include <stdint.h>

struct pool {
  uint8_t *items;
  void *free_list;
  uint32_t item_bytes; /* rounded up to a cache line */
  uint32_t capacity;
  uint32_t in_use;
  uint32_t in_use_high_water;
  uint64_t exhausted; /* takes refused */
};

/* False when the arena has no room. Items are not zeroed between uses. */
bool pool_init(struct pool *pool, struct arena *arena, uint32_t item_bytes, uint32_t capacity);
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *item);
static inline uint32_t pool_free_count(const struct pool *pool) { return pool->capacity - pool->in_use; }
