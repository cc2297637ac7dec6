/* What is kept, what makes room for it, and how much of ordinary and of urgent events is taken. */
#include "cmocka_test.h"
#include "flight_recorder.h"
#include "heap_arena.h"

static struct heap_arena *heap;

static int set_up(void **state) {
  (void)state;
  heap = heap_arena_create();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  heap_arena_destroy(heap);
  return 0;
}

static struct flight_recorder *create(uint32_t events, uint32_t sample_every) {
  const struct flight_config config = {.shard = 3, .events = events, .sample_every = sample_every};
  struct flight_recorder *recorder = flight_recorder_create(heap_arena_arena(heap), &config);
  assert_non_null(recorder);
  return recorder;
}

static void record(struct flight_recorder *recorder, uint64_t number) {
  const struct flight_event event = {.kind = (uint16_t)(number % FLIGHT_KINDS),
                                     .code = (uint32_t)number,
                                     .wall_ns = number * 1000,
                                     .values = {number, number + 1, number + 2, number + 3, UINT64_MAX - number}};
  flight_record(recorder, &event);
}

static void an_event_comes_back_whole(void **state) {
  (void)state;
  struct flight_recorder *recorder = create(1024, 1);
  struct flight_event event;
  assert_false(flight_read(recorder, 0, &event));
  record(recorder, 7);
  assert_true(flight_read(recorder, 0, &event));
  assert_int_equal(event.sequence, 0);
  assert_int_equal(event.shard, 3);
  assert_int_equal(event.kind, 7 % FLIGHT_KINDS);
  assert_int_equal(event.code, 7);
  assert_int_equal(event.wall_ns, 7000);
  for (unsigned i = 0; i < 4; i++) assert_int_equal(event.values[i], 7 + i);
  assert_true(event.values[4] == UINT64_MAX - 7);
  assert_false(flight_read(recorder, 1, &event));
}

static void the_oldest_make_room(void **state) {
  (void)state;
  struct flight_recorder *recorder = create(1024, 1);
  struct flight_counters counters;
  struct flight_event event;
  for (uint64_t i = 0; i < 3000; i++) {
    record(recorder, i);
    const struct flight_range range = flight_range(recorder);
    assert_int_equal(range.end, i + 1);
    assert_int_equal(range.first, i < 1024 ? 0 : i + 1 - 1024);
  }
  for (uint64_t i = 0; i < 3000 - 1024; i++) assert_false(flight_read(recorder, i, &event));
  for (uint64_t i = 3000 - 1024; i < 3000; i++) {
    assert_true(flight_read(recorder, i, &event));
    assert_int_equal(event.sequence, i);
    assert_int_equal(event.values[0], i);
  }
  flight_read_counters(recorder, &counters);
  uint64_t total = 0;
  for (unsigned kind = 0; kind < FLIGHT_KINDS; kind++) total += counters.recorded[kind];
  assert_int_equal(total, 3000);
  assert_int_equal(counters.overwritten, 3000 - 1024);
  assert_int_equal(counters.capacity, 1024);
}

/* One in so many, in the mean; and each is either taken or counted. */
static void ordinary_events_are_sampled(void **state) {
  (void)state;
  static const uint32_t rates[] = {1, 2, 10, 100};
  for (unsigned r = 0; r < sizeof rates / sizeof *rates; r++) {
    struct flight_recorder *recorder = create(1024, rates[r]);
    struct flight_counters counters;
    const uint64_t asked = 1000000;
    uint64_t taken = 0;
    for (uint64_t i = 0; i < asked; i++) taken += flight_samples(recorder);
    const uint64_t wanted = asked / rates[r];
    assert_in_range(taken, wanted - wanted / 20, wanted + wanted / 20);
    flight_read_counters(recorder, &counters);
    assert_int_equal(counters.sampled_out, asked - taken);
  }
}

/* Traffic in which every tenth request is of another kind must not be met at the same place each time. */
static void the_sample_has_no_beat(void **state) {
  (void)state;
  struct flight_recorder *recorder = create(1024, 10);
  uint32_t met[10] = {0};
  for (uint32_t i = 0; i < 1000000; i++)
    if (flight_samples(recorder)) met[i % 10]++;
  for (unsigned i = 0; i < 10; i++) assert_in_range(met[i], 9000, 11000);
}

static void a_sample_of_none_takes_none(void **state) {
  (void)state;
  struct flight_recorder *recorder = create(1024, 0);
  struct flight_counters counters;
  for (unsigned i = 0; i < 100000; i++) assert_false(flight_samples(recorder));
  flight_read_counters(recorder, &counters);
  assert_int_equal(counters.sampled_out, 100000);
}

/* A flood of one kind ends at its share of the tick; another kind still has its own. */
static void a_flood_is_bounded(void **state) {
  (void)state;
  struct flight_recorder *recorder = create(1024, 1);
  struct flight_counters counters;
  const uint64_t start_ns = 5 * FLIGHT_TICK_NS;
  uint32_t taken = 0;
  for (unsigned i = 0; i < 1000; i++) taken += flight_admits(recorder, FLIGHT_REQUEST_REFUSED, start_ns + i);
  assert_int_equal(taken, FLIGHT_KIND_A_TICK);
  assert_true(flight_admits(recorder, FLIGHT_PRESSURE, start_ns + 2000));
  flight_read_counters(recorder, &counters);
  assert_int_equal(counters.skipped[FLIGHT_REQUEST_REFUSED], 1000 - FLIGHT_KIND_A_TICK);
  assert_int_equal(counters.skipped[FLIGHT_PRESSURE], 0);
  assert_false(flight_admits(recorder, FLIGHT_REQUEST_REFUSED, start_ns + FLIGHT_TICK_NS - 1));
  assert_true(flight_admits(recorder, FLIGHT_REQUEST_REFUSED, start_ns + FLIGHT_TICK_NS));
}

static void it_needs_memory(void **state) {
  (void)state;
  const struct flight_config config = {.events = 1024};
  for (unsigned takes = 0; takes < 2; takes++) {
    heap_arena_limit(heap, takes);
    assert_null(flight_recorder_create(heap_arena_arena(heap), &config));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_event_comes_back_whole, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_oldest_make_room, set_up, tear_down),
      cmocka_unit_test_setup_teardown(ordinary_events_are_sampled, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_sample_has_no_beat, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_sample_of_none_takes_none, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_flood_is_bounded, set_up, tear_down),
      cmocka_unit_test_setup_teardown(it_needs_memory, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
