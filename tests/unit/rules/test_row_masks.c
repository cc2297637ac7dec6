/* The vector loops over 64 rows give what their scalar twins give. */
#include "cmocka_test.h"

#include "rules_internal.h"
#include <stdlib.h>

static int64_t odd_integer(void) {
  static const int64_t edges[] = {0,        1, -1, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1, 1ll << 32, -(1ll << 32),
                                  1ll << 31};
  const long pick = random() % 4;
  if (pick == 0) return edges[(size_t)random() % (sizeof edges / sizeof edges[0])];
  if (pick == 1) return random() % 4;
  return (int64_t)((uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random());
}

static void test_twins(void **state) {
  (void)state;
  srandom(8);
  for (int round = 0; round < 20000; round++) {
    uint32_t numbers[EVENT_BATCH_ROWS];
    int64_t left[EVENT_BATCH_ROWS], right[EVENT_BATCH_ROWS];
    for (unsigned row = 0; row < EVENT_BATCH_ROWS; row++) {
      numbers[row] = random() % 3 ? (uint32_t)random() % 4 : (uint32_t)odd_integer();
      left[row] = odd_integer();
      right[row] = random() % 4 ? odd_integer() : left[row];
    }
    const uint32_t number = numbers[(size_t)random() % EVENT_BATCH_ROWS];
    const int64_t integer = random() % 2 ? left[(size_t)random() % EVENT_BATCH_ROWS] : odd_integer();
    assert_true(rows_equal(numbers, number) == rows_equal_scalar(numbers, number));
    assert_true(rows_of_integer(left, integer) == rows_of_integer_scalar(left, integer));
    assert_true(rows_above(left, integer) == rows_above_scalar(left, integer));
    assert_true(rows_above_each(left, right) == rows_above_each_scalar(left, right));
    assert_true(rows_equal_each(left, right) == rows_equal_each_scalar(left, right));
  }
}

/* The twins themselves, against what is meant. */
static void test_meaning(void **state) {
  (void)state;
  int64_t left[EVENT_BATCH_ROWS] = {0}, right[EVENT_BATCH_ROWS] = {0};
  left[0] = 1;
  right[5] = 1;
  left[63] = INT64_MAX;
  right[63] = INT64_MIN;
  assert_true(rows_above_each_scalar(left, right) == (1ull | 1ull << 63));
  assert_true(rows_above_each_scalar(right, left) == 1ull << 5);
  assert_true(rows_equal_each_scalar(left, right) == ~(1ull | 1ull << 5 | 1ull << 63));
  assert_true(rows_above_scalar(left, 0) == (1ull | 1ull << 63));
  assert_true(rows_of_integer_scalar(left, INT64_MAX) == 1ull << 63);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_twins), cmocka_unit_test(test_meaning)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
