#include "trial_input_internal.h"
#include <string.h>

bool trial_looks_like_json(const void *bytes, size_t length) {
  const char *text = bytes;
  for (size_t i = 0; i < length; i++)
    if (!strchr(" \t\r\n", text[i]) || text[i] == '\0') return text[i] == '{' || text[i] == '[';
  return false;
}
