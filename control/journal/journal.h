#pragma once
/* The journal: one append-only log of records from every shard and from control, batched into 4 KiB-aligned checksummed writes.
 * Format: docs/journal-format.md. The caller drives it with journal_step (a thread, or the simulator).
 *
 * Durability: a record is durable when the write of its batch has completed; record_ring_set_durable then moves on, and
 * `durable_lsn`. A write error is final (design: fsync errors are): no more durable marks, `failed` is set, and what the rings
 * hold is discarded by each step. Threads: the journal thread; *_lsn, counters and `failed` may be read by any. */
#include "journal_io.h"
#include "record.h"
#include "record_ring.h"
#include <stdatomic.h>

#define JOURNAL_RINGS_MAX 65                    /* shards and control */
#define JOURNAL_BATCH_BYTES_LEAST (72u * 1024u) /* holds the largest record */
#define JOURNAL_BATCH_BYTES_MOST (16u * 1024u * 1024u)
#define JOURNAL_SEGMENTS_AHEAD_MAX 16

/* How far a recovery is. Zero before journal_open; any thread may look at it meanwhile, and ask it to stop. */
struct journal_progress {
  _Atomic uint64_t bytes_to_read, segments_to_read;    /* known from the files' lengths before the first batch is judged */
  _Atomic uint64_t bytes_read, segments_read, segment; /* bytes: at bytes_to_read when all is judged; segment: its id */
  _Atomic uint64_t records;                            /* visited */
  _Atomic bool stop; /* asked: journal_open says -ECANCELED, unless it has judged all; the files are as they were */
};

struct journal_config {
  struct journal_io *io;
  uint8_t node_id[16];
  uint64_t salt;            /* random; a new journal keeps it, so that bytes a client sends can never pass for a batch */
  uint64_t segment_bytes;   /* multiple of 4096, at least batch_bytes_max + 4096 */
  uint32_t batch_bytes_max; /* a write; multiple of 4096, JOURNAL_BATCH_BYTES_LEAST..JOURNAL_BATCH_BYTES_MOST */
  uint32_t segments_ahead;  /* prepared and zero-filled before they are needed; 1..JOURNAL_SEGMENTS_AHEAD_MAX */
  bool hash_chain;          /* batches are chained by SHA-256, for `tripline journal verify`; else by checksums alone */
  bool chain_thread;        /* long batches are hashed by a thread of its own, which runs where the caller of journal_open may */
  uint32_t ring_count;
  struct record_ring *rings[JOURNAL_RINGS_MAX]; /* consumer ends */
  struct journal_progress *progress;            /* of journal_open; NULL: nobody looks */
};

struct journal_counters {
  _Atomic uint64_t records, record_bytes, batches, batch_bytes, writes_retried, segments_prepared;
  _Atomic uint64_t flush_ns_sum, flush_ns_max;
  _Atomic uint64_t space_refusals;                          /* preparing a segment found the disk full */
  _Atomic uint64_t records_discarded, violations_discarded; /* once failed: never written */
};

/* What recovery found. */
struct journal_recovery {
  uint64_t records, first_lsn, next_lsn; /* records: those visited; first_lsn: of the oldest segment, visited or not */
  uint64_t segments, truncated_bytes;
  uint64_t first_segment, segments_passed; /* passed: older than the state needs; only their headers were looked at */
  char refusal[256];                       /* why it refused to start: file, offset, LSN */
};

struct journal;

/* Called in LSN order for each record that the state needs (see journal_set_state_lsn) during recovery; `record` lives until it
 * returns. A refusal may come after visits: what was built from them is then void. */
typedef void journal_record_visitor(void *context, uint64_t lsn, const struct record_header *record);

/* Recovers (truncates a torn tail; refuses damage before valid records with -EBADMSG, another node's journal with -EPERM, a newer
 * format with -EPROTONOSUPPORT) and prepares to append. NULL and *error_number (-errno) on failure. */
struct journal *journal_open(const struct journal_config *config, journal_record_visitor *visit, void *context,
                             struct journal_recovery *recovery, int *error_number);
/* Gathers what the rings hold into a batch, submits it when none is in flight, reaps. Waits at most `wait_ns` when there is
 * nothing to do. Returns records made durable, or -errno once failed. */
int journal_step(struct journal *journal, uint64_t now_ns, uint64_t wall_ns, uint64_t wait_ns);
/* Steps until the rings are empty and all is durable (0), or -errno: failed, or stalled. The producers must have stopped. */
int journal_drain(struct journal *journal, uint64_t now_ns, uint64_t wall_ns);
/* Waits for what is in flight, not for what the rings hold, and closes the files. The thread that steps says so before it ends,
 * if another one closes; no step may follow. 0 or -errno: the disk still reads the buffers, and journal_close keeps them. */
int journal_rest(struct journal *journal);
void journal_close(struct journal *journal);

/* Records that are published together and take no more than this in their ring (record_ring_reserved_bytes) are in one batch: a
 * crash keeps them all or none. Larger ones it may keep in part, if nobody was told that they are durable. */
uint32_t journal_unit_bytes_max(uint32_t batch_bytes_max);

/* What has gathered goes out at once, whatever durability it was published with. Any thread. */
void journal_request_flush(struct journal *journal);

uint64_t journal_durable_lsn(const struct journal *journal); /* all records at or below are durable; 0: none */
/* The chain after the last durable batch, and the last LSN of that. False: there is none, or it is not of a chain of hashes. Any
 * thread. */
bool journal_chain_mark(const struct journal *journal, uint64_t *lsn, uint8_t chain[32]);
int journal_failed(const struct journal *journal); /* 0 or -errno */
/* What failed. Safe is every record up to the durable LSN; of those in [first_lsn, last_lsn] the next recovery tells; what came
 * after was never written and is discarded, and counted. */
struct journal_failure {
  int error; /* -errno */
  uint64_t since_wall_ns;
  const char *operation; /* static text */
  char file[32];         /* empty: none */
  uint64_t offset, bytes;
  uint64_t first_lsn, last_lsn; /* of the batch that was under way; 0: none */
};
/* False: it has not failed. Any thread. */
bool journal_failure(const struct journal *journal, struct journal_failure *failure);
/* 0, or -ENOSPC while the disk has no room for another segment, or -ETIMEDOUT while it has not completed anything for ten
 * seconds: what is in the rings waits there, so producers are pushed back, and it goes on by itself once there is room, or an
 * answer. */
int journal_stalled(const struct journal *journal);
const struct journal_counters *journal_counters(const struct journal *journal);

/* Both are written into the header of each segment that is opened from now on, and only grow. Any thread.
 * Recovery needs no record before `lsn`: a snapshot of what they said is durable after it. */
void journal_set_state_lsn(struct journal *journal, uint64_t lsn);
uint64_t journal_state_lsn(const struct journal *journal);
/* Segments before this one may be missing from now on. Said before the record of their removal (RECORD_RETENTION) is written. */
void journal_set_oldest_segment(struct journal *journal, uint64_t segment);
uint64_t journal_current_segment(const struct journal *journal);
struct journal_retention_record {
  struct record_header header;
  uint64_t oldest_segment; /* that is kept */
  uint64_t oldest_lsn;     /* its first */
  uint64_t removed_bytes;
};

/* Why a reader stopped. REMOVED: retention has removed what comes next. */
enum journal_read { JOURNAL_READ_RECORD, JOURNAL_READ_END, JOURNAL_READ_DAMAGED, JOURNAL_READ_REMOVED, JOURNAL_READ_ERROR };
/* The first LSN of the oldest segment that is there; *lsn 0: there is none. 0 or -errno (-EBADMSG: its header is damaged). */
int journal_oldest_lsn(struct journal_io *io, uint64_t *lsn);

/* A reader over the segment files with its own descriptors; sees records at or below `limit_lsn` only (pass the durable LSN).
 * Threads: any, one owner. */
struct journal_reader;
struct journal_reader *journal_reader_open(struct journal_io *io, uint64_t from_lsn, int *error_number);
enum journal_read journal_reader_next(struct journal_reader *reader, uint64_t limit_lsn, uint64_t *lsn,
                                      const struct record_header **record);
/* Where the record that was just returned is, for journal_reader_at. */
struct journal_position {
  uint64_t segment;
  uint64_t offset; /* of its batch */
  uint32_t offset_in_batch;
};
struct journal_position journal_reader_position(const struct journal_reader *reader);
/* As journal_reader_open; the batch at this position holds `from_lsn`, or is before it: nothing before that batch is read. Where
 * it is not there any more, it is looked for as ever. */
struct journal_reader *journal_reader_open_at(struct journal_io *io, struct journal_position position, uint64_t from_lsn,
                                              int *error_number);
/* The record at a known position (by an index). Valid until the next call. NULL when it is not there or damaged. */
const struct record_header *journal_reader_at(struct journal_reader *reader, struct journal_position position, uint64_t lsn);
void journal_reader_close(struct journal_reader *reader);
