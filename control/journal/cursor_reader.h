#pragma once
/* Violations oldest first from where a cursor is, straight from the log: nothing depends on what the index holds. Retention that
 * was faster is told as a gap. */
#include "journal.h"
#include "violation.h"

/* GAP: records were removed before they were read; the next call goes on behind them. MORE: enough was looked at for one call. */
enum cursor_read { CURSOR_READ_VIOLATION, CURSOR_READ_END, CURSOR_READ_MORE, CURSOR_READ_GAP, CURSOR_READ_ERROR };

/* Threads: any, one owner. */
struct cursor_reader;
struct cursor_reader *cursor_reader_open(struct journal_io *io, uint64_t after_lsn, int *error_number);
/* The violation lives until the next call. *lsn: of the violation; GAP: the last one that is missing. */
enum cursor_read cursor_reader_next(struct cursor_reader *reader, uint64_t durable_lsn, uint64_t *lsn,
                                    struct violation *violation);
/* All up to here was given, passed as no violation, or told as a gap: what the reader may acknowledge. */
uint64_t cursor_reader_position(const struct cursor_reader *reader);
int cursor_reader_error(const struct cursor_reader *reader); /* -errno after CURSOR_READ_ERROR */
void cursor_reader_close(struct cursor_reader *reader);

/* Some readers that are kept open for those who come back: by where they are. */
struct cursor_readers;
struct cursor_readers *cursor_readers_create(struct journal_io *io);
void cursor_readers_destroy(struct cursor_readers *readers);
/* One that stands there, for the caller alone until it is given back. */
struct cursor_reader *cursor_readers_take(struct cursor_readers *readers, uint64_t after_lsn, int *error_number);
void cursor_readers_give_back(struct cursor_readers *readers, struct cursor_reader *reader);

/* What a reading came to. */
struct cursor_reading {
  uint32_t given;
  uint64_t position;         /* all up to here was given or is no violation: what may be acknowledged */
  bool more;                 /* there may be more now */
  uint64_t gap_from, gap_to; /* these were removed before they were read; 0: no gap, else nothing is given */
};
/* Gives violations after an LSN until there are no more, `limit` are given, or `each` returns false. 0 or -errno. */
int cursor_readers_read(struct cursor_readers *readers, uint64_t after_lsn, uint64_t durable_lsn, uint32_t limit,
                        bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *context,
                        struct cursor_reading *reading);
/* Segments below are removed: a file that is kept open would keep its room on the disk. */
void cursor_readers_let_go(struct cursor_readers *readers, uint64_t oldest_lsn);
