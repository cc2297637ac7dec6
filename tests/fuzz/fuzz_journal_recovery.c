/* Recovery of arbitrary disks. Byte 0 chooses: even, the rest is segment 1 as it is; odd, the rest edits a whole journal, with
 * checksums made right again on demand, so that what stands behind them is reached. Whatever recovery accepts must go on. */
#include "always_assert.h"
#include "cursor.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include "journal_scan.h"
#include <stdlib.h>
#include <string.h>

static void on_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  uint64_t *count = context;
  (void)segment;
  ALWAYS_ASSERT(lsn > 0 && offset % JOURNAL_BLOCK_BYTES == 0 && record->bytes >= sizeof *record);
  ++*count;
}

/* The offline tools take any bytes. */
static void scan_through(struct journal_io *io) {
  struct journal_scan scan;
  uint64_t count = 0;
  const struct journal_scan_handler handler = {.context = &count, .record = on_record};
  if (journal_scan(io, &handler, &scan) == 0) ALWAYS_ASSERT(scan.records == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define SEGMENTS 3
#define EDITS_MAX 64

static struct disk_image whole;
static struct journal_rig rig;

static struct journal_io *new_disk(void) {
  return journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1, .latency_least_ns = 1000, .latency_most_ns = 1000});
}

static void make_whole(void) {
  struct journal_io *io = new_disk();
  rig_init(&rig, io, 1);
  ALWAYS_ASSERT(rig_open(&rig) == 0);
  for (int i = 0; i < 40; i++) rig_append(&rig, 1 + (uint32_t)i % 3, i % 9 == 0 ? 9000 : 900);
  for (int i = 0; i < 10; i++) rig_step(&rig, 100000);
  rig_free(&rig);
  disk_image_take(&whole, io);
  io->operations->destroy(io);
}

static uint8_t *segment_bytes(struct journal_io *io, uint64_t segment, size_t *length) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  return journal_sim_io_bytes(io, name, length);
}

static void reseal(uint8_t *block, size_t left, uint64_t segment) {
  struct journal_identity identity = {.salt = rig.config.salt};
  memcpy(identity.node_id, rig.config.node_id, sizeof identity.node_id);
  if (memcmp(block, "TRIP", 4) == 0)
    segment_header_seal(block);
  else if (batch_claimed_bytes(block, left) > 0)
    batch_seal((void *)block, journal_segment_seed(&identity, segment), JOURNAL_VERSION);
}

enum edit { EDIT_BYTES, EDIT_RESEAL, EDIT_COPY_BLOCK, EDIT_ZERO_BLOCK, EDIT_CUT, EDIT_REMOVE, EDIT_MOVE, EDITS };

/* One edit: what, segment, block, then its own operands. */
static void edit_once(struct journal_io *io, struct cursor *input) {
  const enum edit edit = cursor_u8(input) % EDITS;
  const uint64_t segment = 1 + cursor_u8(input) % SEGMENTS;
  char name[SEGMENT_NAME_BYTES], other[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  size_t length = 0;
  uint8_t *bytes = segment_bytes(io, segment, &length);
  if (!bytes || length < JOURNAL_BLOCK_BYTES) return;
  uint8_t *block = bytes + (cursor_u8(input) % (length / JOURNAL_BLOCK_BYTES)) * JOURNAL_BLOCK_BYTES;
  const size_t left = length - (size_t)(block - bytes);
  if (edit == EDIT_BYTES) {
    const size_t at = cursor_le16(input) % JOURNAL_BLOCK_BYTES, count = cursor_u8(input) % 32;
    const uint8_t *with = cursor_bytes(input, count);
    if (with && count <= left - at) memcpy(block + at, with, count);
  } else if (edit == EDIT_RESEAL) {
    reseal(block, left, segment);
  } else if (edit == EDIT_COPY_BLOCK) {
    memmove(bytes + (cursor_u8(input) % (length / JOURNAL_BLOCK_BYTES)) * JOURNAL_BLOCK_BYTES, block, JOURNAL_BLOCK_BYTES);
  } else if (edit == EDIT_ZERO_BLOCK) {
    memset(block, 0, JOURNAL_BLOCK_BYTES);
  } else if (edit == EDIT_CUT) {
    uint8_t *copy = malloc(length);
    memcpy(copy, bytes, length);
    const size_t kept = (size_t)(block - bytes) + cursor_le16(input) % JOURNAL_BLOCK_BYTES;
    ALWAYS_ASSERT(journal_sim_io_put(io, name, copy, kept) == 0);
    free(copy);
  } else if (edit == EDIT_REMOVE) {
    io->operations->remove(io, name);
  } else {
    uint8_t *copy = malloc(length);
    memcpy(copy, bytes, length);
    segment_name(other, 1 + cursor_u8(input) % (SEGMENTS + 2), NAME_SEGMENT);
    ALWAYS_ASSERT(journal_sim_io_put(io, other, copy, length) == 0);
    free(copy);
  }
}

static void edit_whole(struct journal_io *io, const uint8_t *bytes, size_t length) {
  disk_image_restore(&whole, io);
  struct cursor input = cursor_over(bytes, length);
  for (int i = 0; i < EDITS_MAX && cursor_left(&input) > 0 && !input.failed; i++) edit_once(io, &input);
}

static uint64_t read_through(struct journal_io *io, uint64_t limit) {
  int error;
  struct journal_reader *reader = journal_reader_open(io, 1, &error);
  uint64_t lsn, count = 0;
  const struct record_header *record;
  while (journal_reader_next(reader, limit, &lsn, &record) == JOURNAL_READ_RECORD) {
    ALWAYS_ASSERT(lsn == ++count && record->bytes >= sizeof *record);
    const struct record_header *again = journal_reader_at(reader, journal_reader_position(reader), lsn);
    /* A record's own checksum is not made right again by a reseal. */
    ALWAYS_ASSERT(!again || again->bytes == record->bytes);
  }
  journal_reader_close(reader);
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  if (whole.count == 0) make_whole();
  if (length == 0) return 0;
  struct journal_io *io = new_disk();
  if (bytes[0] & 1)
    edit_whole(io, bytes + 1, length - 1);
  else
    ALWAYS_ASSERT(journal_sim_io_put(io, "journal-0000000000000001.seg", bytes + 1, length - 1) == 0);
  scan_through(io);
  rig_init(&rig, io, 1);
  if (rig_open(&rig) == 0) {
    /* A forged header may say that what came before is not needed, or was removed. */
    const bool from_first = rig.recovery.segments_passed == 0 && rig.recovery.first_segment <= 1;
    const uint64_t before = journal_durable_lsn(rig.journal);
    ALWAYS_ASSERT(rig.recovery.records == rig.recovered_records && rig.recovery.next_lsn == before + 1);
    ALWAYS_ASSERT(!from_first || rig.recovery.records == before);
    if (!from_first) goto done;
    ALWAYS_ASSERT(read_through(io, before) == before);
    rig_append(&rig, 3, 500);
    ALWAYS_ASSERT(read_through(io, before + 3) == before + 3);
    rig_close(&rig);
    ALWAYS_ASSERT(rig_open(&rig) == 0);
    ALWAYS_ASSERT(rig.recovery.records == before + 3 && rig.recovery.truncated_bytes == 0);
  } else {
    ALWAYS_ASSERT(rig.recovery.refusal[0]);
  }
done:
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}
