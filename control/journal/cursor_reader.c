#include "cursor_reader.h"
#include <errno.h>
#include <stdlib.h>

#define LOOKS_MAX 1000000u /* at records, in a call */

struct cursor_reader {
  struct journal_io *io;
  struct journal_reader *reader; /* NULL: to be opened */
  uint64_t position;
  int error;
};

struct cursor_reader *cursor_reader_open(struct journal_io *io, uint64_t after_lsn, int *error_number) {
  struct cursor_reader *reader = calloc(1, sizeof *reader);
  *error_number = reader ? 0 : -ENOMEM;
  if (reader) *reader = (struct cursor_reader){.io = io, .position = after_lsn};
  return reader;
}

uint64_t cursor_reader_position(const struct cursor_reader *reader) { return reader->position; }

int cursor_reader_error(const struct cursor_reader *reader) { return reader->error; }

void cursor_reader_close(struct cursor_reader *reader) {
  if (!reader) return;
  journal_reader_close(reader->reader);
  free(reader);
}

static enum cursor_read fail(struct cursor_reader *reader, int error) {
  journal_reader_close(reader->reader);
  reader->reader = NULL;
  reader->error = error;
  return CURSOR_READ_ERROR;
}

/* The next record is no longer there. */
static enum cursor_read tell_gap(struct cursor_reader *reader, uint64_t *lsn) {
  uint64_t oldest_lsn = 0;
  const int result = journal_oldest_lsn(reader->io, &oldest_lsn);
  if (result < 0) return fail(reader, result);
  /* Removed while it was looked for. */
  if (oldest_lsn <= reader->position + 1) return fail(reader, -EAGAIN);
  journal_reader_close(reader->reader);
  reader->reader = NULL;
  *lsn = reader->position = oldest_lsn - 1;
  return CURSOR_READ_GAP;
}

enum cursor_read cursor_reader_next(struct cursor_reader *reader, uint64_t durable_lsn, uint64_t *lsn,
                                    struct violation *violation) {
  const struct record_header *record;
  if (reader->position >= durable_lsn) return CURSOR_READ_END;
  if (!reader->reader) reader->reader = journal_reader_open(reader->io, reader->position + 1, &reader->error);
  if (!reader->reader) return CURSOR_READ_ERROR;
  for (uint32_t looks = 0; looks < LOOKS_MAX; looks++) {
    switch (journal_reader_next(reader->reader, durable_lsn, lsn, &record)) {
    case JOURNAL_READ_RECORD:
      reader->position = *lsn;
      if (record->type == RECORD_VIOLATION && violation_decode(record, record->bytes, violation)) return CURSOR_READ_VIOLATION;
      break;
    case JOURNAL_READ_END:
      return CURSOR_READ_END;
    case JOURNAL_READ_REMOVED:
      return tell_gap(reader, lsn);
    case JOURNAL_READ_DAMAGED:
      return fail(reader, -EBADMSG);
    case JOURNAL_READ_ERROR:
      return fail(reader, -EIO);
    }
  }
  return CURSOR_READ_MORE;
}
