#pragma once
/* A whole shard - network, HTTP, OTLP, rules - on a wire in memory, with a client in the same thread and its journal in another:
 * what a span costs the shard, by the time that the thread was on its core within shard_step. The shard's clock stands still
 * between two runs, so that variants may take turns. Threads: the program's main thread; the journal's is the runner's. */
#include "shard.h"

#define SHARD_BENCH_SPANS 100u /* a request */

enum shard_bench_records {
  SHARD_BENCH_NOWHERE, /* a thread takes them off the ring, and that is all */
  SHARD_BENCH_JOURNAL, /* strict, on the disk */
};

struct shard_bench_options {
  const char *rules; /* text */
  size_t rules_bytes;
  enum shard_bench_records records;
  const char *directory;    /* of the journal; NULL: there is none, and records can only go nowhere */
  uint32_t violation_every; /* one span of so many breaks a rule; 0: none */
  uint32_t recorder_events, recorder_sample_every;
  bool limits;          /* one address may have so many connections, requests and bytes, which are counted */
  uint64_t snapshot_ns; /* metrics are read so often; 0: never */
};

struct shard_bench;
struct shard_bench *shard_bench_create(const struct shard_bench_options *options);
struct shard_bench_figures {
  uint64_t shard_ns, wall_ns; /* on a core within shard_step; and in all with the client */
};
/* So many requests, each answered; adds to `figures`. */
void shard_bench_run(struct shard_bench *bench, uint32_t requests, struct shard_bench_figures *figures);
/* From now on; what was raised before is settled. The same memory then serves variants that are compared. */
void shard_bench_change(struct shard_bench *bench, enum shard_bench_records records, uint32_t violation_every);
/* Until the last violation is durable; returns how long that took. */
uint64_t shard_bench_settle(struct shard_bench *bench);
struct shard_bench_totals {
  uint64_t spans, violations, durable, forgotten,
      recorded; /* judged; raised; in the journal (read back); nowhere; in the recorder */
};
/* Ends it. The oracle: every span was judged, every violation that was not to go nowhere is durable, and the
 * journal, recovered, has each of them. */
struct shard_bench_totals shard_bench_finish(struct shard_bench *bench);
/* By the kernel's account of the calling thread. */
uint64_t shard_bench_thread_ns(void);
