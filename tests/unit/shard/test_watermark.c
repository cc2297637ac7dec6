/* States by marks, held until the release, for every fill of small and large resources. */
#include "cmocka_test.h"
#include "watermark.h"

static const struct watermark_marks marks = {.soft = 12, .soft_release = 10, .hard = 14, .hard_release = 12};

static void expect(struct watermark *watermark, uint64_t used, uint64_t capacity, enum pressure state) {
  const enum pressure before = watermark->state;
  assert_int_equal(watermark_update(watermark, &marks, used, capacity), before != state);
  if (watermark->state != state)
    fail_msg("%llu of %llu: %s", (unsigned long long)used, (unsigned long long)capacity, pressure_name(watermark->state));
  assert_int_equal(watermark->used, used);
  assert_int_equal(watermark->capacity, capacity);
}

static void a_state_is_left_lower_than_it_was_entered(void **state) {
  (void)state;
  struct watermark watermark = {0};
  expect(&watermark, 0, 160, PRESSURE_NORMAL);
  expect(&watermark, 119, 160, PRESSURE_NORMAL);
  expect(&watermark, 120, 160, PRESSURE_SOFT);
  expect(&watermark, 101, 160, PRESSURE_SOFT);
  expect(&watermark, 139, 160, PRESSURE_SOFT);
  expect(&watermark, 140, 160, PRESSURE_HARD);
  expect(&watermark, 121, 160, PRESSURE_HARD);
  expect(&watermark, 120, 160, PRESSURE_SOFT);
  expect(&watermark, 160, 160, PRESSURE_HARD);
  expect(&watermark, 101, 160, PRESSURE_SOFT);
  expect(&watermark, 100, 160, PRESSURE_NORMAL);
  expect(&watermark, 119, 160, PRESSURE_NORMAL);
  expect(&watermark, 150, 160, PRESSURE_HARD);
  expect(&watermark, 0, 160, PRESSURE_NORMAL);
  assert_int_equal(watermark.entered[PRESSURE_NORMAL], 2);
  assert_int_equal(watermark.entered[PRESSURE_SOFT], 3);
  assert_int_equal(watermark.entered[PRESSURE_HARD], 3);
}

static void what_does_not_exist_is_not_short(void **state) {
  (void)state;
  struct watermark watermark = {0};
  expect(&watermark, 0, 0, PRESSURE_NORMAL);
  expect(&watermark, 5, 0, PRESSURE_NORMAL);
}

static void the_smallest_and_the_largest(void **state) {
  (void)state;
  struct watermark one = {0}, four = {0}, largest = {0};
  expect(&one, 1, 1, PRESSURE_HARD);
  expect(&one, 0, 1, PRESSURE_NORMAL);
  expect(&four, 2, 4, PRESSURE_NORMAL);
  expect(&four, 3, 4, PRESSURE_SOFT);
  expect(&four, 4, 4, PRESSURE_HARD);
  expect(&four, 3, 4, PRESSURE_SOFT);
  expect(&four, 2, 4, PRESSURE_NORMAL);
  expect(&largest, UINT64_MAX / 16, UINT64_MAX / 16, PRESSURE_HARD);
  expect(&largest, 1, UINT64_MAX / 16, PRESSURE_NORMAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_state_is_left_lower_than_it_was_entered),
      cmocka_unit_test(what_does_not_exist_is_not_short),
      cmocka_unit_test(the_smallest_and_the_largest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
