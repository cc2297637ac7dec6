#pragma once
/* Inside the management room: a growing text. */
#include <stdbool.h>
#include <stddef.h>

struct text_buffer {
  char *text; /* malloc'd, NUL-terminated */
  size_t length, capacity;
  bool failed; /* out of memory: what follows is dropped */
};

void text_append(struct text_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
