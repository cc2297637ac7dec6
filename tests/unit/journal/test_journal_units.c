/* What is published together is durable together: a batch never ends within it, unless no batch holds it. */
#include "cmocka_test.h"
#include "journal_rig.h"
#include "test_random.h"
#include <string.h>

#define RINGS 2
#define UNITS 4000u
#define STEP_NS 20000u

static struct journal_io *io;
static struct journal_rig rig;
static struct test_random chance = {.state = 11};

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 50000, .latency_most_ns = 400000});
  rig_init(&rig, io, RINGS);
  rig.config.segment_bytes = 1u << 20;
  rig.config.batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST;
  rig.ring_bytes = 512 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

/* Records of `record_bytes` that take `unit_bytes` at most together. Their end, or 0 when there is no room. */
static uint64_t publish_unit(struct record_ring *ring, uint32_t record_bytes, uint32_t unit_bytes) {
  do {
    struct record_header *record = record_ring_reserve(ring, record_bytes);
    if (!record) {
      record_ring_rollback(ring);
      return 0;
    }
    memset(record, 1, record_bytes);
    *record = (struct record_header){.type = RECORD_VIOLATION, .bytes = record_bytes};
  } while (record_ring_reserved_bytes(ring) + record_ring_footprint(record_bytes) <= unit_bytes);
  return record_ring_publish(ring);
}

static void test_a_batch_ends_between_units(void **state) {
  (void)state;
  static uint64_t ends[RINGS][UNITS + 1];
  uint32_t published[RINGS] = {0}, durable[RINGS] = {0}, partly = 0;
  const uint32_t most = journal_unit_bytes_max(rig.config.batch_bytes_max);
  while (durable[0] < UNITS || durable[1] < UNITS) {
    for (uint32_t r = 0; r < RINGS; r++) {
      const uint32_t unit_bytes = random_below(&chance, 4) ? random_below(&chance, most / 4) : most;
      const uint32_t record_bytes = 40 + random_below(&chance, 900);
      if (published[r] == UNITS || random_below(&chance, 3) == 0) continue;
      const uint64_t end = publish_unit(rig.config.rings[r], record_bytes, unit_bytes);
      if (end) ends[r][++published[r]] = end;
    }
    assert_true(rig_step(&rig, STEP_NS) >= 0);
    for (uint32_t r = 0; r < RINGS; r++) {
      const uint64_t mark = record_ring_durable(rig.config.rings[r]);
      while (durable[r] < published[r] && ends[r][durable[r] + 1] <= mark) durable[r]++;
      assert_int_equal(mark, ends[r][durable[r]]);
      partly += durable[r] < published[r];
    }
  }
  assert_true(partly > UNITS / 10); /* there was more than one batch held */
}

static void test_what_no_batch_holds_goes_into_several(void **state) {
  (void)state;
  struct record_ring *ring = rig.config.rings[0];
  const uint64_t end = publish_unit(ring, 1000, 4 * rig.config.batch_bytes_max);
  assert_true(end > 3 * rig.config.batch_bytes_max);
  const uint64_t batches = atomic_load(&journal_counters(rig.journal)->batches);
  for (uint32_t i = 0; i < 1000 && record_ring_durable(ring) < end; i++) assert_true(rig_step(&rig, STEP_NS) >= 0);
  assert_int_equal(record_ring_durable(ring), end);
  assert_true(atomic_load(&journal_counters(rig.journal)->batches) - batches > 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_a_batch_ends_between_units, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_what_no_batch_holds_goes_into_several, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
