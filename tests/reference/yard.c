#include "yard.h"
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (256u * 1024u)

struct piece {
  struct piece *next;
  size_t bytes, used;
  _Alignas(16) char memory[];
};

struct yard {
  struct piece *pieces;
};

struct yard *yard_open(void) {
  struct yard *yard = calloc(1, sizeof *yard);
  if (!yard) abort();
  return yard;
}

static struct piece *piece_make(size_t bytes) {
  struct piece *piece = malloc(sizeof *piece + bytes);
  if (!piece) abort();
  *piece = (struct piece){.bytes = bytes};
  return piece;
}

void *yard_take(struct yard *yard, size_t bytes) {
  const size_t rounded = (bytes + 15) & ~(size_t)15;
  if (!yard->pieces || yard->pieces->bytes - yard->pieces->used < rounded) {
    struct piece *piece = piece_make(rounded > PIECE_BYTES ? rounded : PIECE_BYTES);
    piece->next = yard->pieces;
    yard->pieces = piece;
  }
  void *taken = yard->pieces->memory + yard->pieces->used;
  yard->pieces->used += rounded;
  return memset(taken, 0, rounded);
}

static void free_pieces(struct piece *piece) {
  while (piece) {
    struct piece *next = piece->next;
    free(piece);
    piece = next;
  }
}

void yard_clear(struct yard *yard) {
  if (!yard->pieces) return;
  free_pieces(yard->pieces->next);
  yard->pieces->next = NULL;
  yard->pieces->used = 0;
}

void yard_close(struct yard *yard) {
  free_pieces(yard->pieces);
  free(yard);
}
