/* Recovery of arbitrary disks. Byte 0 chooses: even, the rest is segment 1 as it is; odd, the rest edits a whole journal, with
 * checksums made right again on demand, so that what stands behind them is reached. Whatever recovery accepts must go on. */
#include "always_assert.h"
#include "journal_edits.h"
#include "journal_format_internal.h"
#include "journal_scan.h"

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

static struct disk_image whole;
static struct journal_rig rig;

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
  if (whole.count == 0) edits_make(&whole, false);
  if (length == 0) return 0;
  struct journal_io *io = edits_disk();
  if (bytes[0] & 1) {
    disk_image_restore(&whole, io);
    edits_put(io, bytes + 1, length - 1);
  } else {
    ALWAYS_ASSERT(journal_sim_io_put(io, "journal-0000000000000001.seg", bytes + 1, length - 1) == 0);
  }
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
