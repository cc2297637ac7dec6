#pragma once
/* Reads a whole journal as a reader does. */
#include "journal_rig.h"

/* Whether a reader gives every LSN up to `last_lsn` with a whole record, by walking and again by position. */
static inline bool reader_agrees(struct journal_io *io, uint64_t last_lsn) {
  int error;
  struct journal_reader *reader = journal_reader_open(io, 1, &error);
  if (!reader) return false;
  bool good = true;
  uint64_t lsn, expected = 1;
  const struct record_header *record;
  enum journal_read read;
  while (good && (read = journal_reader_next(reader, last_lsn, &lsn, &record)) == JOURNAL_READ_RECORD) {
    uint32_t ring, number, again_ring = 0, again_number = 0;
    good = lsn == expected++ && rig_record_check(record, &ring, &number);
    const struct record_header *again = good ? journal_reader_at(reader, journal_reader_position(reader), lsn) : NULL;
    good = good && again && rig_record_check(again, &again_ring, &again_number) && again_ring == ring && again_number == number;
  }
  good = good && read == JOURNAL_READ_END && expected == last_lsn + 1;
  journal_reader_close(reader);
  return good;
}
