#include "always_assert.h"
#include "region_internal.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 2032u
#define ALIGNMENT 16u

struct region_chunk {
  struct region_chunk *older;
  size_t used, capacity;
  _Alignas(ALIGNMENT) char bytes[];
};

void *region_take(struct region *region, size_t bytes) {
  const size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  struct region_chunk *chunk = region->newest;
  if (!chunk || rounded > chunk->capacity - chunk->used) {
    const size_t capacity = rounded > CHUNK_BYTES / 4 ? rounded : CHUNK_BYTES;
    struct region_chunk *fresh = calloc(1, sizeof *fresh + capacity);
    ALWAYS_ASSERT(fresh != NULL);
    fresh->capacity = capacity;
    if (chunk && capacity == rounded) {
      /* A large piece gets a chunk of its own behind the newest, whose room stays in use. */
      fresh->older = chunk->older;
      chunk->older = fresh;
    } else {
      fresh->older = chunk;
      region->newest = fresh;
    }
    chunk = fresh;
  }
  void *at = chunk->bytes + chunk->used;
  chunk->used += rounded;
  return at;
}

char *region_copy(struct region *region, const char *text, size_t length) {
  char *copy = region_take(region, length + 1);
  if (length) memcpy(copy, text, length);
  return copy;
}

struct image_text region_image_text(struct region *region, const char *text, size_t length) {
  return (struct image_text){.at = region_copy(region, text, length), .length = (uint32_t)length};
}

void region_free(struct region *region) {
  while (region->newest) {
    struct region_chunk *chunk = region->newest;
    region->newest = chunk->older;
    free(chunk);
  }
}
