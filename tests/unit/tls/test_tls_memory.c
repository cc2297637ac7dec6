/* The region: sizes, bounds, blocks that another thread gives back, and no pattern of sizes that uses it up. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "test_random.h"
#include "tls_memory_internal.h"
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct heap_arena *heap;
static struct tls_memory *memory;
static struct tls_budget budget;

static int start(void **state) {
  (void)state;
  static bool installed;
  const struct tls_heap process = {.take = malloc, .give = free};
  if (!installed && !(installed = tls_memory_install(&process))) abort();
  heap = heap_arena_create();
  memory = tls_memory_create(heap_arena_arena(heap), 16);
  budget = (struct tls_budget){0};
  return memory ? 0 : -1;
}

static int stop(void **state) {
  (void)state;
  heap_arena_destroy(heap);
  return 0;
}

static void takes_and_gives_by_size(void **state) {
  (void)state;
  for (size_t bytes = 1; bytes < 65536 - 16; bytes += 1 + bytes / 7) {
    uint8_t *taken = tls_memory_take(memory, &budget, bytes), *other = tls_memory_take(memory, &budget, bytes);
    assert_non_null(taken);
    assert_non_null(other);
    assert_int_equal((uintptr_t)taken % 16, 0);
    memset(taken, 1, bytes);
    memset(other, 2, bytes);
    for (size_t i = 0; i < bytes; i++) assert_int_equal(taken[i], 1);
    assert_true(budget.used_bytes >= (int64_t)(2 * bytes) && budget.used_bytes < (int64_t)(3 * bytes + 128));
    assert_int_equal(tls_memory_used_bytes(memory), budget.used_bytes);
    tls_memory_give(&budget, taken);
    tls_memory_give(&budget, other);
    assert_int_equal(budget.used_bytes, 0);
  }
  assert_null(tls_memory_take(memory, &budget, 65536));
  assert_int_equal(budget.refused, 1);
}

static void budget_is_kept(void **state) {
  (void)state;
  unsigned count = 0;
  void *taken[16];
  while (count < 16 && (taken[count] = tls_memory_take(memory, &budget, 30000))) count++;
  assert_int_equal(count, TLS_BUDGET_BYTES / 32768);
  assert_int_equal(budget.refused, 1);
  struct tls_budget another = {0};
  void *more = tls_memory_take(memory, &another, 30000);
  assert_non_null(more);
  tls_memory_give(&another, more);
  while (count) tls_memory_give(&budget, taken[--count]);
}

/* All of it in small blocks, then all of it in large ones. */
static void sizes_share_the_region(void **state) {
  (void)state;
  static void *taken[100000];
  for (unsigned round = 0; round < 3; round++) {
    for (size_t bytes = 100; bytes < 65536; bytes *= 5) {
      size_t count = 0;
      while ((taken[count] = tls_memory_take(memory, &budget, bytes))) {
        budget.used_bytes = 0;
        count++;
      }
      assert_true(tls_memory_used_bytes(memory) > 16 * TLS_MEMORY_BYTES_A_CONNECTION);
      assert_false(tls_memory_has_room(memory));
      while (count) tls_memory_give(&budget, taken[--count]);
      assert_int_equal(tls_memory_used_bytes(memory), 0);
      assert_true(tls_memory_has_room(memory));
      budget.used_bytes = 0;
    }
  }
}

static void random_blocks_keep_what_is_in_them(void **state) {
  (void)state;
  struct {
    uint8_t *bytes;
    size_t length;
    uint8_t mark;
  } kept[64] = {0};
  struct test_random random = {.state = 7};
  tls_memory_enter(memory, &budget);
  for (unsigned i = 0; i < 20000; i++) {
    const uint64_t next = random_next(&random);
    const unsigned which = next % 64;
    const size_t length = 1 + (next >> 8) % (next & 64 ? 200 : 2000);
    for (size_t j = 0; j < kept[which].length; j++) assert_int_equal(kept[which].bytes[j], kept[which].mark);
    if (next & 128) {
      OPENSSL_free(kept[which].bytes);
      kept[which].bytes = NULL;
      kept[which].length = 0;
      continue;
    }
    kept[which].bytes = OPENSSL_realloc(kept[which].bytes, length);
    assert_non_null(kept[which].bytes);
    for (size_t j = 0; j < kept[which].length && j < length; j++) assert_int_equal(kept[which].bytes[j], kept[which].mark);
    kept[which].length = length;
    kept[which].mark = (uint8_t)(next >> 20);
    memset(kept[which].bytes, kept[which].mark, length);
  }
  for (unsigned i = 0; i < 64; i++) OPENSSL_free(kept[i].bytes);
  tls_memory_leave();
  assert_int_equal(tls_memory_used_bytes(memory), 0);
  assert_int_equal(budget.used_bytes, 0);
}

#define ELSEWHERE 2000u
static void *elsewhere[ELSEWHERE];

static void *give_all(void *context) {
  (void)context;
  for (unsigned i = 0; i < ELSEWHERE; i++) {
    void *bytes;
    while (!(bytes = __atomic_exchange_n(&elsewhere[i], NULL, __ATOMIC_ACQ_REL))) continue;
    OPENSSL_free(bytes);
  }
  return NULL;
}

static void another_thread_gives_back(void **state) {
  (void)state;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, give_all, NULL), 0);
  for (unsigned i = 0; i < ELSEWHERE; i++) {
    tls_memory_enter(memory, &budget);
    budget.used_bytes = 0;
    void *bytes = OPENSSL_malloc(i % 900 + 1), *own = OPENSSL_malloc(100);
    OPENSSL_free(own);
    tls_memory_leave();
    assert_non_null(bytes);
    memset(bytes, 1, i % 900 + 1);
    __atomic_store_n(&elsewhere[i], bytes, __ATOMIC_RELEASE);
  }
  pthread_join(thread, NULL);
  budget.used_bytes = 0;
  void *last = tls_memory_take(memory, &budget, 1);
  assert_int_equal(tls_memory_used_bytes(memory), 32);
  tls_memory_give(&budget, last);
}

static void heap_when_nobody_is_served(void **state) {
  (void)state;
  void *bytes = OPENSSL_malloc(100);
  bytes = OPENSSL_realloc(bytes, 100000);
  assert_int_equal(tls_memory_used_bytes(memory), 0);
  /* What control took may be given back by a shard. */
  tls_memory_enter(memory, &budget);
  OPENSSL_free(bytes);
  tls_memory_leave();
  assert_int_equal(budget.used_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(takes_and_gives_by_size, start, stop),
      cmocka_unit_test_setup_teardown(budget_is_kept, start, stop),
      cmocka_unit_test_setup_teardown(sizes_share_the_region, start, stop),
      cmocka_unit_test_setup_teardown(random_blocks_keep_what_is_in_them, start, stop),
      cmocka_unit_test_setup_teardown(another_thread_gives_back, start, stop),
      cmocka_unit_test_setup_teardown(heap_when_nobody_is_served, start, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
