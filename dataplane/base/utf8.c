#include "utf8.h"
#include <stdint.h>
#include <string.h>

/* What the first byte of a character demands (RFC 3629 section 4): how many bytes, and the range of the second, which alone
 * excludes overlong forms, surrogates and what lies above U+10FFFF. */
struct lead {
  uint8_t bytes, second_low, second_high;
};

static inline struct lead lead_of(uint8_t byte) {
  if (byte < 0x80) return (struct lead){1, 0, 0};
  if (byte < 0xc2) return (struct lead){0, 0, 0};
  if (byte < 0xe0) return (struct lead){2, 0x80, 0xbf};
  if (byte < 0xf0) return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
  if (byte < 0xf5) return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
  return (struct lead){0, 0, 0};
}

static inline bool is_continuation(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* How many leading bytes are ASCII, in steps of eight. */
static inline size_t ascii_run(const uint8_t *at, size_t length) {
  size_t run = 0;
  for (uint64_t word; length - run >= sizeof word; run += sizeof word) {
    memcpy(&word, at + run, sizeof word);
    if (word & 0x8080808080808080) break;
  }
  return run;
}

bool utf8_valid(const void *bytes, size_t length) {
  const uint8_t *text = bytes;
  size_t i = 0;
  while (i < length) {
    if (text[i] < 0x80) {
      const size_t run = ascii_run(text + i, length - i);
      i += run ? run : 1;
      continue;
    }
    const struct lead lead = lead_of(text[i]);
    if (lead.bytes == 0 || lead.bytes > length - i) return false;
    if (text[i + 1] < lead.second_low || text[i + 1] > lead.second_high) return false;
    for (size_t next = 2; next < lead.bytes; next++)
      if (!is_continuation(text[i + next])) return false;
    i += lead.bytes;
  }
  return true;
}

size_t utf8_truncate(const void *bytes, size_t length, size_t most) {
  const uint8_t *text = bytes;
  if (most >= length) return length;
  size_t start = most;
  while (start > 0 && most - start < 3 && is_continuation(text[start])) start--;
  /* Continuation bytes that belong to no character are nobody's to keep whole. */
  return lead_of(text[start]).bytes > most - start ? start : most;
}
