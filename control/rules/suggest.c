#include "expression_internal.h"
#include <string.h>

#define WORD_MAX 32u

static char lower(char character) { return character >= 'A' && character <= 'Z' ? (char)(character - 'A' + 'a') : character; }

/* Edits (insert, remove, replace, swap of neighbours) between two short words, whatever their case. */
static uint32_t distance(const char *a, uint32_t a_length, const char *b, uint32_t b_length) {
  uint32_t rows[3][WORD_MAX + 1];
  for (uint32_t column = 0; column <= b_length; column++) rows[0][column] = column;
  for (uint32_t row = 1; row <= a_length; row++) {
    uint32_t *now = rows[row % 3], *above = rows[(row + 2) % 3], *two_above = rows[(row + 1) % 3];
    now[0] = row;
    for (uint32_t column = 1; column <= b_length; column++) {
      const bool same = lower(a[row - 1]) == lower(b[column - 1]);
      uint32_t best = above[column - 1] + !same;
      if (above[column] + 1 < best) best = above[column] + 1;
      if (now[column - 1] + 1 < best) best = now[column - 1] + 1;
      if (row > 1 && column > 1 && lower(a[row - 1]) == lower(b[column - 2]) && lower(a[row - 2]) == lower(b[column - 1]) &&
          two_above[column - 2] + 1 < best)
        best = two_above[column - 2] + 1;
      now[column] = best;
    }
  }
  return rows[a_length % 3][b_length];
}

const char *suggest(struct image_text word, const char *const *words) {
  const char *best = NULL;
  uint32_t best_distance = word.length < 4 ? 2 : 3;
  if (word.length > WORD_MAX) return NULL;
  for (; *words; words++) {
    const size_t length = strlen(*words);
    if (length > WORD_MAX) continue;
    const uint32_t edits = distance(word.at, word.length, *words, (uint32_t)length);
    if (edits < best_distance && edits < length) {
      best = *words;
      best_distance = edits;
    }
  }
  return best;
}
