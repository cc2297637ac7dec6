/* Every operation of a small run goes wrong in turn: never a durable mark for what is not durable. */
#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include <errno.h>
#include <string.h>

#define RECORDS 60

static struct journal_io *new_disk(void) {
  return journal_sim_io_create(&(struct journal_sim_io_options){.seed = 11, .latency_least_ns = 1000, .latency_most_ns = 90000});
}

/* A run over two segments and a restart. Stops at the first failure. */
static void run(struct journal_rig *rig, uint32_t *durable) {
  uint64_t positions[RECORDS] = {0};
  *durable = 0;
  if (rig_open(rig) < 0) return;
  for (uint32_t i = 0; i < RECORDS; i++) {
    assert_true(rig_publish(rig, 0, 3000));
    positions[i] = record_ring_publish(rig->config.rings[0]);
    if (journal_drain(rig->journal, rig->now_ns, rig->wall_ns) < 0) break;
    rig->now_ns = rig->io->operations->now(rig->io);
  }
  for (uint32_t i = 0; i < rig->published[0]; i++)
    if (positions[i] <= record_ring_durable(rig->config.rings[0])) *durable = i + 1;
  assert_int_equal(*durable, journal_durable_lsn(rig->journal));
}

/* False when the fault was never reached. */
static bool run_with(const struct journal_fault *fault, bool crash) {
  struct journal_io *sim = new_disk();
  struct journal_io *io = journal_fault_io_create(sim);
  struct journal_rig rig;
  uint32_t durable;
  rig_init(&rig, sim, 1);
  rig.config.io = io;
  journal_fault_io_arm(io, fault);
  run(&rig, &durable);
  const bool fired = journal_fault_io_fired(io);
  const uint32_t published = rig.published[0];
  if (crash) journal_sim_io_crash(sim);
  rig_close(&rig);
  io->operations->destroy(io);

  rig.config.io = sim;
  if (rig_open(&rig) < 0)
    fail_msg("point %d, operation %llu: refused: %s", fault->point, (unsigned long long)fault->nth, rig.recovery.refusal);
  assert_false(rig.recovered_badly);
  assert_true(rig.recovered[0] >= durable && rig.recovered[0] <= published);
  assert_true(reader_agrees(sim, rig.recovered[0]));
  rig_free(&rig);
  sim->operations->destroy(sim);
  return fired;
}

static void every_operation(enum journal_fault_point point, enum journal_fault_manner manner, int error, uint64_t bytes) {
  for (int crash = 0; crash < 2; crash++) {
    struct journal_fault fault = {.point = point, .nth = 1, .manner = manner, .error = error, .bytes = bytes};
    while (run_with(&fault, crash)) fault.nth++;
  }
}

static void test_submissions_and_calls(void **state) {
  (void)state;
  static const enum journal_fault_point points[] = {FAULT_OPEN, FAULT_SIZE,   FAULT_READ, FAULT_WRITE_SYNC, FAULT_SYNC,
                                                    FAULT_LIST, FAULT_REMOVE, FAULT_REAP, FAULT_SUBMIT};
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) every_operation(points[i], FAULT_NOT_DONE, -EIO, 0);
  every_operation(FAULT_SUBMIT, FAULT_NOT_DONE, -EAGAIN, 0);
}

static void test_completions(void **state) {
  (void)state;
  for (enum journal_io_kind kind = 0; kind < JOURNAL_IO_KINDS; kind++) {
    const enum journal_fault_point point = (enum journal_fault_point)(FAULT_COMPLETE + (unsigned)kind);
    every_operation(point, FAULT_NOT_DONE, -EIO, 0);
    every_operation(point, FAULT_DONE, -EIO, 0);
    every_operation(point, FAULT_NOT_DONE, -EINTR, 0);
    every_operation(point, FAULT_NOT_DONE, -ECANCELED, 0);
  }
}

static void test_full_disk_at_any_preparation(void **state) {
  (void)state;
  every_operation(FAULT_COMPLETE + JOURNAL_IO_ALLOCATE, FAULT_NOT_DONE, -ENOSPC, 0);
  every_operation(FAULT_COMPLETE + JOURNAL_IO_WRITE, FAULT_NOT_DONE, -ENOSPC, 0);
  every_operation(FAULT_COMPLETE + JOURNAL_IO_ALLOCATE, FAULT_NOT_DONE, -EOPNOTSUPP, 0);
}

static void test_short_writes(void **state) {
  (void)state;
  for (enum journal_io_kind kind = JOURNAL_IO_WRITE_DURABLE; kind <= JOURNAL_IO_WRITE; kind++) {
    every_operation((enum journal_fault_point)(FAULT_COMPLETE + (unsigned)kind), FAULT_SHORT, 0, 0);
    every_operation((enum journal_fault_point)(FAULT_COMPLETE + (unsigned)kind), FAULT_SHORT, 0, 1000);
    every_operation((enum journal_fault_point)(FAULT_COMPLETE + (unsigned)kind), FAULT_SHORT, 0, 4096);
  }
}

/* A write that does not end has no error: the journal says that it waits, and goes on when there is an answer after all. */
static void test_a_disk_that_does_not_answer(void **state) {
  (void)state;
  struct journal_io *sim = new_disk();
  struct journal_io *io = journal_fault_io_create(sim);
  struct journal_rig rig;
  rig_init(&rig, sim, 1);
  rig.config.io = io;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 3, 500);
  for (int i = 0; i < 60; i++) assert_true(rig_step(&rig, 200000) >= 0); /* the next segment is prepared */
  journal_fault_io_arm(io, &(struct journal_fault){.point = FAULT_SUBMIT, .nth = 1, .error = -EAGAIN, .times = 6});
  assert_true(rig_publish(&rig, 0, 500));
  assert_int_equal(rig_step(&rig, 1000), 0);
  assert_int_equal(rig_step(&rig, 9000000000), 0);
  assert_int_equal(journal_stalled(rig.journal), 0);
  assert_int_equal(rig_step(&rig, 1100000000), 0);
  assert_int_equal(journal_stalled(rig.journal), -ETIMEDOUT);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), -ETIMEDOUT);
  assert_int_equal(journal_durable_lsn(rig.journal), 3);
  rig.now_ns = sim->operations->now(sim);
  for (int i = 0; i < 10; i++) assert_true(rig_step(&rig, 100000) >= 0);
  assert_int_equal(journal_stalled(rig.journal), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 4);
  rig_free(&rig);
  io->operations->destroy(io);
  sim->operations->destroy(sim);
}

static void test_a_start_does_not_wait_for_ever(void **state) {
  (void)state;
  struct journal_io *sim = journal_sim_io_create(
      &(struct journal_sim_io_options){.seed = 1, .latency_least_ns = 12000000000, .latency_most_ns = 12000000000});
  struct journal_rig rig;
  rig_init(&rig, sim, 1);
  assert_int_equal(rig_open(&rig), -ETIMEDOUT);
  assert_string_not_equal(rig.recovery.refusal, "");
  rig_free(&rig);
  sim->operations->destroy(sim);
}

/* The run itself, so that the loops above are known to cover something. */
static void test_without_a_fault_all_is_durable(void **state) {
  (void)state;
  struct journal_io *sim = new_disk();
  struct journal_rig rig;
  uint32_t durable;
  rig_init(&rig, sim, 1);
  run(&rig, &durable);
  assert_int_equal(durable, RECORDS);
  assert_true(atomic_load(&journal_counters(rig.journal)->segments_prepared) >= 2);
  rig_free(&rig);
  sim->operations->destroy(sim);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_a_fault_all_is_durable),
      cmocka_unit_test(test_submissions_and_calls),
      cmocka_unit_test(test_completions),
      cmocka_unit_test(test_full_disk_at_any_preparation),
      cmocka_unit_test(test_short_writes),
      cmocka_unit_test(test_a_disk_that_does_not_answer),
      cmocka_unit_test(test_a_start_does_not_wait_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
