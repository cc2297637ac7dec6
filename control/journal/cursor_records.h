#pragma once
/* Cursors in the journal: how far a named reader (a tail, a sink) has come. Layouts are little-endian and part of the journal's
 * format (docs/journal-format.md). What is decoded may be hostile. */
#include "record.h"
#include <stdbool.h>
#include <stddef.h>

#define CURSORS_MAX 256u
#define CURSOR_NAME_BYTES 64u /* with its NUL */
#define CURSOR_WHO_BYTES 64u

enum cursor_kind { CURSOR_TAIL, CURSOR_SINK, CURSOR_KINDS };

struct cursor_entry {
  uint64_t lsn;             /* acknowledged: all records up to it */
  uint64_t created_wall_ns; /* Unix */
  uint64_t moved_wall_ns;   /* when it was last advanced or reset */
  uint64_t removed_lsn;     /* retention removed records up to here before the cursor had them; 0: never */
  uint64_t lost_records;    /* how many in all, of any type */
  uint8_t kind;             /* enum cursor_kind */
  uint8_t holds;            /* 1: retention waits for it */
  uint8_t reserved[6];
  char name[CURSOR_NAME_BYTES]; /* then zeros */
  char who[CURSOR_WHO_BYTES];   /* who changed it last; then zeros */
};
_Static_assert(sizeof(struct cursor_entry) == 176, "format");

enum cursor_event { CURSOR_EVENT_CREATED = 1, CURSOR_EVENT_ADVANCED, CURSOR_EVENT_RESET };

/* RECORD_CURSOR */
struct cursor_record {
  struct record_header header;
  uint32_t event; /* enum cursor_event */
  uint32_t reserved;
  struct cursor_entry cursor;
};
_Static_assert(sizeof(struct cursor_record) == 200, "format");

enum cursors_event {
  CURSORS_EVENT_SNAPSHOT = 1, /* these and no others */
  CURSORS_EVENT_DELETED,      /* the one that is given */
  CURSORS_EVENT_OVERTAKEN,    /* as a snapshot: retention is about to remove what some have not had */
};

/* RECORD_CURSORS */
struct cursors_record {
  struct record_header header;
  uint64_t lsn;   /* snapshot: the covered LSN of the state's snapshot; overtaken: the first LSN that is kept; else 0 */
  uint32_t event; /* enum cursors_event */
  uint32_t count; /* at most CURSORS_MAX */
  struct cursor_entry cursors[];
};
_Static_assert(sizeof(struct cursors_record) == 32, "format");

/* Letters, digits, `.`, `_`, `-`; the first one a letter or a digit; 1 to 63. */
bool cursor_name_is_good(const char *name);
/* Whether an entry in a record of this LSN is one that could have been written: its text ends, its values are in their ranges,
 * and it acknowledges nothing that came after it. */
bool cursor_entry_is_good(const struct cursor_entry *entry, uint64_t record_lsn);
/* The entries of a record of either type, when it adds up; else NULL. */
const struct cursor_entry *cursor_record_entries(const struct record_header *record, uint64_t record_lsn, uint32_t *count);
