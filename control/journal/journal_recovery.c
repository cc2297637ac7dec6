#include "always_assert.h"
#include "journal_internal.h"
#include "journal_stream_internal.h"
#include "journal_window_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Everything is judged before anything is written: a refused journal is left as it was found. */
struct recovery {
  struct journal *journal;
  struct journal_io *io;
  journal_record_visitor *visit;
  void *context;
  struct journal_recovery *report;
  struct journal_progress *progress;
  uint64_t bytes_before;         /* of the segments before the one that is judged, as bytes_to_read counts them */
  struct journal_window window;  /* headers, and the last batch again */
  struct journal_stream *stream; /* the segment that is judged */

  bool any_used;
  uint64_t last_used;  /* segment */
  uint64_t last_end;   /* where its next batch goes */
  uint64_t last_bytes; /* its length */
  uint32_t last_batch_bytes_max;
  struct segment_header last_header;
  uint64_t last_batch; /* offset of the last batch in it, 0: none */
  bool last_dirty;     /* there is something at last_end */
  uint64_t dirty_end;  /* after the last block of it */
  uint32_t chain;
  uint64_t next_lsn;
  bool any_unused;
  uint64_t first_unused, last_unused;
  uint64_t torn_header; /* a segment whose header was cut, or 0 */

  uint64_t state_lsn;      /* the newest header's */
  uint64_t state_segment;  /* holds it: those before are passed */
  uint64_t oldest_allowed; /* segments before it may be missing */
};

/* The segment that is being judged. */
struct subject {
  char name[SEGMENT_NAME_BYTES];
  uint64_t segment;
  uint64_t file_bytes;
  struct segment_header header;
  uint32_t seed;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct recovery *recovery, int error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(recovery->report->refusal, sizeof recovery->report->refusal, format, arguments);
  va_end(arguments);
  return error;
}

static int unreadable(struct recovery *recovery, const char *name, uint64_t offset, int error) {
  if (error == -ECANCELED) return refuse(recovery, error, "stopped at %s, offset %" PRIu64, name, offset);
  return refuse(recovery, error, "%s: offset %" PRIu64 ": cannot read: %s", name, offset, strerror(-error));
}

static void report_progress(struct recovery *recovery, uint64_t offset) {
  struct journal_progress *progress = recovery->progress;
  const uint64_t most = atomic_load_explicit(&progress->bytes_to_read, memory_order_relaxed);
  const uint64_t bytes = recovery->bytes_before + offset;
  atomic_store_explicit(&progress->bytes_read, bytes < most ? bytes : most, memory_order_relaxed);
  atomic_store_explicit(&progress->records, recovery->report->records, memory_order_relaxed);
}

/* The next bytes of the segment that is judged, unless recovery is asked to stop. */
static const uint8_t *judged_bytes(struct recovery *recovery, uint64_t offset, uint32_t bytes, int *error) {
  if (atomic_load_explicit(&recovery->progress->stop, memory_order_relaxed)) {
    *error = -ECANCELED;
    return NULL;
  }
  report_progress(recovery, offset);
  return journal_stream_at(recovery->stream, offset, bytes, error);
}

static void note_retention(struct recovery *recovery, const struct record_header *record) {
  const struct journal_retention_record *retention = (const void *)record;
  if (record->type != RECORD_RETENTION || record->bytes != sizeof *retention) return;
  if (retention->oldest_segment > recovery->oldest_allowed) recovery->oldest_allowed = retention->oldest_segment;
}

static void visit_batch(struct recovery *recovery, const struct batch_header *batch, uint32_t version) {
  uint64_t lsn = batch->first_lsn;
  for (uint32_t at = batch_header_bytes(version); at < batch->used_bytes; lsn++) {
    const struct record_frame *frame = (const void *)((const uint8_t *)batch + at);
    note_retention(recovery, (const void *)(frame + 1));
    if (recovery->visit) recovery->visit(recovery->context, lsn, (const void *)(frame + 1));
    at += record_frame_bytes(frame->bytes);
  }
  recovery->next_lsn = lsn;
  recovery->chain = batch->checksum;
  recovery->report->records += batch->record_count;
}

/* What follows the last good batch: nothing, the remains of one batch that was in flight, or proof that good batches are lost. */
static int judge_tail(struct recovery *recovery, const struct subject *subject) {
  const uint64_t end = recovery->last_end;
  const uint64_t segment_bytes = subject->header.segment_bytes;
  uint64_t torn_end = end + subject->header.batch_bytes_max;
  for (uint64_t offset = end; offset < segment_bytes; offset += JOURNAL_BLOCK_BYTES) {
    int error = 0;
    const uint8_t *block = judged_bytes(recovery, offset, JOURNAL_BLOCK_BYTES, &error);
    if (!block) return unreadable(recovery, subject->name, offset, error);
    if (journal_is_zero(block, JOURNAL_BLOCK_BYTES)) continue;
    recovery->last_dirty = true;
    recovery->dirty_end = offset + JOURNAL_BLOCK_BYTES;
    const uint64_t left = segment_bytes - offset;
    const uint32_t claimed = batch_claimed_bytes(block, left);
    if (offset == end && claimed > 0 && end + claimed < torn_end) torn_end = end + claimed;
    if (offset >= torn_end)
      return refuse(recovery, -EBADMSG,
                    "%s: offset %" PRIu64 ": damaged where LSN %" PRIu64 " should be: there is data after it, at offset %" PRIu64,
                    subject->name, end, recovery->next_lsn, offset);
    if (offset == end || claimed == 0 || claimed > subject->header.batch_bytes_max) continue;
    block = judged_bytes(recovery, offset, claimed, &error);
    if (!block) return unreadable(recovery, subject->name, offset, error);
    if (batch_check(block, claimed, subject->segment, subject->seed, subject->header.version) < BATCH_MALFORMED) continue;
    return refuse(recovery, -EBADMSG,
                  "%s: offset %" PRIu64 ": damaged where LSN %" PRIu64 " should be: a good batch follows at offset %" PRIu64
                  " with LSN %" PRIu64,
                  subject->name, end, recovery->next_lsn, offset, ((const struct batch_header *)(const void *)block)->first_lsn);
  }
  return 0;
}

static int judge_batches(struct recovery *recovery, const struct subject *subject) {
  uint64_t offset = JOURNAL_BLOCK_BYTES;
  const uint64_t segment_bytes = subject->header.segment_bytes;
  while (offset < segment_bytes) {
    int error = 0;
    const uint64_t left = segment_bytes - offset;
    const uint8_t *bytes = judged_bytes(recovery, offset, JOURNAL_BLOCK_BYTES, &error);
    const uint32_t claimed = bytes ? batch_claimed_bytes(bytes, left) : 0;
    if (claimed > subject->header.batch_bytes_max) break;
    const uint32_t needed = claimed ? claimed : JOURNAL_BLOCK_BYTES;
    if (bytes) bytes = judged_bytes(recovery, offset, needed, &error);
    if (!bytes) return unreadable(recovery, subject->name, offset, error);
    const enum batch_state state = batch_check(bytes, needed, subject->segment, subject->seed, subject->header.version);
    if (state == BATCH_ZERO || state == BATCH_INVALID) break;
    const struct batch_header *batch = (const void *)bytes;
    if (state == BATCH_MALFORMED)
      return refuse(recovery, -EBADMSG, "%s: offset %" PRIu64 ": the batch of LSN %" PRIu64 " is malformed under a good checksum",
                    subject->name, offset, batch->first_lsn);
    if (batch->first_lsn != recovery->next_lsn || batch->previous_checksum != recovery->chain)
      return refuse(recovery, -EBADMSG, "%s: offset %" PRIu64 ": a batch with LSN %" PRIu64 " where LSN %" PRIu64 " should be",
                    subject->name, offset, batch->first_lsn, recovery->next_lsn);
    visit_batch(recovery, batch, subject->header.version);
    recovery->last_batch = offset;
    offset += batch->batch_bytes;
  }
  recovery->last_end = offset;
  return judge_tail(recovery, subject);
}

static int judge_header(struct recovery *recovery, const struct subject *subject) {
  const struct segment_header *header = &subject->header;
  struct journal *journal = recovery->journal;
  if (memcmp(header->node_id, journal->config.node_id, sizeof header->node_id) != 0)
    return refuse(recovery, -EPERM, "%s: the journal belongs to another node", subject->name);
  if (header->segment != subject->segment)
    return refuse(recovery, -EBADMSG, "%s: offset 0: holds segment %" PRIu64, subject->name, header->segment);
  char first[SEGMENT_NAME_BYTES];
  segment_name(first, recovery->report->first_segment, NAME_SEGMENT);
  if (recovery->any_used && header->salt != journal->identity.salt)
    return refuse(recovery, -EBADMSG, "%s: offset 0: from another journal of this node than %s", subject->name, first);
  if (header->segment_bytes > subject->file_bytes)
    return refuse(recovery, -EBADMSG, "%s: offset %" PRIu64 ": the file ends here, its segment has %" PRIu64 " bytes",
                  subject->name, subject->file_bytes, header->segment_bytes);
  if (recovery->any_unused) {
    segment_name(first, recovery->last_unused, NAME_SEGMENT);
    return refuse(recovery, -EBADMSG, "%s: offset 0: never used, and %s after it is, with LSN %" PRIu64 " and up", first,
                  subject->name, header->first_lsn);
  }
  if (recovery->any_used && subject->segment != recovery->last_used + 1)
    return refuse(recovery, -EBADMSG, "%s: segment %" PRIu64 " with LSN %" PRIu64 " and up is missing", subject->name,
                  recovery->last_used + 1, recovery->next_lsn);
  return 0;
}

/* Whether it goes on where the segment before it ended. The first, and one after a segment that was passed, is believed. */
static int judge_place(struct recovery *recovery, const struct subject *subject) {
  const struct segment_header *header = &subject->header;
  const bool first = !recovery->any_used, after_passed = !first && recovery->last_used < recovery->state_segment;
  if (first || after_passed) {
    const uint64_t least = first && subject->segment == 1 ? 1 : recovery->next_lsn;
    const bool good = header->first_lsn >= least && (subject->segment != 1 || header->first_lsn == 1);
    recovery->next_lsn = good ? header->first_lsn : least;
    recovery->chain = header->previous_checksum;
    if (good) return 0;
  }
  if (!recovery->last_dirty && header->first_lsn == recovery->next_lsn && header->previous_checksum == recovery->chain) return 0;
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, first ? subject->segment : recovery->last_used, NAME_SEGMENT);
  return refuse(recovery, -EBADMSG,
                "%s: offset %" PRIu64 ": damaged where LSN %" PRIu64 " should be: %s goes on with LSN %" PRIu64, name,
                recovery->last_end, recovery->next_lsn, subject->name, header->first_lsn);
}

static int judge_used(struct recovery *recovery, struct subject *subject, int file) {
  const struct segment_header *header = &subject->header;
  struct journal *journal = recovery->journal;
  int result = judge_header(recovery, subject);
  if (result == 0) result = judge_place(recovery, subject);
  if (result < 0) return result;
  if (!recovery->any_used) {
    journal->identity.salt = header->salt;
    recovery->report->first_segment = subject->segment;
    recovery->report->first_lsn = header->first_lsn;
  }
  subject->seed = journal_segment_seed(&journal->identity, subject->segment);
  recovery->any_used = true;
  recovery->last_used = subject->segment;
  recovery->last_bytes = header->segment_bytes;
  recovery->last_batch_bytes_max = header->batch_bytes_max;
  recovery->last_header = *header;
  recovery->last_batch = 0;
  recovery->report->segments++;
  if (subject->segment < recovery->state_segment) {
    recovery->report->segments_passed++;
    return 0;
  }
  result = journal_stream_begin(recovery->stream, file, JOURNAL_BLOCK_BYTES, header->segment_bytes, header->batch_bytes_max);
  if (result < 0) return result;
  return judge_batches(recovery, subject);
}

/* No batch is written before its segment's header is durable, so there can be none here. */
static int judge_unused(struct recovery *recovery, const struct subject *subject, enum segment_state state, int file) {
  const uint64_t expected = (recovery->any_unused ? recovery->last_unused : recovery->last_used) + 1;
  if (subject->segment != expected)
    return refuse(recovery, -EBADMSG,
                  "%s: segment %" PRIu64 " before it is missing; it was prepared before this one, and may have held LSN %" PRIu64
                  " and up",
                  subject->name, expected, recovery->next_lsn);
  const uint64_t end = (subject->file_bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
  const int begun = journal_stream_begin(recovery->stream, file, JOURNAL_BLOCK_BYTES, end, JOURNAL_BATCH_BYTES_LEAST);
  if (begun < 0) return begun;
  for (uint64_t offset = JOURNAL_BLOCK_BYTES; offset < subject->file_bytes; offset += JOURNAL_BLOCK_BYTES) {
    int error = 0;
    const uint8_t *block = judged_bytes(recovery, offset, JOURNAL_BLOCK_BYTES, &error);
    if (!block) return unreadable(recovery, subject->name, offset, error);
    if (!journal_is_zero(block, JOURNAL_BLOCK_BYTES))
      return refuse(recovery, -EBADMSG,
                    "%s: offset 0: the segment header is damaged: there is data at offset %" PRIu64 "; LSN %" PRIu64
                    " and up would be lost",
                    subject->name, offset, recovery->next_lsn);
  }
  if (state == SEGMENT_INVALID) {
    /* Headers are written in order: only the first unused segment's can have been cut. */
    if (subject->segment != recovery->last_used + 1)
      return refuse(recovery, -EBADMSG, "%s: offset 0: the segment header is damaged; LSN %" PRIu64 " and up would be lost",
                    subject->name, recovery->next_lsn);
    recovery->torn_header = subject->segment;
  }
  if (!recovery->any_unused) recovery->first_unused = subject->segment;
  recovery->any_unused = true;
  recovery->last_unused = subject->segment;
  return 0;
}

static int judge_open_segment(struct recovery *recovery, struct subject *subject, int file) {
  const int64_t size = recovery->io->operations->size(recovery->io, file);
  if (size < 0) return unreadable(recovery, subject->name, 0, (int)size);
  subject->file_bytes = (uint64_t)size;
  journal_window_reset(&recovery->window, file);
  int error = journal_window_reserve(&recovery->window, JOURNAL_BLOCK_BYTES);
  if (error < 0) return error;
  const uint8_t *block = journal_window_at(&recovery->window, 0, JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES, &error);
  if (!block) return unreadable(recovery, subject->name, 0, error);
  const enum segment_state state = segment_header_check(block);
  memcpy(&subject->header, block, sizeof subject->header);
  if (state == SEGMENT_NEWER)
    return refuse(recovery, -EPROTONOSUPPORT, "%s: format version %" PRIu32 "; this program reads up to %u", subject->name,
                  subject->header.version, JOURNAL_VERSION);
  if (state == SEGMENT_VALID) return judge_used(recovery, subject, file);
  return judge_unused(recovery, subject, state, file);
}

/* What a segment adds to the bytes to read: of those that are passed, the header. */
static uint64_t bytes_to_judge(const struct recovery *recovery, const struct subject *subject) {
  return subject->segment < recovery->state_segment ? JOURNAL_BLOCK_BYTES : subject->file_bytes;
}

static int judge_segment(struct recovery *recovery, uint64_t segment) {
  struct subject subject = {.segment = segment};
  segment_name(subject.name, segment, NAME_SEGMENT);
  const int file = recovery->io->operations->open(recovery->io, subject.name, false);
  if (file < 0) return unreadable(recovery, subject.name, 0, file);
  atomic_store_explicit(&recovery->progress->segment, segment, memory_order_relaxed);
  const int result = judge_open_segment(recovery, &subject, file);
  journal_stream_end(recovery->stream);
  recovery->io->operations->close(recovery->io, file);
  if (result < 0) return result;
  recovery->bytes_before += bytes_to_judge(recovery, &subject);
  report_progress(recovery, 0);
  if (segment >= recovery->state_segment) journal_count(&recovery->progress->segments_read, 1);
  return 0;
}

/* The header of a segment, if it is good. 0 or -errno. */
static int read_header(struct recovery *recovery, uint64_t segment, struct segment_header *header, bool *valid) {
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  *valid = false;
  const int file = recovery->io->operations->open(recovery->io, name, false);
  if (file < 0) return unreadable(recovery, name, 0, file);
  journal_window_reset(&recovery->window, file);
  int error = journal_window_reserve(&recovery->window, JOURNAL_BLOCK_BYTES);
  const uint8_t *block =
      error == 0 ? journal_window_at(&recovery->window, 0, JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES, &error) : NULL;
  *valid = block && segment_header_check(block) == SEGMENT_VALID;
  if (*valid) memcpy(header, block, sizeof *header);
  recovery->io->operations->close(recovery->io, file);
  return block ? 0 : unreadable(recovery, name, 0, error);
}

/* From the newest header: where the state begins, and what retention may have removed. Damaged headers are judged later. */
static int survey(struct recovery *recovery, const uint64_t *segments, size_t count) {
  struct segment_header header;
  bool valid = false;
  int result = 0;
  for (size_t i = count; i > 0 && result == 0 && !valid; i--) result = read_header(recovery, segments[i - 1], &header, &valid);
  if (result < 0 || !valid) return result;
  recovery->state_lsn = header.state_lsn;
  recovery->oldest_allowed = header.oldest_segment;
  size_t low = 0, high = count; /* the last good header whose first LSN is not above the state's */
  while (low < high && recovery->state_lsn > 0) {
    const size_t middle = low + (high - low) / 2;
    result = read_header(recovery, segments[middle], &header, &valid);
    if (result < 0) return result;
    if (valid && header.first_lsn <= recovery->state_lsn)
      low = middle + 1;
    else
      high = middle;
  }
  if (low > 0) recovery->state_segment = segments[low - 1];
  return 0;
}

/* How much there is to read, before any of it is. */
static int measure(struct recovery *recovery, const uint64_t *segments, size_t count) {
  uint64_t bytes = 0, read = 0;
  for (size_t i = 0; i < count; i++) {
    struct subject subject = {.segment = segments[i]};
    segment_name(subject.name, segments[i], NAME_SEGMENT);
    if (segments[i] >= recovery->state_segment) {
      const int file = recovery->io->operations->open(recovery->io, subject.name, false);
      if (file < 0) return unreadable(recovery, subject.name, 0, file);
      const int64_t size = recovery->io->operations->size(recovery->io, file);
      recovery->io->operations->close(recovery->io, file);
      if (size < 0) return unreadable(recovery, subject.name, 0, (int)size);
      subject.file_bytes = (uint64_t)size;
      read++;
    }
    bytes += bytes_to_judge(recovery, &subject);
  }
  atomic_store_explicit(&recovery->progress->segments_to_read, read, memory_order_relaxed);
  atomic_store_explicit(&recovery->progress->bytes_to_read, bytes, memory_order_relaxed);
  return 0;
}

/* Only what retention said it would remove may be missing. */
static int judge_oldest(struct recovery *recovery) {
  const uint64_t first = recovery->report->first_segment;
  const uint64_t allowed = recovery->oldest_allowed > 1 ? recovery->oldest_allowed : 1;
  char name[SEGMENT_NAME_BYTES];
  if (!recovery->any_used || first <= allowed) return 0;
  segment_name(name, first, NAME_SEGMENT);
  return allowed == 1
             ? refuse(recovery, -EBADMSG, "%s: segment 1 with LSN 1 and up is missing", name)
             : refuse(recovery, -EBADMSG, "%s: segment %" PRIu64 " is missing; retention removed those before it", name, allowed);
}

static int write_zeros(struct recovery *recovery, int file, uint64_t from, uint64_t to) {
  const uint8_t *zeros = recovery->journal->preparer.zeros;
  while (from < to) {
    const uint32_t bytes = to - from < ZERO_SLICE_BYTES_MOST ? (uint32_t)(to - from) : ZERO_SLICE_BYTES_MOST;
    const int result = recovery->io->operations->write_sync(recovery->io, file, zeros, bytes, from);
    if (result < 0) return result;
    from += bytes;
  }
  return 0;
}

/* The chain after the last batch; before the first one of a segment its header says it. */
static int resume_chain(struct recovery *recovery, const char *name, int file) {
  struct journal *journal = recovery->journal;
  const struct segment_header *header = &recovery->last_header;
  if (header->chain_kind != JOURNAL_CHAIN_SHA256) return 0;
  memcpy(journal->chain_hash, header->chain, sizeof journal->chain_hash);
  journal_window_reset(&recovery->window, file);
  int error = journal_window_reserve(&recovery->window, header->batch_bytes_max);
  const uint8_t *block =
      error == 0 ? journal_window_at(&recovery->window, 0, JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES, &error) : NULL;
  if (!block) return unreadable(recovery, name, 0, error);
  memcpy(journal->header_block, block, JOURNAL_BLOCK_BYTES);
  journal->first_in_segment = recovery->last_batch == 0;
  if (recovery->last_batch == 0) return 0;
  const uint32_t bytes = (uint32_t)(recovery->last_end - recovery->last_batch);
  const uint8_t *batch = journal_window_at(&recovery->window, recovery->last_batch, bytes, bytes, &error);
  if (!batch) return unreadable(recovery, name, recovery->last_batch, error);
  const bool first = recovery->last_batch == JOURNAL_BLOCK_BYTES;
  journal_chain_next(first ? journal->header_block : NULL, batch, bytes, journal->chain_hash);
  return 0;
}

/* The segment in use: zero where a batch was cut, so that its remains never pass for anything later. */
static int resume_segment(struct recovery *recovery) {
  struct journal *journal = recovery->journal;
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, recovery->last_used, NAME_SEGMENT);
  const int file = recovery->io->operations->open(recovery->io, name, false);
  if (file < 0) return file;
  journal->file = file;
  journal->segment = recovery->last_used;
  atomic_store_explicit(&journal->current_segment, journal->segment, memory_order_release);
  /* Its header limits its batches: larger ones go to the next segment. So do all, when it is of an older version or chained
   * otherwise. */
  const uint32_t chain_kind = journal->config.hash_chain ? JOURNAL_CHAIN_SHA256 : JOURNAL_CHAIN_NONE;
  const bool goes_on = recovery->last_header.version == JOURNAL_VERSION && recovery->last_header.chain_kind == chain_kind &&
                       recovery->last_batch_bytes_max >= journal->config.batch_bytes_max;
  journal->segment_end = goes_on ? recovery->last_bytes : recovery->last_end;
  journal->offset = recovery->last_end;
  journal->segment_seed = journal_segment_seed(&journal->identity, journal->segment);
  int result = resume_chain(recovery, name, file);
  if (result == 0 && !journal->config.hash_chain) memset(journal->chain_hash, 0, sizeof journal->chain_hash);
  /* The last batch may be read from the disk's cache, its writer killed before the flush: it counts as durable from here on. */
  if (result == 0) result = recovery->io->operations->sync(recovery->io, file);
  const bool chained = journal->config.hash_chain && recovery->last_header.chain_kind == JOURNAL_CHAIN_SHA256;
  if (result == 0 && chained && journal->next_lsn > 1) journal_mark_chain(journal, journal->next_lsn - 1);
  if (result < 0 || !recovery->last_dirty) return result;
  recovery->report->truncated_bytes = recovery->dirty_end - recovery->last_end;
  return write_zeros(recovery, file, recovery->last_end, recovery->dirty_end);
}

/* An unused segment goes on the shelf when it is next in order and of the right length. 1: so it is, 0: not, or -errno. */
static int resume_unused(struct recovery *recovery, uint64_t segment) {
  struct journal *journal = recovery->journal;
  const struct journal_io_operations *operations = recovery->io->operations;
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  const int file = operations->open(recovery->io, name, false);
  if (file < 0) return file;
  const bool fits = segment == recovery->last_used + 1 + journal->prepared_count &&
                    journal->prepared_count < JOURNAL_SEGMENTS_AHEAD_MAX &&
                    operations->size(recovery->io, file) == (int64_t)journal->config.segment_bytes;
  int result = 0;
  if (fits && recovery->torn_header == segment) result = write_zeros(recovery, file, 0, JOURNAL_BLOCK_BYTES);
  if (fits && result == 0) {
    journal->prepared[journal->prepared_count++] = (struct prepared_segment){.segment = segment, .file = file};
    return 1;
  }
  operations->close(recovery->io, file);
  return result;
}

/* The last goes first: one that is missing before another is one that was lost. */
static int remove_unused(struct recovery *recovery, const uint64_t *segments, size_t count) {
  int result = 0;
  while (count > 0 && result == 0) {
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segments[--count], NAME_SEGMENT);
    result = recovery->io->operations->remove(recovery->io, name);
  }
  return result;
}

static int resume(struct recovery *recovery, const uint64_t *segments, size_t count) {
  struct journal *journal = recovery->journal;
  journal->next_lsn = recovery->next_lsn;
  journal->chain = recovery->chain;
  int result = recovery->any_used ? resume_segment(recovery) : 0;
  size_t kept = 0;
  while (kept < count && (!recovery->any_unused || segments[kept] < recovery->first_unused)) kept++;
  int fits = 1;
  while (result == 0 && kept < count && fits == 1) {
    fits = resume_unused(recovery, segments[kept]);
    if (fits < 0) result = fits;
    if (fits == 1) kept++;
  }
  return result < 0 || kept == count ? result : remove_unused(recovery, segments + kept, count - kept);
}

struct temporaries {
  struct journal_io *io;
  int result;
};

static void remove_temporary(void *context, const char *name) {
  struct temporaries *temporaries = context;
  uint64_t segment;
  if (segment_name_parse(name, &segment) != NAME_TEMPORARY) return;
  const int result = temporaries->io->operations->remove(temporaries->io, name);
  if (result < 0 && result != -ENOENT) temporaries->result = result;
}

int journal_recover(struct journal *journal, journal_record_visitor *visit, void *context, struct journal_recovery *report) {
  struct journal_progress unwatched = {0};
  struct recovery recovery = {.journal = journal,
                              .io = journal->io,
                              .visit = visit,
                              .context = context,
                              .report = report,
                              .progress = journal->config.progress ? journal->config.progress : &unwatched,
                              .window = {.io = journal->io, .file = -1},
                              .stream = journal_stream_create(journal->io),
                              .next_lsn = 1};
  memcpy(journal->identity.node_id, journal->config.node_id, sizeof journal->identity.node_id);
  journal->identity.salt = journal->config.salt;
  uint64_t *segments = NULL;
  size_t count = 0;
  int result = recovery.stream ? journal_list_segments(journal->io, &segments, &count) : -ENOMEM;
  if (result == 0) result = survey(&recovery, segments, count);
  if (result == 0) result = measure(&recovery, segments, count);
  for (size_t i = 0; i < count && result == 0; i++) result = judge_segment(&recovery, segments[i]);
  if (result == 0) result = judge_oldest(&recovery);
  if (result == 0) result = resume(&recovery, segments, count);
  struct temporaries temporaries = {.io = journal->io};
  if (result == 0) result = journal->io->operations->list(journal->io, remove_temporary, &temporaries);
  if (result == 0) result = temporaries.result;
  report->next_lsn = recovery.next_lsn;
  atomic_store_explicit(&journal->state_lsn, recovery.state_lsn, memory_order_relaxed);
  atomic_store_explicit(&journal->oldest_segment, recovery.oldest_allowed, memory_order_relaxed);
  journal_window_free(&recovery.window);
  journal_stream_destroy(recovery.stream);
  free(segments);
  return result;
}
