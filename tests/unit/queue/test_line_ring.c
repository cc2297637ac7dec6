#include "cmocka_test.h"
#include "expect_trap.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "test_random.h"
#include <string.h>

struct message {
  struct line_header header;
  uint32_t number;
  uint32_t lines;
  uint8_t rest[LINE_BYTES - 16];
};
_Static_assert(sizeof(struct message) == LINE_BYTES, "one line");

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

static struct line_ring *new_ring(uint32_t lines) {
  struct line_ring *ring = line_ring_create(heap_arena_arena(heap), lines);
  assert_non_null(ring);
  return ring;
}

/* Every byte of the message depends on its number. */
static bool put(struct line_ring *ring, uint32_t number, uint32_t lines) {
  struct message *message = line_ring_reserve(ring, lines);
  if (!message) return false;
  assert_int_equal((uintptr_t)message % LINE_BYTES, 0);
  /* The whole first line, header and all, as a careless caller may. */
  memset(message, (int)(number * 31 & 0xff), lines * LINE_BYTES);
  message->header = (struct line_header){.type = (uint16_t)number};
  message->number = number;
  message->lines = lines;
  return true;
}

static void check_message(const struct message *message, uint32_t number, uint32_t lines) {
  assert_non_null(message);
  assert_int_equal(message->header.lines, lines);
  assert_int_equal(message->header.type, (uint16_t)number);
  assert_int_equal(message->number, number);
  assert_int_equal(message->lines, lines);
  const uint8_t *bytes = (const uint8_t *)message;
  for (uint32_t i = sizeof *message - sizeof message->rest; i < lines * LINE_BYTES; i++)
    assert_int_equal(bytes[i], number * 31 & 0xff);
}

static void test_publish_makes_visible(void **state) {
  (void)state;
  struct line_ring *ring = new_ring(128);
  assert_null(line_ring_peek(ring));
  line_ring_publish(ring);
  assert_null(line_ring_peek(ring));
  assert_true(put(ring, 1, 1));
  assert_true(put(ring, 2, 64));
  assert_null(line_ring_peek(ring));
  line_ring_publish(ring);
  check_message(line_ring_peek(ring), 1, 1);
  assert_ptr_equal(line_ring_peek(ring), line_ring_peek(ring));
  line_ring_consume(ring);
  check_message(line_ring_peek(ring), 2, 64);
  line_ring_consume(ring);
  assert_null(line_ring_peek(ring));
}

static void test_rollback_leaves_nothing(void **state) {
  (void)state;
  struct line_ring *ring = new_ring(128);
  for (uint32_t number = 0; number < 1000; number++) {
    assert_true(put(ring, 666, 1 + number % 64));
    assert_true(put(ring, 667, 1));
    line_ring_rollback(ring);
    line_ring_publish(ring);
    assert_null(line_ring_peek(ring));
    assert_true(put(ring, number, 1 + number % 60));
    line_ring_publish(ring);
    line_ring_rollback(ring); /* touches nothing published */
    check_message(line_ring_peek(ring), number, 1 + number % 60);
    line_ring_consume(ring);
    assert_null(line_ring_peek(ring));
  }
  const struct line_ring_counters counters = line_ring_read_counters(ring);
  assert_int_equal(counters.published, 1000);
  assert_int_equal(counters.consumed, 1000);
}

static void test_full_refuses_and_counts(void **state) {
  (void)state;
  struct line_ring *ring = new_ring(128);
  for (uint32_t number = 0; number < 128; number++) {
    assert_true(line_ring_has_room(ring, 1));
    assert_true(put(ring, number, 1));
    if (number == 63) line_ring_publish(ring);
  }
  assert_false(line_ring_has_room(ring, 1));
  assert_null(line_ring_reserve(ring, 1));
  assert_null(line_ring_reserve(ring, 64));
  assert_int_equal(line_ring_read_counters(ring).refused, 2);
  line_ring_publish(ring);
  assert_int_equal(line_ring_read_counters(ring).lines_waiting, 128);
  for (uint32_t number = 0; number < 128; number++) {
    check_message(line_ring_peek(ring), number, 1);
    line_ring_consume(ring);
    assert_true(line_ring_has_room(ring, 1));
  }
  assert_int_equal(line_ring_read_counters(ring).lines_waiting, 0);
}

/* A peeked message's lines are not given out before consume, even after padding was skipped. */
static void test_peeked_message_stays(void **state) {
  (void)state;
  struct line_ring *ring = new_ring(128);
  for (uint32_t number = 0; number < 500; number++) {
    const uint32_t lines = 1 + number * 7 % 64;
    assert_true(put(ring, number, lines));
    line_ring_publish(ring);
    const struct message *message = line_ring_peek(ring);
    while (put(ring, 999, 1)) continue;
    check_message(message, number, lines);
    line_ring_rollback(ring);
    line_ring_consume(ring);
  }
}

/* What `capacity` promises: an empty ring takes that many lines, whatever its position and however they are cut. */
static void test_capacity_always_fits(void **state) {
  (void)state;
  static const uint32_t sizes[] = {2, 4, 16, 128, 512};
  struct test_random random = {1};
  for (size_t size = 0; size < sizeof sizes / sizeof *sizes; size++) {
    struct line_ring *ring = new_ring(sizes[size]);
    const uint32_t capacity = line_ring_capacity(ring);
    const uint32_t longest = sizes[size] / 2 < LINE_MESSAGE_LINES_MAX ? sizes[size] / 2 : LINE_MESSAGE_LINES_MAX;
    assert_true(capacity >= longest);
    for (unsigned round = 0; round < 5000; round++) {
      uint32_t count = 0;
      for (uint32_t left = capacity; left > 0; count++) {
        const uint32_t most = left < longest ? left : longest;
        const uint32_t lines = round % 2 ? most : 1 + random_below(&random, most);
        assert_true(put(ring, count, lines));
        left -= lines;
      }
      line_ring_publish(ring);
      while (count-- > 0) {
        assert_non_null(line_ring_peek(ring));
        line_ring_consume(ring);
      }
      /* Start the next round one further on. */
      assert_true(put(ring, 0, 1));
      line_ring_publish(ring);
      assert_non_null(line_ring_peek(ring));
      line_ring_consume(ring);
    }
    assert_int_equal(line_ring_read_counters(ring).refused, 0);
    assert_false(line_ring_has_room(ring, longest + 1));
    assert_null(line_ring_reserve(ring, longest + 1));
  }
}

/* Random transactions against a plain queue of what was published. */
static void test_against_model(void **state) {
  (void)state;
  enum { QUEUE = 4096 };
  static uint32_t queued[QUEUE];
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct test_random random = {seed};
    struct line_ring *ring = new_ring(128u << seed % 3);
    uint32_t published = 0, consumed = 0;
    uint64_t refused = 0;
    for (unsigned step = 0; step < 20000; step++) {
      if (random_below(&random, 2)) {
        uint32_t next = published;
        bool whole = true;
        for (uint32_t count = 1 + random_below(&random, 6); whole && count > 0; count--) {
          const uint32_t lines = 1 + random_below(&random, random_below(&random, 4) ? 4 : 64);
          const bool room = line_ring_has_room(ring, lines);
          whole = put(ring, next, lines);
          assert_int_equal(room, whole);
          if (whole) queued[next++ % QUEUE] = lines;
        }
        refused += !whole;
        if (whole && random_below(&random, 4)) {
          line_ring_publish(ring);
          published = next;
        } else {
          line_ring_rollback(ring);
        }
      } else {
        for (uint32_t count = random_below(&random, 8); count > 0 && consumed < published; count--) {
          check_message(line_ring_peek(ring), consumed, queued[consumed % QUEUE]);
          line_ring_consume(ring);
          consumed++;
        }
        if (consumed == published) assert_null(line_ring_peek(ring));
      }
      const struct line_ring_counters counters = line_ring_read_counters(ring);
      assert_int_equal(counters.published, published);
      assert_int_equal(counters.consumed, consumed);
      assert_int_equal(counters.refused, refused);
      assert_int_equal(counters.lines_waiting > 0, published > consumed);
    }
    assert_true(published > 5000 && refused > 0);
  }
}

/* Even where an empty ring has the lines in one piece. */
static void test_longest_message(void **state) {
  (void)state;
  static const struct { uint32_t ring, longest; } cases[] = {{2, 1}, {16, 8}, {128, 64}, {4096, 64}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct line_ring *ring = new_ring(cases[i].ring);
    assert_null(line_ring_reserve(ring, cases[i].longest + 1));
    assert_null(line_ring_reserve(ring, UINT32_MAX));
    assert_int_equal(line_ring_read_counters(ring).refused, 2);
    assert_true(put(ring, 1, cases[i].longest));
  }
}

static void test_arena_spent(void **state) {
  (void)state;
  for (unsigned takes = 0; takes < 2; takes++) {
    heap_arena_limit(heap, takes);
    assert_null(line_ring_create(heap_arena_arena(heap), 128));
  }
}

static void create_odd(void *arena) { line_ring_create(arena, 100); }
static void reserve_nothing(void *ring) { line_ring_reserve(ring, 0); }
static void consume_unpeeked(void *ring) { line_ring_consume(ring); }

static void test_misuse_traps(void **state) {
  (void)state;
  assert_true(traps(create_odd, heap_arena_arena(heap)));
  assert_true(traps(reserve_nothing, new_ring(128)));
  assert_true(traps(consume_unpeeked, new_ring(128)));
}

/* Messages of several lengths all round the ring: what is seen ahead is what then comes, and no more than is published. */
static void test_look_ahead_sees_what_comes(void **state) {
  (void)state;
  struct line_ring *ring = new_ring(32);
  const struct line_header *ahead[16];
  uint32_t next_in = 0, next_out = 0;
  assert_int_equal(line_ring_look_ahead(ring, ahead, 16), 0);
  for (uint32_t round = 0; round < 200; round++) {
    while (put(ring, next_in, 1 + next_in % 7)) next_in++;
    line_ring_publish(ring);
    for (uint32_t most = 1; most <= 16; most += 5) {
      const uint32_t seen = line_ring_look_ahead(ring, ahead, most);
      const uint32_t waiting = next_in - next_out;
      assert_int_equal(seen, waiting < most ? waiting : most);
      for (uint32_t i = 0; i < seen; i++)
        check_message((const struct message *)(const void *)ahead[i], next_out + i, 1 + (next_out + i) % 7);
    }
    for (uint32_t i = 0; i < 1 + round % 5 && next_out < next_in; i++, next_out++) {
      check_message(line_ring_peek(ring), next_out, 1 + next_out % 7);
      line_ring_consume(ring);
    }
  }
  assert_true(put(ring, next_in, 1) || next_in > next_out);
  line_ring_rollback(ring);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_publish_makes_visible),
      TEST(test_look_ahead_sees_what_comes),
      TEST(test_rollback_leaves_nothing),
      TEST(test_full_refuses_and_counts),
      TEST(test_peeked_message_stays),
      TEST(test_capacity_always_fits),
      TEST(test_against_model),
      TEST(test_longest_message),
      TEST(test_arena_spent),
      TEST(test_misuse_traps),
  };
  return cmocka_run_group_tests_name("line_ring", tests, NULL, NULL);
}
