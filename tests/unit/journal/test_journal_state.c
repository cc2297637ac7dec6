/* What bounds recovery and lets old segments go: the state's LSN and the oldest segment, in the newest header. */
#include "cmocka_test.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct journal_io *io;
static struct journal_rig rig;

struct visits {
  uint64_t first, last, count;
};

static void note(void *context, uint64_t lsn, const struct record_header *record) {
  struct visits *visits = context;
  (void)record;
  if (!visits->first) visits->first = lsn;
  visits->last = lsn;
  visits->count++;
}

/* Opens as the rig does, with a visitor that takes any first LSN. */
static int reopen(struct visits *visits) {
  memset(visits, 0, sizeof *visits);
  rig_close(&rig);
  rig.arena = heap_arena_create();
  rig.config.rings[0] = record_ring_create(heap_arena_arena(rig.arena), rig.ring_bytes);
  rig.journal = journal_open(&rig.config, note, visits, &rig.recovery, &rig.error);
  return rig.error;
}

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  rig.config.hash_chain = true;
  return rig_open(&rig);
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static void append(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) rig_append(&rig, 1, 3000); /* one block each: 31 a segment */
}

static void remove_segment(uint64_t segment) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  assert_int_equal(io->operations->remove(io, name), 0);
}

static uint8_t *segment_bytes(uint64_t segment) {
  char name[SEGMENT_NAME_BYTES];
  size_t length;
  segment_name(name, segment, NAME_SEGMENT);
  return journal_sim_io_bytes(io, name, &length);
}

static void retain_from(uint64_t segment, uint64_t lsn) {
  journal_set_oldest_segment(rig.journal, segment);
  struct journal_retention_record *record = record_ring_reserve(rig.config.rings[0], sizeof *record);
  *record = (struct journal_retention_record){
      .header = {.type = RECORD_RETENTION, .shard = RECORD_SHARD_CONTROL, .bytes = sizeof *record},
      .oldest_segment = segment,
      .oldest_lsn = lsn};
  record_ring_publish(rig.config.rings[0]);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
}

static void test_recovery_begins_where_the_state_does(void **state) {
  (void)state;
  struct visits visits;
  append(100); /* segments 1 to 4: 31, 31, 31, 7 */
  journal_set_state_lsn(rig.journal, 70);
  append(30); /* opens segment 5 */
  assert_int_equal(reopen(&visits), 0);
  assert_int_equal(visits.first, 63); /* segment 3 holds LSN 70 */
  assert_int_equal(visits.last, 130);
  assert_int_equal(rig.recovery.segments_passed, 2);
  assert_int_equal(rig.recovery.first_lsn, 1);
  assert_int_equal(journal_state_lsn(rig.journal), 70);
  append(1);
  assert_int_equal(journal_durable_lsn(rig.journal), 131);
}

static void test_damage_in_what_is_passed_is_left_to_verify_but_not_its_headers(void **state) {
  (void)state;
  struct visits visits;
  append(100);
  journal_set_state_lsn(rig.journal, 70);
  append(30);
  rig_close(&rig);
  segment_bytes(2)[2 * JOURNAL_BLOCK_BYTES + 900] ^= 1;
  assert_int_equal(reopen(&visits), 0);
  rig_close(&rig);
  segment_bytes(2)[40] ^= 1;
  assert_int_equal(reopen(&visits), -EBADMSG);
  assert_non_null(strstr(rig.recovery.refusal, "journal-0000000000000002.seg: offset 0"));
  segment_bytes(2)[40] ^= 1;
  segment_bytes(3)[2 * JOURNAL_BLOCK_BYTES + 900] ^= 1;
  assert_int_equal(reopen(&visits), -EBADMSG);
  assert_non_null(strstr(rig.recovery.refusal, "journal-0000000000000003.seg: offset 8192: damaged where LSN 64 should be"));
}

static void test_only_what_retention_announced_may_be_missing(void **state) {
  (void)state;
  struct visits visits;
  append(100);
  journal_set_state_lsn(rig.journal, 70);
  append(30);
  rig_close(&rig);
  remove_segment(1);
  assert_int_equal(reopen(&visits), -EBADMSG);
  assert_non_null(strstr(rig.recovery.refusal, "journal-0000000000000002.seg: segment 1 with LSN 1 and up is missing"));
}

/* The record alone says it, when no segment was opened since; then the header, when the record's segment is passed. */
static void test_segments_that_retention_announced_are_not_missed(void **state) {
  (void)state;
  struct visits visits;
  append(100);
  journal_set_state_lsn(rig.journal, 70);
  append(30);
  retain_from(3, 63);
  remove_segment(1);
  assert_int_equal(reopen(&visits), 0);
  assert_int_equal(rig.recovery.first_segment, 2); /* the crash came between two removals */
  rig_close(&rig);
  remove_segment(2);
  assert_int_equal(reopen(&visits), 0);
  assert_int_equal(rig.recovery.first_segment, 3);
  assert_int_equal(rig.recovery.first_lsn, 63);
  assert_int_equal(visits.last, 131);
  append(40); /* a header that says it */
  journal_set_state_lsn(rig.journal, 160);
  append(40);
  assert_int_equal(reopen(&visits), 0);
  assert_true(visits.first > 131);
  rig_close(&rig);
  remove_segment(3);
  assert_int_equal(reopen(&visits), -EBADMSG);
  assert_non_null(strstr(rig.recovery.refusal, "segment 3 is missing"));
}

static void test_readers_say_what_was_removed(void **state) {
  (void)state;
  int error;
  uint64_t lsn = 0;
  const struct record_header *record;
  append(100);
  assert_int_equal(journal_oldest_lsn(io, &lsn), 0);
  assert_int_equal(lsn, 1);
  struct journal_reader *slow = journal_reader_open(io, 1, &error);
  assert_int_equal(journal_reader_next(slow, 100, &lsn, &record), JOURNAL_READ_RECORD);
  journal_set_state_lsn(rig.journal, 70);
  append(30);
  retain_from(3, 63);
  remove_segment(1);
  remove_segment(2);
  assert_int_equal(journal_oldest_lsn(io, &lsn), 0);
  assert_int_equal(lsn, 63);
  struct journal_reader *late = journal_reader_open(io, 5, &error);
  assert_int_equal(journal_reader_next(late, 130, &lsn, &record), JOURNAL_READ_REMOVED);
  journal_reader_close(late);
  /* What it has open it reads to the end. */
  enum journal_read outcome;
  while ((outcome = journal_reader_next(slow, 130, &lsn, &record)) == JOURNAL_READ_RECORD) {
  }
  assert_int_equal(outcome, JOURNAL_READ_REMOVED);
  assert_int_equal(lsn, 31);
  journal_reader_close(slow);
}

static void test_the_chain_goes_over_segments_and_restarts(void **state) {
  (void)state;
  struct visits visits;
  append(20);
  assert_int_equal(reopen(&visits), 0);
  append(20);
  uint8_t chain[JOURNAL_CHAIN_BYTES] = {0};
  for (uint64_t segment = 1, lsn = 1; segment <= 2; segment++) {
    const uint8_t *bytes = segment_bytes(segment);
    const struct segment_header *header = (const void *)bytes;
    assert_int_equal(header->chain_kind, JOURNAL_CHAIN_SHA256);
    assert_memory_equal(header->chain, chain, sizeof chain);
    for (uint32_t offset = JOURNAL_BLOCK_BYTES; offset < RIG_SEGMENT_BYTES && lsn <= 40; lsn++) {
      const struct batch_header *batch = (const void *)(bytes + offset);
      assert_int_equal(batch->first_lsn, lsn);
      assert_memory_equal(batch_chain_of(batch)->before, chain, sizeof chain);
      journal_chain_next(offset == JOURNAL_BLOCK_BYTES ? bytes : NULL, batch, batch->batch_bytes, chain);
      offset += batch->batch_bytes;
    }
  }
}

/* Turning the chain off and on begins a new segment each time, and a new chain. */
static void test_the_chain_can_be_turned_off(void **state) {
  (void)state;
  static const uint8_t none[JOURNAL_CHAIN_BYTES];
  struct visits visits;
  append(3);
  rig.config.hash_chain = false;
  assert_int_equal(reopen(&visits), 0);
  append(3);
  rig.config.hash_chain = true;
  assert_int_equal(reopen(&visits), 0);
  append(3);
  assert_int_equal(reopen(&visits), 0);
  assert_int_equal(visits.count, 9);
  const struct segment_header *second = (const void *)segment_bytes(2), *third = (const void *)segment_bytes(3);
  assert_int_equal(second->chain_kind, JOURNAL_CHAIN_NONE);
  assert_int_equal(third->chain_kind, JOURNAL_CHAIN_SHA256);
  assert_memory_equal(second->chain, none, sizeof none);
  assert_memory_equal(third->chain, none, sizeof none);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_recovery_begins_where_the_state_does),
      TEST(test_damage_in_what_is_passed_is_left_to_verify_but_not_its_headers),
      TEST(test_only_what_retention_announced_may_be_missing),
      TEST(test_segments_that_retention_announced_are_not_missed),
      TEST(test_readers_say_what_was_removed),
      TEST(test_the_chain_goes_over_segments_and_restarts),
      TEST(test_the_chain_can_be_turned_off),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
