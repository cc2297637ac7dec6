#include "image.h"

static struct value null_value(void) { return (struct value){.type = VALUE_NULL}; }
static struct value integer_value(int64_t integer) { return (struct value){.integer = integer, .type = VALUE_INTEGER}; }
static struct value double_value(double real) { return (struct value){.real = real, .type = VALUE_DOUBLE}; }

static bool is_number(const struct value *value) { return value->type == VALUE_INTEGER || value->type == VALUE_DOUBLE; }
static double real_of(const struct value *value) { return value->type == VALUE_INTEGER ? (double)value->integer : value->real; }

static struct value divide(const struct value *left, const struct value *right) {
  const double divisor = real_of(right);
  return divisor == 0 ? null_value() : double_value(real_of(left) / divisor);
}

/* The smallest integer has a remainder by -1, though its quotient does not fit. */
static struct value remainder_of(const struct value *left, const struct value *right) {
  if (left->type != VALUE_INTEGER || right->type != VALUE_INTEGER || right->integer == 0) return null_value();
  return integer_value(right->integer == -1 ? 0 : left->integer % right->integer);
}

static struct value compute_integers(enum column_computation computation, int64_t left, int64_t right) {
  int64_t result = 0;
  bool over = true;
  switch (computation) {
  case COMPUTE_ADD:
    over = __builtin_add_overflow(left, right, &result);
    break;
  case COMPUTE_SUBTRACT:
    over = __builtin_sub_overflow(left, right, &result);
    break;
  case COMPUTE_MULTIPLY:
    over = __builtin_mul_overflow(left, right, &result);
    break;
  default:
    break;
  }
  return over ? null_value() : integer_value(result);
}

struct value value_compute(enum column_computation computation, const struct value *left, const struct value *right) {
  if (computation == COMPUTE_NEGATE) {
    if (right->type == VALUE_DOUBLE) return double_value(-right->real);
    return right->type == VALUE_INTEGER ? compute_integers(COMPUTE_SUBTRACT, 0, right->integer) : null_value();
  }
  if (!is_number(left) || !is_number(right)) return null_value();
  if (computation == COMPUTE_DIVIDE) return divide(left, right);
  if (computation == COMPUTE_REMAINDER) return remainder_of(left, right);
  if (left->type == VALUE_INTEGER && right->type == VALUE_INTEGER)
    return compute_integers(computation, left->integer, right->integer);
  const double a = real_of(left), b = real_of(right);
  return double_value(computation == COMPUTE_ADD ? a + b : computation == COMPUTE_SUBTRACT ? a - b : a * b);
}
