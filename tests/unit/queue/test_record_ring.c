#include "cmocka_test.h"
#include "expect_trap.h"
#include "heap_arena.h"
#include "record_ring.h"
#include "test_random.h"
#include <string.h>

static struct heap_arena *heap;

static int set_up(void **state) {
  (void)state;
  heap = heap_arena_create();
  return heap ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  heap_arena_destroy(heap);
  return 0;
}

static struct record_ring *new_ring(uint32_t bytes) {
  struct record_ring *ring = record_ring_create(heap_arena_arena(heap), bytes);
  assert_non_null(ring);
  return ring;
}

static uint8_t byte_of(uint32_t number) { return (uint8_t)(number * 29 + 1); }

static bool put(struct record_ring *ring, uint32_t number, uint32_t bytes) {
  uint8_t *record = record_ring_reserve(ring, bytes);
  if (!record) return false;
  assert_int_equal((uintptr_t)record % 8, 0);
  memset(record, byte_of(number), bytes);
  return true;
}

static void check_record(struct record_ring *ring, uint32_t number, uint32_t bytes) {
  uint32_t got = 0;
  const uint8_t *record = record_ring_peek(ring, &got);
  assert_non_null(record);
  assert_int_equal(got, bytes);
  for (uint32_t i = 0; i < bytes; i++) assert_int_equal(record[i], byte_of(number));
}

static void take(struct record_ring *ring, uint32_t number, uint32_t bytes) {
  check_record(ring, number, bytes);
  record_ring_advance(ring);
}

static bool empty(struct record_ring *ring) {
  uint32_t bytes;
  return record_ring_peek(ring, &bytes) == NULL;
}

static void test_publish_makes_visible(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(4096);
  assert_true(empty(ring));
  assert_true(put(ring, 1, 1));
  assert_true(put(ring, 2, 100));
  assert_int_equal(record_ring_reserved_count(ring), 2);
  assert_true(empty(ring));
  const uint64_t position = record_ring_publish(ring);
  assert_int_equal(record_ring_reserved_count(ring), 0);
  assert_int_equal(record_ring_publish(ring), position);
  take(ring, 1, 1);
  assert_true(record_ring_read_position(ring) < position);
  take(ring, 2, 100);
  assert_int_equal(record_ring_read_position(ring), position);
  assert_true(empty(ring));
}

static void test_a_unit_is_what_was_published_together(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(4096);
  for (uint32_t round = 0; round < 100; round++) { /* also around the ring's end */
    assert_true(put(ring, 1, 100));
    record_ring_rollback(ring);
    assert_true(put(ring, 1, 100));
    assert_true(put(ring, 2, 300));
    record_ring_trim(ring, 200);
    assert_int_equal(record_ring_reserved_bytes(ring), record_ring_footprint(100) + record_ring_footprint(200));
    record_ring_publish(ring);
    assert_int_equal(record_ring_reserved_bytes(ring), 0);
    assert_true(put(ring, 3, 50));
    record_ring_publish(ring);
    check_record(ring, 1, 100);
    assert_int_equal(record_ring_unit_bytes(ring), record_ring_footprint(100) + record_ring_footprint(200));
    record_ring_advance(ring);
    check_record(ring, 2, 200);
    assert_int_equal(record_ring_unit_bytes(ring), 0);
    record_ring_advance(ring);
    check_record(ring, 3, 50);
    assert_int_equal(record_ring_unit_bytes(ring), record_ring_footprint(50));
    record_ring_advance(ring);
  }
}

static void test_trim(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(4096);
  for (uint32_t to = 1; to <= 200; to++) {
    assert_true(put(ring, 1, 9));
    assert_true(put(ring, 2, 200));
    record_ring_trim(ring, to);
    const uint8_t *third = record_ring_reserve(ring, 8);
    assert_non_null(third);
    memset((void *)(uintptr_t)third, byte_of(3), 8);
    record_ring_publish(ring);
    take(ring, 1, 9);
    take(ring, 2, to);
    take(ring, 3, 8);
    assert_true(empty(ring));
  }
}

static void test_rollback_leaves_nothing(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(1024);
  uint64_t position = 0;
  for (uint32_t number = 0; number < 1000; number++) {
    assert_true(put(ring, 77, 1 + number % 400));
    assert_true(put(ring, 78, 16));
    record_ring_trim(ring, 3);
    record_ring_rollback(ring);
    assert_int_equal(record_ring_reserved_count(ring), 0);
    assert_int_equal(record_ring_publish(ring), position);
    assert_true(empty(ring));
    assert_true(put(ring, number, 1 + number % 300));
    position = record_ring_publish(ring);
    record_ring_rollback(ring); /* touches nothing published */
    take(ring, number, 1 + number % 300);
    assert_int_equal(record_ring_read_position(ring), position);
  }
  const struct record_ring_counters counters = record_ring_read_counters(ring);
  assert_int_equal(counters.published, 1000);
  assert_int_equal(counters.read, 1000);
  assert_int_equal(counters.bytes_waiting, 0);
}

static void test_full_refuses_and_counts(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(1024);
  /* 16 bytes each with the prefix. */
  for (uint32_t number = 0; number < 64; number++) {
    assert_true(put(ring, number, 8));
    record_ring_publish(ring);
  }
  assert_false(put(ring, 0, 8));
  assert_false(put(ring, 0, 1));
  struct record_ring_counters counters = record_ring_read_counters(ring);
  assert_int_equal(counters.refused, 2);
  assert_int_equal(counters.bytes_waiting, 1024);
  assert_int_equal(counters.bytes_waiting_high_water, 1024);
  for (uint32_t number = 0; number < 64; number++) take(ring, number, 8);
  assert_true(put(ring, 0, 8));
  record_ring_rollback(ring);
  counters = record_ring_read_counters(ring);
  assert_int_equal(counters.bytes_waiting, 0);
  assert_int_equal(counters.bytes_waiting_high_water, 1024);
}

static void test_longest_record(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(256 * 1024);
  assert_int_equal(record_ring_capacity(ring), 256 * 1024);
  for (uint32_t number = 0; number < 50; number++) {
    assert_true(put(ring, number, RECORD_BYTES_MAX));
    record_ring_publish(ring);
    take(ring, number, RECORD_BYTES_MAX);
    /* Walk over all alignments of the wrap. */
    assert_true(put(ring, number, 8 * (number + 1)));
    record_ring_publish(ring);
    take(ring, number, 8 * (number + 1));
  }
  assert_false(put(ring, 0, RECORD_BYTES_MAX + 1));
  struct record_ring *small = new_ring(128);
  for (uint32_t number = 0; number < 100; number++) {
    assert_false(put(small, 0, 57));
    assert_true(put(small, number, 56));
    record_ring_publish(small);
    take(small, number, 56);
    assert_true(put(small, number, 1));
    record_ring_publish(small);
    take(small, number, 1);
  }
}

/* What record_ring_capacity promises of footprints. */
static void test_transaction_that_fits(void **state) {
  (void)state;
  enum { BYTES = 1024, LONGEST = BYTES / 2 - 8 };
  struct record_ring *ring = new_ring(BYTES);
  struct test_random random = {2};
  for (unsigned round = 0; round < 20000; round++) {
    uint32_t sizes[64], count = 0, total = 0;
    for (;;) {
      const uint32_t bytes = 1 + random_below(&random, round % 3 ? 100 : LONGEST);
      total += record_ring_footprint(bytes);
      if (total + record_ring_footprint(LONGEST) > record_ring_capacity(ring)) break;
      assert_true(put(ring, count, bytes));
      sizes[count++] = bytes;
    }
    record_ring_publish(ring);
    for (uint32_t i = 0; i < count; i++) take(ring, i, sizes[i]);
  }
  assert_int_equal(record_ring_read_counters(ring).refused, 0);
}

/* A transaction is durable exactly when the mark reaches the position its publish returned, wherever the ring wraps. */
static void test_durable_mark_and_positions(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(512);
  struct test_random random = {3};
  assert_int_equal(record_ring_durable(ring), 0);
  uint64_t last = 0;
  for (unsigned round = 0; round < 20000; round++) {
    uint32_t sizes[8], count = 0;
    while (count < 1 + round % 3) {
      const uint32_t bytes = 1 + random_below(&random, 60);
      if (!put(ring, count, bytes)) break;
      sizes[count++] = bytes;
    }
    const uint64_t position = record_ring_publish(ring);
    assert_true(count == 0 ? position == last : position > last);
    last = position;
    for (uint32_t i = 0; i < count; i++) {
      assert_true(record_ring_durable(ring) < position);
      take(ring, i, sizes[i]);
      record_ring_set_durable(ring, record_ring_read_position(ring));
    }
    assert_true(record_ring_durable(ring) >= position);
  }
}

static void test_peeked_record_stays(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(512);
  for (uint32_t number = 0; number < 500; number++) {
    const uint32_t bytes = 1 + number * 7 % 200;
    assert_true(put(ring, number, bytes));
    record_ring_publish(ring);
    check_record(ring, number, bytes);
    while (put(ring, number + 1, 5)) continue;
    check_record(ring, number, bytes);
    record_ring_rollback(ring);
    record_ring_advance(ring);
  }
}

static void test_against_model(void **state) {
  (void)state;
  enum { QUEUE = 4096 };
  static uint32_t queued[QUEUE];
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct test_random random = {seed};
    struct record_ring *ring = new_ring(2048u << seed % 3);
    uint32_t published = 0, consumed = 0;
    uint64_t refused = 0, waiting_most = 0;
    for (unsigned step = 0; step < 20000; step++) {
      if (random_below(&random, 2)) {
        uint32_t next = published;
        bool whole = true;
        for (uint32_t count = 1 + random_below(&random, 5); whole && count > 0; count--) {
          uint32_t bytes = 1 + random_below(&random, random_below(&random, 4) ? 80 : 1000);
          whole = put(ring, next, bytes);
          if (whole && random_below(&random, 3) == 0) {
            bytes = 1 + random_below(&random, bytes);
            record_ring_trim(ring, bytes);
          }
          if (whole) queued[next++ % QUEUE] = bytes;
          assert_int_equal(record_ring_reserved_count(ring), next - published);
        }
        refused += !whole;
        if (whole && random_below(&random, 4)) {
          record_ring_publish(ring);
          published = next;
        } else {
          record_ring_rollback(ring);
        }
      } else {
        for (uint32_t count = random_below(&random, 8); count > 0 && consumed < published; count--, consumed++)
          take(ring, consumed, queued[consumed % QUEUE]);
        if (consumed == published) assert_true(empty(ring));
      }
      const struct record_ring_counters counters = record_ring_read_counters(ring);
      assert_int_equal(counters.published, published);
      assert_int_equal(counters.read, consumed);
      assert_int_equal(counters.refused, refused);
      assert_int_equal(counters.bytes_waiting > 0, published > consumed);
      if (counters.bytes_waiting > waiting_most) waiting_most = counters.bytes_waiting;
      assert_true(counters.bytes_waiting_high_water <= waiting_most);
    }
    assert_true(published > 5000 && refused > 0);
  }
}

static void test_arena_spent(void **state) {
  (void)state;
  for (unsigned takes = 0; takes < 2; takes++) {
    heap_arena_limit(heap, takes);
    assert_null(record_ring_create(heap_arena_arena(heap), 4096));
  }
}

static void create_odd(void *arena) { record_ring_create(arena, 1000); }
static void advance_unpeeked(void *ring) { record_ring_advance(ring); }
static void trim_nothing(void *ring) { record_ring_trim(ring, 1); }
static void reserve_nothing(void *ring) { record_ring_reserve(ring, 0); }
static void durable_past_read(void *ring) { record_ring_set_durable(ring, record_ring_read_position(ring) + 8); }
static void durable_backwards(void *ring) { record_ring_set_durable(ring, record_ring_durable(ring) - 8); }

static void trim_longer(void *ring) {
  record_ring_reserve(ring, 10);
  record_ring_trim(ring, 11);
}

static void test_misuse_traps(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(4096);
  assert_true(put(ring, 0, 8));
  record_ring_publish(ring);
  take(ring, 0, 8);
  record_ring_set_durable(ring, record_ring_read_position(ring));
  assert_true(traps(create_odd, heap_arena_arena(heap)));
  assert_true(traps(advance_unpeeked, ring));
  assert_true(traps(trim_nothing, ring));
  assert_true(traps(trim_longer, ring));
  assert_true(traps(reserve_nothing, ring));
  assert_true(traps(durable_past_read, ring));
  assert_true(traps(durable_backwards, ring));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void test_the_most_urgent_of_what_was_published(void **state) {
  (void)state;
  struct record_ring *ring = new_ring(4096);
  static const enum record_durability said[] = {DURABILITY_RELAXED, DURABILITY_BALANCED, DURABILITY_RELAXED};
  uint64_t positions[5] = {0};
  for (uint32_t i = 0; i < 3; i++) {
    record_ring_set_durability(ring, said[i]);
    assert_true(put(ring, i, 40));
    positions[i + 1] = record_ring_publish(ring);
  }
  assert_int_equal(record_ring_urgency(ring, 0), DURABILITY_BALANCED);
  assert_int_equal(record_ring_urgency(ring, positions[1]), DURABILITY_BALANCED);
  assert_int_equal(record_ring_urgency(ring, positions[2]), DURABILITY_RELAXED);
  /* Said for one publish only, also when that one is empty or rolled back. */
  assert_true(put(ring, 3, 40));
  positions[4] = record_ring_publish(ring);
  assert_int_equal(record_ring_urgency(ring, positions[2]), DURABILITY_STRICT);
  assert_int_equal(record_ring_urgency(ring, positions[4]), DURABILITY_RELAXED);
  record_ring_set_durability(ring, DURABILITY_RELAXED);
  record_ring_publish(ring);
  assert_true(put(ring, 4, 40));
  record_ring_publish(ring);
  assert_int_equal(record_ring_urgency(ring, positions[4]), DURABILITY_STRICT);
  const uint64_t end = record_ring_publish(ring);
  record_ring_set_durability(ring, DURABILITY_RELAXED);
  assert_true(put(ring, 5, 40));
  record_ring_rollback(ring);
  assert_true(put(ring, 5, 40));
  record_ring_publish(ring);
  assert_int_equal(record_ring_urgency(ring, end), DURABILITY_STRICT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_publish_makes_visible),
      TEST(test_a_unit_is_what_was_published_together),
      TEST(test_trim),
      TEST(test_rollback_leaves_nothing),
      TEST(test_full_refuses_and_counts),
      TEST(test_longest_record),
      TEST(test_transaction_that_fits),
      TEST(test_durable_mark_and_positions),
      TEST(test_peeked_record_stays),
      TEST(test_the_most_urgent_of_what_was_published),
      TEST(test_against_model),
      TEST(test_arena_spent),
      TEST(test_misuse_traps),
  };
  return cmocka_run_group_tests_name("record_ring", tests, NULL, NULL);
}
