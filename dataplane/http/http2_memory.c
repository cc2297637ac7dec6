#include "always_assert.h"
#include "http2_memory_internal.h"
#include <string.h>

#define SMALLEST_SHIFT 5u

/* In front of each block. */
struct block {
  uint32_t class;
  uint32_t reserved;
  uint64_t next; /* keeps what follows 16-byte aligned; on a free list the next block's address */
};

static uint32_t class_of(size_t bytes) {
  uint32_t class = 0;
  while (class < HTTP2_MEMORY_CLASSES && ((size_t)1 << (SMALLEST_SHIFT + class)) < bytes) class ++;
  return class;
}

static uint32_t class_bytes(uint32_t class) { return 1u << (SMALLEST_SHIFT + class); }

bool http2_memory_init(struct http2_memory *memory, struct arena *arena, uint64_t bytes) {
  *memory = (struct http2_memory){.region = arena_take(arena, bytes ? bytes : 1, CACHE_LINE_BYTES), .bytes = bytes};
  return memory->region != NULL;
}

void *http2_budget_take(struct http2_budget *budget, size_t bytes) {
  struct http2_memory *memory = budget->memory;
  const uint32_t class = class_of(bytes + sizeof(struct block));
  if (class == HTTP2_MEMORY_CLASSES || budget->used + class_bytes(class) > budget->most) {
    memory->refused++;
    return NULL;
  }
  struct block *block = memory->free_lists[class];
  if (block) {
    memory->free_lists[class] = (void *)(uintptr_t)block->next;
  } else if (memory->bytes - memory->used >= class_bytes(class)) {
    block = (struct block *)(void *)(memory->region + memory->used);
    memory->used += class_bytes(class);
  } else {
    memory->refused++;
    return NULL;
  }
  block->class = class;
  budget->used += class_bytes(class);
  memory->out += class_bytes(class);
  return block + 1;
}

void http2_budget_give(struct http2_budget *budget, void *bytes) {
  if (!bytes) return;
  struct block *block = (struct block *)bytes - 1;
  ALWAYS_ASSERT(block->class < HTTP2_MEMORY_CLASSES && budget->used >= class_bytes(block->class));
  budget->used -= class_bytes(block->class);
  budget->memory->out -= class_bytes(block->class);
  block->next = (uint64_t)(uintptr_t)budget->memory->free_lists[block->class];
  budget->memory->free_lists[block->class] = block;
}

static void *take(size_t bytes, void *budget) { return http2_budget_take(budget, bytes); }
static void give(void *bytes, void *budget) { http2_budget_give(budget, bytes); }

static void *take_zeroed(size_t count, size_t bytes, void *budget) {
  if (bytes && count > SIZE_MAX / bytes) return NULL;
  void *taken = http2_budget_take(budget, count * bytes);
  if (taken) memset(taken, 0, count * bytes);
  return taken;
}

static void *take_again(void *bytes, size_t length, void *context) {
  struct http2_budget *budget = context;
  if (!bytes) return http2_budget_take(budget, length);
  const uint32_t room = class_bytes(((struct block *)bytes - 1)->class) - (uint32_t)sizeof(struct block);
  if (length <= room) return bytes;
  void *larger = http2_budget_take(budget, length);
  if (!larger) return NULL;
  memcpy(larger, bytes, room);
  http2_budget_give(budget, bytes);
  return larger;
}

void http2_budget_init(struct http2_budget *budget, struct http2_memory *memory, uint32_t most) {
  *budget = (struct http2_budget){.memory = memory, .most = most};
  budget->allocator =
      (nghttp2_mem){.mem_user_data = budget, .malloc = take, .free = give, .calloc = take_zeroed, .realloc = take_again};
}
