#pragma once
/* Expression text to tokens, one at a time. */
#include "expression_internal.h"

enum token_kind {
  TOKEN_BAD, /* an error was added */
  TOKEN_END,
  TOKEN_WORD,
  TOKEN_REFERENCE, /* word and segments */
  TOKEN_LITERAL,
  TOKEN_COMPARISON,
  TOKEN_RELATION, /* between selectors; `>`, `<` and `!~` are comparisons */
  TOKEN_AND,
  TOKEN_OR,
  TOKEN_NOT,
  TOKEN_IN,
  TOKEN_OPEN,
  TOKEN_CLOSE,
  TOKEN_OPEN_BRACE,
  TOKEN_CLOSE_BRACE,
  TOKEN_OPEN_BRACKET,
  TOKEN_CLOSE_BRACKET,
  TOKEN_COMMA,
  TOKEN_PLUS,
  TOKEN_MINUS,
  TOKEN_STAR,
  TOKEN_SLASH,
  TOKEN_PERCENT,
};

struct token {
  enum token_kind kind;
  size_t offset, length;
  struct image_text word;
  const struct reference_segment *segments;
  uint32_t segment_count;
  struct literal literal;
  enum predicate_operation operation;
  enum trace_relation relation;
  bool negated; /* the relation */
};

struct token_reader {
  const struct expression_context *context;
  const char *text;
  size_t length, at;
};

struct token token_next(struct token_reader *reader);
/* A double-quoted string, or a number with or without a sign, at the reader's place. */
bool token_read_string(struct token_reader *reader, struct image_text *string);
bool token_read_number(struct token_reader *reader, struct literal *literal);
static inline bool token_word_character(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '_';
}
