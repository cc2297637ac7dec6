/* A slab allocator over the shard's region: a slab holds blocks of one size, and one that is empty serves any size again, so that
 * no pattern of sizes uses the region up for good. */
#include "always_assert.h"
#include "tls_memory_internal.h"
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>

#define SLAB_BYTES (128u * 1024u)
#define SMALLEST_SHIFT 5u       /* 32 bytes, header included */
#define LARGEST_SHIFT 16u       /* 64 KiB */
#define SHARED_BYTES (1u << 20) /* for what OpenSSL keeps for all connections */
#define STEPS_A_DOUBLING 4u
#define CLASSES ((LARGEST_SHIFT - SMALLEST_SHIFT) * STEPS_A_DOUBLING + 1)

/* In front of what OpenSSL gets; keeps that 16-byte aligned. */
struct block {
  struct tls_memory *owner; /* NULL: the heap's */
  uint32_t bytes;           /* asked for */
  uint32_t size_class;
};

/* What a block holds while nobody does. */
struct free_block {
  struct block block;
  struct free_block *next;
};

struct slab {
  struct slab *next, *previous; /* of its class with room, or of the empty ones */
  struct free_block *free_blocks;
  uint32_t size_class, carved, in_use;
};

struct tls_memory {
  uint8_t *region;
  struct slab *slabs;
  uint32_t slab_count, slabs_begun;
  struct slab *empty;
  struct slab *with_room[CLASSES];
  uint64_t most_bytes, used_bytes, most_used_bytes;
  /* any:rw; blocks that other threads gave back, until the owner takes next */
  CACHE_ALIGNED _Atomic(struct free_block *) given_elsewhere;
};

static struct tls_heap process_heap;
static __thread struct tls_memory *current_memory;
static __thread struct tls_budget *current_budget;

static uint32_t class_bytes(uint32_t size_class) {
  const uint32_t doubling = size_class / STEPS_A_DOUBLING, step = size_class % STEPS_A_DOUBLING;
  const uint32_t base = 1u << (SMALLEST_SHIFT + doubling);
  return base + base / STEPS_A_DOUBLING * step;
}

/* CLASSES when it is too large for any. Blocks stay 16-byte aligned from 64 bytes on; below that steps of 16 are enough. */
static uint32_t class_of(size_t bytes) {
  uint32_t size_class = 0;
  if (bytes > (1u << LARGEST_SHIFT)) return CLASSES;
  if (bytes > (1u << SMALLEST_SHIFT)) {
    const uint32_t shift = 31u - (uint32_t)__builtin_clz((uint32_t)bytes - 1);
    size_class = (shift - SMALLEST_SHIFT) * STEPS_A_DOUBLING;
  }
  while (class_bytes(size_class) < bytes || class_bytes(size_class) % 16) size_class++;
  return size_class;
}

struct tls_memory *tls_memory_create(struct arena *arena, uint32_t connections_max) {
  struct tls_memory *memory = ARENA_NEW(arena, struct tls_memory);
  if (!memory) return NULL;
  memory->most_bytes = SHARED_BYTES + (uint64_t)connections_max * TLS_MEMORY_BYTES_A_CONNECTION;
  /* One of each class may be all but empty. */
  memory->slab_count = CLASSES + (uint32_t)((memory->most_bytes + SLAB_BYTES - 1) / SLAB_BYTES);
  memory->slabs = ARENA_ARRAY(arena, struct slab, memory->slab_count);
  memory->region = arena_take(arena, (size_t)memory->slab_count * SLAB_BYTES, CACHE_LINE_BYTES);
  return memory->slabs && memory->region ? memory : NULL;
}

uint64_t tls_memory_used_bytes(const struct tls_memory *memory) { return memory->used_bytes; }
uint64_t tls_memory_most_used_bytes(const struct tls_memory *memory) { return memory->most_used_bytes; }

bool tls_memory_has_room(const struct tls_memory *memory) {
  return memory->used_bytes + TLS_MEMORY_BYTES_A_CONNECTION <= memory->most_bytes;
}

static void link_slab(struct slab **list, struct slab *slab) {
  slab->previous = NULL;
  slab->next = *list;
  if (slab->next) slab->next->previous = slab;
  *list = slab;
}

static void unlink_slab(struct slab **list, struct slab *slab) {
  if (slab->next) slab->next->previous = slab->previous;
  *(slab->previous ? &slab->previous->next : list) = slab->next;
}

static struct slab *begin_slab(struct tls_memory *memory, uint32_t size_class) {
  struct slab *slab = memory->empty;
  if (slab) {
    unlink_slab(&memory->empty, slab);
  } else if (memory->slabs_begun < memory->slab_count) {
    slab = &memory->slabs[memory->slabs_begun++];
  } else {
    return NULL;
  }
  *slab = (struct slab){.size_class = size_class};
  link_slab(&memory->with_room[size_class], slab);
  return slab;
}

static uint32_t slab_blocks(const struct slab *slab) { return SLAB_BYTES / class_bytes(slab->size_class); }

static struct block *take_block(struct tls_memory *memory, uint32_t size_class) {
  struct slab *slab = memory->with_room[size_class];
  if (!slab && !(slab = begin_slab(memory, size_class))) return NULL;
  struct free_block *block = slab->free_blocks;
  if (block) {
    slab->free_blocks = block->next;
  } else {
    uint8_t *bytes = memory->region + (size_t)(slab - memory->slabs) * SLAB_BYTES;
    block = (struct free_block *)(void *)(bytes + (size_t)slab->carved++ * class_bytes(size_class));
  }
  if (++slab->in_use == slab_blocks(slab)) unlink_slab(&memory->with_room[size_class], slab);
  memory->used_bytes += class_bytes(size_class);
  if (memory->used_bytes > memory->most_used_bytes) memory->most_used_bytes = memory->used_bytes;
  return &block->block;
}

static void give_block(struct tls_memory *memory, struct free_block *block) {
  const uint32_t size_class = block->block.size_class;
  struct slab *slab = &memory->slabs[(size_t)((uint8_t *)block - memory->region) / SLAB_BYTES];
  ALWAYS_ASSERT(slab->size_class == size_class && slab->in_use > 0);
  if (slab->in_use-- == slab_blocks(slab)) link_slab(&memory->with_room[size_class], slab);
  block->next = slab->free_blocks;
  slab->free_blocks = block;
  memory->used_bytes -= class_bytes(size_class);
  if (slab->in_use) return;
  unlink_slab(&memory->with_room[size_class], slab);
  link_slab(&memory->empty, slab);
}

static void take_back(struct tls_memory *memory) {
  if (!atomic_load_explicit(&memory->given_elsewhere, memory_order_relaxed)) return;
  struct free_block *block = atomic_exchange_explicit(&memory->given_elsewhere, NULL, memory_order_acquire);
  while (block) {
    struct free_block *next = block->next;
    give_block(memory, block);
    block = next;
  }
}

static void give_elsewhere(struct tls_memory *memory, struct free_block *block) {
  struct free_block *first = atomic_load_explicit(&memory->given_elsewhere, memory_order_relaxed);
  do block->next = first;
  while (!atomic_compare_exchange_weak_explicit(&memory->given_elsewhere, &first, block, memory_order_release,
                                                memory_order_relaxed));
}

void *tls_memory_take(struct tls_memory *memory, struct tls_budget *budget, size_t bytes) {
  const uint32_t size_class = class_of(bytes + sizeof(struct block));
  struct block *block = NULL;
  take_back(memory);
  if (size_class < CLASSES && budget->used_bytes + class_bytes(size_class) <= TLS_BUDGET_BYTES)
    block = take_block(memory, size_class);
  if (!block) {
    budget->refused++;
    return NULL;
  }
  *block = (struct block){.owner = memory, .bytes = (uint32_t)bytes, .size_class = size_class};
  budget->used_bytes += class_bytes(size_class);
  return block + 1;
}

void tls_memory_give(struct tls_budget *budget, void *bytes) {
  struct free_block *block = (struct free_block *)(void *)((struct block *)bytes - 1);
  budget->used_bytes -= class_bytes(block->block.size_class);
  give_block(block->block.owner, block);
}

void tls_memory_enter(struct tls_memory *memory, struct tls_budget *budget) {
  ALWAYS_ASSERT(!current_memory);
  current_memory = memory;
  current_budget = budget;
}

void tls_memory_leave(void) {
  ALWAYS_ASSERT(current_memory);
  current_memory = NULL;
  current_budget = NULL;
}

static void *take(size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  if (bytes == 0 || bytes > UINT32_MAX - sizeof(struct block)) return NULL;
  if (current_memory) return tls_memory_take(current_memory, current_budget, bytes);
  struct block *block = process_heap.take(bytes + sizeof *block);
  if (!block) return NULL;
  *block = (struct block){.bytes = (uint32_t)bytes};
  return block + 1;
}

static void give(void *bytes, const char *file, int line) {
  (void)file, (void)line;
  if (!bytes) return;
  struct block *block = (struct block *)bytes - 1;
  if (!block->owner) {
    process_heap.give(block);
  } else if (block->owner == current_memory) {
    tls_memory_give(current_budget, bytes);
  } else {
    give_elsewhere(block->owner, (struct free_block *)(void *)block);
  }
}

static void *take_again(void *bytes, size_t length, const char *file, int line) {
  if (!bytes) return take(length, file, line);
  struct block *block = (struct block *)bytes - 1;
  const uint32_t had = block->bytes;
  if (length && block->owner && length + sizeof *block <= class_bytes(block->size_class)) {
    block->bytes = (uint32_t)length;
    return bytes;
  }
  void *moved = length ? take(length, file, line) : NULL;
  if (length && !moved) return NULL;
  if (moved) memcpy(moved, bytes, had < length ? had : length);
  give(bytes, file, line);
  return moved;
}

bool tls_memory_install(const struct tls_heap *heap) {
  process_heap = *heap;
  return CRYPTO_set_mem_functions(take, take_again, give) == 1;
}
