#include "journal_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reads batches of the segment files as they grow; holds one open segment and one batch. */
struct journal_reader {
  struct journal_io *io;
  int file;                    /* -1: none */
  uint64_t segment_id, offset; /* of the batch in hand, or the next to read */
  uint64_t next_lsn;
  uint8_t *batch;
  uint32_t batch_room;
  uint32_t record_at; /* of the next record in the batch; 0: no batch in hand */
  uint32_t records_left;
  struct journal_position position;
};

static void find_first(void *context, const char *name) {
  uint64_t id, *first = context;
  if (journal_segment_id(name, &id) && id < *first) *first = id;
}

static int open_segment(struct journal_reader *reader, uint64_t id) {
  char name[32];
  if (reader->file >= 0 && reader->segment_id == id) return 0;
  if (reader->file >= 0) reader->io->operations->close(reader->io, reader->file);
  journal_segment_name(id, name);
  reader->file = reader->io->operations->open(reader->io, name, false);
  reader->segment_id = id;
  return reader->file < 0 ? reader->file : 0;
}

/* 1: a sound batch at `offset` is in `batch`; 0: none; or -errno. */
static int load_batch(struct journal_reader *reader, uint64_t offset) {
  struct journal_io *io = reader->io;
  int got = io->operations->read(io, reader->file, reader->batch, JOURNAL_BLOCK_BYTES, offset);
  if (got < 0) return got;
  struct journal_batch_header header;
  memcpy(&header, reader->batch, sizeof header);
  if (got != (int)JOURNAL_BLOCK_BYTES || !journal_batch_plausible(&header, reader->segment_id, JOURNAL_BATCH_BYTES_LIMIT))
    return 0;
  if (header.batch_bytes > reader->batch_room) {
    free(reader->batch);
    reader->batch = journal_buffer(header.batch_bytes);
    reader->batch_room = reader->batch ? header.batch_bytes : 0;
    if (!reader->batch) return -ENOMEM;
  }
  got = io->operations->read(io, reader->file, reader->batch, header.batch_bytes, offset);
  if (got < 0) return got;
  return got == (int)header.batch_bytes && journal_batch_sound((const struct journal_batch_header *)(const void *)reader->batch);
}

static const struct journal_batch_header *in_hand(const struct journal_reader *reader) {
  return (const struct journal_batch_header *)(const void *)reader->batch;
}

/* Moves on to the next batch, over the end of a segment when there is one after it. 1, 0 (none yet) or -errno. */
static int next_batch(struct journal_reader *reader) {
  if (reader->record_at) reader->offset += in_hand(reader)->batch_bytes;
  reader->record_at = 0;
  int loaded = reader->file < 0 ? 0 : load_batch(reader, reader->offset);
  if (loaded == 0) {
    const uint64_t before = reader->segment_id, offset_before = reader->offset;
    const int opened = open_segment(reader, reader->segment_id + 1);
    if (opened == -ENOENT) {
      reader->file = -1;
      reader->offset = offset_before;
      return open_segment(reader, before) < 0 ? -ENOENT : 0;
    }
    if (opened < 0) return opened;
    reader->offset = JOURNAL_BLOCK_BYTES;
    loaded = load_batch(reader, reader->offset);
  }
  if (loaded != 1) return loaded;
  reader->record_at = sizeof(struct journal_batch_header);
  reader->records_left = in_hand(reader)->record_count;
  reader->next_lsn = in_hand(reader)->first_lsn;
  return 1;
}

struct journal_reader *journal_reader_open(struct journal_io *io, uint64_t from_lsn, int *error_number) {
  struct journal_reader *reader = calloc(1, sizeof *reader);
  uint64_t first = UINT64_MAX;
  *error_number = -ENOMEM;
  if (!reader || !(reader->batch = journal_buffer(1u << 17))) {
    free(reader);
    return NULL;
  }
  reader->io = io;
  reader->batch_room = 1u << 17;
  reader->file = -1;
  *error_number = io->operations->list(io, find_first, &first);
  reader->segment_id = first == UINT64_MAX ? 0 : first - 1;
  reader->next_lsn = from_lsn;
  if (*error_number >= 0) return reader;
  journal_reader_close(reader);
  return NULL;
}

enum journal_read journal_reader_next(struct journal_reader *reader, uint64_t limit_lsn, uint64_t *lsn,
                                      const struct record_header **record) {
  for (;;) {
    if (reader->record_at == 0 || reader->records_left == 0) {
      if (reader->next_lsn > limit_lsn) return JOURNAL_READ_END;
      const uint64_t wanted = reader->next_lsn;
      const int got = next_batch(reader);
      if (got < 0) return JOURNAL_READ_ERROR;
      if (got == 0) return wanted <= limit_lsn && reader->file >= 0 ? JOURNAL_READ_DAMAGED : JOURNAL_READ_END;
    }
    const struct record_header *at = (const struct record_header *)(const void *)(reader->batch + reader->record_at);
    if (reader->next_lsn > limit_lsn) return JOURNAL_READ_END;
    reader->position =
        (struct journal_position){.segment = reader->segment_id, .offset = reader->offset, .offset_in_batch = reader->record_at};
    reader->record_at += journal_record_stride(at->bytes);
    reader->records_left--;
    *lsn = reader->next_lsn++;
    *record = at;
    return JOURNAL_READ_RECORD;
  }
}

struct journal_position journal_reader_position(const struct journal_reader *reader) {
  return reader->position;
}

const struct record_header *journal_reader_at(struct journal_reader *reader, struct journal_position position, uint64_t lsn) {
  const bool same = reader->record_at && reader->segment_id == position.segment && reader->offset == position.offset;
  if (!same) {
    reader->record_at = 0;
    if (open_segment(reader, position.segment) < 0 || load_batch(reader, position.offset) != 1) return NULL;
    reader->offset = position.offset;
    reader->record_at = sizeof(struct journal_batch_header);
    reader->records_left = 0;
  }
  const struct journal_batch_header *batch = in_hand(reader);
  if (lsn < batch->first_lsn || lsn >= batch->first_lsn + batch->record_count) return NULL;
  if (position.offset_in_batch + sizeof(struct record_header) > batch->payload_bytes) return NULL;
  return (const struct record_header *)(const void *)(reader->batch + position.offset_in_batch);
}

void journal_reader_close(struct journal_reader *reader) {
  if (reader->file >= 0) reader->io->operations->close(reader->io, reader->file);
  free(reader->batch);
  free(reader);
}
