#pragma once
/* The last events of one shard, in a ring that overwrites the oldest. Written by the shard alone, without a lock; read by any
 * thread at any time, also by a signal handler: each slot carries a sequence number that is taken away while it is written.
 *
 * Ordinary events are sampled, one in so many. All others are admitted up to a number a kind and tick: a flood of them costs no
 * more than that, and does not wash the rest away. Memory: from the arena. */
#include "arena.h"
#include "flight_event.h"
#include <stdatomic.h>
#include <stdbool.h>

#define FLIGHT_EVENTS_MIN 1024u
#define FLIGHT_EVENTS_MAX (1u << 20)
#define FLIGHT_TICK_NS 100000000ull
#define FLIGHT_KIND_A_TICK 32u

struct flight_config {
  uint16_t shard;
  uint32_t events;       /* a power of two, FLIGHT_EVENTS_MIN to FLIGHT_EVENTS_MAX */
  uint32_t sample_every; /* of ordinary events one in so many; 0: none */
};

struct flight_counters {
  uint64_t recorded[FLIGHT_KINDS], skipped[FLIGHT_KINDS]; /* skipped: beyond FLIGHT_KIND_A_TICK */
  uint64_t sampled_out, overwritten;
  uint32_t capacity;
};

/* The event as eight words, sequence + 1 first: 0 while it is being written. Each store releases and each load acquires, which
 * costs nothing on x86 and needs no fence. */
struct flight_slot {
  CACHE_ALIGNED _Atomic uint64_t words[8];
};

struct flight_recorder {
  /* constant after create */
  struct flight_slot *slots;
  uint32_t mask, sample_every;
  uint16_t shard;
  /* shard:rw */
  uint64_t until_sample, period, sampled_out, random;
  uint64_t tick_started_ns;
  uint32_t spent[FLIGHT_KINDS];
  uint64_t recorded[FLIGHT_KINDS], skipped[FLIGHT_KINDS];
  /* shard:rw any:ro */
  CACHE_ALIGNED _Atomic uint64_t written;
};

/* NULL when the arena is spent. */
struct flight_recorder *flight_recorder_create(struct arena *arena, const struct flight_config *config);

/* The shard. */
void flight_next_period(struct flight_recorder *recorder);
/* Whether this ordinary event is one of those to record. */
static inline bool flight_samples(struct flight_recorder *recorder) {
  if (__builtin_expect(--recorder->until_sample != 0, 1)) return false;
  flight_next_period(recorder);
  return true;
}
/* Whether another event of the kind may be recorded in this tick; counted as skipped when not. */
bool flight_admits(struct flight_recorder *recorder, enum flight_kind kind, uint64_t now_ns);
/* `sequence` and `shard` of the event are the recorder's to fill. */
void flight_record(struct flight_recorder *recorder, const struct flight_event *event);
void flight_read_counters(const struct flight_recorder *recorder, struct flight_counters *counters);

/* Any thread, any signal handler. Events so far: those numbered [first, end) may still be there. */
struct flight_range {
  uint64_t first, end;
};
struct flight_range flight_range(const struct flight_recorder *recorder);
/* False: it is not there any more, or is being overwritten. */
bool flight_read(const struct flight_recorder *recorder, uint64_t sequence, struct flight_event *event);
