#include "cmocka_test.h"
#include "expect_trap.h"
#include "heap_arena.h"
#include "pool.h"
#include "test_random.h"
#include <string.h>

#define CAPACITY 100

static int set_up(void **state) {
  *state = heap_arena_create();
  return *state ? 0 : -1;
}

static int tear_down(void **state) {
  heap_arena_destroy(*state);
  return 0;
}

static void test_takes_capacity_then_refuses(void **state) {
  struct pool pool;
  assert_true(pool_init(&pool, heap_arena_arena(*state), 70, CAPACITY));
  assert_int_equal(pool.item_bytes, 128);
  uint8_t *items[CAPACITY];
  for (unsigned i = 0; i < CAPACITY; i++) {
    items[i] = pool_take(&pool);
    assert_non_null(items[i]);
    assert_int_equal((uintptr_t)items[i] % CACHE_LINE_BYTES, 0);
    memset(items[i], (int)i, 70);
    assert_int_equal(pool_free_count(&pool), CAPACITY - 1 - i);
  }
  assert_null(pool_take(&pool));
  assert_null(pool_take(&pool));
  assert_int_equal(pool.exhausted, 2);
  /* No two overlap. */
  for (unsigned i = 0; i < CAPACITY; i++)
    for (unsigned j = 0; j < 70; j++) assert_int_equal(items[i][j], i);
  for (unsigned i = 0; i < CAPACITY; i++) pool_give(&pool, items[i]);
  assert_int_equal(pool.in_use, 0);
  assert_int_equal(pool.in_use_high_water, CAPACITY);
  assert_non_null(pool_take(&pool));
}

static void test_random_takes_and_gives(void **state) {
  struct pool pool;
  assert_true(pool_init(&pool, heap_arena_arena(*state), 64, CAPACITY));
  struct test_random random = {1};
  void *held[CAPACITY];
  uint32_t count = 0, most = 0;
  uint64_t refused = 0;
  for (unsigned step = 0; step < 100000; step++) {
    if (random_below(&random, 100) < 52) {
      void *item = pool_take(&pool);
      assert_int_equal(item == NULL, count == CAPACITY);
      if (!item) {
        refused++;
        continue;
      }
      for (uint32_t i = 0; i < count; i++) assert_ptr_not_equal(item, held[i]);
      held[count++] = item;
      if (count > most) most = count;
    } else if (count > 0) {
      const uint32_t victim = random_below(&random, count);
      pool_give(&pool, held[victim]);
      held[victim] = held[--count];
    }
    assert_int_equal(pool.in_use, count);
  }
  assert_int_equal(pool.in_use_high_water, most);
  assert_int_equal(pool.exhausted, refused);
}

static void test_arena_spent(void **state) {
  heap_arena_limit(*state, 0);
  struct pool pool;
  assert_false(pool_init(&pool, heap_arena_arena(*state), 64, CAPACITY));
}

static void test_empty_pool(void **state) {
  struct pool pool;
  assert_true(pool_init(&pool, heap_arena_arena(*state), 64, 0));
  assert_null(pool_take(&pool));
  assert_int_equal(pool.exhausted, 1);
}

static struct pool trapped;

static void give(void *item) { pool_give(&trapped, item); }

static void test_foreign_gives_trap(void **state) {
  assert_true(pool_init(&trapped, heap_arena_arena(*state), 64, 4));
  uint8_t *item = pool_take(&trapped);
  int foreign = 0;
  assert_true(traps(give, &foreign));
  assert_true(traps(give, item + 1));
  assert_true(traps(give, trapped.items + 4 * 64));
  assert_false(traps(give, item));
  pool_give(&trapped, item);
  /* More gives than takes. */
  assert_true(traps(give, item));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_takes_capacity_then_refuses, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_random_takes_and_gives, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_arena_spent, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_empty_pool, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_foreign_gives_trap, set_up, tear_down),
  };
  return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
