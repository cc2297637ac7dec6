#pragma once
/* Memory for nghttp2: blocks of powers of two from one region of the arena, with a budget for each connection. A block goes back
 * to its size's free list and is never joined: the bound is the region's. Threads: one shard. */
#include "arena.h"
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

#define HTTP2_MEMORY_CLASSES 14 /* 32 bytes to 256 KiB, the block's own header included */

struct http2_memory {
  uint8_t *region;
  uint64_t bytes, used; /* used: cut from the region so far */
  uint64_t out;         /* in blocks that somebody has */
  void *free_lists[HTTP2_MEMORY_CLASSES];
  uint64_t refused; /* the region or a budget was spent */
};

/* One connection's share; `allocator` points to it. */
struct http2_budget {
  struct http2_memory *memory;
  nghttp2_mem allocator;
  uint32_t used, most; /* bytes of blocks */
};

bool http2_memory_init(struct http2_memory *memory, struct arena *arena, uint64_t bytes);
void http2_budget_init(struct http2_budget *budget, struct http2_memory *memory, uint32_t most);
/* NULL when there is no room. Zeroed on request only by nghttp2's calloc. */
void *http2_budget_take(struct http2_budget *budget, size_t bytes);
void http2_budget_give(struct http2_budget *budget, void *bytes);
