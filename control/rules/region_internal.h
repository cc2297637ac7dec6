#pragma once
/* Memory that is taken piece by piece and freed at once. Rule text is bounded, so a region is too; when the system has no memory
 * left for it the process stops, as half a rule set must never go live. Threads: one owner. */
#include "image.h"
#include <stddef.h>

struct region_chunk;

struct region {
  struct region_chunk *newest;
};

/* Zeroed, aligned for any type. */
void *region_take(struct region *region, size_t bytes);
/* A copy with a NUL behind it. */
char *region_copy(struct region *region, const char *text, size_t length);
struct image_text region_image_text(struct region *region, const char *text, size_t length);
void region_free(struct region *region);
