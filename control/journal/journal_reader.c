#include "always_assert.h"
#include "journal_format_internal.h"
#include "journal_stream_internal.h"
#include "journal_window_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_AHEAD_BYTES (256u * 1024u)
#define FAR_LSNS 50000u                   /* behind what is durable: then several reads are under way, as in recovery */
#define INDEXED_READ_BYTES (128u * 1024u) /* neighbours in an index are neighbours on the disk */

/* An open segment. */
struct segment_view {
  int file; /* -1: none */
  uint64_t segment;
  uint32_t seed;
  struct segment_header header;
  struct journal_window window;
  uint64_t window_limit; /* LSNs up to this were durable when the window was read */
};

struct journal_reader {
  struct journal_io *io;
  uint64_t next_lsn;
  struct journal_position begin;    /* of a batch from which to go to next_lsn; segment 0: it has to be located */
  struct segment_view view;         /* of the sequential reader */
  uint64_t offset;                  /* of the next batch */
  const struct batch_header *batch; /* in the window, or NULL */
  uint64_t batch_offset;
  uint32_t at;        /* of the next frame in it */
  uint64_t frame_lsn; /* that frame's */
  struct journal_position position;
  /* While far behind: instead of view.window, for its segment, whose LSNs up to this were durable when it began. */
  struct journal_stream *stream;
  bool streaming;
  uint64_t stream_limit;
  struct segment_view indexed;
  int error; /* the last read's */
};

struct journal_reader *journal_reader_open(struct journal_io *io, uint64_t from_lsn, int *error_number) {
  struct journal_reader *reader = calloc(1, sizeof *reader);
  *error_number = reader ? 0 : -ENOMEM;
  if (!reader) return NULL;
  reader->io = io;
  reader->next_lsn = from_lsn ? from_lsn : 1;
  reader->view = reader->indexed = (struct segment_view){.file = -1, .window = {.io = io, .file = -1}};
  return reader;
}

struct journal_reader *journal_reader_open_at(struct journal_io *io, struct journal_position position, uint64_t from_lsn,
                                              int *error_number) {
  struct journal_reader *reader = journal_reader_open(io, from_lsn, error_number);
  if (reader && position.offset % JOURNAL_BLOCK_BYTES == 0 && position.offset >= JOURNAL_BLOCK_BYTES) reader->begin = position;
  return reader;
}

static void stop_streaming(struct journal_reader *reader) {
  if (reader->streaming) journal_stream_end(reader->stream);
  reader->streaming = false;
}

static void view_close(struct journal_reader *reader, struct segment_view *view) {
  if (view == &reader->view) stop_streaming(reader);
  if (view->file >= 0) reader->io->operations->close(reader->io, view->file);
  view->file = -1;
  view->window_limit = 0;
  journal_window_reset(&view->window, -1);
}

/* JOURNAL_READ_RECORD: the segment is open and in use. JOURNAL_READ_END: it is not there or not in use. */
static enum journal_read view_open(struct journal_reader *reader, struct segment_view *view, uint64_t segment) {
  view_close(reader, view);
  char name[SEGMENT_NAME_BYTES];
  segment_name(name, segment, NAME_SEGMENT);
  const int file = reader->io->operations->open(reader->io, name, false);
  if (file == -ENOENT) return JOURNAL_READ_END;
  reader->error = file < 0 ? file : journal_window_reserve(&view->window, READ_AHEAD_BYTES);
  if (file < 0) return JOURNAL_READ_ERROR;
  view->file = file;
  journal_window_reset(&view->window, file);
  const uint8_t *block = NULL;
  if (reader->error == 0) block = journal_window_at(&view->window, 0, JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES, &reader->error);
  const enum segment_state state = block ? segment_header_check(block) : SEGMENT_INVALID;
  if (!block || state != SEGMENT_VALID) {
    view_close(reader, view);
    if (!block) return JOURNAL_READ_ERROR;
    return state == SEGMENT_ZERO ? JOURNAL_READ_END : JOURNAL_READ_DAMAGED;
  }
  memcpy(&view->header, block, sizeof view->header);
  struct journal_identity identity = {.salt = view->header.salt};
  memcpy(identity.node_id, view->header.node_id, sizeof identity.node_id);
  view->segment = segment;
  view->seed = journal_segment_seed(&identity, segment);
  if (view->header.segment != segment) {
    view_close(reader, view);
    return JOURNAL_READ_DAMAGED;
  }
  return JOURNAL_READ_RECORD;
}

/* Opens the segment that holds reader->next_lsn: the last in use whose first LSN is not above it. */
static enum journal_read locate(struct journal_reader *reader) {
  uint64_t *segments = NULL;
  size_t count = 0;
  reader->error = journal_list_segments(reader->io, &segments, &count);
  if (reader->error < 0) return JOURNAL_READ_ERROR;
  size_t low = 0, high = count; /* segments below `low` start at or before it, those from `high` after it */
  bool later = false;           /* a segment in use starts after it */
  enum journal_read result = JOURNAL_READ_END;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    result = view_open(reader, &reader->view, segments[middle]);
    if (result == JOURNAL_READ_ERROR) break;
    if (result == JOURNAL_READ_RECORD && reader->view.header.first_lsn <= reader->next_lsn) {
      low = middle + 1;
    } else {
      later = later || result == JOURNAL_READ_RECORD;
      high = middle;
    }
  }
  /* A damaged header may be one that is being written: it is judged when the LSNs before it are used up. */
  if (result != JOURNAL_READ_ERROR && low > 0) result = view_open(reader, &reader->view, segments[low - 1]);
  const bool removed = low == 0 && later && segments[0] > 1;
  free(segments);
  reader->offset = JOURNAL_BLOCK_BYTES;
  if (result == JOURNAL_READ_ERROR) return result;
  if (removed) return JOURNAL_READ_REMOVED;
  /* The caller knows that this LSN is durable. */
  return low == 0 || result == JOURNAL_READ_END ? JOURNAL_READ_DAMAGED : result;
}

/* Streams the rest of the segment when that is worth it. A stream that cannot be had is done without. */
static void judge_distance(struct journal_reader *reader, uint64_t limit_lsn, uint64_t expected_lsn) {
  const struct segment_view *view = &reader->view;
  if (reader->streaming && expected_lsn > reader->stream_limit) stop_streaming(reader);
  if (reader->streaming || !reader->io->operations->reads_on_any_thread) return;
  if (limit_lsn < expected_lsn + FAR_LSNS) {
    journal_stream_destroy(reader->stream);
    reader->stream = NULL;
    return;
  }
  if (!reader->stream) reader->stream = journal_stream_create(reader->io);
  reader->stream_limit = limit_lsn;
  reader->streaming = reader->stream && journal_stream_begin(reader->stream, view->file, reader->offset,
                                                             view->header.segment_bytes, view->header.batch_bytes_max) == 0;
}

/* `bytes` of the segment at reader->offset. */
static const uint8_t *next_bytes(struct journal_reader *reader, uint32_t bytes) {
  struct segment_view *view = &reader->view;
  if (reader->streaming) return journal_stream_at(reader->stream, reader->offset, bytes, &reader->error);
  reader->error = journal_window_reserve(&view->window, bytes);
  if (reader->error < 0) return NULL;
  return journal_window_at(&view->window, reader->offset, bytes, view->header.segment_bytes - reader->offset, &reader->error);
}

/* The batch at reader->offset, or NULL when there is none (yet). */
static const struct batch_header *load_batch(struct journal_reader *reader, uint64_t limit_lsn, uint64_t expected_lsn) {
  struct segment_view *view = &reader->view;
  reader->error = 0;
  if (reader->offset >= view->header.segment_bytes) return NULL;
  const uint64_t left = view->header.segment_bytes - reader->offset;
  /* What was read before its batch was durable may be an earlier state of the disk. */
  if (expected_lsn > view->window_limit) {
    journal_window_reset(&view->window, view->file);
    view->window_limit = limit_lsn;
  }
  judge_distance(reader, limit_lsn, expected_lsn);
  const uint8_t *bytes = next_bytes(reader, JOURNAL_BLOCK_BYTES);
  if (!bytes) return NULL;
  const uint32_t claimed = batch_claimed_bytes(bytes, left);
  if (claimed == 0 || claimed > view->header.batch_bytes_max) return NULL;
  bytes = next_bytes(reader, claimed);
  if (!bytes || batch_check(bytes, claimed, view->segment, view->seed, view->header.version) != BATCH_VALID) return NULL;
  return (const void *)bytes;
}

/* To the batch that the caller knows; false: it is not there. */
static bool go_to_begin(struct journal_reader *reader, uint64_t limit_lsn) {
  const struct journal_position begin = reader->begin;
  reader->begin.segment = 0;
  if (begin.segment == 0 || view_open(reader, &reader->view, begin.segment) != JOURNAL_READ_RECORD) return false;
  reader->offset = begin.offset;
  const struct batch_header *batch = load_batch(reader, limit_lsn, limit_lsn);
  if (!batch || batch->first_lsn > reader->next_lsn) return false;
  reader->frame_lsn = batch->first_lsn;
  return true;
}

/* Makes reader->batch the one after the last (or the first to be read). */
static enum journal_read next_batch(struct journal_reader *reader, uint64_t limit_lsn) {
  const bool first = reader->view.file < 0;
  if (first && !go_to_begin(reader, limit_lsn)) {
    const enum journal_read located = locate(reader);
    if (located != JOURNAL_READ_RECORD) {
      view_close(reader, &reader->view);
      return located;
    }
    reader->frame_lsn = reader->view.header.first_lsn;
  }
  const struct batch_header *batch = load_batch(reader, limit_lsn, reader->frame_lsn);
  if (!batch && reader->error == 0) {
    /* The next segment goes on where this one had no room. */
    const enum journal_read opened = view_open(reader, &reader->view, reader->view.segment + 1);
    if (opened == JOURNAL_READ_END) return locate(reader) == JOURNAL_READ_REMOVED ? JOURNAL_READ_REMOVED : JOURNAL_READ_DAMAGED;
    if (opened != JOURNAL_READ_RECORD) return opened;
    reader->offset = JOURNAL_BLOCK_BYTES;
    batch = load_batch(reader, limit_lsn, reader->frame_lsn);
  }
  if (reader->error < 0) return JOURNAL_READ_ERROR;
  if (!batch || batch->first_lsn != reader->frame_lsn) return JOURNAL_READ_DAMAGED;
  reader->batch = batch;
  reader->batch_offset = reader->offset;
  reader->at = batch_header_bytes(reader->view.header.version);
  reader->offset += batch->batch_bytes;
  return JOURNAL_READ_RECORD;
}

enum journal_read journal_reader_next(struct journal_reader *reader, uint64_t limit_lsn, uint64_t *lsn,
                                      const struct record_header **record) {
  if (reader->next_lsn > limit_lsn) return JOURNAL_READ_END;
  for (;;) {
    if (!reader->batch || reader->at >= reader->batch->used_bytes) {
      reader->batch = NULL;
      const enum journal_read result = next_batch(reader, limit_lsn);
      if (result != JOURNAL_READ_RECORD) {
        /* The next call starts from the directory again. */
        view_close(reader, &reader->view);
        return result;
      }
    }
    const uint32_t at = reader->at;
    const struct record_frame *frame = (const void *)((const uint8_t *)reader->batch + at);
    reader->at += record_frame_bytes(frame->bytes);
    if (reader->frame_lsn++ < reader->next_lsn) continue;
    *lsn = reader->next_lsn++;
    *record = (const void *)(frame + 1);
    reader->position =
        (struct journal_position){.segment = reader->view.segment, .offset = reader->batch_offset, .offset_in_batch = at};
    return JOURNAL_READ_RECORD;
  }
}

int journal_oldest_lsn(struct journal_io *io, uint64_t *lsn) {
  uint64_t *segments = NULL;
  size_t count = 0;
  *lsn = 0;
  int result = journal_list_segments(io, &segments, &count);
  struct journal_reader *reader = result == 0 && count > 0 ? journal_reader_open(io, 1, &result) : NULL;
  if (reader) {
    const enum journal_read opened = view_open(reader, &reader->view, segments[0]);
    if (opened == JOURNAL_READ_RECORD) *lsn = reader->view.header.first_lsn;
    if (opened == JOURNAL_READ_DAMAGED) result = -EBADMSG;
    if (opened == JOURNAL_READ_ERROR) result = reader->error;
  }
  journal_reader_close(reader);
  free(segments);
  return result;
}

struct journal_position journal_reader_position(const struct journal_reader *reader) {
  return reader->position;
}

/* `bytes` at any 8-aligned offset, read in whole INDEXED_READ_BYTES where that is enough; NULL at the end of the file too. */
static const uint8_t *indexed_bytes(struct journal_reader *reader, uint64_t offset, uint32_t bytes) {
  struct segment_view *view = &reader->indexed;
  if (offset > view->header.segment_bytes || bytes > view->header.segment_bytes - offset) return NULL;
  const uint64_t block = offset / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
  const uint32_t blocks = journal_blocks_up((uint32_t)(offset - block) + bytes);
  const uint64_t piece = offset / INDEXED_READ_BYTES * INDEXED_READ_BYTES;
  int error = 0;
  const uint8_t *at = NULL;
  /* The whole piece, so that its other records are at hand whichever way the caller walks. */
  if (block + blocks <= piece + INDEXED_READ_BYTES) {
    at = journal_window_at(&view->window, piece, INDEXED_READ_BYTES, INDEXED_READ_BYTES, &error);
    if (at) at += offset - piece;
  } else {
    at = journal_window_at(&view->window, block, blocks, blocks, &error);
    if (at) at += offset - block;
  }
  return at;
}

static const struct record_header *indexed_record(struct journal_reader *reader, struct journal_position position, uint64_t lsn) {
  const uint64_t offset = position.offset + position.offset_in_batch;
  const uint8_t *at = indexed_bytes(reader, offset, sizeof(struct record_frame));
  if (!at) return NULL;
  struct record_frame frame;
  memcpy(&frame, at, sizeof frame);
  if (frame.bytes < sizeof(struct record_header) || frame.bytes > RECORD_BYTES_MAX) return NULL;
  at = indexed_bytes(reader, offset, (uint32_t)sizeof frame + frame.bytes);
  if (!at) return NULL;
  at += sizeof frame;
  if (journal_checksum(journal_lsn_seed(reader->indexed.seed, lsn), at, frame.bytes) != frame.checksum) return NULL;
  const struct record_header *record = (const void *)at;
  return record->bytes == frame.bytes ? record : NULL;
}

const struct record_header *journal_reader_at(struct journal_reader *reader, struct journal_position position, uint64_t lsn) {
  struct segment_view *view = &reader->indexed;
  if (position.offset % 8 != 0 || position.offset_in_batch % 8 != 0 || position.offset_in_batch > JOURNAL_BATCH_BYTES_MOST)
    return NULL;
  if (view->file < 0 || view->segment != position.segment) {
    if (view_open(reader, view, position.segment) != JOURNAL_READ_RECORD) return NULL;
  }
  const struct record_header *record = indexed_record(reader, position, lsn);
  if (record) return record;
  /* The window may be older than the record. */
  journal_window_reset(&view->window, view->file);
  return indexed_record(reader, position, lsn);
}

void journal_reader_close(struct journal_reader *reader) {
  if (!reader) return;
  view_close(reader, &reader->view);
  view_close(reader, &reader->indexed);
  journal_stream_destroy(reader->stream);
  journal_window_free(&reader->view.window);
  journal_window_free(&reader->indexed.window);
  free(reader);
}
