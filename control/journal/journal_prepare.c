#include "always_assert.h"
#include "journal_internal.h"
#include <errno.h>
#include <string.h>

static int start(struct journal *journal, enum prepare_stage stage, struct journal_io_request request) {
  struct journal_preparer *preparer = &journal->preparer;
  preparer->stage = stage;
  request.file = preparer->file;
  request.token = TOKEN_PREPARE;
  return journal_write_start(journal, &preparer->operation, &request);
}

/* Two bytes are zeroed for each that is written: whether the segment in use lasts so long. */
static bool has_time(const struct journal *journal, uint64_t left) {
  return journal->prepared_count > 0 || (journal->file >= 0 && 2 * (journal->segment_end - journal->offset) > left);
}

static int start_zero_slice(struct journal *journal) {
  const uint64_t left = journal->config.segment_bytes - journal->preparer.zeroed_bytes;
  uint64_t slice = ZERO_SLICE_BYTES_MOST;
  if (journal->in_flight && has_time(journal, left)) {
    slice = 2 * (uint64_t)journal_blocks_up(journal->batches[journal->filling ^ 1u].used);
    if (slice < ZERO_SLICE_BYTES_LEAST) slice = ZERO_SLICE_BYTES_LEAST;
    if (slice > ZERO_SLICE_BYTES_MOST) slice = ZERO_SLICE_BYTES_MOST;
  }
  return start(journal, PREPARE_ZERO,
               (struct journal_io_request){.kind = JOURNAL_IO_WRITE,
                                           .buffer = journal->preparer.zeros,
                                           .bytes = left < slice ? left : slice,
                                           .offset = journal->preparer.zeroed_bytes});
}

static uint64_t next_segment(const struct journal *journal) {
  if (journal->prepared_count > 0) return journal->prepared[journal->prepared_count - 1].segment + 1;
  return (journal->opening ? journal->next.segment : journal->segment) + 1;
}

static bool is_full_disk(int error) { return error == -ENOSPC || error == -EDQUOT || error == -EFBIG; }

/* A segment that was never named is given up; other errors are final. */
static int give_up(struct journal *journal, int error, uint64_t now_ns) {
  struct journal_preparer *preparer = &journal->preparer;
  if (preparer->file >= 0) journal->io->operations->close(journal->io, preparer->file);
  preparer->file = -1;
  const bool may_retry = is_full_disk(error) && preparer->stage <= PREPARE_SYNC;
  preparer->stage = PREPARE_IDLE;
  if (!may_retry) return error;
  journal->failure.error = 0;
  journal->io->operations->remove(journal->io, preparer->temporary);
  preparer->retry_at_ns = now_ns + SPACE_RETRY_NS;
  journal_count(&journal->counters.space_refusals, 1);
  atomic_store_explicit(&journal->stalled, -ENOSPC, memory_order_relaxed);
  return 0;
}

int journal_prepare(struct journal *journal, uint64_t now_ns) {
  struct journal_preparer *preparer = &journal->preparer;
  if (preparer->stage != PREPARE_IDLE || journal->prepared_count >= journal->config.segments_ahead) return 0;
  if (now_ns < preparer->retry_at_ns) return 0;
  preparer->segment = next_segment(journal);
  preparer->zeroed_bytes = 0;
  segment_name(preparer->temporary, preparer->segment, NAME_TEMPORARY);
  segment_name(preparer->name, preparer->segment, NAME_SEGMENT);
  preparer->file = journal->io->operations->open(journal->io, preparer->temporary, true);
  if (preparer->file < 0) return give_up(journal, preparer->file, now_ns);
  return start(journal, PREPARE_ALLOCATE,
               (struct journal_io_request){.kind = JOURNAL_IO_ALLOCATE, .bytes = journal->config.segment_bytes});
}

static void prepared(struct journal *journal) {
  struct journal_preparer *preparer = &journal->preparer;
  ALWAYS_ASSERT(journal->prepared_count < JOURNAL_SEGMENTS_AHEAD_MAX);
  journal->prepared[journal->prepared_count++] = (struct prepared_segment){.segment = preparer->segment, .file = preparer->file};
  preparer->file = -1;
  preparer->stage = PREPARE_IDLE;
  journal_count(&journal->counters.segments_prepared, 1);
  atomic_store_explicit(&journal->stalled, 0, memory_order_relaxed);
}

int journal_prepare_completed(struct journal *journal, int result, uint64_t now_ns) {
  struct journal_preparer *preparer = &journal->preparer;
  const uint64_t slice = preparer->operation.request.offset + preparer->operation.request.bytes;
  int done = journal_write_completed(journal, &preparer->operation, result);
  /* Some filesystems cannot preallocate; the zeros that follow take the room. */
  if (done == -EOPNOTSUPP && preparer->stage == PREPARE_ALLOCATE) {
    journal->failure.error = 0;
    done = 1;
  }
  if (done < 0) return give_up(journal, done, now_ns);
  if (done == 0) return 0;
  switch (preparer->stage) {
  case PREPARE_ALLOCATE:
    return start_zero_slice(journal);
  case PREPARE_ZERO:
    preparer->zeroed_bytes = slice;
    if (slice < journal->config.segment_bytes) return start_zero_slice(journal);
    return start(journal, PREPARE_SYNC, (struct journal_io_request){.kind = JOURNAL_IO_SYNC});
  case PREPARE_SYNC:
    return start(journal, PREPARE_RENAME,
                 (struct journal_io_request){.kind = JOURNAL_IO_RENAME, .from = preparer->temporary, .to = preparer->name});
  case PREPARE_RENAME:
    return start(journal, PREPARE_SYNC_DIRECTORY, (struct journal_io_request){.kind = JOURNAL_IO_SYNC_DIRECTORY});
  case PREPARE_SYNC_DIRECTORY:
    prepared(journal);
    return 0;
  case PREPARE_IDLE:
    break;
  }
  ALWAYS_ASSERT(preparer->stage != PREPARE_IDLE);
  return -EINVAL;
}
