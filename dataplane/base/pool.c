#include "pool.h"
#include "always_assert.h"
#include <stddef.h>

/* A free item's first bytes link it to the next. */
struct free_item {
  struct free_item *next;
};

bool pool_init(struct pool *pool, struct arena *arena, uint32_t item_bytes, uint32_t capacity) {
  ALWAYS_ASSERT(item_bytes > 0 && item_bytes <= UINT32_MAX - CACHE_LINE_BYTES);
  const uint32_t stride = (item_bytes + CACHE_LINE_BYTES - 1) & ~(uint32_t)(CACHE_LINE_BYTES - 1);
  uint8_t *items = arena_take(arena, (size_t)stride * capacity, CACHE_LINE_BYTES);
  if (!items) return false;
  *pool = (struct pool){.items = items, .item_bytes = stride, .capacity = capacity};
  /* Backwards, so that the first takes walk upwards in memory. */
  for (uint32_t i = capacity; i-- > 0;) {
    struct free_item *item = (struct free_item *)(void *)(items + (size_t)stride * i);
    item->next = pool->free_list;
    pool->free_list = item;
  }
  return true;
}

void *pool_take(struct pool *pool) {
  struct free_item *item = pool->free_list;
  if (!item) {
    pool->exhausted++;
    return NULL;
  }
  pool->free_list = item->next;
  if (++pool->in_use > pool->in_use_high_water) pool->in_use_high_water = pool->in_use;
  return item;
}

void pool_give(struct pool *pool, void *item) {
  const size_t offset = (size_t)((uint8_t *)item - pool->items);
  ALWAYS_ASSERT(pool->in_use > 0);
  ALWAYS_ASSERT((uint8_t *)item >= pool->items && offset < (size_t)pool->item_bytes * pool->capacity);
  ALWAYS_ASSERT(offset % CACHE_LINE_BYTES == 0);
  struct free_item *free_item = item;
  free_item->next = pool->free_list;
  pool->free_list = free_item;
  pool->in_use--;
}
