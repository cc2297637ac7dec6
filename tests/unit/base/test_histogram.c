#include "cmocka_test.h"
#include "histogram.h"
#include "test_random.h"
#include <stdlib.h>
#include <string.h>

static struct histogram histogram, other;

static int set_up(void **state) {
  (void)state;
  memset(&histogram, 0, sizeof histogram);
  memset(&other, 0, sizeof other);
  return 0;
}

static void test_empty(void **state) {
  (void)state;
  assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
  assert_int_equal(histogram_count_at_most(&histogram, UINT64_MAX), 0);
}

/* Each value's bucket bound is at or above it, by at most an eighth. */
static void check_error(uint64_t value) {
  memset(&histogram, 0, sizeof histogram);
  histogram_record(&histogram, value);
  histogram_record(&histogram, UINT64_MAX); /* so that the maximum does not hide the bound */
  const uint64_t bound = histogram_quantile(&histogram, 0.5);
  assert_true(bound >= value);
  assert_true(bound - value <= value / 8);
  assert_int_equal(histogram_count_at_most(&histogram, bound), bound == UINT64_MAX ? 2 : 1);
  if (bound > 0) assert_int_equal(histogram_count_at_most(&histogram, bound - 1), 0);
}

static void test_error_bound(void **state) {
  (void)state;
  for (uint64_t value = 0; value < 5000; value++) check_error(value);
  for (unsigned shift = 3; shift < 64; shift++)
    for (int delta = -2; delta <= 2; delta++) check_error((UINT64_C(1) << shift) + (uint64_t)(int64_t)delta);
  struct test_random random = {3};
  for (unsigned i = 0; i < 20000; i++) check_error(random_next(&random) >> random_below(&random, 64));
  check_error(UINT64_MAX);
}

static int compare_values(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

/* Against the exact answer from the sorted values. */
static void test_quantiles_of_random_values(void **state) {
  (void)state;
  static uint64_t values[10007];
  const size_t count = sizeof values / sizeof *values;
  struct test_random random = {4};
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    values[i] = random_next(&random) >> (20 + random_below(&random, 40));
    sum += values[i];
    histogram_record(&histogram, values[i]);
  }
  qsort(values, count, sizeof *values, compare_values);
  assert_int_equal(histogram.count, count);
  assert_int_equal(histogram.sum, sum);
  assert_int_equal(histogram.maximum, values[count - 1]);
  static const double quantiles[] = {0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
  for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
    size_t rank = (size_t)(quantiles[i] * (double)count);
    if ((double)rank < quantiles[i] * (double)count) rank++;
    const uint64_t exact = values[rank ? rank - 1 : 0], got = histogram_quantile(&histogram, quantiles[i]);
    assert_true(got >= exact && got - exact <= exact / 8);
  }
  assert_int_equal(histogram_quantile(&histogram, 1), histogram.maximum);
  for (size_t i = 0; i < count; i += 97) {
    const uint64_t at_most = histogram_count_at_most(&histogram, values[i]);
    size_t exact = i + 1;
    while (exact < count && values[exact] == values[i]) exact++;
    assert_true(at_most <= exact);
  }
  assert_int_equal(histogram_count_at_most(&histogram, UINT64_MAX), count);
}

static void test_quantile_outside_its_range(void **state) {
  (void)state;
  histogram_record(&histogram, 3);
  histogram_record(&histogram, 1000);
  assert_int_equal(histogram_quantile(&histogram, -1), 3);
  assert_int_equal(histogram_quantile(&histogram, 7), 1000);
  assert_int_equal(histogram_quantile(&histogram, __builtin_nan("")), 3);
}

static void test_merge(void **state) {
  (void)state;
  struct histogram both = {0};
  struct test_random random = {5};
  for (unsigned i = 0; i < 1000; i++) {
    const uint64_t value = random_next(&random) >> random_below(&random, 64);
    histogram_record(i % 3 ? &histogram : &other, value);
    histogram_record(&both, value);
  }
  histogram_merge(&histogram, &other);
  assert_memory_equal(&histogram, &both, sizeof both);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_empty, set_up),
      cmocka_unit_test_setup(test_error_bound, set_up),
      cmocka_unit_test_setup(test_quantiles_of_random_values, set_up),
      cmocka_unit_test_setup(test_quantile_outside_its_range, set_up),
      cmocka_unit_test_setup(test_merge, set_up),
  };
  return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
