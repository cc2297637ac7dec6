#pragma once
/* Inside the table of cursors. All under its lock. */
#include "cursor_table.h"
#include <pthread.h>

struct named_cursor {
  bool used;
  bool deleted; /* and gone from here once its record is durable */
  uint64_t id;  /* a place in the table is used again */
  struct cursor_entry entry;
  uint64_t changes, written_changes; /* of the entry; and of those what the last record told */
  bool gives;                        /* what is not written yet was given to the reader, not only passed */
  enum cursor_event event;           /* of what is not written yet */
  uint64_t written_ns, written_lsn, written_position;
  uint64_t durable_lsn;
};

struct cursor_table {
  struct cursor_journal journal;
  pthread_mutex_t lock;
  struct named_cursor cursors[CURSORS_MAX];
  uint64_t last_id;
  uint64_t oldest_lsn; /* that is kept */
  uint64_t bad_records;
  struct cursor_counters counters;
};

/* By what survives a crash: it may go back to what is durable. */
static inline uint64_t cursor_needed_lsn(const struct named_cursor *cursor) {
  return (cursor->durable_lsn < cursor->entry.lsn ? cursor->durable_lsn : cursor->entry.lsn) + 1;
}

struct named_cursor *cursor_find(struct cursor_table *table, const char *name);
/* A place; NULL: all are taken. */
struct named_cursor *cursor_make(struct cursor_table *table);
struct cursor_view cursor_view_of(struct cursor_table *table, struct named_cursor *cursor);
/* Of those that hold; UINT64_MAX: none. */
uint64_t cursors_needed_lsn(struct cursor_table *table);
/* The next record is about what changes from here on. */
void cursor_note_written(struct cursor_table *table, struct named_cursor *cursor, uint64_t position);
/* One record of these. False: no room. */
bool cursor_write_several(struct cursor_table *table, enum cursors_event event, uint64_t lsn, const struct cursor_entry *entries,
                          uint32_t count, uint64_t *position, size_t *bytes);
