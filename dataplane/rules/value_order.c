#include "image.h"
#include <string.h>

#define TWO_TO_63 9223372036854775808.0

/* Exact: a double is compared with an int64 by its whole part first, never by rounding the integer. */
static int compare_integer_double(int64_t integer, double real) {
  if (real != real) return 2;
  if (real >= TWO_TO_63) return -1;
  if (real < -TWO_TO_63) return 1;
  const int64_t whole = (int64_t)real;
  if (integer != whole) return integer < whole ? -1 : 1;
  const double fraction = real - (double)whole;
  return fraction > 0 ? -1 : fraction < 0;
}

static int compare_text(const struct value *a, const struct value *b) {
  const uint32_t common = a->length < b->length ? a->length : b->length;
  const int order = common ? memcmp(a->text, b->text, common) : 0;
  if (order != 0) return order < 0 ? -1 : 1;
  return a->length < b->length ? -1 : a->length > b->length;
}

int value_compare(const struct value *a, const struct value *b) {
  if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER) return a->integer < b->integer ? -1 : a->integer > b->integer;
  if (a->type == VALUE_INTEGER && b->type == VALUE_DOUBLE) return compare_integer_double(a->integer, b->real);
  if (a->type == VALUE_DOUBLE && b->type == VALUE_INTEGER) {
    const int order = compare_integer_double(b->integer, a->real);
    return order == 2 ? 2 : -order;
  }
  if (a->type == VALUE_DOUBLE && b->type == VALUE_DOUBLE)
    return a->real != a->real || b->real != b->real ? 2 : a->real < b->real ? -1 : a->real > b->real;
  if (a->type == VALUE_STRING && b->type == VALUE_STRING) return compare_text(a, b);
  if (a->type == VALUE_BOOL && b->type == VALUE_BOOL) return a->boolean == b->boolean ? 0 : 2;
  return 2;
}

bool value_identity(const struct value *value, struct value *identity) {
  *identity = *value;
  if (value->type == VALUE_INTEGER) return true;
  if (value->type != VALUE_DOUBLE || value->real != value->real) return false;
  if (value->real >= -TWO_TO_63 && value->real < TWO_TO_63 && (double)(int64_t)value->real == value->real)
    *identity = (struct value){.integer = (int64_t)value->real, .type = VALUE_INTEGER};
  return true;
}
