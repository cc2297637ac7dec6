#pragma once
/* The journal's parts. All belongs to the journal thread, except what is marked any:ro. */
#include "journal_chainer_internal.h"

/* A slice of a segment that is zeroed beside batches is as long as two of them: preparation keeps ahead of use, and no batch
 * waits long for a slice. With none in flight, or none prepared, the longest. */
#define ZERO_SLICE_BYTES_LEAST (16u * 1024u)
#define ZERO_SLICE_BYTES_MOST (1024u * 1024u)
#define SPACE_RETRY_NS 1000000000u /* a full disk is asked again */
#define BALANCED_RECORDS 1000u
#define BALANCED_WAIT_NS 10000000u
#define RELAXED_WAIT_NS 100000000u
#define CHAINER_BYTES_LEAST (128u * 1024u) /* shorter batches are hashed before another thread would have woken up */
#define LOOK_BYTES (128u * 1024u)          /* gathered before completions are looked for again */
#define WRITE_RETRIES_MAX 1000u            /* without progress; then it is an error */

enum journal_token { TOKEN_BATCH = 1, TOKEN_HEADER, TOKEN_PREPARE };

/* One write that is done when all its bytes are: short writes go on, interrupted ones start again. */
struct journal_write {
  struct journal_io_request request; /* what is left */
  uint32_t retries;
  bool waiting; /* to be submitted: the queue was full */
  bool active;
};

struct journal_batch {
  uint8_t *bytes; /* batch_bytes_max, 4096-aligned; header first */
  uint32_t used;
  uint32_t count;
  uint64_t first_lsn;
  uint32_t segment_seed; /* of the segment it is thought to go to; when it does not, it is summed up again */
  uint32_t content;      /* checksum of what is summed up so far */
  uint32_t summed;       /* up to where */
  uint64_t due_ns;       /* when its flush is to start, by what its records ask for; 0: at once */
  uint64_t submitted_ns;
  uint64_t ring_positions[JOURNAL_RINGS_MAX]; /* read position of each ring at its end */
};

struct prepared_segment {
  uint64_t segment;
  int file;
};

enum prepare_stage { PREPARE_IDLE, PREPARE_ALLOCATE, PREPARE_ZERO, PREPARE_SYNC, PREPARE_RENAME, PREPARE_SYNC_DIRECTORY };

/* Makes segments ahead of need, one asynchronous operation at a time. */
struct journal_preparer {
  enum prepare_stage stage;
  int file;
  uint64_t segment;
  uint64_t zeroed_bytes;
  uint64_t retry_at_ns; /* after a full disk */
  struct journal_write operation;
  uint8_t *zeros; /* ZERO_SLICE_BYTES_MOST */
  char temporary[SEGMENT_NAME_BYTES], name[SEGMENT_NAME_BYTES];
};

struct journal {
  struct journal_config config;
  struct journal_io *io;
  struct journal_identity identity;

  int file; /* of the segment in use, -1: none yet */
  uint64_t segment;
  uint64_t segment_end; /* its length */
  uint64_t offset;      /* of the next batch */
  uint32_t segment_seed;
  uint32_t chain;                          /* the last batch's checksum */
  uint8_t chain_hash[JOURNAL_CHAIN_BYTES]; /* after it */
  bool first_in_segment;                   /* the next batch is; its header is in header_block */
  uint64_t next_lsn;
  struct journal_chainer *chainer; /* NULL: the journal thread hashes by itself */
  bool chaining;                   /* the chainer has the last batch that was submitted */

  struct journal_batch batches[2];
  unsigned filling; /* which of the two gathers; the other is in flight or free */
  bool in_flight;
  struct journal_write write; /* of the batch */
  bool opening;               /* the next segment's header is in flight */
  struct journal_write header_write;
  uint8_t *header_block;
  struct prepared_segment next; /* whose header it is */
  uint64_t flushes_answered;    /* of flush_requests */
  bool draining;                /* no batch waits for its time */
  uint32_t next_ring;           /* where gathering starts, for fairness */
  bool gathers_on;              /* the last look at the rings ended before they did */
  uint64_t gathered_at_ns;      /* when a ring last had a record */
  uint64_t answered_ns;         /* when the disk last completed something, or owed nothing */

  struct prepared_segment prepared[JOURNAL_SEGMENTS_AHEAD_MAX];
  uint32_t prepared_count;
  struct journal_preparer preparer;

  uint64_t wall_ns;               /* of the last step */
  struct journal_failure failure; /* any:ro once `failed` is set */

  /* journal:rw any:ro */
  _Atomic uint64_t durable_lsn;
  _Atomic int failed;
  _Atomic int stalled;
  _Atomic uint64_t current_segment;
  struct journal_chain_mark {
    _Atomic uint64_t turns; /* odd while the others are being written */
    _Atomic uint64_t lsn, chain[JOURNAL_CHAIN_BYTES / sizeof(uint64_t)];
  } chain_mark;
  /* any:rw journal:ro */
  _Atomic uint64_t flush_requests;
  _Atomic uint64_t state_lsn, oldest_segment;
  struct journal_counters counters;
};

static inline void journal_count(_Atomic uint64_t *counter, uint64_t add) {
  atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + add, memory_order_relaxed);
}

/* What failed, should it turn out to be final; who goes on all the same sets failure.error to 0. */
void journal_note_error(struct journal *journal, const struct journal_write *write, int error);
/* Lets go of what can no longer be written, so that shards go on judging and counting. Once failed. */
void journal_discard(struct journal *journal);
/* The first error is final. Returns it. */
int journal_fail(struct journal *journal, int error);

/* 0 or -errno. */
int journal_write_start(struct journal *journal, struct journal_write *write, const struct journal_io_request *request);
/* Hands over what the queue had no room for. 0 or -errno. */
int journal_write_poke(struct journal *journal, struct journal_write *write);
/* 1: done, 0: goes on, or -errno. */
int journal_write_completed(struct journal *journal, struct journal_write *write, int result);

/* The chain as it is now is that after the last durable batch, which ends with `lsn`. */
void journal_mark_chain(struct journal *journal, uint64_t lsn);
/* Takes over what the chainer has done. The next batch cannot be finished before. */
void journal_collect_chain(struct journal *journal);

/* Moves records from the rings into the filling batch, no more than a look's worth; how many. */
uint32_t journal_gather(struct journal *journal, uint64_t now_ns);
/* Submits the filling batch when nothing is in flight, opening the next segment when it does not fit. 0 or -errno. */
int journal_flush(struct journal *journal, uint64_t now_ns, uint64_t wall_ns);
int journal_header_completed(struct journal *journal, int result);
/* Records made durable, or -errno. */
int journal_batch_completed(struct journal *journal, int result);

/* Starts the next operation of preparing segments when one is due. 0 or -errno. */
int journal_prepare(struct journal *journal, uint64_t now_ns);
int journal_prepare_completed(struct journal *journal, int result, uint64_t now_ns);

/* Fills in where the journal goes on (file, offset, chain, LSN, prepared segments). 0 or -errno with recovery->refusal. */
int journal_recover(struct journal *journal, journal_record_visitor *visit, void *context, struct journal_recovery *recovery);
