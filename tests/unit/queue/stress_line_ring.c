/* A producer and a consumer thread on one line ring; the test's own thread reads the counters beside them. What was rolled
 * back carries a mark that must never be seen. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "test_random.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define MESSAGES 400000u
#define ROLLED_BACK UINT32_MAX

struct message {
  struct line_header header;
  uint32_t number;
  uint32_t lines;
};

struct rig {
  struct line_ring *ring;
  uint64_t seed;
  atomic_uint failures, finished;
  uint64_t rolled_back, refused;
};

static uint64_t word_of(uint32_t number, uint32_t at) { return (uint64_t)number << 32 | at; }

static void fill(struct message *message, uint32_t number, uint32_t lines) {
  message->header.type = (uint16_t)number;
  message->number = number;
  message->lines = lines;
  uint64_t *words = (uint64_t *)(void *)message;
  for (uint32_t i = 2; i < lines * LINE_BYTES / 8; i++) words[i] = word_of(number, i);
}

static void *produce(void *context) {
  struct rig *rig = context;
  struct test_random random = {rig->seed};
  for (uint32_t next = 0; next < MESSAGES;) {
    const bool keep = random_below(&random, 8) != 0;
    uint32_t end = next;
    bool whole = true;
    for (uint32_t count = 1 + random_below(&random, 6); whole && count > 0 && end < MESSAGES; count--) {
      const uint32_t lines = 1 + random_below(&random, random_below(&random, 8) ? 3 : LINE_MESSAGE_LINES_MAX);
      struct message *message = line_ring_reserve(rig->ring, lines);
      whole = message != NULL;
      if (whole) fill(message, keep ? end++ : ROLLED_BACK, lines);
    }
    if (!whole) rig->refused++;
    if (whole && keep) {
      line_ring_publish(rig->ring);
      next = end;
    } else {
      line_ring_rollback(rig->ring);
      rig->rolled_back++;
      if (!whole) sched_yield();
    }
  }
  atomic_fetch_add(&rig->finished, 1);
  return NULL;
}

static bool intact(const struct message *message, uint32_t number) {
  if (message->number != number || message->header.type != (uint16_t)number) return false;
  if (message->header.lines != message->lines) return false;
  const uint64_t *words = (const uint64_t *)(const void *)message;
  for (uint32_t i = 2; i < message->lines * LINE_BYTES / 8; i++)
    if (words[i] != word_of(number, i)) return false;
  return true;
}

static void *consume(void *context) {
  struct rig *rig = context;
  for (uint32_t next = 0; next < MESSAGES;) {
    const struct message *message = line_ring_peek(rig->ring);
    if (!message) {
      sched_yield();
      continue;
    }
    if (!intact(message, next)) {
      atomic_fetch_add(&rig->failures, 1);
      next = message->number;
    }
    line_ring_consume(rig->ring);
    next++;
  }
  atomic_fetch_add(&rig->finished, 1);
  return NULL;
}

static void watch(struct rig *rig, uint32_t lines) {
  struct line_ring_counters last = {0};
  while (atomic_load(&rig->finished) < 2) {
    const struct line_ring_counters now = line_ring_read_counters(rig->ring);
    assert_true(now.published >= last.published && now.consumed >= last.consumed && now.refused >= last.refused);
    assert_true(now.published <= MESSAGES && now.consumed <= MESSAGES && now.lines_waiting <= lines);
    last = now;
    sched_yield();
  }
}

static void test_two_threads(void **state) {
  (void)state;
  static const uint32_t sizes[] = {128, 256, 4096};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct heap_arena *heap = heap_arena_create();
    struct rig rig = {.ring = line_ring_create(heap_arena_arena(heap), sizes[i]), .seed = i + 1};
    assert_non_null(rig.ring);
    pthread_t producer, consumer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &rig), 0);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &rig), 0);
    watch(&rig, sizes[i]);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    assert_int_equal(atomic_load(&rig.failures), 0);
    assert_null(line_ring_peek(rig.ring));
    const struct line_ring_counters counters = line_ring_read_counters(rig.ring);
    assert_int_equal(counters.published, MESSAGES);
    assert_int_equal(counters.consumed, MESSAGES);
    assert_int_equal(counters.refused, rig.refused);
    assert_int_equal(counters.lines_waiting, 0);
    assert_true(rig.rolled_back > MESSAGES / 100);
    heap_arena_destroy(heap);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_threads)};
  return cmocka_run_group_tests_name("line_ring_stress", tests, NULL, NULL);
}
