/* A damaged journal's records in a new one. */
#include "cmocka_test.h"
#include "cursor_records.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include "journal_salvage.h"
#include <errno.h>
#include <string.h>

#define SEGMENT_1 "journal-0000000000000001.seg"
#define SEGMENT_2 "journal-0000000000000002.seg"
#define BLOCK JOURNAL_BLOCK_BYTES

static struct journal_io *from, *to;
static struct journal_rig rig;
static struct journal_scan scan;
static uint64_t records;
static const char *why;

static const struct journal_scan_handler quiet = {0};

static struct journal_io *new_disk(void) {
  return journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
}

static int set_up(void **state) {
  (void)state;
  from = new_disk();
  to = new_disk();
  rig_init(&rig, from, 1);
  if (rig_open(&rig) != 0) return -1;
  for (uint32_t i = 0; i < 70; i++) rig_append(&rig, 1, 3000);
  rig_close(&rig);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  rig_free(&rig);
  from->operations->destroy(from);
  to->operations->destroy(to);
  return 0;
}

static uint8_t *file(const char *name) {
  size_t length;
  return journal_sim_io_bytes(from, name, &length);
}

struct copied {
  uint32_t numbers[80];
  uint32_t count;
};

static void note(void *context, uint64_t lsn, const struct record_header *record) {
  struct copied *copied = context;
  uint32_t ring;
  assert_int_equal(lsn, copied->count + 1);
  assert_true(rig_record_check(record, &ring, &copied->numbers[copied->count++]));
}

static struct journal *open_copy(struct copied *copied) {
  struct journal_recovery recovery;
  int error;
  memset(copied, 0, sizeof *copied);
  struct journal_config config = rig.config;
  config.io = to;
  config.ring_count = 0;
  struct journal *journal = journal_open(&config, note, copied, &recovery, &error);
  if (!journal) fail_msg("the copy does not open: %s", recovery.refusal);
  return journal;
}

static void test_all_but_the_damaged_is_copied(void **state) {
  (void)state;
  struct disk_image before, after;
  file(SEGMENT_2)[4 * BLOCK + 900] ^= 1;
  memset(file(SEGMENT_2) + 9 * BLOCK, 0, 3 * BLOCK);
  disk_image_take(&before, from);
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  disk_image_take(&after, from);
  assert_int_equal(before.count, after.count);
  for (uint32_t i = 0; i < before.count; i++)
    assert_memory_equal(before.files[i].bytes, after.files[i].bytes, before.files[i].length);
  assert_int_equal(records, 66);
  assert_int_equal(scan.damages, 2);
  struct copied copied;
  struct journal *journal = open_copy(&copied);
  assert_int_equal(copied.count, 66);
  uint32_t expected = 1;
  for (uint32_t i = 0; i < copied.count; i++, expected++) {
    if (expected == 35) expected++;
    if (expected == 40) expected = 43;
    assert_int_equal(copied.numbers[i], expected);
  }
  journal_close(journal);
  disk_image_free(&before);
  disk_image_free(&after);
}

static void test_a_whole_journal_is_copied_whole(void **state) {
  (void)state;
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  assert_int_equal(records, 70);
  assert_true(reader_agrees(to, 70));
  struct journal_scan copy;
  assert_int_equal(journal_scan(to, &quiet, &copy), 0);
  assert_int_equal(copy.damages, 0);
  assert_true(copy.chained);
  assert_int_equal(copy.newest.salt, 99);
}

/* In order, but for the record that was written over. */
static void assert_all_but_one_go_over(void) {
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  assert_int_equal(records, 69);
  struct copied copied;
  struct journal *journal = open_copy(&copied);
  for (uint32_t i = 0; i < copied.count; i++) assert_int_equal(copied.numbers[i], i < 34 ? i + 1 : i + 2);
  journal_close(journal);
}

/* A batch that was written over another is there twice, and goes over once, where its LSN belongs. */
static void test_a_misdirected_batch_goes_over_once(void **state) {
  (void)state;
  memcpy(file(SEGMENT_2) + 4 * BLOCK, file(SEGMENT_2) + 20 * BLOCK, BLOCK);
  assert_all_but_one_go_over();
}

/* Nothing stands where it should have been. */
static void test_a_batch_in_a_wrong_place_goes_over_in_order(void **state) {
  (void)state;
  memcpy(file(SEGMENT_2) + 4 * BLOCK, file(SEGMENT_2) + 20 * BLOCK, BLOCK);
  memset(file(SEGMENT_2) + 20 * BLOCK, 0, BLOCK);
  assert_all_but_one_go_over();
}

/* A segment of another journal in the first place does not pass for this one. */
static void test_a_foreign_first_segment_hides_nothing(void **state) {
  (void)state;
  struct journal_io *other = new_disk();
  struct journal_rig foreign;
  rig_init(&foreign, other, 1);
  foreign.config.node_id[0] = 77;
  assert_int_equal(rig_open(&foreign), 0);
  rig_append(&foreign, 5, 3000);
  rig_close(&foreign);
  size_t length;
  const uint8_t *bytes = journal_sim_io_bytes(other, SEGMENT_1, &length);
  memcpy(file(SEGMENT_1), bytes, length);
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  assert_int_equal(records, 39);
  assert_string_equal(scan.first_damage.file, SEGMENT_1);
  assert_string_equal(scan.first_damage.what, "the header is that of another journal");
  assert_memory_equal(scan.newest.node_id, rig.config.node_id, sizeof scan.newest.node_id);
  other->operations->destroy(other);
}

static void test_an_existing_journal_is_not_written_into(void **state) {
  (void)state;
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), -EEXIST);
  assert_non_null(strstr(why, "already"));
}

/* LSNs are others in the copy: a cursor goes with the records. */
static void publish_cursor(const char *name, uint64_t lsn) {
  struct cursor_record *record = record_ring_reserve(rig.config.rings[0], sizeof *record);
  assert_non_null(record);
  *record = (struct cursor_record){.header = {.type = RECORD_CURSOR, .shard = RECORD_SHARD_CONTROL, .bytes = sizeof *record},
                                   .event = CURSOR_EVENT_CREATED,
                                   .cursor = {.lsn = lsn}};
  strcpy(record->cursor.name, name);
  record_ring_publish(rig.config.rings[0]);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
}

struct found_cursors {
  uint64_t lsns[4];
  uint32_t count;
};

static void find_cursors(void *context, uint64_t lsn, const struct record_header *record) {
  struct found_cursors *found = context;
  uint32_t count;
  const struct cursor_entry *entry = cursor_record_entries(record, lsn, &count);
  if (entry && found->count < 4) found->lsns[found->count++] = entry->lsn;
}

static void test_cursors_go_with_their_records(void **state) {
  (void)state;
  struct found_cursors found = {.count = 0};
  struct journal_recovery recovery;
  int error;
  assert_int_equal(rig_open(&rig), 0);
  publish_cursor("before", 33);
  publish_cursor("lost", 36); /* with the block at it: it stands after what is left before it */
  publish_cursor("after", 50);
  publish_cursor("first", 0);
  rig_close(&rig);
  memset(file(SEGMENT_2) + 4 * BLOCK, 0, 3 * BLOCK); /* LSNs 35 to 37 */
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), 0);
  assert_int_equal(records, 71);
  struct journal_config config = rig.config;
  config.io = to;
  config.ring_count = 0;
  struct journal *journal = journal_open(&config, find_cursors, &found, &recovery, &error);
  assert_non_null(journal);
  assert_int_equal(found.count, 4);
  assert_int_equal(found.lsns[0], 33);
  assert_int_equal(found.lsns[1], 34);
  assert_int_equal(found.lsns[2], 47);
  assert_int_equal(found.lsns[3], 0);
  journal_close(journal);
}

static void test_nothing_to_salvage(void **state) {
  (void)state;
  struct journal_io *empty = new_disk();
  assert_int_equal(journal_salvage(empty, to, 99, &quiet, &scan, &records, &why), -ENODATA);
  empty->operations->destroy(empty);
}

static void test_a_full_disk_is_said(void **state) {
  (void)state;
  journal_sim_io_set_capacity(to, 2 * RIG_SEGMENT_BYTES);
  assert_int_equal(journal_salvage(from, to, 99, &quiet, &scan, &records, &why), -ENOSPC);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_all_but_the_damaged_is_copied),
      TEST(test_a_whole_journal_is_copied_whole),
      TEST(test_a_misdirected_batch_goes_over_once),
      TEST(test_a_batch_in_a_wrong_place_goes_over_in_order),
      TEST(test_a_foreign_first_segment_hides_nothing),
      TEST(test_an_existing_journal_is_not_written_into),
      TEST(test_cursors_go_with_their_records),
      TEST(test_nothing_to_salvage),
      TEST(test_a_full_disk_is_said),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
