/* How far a recovery says it is, on the simulated disk; and a recovery that is stopped. */
#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_rig.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 200u

static struct journal_io *sim;
static struct journal_rig rig;
static struct journal_progress progress;

/* What was seen at each record that recovery visited. */
static struct {
  uint64_t visits, last_bytes, to_read, stop_after;
  bool fell, beyond, changed;
} seen;

static void look(void *context, uint64_t lsn, const struct record_header *record) {
  (void)context, (void)lsn, (void)record;
  seen.visits++;
  if (progress.bytes_read < seen.last_bytes) seen.fell = true;
  if (progress.bytes_read > progress.bytes_to_read) seen.beyond = true;
  if (seen.to_read && seen.to_read != progress.bytes_to_read) seen.changed = true;
  seen.last_bytes = progress.bytes_read;
  seen.to_read = progress.bytes_to_read;
  if (seen.stop_after && seen.visits == seen.stop_after) progress.stop = true;
}

/* Several segments in use, the last one half, and one that is ready. */
static void make_journal(void) {
  sim = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 5, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, sim, 1);
  assert_int_equal(rig_open(&rig), 0);
  for (unsigned i = 0; i < RECORDS; i++) rig_append(&rig, 1, 3000);
  for (unsigned i = 0; i < 10; i++) rig_step(&rig, 100000);
  rig_close(&rig);
  memset(&seen, 0, sizeof seen);
  memset(&progress, 0, sizeof progress);
}

static void free_journal(void) {
  rig_free(&rig);
  sim->operations->destroy(sim);
}

static struct journal *open_watched(struct journal_recovery *recovery, int *error) {
  struct journal_config config = rig.config;
  config.progress = &progress;
  return journal_open(&config, look, NULL, recovery, error);
}

static uint64_t bytes_of(const struct disk_image *image) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < image->count; i++) bytes += image->files[i].length;
  return bytes;
}

static void grows_to_all(void **state) {
  (void)state;
  struct journal_recovery recovery;
  struct disk_image image;
  int error;
  make_journal();
  disk_image_take(&image, sim);
  struct journal *journal = open_watched(&recovery, &error);
  assert_non_null(journal);
  assert_int_equal(seen.visits, RECORDS);
  assert_false(seen.fell || seen.beyond || seen.changed);
  assert_true(seen.last_bytes > 0);
  assert_int_equal(seen.to_read, bytes_of(&image));
  assert_int_equal(progress.bytes_read, progress.bytes_to_read);
  assert_int_equal(progress.records, RECORDS);
  assert_int_equal(progress.segments_read, progress.segments_to_read);
  assert_int_equal(progress.segments_read, image.count);
  journal_close(journal);
  disk_image_free(&image);
  free_journal();
}

/* Of segments older than the state only the header counts. */
static void passed_segments_hardly_count(void **state) {
  (void)state;
  struct journal_recovery recovery;
  int error;
  make_journal();
  assert_int_equal(rig_open(&rig), 0);
  journal_set_state_lsn(rig.journal, RECORDS);
  for (unsigned i = 0; i < RECORDS; i++) rig_append(&rig, 1, 3000);
  rig_close(&rig);
  struct journal *again = open_watched(&recovery, &error);
  assert_non_null(again);
  assert_true(recovery.segments_passed > 2);
  assert_int_equal(progress.bytes_read, progress.bytes_to_read);
  assert_int_equal(progress.segments_read, progress.segments_to_read);
  /* Its own prepared ones count in full. */
  assert_true(progress.segments_to_read >= recovery.segments - recovery.segments_passed);
  assert_int_equal(progress.bytes_to_read, recovery.segments_passed * 4096 + progress.segments_to_read * RIG_SEGMENT_BYTES);
  journal_close(again);
  free_journal();
}

/* At any record: -ECANCELED, and each byte of the disk as it was, a torn tail and a temporary included. */
static void a_stop_changes_nothing(void **state) {
  (void)state;
  struct disk_image image, after;
  make_journal();
  size_t length;
  uint8_t *last = journal_sim_io_bytes(sim, "journal-0000000000000007.seg", &length);
  assert_non_null(last);
  memset(last + 120 * 1024, 0x5a, 100);
  assert_int_equal(journal_sim_io_put(sim, "journal-00000000000000ff.tmp", "remains", 7), 0);
  disk_image_take(&image, sim);
  for (uint64_t at = 1; at < RECORDS; at += 13) {
    struct journal_recovery recovery;
    int error = 0;
    memset(&progress, 0, sizeof progress);
    memset(&seen, 0, sizeof seen);
    seen.stop_after = at;
    assert_null(open_watched(&recovery, &error));
    assert_int_equal(error, -ECANCELED);
    assert_true(seen.visits >= at && progress.bytes_read < progress.bytes_to_read);
    disk_image_take(&after, sim);
    assert_int_equal(after.count, image.count);
    for (uint32_t i = 0; i < image.count; i++) {
      assert_string_equal(after.files[i].name, image.files[i].name);
      assert_int_equal(after.files[i].length, image.files[i].length);
      assert_memory_equal(after.files[i].bytes, image.files[i].bytes, image.files[i].length);
    }
    disk_image_free(&after);
  }
  disk_image_free(&image);
  free_journal();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(grows_to_all), cmocka_unit_test(passed_segments_hardly_count),
                                     cmocka_unit_test(a_stop_changes_nothing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
