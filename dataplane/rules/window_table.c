#include "rules_internal.h"

#define EVICTION_TRIES 64u

static struct window_key *at(struct window_table *table, uint32_t index) { return &table->keys[index]; }

bool window_table_create(struct window_table *table, struct arena *arena, uint32_t keys, uint32_t blocks, uint64_t now_ns) {
  uint32_t buckets = 16;
  while (buckets < keys) buckets *= 2;
  *table = (struct window_table){.bucket_mask = buckets - 1,
                                 .capacity = keys,
                                 .block_capacity = blocks,
                                 .free_keys = WINDOW_NONE,
                                 .free_blocks = WINDOW_NONE,
                                 .oldest = WINDOW_NONE,
                                 .newest = WINDOW_NONE,
                                 .retry = WINDOW_NONE,
                                 .sweep = keys,
                                 .now_ns = now_ns};
  table->buckets = ARENA_ARRAY(arena, uint32_t, buckets);
  table->wheel = timer_wheel_create(arena, now_ns);
  if (keys) table->keys = ARENA_ARRAY(arena, struct window_key, keys);
  if (blocks) table->blocks = ARENA_ARRAY(arena, struct window_block, blocks);
  if (!table->buckets || !table->wheel || (keys && !table->keys) || (blocks && !table->blocks)) return false;
  memset(table->buckets, 0xff, (size_t)buckets * sizeof *table->buckets);
  for (uint32_t i = keys; i-- > 0;) {
    table->keys[i].chain = table->free_keys;
    table->free_keys = i;
  }
  for (uint32_t i = blocks; i-- > 0;) {
    table->blocks[i].next = table->free_blocks;
    table->free_blocks = i;
  }
  return true;
}

/* By the upper half of the hash: its remainder has chosen this shard. */
static uint32_t *bucket_of(struct window_table *table, uint64_t hash) { return &table->buckets[hash >> 32 & table->bucket_mask]; }

struct window_key *window_key_find(struct window_table *table, uint32_t identity, uint64_t hash, const uint8_t *key,
                                   uint32_t key_bytes) {
  for (uint32_t index = *bucket_of(table, hash); index != WINDOW_NONE; index = at(table, index)->chain) {
    struct window_key *known = at(table, index);
    if (known->hash == hash && known->identity == identity && known->key_bytes == key_bytes &&
        (key_bytes == 0 || memcmp(known->key, key, key_bytes) == 0))
      return known;
  }
  return NULL;
}

static void list_append(struct window_table *table, struct window_key *key) {
  const uint32_t index = window_key_index(table, key);
  key->older = table->newest;
  key->newer = WINDOW_NONE;
  if (table->newest == WINDOW_NONE) {
    table->oldest = index;
  } else {
    at(table, table->newest)->newer = index;
  }
  table->newest = index;
}

static void list_remove(struct window_table *table, struct window_key *key) {
  if (key->older == WINDOW_NONE) {
    table->oldest = key->newer;
  } else {
    at(table, key->older)->newer = key->newer;
  }
  if (key->newer == WINDOW_NONE) {
    table->newest = key->older;
  } else {
    at(table, key->newer)->older = key->older;
  }
}

void window_key_touch(struct window_table *table, struct window_key *key) {
  if (key->pinned || key->newer == WINDOW_NONE) return;
  list_remove(table, key);
  list_append(table, key);
}

void window_key_forget(struct engine *engine, struct window_key *key) {
  struct window_table *table = &engine->windows;
  ALWAYS_ASSERT(key->live && !key->on_retry);
  uint32_t *link = bucket_of(table, key->hash);
  while (*link != window_key_index(table, key)) link = &at(table, *link)->chain;
  *link = key->chain;
  if (!key->pinned) list_remove(table, key);
  timer_cancel(&key->timer);
  window_blocks_give(engine, &key->counts);
  window_blocks_give(engine, &key->values[0]);
  window_blocks_give(engine, &key->values[1]);
  if (key->function == WINDOW_QUANTILE)
    window_quantile_forget(engine, key);
  else
    window_blocks_give(engine, &key->list);
  key->live = false;
  key->chain = table->free_keys;
  table->free_keys = window_key_index(table, key);
  engine->counters.window_keys_live--;
}

/* The key that had no event for longest goes, but for `keeper` and those whose verdict waits. */
static bool evict(struct engine *engine, const struct window_key *keeper) {
  struct window_table *table = &engine->windows;
  uint32_t index = table->oldest;
  for (uint32_t tries = 0; index != WINDOW_NONE && tries < EVICTION_TRIES; tries++) {
    struct window_key *key = at(table, index);
    index = key->newer;
    if (key == keeper || key->on_retry) continue;
    engine->counters.window_keys_evicted++;
    window_key_forget(engine, key);
    return true;
  }
  return false;
}

struct window_key *window_key_open(struct engine *engine, uint32_t identity, uint64_t hash, const uint8_t *key,
                                   uint32_t key_bytes, bool pinned) {
  struct window_table *table = &engine->windows;
  ALWAYS_ASSERT(key_bytes <= WINDOW_KEY_BYTES_MAX);
  if (table->free_keys == WINDOW_NONE && !evict(engine, NULL)) return NULL;
  struct window_key *made = at(table, table->free_keys);
  table->free_keys = made->chain;
  memset(made, 0, offsetof(struct window_key, key));
  made->hash = hash;
  made->identity = identity;
  made->counts = made->values[0] = made->values[1] = made->list = made->retry = made->due.record = WINDOW_NONE;
  made->first_ns = UINT64_MAX;
  made->live = true;
  made->pinned = pinned;
  made->key_bytes = (uint16_t)key_bytes;
  if (key_bytes) memcpy(made->key, key, key_bytes);
  uint32_t *bucket = bucket_of(table, hash);
  made->chain = *bucket;
  *bucket = window_key_index(table, made);
  if (!pinned) list_append(table, made);
  engine->counters.window_keys_opened++;
  engine->counters.window_keys_live++;
  return made;
}

uint32_t window_block_take(struct engine *engine, const struct window_key *keeper) {
  struct window_table *table = &engine->windows;
  while (table->free_blocks == WINDOW_NONE)
    if (!evict(engine, keeper)) return WINDOW_NONE;
  const uint32_t index = table->free_blocks;
  struct window_block *block = window_block_at(table, index);
  table->free_blocks = block->next;
  memset(block, 0, sizeof *block);
  block->next = WINDOW_NONE;
  engine->counters.window_blocks_in_use++;
  return index;
}

void window_blocks_give(struct engine *engine, uint32_t *list) {
  struct window_table *table = &engine->windows;
  while (*list != WINDOW_NONE) {
    struct window_block *block = window_block_at(table, *list);
    const uint32_t next = block->next;
    block->next = table->free_blocks;
    table->free_blocks = *list;
    *list = next;
    engine->counters.window_blocks_in_use--;
  }
}
