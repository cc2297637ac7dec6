#pragma once
/* Values as the reference evaluator sees them, and what the manual says of comparing them. Nothing of the engine is used here. */
#include <stdbool.h>
#include <stdint.h>

enum plain_type { PLAIN_NULL, PLAIN_BOOLEAN, PLAIN_INTEGER, PLAIN_REAL, PLAIN_TEXT, PLAIN_OTHER };

struct plain {
  enum plain_type type;
  bool boolean;
  int64_t integer;
  double real;
  const char *text; /* not NUL-terminated */
  uint32_t length;
};

static inline struct plain plain_null(void) { return (struct plain){.type = PLAIN_NULL}; }
static inline struct plain plain_boolean(bool boolean) { return (struct plain){.type = PLAIN_BOOLEAN, .boolean = boolean}; }
static inline struct plain plain_integer(int64_t integer) { return (struct plain){.type = PLAIN_INTEGER, .integer = integer}; }
static inline struct plain plain_real(double real) { return (struct plain){.type = PLAIN_REAL, .real = real}; }
struct plain plain_text(const char *text);
static inline bool plain_is_number(const struct plain *value) {
  return value->type == PLAIN_INTEGER || value->type == PLAIN_REAL;
}

/* Null equals nothing, and neither does what is structured. */
bool plain_equal(const struct plain *a, const struct plain *b);
/* Numbers only; false when one of them is not a number or is NaN. */
bool plain_less(const struct plain *a, const struct plain *b);
bool plain_contains(const struct plain *value, const struct plain *part);
bool plain_starts_with(const struct plain *value, const struct plain *part);
bool plain_ends_with(const struct plain *value, const struct plain *part);
/* The same thing to the last bit, NaN included: for comparing what was reported. */
bool plain_identical(const struct plain *a, const struct plain *b);
bool plain_is_utf8(const struct plain *value);

/* Null when an operand is none or is no number, on overflow of integers, and by zero. */
struct plain plain_calculate(char operation, const struct plain *a, const struct plain *b);
