#pragma once
/* Reads a whole journal as it is, changing nothing and going on after damage: for `tripline journal` verify, info, dump, export
 * and salvage. A daemon may be writing meanwhile: what is at the very end may then be a batch on its way. Threads: one a call. */
#include "journal_format_internal.h"

struct journal_damage {
  char file[SEGMENT_NAME_BYTES];
  uint64_t offset, bytes;       /* what cannot be used; bytes 0: only a link is broken */
  uint64_t first_lsn, last_lsn; /* the records that are lost by it; 0: none, or it cannot be said */
  char what[128];
};

/* Each may be NULL. What they are given lives until they return. */
struct journal_scan_handler {
  void *context;
  bool newest_only; /* of older segments only the headers are read: batches, records and chain are then those of the newest */
  void (*segment)(void *context, const struct segment_header *header);
  /* After the records of a batch: the last LSN of it, and the chain after it; NULL where the segment has none. */
  void (*batch)(void *context, uint64_t last_lsn, const uint8_t *chain);
  /* `offset` of the batch in its segment. */
  void (*record)(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record);
  void (*damage)(void *context, const struct journal_damage *damage);
};

struct journal_scan {
  uint64_t segments, batches, records, batch_bytes;
  uint64_t first_lsn, last_lsn; /* 0: no record */
  uint64_t unused_segments;
  uint64_t damages;
  struct journal_damage first_damage;
  uint64_t torn_bytes; /* after the last batch: remains of one that was never acknowledged, or one on its way */
  uint64_t torn_offset;
  struct segment_header newest; /* header; version 0: there is none */
  bool chained;                 /* by SHA-256, from the first segment to the last batch, all of it checked */
  uint8_t chain[JOURNAL_CHAIN_BYTES];
};

/* 0 (also for a damaged journal: see `damages`) or -errno when it cannot be read at all. */
int journal_scan(struct journal_io *io, const struct journal_scan_handler *handler, struct journal_scan *scan);

/* The files of a directory for reading only, without a lock and without io_uring. NULL and *error_number on failure. */
struct journal_io *journal_read_only_io_create(const char *directory, int *error_number);
