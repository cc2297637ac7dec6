/* What is known when a write has failed for good, and what becomes of records that can no longer be written. */
#include "always_assert.h"
#include "journal_internal.h"
#include <string.h>

#define DISCARDS_A_STEP 65536u /* records; shards go on publishing what they judge */

static const char *operation_of(const struct journal *journal, const struct journal_write *write) {
  static const char *const preparing[JOURNAL_IO_KINDS] = {
      [JOURNAL_IO_WRITE_DURABLE] = "writing zeros ahead", [JOURNAL_IO_WRITE] = "writing zeros ahead",
      [JOURNAL_IO_SYNC] = "syncing a new segment",        [JOURNAL_IO_ALLOCATE] = "allocating a segment",
      [JOURNAL_IO_RENAME] = "naming a segment",           [JOURNAL_IO_SYNC_DIRECTORY] = "syncing the directory"};
  if (write == &journal->write) return "writing and syncing a batch";
  if (write == &journal->header_write) return "writing and syncing a segment's header";
  return preparing[write->request.kind];
}

void journal_note_error(struct journal *journal, const struct journal_write *write, int error) {
  struct journal_failure *failure = &journal->failure;
  const struct journal_batch *batch = &journal->batches[journal->filling ^ 1u];
  if (failure->error) return; /* the first */
  *failure = (struct journal_failure){.error = error, .operation = operation_of(journal, write)};
  if (write == &journal->preparer.operation) {
    memcpy(failure->file, journal->preparer.temporary, sizeof journal->preparer.temporary);
  } else {
    segment_name(failure->file, write == &journal->write ? journal->segment : journal->next.segment, NAME_SEGMENT);
    failure->offset = write->request.offset;
    failure->bytes = write->request.bytes;
  }
  if (!journal->in_flight) return;
  failure->first_lsn = batch->first_lsn;
  failure->last_lsn = batch->first_lsn + batch->count - 1;
}

int journal_fail(struct journal *journal, int error) {
  ALWAYS_ASSERT(error < 0);
  const int earlier = atomic_load_explicit(&journal->failed, memory_order_relaxed);
  if (earlier) return earlier;
  struct journal_failure *failure = &journal->failure;
  if (failure->error != error) *failure = (struct journal_failure){.error = error, .operation = "asking the kernel"};
  failure->since_wall_ns = journal->wall_ns;
  atomic_store_explicit(&journal->failed, error, memory_order_release);
  return error;
}

bool journal_failure(const struct journal *journal, struct journal_failure *failure) {
  if (journal_failed(journal) == 0) return false;
  *failure = journal->failure;
  return true;
}

static void count_discarded(struct journal *journal, const struct record_header *record) {
  journal_count(&journal->counters.records_discarded, 1);
  if (record->type == RECORD_VIOLATION) journal_count(&journal->counters.violations_discarded, 1);
}

static void discard_gathered(struct journal *journal) {
  struct journal_batch *batch = &journal->batches[journal->filling];
  for (uint32_t at = JOURNAL_BATCH_HEADER_BYTES; at < batch->used;) {
    const struct record_frame *frame = (const void *)(batch->bytes + at);
    count_discarded(journal, (const void *)(frame + 1));
    at += record_frame_bytes(frame->bytes);
  }
  batch->used = JOURNAL_BATCH_HEADER_BYTES;
  batch->count = 0;
}

void journal_discard(struct journal *journal) {
  discard_gathered(journal);
  uint32_t count = 0, bytes;
  for (uint32_t i = 0; i < journal->config.ring_count; i++) {
    struct record_ring *ring = journal->config.rings[i];
    for (const void *record; count < DISCARDS_A_STEP && (record = record_ring_peek(ring, &bytes)); count++) {
      count_discarded(journal, record);
      record_ring_advance(ring);
    }
  }
}
