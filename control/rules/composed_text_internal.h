#pragma once
/* Expression text put together from pieces: a rule's own text, macros, lists, exceptions, what another notation was translated
 * to. An error in it is told at the place that its bytes came from. Threads: one owner. */
#include "growing_internal.h"
#include "rule_source_internal.h"

struct shared_name;

struct text_piece {
  size_t start; /* in the composed text */
  struct rule_source *source;
  const struct source_scalar *scalar;
  size_t offset;
  bool along;                /* byte by byte from `offset` on; else all of it stands at `offset` */
  struct shared_name *macro; /* whose text this is, NULL: the rule's */
  struct shared_name *list;  /* whose constant this is */
  size_t use;                /* of a macro: the piece of the rule's own text that asked for it */
};

struct composed_text {
  struct growing_text text;
  struct text_piece *pieces;
  size_t count, capacity;
};

/* What is appended next comes from there. Returns the piece's number. */
size_t composed_text_from(struct composed_text *composed, const struct text_piece *piece);
/* With all its pieces. */
void composed_text_append(struct composed_text *composed, const struct composed_text *more);
void composed_text_free(struct composed_text *composed);
const struct text_piece *composed_text_piece(const struct composed_text *composed, size_t offset);
struct source_place composed_text_place(const struct composed_text *composed, size_t offset);
/* At the place of byte `offset`, with how the text got there. */
void composed_text_error(const struct composed_text *composed, struct rule_errors *errors, size_t offset, const char *message);
