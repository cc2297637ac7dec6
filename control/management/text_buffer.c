#include "text_buffer_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool reserve(struct text_buffer *buffer, size_t more) {
  if (buffer->failed) return false;
  if (buffer->length + more + 1 <= buffer->capacity) return true;
  size_t capacity = buffer->capacity ? buffer->capacity : 4096;
  while (capacity < buffer->length + more + 1) capacity *= 2;
  char *grown = realloc(buffer->text, capacity);
  if (!grown) {
    buffer->failed = true;
    return false;
  }
  buffer->text = grown;
  buffer->capacity = capacity;
  return true;
}

void text_append(struct text_buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !reserve(buffer, (size_t)length)) return;
  va_start(arguments, format);
  vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  buffer->length += (size_t)length;
}
