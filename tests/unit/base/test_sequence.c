#include "cmocka_test.h"
#include "sequence.h"
#include "test_random.h"

static void test_order_holds_across_the_wrap(void **state) {
  (void)state;
  struct test_random random = {8};
  for (unsigned i = 0; i < 100000; i++) {
    const uint32_t a = i < 4 ? i - 2 : (uint32_t)random_next(&random);
    const uint32_t distance = 1 + random_below(&random, 0x7fffffff);
    const uint32_t b = a + distance;
    assert_true(seq_before(a, b));
    assert_true(seq_at_or_before(a, b));
    assert_true(seq_after(b, a));
    assert_false(seq_before(b, a));
    assert_false(seq_at_or_before(b, a));
    assert_false(seq_after(a, b));
    assert_int_equal(seq_max(a, b), b);
    assert_int_equal(seq_max(b, a), b);
    assert_true(seq_at_or_before(a, a));
    assert_false(seq_before(a, a));
    assert_false(seq_after(a, a));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_holds_across_the_wrap)};
  return cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
}
