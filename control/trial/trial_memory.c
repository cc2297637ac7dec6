#include "trial_internal.h"
#include <stdlib.h>
#include <sys/mman.h>

struct trial_mapping {
  struct trial_mapping *next;
  void *at;
  size_t bytes;
};

/* A mapping each: zeroed, and what is never touched costs nothing. */
static void *take(void *context, size_t bytes, size_t alignment) {
  struct trial_memory *memory = context;
  struct trial_mapping *mapping = malloc(sizeof *mapping);
  if (!mapping || bytes == 0 || alignment > 4096) {
    free(mapping);
    return NULL;
  }
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) {
    free(mapping);
    return NULL;
  }
  *mapping = (struct trial_mapping){.next = memory->mappings, .at = at, .bytes = bytes};
  memory->mappings = mapping;
  return at;
}

void trial_memory_init(struct trial_memory *memory) {
  *memory = (struct trial_memory){.arena = {.take = take, .context = memory}};
}

void trial_memory_free(struct trial_memory *memory) {
  while (memory->mappings) {
    struct trial_mapping *mapping = memory->mappings;
    memory->mappings = mapping->next;
    munmap(mapping->at, mapping->bytes);
    free(mapping);
  }
}
