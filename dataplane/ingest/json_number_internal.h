#pragma once
/* Decimal text to numbers, exactly: no libc conversion, because that reads the locale and sets errno. The text must already be a
 * valid JSON number. Threads: any. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct decimal {
  bool negative;
  bool integral; /* written without fraction and exponent */
  bool exact;    /* the value is significand * 10^exponent; else digits were dropped and it is a little more */
  uint64_t significand;
  int64_t exponent;
};

/* The end of the JSON number that starts at `at`, or NULL when there is none. */
const uint8_t *decimal_scan(const uint8_t *at, const uint8_t *end);
struct decimal decimal_read(const char *text, size_t length);
/* Correctly rounded to nearest even; infinity beyond the range. `text` is what `decimal` was read from. */
double decimal_to_double(const struct decimal *decimal, const char *text, size_t length);
/* The magnitude as an integer; false when it is not integral or above 2^64 - 1. 1e3 and 5.0 are integral. */
bool decimal_to_magnitude(const struct decimal *decimal, uint64_t *magnitude);
