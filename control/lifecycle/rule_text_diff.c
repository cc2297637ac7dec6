#include "rule_text_diff.h"
#include "rule_ledger_internal.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 2000u

struct text_lines {
  const char *at[LINES_MAX];
  size_t bytes[LINES_MAX];
  size_t count;
};

static void split(struct text_lines *lines, const char *text, size_t bytes) {
  while (bytes > 0) {
    const char *end = lines->count + 1 < LINES_MAX ? memchr(text, '\n', bytes) : NULL;
    const size_t length = end ? (size_t)(end - text) : bytes;
    lines->at[lines->count] = text;
    lines->bytes[lines->count++] = length;
    text += length + (end != NULL);
    bytes -= length + (end != NULL);
  }
}

static bool same(const struct text_lines *from, size_t i, const struct text_lines *to, size_t j) {
  return from->bytes[i] == to->bytes[j] && memcmp(from->at[i], to->at[j], from->bytes[i]) == 0;
}

static char *put(char *out, char mark, const struct text_lines *lines, size_t index) {
  *out++ = mark;
  out = (char *)memcpy(out, lines->at[index], lines->bytes[index]) + lines->bytes[index];
  *out++ = '\n';
  return out;
}

char *rule_text_diff(const char *from_text, size_t from_bytes, const char *to_text, size_t to_bytes) {
  struct text_lines *from = ledger_allocate(sizeof *from), *to = ledger_allocate(sizeof *to);
  split(from, from_text, from_bytes);
  split(to, to_text, to_bytes);
  const size_t width = to->count + 1;
  /* The longest common subsequence of what is left of both. */
  uint16_t *common = ledger_allocate((from->count + 1) * width * sizeof *common);
  for (size_t i = from->count; i-- > 0;)
    for (size_t j = to->count; j-- > 0;) {
      const uint16_t skipped = common[(i + 1) * width + j], other = common[i * width + j + 1];
      common[i * width + j] = same(from, i, to, j) ? (uint16_t)(common[(i + 1) * width + j + 1] + 1)
                              : skipped > other    ? skipped
                                                   : other;
    }
  char *diff = ledger_allocate(from_bytes + to_bytes + 2 * (from->count + to->count) + 1), *out = diff;
  for (size_t i = 0, j = 0; i < from->count || j < to->count;) {
    if (i < from->count && j < to->count && same(from, i, to, j)) {
      out = put(out, ' ', from, i++);
      j++;
    } else if (j == to->count || (i < from->count && common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      out = put(out, '-', from, i++);
    } else {
      out = put(out, '+', to, j++);
    }
  }
  free(common);
  free(from);
  free(to);
  return diff;
}
