#include "always_assert.h"
#include "journal_internal.h"
#include <errno.h>
#include <string.h>

/* Written with zeros before use: a write into space that is only reserved costs a metadata commit each (docs/journal-format.md).
 */
int journal_prepare_slice(struct journal *journal) {
  struct journal_io *io = journal->config.io;
  if (journal->prepared_file < 0) {
    const int file = io->operations->open(io, JOURNAL_PREPARED_NAME, true);
    if (file < 0) return file;
    const int allocated = io->operations->allocate(io, file, journal->config.segment_bytes);
    if (allocated < 0) {
      io->operations->close(io, file);
      return allocated;
    }
    journal->prepared_file = file;
    journal->prepared_bytes = 0;
  }
  const uint64_t left = journal->config.segment_bytes - journal->prepared_bytes;
  if (left == 0) return 1;
  const uint32_t slice = left < JOURNAL_SLICE_BYTES ? (uint32_t)left : JOURNAL_SLICE_BYTES;
  const int written = io->operations->write_sync(io, journal->prepared_file, journal->zeros, slice, journal->prepared_bytes);
  if (written < 0) return written;
  journal->prepared_bytes += slice;
  if (journal->prepared_bytes < journal->config.segment_bytes) return 0;
  atomic_fetch_add_explicit(&journal->counters.segments_prepared, 1, memory_order_relaxed);
  return 1;
}

static int write_header(struct journal *journal, uint64_t wall_ns) {
  struct journal_io *io = journal->config.io;
  struct journal_segment_header *header = (struct journal_segment_header *)(void *)journal->zeros;
  *header = (struct journal_segment_header){.magic = JOURNAL_SEGMENT_MAGIC,
                                            .version = JOURNAL_VERSION,
                                            .segment_id = journal->segment_id,
                                            .first_lsn = journal->buffers[journal->filling].payload_bytes
                                                             ? journal->buffers[journal->filling].batch->first_lsn
                                                             : journal->next_lsn,
                                            .created_wall_ns = wall_ns,
                                            .previous_checksum = journal->chain};
  memcpy(header->node_id, journal->config.node_id, sizeof header->node_id);
  journal_seal_header(header);
  const int written = io->operations->write_sync(io, journal->file, header, JOURNAL_BLOCK_BYTES, 0);
  memset(header, 0, sizeof *header);
  return written;
}

/* The name appears, durably, before the header, and the header before the first batch: each crash in between leaves a last
 * segment without batches, which recovery removes. */
int journal_roll(struct journal *journal, uint64_t wall_ns) {
  struct journal_io *io = journal->config.io;
  char name[32];
  ALWAYS_ASSERT(!journal->in_flight);
  for (int prepared = 0; prepared != 1;)
    if ((prepared = journal_prepare_slice(journal)) < 0) return prepared;
  const uint64_t id = journal->segment_id + 1;
  journal_segment_name(id, name);
  int result = io->operations->rename(io, JOURNAL_PREPARED_NAME, name);
  if (result == 0) result = io->operations->sync_directory(io);
  if (result < 0) return result;
  if (journal->file >= 0) io->operations->close(io, journal->file);
  journal->file = journal->prepared_file;
  journal->prepared_file = -1;
  journal->segment_id = id;
  journal->offset = JOURNAL_BLOCK_BYTES;
  result = write_header(journal, wall_ns);
  return result < 0 ? result : 0;
}
