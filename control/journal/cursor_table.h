#pragma once
/* Named durable cursors: how far each reader of the journal has come. A change is applied here and recorded in one step, so that
 * the order of the records is the order of the changes; whoever asks for it waits until its record is durable. Advances of one
 * cursor are recorded at most ten times a second: a record says where it is, not each step. Bound: CURSORS_MAX.
 * Threads: any; it locks, and waits without the lock. */
#include "cursor_records.h"

#define CURSOR_RECORD_EVERY_NS 100000000ull
#define CURSOR_PASS_RECORDS 1000u /* what a reader passes without being given any of it is recorded by so many */

/* What the table writes to. Any thread; `publish` by one at a time. */
struct cursor_journal {
  void *context;
  /* Never waits. False: no room now. */
  bool (*publish)(void *context, const void *record, uint32_t bytes, uint64_t *position);
  bool (*is_durable)(void *context, uint64_t position);
  int (*wait_durable)(void *context, uint64_t position); /* 0 or -errno; bounded */
  uint64_t (*durable_lsn)(void *context);
  int (*trouble)(void *context); /* 0, or -errno while what is published does not become durable */
  uint64_t (*now_ns)(void *context);
  uint64_t (*wall_ns)(void *context);
  void (*pause)(void *context, uint64_t ns);
};

struct cursor_table;
struct cursor_table *cursor_table_create(const struct cursor_journal *journal); /* NULL: out of memory */
void cursor_table_destroy(struct cursor_table *table);

/* Recovery, before any other thread: each record, in order; other types say nothing. Then the oldest LSN that is kept. Returns
 * how many records of cursors did not add up, and said nothing. */
void cursor_table_see(struct cursor_table *table, uint64_t lsn, const struct record_header *record);
uint64_t cursor_table_recovered(struct cursor_table *table, uint64_t oldest_lsn);

/* A cursor as it is now. */
struct cursor_view {
  struct cursor_entry cursor;
  uint64_t durable_lsn;      /* of its positions, the last that is known to be durable */
  uint64_t lag_records;      /* durable in the journal and not acknowledged */
  uint64_t gap_from, gap_to; /* not acknowledged, and no longer there; 0: no gap */
};

enum cursor_action {
  CURSOR_SET,   /* forwards; makes one that is not there, unless `expected` */
  CURSOR_RESET, /* anywhere that is kept */
  CURSOR_DELETE,
};
enum cursor_place { CURSOR_AT_LSN, CURSOR_AT_NOW, CURSOR_AT_OLDEST, CURSOR_STAY };
struct cursor_request {
  enum cursor_action action;
  const char *name, *who;
  enum cursor_place place;
  uint64_t lsn;  /* CURSOR_AT_LSN */
  bool expected; /* only a cursor that is at expected_lsn (or already where it is to go) */
  uint64_t expected_lsn;
  int kind, holds; /* -1: as it is; of a new one a tail, and held for when it is a sink. The kind is chosen once */
};
enum cursor_result {
  CURSOR_OK,
  CURSOR_MADE,
  CURSOR_UNKNOWN,
  CURSOR_BAD_NAME,
  CURSOR_NO_ROOM,     /* CURSORS_MAX are there */
  CURSOR_BEYOND,      /* not durable yet */
  CURSOR_BACKWARDS,   /* that takes a reset */
  CURSOR_NOT_THERE,   /* where it was expected */
  CURSOR_REMOVED,     /* no longer kept */
  CURSOR_NOT_DURABLE, /* may be done or not: the journal has trouble */
};
/* Returns when it is durable. `after` is filled in when the cursor is there (CURSOR_DELETE: as it was). */
enum cursor_result cursor_table_change(struct cursor_table *table, const struct cursor_request *request,
                                       struct cursor_view *after);
/* For readers in this process: without waiting, recorded by cursor_table_write. `given`: some of it was of use to the reader;
 * what is only passed may be passed again after a crash. False: unknown, backwards or beyond. */
bool cursor_table_advance(struct cursor_table *table, const char *name, uint64_t lsn, bool given);
/* Records what has moved and is due; with `all` whatever has moved. *position: durable when all is. */
void cursor_table_write(struct cursor_table *table, bool all, uint64_t *position);

bool cursor_table_find(struct cursor_table *table, const char *name, struct cursor_view *view);
/* By name. How many. */
uint32_t cursor_table_list(struct cursor_table *table, struct cursor_view views[CURSORS_MAX]);

/* From which LSN on a cursor that holds still needs records, by what is durable; UINT64_MAX: none does. */
uint64_t cursor_table_needed_lsn(struct cursor_table *table);
/* Records below this LSN are about to be removed: from now on no cursor can be set there. Those that have not had them are told
 * of, and a record says so, durable when *position is. -EBUSY: one of them holds and `overtake` is false; -EAGAIN: no room for
 * the record; then nothing has changed. */
int cursor_table_let_go(struct cursor_table *table, uint64_t oldest_lsn, bool overtake,
                        void (*overtaken)(void *context, const struct cursor_view *view), void *context, uint64_t *position);
/* All of them again, for a snapshot of the state. 0 or -EAGAIN. *bytes: its size. */
int cursor_table_snapshot(struct cursor_table *table, uint64_t covered_lsn, size_t *bytes);

struct cursor_counters {
  uint64_t records, advances; /* written; asked for */
  uint64_t overtaken, lost_records;
};
struct cursor_counters cursor_table_counters(struct cursor_table *table);
