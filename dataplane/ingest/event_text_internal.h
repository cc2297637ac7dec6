#pragma once
/* Threads: any. */
#include "event.h"
#include <string.h>

static inline bool event_text_is(const struct event_text *text, const char *expected) {
  return text->length == strlen(expected) && memcmp(text->at, expected, text->length) == 0;
}
