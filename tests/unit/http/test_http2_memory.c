/* The blocks that nghttp2 lives from: apart, reused, within the connection's budget and the region. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "http2_memory_internal.h"
#include "test_random.h"
#include <string.h>

static void blocks_are_apart_and_come_back(void **state) {
  (void)state;
  enum { BLOCKS = 200 };
  struct heap_arena *heap = heap_arena_create();
  struct http2_memory memory;
  struct http2_budget budget;
  struct test_random random = {3};
  struct {
    uint8_t *at;
    size_t bytes;
    uint8_t mark;
  } blocks[BLOCKS] = {{NULL, 0, 0}};
  assert_true(http2_memory_init(&memory, heap_arena_arena(heap), 1u << 20));
  http2_budget_init(&budget, &memory, 1u << 19);
  for (int i = 0; i < 20000; i++) {
    const uint32_t which = random_below(&random, BLOCKS);
    const size_t bytes = random_below(&random, random_below(&random, 8) ? 300 : 20000);
    for (size_t b = 0; b < blocks[which].bytes; b++) assert_int_equal(blocks[which].at[b], blocks[which].mark);
    if (blocks[which].at && random_below(&random, 3) == 0) {
      uint8_t *moved = budget.allocator.realloc(blocks[which].at, bytes, &budget);
      if (!moved) continue;
      const size_t kept = bytes < blocks[which].bytes ? bytes : blocks[which].bytes;
      for (size_t b = 0; b < kept; b++) assert_int_equal(moved[b], blocks[which].mark);
      blocks[which].at = moved;
    } else {
      budget.allocator.free(blocks[which].at, &budget);
      blocks[which].at = budget.allocator.calloc(1, bytes, &budget);
      for (size_t b = 0; blocks[which].at && b < bytes; b++) assert_int_equal(blocks[which].at[b], 0);
    }
    blocks[which].bytes = blocks[which].at ? bytes : 0;
    blocks[which].mark = (uint8_t)i;
    if (blocks[which].at) memset(blocks[which].at, blocks[which].mark, bytes);
    assert_true(budget.used <= budget.most && memory.used <= memory.bytes);
  }
  for (int i = 0; i < BLOCKS; i++) http2_budget_give(&budget, blocks[i].at);
  assert_int_equal(budget.used, 0);
  heap_arena_destroy(heap);
}

static void a_budget_is_a_bound(void **state) {
  (void)state;
  struct heap_arena *heap = heap_arena_create();
  struct http2_memory memory;
  struct http2_budget first, second;
  assert_true(http2_memory_init(&memory, heap_arena_arena(heap), 65536));
  http2_budget_init(&first, &memory, 32768);
  http2_budget_init(&second, &memory, 1u << 20);
  assert_null(http2_budget_take(&first, 40000));
  while (http2_budget_take(&first, 1000)) continue;
  assert_int_equal(first.used, 32768);
  assert_non_null(http2_budget_take(&second, 1000));
  while (http2_budget_take(&second, 1000)) continue;
  assert_int_equal(memory.used, memory.bytes);
  assert_true(memory.refused >= 3);
  assert_null(second.allocator.calloc(SIZE_MAX, 2, &second));
  assert_null(http2_budget_take(&second, 1u << 30));
  heap_arena_destroy(heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_are_apart_and_come_back), cmocka_unit_test(a_budget_is_a_bound)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
