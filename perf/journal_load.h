#pragma once
/* A journal under a load of 128-byte records, for the benchmarks: how many became durable, how long each took from its publishing
 * on, and that recovery finds them all. Threads: the program's main thread publishes and runs the journal, or, with a producer's
 * core, a thread of its own publishes, as a shard does. */
#include "heap_arena.h"
#include "journal.h"

#define JOURNAL_LOAD_RECORD_BYTES 128u
#define JOURNAL_LOAD_OUTSTANDING_MAX 32768u
#define JOURNAL_LOAD_SEGMENT_BYTES (64ull << 20)

struct journal_load {
  struct heap_arena *arena;
  struct journal_io *io;
  struct record_ring *ring;
  struct journal *journal;
  uint32_t segments_ahead;
  uint64_t published;
  uint64_t published_ns[JOURNAL_LOAD_OUTSTANDING_MAX]; /* by number */
  float *latencies_us;
  uint32_t samples;
  int producer_core; /* -1: none */
};

struct journal_figures {
  double per_second, p50_us, p99_us; /* of records */
  double bytes, records, flush_us;   /* of a mean batch */
};

/* `producer_core`: -1 for none. Ends the program when there is no memory. */
struct journal_load *journal_load_create(int producer_core);
void journal_load_destroy(struct journal_load *load);
void journal_load_open(struct journal_load *load, const char *directory, uint32_t segments_ahead, bool hash_chain,
                       journal_record_visitor *visit, void *context);
void journal_load_close(struct journal_load *load);
/* Opens it again, counts and looks at every record, and closes it: how many there are. */
uint64_t journal_load_recover(struct journal_load *load, const char *directory, bool hash_chain);
/* `context` is a uint64_t that counts; for journal_load_open. */
void journal_load_count_record(void *context, uint64_t lsn, const struct record_header *record);
void journal_load_remove_directory(const char *directory);

/* Of a journal that was new: so that a round measures flushes, not the zero-filling between rounds. */
void journal_load_wait_for_segments(struct journal_load *load);
/* `outstanding` records are always on their way to the disk: half of them in flight while the other half gathers. */
struct journal_figures journal_load_run(struct journal_load *load, uint32_t outstanding, uint64_t duration_ns);

void journal_load_sample(struct journal_load *load, uint64_t elapsed_ns);
void journal_load_percentiles(struct journal_load *load, struct journal_figures *figures);
