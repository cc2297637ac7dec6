#pragma once
/* One shard's traces. What each span touches is one cache line; what selectors a trace met, what it was judged, and which spans
 * to name in a violation lie beside it, a few in place and more in a pool. Found by open addressing over the keyed hash that the
 * sender computed; completed by a wheel that is not touched by a span: it is told of a later deadline when the earlier one comes.
 *
 * A trace is named by its number from open to forget. Memory: from the arena. Threads: one shard. */
#include "arena.h"
#include "digest.h"
#include "siphash.h"
#include "violation.h"

#define TRACE_NONE 0xffffffffu

enum trace_state { TRACE_FREE, TRACE_LIVE, TRACE_REMEMBERED };
enum {
  TRACE_MET = 1,             /* it met selectors: its findings are more than empty */
  TRACE_ON_RETRY = 2,        /* a verdict waits for room in the record ring */
  TRACE_INCOMPLETE = 4,      /* something it met could not be kept */
  TRACE_MARKS_LOST = 8,      /* that a rule was raised could not be kept */
  TRACE_LIMIT_IS_GRACE = 16, /* limit_ns is that of the root */
  TRACE_HELD = 32,           /* hold_ns and wake_ns are set */
  TRACE_UNSETTLED = 64,      /* hold_ns may be too late: to be asked for when idleness would end the trace */
};

struct trace {
  CACHE_ALIGNED uint8_t trace_id[16];
  uint64_t arrival_ns; /* of the last span; once remembered, of its completion */
  uint64_t first_ns, last_ns;
  uint64_t limit_ns; /* complete by then, whatever still arrives */
  uint32_t hash;
  uint32_t opened_generation;
  uint32_t spans;
  uint16_t slot; /* of the wheel, while live */
  uint8_t state, flags;
};
_Static_assert(sizeof(struct trace) == CACHE_LINE_BYTES, "one line");

#define FINDINGS_NAMED 16u /* spans of a selector that are recorded */
struct trace_met {
  uint16_t bit;
  uint16_t spans; /* recorded ones to 16, then one more for each that was not, to 65535 */
};

#define FINDINGS_MET 7u
#define FINDINGS_MARKS 3u
#define MARK_DUE 0x80000000u /* the rule's identity with it: raised, but no room was found yet */

struct trace_findings {
  CACHE_ALIGNED struct trace_met met[FINDINGS_MET];
  uint16_t met_count, mark_count;
  uint32_t met_spill, mark_spill; /* chunks with what is beyond those in place, newest first */
  uint32_t marks[FINDINGS_MARKS]; /* rules judged, by identity */
  uint32_t records;               /* chunks, newest first: the spans to name */
  uint32_t retry;                 /* list of those with verdicts due; TRACE_NONE at its end */
  uint16_t record_count;
  uint16_t unused;
};
_Static_assert(sizeof(struct trace_findings) == CACHE_LINE_BYTES, "one line");

#define FINDINGS_RECORDS_MAX 64u
#define SPILL_ITEMS 15u
#define RECORD_BITS 23u

struct trace_record { /* one span, or part of what one met */
  uint8_t span_id[8];
  uint32_t capture; /* TRACE_NONE: no values */
  uint16_t count;
  uint16_t bits[RECORD_BITS];
};

struct trace_spill {
  CACHE_ALIGNED uint32_t next;
  union {
    struct trace_met met[SPILL_ITEMS];
    uint32_t marks[SPILL_ITEMS];
    struct trace_record record;
  };
};
_Static_assert(sizeof(struct trace_spill) == CACHE_LINE_BYTES, "one line");

struct trace_capture { /* the payload of a digest */
  uint32_t next;
  uint16_t payload_bytes, service_length, value_count;
  uint8_t payload[DIGEST_PAYLOAD_BYTES_MAX];
};

struct trace_links { /* in the wheel, or among the remembered or free */
  uint32_t older, newer;
  uint64_t hold_ns; /* not complete by idleness before */
  uint64_t wake_ns; /* to be looked at */
};

#define WHEEL_TICK_BITS 14 /* 16 us */
#define WHEEL_LEVEL_BITS 10
#define WHEEL_SLOTS (1u << WHEEL_LEVEL_BITS)
#define WHEEL_LEVELS 3 /* 4.9 hours; what is later is looked at once on the way */

struct trace_wheel {
  uint64_t tick; /* all earlier slots are empty */
  uint32_t heads[WHEEL_LEVELS][WHEEL_SLOTS];
  uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
};

struct trace_slot {
  uint32_t hash, number; /* number TRACE_NONE: empty */
};

struct trace_table {
  struct trace *traces;
  struct trace_findings *findings;
  struct trace_links *links;
  struct trace_slot *slots; /* open addressing, at most half full */
  uint32_t slot_mask, capacity, free_traces;
  uint64_t idle_ns;
  struct trace_spill *spills;
  uint32_t free_spills;
  struct trace_capture *captures;
  uint32_t free_captures;
  struct trace_wheel *wheel;
  struct {
    uint32_t oldest, newest;
  } remembered;
  uint32_t retry;
};

/* trace_table.c */
struct trace_table_sizes {
  uint32_t traces, spills, captures;
  uint64_t idle_ns;
};
bool trace_table_create(struct trace_table *table, struct arena *arena, const struct trace_table_sizes *sizes, uint64_t now_ns);
static inline uint32_t trace_number(const struct trace_table *table, const struct trace *trace) {
  return (uint32_t)(trace - table->traces);
}
static inline struct trace_findings *trace_findings(struct trace_table *table, const struct trace *trace) {
  return &table->findings[trace_number(table, trace)];
}
/* Fetch what a digest will touch into the cache: the slot, and when that is there the trace. */
void trace_table_expect_slot(const struct trace_table *table, const struct span_digest *digest);
void trace_table_expect_trace(const struct trace_table *table, const struct span_digest *digest);
struct trace *trace_find(struct trace_table *table, const uint8_t trace_id[16], uint32_t hash);
/* NULL when none is free: make room first. In no list yet: arm it. */
struct trace *trace_open(struct trace_table *table, const uint8_t trace_id[16], uint32_t hash, uint64_t now_ns);
/* A live trace, taken off the wheel, becomes the newest of the remembered. */
void trace_remember(struct trace_table *table, struct trace *trace, uint64_t now_ns);
/* Of a trace in no list: taken off the wheel, or from the remembered. */
void trace_forget(struct trace_table *table, struct trace *trace);
struct trace *trace_oldest_remembered(struct trace_table *table);
/* That one and the next are fetched, as they may be forgotten soon. */
void trace_table_expect_oldest(const struct trace_table *table);
void trace_take_remembered(struct trace_table *table); /* the oldest */

/* trace_wheel.c */
/* When the trace is complete, if nothing more arrives. */
uint64_t trace_due_ns(const struct trace_table *table, const struct trace *trace);
/* When something is to be done about it: that, or what its story asks for before. */
uint64_t trace_look_ns(const struct trace_table *table, const struct trace *trace);
void trace_arm(struct trace_table *table, struct trace *trace);
void trace_disarm(struct trace_table *table, struct trace *trace);
/* Looks at up to `*looks` traces and counts them off. A trace to look at, taken off the wheel, or NULL. */
struct trace *trace_take_due(struct trace_table *table, uint64_t now_ns, uint32_t *looks);
/* The live trace that is due next, as far as that many looks show; still on the wheel. NULL: none is live. */
struct trace *trace_next_due(struct trace_table *table, uint32_t looks);
/* Any, for the end; NULL: none is live. */
struct trace *trace_any_live(struct trace_table *table);

/* trace_findings.c: false when the pool is spent. */
bool trace_met_add(struct trace_table *table, struct trace *trace, uint16_t bit, uint16_t spans);
bool trace_mark_add(struct trace_table *table, struct trace *trace, uint32_t mark);
/* NULL when there is no mark of this identity. */
uint32_t *trace_mark_of(struct trace_table *table, const struct trace *trace, uint32_t identity);
/* Items in the newest chunk of a list that has so many beyond those in place: the others are full. */
static inline uint32_t trace_in_newest(uint32_t beyond) { return beyond ? (beyond - 1) % SPILL_ITEMS + 1 : 0; }
/* NULL too when the trace has as many as it may. */
struct trace_record *trace_record_add(struct trace_table *table, struct trace *trace, const uint8_t span_id[8]);
struct trace_capture *trace_capture_take(struct trace_table *table, struct trace_record *record);
void trace_findings_release(struct trace_table *table, struct trace *trace);

/* Walks all that a trace met: for (struct met_walk walk = met_walk(table, trace); met_next(&walk);) walk.met */
struct met_walk {
  const struct trace_table *table;
  struct trace_met *met;
  struct trace_met *at, *end;
  uint32_t left; /* beyond `end` */
  uint32_t spill;
};
struct met_walk met_walk(const struct trace_table *table, const struct trace *trace);
bool met_next(struct met_walk *walk);
