#include "always_assert.h"
#include "text_index_internal.h"
#include <stdlib.h>
#include <string.h>

struct text_index_slot {
  struct image_text key; /* at NULL: empty */
  uint32_t hash, value;
};

static struct text_index_slot *probe(struct text_index_slot *slots, uint32_t slot_count, struct image_text key, uint32_t hash) {
  uint32_t at = hash & (slot_count - 1);
  while (slots[at].key.at) {
    const struct text_index_slot *slot = &slots[at];
    if (slot->hash == hash && slot->key.length == key.length && memcmp(slot->key.at, key.at, key.length) == 0) break;
    at = (at + 1) & (slot_count - 1);
  }
  return &slots[at];
}

uint32_t text_index_find(const struct text_index *index, struct image_text key) {
  if (index->used == 0) return TEXT_INDEX_NONE;
  const struct text_index_slot *slot = probe(index->slots, index->slot_count, key, text_print_of(key.at, key.length).hash);
  return slot->key.at ? slot->value : TEXT_INDEX_NONE;
}

static void grow(struct text_index *index) {
  const uint32_t slot_count = index->slot_count ? index->slot_count * 2 : 16;
  struct text_index_slot *slots = calloc(slot_count, sizeof *slots);
  ALWAYS_ASSERT(slots != NULL);
  for (uint32_t i = 0; i < index->slot_count; i++)
    if (index->slots[i].key.at) *probe(slots, slot_count, index->slots[i].key, index->slots[i].hash) = index->slots[i];
  free(index->slots);
  index->slots = slots;
  index->slot_count = slot_count;
}

void text_index_add(struct text_index *index, struct image_text key, uint32_t value) {
  if ((index->used + 1) * 2 > index->slot_count) grow(index);
  const uint32_t hash = text_print_of(key.at, key.length).hash;
  struct text_index_slot *slot = probe(index->slots, index->slot_count, key, hash);
  ALWAYS_ASSERT(slot->key.at == NULL);
  *slot = (struct text_index_slot){.key = key, .hash = hash, .value = value};
  index->used++;
}

void text_index_free(struct text_index *index) {
  free(index->slots);
  *index = (struct text_index){0};
}
