#pragma once
/* Start-up memory. The dataplane owns no allocator: whoever builds a shard hands in an arena whose `take` may map
 * memory. Every `*_create` takes what it will ever need from it, before the first packet; nothing is given back one
 * by one, the owner of the arena releases it whole. Threads: the one that builds the shard, before it starts. */
#include <stddef.h>

struct arena {
  /* Zeroed memory, aligned to `alignment` (a power of two), or NULL when there is none. */
  void *(*take)(void *context, size_t bytes, size_t alignment);
  void *context;
};

static inline void *arena_take(struct arena *arena, size_t bytes, size_t alignment) {
  return arena->take(arena->context, bytes, alignment);
}

#define CACHE_LINE_BYTES 64
#define CACHE_ALIGNED _Alignas(CACHE_LINE_BYTES)
/* One zeroed object, or `count` of them, cache-line aligned; NULL when the arena is spent. */
#define ARENA_NEW(arena, type) ((type *)arena_take((arena), sizeof(type), CACHE_LINE_BYTES))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_take((arena), sizeof(type) * (size_t)(count), CACHE_LINE_BYTES))
