#pragma once
/* Inside the journal room: the writer's state. All of it is the journal thread's, but for what is atomic. */
#include "journal.h"
#include "journal_format_internal.h"

struct journal_buffer_state {
  struct journal_batch_header *batch; /* batch_bytes_max bytes */
  uint32_t payload_bytes;             /* 0: empty */
  uint64_t ring_positions[JOURNAL_RINGS_MAX];
  uint64_t record_bytes;
};

struct journal {
  struct journal_config config;
  int file; /* the segment that is written; -1: none yet */
  uint64_t segment_id, offset;
  uint64_t next_lsn; /* of the next record to be gathered */
  uint32_t chain;    /* checksum of the last sealed batch */
  struct journal_buffer_state buffers[2];
  unsigned filling; /* the other one may be in flight */
  bool in_flight, submitted;
  uint32_t flight_written; /* bytes of it that have completed */
  uint64_t flight_started_ns;
  uint32_t next_ring; /* where gathering begins, so that no ring is favoured */
  /* The segment that is being prepared. */
  int prepared_file; /* -1: none */
  uint64_t prepared_bytes;
  uint8_t *zeros;
  _Atomic uint64_t durable_lsn;
  _Atomic int failed;
  struct journal_counters counters;
};

#define JOURNAL_PREPARED_NAME "prepared.tmp"
#define JOURNAL_SLICE_BYTES (1u << 20)

/* journal_segment.c */
int journal_prepare_slice(struct journal *journal); /* 1: whole, 0: more to do, or -errno */
int journal_roll(struct journal *journal, uint64_t wall_ns);

/* journal_recovery.c */
int journal_recover(struct journal *journal, journal_record_visitor *visit, void *context, struct journal_recovery *recovery);
