#include "journal_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One pass over the segments in order. The decision table is in docs/journal-format.md; each `refuse` names its row. */
struct recovery_state {
  struct journal *journal;
  journal_record_visitor *visit;
  void *context;
  struct journal_recovery *result;
  uint64_t *ids;
  size_t id_count, id_capacity;
  uint8_t *buffer;
  uint32_t buffer_bytes;
  uint64_t expected_lsn;
  uint32_t chain;
};

__attribute__((format(printf, 5, 6))) static int refuse(struct recovery_state *state, uint64_t id, uint64_t offset, uint64_t lsn,
                                                        const char *format, ...) {
  char reason[160], name[32];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  journal_segment_name(id, name);
  snprintf(state->result->refusal, sizeof state->result->refusal, "%s, offset %llu, LSN %llu: %s", name,
           (unsigned long long)offset, (unsigned long long)lsn, reason);
  return -EBADMSG;
}

static void collect(void *context, const char *name) {
  struct recovery_state *state = context;
  uint64_t id;
  if (!journal_segment_id(name, &id)) return;
  if (state->id_count == state->id_capacity) {
    const size_t capacity = state->id_capacity ? 2 * state->id_capacity : 64;
    uint64_t *grown = realloc(state->ids, capacity * sizeof *grown);
    if (!grown) return;
    state->ids = grown;
    state->id_capacity = capacity;
  }
  state->ids[state->id_count++] = id;
}

static int compare_ids(const void *a, const void *b) {
  const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return left < right ? -1 : left > right;
}

static int read_at(struct recovery_state *state, int file, uint32_t bytes, uint64_t offset) {
  struct journal_io *io = state->journal->config.io;
  if (bytes > state->buffer_bytes) {
    free(state->buffer);
    state->buffer = journal_buffer(bytes);
    state->buffer_bytes = state->buffer ? bytes : 0;
    if (!state->buffer) return -ENOMEM;
  }
  return io->operations->read(io, file, state->buffer, bytes, offset);
}

/* 1: a sound batch of this segment is in the buffer; 0: there is none here; or -errno. */
static int read_batch(struct recovery_state *state, int file, uint64_t id, uint64_t offset, uint64_t size) {
  if (offset + JOURNAL_BLOCK_BYTES > size) return 0;
  const uint64_t left = size - offset < JOURNAL_BATCH_BYTES_LIMIT ? size - offset : JOURNAL_BATCH_BYTES_LIMIT;
  int got = read_at(state, file, JOURNAL_BLOCK_BYTES, offset);
  if (got < 0) return got;
  struct journal_batch_header header;
  memcpy(&header, state->buffer, sizeof header);
  if (got != (int)JOURNAL_BLOCK_BYTES || !journal_batch_plausible(&header, id, (uint32_t)left)) return 0;
  got = read_at(state, file, header.batch_bytes, offset);
  if (got < 0) return got;
  return got == (int)header.batch_bytes && journal_batch_sound((const struct journal_batch_header *)(const void *)state->buffer);
}

static bool all_zero(const uint8_t *bytes, uint32_t length) {
  return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* What lies from `offset` to the end: the first sound batch further on (found), and the end of the last block that is not zero.
 */
static int survey(struct recovery_state *state, int file, uint64_t id, uint64_t offset, uint64_t size, bool *found,
                  uint64_t *found_at, uint64_t *dirty_end) {
  *found = false;
  *dirty_end = offset;
  for (uint64_t at = offset; at < size; at += JOURNAL_BLOCK_BYTES) {
    const int got = read_at(state, file, JOURNAL_BLOCK_BYTES, at);
    if (got < 0) return got;
    if (all_zero(state->buffer, (uint32_t)got)) continue;
    *dirty_end = at + JOURNAL_BLOCK_BYTES;
    const int sound = read_batch(state, file, id, at, size);
    if (sound < 0) return sound;
    if (sound == 0) continue;
    *found = true;
    *found_at = at;
    return 0;
  }
  return 0;
}

static void visit_records(struct recovery_state *state) {
  const struct journal_batch_header *batch = (const struct journal_batch_header *)(const void *)state->buffer;
  uint32_t at = sizeof *batch;
  for (uint32_t i = 0; i < batch->record_count; i++) {
    const struct record_header *record = (const struct record_header *)(const void *)(state->buffer + at);
    if (state->visit) state->visit(state->context, batch->first_lsn + i, record);
    at += journal_record_stride(record->bytes);
  }
  state->result->records += batch->record_count;
  state->expected_lsn = batch->first_lsn + batch->record_count;
  state->chain = batch->checksum;
}

static int truncate_tail(struct recovery_state *state, int file, uint64_t from, uint64_t to) {
  struct journal *journal = state->journal;
  for (uint64_t at = from; at < to;) {
    const uint32_t slice = to - at < JOURNAL_SLICE_BYTES ? (uint32_t)(to - at) : JOURNAL_SLICE_BYTES;
    const int written = journal->config.io->operations->write_sync(journal->config.io, file, journal->zeros, slice, at);
    if (written < 0) return written;
    at += slice;
  }
  state->result->truncated_bytes = to - from;
  return 0;
}

/* Batches of one segment. Sets *end to where the next batch would go. */
static int recover_batches(struct recovery_state *state, int file, uint64_t id, uint64_t size, bool last, uint64_t *end) {
  uint64_t at = JOURNAL_BLOCK_BYTES;
  for (;; at += ((const struct journal_batch_header *)(const void *)state->buffer)->batch_bytes) {
    const int sound = read_batch(state, file, id, at, size);
    if (sound < 0) return sound;
    if (sound == 0) break;
    const struct journal_batch_header *batch = (const struct journal_batch_header *)(const void *)state->buffer;
    if (batch->first_lsn != state->expected_lsn)
      return refuse(state, id, at, state->expected_lsn, "a batch begins at LSN %llu", (unsigned long long)batch->first_lsn);
    if (batch->previous_checksum != state->chain)
      return refuse(state, id, at, state->expected_lsn, "the chain of batches is broken");
    visit_records(state);
  }
  *end = at;
  bool found;
  uint64_t found_at = 0, dirty_end;
  const int surveyed = survey(state, file, id, at, size, &found, &found_at, &dirty_end);
  if (surveyed < 0) return surveyed;
  if (found)
    return refuse(state, id, at, state->expected_lsn, "damaged, yet a sound batch follows at offset %llu",
                  (unsigned long long)found_at);
  if (dirty_end == at) return 0;
  if (!last) return refuse(state, id, at, state->expected_lsn, "damaged, yet another segment follows");
  return truncate_tail(state, file, at, dirty_end);
}

static int check_header(struct recovery_state *state, const struct journal_segment_header *header, uint64_t id) {
  if (header->version > JOURNAL_VERSION)
    return refuse(state, id, 0, state->expected_lsn, "written by a newer version (%u)", header->version);
  if (memcmp(header->node_id, state->journal->config.node_id, sizeof header->node_id) != 0)
    return refuse(state, id, 0, state->expected_lsn, "it belongs to another node");
  if (header->segment_id != id)
    return refuse(state, id, 0, state->expected_lsn, "the header names segment %llx", (unsigned long long)header->segment_id);
  if (state->result->segments == 0) {
    state->expected_lsn = state->result->first_lsn = header->first_lsn;
    state->chain = header->previous_checksum;
  }
  if (header->first_lsn != state->expected_lsn)
    return refuse(state, id, 0, state->expected_lsn, "the segment begins at LSN %llu", (unsigned long long)header->first_lsn);
  if (header->previous_checksum != state->chain)
    return refuse(state, id, 0, state->expected_lsn, "it does not follow the segment before");
  return 0;
}

/* A last segment whose header was never finished holds nothing acknowledged and is removed. 1: removed. */
static int discard_unfinished(struct recovery_state *state, int file, uint64_t id, uint64_t size, bool last) {
  struct journal_io *io = state->journal->config.io;
  bool found;
  uint64_t found_at = 0, dirty_end;
  if (!last) return refuse(state, id, 0, state->expected_lsn, "the header is damaged, yet another segment follows");
  const int surveyed = survey(state, file, id, JOURNAL_BLOCK_BYTES, size, &found, &found_at, &dirty_end);
  if (surveyed < 0) return surveyed;
  if (found || dirty_end != JOURNAL_BLOCK_BYTES)
    return refuse(state, id, 0, state->expected_lsn, "the header is damaged, yet data follows");
  char name[32];
  journal_segment_name(id, name);
  int result = io->operations->remove(io, name);
  if (result == 0) result = io->operations->sync_directory(io);
  return result < 0 ? result : 1;
}

static int recover_segment(struct recovery_state *state, size_t index) {
  struct journal *journal = state->journal;
  struct journal_io *io = journal->config.io;
  const uint64_t id = state->ids[index];
  const bool last = index + 1 == state->id_count;
  char name[32];
  journal_segment_name(id, name);
  const int file = io->operations->open(io, name, false);
  if (file < 0) return file;
  const int64_t size = io->operations->size(io, file);
  int result = size < 0 ? (int)size : 0;
  if (result == 0) {
    const int got = read_at(state, file, JOURNAL_BLOCK_BYTES, 0);
    const struct journal_segment_header *header = (const struct journal_segment_header *)(const void *)state->buffer;
    if (got < 0) {
      result = got;
    } else if (got != (int)JOURNAL_BLOCK_BYTES || !journal_header_sound(header)) {
      result = discard_unfinished(state, file, id, (uint64_t)size, last);
    } else {
      result = check_header(state, header, id);
    }
  }
  uint64_t end = JOURNAL_BLOCK_BYTES;
  if (result == 0) result = recover_batches(state, file, id, (uint64_t)size, last, &end);
  if (result == 0) state->result->segments++;
  if (result == 0 && last && (uint64_t)size == journal->config.segment_bytes) {
    journal->file = file;
    journal->offset = end;
  } else {
    io->operations->close(io, file);
  }
  if (result == 1) return 0;
  journal->segment_id = id;
  return result;
}

static int recover_all(struct recovery_state *state) {
  struct journal_io *io = state->journal->config.io;
  int result = io->operations->list(io, collect, state);
  if (result < 0) return result;
  if (state->id_count) qsort(state->ids, state->id_count, sizeof *state->ids, compare_ids);
  state->journal->segment_id = state->id_count ? state->ids[0] - 1 : 0;
  for (size_t i = 0; i < state->id_count; i++) {
    if (i > 0 && state->ids[i] != state->ids[i - 1] + 1)
      return refuse(state, state->ids[i - 1] + 1, 0, state->expected_lsn, "the segment is missing");
    result = recover_segment(state, i);
    if (result < 0) return result;
  }
  return 0;
}

int journal_recover(struct journal *journal, journal_record_visitor *visit, void *context, struct journal_recovery *recovery) {
  struct journal_io *io = journal->config.io;
  struct recovery_state state = {.journal = journal, .visit = visit, .context = context, .result = recovery, .expected_lsn = 1};
  recovery->first_lsn = 1;
  int result = io->operations->remove(io, JOURNAL_PREPARED_NAME); /* a preparation that a crash cut short */
  result = result == -ENOENT ? 0 : result;
  if (result == 0) result = recover_all(&state);
  recovery->next_lsn = state.expected_lsn;
  journal->next_lsn = state.expected_lsn;
  journal->chain = state.chain;
  atomic_store_explicit(&journal->durable_lsn, state.expected_lsn - 1, memory_order_release);
  free(state.ids);
  free(state.buffer);
  return result;
}
