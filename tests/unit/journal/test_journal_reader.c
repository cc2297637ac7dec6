#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_format_internal.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include <errno.h>
#include <string.h>

static struct journal_io *io;
static struct journal_rig rig;

static int open_rig(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  return rig_open(&rig);
}

static int close_rig(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static struct journal_reader *reader_from(uint64_t lsn) {
  int error;
  struct journal_reader *reader = journal_reader_open(io, lsn, &error);
  assert_non_null(reader);
  return reader;
}

static uint32_t read_all(struct journal_reader *reader, uint64_t limit, uint64_t first) {
  uint32_t count = 0, ring, number;
  uint64_t lsn;
  const struct record_header *record;
  enum journal_read read;
  while ((read = journal_reader_next(reader, limit, &lsn, &record)) == JOURNAL_READ_RECORD) {
    assert_int_equal(lsn, first + count);
    assert_true(rig_record_check(record, &ring, &number));
    assert_int_equal(number, lsn);
    count++;
  }
  assert_int_equal(read, JOURNAL_READ_END);
  return count;
}

static void test_an_empty_journal_has_an_end(void **state) {
  (void)state;
  struct journal_reader *reader = reader_from(1);
  assert_int_equal(read_all(reader, 0, 1), 0);
  rig_append(&rig, 1, 0);
  assert_int_equal(read_all(reader, 0, 1), 0);
  assert_int_equal(read_all(reader, 1, 1), 1);
  journal_reader_close(reader);
}

static void test_it_never_passes_the_limit(void **state) {
  (void)state;
  rig_append(&rig, 20, 100);
  struct journal_reader *reader = reader_from(1);
  assert_int_equal(read_all(reader, 7, 1), 7);
  assert_int_equal(read_all(reader, 7, 8), 0);
  assert_int_equal(read_all(reader, 20, 8), 13);
  journal_reader_close(reader);
}

static void test_it_follows_what_is_appended(void **state) {
  (void)state;
  struct journal_reader *reader = reader_from(1);
  uint64_t next = 1;
  for (uint32_t i = 0; i < 300; i++) {
    const uint32_t count = 1 + i % 4;
    rig_append(&rig, count, 0);
    assert_int_equal(read_all(reader, journal_durable_lsn(rig.journal), next), count);
    next += count;
  }
  assert_true(reader_agrees(io, journal_durable_lsn(rig.journal)));
  journal_reader_close(reader);
}

static void test_it_starts_anywhere(void **state) {
  (void)state;
  for (int i = 0; i < 120; i++) rig_append(&rig, 3, 1000);
  for (uint64_t from = 1; from <= 361; from += 7) {
    struct journal_reader *reader = reader_from(from);
    assert_int_equal(read_all(reader, 360, from), 361 - from);
    journal_reader_close(reader);
  }
}

/* From a batch that an index knows on: the same records; from a wrong place, too. */
static void test_it_starts_at_a_position(void **state) {
  (void)state;
  struct journal_position positions[361];
  uint64_t lsn;
  const struct record_header *record;
  int error;
  for (int i = 0; i < 120; i++) rig_append(&rig, 3, 1000);
  struct journal_reader *reader = reader_from(1);
  for (uint64_t n = 1; n <= 360; n++) {
    assert_int_equal(journal_reader_next(reader, 360, &lsn, &record), JOURNAL_READ_RECORD);
    positions[n] = journal_reader_position(reader);
  }
  journal_reader_close(reader);
  for (uint64_t from = 1; from <= 360; from += 7) {
    /* Its own batch, one before it, one after it, none at all, and a segment that is not there. */
    const struct journal_position wrong[] = {positions[from],
                                             positions[from > 20 ? from - 20 : 1],
                                             positions[from < 340 ? from + 20 : 360],
                                             {.segment = positions[from].segment, .offset = positions[from].offset + 4096 * 3},
                                             {.segment = 1, .offset = 77},
                                             {.segment = 99, .offset = 4096}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
      reader = journal_reader_open_at(io, wrong[i], from, &error);
      assert_non_null(reader);
      assert_int_equal(read_all(reader, 360, from), 361 - from);
      journal_reader_close(reader);
    }
  }
}

/* What is in flight is not read, whatever the disk already shows of it. */
static void test_it_reads_a_batch_again_that_was_not_whole_before(void **state) {
  (void)state;
  rig_append(&rig, 1, 100);
  struct journal_reader *reader = reader_from(1);
  assert_int_equal(read_all(reader, 1, 1), 1); /* its window now holds the empty blocks after it */
  rig_append(&rig, 5, 100);
  assert_int_equal(read_all(reader, 6, 2), 5);
  journal_reader_close(reader);
}

static void test_damage_is_reported_not_returned(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) rig_append(&rig, 1, 3000);
  size_t length;
  journal_sim_io_bytes(io, "journal-0000000000000001.seg", &length)[10 * JOURNAL_BLOCK_BYTES + 200] ^= 4;
  struct journal_reader *reader = reader_from(1);
  uint64_t lsn = 0;
  const struct record_header *record;
  enum journal_read read;
  while ((read = journal_reader_next(reader, 50, &lsn, &record)) == JOURNAL_READ_RECORD) continue;
  assert_int_equal(read, JOURNAL_READ_DAMAGED);
  assert_int_equal(lsn, 9);
  assert_int_equal(journal_reader_next(reader, 50, &lsn, &record), JOURNAL_READ_DAMAGED);
  /* What lies after it is there. */
  journal_reader_close(reader);
  reader = reader_from(40);
  assert_int_equal(read_all(reader, 50, 40), 11);
  journal_reader_close(reader);
}

static void test_a_limit_beyond_the_log_is_damage(void **state) {
  (void)state;
  rig_append(&rig, 3, 100);
  struct journal_reader *reader = reader_from(1);
  uint64_t lsn;
  const struct record_header *record;
  for (int i = 0; i < 3; i++) assert_int_equal(journal_reader_next(reader, 9, &lsn, &record), JOURNAL_READ_RECORD);
  assert_int_equal(journal_reader_next(reader, 9, &lsn, &record), JOURNAL_READ_DAMAGED);
  journal_reader_close(reader);
}

static void test_positions_find_their_records_and_no_others(void **state) {
  (void)state;
  for (int i = 0; i < 60; i++) rig_append(&rig, 4, 0);
  struct journal_reader *reader = reader_from(1), *finder = reader_from(1);
  struct journal_position positions[241];
  uint64_t lsn;
  const struct record_header *record;
  while (journal_reader_next(reader, 240, &lsn, &record) == JOURNAL_READ_RECORD) positions[lsn] = journal_reader_position(reader);
  for (uint64_t at = 240; at >= 1; at--) {
    uint32_t ring, number;
    record = journal_reader_at(finder, positions[at], at);
    assert_non_null(record);
    assert_true(rig_record_check(record, &ring, &number));
    assert_int_equal(number, at);
    /* The LSN is part of the checksum, so an index that is wrong by one finds nothing. */
    assert_null(journal_reader_at(finder, positions[at], at + 1));
  }
  struct journal_position wild = positions[100];
  wild.offset_in_batch += 8;
  assert_null(journal_reader_at(finder, wild, 100));
  wild.offset_in_batch += 3;
  assert_null(journal_reader_at(finder, wild, 100));
  wild = (struct journal_position){.segment = positions[100].segment, .offset = 1ull << 50};
  assert_null(journal_reader_at(finder, wild, 100));
  wild.segment = 999;
  assert_null(journal_reader_at(finder, wild, 100));
  journal_reader_close(reader);
  journal_reader_close(finder);
}

/* Each read or open that fails is an error once, and the next call goes on. */
static void test_errors_pass(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) rig_append(&rig, 1, 3000);
  struct journal_io *faulty = journal_fault_io_create(io);
  const enum journal_fault_point points[] = {FAULT_READ, FAULT_OPEN, FAULT_LIST};
  for (int point = 0; point < 3; point++) {
    for (uint64_t nth = 1;; nth++) {
      journal_fault_io_arm(faulty, &(struct journal_fault){.point = points[point], .nth = nth, .error = -EIO});
      int error;
      struct journal_reader *reader = journal_reader_open(faulty, 1, &error);
      uint64_t lsn, expected = 1;
      uint32_t errors = 0;
      const struct record_header *record;
      for (enum journal_read read; (read = journal_reader_next(reader, 50, &lsn, &record)) != JOURNAL_READ_END;) {
        if (read == JOURNAL_READ_RECORD) assert_int_equal(lsn, expected++);
        errors += read == JOURNAL_READ_ERROR;
        assert_int_not_equal(read, JOURNAL_READ_DAMAGED);
      }
      assert_int_equal(expected, 51);
      assert_int_equal(errors, journal_fault_io_fired(faulty));
      journal_reader_close(reader);
      if (!journal_fault_io_fired(faulty)) break;
    }
  }
  faulty->operations->destroy(faulty);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
  const struct CMUnitTest tests[] = {
      TEST(test_an_empty_journal_has_an_end),
      TEST(test_it_never_passes_the_limit),
      TEST(test_it_follows_what_is_appended),
      TEST(test_it_starts_anywhere),
      TEST(test_it_starts_at_a_position),
      TEST(test_it_reads_a_batch_again_that_was_not_whole_before),
      TEST(test_damage_is_reported_not_returned),
      TEST(test_a_limit_beyond_the_log_is_damage),
      TEST(test_positions_find_their_records_and_no_others),
      TEST(test_errors_pass),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
