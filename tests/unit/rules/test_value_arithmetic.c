/* Arithmetic of rules against the same in 128 bits, and its rules for nulls and types. */
#include "cmocka_test.h"

#include "image.h"
#include <math.h>
#include <stdlib.h>

static struct value integer(int64_t number) { return (struct value){.integer = number, .type = VALUE_INTEGER}; }
static struct value real(double number) { return (struct value){.real = number, .type = VALUE_DOUBLE}; }

static void check_integer(int line, struct value value, int64_t expected) {
  if (value.type != VALUE_INTEGER || value.integer != expected) fail_msg("line %d: not %lld", line, (long long)expected);
}
static void check_real(int line, struct value value, double expected) {
  if (value.type != VALUE_DOUBLE || value.real != expected) fail_msg("line %d: not %g", line, expected);
}
static void check_null(int line, struct value value) {
  if (value.type != VALUE_NULL) fail_msg("line %d: not null", line);
}
#define IS_INTEGER(computation, left, right, expected)                                                                           \
  check_integer(__LINE__, value_compute(computation, &(struct value[]){left}[0], &(struct value[]){right}[0]), expected)
#define IS_REAL(computation, left, right, expected)                                                                              \
  check_real(__LINE__, value_compute(computation, &(struct value[]){left}[0], &(struct value[]){right}[0]), expected)
#define IS_NULL(computation, left, right)                                                                                        \
  check_null(__LINE__, value_compute(computation, &(struct value[]){left}[0], &(struct value[]){right}[0]))

static void test_table(void **state) {
  (void)state;
  IS_INTEGER(COMPUTE_ADD, integer(2), integer(3), 5);
  IS_INTEGER(COMPUTE_SUBTRACT, integer(2), integer(3), -1);
  IS_INTEGER(COMPUTE_MULTIPLY, integer(-2), integer(3), -6);
  IS_INTEGER(COMPUTE_REMAINDER, integer(-7), integer(3), -1);
  IS_INTEGER(COMPUTE_REMAINDER, integer(7), integer(-3), 1);
  IS_INTEGER(COMPUTE_REMAINDER, integer(INT64_MIN), integer(-1), 0);
  IS_INTEGER(COMPUTE_NEGATE, integer(0), integer(5), -5);
  IS_REAL(COMPUTE_DIVIDE, integer(7), integer(2), 3.5);
  IS_REAL(COMPUTE_DIVIDE, integer(6), integer(2), 3.0);
  IS_REAL(COMPUTE_ADD, integer(1), real(0.5), 1.5);
  IS_REAL(COMPUTE_SUBTRACT, real(0.5), integer(1), -0.5);
  IS_REAL(COMPUTE_MULTIPLY, real(2), real(4), 8);
  IS_REAL(COMPUTE_NEGATE, integer(0), real(2.5), -2.5);
  IS_REAL(COMPUTE_MULTIPLY, real(1e300), real(1e300), INFINITY);
  IS_NULL(COMPUTE_ADD, integer(INT64_MAX), integer(1));
  IS_NULL(COMPUTE_SUBTRACT, integer(INT64_MIN), integer(1));
  IS_NULL(COMPUTE_MULTIPLY, integer(INT64_MAX), integer(2));
  IS_NULL(COMPUTE_NEGATE, integer(0), integer(INT64_MIN));
  IS_NULL(COMPUTE_DIVIDE, integer(1), integer(0));
  IS_NULL(COMPUTE_DIVIDE, real(1), real(-0.0));
  IS_NULL(COMPUTE_REMAINDER, integer(1), integer(0));
  IS_NULL(COMPUTE_REMAINDER, real(5), integer(2));
  IS_NULL(COMPUTE_REMAINDER, integer(5), real(2));
}

/* Whatever is no number makes nothing, on either side, of every operation. */
static void test_types(void **state) {
  (void)state;
  const struct value others[] = {{.type = VALUE_NULL},
                                 {.boolean = true, .type = VALUE_BOOL},
                                 {.text = "5", .length = 1, .type = VALUE_STRING},
                                 {.type = VALUE_OTHER}};
  const struct value one = integer(1), half = real(0.5);
  for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
    for (unsigned computation = COMPUTE_ADD; computation <= COMPUTE_NEGATE; computation++) {
      check_null(__LINE__, value_compute((enum column_computation)computation, &one, &others[i]));
      check_null(__LINE__, value_compute((enum column_computation)computation, &half, &others[i]));
      if (computation == COMPUTE_NEGATE) continue;
      check_null(__LINE__, value_compute((enum column_computation)computation, &others[i], &one));
    }
}

static void test_random_integers(void **state) {
  (void)state;
  srandom(4);
  unsigned nulls = 0;
  for (int round = 0; round < 100000; round++) {
    const unsigned shift = (unsigned)random() % 64;
    const int64_t a = (int64_t)((uint64_t)random() << 33 ^ (uint64_t)random()) >> shift;
    const int64_t b = (int64_t)((uint64_t)random() << 33 ^ (uint64_t)random()) >> (unsigned)random() % 64;
    const __int128 exact[] = {(__int128)a + b, (__int128)a - b, (__int128)a * b};
    const struct value left = integer(a), right = integer(b);
    for (unsigned computation = COMPUTE_ADD; computation <= COMPUTE_MULTIPLY; computation++) {
      const struct value result = value_compute((enum column_computation)computation, &left, &right);
      const bool fits = exact[computation] >= INT64_MIN && exact[computation] <= INT64_MAX;
      assert_int_equal(result.type, fits ? VALUE_INTEGER : VALUE_NULL);
      if (fits) assert_true(result.integer == (int64_t)exact[computation]);
      nulls += !fits;
    }
  }
  assert_true(nulls > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_types),
                                     cmocka_unit_test(test_random_integers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
