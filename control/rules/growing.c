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
