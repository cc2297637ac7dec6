#pragma once
/* Text and lists that grow at their end, malloc'd. As with a region, the process stops when there is no memory. Threads: one
 * owner. */
#include "image.h"
#include <stddef.h>
#include <stdint.h>

struct growing_text {
  char *at; /* NUL-terminated once anything was appended */
  size_t length, capacity;
};

void growing_text_append(struct growing_text *text, const char *bytes, size_t length);
void growing_text_append_string(struct growing_text *text, const char *string);
void growing_text_format(struct growing_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline struct image_text growing_text_view(const struct growing_text *text) {
  return (struct image_text){.at = text->at, .length = (uint32_t)text->length};
}
void growing_text_free(struct growing_text *text);

/* Makes room for one more item of `item_bytes` in a list that holds `count`; returns the list, perhaps moved. */
void *growing_list_reserve(void *items, size_t count, size_t *capacity, size_t item_bytes);
