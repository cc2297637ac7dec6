/* A journal that an earlier release wrote is read, gone on with in a new segment, and read again. */
#include "cmocka_test.h"
#include "journal_format_internal.h"
#include "journal_reader_check.h"
#include "journal_rig.h"
#include <stdlib.h>
#include <string.h>

#define RECORDS 12
#define BODY_BYTES 64u

/* One record a batch, as the rig writes them. */
static uint32_t put_batch(uint8_t *segment, uint32_t offset, const struct journal_identity *identity, uint32_t number,
                          uint32_t previous) {
  struct batch_header *batch = (void *)(segment + offset);
  struct record_frame *frame = (void *)(batch + 1);
  struct rig_record *record = (void *)(frame + 1);
  const uint32_t bytes = (uint32_t)sizeof *record + BODY_BYTES;
  *record =
      (struct rig_record){.header = {.type = RECORD_WEBHOOK, .bytes = bytes, .wall_ns = number}, .ring = 0, .number = number};
  uint8_t *body = (uint8_t *)(record + 1);
  for (uint32_t i = 0; i < BODY_BYTES; i++) body[i] = (uint8_t)(number * 7u + i * 13u + 1u);
  const uint32_t seed = journal_segment_seed(identity, 1);
  *frame = (struct record_frame){.bytes = bytes, .checksum = journal_checksum(journal_lsn_seed(seed, number), record, bytes)};
  *batch = (struct batch_header){.batch_bytes = JOURNAL_BLOCK_BYTES,
                                 .record_count = 1,
                                 .first_lsn = number,
                                 .segment = 1,
                                 .previous_checksum = previous,
                                 .used_bytes = (uint32_t)sizeof *batch + record_frame_bytes(bytes)};
  batch_seal(batch, seed, 1);
  return batch->checksum;
}

static void make_version_1(struct journal_io *io, const struct journal_rig *rig) {
  struct journal_identity identity = {.salt = rig->config.salt};
  memcpy(identity.node_id, rig->config.node_id, sizeof identity.node_id);
  uint8_t *segment = calloc(1, RIG_SEGMENT_BYTES);
  struct segment_header *header = (void *)segment;
  *header = (struct segment_header){.version = 1,
                                    .salt = identity.salt,
                                    .segment = 1,
                                    .first_lsn = 1,
                                    .segment_bytes = RIG_SEGMENT_BYTES,
                                    .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST};
  memcpy(header->node_id, identity.node_id, sizeof header->node_id);
  segment_header_seal(segment);
  uint32_t checksum = 0;
  for (uint32_t number = 1; number <= RECORDS; number++)
    checksum = put_batch(segment, number * JOURNAL_BLOCK_BYTES, &identity, number, checksum);
  assert_int_equal(journal_sim_io_put(io, "journal-0000000000000001.seg", segment, RIG_SEGMENT_BYTES), 0);
  free(segment);
}

static void test_version_1_is_read_and_gone_on_with(void **state) {
  (void)state;
  struct journal_io *io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  rig.config.hash_chain = true;
  make_version_1(io, &rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], RECORDS);
  assert_false(rig.recovered_badly);
  assert_true(reader_agrees(io, RECORDS));
  rig.published[0] = RECORDS;
  rig_append(&rig, 5, 0);
  assert_int_equal(journal_current_segment(rig.journal), 2);
  size_t length;
  const struct segment_header *second = (const void *)journal_sim_io_bytes(io, "journal-0000000000000002.seg", &length);
  assert_int_equal(second->version, JOURNAL_VERSION);
  assert_int_equal(second->first_lsn, RECORDS + 1);
  assert_true(reader_agrees(io, RECORDS + 5));
  rig_close(&rig);
  assert_int_equal(rig_open(&rig), 0);
  assert_int_equal(rig.recovered[0], RECORDS + 5);
  assert_false(rig.recovered_badly);
  rig_free(&rig);
  io->operations->destroy(io);
}

static void test_damage_in_version_1_is_seen(void **state) {
  (void)state;
  struct journal_io *io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  struct journal_rig rig;
  rig_init(&rig, io, 1);
  make_version_1(io, &rig);
  size_t length;
  journal_sim_io_bytes(io, "journal-0000000000000001.seg", &length)[3 * JOURNAL_BLOCK_BYTES + 70] ^= 4;
  assert_int_not_equal(rig_open(&rig), 0);
  assert_non_null(strstr(rig.recovery.refusal, "offset 12288: damaged where LSN 3 should be"));
  rig_free(&rig);
  io->operations->destroy(io);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_version_1_is_read_and_gone_on_with),
      cmocka_unit_test(test_damage_in_version_1_is_seen),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
