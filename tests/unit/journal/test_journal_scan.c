/* A walk over a journal that goes on after damage, names the first break, and changes nothing. */
#include "cmocka_test.h"
#include "journal_rig.h"
#include "journal_scan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_1 "journal-0000000000000001.seg"
#define SEGMENT_2 "journal-0000000000000002.seg"
#define SEGMENT_3 "journal-0000000000000003.seg"
#define BLOCK JOURNAL_BLOCK_BYTES
#define RECORDS 70u

static struct journal_io *io;
static struct journal_rig rig;
static struct journal_scan scan;
static struct {
  bool seen[RECORDS + 1];
  uint64_t records, lost;
  uint32_t damage_count, segments;
} got;

static uint8_t *file(const char *name) {
  size_t length;
  return journal_sim_io_bytes(io, name, &length);
}

/* Segments of 31, 31 and 8 one-block batches with one record each; the fourth is ready. */
static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  for (uint32_t i = 0; i < RECORDS; i++) rig_append(&rig, 1, 3000);
  for (int i = 0; i < 10; i++) rig_step(&rig, 100000);
  rig_close(&rig);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static void on_segment(void *context, const struct segment_header *header) {
  (void)context, (void)header;
  got.segments++;
}

static void on_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  uint32_t ring, number;
  (void)context, (void)segment, (void)offset;
  assert_true(rig_record_check(record, &ring, &number));
  assert_int_equal(number, lsn);
  assert_in_range(lsn, 1, RECORDS);
  got.seen[lsn] = true;
  got.records++;
}

static void on_damage(void *context, const struct journal_damage *damage) {
  (void)context;
  got.damage_count++;
  if (damage->first_lsn) got.lost += damage->last_lsn - damage->first_lsn + 1;
}

static void run(void) {
  struct disk_image before, after;
  memset(&got, 0, sizeof got);
  disk_image_take(&before, io);
  const struct journal_scan_handler handler = {.segment = on_segment, .record = on_record, .damage = on_damage};
  assert_int_equal(journal_scan(io, &handler, &scan), 0);
  disk_image_take(&after, io);
  for (uint32_t i = 0; i < before.count; i++)
    assert_memory_equal(before.files[i].bytes, after.files[i].bytes, before.files[i].length);
  assert_int_equal(scan.damages, got.damage_count);
  assert_int_equal(scan.records, got.records);
  disk_image_free(&before);
  disk_image_free(&after);
}

static void expect_first(const char *name, uint64_t offset, uint64_t first_lsn, uint64_t last_lsn, const char *what) {
  assert_true(scan.damages > 0);
  assert_false(scan.chained);
  assert_string_equal(scan.first_damage.file, name);
  assert_int_equal(scan.first_damage.offset, offset);
  assert_int_equal(scan.first_damage.first_lsn, first_lsn);
  assert_int_equal(scan.first_damage.last_lsn, last_lsn);
  if (!strstr(scan.first_damage.what, what)) fail_msg("what: %s", scan.first_damage.what);
}

static void test_a_whole_journal(void **state) {
  (void)state;
  run();
  assert_int_equal(scan.damages, 0);
  assert_int_equal(scan.records, RECORDS);
  assert_int_equal(scan.first_lsn, 1);
  assert_int_equal(scan.last_lsn, RECORDS);
  assert_int_equal(scan.segments, 3);
  assert_int_equal(got.segments, 3);
  assert_int_equal(scan.unused_segments, 1);
  assert_true(scan.chained);
  assert_int_equal(scan.torn_bytes, 0);
  /* Its end is what the next batch will hold. */
  rig_open(&rig);
  rig_append(&rig, 1, 3000);
  const struct batch_header *next = (const void *)(file(SEGMENT_3) + 9 * BLOCK);
  assert_int_equal(next->first_lsn, RECORDS + 1);
  assert_memory_equal(batch_chain_of(next)->before, scan.chain, sizeof scan.chain);
}

static void test_an_empty_journal(void **state) {
  (void)state;
  static const char *const names[] = {SEGMENT_1, SEGMENT_2, SEGMENT_3, "journal-0000000000000004.seg"};
  for (size_t i = 0; i < 4; i++) assert_int_equal(io->operations->remove(io, names[i]), 0);
  run();
  assert_int_equal(scan.damages + scan.records + scan.segments, 0);
  assert_false(scan.chained);
}

static void test_a_damaged_batch_is_skipped(void **state) {
  (void)state;
  file(SEGMENT_2)[5 * BLOCK + 900] ^= 1;
  run();
  assert_int_equal(scan.damages, 1);
  expect_first(SEGMENT_2, 5 * BLOCK, 36, 36, "no good batch where LSN 36 should be");
  assert_int_equal(scan.first_damage.bytes, BLOCK);
  assert_int_equal(scan.records, RECORDS - 1);
  assert_false(got.seen[36]);
}

static void test_several_damages_are_all_told(void **state) {
  (void)state;
  memset(file(SEGMENT_1) + 3 * BLOCK, 0, 2 * BLOCK);
  memset(file(SEGMENT_2) + 31 * BLOCK, 0xee, BLOCK);
  run();
  expect_first(SEGMENT_1, 3 * BLOCK, 3, 4, "no good batch where LSN 3 should be");
  assert_int_equal(scan.records, RECORDS - 3);
  assert_int_equal(got.lost, 3);
}

static void test_the_last_batch_of_a_segment_is_missed_at_the_next(void **state) {
  (void)state;
  memset(file(SEGMENT_2) + 31 * BLOCK, 0, BLOCK);
  run();
  expect_first(SEGMENT_3, 0, 62, 62, "begins with LSN 63 where 62 should be");
}

static void test_a_torn_tail_is_no_damage(void **state) {
  (void)state;
  file(SEGMENT_3)[8 * BLOCK + 900] ^= 1;
  run();
  assert_int_equal(scan.damages, 0);
  assert_int_equal(scan.records, RECORDS - 1);
  assert_int_equal(scan.torn_offset, 8 * BLOCK);
  assert_int_equal(scan.torn_bytes, BLOCK);
  file(SEGMENT_3)[30 * BLOCK] = 1; /* too far off for one batch */
  run();
  expect_first(SEGMENT_3, 8 * BLOCK, 0, 0, "no good batch");
}

static void test_a_segment_without_a_header_gives_its_records(void **state) {
  (void)state;
  memset(file(SEGMENT_2), 0x11, BLOCK);
  run();
  expect_first(SEGMENT_2, 0, 0, 0, "the segment header is damaged");
  assert_int_equal(scan.records, RECORDS);
}

static void test_a_missing_segment(void **state) {
  (void)state;
  assert_int_equal(io->operations->remove(io, SEGMENT_2), 0);
  run();
  expect_first(SEGMENT_3, 0, 0, 0, "segment 2 is missing before it");
  assert_int_equal(scan.records, RECORDS - 31);
}

static void seal(const char *name, uint64_t offset) {
  struct journal_identity identity = {.salt = rig.config.salt};
  memcpy(identity.node_id, rig.config.node_id, sizeof identity.node_id);
  struct batch_header *batch = (void *)(file(name) + offset);
  batch_seal(batch, journal_segment_seed(&identity, batch->segment), JOURNAL_VERSION);
}

/* Somebody who can compute checksums changes a batch, and mends all checksums behind it: only the hash chain tells. */
static void test_the_chain_tells_what_checksums_cannot(void **state) {
  (void)state;
  static const char *const names[] = {SEGMENT_1, SEGMENT_2, SEGMENT_3};
  uint32_t previous = ((struct batch_header *)(void *)(file(SEGMENT_1) + 2 * BLOCK))->checksum;
  ((struct batch_header *)(void *)(file(SEGMENT_1) + 3 * BLOCK))->wall_ns ^= 1;
  for (uint32_t segment = 0; segment < 3; segment++) {
    struct segment_header *header = (void *)file(names[segment]);
    if (segment > 0) header->previous_checksum = previous;
    segment_header_seal(header);
    for (uint32_t block = segment == 0 ? 3 : 1; block <= (segment == 2 ? 8u : 31u); block++) {
      struct batch_header *batch = (void *)(file(names[segment]) + block * BLOCK);
      batch->previous_checksum = previous;
      seal(names[segment], block * BLOCK);
      previous = batch->checksum;
    }
  }
  assert_int_equal(rig_open(&rig), 0); /* recovery, which looks at checksums, is deceived */
  rig_close(&rig);
  run();
  expect_first(SEGMENT_1, 4 * BLOCK, 0, 0, "LSN 4 does not follow the batch before it (hash chain)");
}

static void test_only_the_newest_segment(void **state) {
  (void)state;
  file(SEGMENT_1)[5 * BLOCK + 900] ^= 1; /* not looked at */
  const struct journal_scan_handler handler = {.newest_only = true};
  assert_int_equal(journal_scan(io, &handler, &scan), 0);
  assert_int_equal(scan.damages, 0);
  assert_int_equal(scan.segments, 3);
  assert_int_equal(scan.first_lsn, 1);
  assert_int_equal(scan.last_lsn, RECORDS);
  assert_int_equal(scan.records, 8);
  assert_false(scan.chained);
  file(SEGMENT_1)[40] ^= 1; /* but headers are */
  assert_int_equal(journal_scan(io, &handler, &scan), 0);
  assert_true(scan.damages > 0);
}

static void test_a_newer_version_is_refused(void **state) {
  (void)state;
  file(SEGMENT_3)[8] = JOURNAL_VERSION + 1;
  const struct journal_scan_handler handler = {0};
  assert_int_equal(journal_scan(io, &handler, &scan), -EPROTONOSUPPORT);
}

/* Every byte of what was written, one after the other: each change is told, or is in the torn tail. */
static void test_every_changed_byte_is_told(void **state) {
  (void)state;
  static const struct journal_scan_handler handler = {0};
  uint8_t *bytes = file(SEGMENT_2);
  for (uint32_t at = 0; at < RIG_SEGMENT_BYTES; at += at < 3 * BLOCK ? 7 : 1009) {
    bytes[at] ^= 0x40;
    const int result = journal_scan(io, &handler, &scan);
    if (result == 0 && scan.damages == 0) fail_msg("byte %u: not told", at);
    bytes[at] ^= 0x40;
  }
}

static void test_a_segment_that_lost_all(void **state) {
  (void)state;
  memset(file(SEGMENT_1), 0, RIG_SEGMENT_BYTES);
  run();
  expect_first(SEGMENT_1, 0, 0, 0, "never used, and segments after it are");
  assert_int_equal(got.records, 39);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_a_whole_journal),
      TEST(test_an_empty_journal),
      TEST(test_a_damaged_batch_is_skipped),
      TEST(test_several_damages_are_all_told),
      TEST(test_the_last_batch_of_a_segment_is_missed_at_the_next),
      TEST(test_a_torn_tail_is_no_damage),
      TEST(test_a_segment_without_a_header_gives_its_records),
      TEST(test_a_segment_that_lost_all),
      TEST(test_a_missing_segment),
      TEST(test_the_chain_tells_what_checksums_cannot),
      TEST(test_only_the_newest_segment),
      TEST(test_a_newer_version_is_refused),
      TEST(test_every_changed_byte_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
