/* Every byte of a small journal is damaged in turn: never a wrong record, never a lost one but in the last batch. */
#include "cmocka_test.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCHES 4
#define RECORDS_A_BATCH 9
#define LAST_BATCH_OFFSET (BATCHES * JOURNAL_BLOCK_BYTES)

static uint32_t refusals, truncations;

static void check(struct journal_rig *rig, size_t at) {
  const int error = rig_open(rig);
  if (rig->recovered_badly) fail_msg("byte %zu: a wrong record came back", at);
  if (error) {
    if (error != -EBADMSG && error != -EPERM && error != -EPROTONOSUPPORT) fail_msg("byte %zu: error %d", at, error);
    if (!rig->recovery.refusal[0]) fail_msg("byte %zu: refused without a reason", at);
    refusals++;
  } else {
    const bool in_last = at >= LAST_BATCH_OFFSET;
    if (!in_last) fail_msg("byte %zu: the damage was not seen", at);
    const uint32_t expected =
        at < LAST_BATCH_OFFSET + JOURNAL_BLOCK_BYTES ? (BATCHES - 1) * RECORDS_A_BATCH : BATCHES * RECORDS_A_BATCH;
    if (rig->recovered[0] != expected) fail_msg("byte %zu: %u records", at, rig->recovered[0]);
    truncations += rig->recovery.truncated_bytes > 0;
  }
  rig_close(rig);
}

static void test_every_damaged_byte_is_noticed(void **state) {
  (void)state;
  struct journal_io *io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 5});
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.config.segment_bytes = JOURNAL_BATCH_BYTES_LEAST + 2 * JOURNAL_BLOCK_BYTES;
  rig.ring_bytes = 16 * 1024;
  assert_int_equal(rig_open(&rig), 0);
  for (int i = 0; i < BATCHES; i++) rig_append(&rig, RECORDS_A_BATCH, 400);
  rig_close(&rig);
  struct disk_image image;
  disk_image_take(&image, io);
  uint8_t *first = NULL;
  for (uint32_t i = 0; i < image.count; i++)
    if (strcmp(image.files[i].name, "journal-0000000000000001.seg") == 0) first = image.files[i].bytes;
  assert_non_null(first);
  const size_t used = (BATCHES + 1) * JOURNAL_BLOCK_BYTES;
  for (size_t at = 0; at < rig.config.segment_bytes; at += at < used ? 1 : 509) {
    const uint8_t was = first[at];
    /* A bit, all bits, and a lost byte. */
    const uint8_t changes[] = {(uint8_t)(1u << at % 8), 0xff, was};
    const size_t count = at % 16 == 0 ? 3 : 1;
    for (size_t change = 0; change < count; change++) {
      if (changes[change] == 0) continue;
      first[at] = was ^ changes[change];
      disk_image_restore(&image, io);
      check(&rig, at);
    }
    first[at] = was;
  }
  assert_true(refusals > LAST_BATCH_OFFSET);
  assert_true(truncations > 0);
  disk_image_free(&image);
  rig_free(&rig);
  io->operations->destroy(io);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_damaged_byte_is_noticed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
