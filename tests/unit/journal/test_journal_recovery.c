/* The decision table of docs/journal-format.md, row by row. */
#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_1 "journal-0000000000000001.seg"
#define SEGMENT_2 "journal-0000000000000002.seg"
#define SEGMENT_3 "journal-0000000000000003.seg"
#define SEGMENT_4 "journal-0000000000000004.seg"
#define BLOCK JOURNAL_BLOCK_BYTES

static struct journal_io *io;
static struct journal_rig rig;

static uint8_t *file(const char *name) {
  size_t length;
  uint8_t *bytes = journal_sim_io_bytes(io, name, &length);
  assert_non_null(bytes);
  return bytes;
}

static void shorten(const char *name, size_t length) {
  uint8_t *copy = malloc(length + 1);
  memcpy(copy, file(name), length);
  assert_int_equal(journal_sim_io_put(io, name, copy, length), 0);
  free(copy);
}

static void remove_file(const char *name) { assert_int_equal(io->operations->remove(io, name), 0); }

static struct batch_header *batch(const char *name, uint64_t offset) { return (void *)(file(name) + offset); }

/* As a writer would that goes wrong: the checksum is right, whatever the content. */
static void seal_again(const char *name, uint64_t offset) {
  struct journal_identity identity = {.salt = rig.config.salt};
  memcpy(identity.node_id, rig.config.node_id, sizeof identity.node_id);
  batch_seal(batch(name, offset), journal_segment_seed(&identity, batch(name, offset)->segment), JOURNAL_VERSION);
}

/* Three segments are used, of 31, 31 and 8 one-block batches with one record each; the fourth is ready. */
static void make_journal(void) {
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  for (int i = 0; i < 70; i++) rig_append(&rig, 1, 3000);
  for (int i = 0; i < 10; i++) rig_step(&rig, 100000);
  rig_close(&rig);
}

static void free_journal(void) {
  rig_free(&rig);
  io->operations->destroy(io);
}

struct row {
  const char *shows; /* rows of the table in docs/journal-format.md */
  const char *name;
  void (*damage)(void);
  int error;           /* 0: opens */
  uint32_t records;    /* when it opens */
  uint64_t truncated;  /* bytes */
  const char *refusal; /* a part of the text */
  uint32_t passed;     /* records */
};

static void nothing(void) {}
static void remove_all(void) {
  remove_file(SEGMENT_1);
  remove_file(SEGMENT_2);
  remove_file(SEGMENT_3);
  remove_file(SEGMENT_4);
}
static void foreign_names(void) {
  assert_int_equal(journal_sim_io_put(io, "notes.txt", "x", 1), 0);
  assert_int_equal(journal_sim_io_put(io, "journal-1.seg", "x", 1), 0);
  assert_int_equal(journal_sim_io_put(io, "journal-000000000000000G.seg", "x", 1), 0);
}
static void temporary_left(void) { assert_int_equal(journal_sim_io_put(io, "journal-0000000000000005.tmp", "abc", 3), 0); }
static void segment_missing_first(void) { remove_file(SEGMENT_1); }
static void segment_missing_middle(void) { remove_file(SEGMENT_2); }
static void unused_missing(void) { remove_file(SEGMENT_4); }
static void unused_short(void) { shorten(SEGMENT_4, 5000); }
static void unused_empty(void) { shorten(SEGMENT_4, 0); }
static void unused_torn_header(void) { memcpy(file(SEGMENT_4) + 16, "torn", 4); }
static void unused_data(void) { file(SEGMENT_4)[BLOCK + 17] = 1; }
static void unused_data_at_end(void) { file(SEGMENT_4)[RIG_SEGMENT_BYTES - 1] = 1; }
static void later_unused_torn_header(void) {
  uint8_t *copy = calloc(1, RIG_SEGMENT_BYTES);
  copy[0] = 'T';
  assert_int_equal(journal_sim_io_put(io, "journal-0000000000000005.seg", copy, RIG_SEGMENT_BYTES), 0);
  free(copy);
}
static void put_unused(const char *name, size_t length) {
  uint8_t *zeros = calloc(1, length);
  assert_int_equal(journal_sim_io_put(io, name, zeros, length), 0);
  free(zeros);
}
static void more_unused(void) { put_unused("journal-0000000000000005.seg", RIG_SEGMENT_BYTES); }
static void newest_missing(void) { remove_file(SEGMENT_3); }
static void unused_missing_before_another(void) {
  more_unused();
  remove_file(SEGMENT_4);
}
static void all_used_missing(void) {
  remove_file(SEGMENT_1);
  remove_file(SEGMENT_2);
  remove_file(SEGMENT_3);
}
/* Those after it go, too, and never a later one first: see test_recovery_may_crash_too. */
static void unused_short_of_two(void) {
  more_unused();
  unused_short();
}
static void middle_segment_unused(void) { memset(file(SEGMENT_2), 0, RIG_SEGMENT_BYTES); }
static struct segment_header *header(const char *name) { return (void *)file(name); }
static void first_lsn_of_first_segment(void) {
  header(SEGMENT_1)->first_lsn = 2;
  segment_header_seal(header(SEGMENT_1));
}
static void state_in_second_segment(void) {
  header(SEGMENT_3)->state_lsn = 40;
  segment_header_seal(header(SEGMENT_3));
}
static void state_in_second_segment_damage_before(void) {
  state_in_second_segment();
  file(SEGMENT_1)[3 * BLOCK + 100] ^= 1;
}
static void lsn_below_that_of_a_passed_segment(void) {
  state_in_second_segment();
  header(SEGMENT_1)->first_lsn = 1;
  header(SEGMENT_2)->first_lsn = 0xffff;
  segment_header_seal(header(SEGMENT_2));
  header(SEGMENT_3)->state_lsn = 0xffff;
  segment_header_seal(header(SEGMENT_3));
}
static void retention_said_so(void) {
  header(SEGMENT_3)->oldest_segment = 2;
  header(SEGMENT_3)->state_lsn = 32;
  segment_header_seal(header(SEGMENT_3));
  remove_file(SEGMENT_1);
}
/* It must not count as one of those to be removed, and all after it. */
static void first_segment_unused_after_retention(void) {
  retention_said_so();
  put_unused(SEGMENT_1, RIG_SEGMENT_BYTES);
}
static void header_zeroed(void) { memset(file(SEGMENT_3), 0, BLOCK); }
static void header_damaged(void) { file(SEGMENT_2)[40] ^= 1; }
static void header_padding_damaged(void) { file(SEGMENT_2)[4000] ^= 1; }
static void first_header_damaged(void) { file(SEGMENT_1)[24] ^= 1; }
static void header_newer(void) { file(SEGMENT_3)[8] = JOURNAL_VERSION + 1; }
static void header_foreign(void) {
  struct segment_header *header = (void *)file(SEGMENT_1);
  header->node_id[5] ^= 1;
  segment_header_seal(header);
}
static void header_of_another_segment(void) {
  assert_int_equal(journal_sim_io_put(io, SEGMENT_3, file(SEGMENT_2), RIG_SEGMENT_BYTES), 0);
}
static void header_of_another_journal(void) {
  struct segment_header *header = (void *)file(SEGMENT_3);
  header->salt ^= 1;
  segment_header_seal(header);
}
static void header_wrong_lsn(void) {
  struct segment_header *header = (void *)file(SEGMENT_3);
  header->first_lsn++;
  segment_header_seal(header);
}
static void header_wrong_chain(void) {
  struct segment_header *header = (void *)file(SEGMENT_3);
  header->previous_checksum++;
  segment_header_seal(header);
}
static void segment_short(void) { shorten(SEGMENT_3, RIG_SEGMENT_BYTES - BLOCK); }
static void segment_short_middle(void) { shorten(SEGMENT_2, 10 * BLOCK); }
static void last_batch_damaged(void) { file(SEGMENT_3)[8 * BLOCK + 900] ^= 1; }
static void last_batch_magic_damaged(void) { file(SEGMENT_3)[8 * BLOCK] ^= 1; }
static void last_batch_length_damaged(void) { batch(SEGMENT_3, 8 * BLOCK)->batch_bytes = 5 * BLOCK; }
static void last_batch_zeroed(void) { memset(file(SEGMENT_3) + 8 * BLOCK, 0, BLOCK); }
static void all_batches_of_last_segment_zeroed(void) { memset(file(SEGMENT_3) + BLOCK, 0, 8 * BLOCK); }
static void remains_after_end(void) { file(SEGMENT_3)[10 * BLOCK + 700] = 1; }
static void remains_far_after_end(void) { file(SEGMENT_3)[30 * BLOCK] = 1; }
static void remains_beyond_claim(void) {
  struct batch_header *torn = batch(SEGMENT_3, 9 * BLOCK);
  *torn = (struct batch_header){.magic = JOURNAL_BATCH_MAGIC, .batch_bytes = 2 * BLOCK};
  file(SEGMENT_3)[11 * BLOCK] = 1;
}
static void remains_within_claim(void) {
  struct batch_header *torn = batch(SEGMENT_3, 9 * BLOCK);
  *torn = (struct batch_header){.magic = JOURNAL_BATCH_MAGIC, .batch_bytes = 2 * BLOCK};
  file(SEGMENT_3)[10 * BLOCK] = 1;
}
static void batch_damaged_before_last(void) { file(SEGMENT_3)[7 * BLOCK + 900] ^= 1; }
static void batch_zeroed_before_last(void) { memset(file(SEGMENT_3) + 7 * BLOCK, 0, BLOCK); }
static void batch_damaged_first(void) { file(SEGMENT_1)[BLOCK + 900] ^= 1; }
static void batch_damaged_at_end_of_segment(void) { file(SEGMENT_2)[31 * BLOCK + 4095] ^= 1; }
static void batch_zeroed_at_end_of_segment(void) { memset(file(SEGMENT_2) + 31 * BLOCK, 0, BLOCK); }
static void batch_misdirected(void) { memcpy(file(SEGMENT_3) + 3 * BLOCK, file(SEGMENT_3) + 5 * BLOCK, BLOCK); }
static void last_batch_misdirected(void) {
  memcpy(file(SEGMENT_3) + 12 * BLOCK, file(SEGMENT_3) + 8 * BLOCK, BLOCK);
  memset(file(SEGMENT_3) + 8 * BLOCK, 0, BLOCK);
}
static void batch_from_another_segment(void) { memcpy(file(SEGMENT_3) + 9 * BLOCK, file(SEGMENT_2) + 9 * BLOCK, BLOCK); }
static void batch_of_another_salt(void) {
  memcpy(file(SEGMENT_3) + 9 * BLOCK, file(SEGMENT_3) + 8 * BLOCK, BLOCK);
  memset(file(SEGMENT_3) + 10 * BLOCK, 0, BLOCK);
  const uint64_t salt = rig.config.salt;
  rig.config.salt = 99;
  batch(SEGMENT_3, 9 * BLOCK)->first_lsn = 71;
  seal_again(SEGMENT_3, 9 * BLOCK);
  rig.config.salt = salt;
}
static void malformed(void) {
  ((struct record_frame *)(void *)((uint8_t *)batch(SEGMENT_3, 8 * BLOCK) + JOURNAL_BATCH_HEADER_BYTES))->bytes = 60000;
  seal_again(SEGMENT_3, 8 * BLOCK);
}
static void malformed_count(void) {
  batch(SEGMENT_3, 8 * BLOCK)->record_count = 2;
  seal_again(SEGMENT_3, 8 * BLOCK);
}
static void wrong_lsn(void) {
  batch(SEGMENT_3, 8 * BLOCK)->first_lsn++;
  seal_again(SEGMENT_3, 8 * BLOCK);
}
static void wrong_chain(void) {
  batch(SEGMENT_3, 8 * BLOCK)->previous_checksum++;
  seal_again(SEGMENT_3, 8 * BLOCK);
}

static const struct row rows[] = {
    {"S11 S16 B3 B4 T5", "whole", nothing, 0, 70, 0, NULL, 0},
    {"", "no files", remove_all, 0, 0, 0, NULL, 0},
    {"S11", "names of others", foreign_names, 0, 70, 0, NULL, 0},
    {"S11", "a temporary", temporary_left, 0, 70, 0, NULL, 0},
    {"S6", "first segment missing", segment_missing_first, -EBADMSG, 0, 0, SEGMENT_2 ": segment 1 with LSN 1 and up is missing",
     0},
    {"S7", "middle segment missing", segment_missing_middle, -EBADMSG, 0, 0, SEGMENT_3 ": segment 2 with LSN 32", 0},
    {"S11 T5", "unused segment missing", unused_missing, 0, 70, 0, NULL, 0},
    {"S17", "unused segment short", unused_short, 0, 70, 0, NULL, 0},
    {"S17", "unused segment empty", unused_empty, 0, 70, 0, NULL, 0},
    {"S15", "unused segment, header torn", unused_torn_header, 0, 70, 0, NULL, 0},
    {"S13", "unused segment with data", unused_data, -EBADMSG, 0, 0, SEGMENT_4 ": offset 0: the segment header is damaged", 0},
    {"S13", "unused segment with data at its end", unused_data_at_end, -EBADMSG, 0, 0, "LSN 71 and up would be lost", 0},
    {"S14", "second unused segment, header torn", later_unused_torn_header, -EBADMSG, 0, 0,
     "journal-0000000000000005.seg: offset 0", 0},
    {"S13", "header zeroed", header_zeroed, -EBADMSG, 0, 0, SEGMENT_3 ": offset 0: the segment header is damaged", 0},
    {"S13", "header damaged", header_damaged, -EBADMSG, 0, 0, SEGMENT_2 ": offset 0: the segment header is damaged", 0},
    {"S13", "header padding damaged", header_padding_damaged, -EBADMSG, 0, 0, SEGMENT_2 ": offset 0", 0},
    {"S13", "first header damaged", first_header_damaged, -EBADMSG, 0, 0, SEGMENT_1 ": offset 0", 0},
    {"S1", "newer version", header_newer, -EPROTONOSUPPORT, 0, 0, "format version 3", 0},
    {"S2", "foreign node", header_foreign, -EPERM, 0, 0, "another node", 0},
    {"S3", "another segment's header", header_of_another_segment, -EBADMSG, 0, 0, SEGMENT_3 ": offset 0: holds segment 2", 0},
    {"S4", "another journal's header", header_of_another_journal, -EBADMSG, 0, 0, "another journal", 0},
    {"S10", "header with a wrong LSN", header_wrong_lsn, -EBADMSG, 0, 0, "damaged where LSN 63 should be", 0},
    {"S10", "header with a wrong chain", header_wrong_chain, -EBADMSG, 0, 0, "damaged where LSN 63 should be", 0},
    {"S5", "last segment's file short", segment_short, -EBADMSG, 0, 0, SEGMENT_3 ": offset 126976: the file ends here", 0},
    {"S5", "middle segment's file short", segment_short_middle, -EBADMSG, 0, 0, SEGMENT_2 ": offset 40960: the file ends here",
     0},
    {"T4", "last batch damaged", last_batch_damaged, 0, 69, BLOCK, NULL, 0},
    {"T4", "last batch's magic damaged", last_batch_magic_damaged, 0, 69, BLOCK, NULL, 0},
    {"T4", "last batch's length damaged", last_batch_length_damaged, 0, 69, BLOCK, NULL, 0},
    {"B4 T5", "last batch zeroed", last_batch_zeroed, 0, 69, 0, NULL, 0},
    {"B4 T5", "last segment without batches", all_batches_of_last_segment_zeroed, 0, 62, 0, NULL, 0},
    {"T4", "remains after the end", remains_after_end, 0, 70, 2 * BLOCK, NULL, 0},
    {"T2", "data further off than a batch", remains_far_after_end, -EBADMSG, 0, 0,
     SEGMENT_3 ": offset 36864: damaged where LSN 71 should be: there is data after it, at offset 122880", 0},
    {"T2", "data further off than the torn batch", remains_beyond_claim, -EBADMSG, 0, 0, "at offset 45056", 0},
    {"T4", "data within the torn batch", remains_within_claim, 0, 70, 2 * BLOCK, NULL, 0},
    {"T1", "batch damaged before a good one", batch_damaged_before_last, -EBADMSG, 0, 0,
     SEGMENT_3 ": offset 28672: damaged where LSN 69 should be", 0},
    {"T1", "batch zeroed before a good one", batch_zeroed_before_last, -EBADMSG, 0, 0,
     SEGMENT_3 ": offset 28672: damaged where LSN 69 should be: a good batch follows at offset 32768 with LSN 70", 0},
    {"T1", "first batch damaged", batch_damaged_first, -EBADMSG, 0, 0, SEGMENT_1 ": offset 4096: damaged where LSN 1 should be",
     0},
    {"T3", "last batch of a segment damaged", batch_damaged_at_end_of_segment, -EBADMSG, 0, 0,
     SEGMENT_2 ": offset 126976: damaged where LSN 62 should be", 0},
    {"S10", "last batch of a segment zeroed", batch_zeroed_at_end_of_segment, -EBADMSG, 0, 0,
     SEGMENT_2 ": offset 126976: damaged where LSN 62 should be", 0},
    {"B2", "batch written over another", batch_misdirected, -EBADMSG, 0, 0,
     SEGMENT_3 ": offset 12288: a batch with LSN 67 where LSN 65 should be", 0},
    {"T1", "last batch written elsewhere", last_batch_misdirected, -EBADMSG, 0, 0,
     "a good batch follows at offset 49152 with LSN 70", 0},
    {"T4", "another segment's batch at the end", batch_from_another_segment, 0, 70, BLOCK, NULL, 0},
    {"T4", "a forged batch without the salt", batch_of_another_salt, 0, 70, BLOCK, NULL, 0},
    {"B1", "malformed record under a good checksum", malformed, -EBADMSG, 0, 0, SEGMENT_3 ": offset 32768: the batch of LSN 70",
     0},
    {"B1", "wrong record count under a good checksum", malformed_count, -EBADMSG, 0, 0, "malformed", 0},
    {"B2", "wrong LSN under a good checksum", wrong_lsn, -EBADMSG, 0, 0, "a batch with LSN 71 where LSN 70 should be", 0},
    {"B2", "wrong chain under a good checksum", wrong_chain, -EBADMSG, 0, 0, "a batch with LSN 70 where LSN 70 should be", 0},
    {"S12", "newest segment missing before an unused one", newest_missing, -EBADMSG, 0, 0,
     SEGMENT_4 ": segment 3 before it is missing; it was prepared before this one, and may have held LSN 63 and up", 0},
    {"S12", "unused segment missing before another", unused_missing_before_another, -EBADMSG, 0, 0, "segment 4 before it", 0},
    {"S12", "all segments in use missing", all_used_missing, -EBADMSG, 0, 0, SEGMENT_4 ": segment 1 before it is missing", 0},
    {"S16", "two unused segments", more_unused, 0, 70, 0, NULL, 0},
    {"S17", "the first of two unused segments short", unused_short_of_two, 0, 70, 0, NULL, 0},
    {"S7", "middle segment unused", middle_segment_unused, -EBADMSG, 0, 0, SEGMENT_2 ": offset 0: never used, and " SEGMENT_3, 0},
    {"S7", "first segment unused, those before the second removed by retention", first_segment_unused_after_retention, -EBADMSG,
     0, 0, SEGMENT_1 ": offset 0: never used, and " SEGMENT_2 " after it is, with LSN 32 and up", 0},
    {"S8", "the first segment begins with another LSN", first_lsn_of_first_segment, -EBADMSG, 0, 0,
     SEGMENT_1 ": offset 0: damaged where LSN 1 should be", 0},
    {"S8", "a segment begins below one that was passed", lsn_below_that_of_a_passed_segment, -EBADMSG, 0, 0, "LSN 63", 0},
    {"S9", "records that the state does not need", state_in_second_segment, 0, 70, 0, NULL, 31},
    {"S9", "damage in records that the state does not need", state_in_second_segment_damage_before, 0, 70, 0, NULL, 31},
    {"S11", "removed by retention", retention_said_so, 0, 70, 0, NULL, 31},
};

static void check_refused(const struct row *row) {
  struct disk_image before, after;
  disk_image_take(&before, io);
  assert_int_equal(rig_open(&rig), row->error);
  if (!strstr(rig.recovery.refusal, row->refusal)) fail_msg("%s: refusal is '%s'", row->name, rig.recovery.refusal);
  /* A refused journal is left as it was, for whoever must find out. */
  disk_image_take(&after, io);
  assert_int_equal(after.count, before.count);
  for (uint32_t i = 0; i < before.count; i++) {
    assert_string_equal(after.files[i].name, before.files[i].name);
    assert_int_equal(after.files[i].length, before.files[i].length);
    assert_memory_equal(after.files[i].bytes, before.files[i].bytes, before.files[i].length);
  }
  disk_image_free(&before);
  disk_image_free(&after);
}

static void check_opened(const struct row *row) {
  rig.passed = row->passed;
  if (rig_open(&rig) != 0) fail_msg("%s: refused: %s", row->name, rig.recovery.refusal);
  assert_int_equal(rig.recovered[0], row->records);
  assert_int_equal(rig.recovery.records, row->records - row->passed);
  assert_int_equal(rig.recovery.next_lsn, row->records + 1);
  assert_int_equal(journal_durable_lsn(rig.journal), row->records);
  assert_int_equal(rig.recovery.truncated_bytes, row->truncated);
  assert_false(rig.recovered_badly);
  /* It goes on from there, over the next segment too, and what was cut never comes back. */
  rig.published[0] = row->records;
  for (int i = 0; i < 40; i++) rig_append(&rig, 1, 2000);
  rig_close(&rig);
  if (rig_open(&rig) != 0) fail_msg("%s: refused after going on: %s", row->name, rig.recovery.refusal);
  assert_int_equal(rig.recovered[0], row->records + 40);
  assert_int_equal(rig.recovery.truncated_bytes, 0);
  assert_false(rig.recovered_badly);
}

static void test_every_row_of_the_decision_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    make_journal();
    rows[i].damage();
    if (rows[i].error)
      check_refused(&rows[i]);
    else
      check_opened(&rows[i]);
    free_journal();
  }
}

static void test_temporaries_go_and_foreign_names_stay(void **state) {
  (void)state;
  make_journal();
  foreign_names();
  temporary_left();
  assert_int_equal(rig_open(&rig), 0);
  size_t length;
  assert_null(journal_sim_io_bytes(io, "journal-0000000000000005.tmp", &length));
  assert_non_null(journal_sim_io_bytes(io, "notes.txt", &length));
  assert_non_null(journal_sim_io_bytes(io, "journal-1.seg", &length));
  free_journal();
}

/* A crash while recovery truncates leaves a tail that the next recovery truncates. */
static void test_recovery_may_crash_too(void **state) {
  (void)state;
  for (uint64_t nth = 1; nth <= 3; nth++) {
    make_journal();
    memset(file(SEGMENT_3) + 9 * BLOCK, 0xab, 4 * BLOCK);
    unused_torn_header();
    struct journal_io *faulty = journal_fault_io_create(io);
    const enum journal_fault_point points[] = {FAULT_SYNC, FAULT_WRITE_SYNC, FAULT_WRITE_SYNC};
    journal_fault_io_arm(faulty, &(struct journal_fault){.point = points[nth - 1], .nth = nth == 3 ? 2 : 1, .error = -EIO});
    rig.config.io = faulty;
    assert_int_equal(rig_open(&rig), -EIO);
    assert_true(journal_fault_io_fired(faulty));
    assert_string_not_equal(rig.recovery.refusal, "");
    rig.config.io = io;
    faulty->operations->destroy(faulty);
    check_opened(&(struct row){.name = "after", .records = 70, .truncated = nth == 3 ? 0 : 4 * BLOCK});
    free_journal();
  }
}

/* What is left when the removal of unused segments is cut short is not taken for a loss. */
static void test_removal_of_unused_segments_may_be_cut_short(void **state) {
  (void)state;
  make_journal();
  unused_short_of_two();
  struct journal_io *faulty = journal_fault_io_create(io);
  journal_fault_io_arm(faulty, &(struct journal_fault){.point = FAULT_REMOVE, .nth = 2, .error = -EIO});
  rig.config.io = faulty;
  assert_int_equal(rig_open(&rig), -EIO);
  size_t length;
  assert_null(journal_sim_io_bytes(io, "journal-0000000000000005.seg", &length));
  assert_non_null(journal_sim_io_bytes(io, SEGMENT_4, &length));
  rig.config.io = io;
  faulty->operations->destroy(faulty);
  check_opened(&(struct row){.name = "after", .records = 70});
  free_journal();
}

static void test_read_errors_refuse_and_say_where(void **state) {
  (void)state;
  make_journal();
  struct journal_io *faulty = journal_fault_io_create(io);
  rig.config.io = faulty;
  uint64_t nth = 1;
  for (;; nth++) {
    journal_fault_io_arm(faulty, &(struct journal_fault){.point = FAULT_READ, .nth = nth, .error = -EIO});
    const int error = rig_open(&rig);
    if (!journal_fault_io_fired(faulty)) break;
    assert_int_equal(error, -EIO);
    assert_non_null(strstr(rig.recovery.refusal, "cannot read"));
    assert_non_null(strstr(rig.recovery.refusal, ".seg: offset"));
  }
  assert_true(nth > 4);
  assert_int_equal(rig.recovered[0], 70);
  rig_close(&rig);
  faulty->operations->destroy(faulty);
  rig.config.io = io;
  free_journal();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_row_of_the_decision_table),  cmocka_unit_test(test_temporaries_go_and_foreign_names_stay),
      cmocka_unit_test(test_recovery_may_crash_too),           cmocka_unit_test(test_removal_of_unused_segments_may_be_cut_short),
      cmocka_unit_test(test_read_errors_refuse_and_say_where),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
