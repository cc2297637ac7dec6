#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include <errno.h>
#include <string.h>
static struct journal_io *disk(uint64_t seed) {
  return journal_sim_io_create(
      &(struct journal_sim_io_options){.seed = seed, .latency_least_ns = 100000, .latency_most_ns = 100000});
}

static void test_a_new_journal_is_empty_and_has_a_segment_ready(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 0);
  assert_int_equal(rig.recovery.next_lsn, 1);
  assert_int_equal(rig.recovery.records, 0);
  size_t length;
  const uint8_t *bytes = journal_sim_io_bytes(io, "journal-0000000000000001.seg", &length);
  assert_non_null(bytes);
  assert_int_equal(length, RIG_SEGMENT_BYTES);
  assert_true(journal_is_zero(bytes, length));
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_nothing_is_durable_before_the_write_completes(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  assert_true(rig_publish(&rig, 0, 128));
  assert_int_equal(rig_step(&rig, 0), 0); /* the segment's header goes out */
  assert_int_equal(rig_step(&rig, 100000), 0);
  assert_int_equal(rig_step(&rig, 99999), 0); /* the batch is under way */
  assert_int_equal(record_ring_durable(rig.config.rings[0]), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 0);
  assert_int_equal(rig_step(&rig, 1), 1);
  assert_true(record_ring_durable(rig.config.rings[0]) > 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 1);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_what_gathers_during_a_flush_goes_with_the_next_at_once(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 2);
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 1, 128);
  assert_true(rig_publish(&rig, 0, 128));
  assert_int_equal(rig_step(&rig, 0), 0);
  const uint64_t first = record_ring_read_position(rig.config.rings[0]);
  for (int i = 0; i < 10; i++) {
    assert_true(rig_publish(&rig, 0, 128));
    assert_true(rig_publish(&rig, 1, 128));
    assert_int_equal(rig_step(&rig, 1000), 0);
  }
  /* The first completes: only its records are durable, and the next is submitted in the same step. */
  assert_int_equal(rig_step(&rig, 90000), 1);
  assert_int_equal(record_ring_durable(rig.config.rings[0]), first);
  assert_int_equal(record_ring_durable(rig.config.rings[1]), 0);
  assert_int_equal(rig_step(&rig, 100000), 20);
  assert_int_equal(record_ring_durable(rig.config.rings[1]), record_ring_read_position(rig.config.rings[1]));
  assert_int_equal(journal_counters(rig.journal)->batches, 3);
  assert_int_equal(journal_durable_lsn(rig.journal), 22);
  assert_int_equal(journal_counters(rig.journal)->flush_ns_max, 100000);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_a_full_batch_leaves_the_rest_in_the_rings(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 2);
  rig.ring_bytes = 256 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 1, 128);
  for (int i = 0; i < 20; i++)
    for (uint32_t ring = 0; ring < 2; ring++) assert_true(rig_publish(&rig, ring, 4000));
  const int fits = (int)((JOURNAL_BATCH_BYTES_LEAST - JOURNAL_BATCH_HEADER_BYTES) / record_frame_bytes(4000));
  assert_int_equal(rig_step(&rig, 0), 0);
  assert_int_equal(rig_step(&rig, 100000), fits);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), 41);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], 21);
  assert_int_equal(rig.recovered[1], 20);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_one_busy_ring_does_not_starve_another(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 2);
  rig.ring_bytes = 512 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 1, 128);
  while (rig_publish(&rig, 0, 1000)) continue;
  assert_true(rig_publish(&rig, 1, 128));
  assert_int_equal(rig_step(&rig, 0), 0);
  assert_true(rig_step(&rig, 100000) > 1);
  assert_int_equal(record_ring_durable(rig.config.rings[1]), record_ring_read_position(rig.config.rings[1]));
  assert_true(record_ring_durable(rig.config.rings[1]) > 0);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_segments_roll_and_are_made_ahead_of_need(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.config.segments_ahead = 2;
  assert_int_equal(rig_open(&rig), 0);
  for (int i = 0; i < 200; i++) rig_append(&rig, 1, 4000);
  for (int i = 0; i < 20; i++) rig_step(&rig, 100000);
  const uint64_t segments = (200 + 30) / 31; /* a block each, 31 for batches in a segment */
  assert_true(atomic_load(&journal_counters(rig.journal)->segments_prepared) >= segments + 2);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], 200);
  assert_false(rig.recovered_badly);
  assert_true(rig.recovery.segments >= segments);
  /* What was ready is still ready. */
  assert_int_equal(journal_counters(rig.journal)->segments_prepared, 0);
  for (int i = 0; i < 5; i++) rig_step(&rig, 100000);
  assert_int_equal(journal_counters(rig.journal)->segments_prepared, 0);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_the_largest_record_is_kept(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.ring_bytes = 512 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 2, RECORD_BYTES_MAX);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], 2);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_a_full_disk_pushes_back_and_goes_on_by_itself(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  journal_sim_io_set_capacity(io, 2 * RIG_SEGMENT_BYTES);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  int refused = 0;
  for (int i = 0; i < 400; i++) {
    if (!rig_publish(&rig, 0, 4000)) refused++;
    assert_true(rig_step(&rig, 100000) >= 0);
  }
  assert_true(refused > 0);
  assert_int_equal(journal_stalled(rig.journal), -ENOSPC);
  assert_int_equal(journal_failed(rig.journal), 0);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), -ENOSPC);
  const uint64_t durable = journal_durable_lsn(rig.journal);
  assert_true(durable < rig.published[0]);
  journal_sim_io_set_capacity(io, 0);
  for (int i = 0; i < 30; i++) assert_true(rig_step(&rig, 100000000) >= 0);
  assert_int_equal(journal_stalled(rig.journal), 0);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  assert_int_equal(journal_durable_lsn(rig.journal), rig.published[0]);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], rig.published[0]);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_a_disk_without_room_for_the_first_segment_is_refused(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  journal_sim_io_set_capacity(io, RIG_SEGMENT_BYTES - 1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), -ENOSPC);
  assert_non_null(strstr(rig.recovery.refusal, "No space left"));
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_impossible_configurations_are_refused(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  const struct journal_config good = rig.config;
  rig.config.segment_bytes = 4096 * 10;
  assert_int_equal(rig_open(&rig), -EINVAL);
  rig.config = good;
  rig.config.batch_bytes_max = 65536;
  assert_int_equal(rig_open(&rig), -EINVAL);
  rig.config = good;
  rig.config.segment_bytes += 512;
  assert_int_equal(rig_open(&rig), -EINVAL);
  rig.config = good;
  rig.config.segments_ahead = 0;
  assert_int_equal(rig_open(&rig), -EINVAL);
  rig_free(&rig);
  io->operations->destroy(io);
}

/* Segment and batch sizes may change from one start to the next. */
static void test_other_sizes_take_over_an_existing_journal(void **state) {
  (void)state;
  struct journal_io *io = disk(1);
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.ring_bytes = 1024 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 3, 4000);
  rig_close(&rig);
  rig.config.segment_bytes = 4 * RIG_SEGMENT_BYTES;
  rig.config.batch_bytes_max = 2 * RIG_SEGMENT_BYTES;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 50, 4000);
  rig_close(&rig);
  rig.config.segment_bytes = RIG_SEGMENT_BYTES;
  rig.config.batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST;
  assert_int_equal(rig_open(&rig), 0);
  rig_append(&rig, 3, 4000);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], 56);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void with_fault(const struct journal_fault *fault, int expected, uint64_t retried) {
  struct journal_io *sim = disk(1);
  struct journal_io *io = journal_fault_io_create(sim);
  struct journal_rig rig;
  rig_init(&rig, sim, 1);
  rig.config.io = io;
  assert_int_equal(rig_open(&rig), 0);
  journal_fault_io_arm(io, fault);
  for (int i = 0; i < 4; i++) assert_true(rig_publish(&rig, 0, 4000));
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), expected);
  assert_true(journal_fault_io_fired(io));
  assert_int_equal(journal_failed(rig.journal), expected);
  assert_int_equal(journal_counters(rig.journal)->writes_retried, retried);
  assert_int_equal(journal_durable_lsn(rig.journal), expected ? 0 : 4);
  if (expected) assert_int_equal(record_ring_durable(rig.config.rings[0]), 0);
  struct journal_failure failure;
  assert_int_equal(journal_failure(rig.journal, &failure), expected != 0);
  if (expected) {
    /* Where, and what nobody knows. */
    assert_int_equal(failure.error, expected);
    assert_int_equal(failure.since_wall_ns, rig.wall_ns);
    if (fault->point == FAULT_SUBMIT) {
      assert_string_equal(failure.file, "journal-0000000000000002.tmp");
      assert_int_equal(failure.first_lsn, 0);
    } else {
      assert_string_equal(failure.file, "journal-0000000000000001.seg");
      assert_string_equal(failure.operation, "writing and syncing a batch");
      assert_int_equal(failure.offset, JOURNAL_BLOCK_BYTES);
      assert_true(failure.bytes > 0 && failure.bytes % JOURNAL_BLOCK_BYTES == 0);
      assert_int_equal(failure.first_lsn, 1);
      assert_int_equal(failure.last_lsn, 4);
    }
    /* What comes now is let go of, so that the rings never fill. */
    assert_int_equal(rig_step(&rig, 1000), expected);
    const uint64_t discarded = journal_counters(rig.journal)->records_discarded;
    for (int i = 0; i < 200; i++) {
      assert_true(rig_publish(&rig, 0, 3000));
      assert_int_equal(rig_step(&rig, 1000), expected);
    }
    assert_int_equal(journal_counters(rig.journal)->records_discarded - discarded, 200);
    assert_int_equal(record_ring_durable(rig.config.rings[0]), 0);
  }
  /* It stays failed: the same write is never tried again. */
  if (expected) assert_int_equal(rig_step(&rig, 1000000), expected);
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  if (!expected) assert_int_equal(rig.recovered[0], 4);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
  sim->operations->destroy(sim);
}

static void test_short_and_interrupted_writes_go_on(void **state) {
  (void)state;
  const enum journal_fault_point writes = FAULT_COMPLETE + JOURNAL_IO_WRITE_DURABLE;
  /* The second durable write is the batch, after its segment's header. */
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_SHORT, .bytes = 4096}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_SHORT, .bytes = 9000}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_SHORT, .bytes = 0}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_NOT_DONE, .error = -EINTR}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_NOT_DONE, .error = -EAGAIN}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_NOT_DONE, .error = -ECANCELED}, 0, 1);
  with_fault(&(struct journal_fault){.point = writes, .nth = 1, .manner = FAULT_SHORT, .bytes = 512}, 0, 1);
  with_fault(&(struct journal_fault){.point = FAULT_SUBMIT, .nth = 2, .error = -EAGAIN}, 0, 0);
}

static void test_other_write_errors_are_final(void **state) {
  (void)state;
  const enum journal_fault_point writes = FAULT_COMPLETE + JOURNAL_IO_WRITE_DURABLE;
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_NOT_DONE, .error = -EIO}, -EIO, 0);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_DONE, .error = -EIO}, -EIO, 0);
  with_fault(&(struct journal_fault){.point = writes, .nth = 2, .manner = FAULT_NOT_DONE, .error = -ENOSPC}, -ENOSPC, 0);
  with_fault(&(struct journal_fault){.point = FAULT_SUBMIT, .nth = 2, .error = -ENXIO}, -ENXIO, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_new_journal_is_empty_and_has_a_segment_ready),
      cmocka_unit_test(test_nothing_is_durable_before_the_write_completes),
      cmocka_unit_test(test_what_gathers_during_a_flush_goes_with_the_next_at_once),
      cmocka_unit_test(test_a_full_batch_leaves_the_rest_in_the_rings),
      cmocka_unit_test(test_one_busy_ring_does_not_starve_another),
      cmocka_unit_test(test_segments_roll_and_are_made_ahead_of_need),
      cmocka_unit_test(test_the_largest_record_is_kept),
      cmocka_unit_test(test_a_full_disk_pushes_back_and_goes_on_by_itself),
      cmocka_unit_test(test_a_disk_without_room_for_the_first_segment_is_refused),
      cmocka_unit_test(test_impossible_configurations_are_refused),
      cmocka_unit_test(test_other_sizes_take_over_an_existing_journal),
      cmocka_unit_test(test_short_and_interrupted_writes_go_on),
      cmocka_unit_test(test_other_write_errors_are_final),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
