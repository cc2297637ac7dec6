#include "heap_arena.h"
#include <stdlib.h>
#include <string.h>

struct heap_block {
  struct heap_block *next;
  void *bytes;
};

struct heap_arena {
  struct arena arena;
  struct heap_block *blocks;
  unsigned takes_left;
};

static void *heap_take(void *context, size_t bytes, size_t alignment) {
  struct heap_arena *heap = context;
  if (heap->takes_left == 0) return NULL;
  heap->takes_left--;
  struct heap_block *block = malloc(sizeof *block);
  if (!block) return NULL;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  block->bytes = aligned_alloc(alignment, rounded ? rounded : alignment);
  if (!block->bytes) {
    free(block);
    return NULL;
  }
  memset(block->bytes, 0, rounded ? rounded : alignment);
  block->next = heap->blocks;
  heap->blocks = block;
  return block->bytes;
}

struct heap_arena *heap_arena_create(void) {
  struct heap_arena *heap = calloc(1, sizeof *heap);
  if (!heap) return NULL;
  heap->arena = (struct arena){.take = heap_take, .context = heap};
  heap->takes_left = ~0u;
  return heap;
}

struct arena *heap_arena_arena(struct heap_arena *heap) {
  return &heap->arena;
}

void heap_arena_limit(struct heap_arena *heap, unsigned takes) { heap->takes_left = takes; }

void heap_arena_destroy(struct heap_arena *heap) {
  while (heap->blocks) {
    struct heap_block *block = heap->blocks;
    heap->blocks = block->next;
    free(block->bytes);
    free(block);
  }
  free(heap);
}
