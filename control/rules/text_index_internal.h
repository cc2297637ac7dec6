#pragma once
/* Text to number by hash. Keys are not copied: they must outlive the index. Threads: one owner. */
#include "image.h"
#include <stdint.h>

struct text_index {
  struct text_index_slot *slots;
  uint32_t slot_count, used;
};

#define TEXT_INDEX_NONE UINT32_MAX

uint32_t text_index_find(const struct text_index *index, struct image_text key);
/* The key must not be there yet. */
void text_index_add(struct text_index *index, struct image_text key, uint32_t value);
void text_index_free(struct text_index *index);
