#pragma once
/* Which of the oldest segments the limits let go. A segment goes as a whole, and only when all its records are over a limit. */
#include "journal.h"

struct journal_segment {
  uint64_t segment, first_lsn;
  uint64_t created_wall_ns; /* of its first use: no record of the segment before it is younger */
  uint64_t bytes;
  uint32_t version;
};

/* The segments in use, oldest first (malloc'd), by their headers. One whose header is not good ends the list. 0 or -errno. */
int journal_segments(struct journal_io *io, struct journal_segment **segments, size_t *count);

struct journal_limits { /* each 0: none */
  uint64_t age_ns;      /* older records go */
  uint64_t bytes;       /* the oldest go while the segments in use are more than that */
  uint64_t records;     /* at least so many of the newest stay */
  uint64_t bytes_hard;  /* the same as `bytes`, and cursors hold nothing beyond it */
  bool no_room;         /* the disk is full: cursors hold nothing that is over a limit */
};

struct journal_needs {
  uint64_t state_lsn;  /* recovery needs all records from here on; 0: all */
  uint64_t cursor_lsn; /* cursors that hold need them from here on; UINT64_MAX: none */
};

struct journal_retention {
  size_t removable;       /* of the oldest */
  size_t overtaking;      /* of these, the last so many are needed by a cursor */
  size_t held_by_state;   /* over the limits, but recovery needs them, or what is before them */
  size_t held_by_cursors; /* over the limits, but a cursor needs them */
  uint64_t held_bytes;    /* of both */
};
/* The segment in use stays. */
struct journal_retention journal_retention_judge(const struct journal_segment *segments, size_t count,
                                                 const struct journal_limits *limits, const struct journal_needs *needs,
                                                 uint64_t durable_lsn, uint64_t wall_ns);
/* 0 (also when it is gone already) or -errno. */
int journal_remove_segment(struct journal_io *io, uint64_t segment);
