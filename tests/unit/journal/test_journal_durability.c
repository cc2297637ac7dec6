/* When a flush starts, by what its records were published with; virtual time, in microseconds. */
#include "cmocka_test.h"
#include "journal_rig.h"
#include <string.h>

#define US 1000u
#define MS 1000000u
#define DISK_NS (100 * US)

static struct journal_io *io;
static struct journal_rig rig;

static int set_up(void **state) {
  (void)state;
  io =
      journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = DISK_NS, .latency_most_ns = DISK_NS});
  rig_init(&rig, io, 2);
  rig.config.segment_bytes = 1u << 20;
  rig.config.batch_bytes_max = 512 * 1024;
  rig.ring_bytes = 512 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 1, 100); /* the first segment is open */
  for (int i = 0; i < 300; i++) assert_int_equal(rig_step(&rig, MS) < 0, 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static void publish(uint32_t ring, enum record_durability durability, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    record_ring_set_durability(rig.config.rings[ring], durability);
    assert_true(rig_publish(&rig, ring, 100));
  }
}

/* How long it takes until a record more than now is durable; UINT64_MAX: not within `most_ns`. */
static uint64_t time_to_durable(uint64_t most_ns) {
  const uint64_t before = journal_durable_lsn(rig.journal);
  for (uint64_t passed = 0; passed <= most_ns; passed += 10 * US) {
    assert_true(rig_step(&rig, 10 * US) >= 0);
    if (journal_durable_lsn(rig.journal) > before) return passed;
  }
  return UINT64_MAX;
}

static void test_strict_starts_at_once(void **state) {
  (void)state;
  publish(0, DURABILITY_STRICT, 1);
  assert_in_range(time_to_durable(MS), 0, 2 * DISK_NS);
}

static void test_balanced_waits_ten_milliseconds(void **state) {
  (void)state;
  publish(0, DURABILITY_BALANCED, 1);
  assert_in_range(time_to_durable(20 * MS), 10 * MS, 10 * MS + 2 * DISK_NS);
}

static void test_balanced_waits_for_a_thousand_records(void **state) {
  (void)state;
  publish(0, DURABILITY_BALANCED, 999);
  assert_true(time_to_durable(5 * MS) == UINT64_MAX);
  publish(0, DURABILITY_BALANCED, 1);
  assert_in_range(time_to_durable(MS), 0, 2 * DISK_NS);
}

static void test_relaxed_waits_a_hundred_milliseconds(void **state) {
  (void)state;
  publish(0, DURABILITY_RELAXED, 1);
  assert_in_range(time_to_durable(200 * MS), 100 * MS, 100 * MS + 2 * DISK_NS);
  /* It counts from the first: later ones do not put it off. */
  publish(0, DURABILITY_RELAXED, 1);
  assert_true(time_to_durable(60 * MS) == UINT64_MAX);
  publish(1, DURABILITY_RELAXED, 5);
  assert_in_range(time_to_durable(100 * MS), 30 * MS, 41 * MS);
}

static void test_who_is_in_a_hurry_takes_the_others_along(void **state) {
  (void)state;
  publish(0, DURABILITY_RELAXED, 3);
  assert_true(time_to_durable(5 * MS) == UINT64_MAX);
  publish(1, DURABILITY_BALANCED, 1);
  assert_true(time_to_durable(5 * MS) == UINT64_MAX);
  publish(1, DURABILITY_STRICT, 1);
  assert_in_range(time_to_durable(MS), 0, 2 * DISK_NS);
  assert_int_equal(journal_durable_lsn(rig.journal), 6);
}

static void test_a_batch_that_fills_does_not_wait(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) {
    record_ring_set_durability(rig.config.rings[0], DURABILITY_RELAXED);
    assert_true(rig_publish(&rig, 0, 3000));
  }
  assert_in_range(time_to_durable(MS), 0, 2 * DISK_NS);
}

static void test_a_flush_that_is_asked_for(void **state) {
  (void)state;
  publish(0, DURABILITY_RELAXED, 1);
  assert_true(time_to_durable(5 * MS) == UINT64_MAX);
  journal_request_flush(rig.journal);
  assert_in_range(time_to_durable(MS), 0, 2 * DISK_NS);
  publish(0, DURABILITY_RELAXED, 1);
  assert_true(time_to_durable(5 * MS) == UINT64_MAX); /* answered once */
}

static void test_a_drain_waits_for_nothing(void **state) {
  (void)state;
  publish(0, DURABILITY_RELAXED, 1);
  const uint64_t before_ns = io->operations->now(io);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 2);
  assert_true(io->operations->now(io) - before_ns < 10 * MS);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_strict_starts_at_once),
      TEST(test_balanced_waits_ten_milliseconds),
      TEST(test_balanced_waits_for_a_thousand_records),
      TEST(test_relaxed_waits_a_hundred_milliseconds),
      TEST(test_who_is_in_a_hurry_takes_the_others_along),
      TEST(test_a_batch_that_fills_does_not_wait),
      TEST(test_a_flush_that_is_asked_for),
      TEST(test_a_drain_waits_for_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
