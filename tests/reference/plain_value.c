#include "plain_value.h"
#include <float.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "a long double holds every int64 and every double");

struct plain plain_text(const char *text) {
  return (struct plain){.type = PLAIN_TEXT, .text = text, .length = (uint32_t)strlen(text)};
}

static long double number_of(const struct plain *value) {
  return value->type == PLAIN_INTEGER ? (long double)value->integer : (long double)value->real;
}

bool plain_equal(const struct plain *a, const struct plain *b) {
  if (plain_is_number(a) && plain_is_number(b)) return number_of(a) == number_of(b);
  if (a->type != b->type) return false;
  if (a->type == PLAIN_BOOLEAN) return a->boolean == b->boolean;
  return a->type == PLAIN_TEXT && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

bool plain_less(const struct plain *a, const struct plain *b) {
  return plain_is_number(a) && plain_is_number(b) && number_of(a) < number_of(b);
}

static bool stands_at(const struct plain *value, const struct plain *part, uint32_t at) {
  return memcmp(value->text + at, part->text, part->length) == 0;
}

static bool both_text(const struct plain *value, const struct plain *part) {
  return value->type == PLAIN_TEXT && part->type == PLAIN_TEXT && part->length <= value->length;
}

bool plain_contains(const struct plain *value, const struct plain *part) {
  if (!both_text(value, part)) return false;
  for (uint32_t at = 0; at + part->length <= value->length; at++)
    if (stands_at(value, part, at)) return true;
  return false;
}

bool plain_starts_with(const struct plain *value, const struct plain *part) {
  return both_text(value, part) && stands_at(value, part, 0);
}

bool plain_ends_with(const struct plain *value, const struct plain *part) {
  return both_text(value, part) && stands_at(value, part, value->length - part->length);
}

bool plain_identical(const struct plain *a, const struct plain *b) {
  if (a->type != b->type) return false;
  if (a->type == PLAIN_REAL) return memcmp(&a->real, &b->real, sizeof a->real) == 0;
  if (a->type == PLAIN_INTEGER) return a->integer == b->integer;
  return a->type == PLAIN_NULL || a->type == PLAIN_OTHER || plain_equal(a, b);
}

/* RFC 3629, section 4. */
bool plain_is_utf8(const struct plain *value) {
  const uint8_t *bytes = (const uint8_t *)value->text;
  for (uint32_t at = 0; at < value->length;) {
    const uint8_t lead = bytes[at];
    const unsigned more = lead < 0x80 ? 0 : lead < 0xc2 ? 9 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : lead < 0xf5 ? 3 : 9;
    if (more == 9 || at + more >= value->length) return false;
    uint32_t code = more == 0 ? lead : lead & (0x3fu >> more);
    for (unsigned i = 1; i <= more; i++) {
      if ((bytes[at + i] & 0xc0) != 0x80) return false;
      code = code << 6 | (bytes[at + i] & 0x3f);
    }
    if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
      return false;
    at += 1 + more;
  }
  return true;
}

static struct plain calculate_integers(char operation, int64_t a, int64_t b) {
  __int128 result = 0;
  switch (operation) {
  case '+':
    result = (__int128)a + b;
    break;
  case '-':
    result = (__int128)a - b;
    break;
  case '*':
    result = (__int128)a * b;
    break;
  default:
    if (b == 0) return plain_null();
    result = (__int128)a % b;
    break;
  }
  return result > INT64_MAX || result < INT64_MIN ? plain_null() : plain_integer((int64_t)result);
}

struct plain plain_calculate(char operation, const struct plain *a, const struct plain *b) {
  if (!plain_is_number(a) || !plain_is_number(b)) return plain_null();
  const bool integers = a->type == PLAIN_INTEGER && b->type == PLAIN_INTEGER;
  if (operation != '/' && integers) return calculate_integers(operation, a->integer, b->integer);
  const double left = a->type == PLAIN_INTEGER ? (double)a->integer : a->real;
  const double right = b->type == PLAIN_INTEGER ? (double)b->integer : b->real;
  switch (operation) {
  case '+':
    return plain_real(left + right);
  case '-':
    return plain_real(left - right);
  case '*':
    return plain_real(left * right);
  case '/':
    return right == 0 ? plain_null() : plain_real(left / right);
  default:
    return plain_null();
  }
}
