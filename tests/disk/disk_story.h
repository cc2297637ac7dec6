#pragma once
/* A journal's life on a simulated disk, all of it from a seed: records of several rings and durabilities, segments, a reader that
 * follows, snapshots of the state, signed checkpoints, retention, restarts and power cuts. What was acknowledged, and what each
 * LSN held, is kept beside it; disk_story_judge holds the disk against that. A broken law ends the process. */
#include "checkpoint_audit.h"
#include "heap_arena.h"
#include "journal_rig.h"
#include "test_random.h"

#define DISK_RINGS 3u /* the last is control's */
#define DISK_LSNS_MAX 65536u
#define DISK_NUMBERS_MAX 16384u /* of a ring, in one life */

/* Who asks the disk. */
enum disk_actor { DISK_START, DISK_JOURNAL, DISK_READER, DISK_KEEPER };

/* What a record is told apart by; `number` 0: nothing is known of that LSN. */
struct disk_entry {
  uint32_t ring, number;
};

struct disk_life { /* since the journal was last opened */
  uint32_t first[DISK_RINGS];
  uint32_t count[DISK_RINGS];
  uint64_t positions[DISK_RINGS][DISK_NUMBERS_MAX];
};

struct disk_story {
  struct journal_io *sim; /* owned */
  struct journal_io *io;  /* owned: the fault injector around it */
  struct heap_arena *arena;
  struct checkpoint_key *key;
  struct journal_config config;
  struct journal *journal;
  struct journal_recovery recovery;
  struct journal_reader *reader;
  struct test_random random;
  uint64_t now_ns, wall_ns;
  enum disk_actor actor;
  uint64_t turns;
  bool cut_off;          /* no restarts any more */
  uint32_t record_bytes; /* of each; 0: by its number */
  int failed;            /* the journal's, or that of its start */
  uint64_t reader_errors, restarts, power_cuts, segments_removed, snapshots, checkpoints;

  struct disk_life life;
  uint32_t published[DISK_RINGS]; /* the last number */
  uint32_t durable[DISK_RINGS];   /* the last acknowledged one */
  uint64_t durable_lsn;
  struct disk_entry entries[DISK_LSNS_MAX];

  struct { /* one recovery */
    uint64_t first_lsn, last_lsn;
    uint32_t last[DISK_RINGS];
  } seen;
  uint64_t covered_lsn, snapshot_position; /* the snapshot whose commit is not durable yet; 0: none */
  uint64_t state_lsn;                      /* the highest ever said */
  uint64_t oldest_segment, oldest_lsn, removal_position;
  size_t removals;
  uint64_t remove_from;
};

__attribute__((format(printf, 1, 2), noreturn)) void disk_broken(const char *format, ...);

struct disk_story *disk_story_create(uint64_t seed);
void disk_story_destroy(struct disk_story *story);
/* Opens the journal and takes in what it recovers. 0 or -errno, also in `failed`. */
int disk_story_start(struct disk_story *story);
/* One turn of everybody. False: the journal has failed, or did not open again. */
bool disk_story_turn(struct disk_story *story);
/* Until all that was published is durable. 0 or -errno, also in `failed`. */
int disk_story_drain(struct disk_story *story);
/* The power goes, or only the process is killed; the journal is closed. */
void disk_story_stop(struct disk_story *story, bool power_cut);
/* After a stop: opens the journal as it is on the disk, without faults, and holds everything against what was acknowledged. */
void disk_story_judge(struct disk_story *story);
