/* A producer, which also waits for the durable mark, and a consumer thread on one record ring; the test's own thread reads the
 * counters beside them. What was rolled back or trimmed off carries a mark that must never be seen. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "record_ring.h"
#include "test_random.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define RECORDS 300000u
#define ROLLED_BACK UINT32_MAX
#define RECORD_LEAST 8u
#define PARKED_MOST 64u

struct rig {
  struct record_ring *ring;
  uint64_t seed;
  atomic_uint failures, finished;
  /* Set by the consumer before it moves the durable mark: what a producer that sees the mark must find. */
  uint32_t *made_durable;
  uint64_t rolled_back, refused;
};

struct parked {
  uint64_t position;
  uint32_t last_number;
};

static uint8_t byte_of(uint32_t number, uint32_t at) { return (uint8_t)(number * 131 + at); }

static void fill(uint8_t *record, uint32_t number, uint32_t bytes) {
  memcpy(record, &number, sizeof number);
  memcpy(record + 4, &bytes, sizeof bytes);
  for (uint32_t i = RECORD_LEAST; i < bytes; i++) record[i] = byte_of(number, i);
}

/* Reserves one record, now and then longer than it will be. */
static bool put(struct rig *rig, struct test_random *random, uint32_t number) {
  const uint32_t bytes = RECORD_LEAST + random_below(random, random_below(random, 8) ? 200 : 1500);
  uint32_t reserved = bytes;
  if (random_below(random, 4) == 0) reserved += random_below(random, 300);
  uint8_t *record = record_ring_reserve(rig->ring, reserved);
  if (!record) return false;
  if (reserved != bytes) {
    memset(record, 0xff, reserved);
    record_ring_trim(rig->ring, bytes);
  }
  fill(record, number, bytes);
  return true;
}

/* A response leaves when the mark has passed its position; by then its last record must have been made durable. */
static void release(struct rig *rig, struct parked *parked, uint32_t *count) {
  const uint64_t durable = record_ring_durable(rig->ring);
  uint32_t left = 0;
  for (uint32_t i = 0; i < *count; i++) {
    if (parked[i].position > durable)
      parked[left++] = parked[i];
    else if (!rig->made_durable[parked[i].last_number])
      atomic_fetch_add(&rig->failures, 1);
  }
  *count = left;
}

static void *produce(void *context) {
  struct rig *rig = context;
  struct test_random random = {rig->seed};
  struct parked parked[PARKED_MOST];
  uint32_t parked_count = 0;
  for (uint32_t next = 0; next < RECORDS;) {
    const bool keep = random_below(&random, 8) != 0;
    uint32_t end = next;
    bool whole = true;
    for (uint32_t count = 1 + random_below(&random, 4); whole && count > 0 && end < RECORDS; count--) {
      whole = put(rig, &random, keep ? end : ROLLED_BACK);
      if (whole && keep) end++;
    }
    if (!whole) rig->refused++;
    if (whole && keep) {
      const uint64_t position = record_ring_publish(rig->ring);
      next = end;
      parked[parked_count++] = (struct parked){.position = position, .last_number = end - 1};
    } else {
      record_ring_rollback(rig->ring);
      rig->rolled_back++;
      if (!whole) sched_yield();
    }
    while (parked_count == PARKED_MOST || (next == RECORDS && parked_count > 0)) {
      release(rig, parked, &parked_count);
      sched_yield();
    }
    release(rig, parked, &parked_count);
  }
  atomic_fetch_add(&rig->finished, 1);
  return NULL;
}

static bool intact(const uint8_t *record, uint32_t bytes, uint32_t number) {
  uint32_t got_number, got_bytes;
  if (bytes < RECORD_LEAST) return false;
  memcpy(&got_number, record, sizeof got_number);
  memcpy(&got_bytes, record + 4, sizeof got_bytes);
  if (got_number != number || got_bytes != bytes) return false;
  for (uint32_t i = RECORD_LEAST; i < bytes; i++)
    if (record[i] != byte_of(number, i)) return false;
  return true;
}

static void *consume(void *context) {
  struct rig *rig = context;
  struct test_random random = {~rig->seed};
  uint32_t durable_number = 0;
  for (uint32_t next = 0; next < RECORDS;) {
    uint32_t bytes;
    const uint8_t *record = record_ring_peek(rig->ring, &bytes);
    if (record) {
      if (!intact(record, bytes, next)) atomic_fetch_add(&rig->failures, 1);
      record_ring_advance(rig->ring);
      next++;
    }
    /* The mark trails behind what was read, in batches. */
    if (!record || random_below(&random, 16) == 0 || next == RECORDS) {
      while (durable_number < next) rig->made_durable[durable_number++] = 1;
      record_ring_set_durable(rig->ring, record_ring_read_position(rig->ring));
      sched_yield();
    }
  }
  atomic_fetch_add(&rig->finished, 1);
  return NULL;
}

static void watch(struct rig *rig, uint32_t capacity) {
  struct record_ring_counters last = {0};
  while (atomic_load(&rig->finished) < 2) {
    const struct record_ring_counters now = record_ring_read_counters(rig->ring);
    assert_true(now.published >= last.published && now.read >= last.read && now.refused >= last.refused);
    assert_true(now.bytes_waiting <= capacity && now.bytes_waiting_high_water <= capacity);
    assert_true(now.bytes_waiting_high_water >= last.bytes_waiting_high_water);
    last = now;
    sched_yield();
  }
}

static void test_two_threads(void **state) {
  (void)state;
  static const uint32_t sizes[] = {4096, 16384, 1u << 20};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct heap_arena *heap = heap_arena_create();
    struct rig rig = {.ring = record_ring_create(heap_arena_arena(heap), sizes[i]), .seed = i + 1};
    rig.made_durable = ARENA_ARRAY(heap_arena_arena(heap), uint32_t, RECORDS);
    assert_non_null(rig.ring);
    assert_non_null(rig.made_durable);
    pthread_t producer, consumer;
    assert_int_equal(pthread_create(&producer, NULL, produce, &rig), 0);
    assert_int_equal(pthread_create(&consumer, NULL, consume, &rig), 0);
    watch(&rig, sizes[i]);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    assert_int_equal(atomic_load(&rig.failures), 0);
    const struct record_ring_counters counters = record_ring_read_counters(rig.ring);
    assert_int_equal(counters.published, RECORDS);
    assert_int_equal(counters.read, RECORDS);
    assert_int_equal(counters.refused, rig.refused);
    assert_int_equal(counters.bytes_waiting, 0);
    assert_true(rig.rolled_back > RECORDS / 100);
    heap_arena_destroy(heap);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_threads)};
  return cmocka_run_group_tests_name("record_ring_stress", tests, NULL, NULL);
}
