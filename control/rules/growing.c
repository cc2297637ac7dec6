#include "always_assert.h"
#include "growing_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reserve(struct growing_text *text, size_t more) {
  const size_t needed = text->length + more + 1;
  if (needed <= text->capacity) return;
  size_t capacity = text->capacity ? text->capacity * 2 : 256;
  if (capacity < needed) capacity = needed;
  char *grown = realloc(text->at, capacity);
  ALWAYS_ASSERT(grown != NULL);
  text->at = grown;
  text->capacity = capacity;
}

void growing_text_append(struct growing_text *text, const char *bytes, size_t length) {
  reserve(text, length);
  if (length) memcpy(text->at + text->length, bytes, length);
  text->length += length;
  text->at[text->length] = '\0';
}

void growing_text_append_string(struct growing_text *text, const char *string) {
  growing_text_append(text, string, strlen(string));
}

void growing_text_format(struct growing_text *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  ALWAYS_ASSERT(length >= 0);
  reserve(text, (size_t)length);
  vsnprintf(text->at + text->length, (size_t)length + 1, format, again);
  va_end(again);
  text->length += (size_t)length;
}

void growing_text_free(struct growing_text *text) {
  free(text->at);
  *text = (struct growing_text){0};
}

void *growing_list_reserve(void *items, size_t count, size_t *capacity, size_t item_bytes) {
  if (count < *capacity) return items;
  const size_t larger = *capacity ? *capacity * 2 : 16;
  void *grown = reallocarray(items, larger, item_bytes);
  ALWAYS_ASSERT(grown != NULL);
  *capacity = larger;
  return grown;
}

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
  const struct text_index_slot *slot = probe(index->slots, index->slot_count, key, image_string_hash(key.at, key.length));
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
  const uint32_t hash = image_string_hash(key.at, key.length);
  struct text_index_slot *slot = probe(index->slots, index->slot_count, key, hash);
  ALWAYS_ASSERT(slot->key.at == NULL);
  *slot = (struct text_index_slot){.key = key, .hash = hash, .value = value};
  index->used++;
}

void text_index_free(struct text_index *index) {
  free(index->slots);
  *index = (struct text_index){0};
}
