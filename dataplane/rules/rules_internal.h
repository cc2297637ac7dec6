#pragma once
/* Inside the rules room. */
#include "always_assert.h"
#include "engine.h"
#include "violation.h"
#include <string.h>

#define ENGINE_COLUMNS_MAX 1024u
#define ENGINE_PREDICATES_MAX 65536u
#define ENGINE_PROGRAMS_MAX 131072u
#define ENGINE_SELECTOR_WORDS (IMAGE_SELECTORS_MAX / 64)

/* intrinsics.c: text that intrinsic columns point to, one batch at a time. */
struct intrinsic_text {
  char trace_id[EVENT_BATCH_ROWS][32], span_id[EVENT_BATCH_ROWS][16], parent_id[EVENT_BATCH_ROWS][16];
};
void intrinsics_fill(struct event_batch *batch, struct intrinsic_text *text);
/* calendar.c: the time of day or the weekday of each row's start, in the column's time zone. */
void calendar_fill(struct event_batch *batch, int slot);

/* What the predicates and keys on one column share about the batch at hand. Each part is made when first asked for. */
#define COLUMN_ID_SLOTS 128u /* open addressing over the at most 64 ids of a batch */
struct column_facts {
  uint64_t stamp;            /* of the batch these are of */
  uint64_t present;          /* rows that are not null */
  uint64_t integers;         /* rows that are integers */
  uint64_t patterns_seen;    /* rows that need no scan by patterns any more; scanned: those of them that are text */
  uint64_t patterns_scanned; /* only valid UTF-8 is text to a pattern */
  uint64_t literals_seen;
  bool has_integers, has_ids;
  uint8_t passes;                     /* over the ids, by predicates that had no index of them */
  uint8_t distinct_count;             /* ids of rule constants in the batch */
  uint8_t distinct[EVENT_BATCH_ROWS]; /* their slots */
  uint32_t ids[COLUMN_ID_SLOTS];      /* 0: empty */
  uint64_t id_rows[COLUMN_ID_SLOTS];  /* rows that hold the id */
  int64_t values[EVENT_BATCH_ROWS];   /* side by side, for thresholds; 0 where not an integer */
};

struct predicate_state {
  uint64_t stamp; /* of the batch this is of */
  uint64_t known; /* rows whose answer is in `rows`; of scanned predicates always none */
  uint64_t rows;  /* of scanned predicates: raw matches in the rows seen so far */
};

/* One batch against one kind of an image. Predicates are evaluated when a program first asks for them. */
struct evaluation {
  const struct event_batch *batch;
  const struct image_kind *kind;
  hs_scratch_t *scratch;
  uint64_t stamp;                     /* one more each batch: what older batches left behind needs no clearing */
  struct predicate_state *predicates; /* ENGINE_PREDICATES_MAX */
  uint32_t *matched;                  /* scanned predicates with a match in this batch, as they came; ENGINE_PREDICATES_MAX */
  uint32_t matched_count;
  struct column_facts *columns; /* as many as a batch may have */
  uint64_t *candidates;         /* ENGINE_PROGRAMS_MAX bits */
};

/* predicates.c */
bool evaluation_create(struct evaluation *evaluation, struct arena *arena, uint32_t column_capacity);
void evaluation_begin(struct evaluation *evaluation, const struct event_batch *batch, hs_scratch_t *scratch);
uint64_t predicate_evaluate(struct evaluation *evaluation, uint32_t index, uint64_t wanted);
static inline struct predicate_state *predicate_state_of(struct evaluation *evaluation, uint32_t index) {
  struct predicate_state *state = &evaluation->predicates[index];
  if (state->stamp != evaluation->stamp) *state = (struct predicate_state){.stamp = evaluation->stamp};
  return state;
}
/* Which of the wanted rows a predicate holds of; the other bits mean nothing. */
static inline uint64_t predicate_rows(struct evaluation *evaluation, uint32_t index, uint64_t wanted) {
  ALWAYS_ASSERT(index < ENGINE_PREDICATES_MAX);
  const struct predicate_state *state = &evaluation->predicates[index];
  if (state->stamp == evaluation->stamp && (wanted & ~state->known) == 0) return state->rows;
  return predicate_evaluate(evaluation, index, wanted);
}

/* row_masks.c: 64 rows at once, so that each is one vector loop; the caller keeps the rows that are there. */
uint64_t rows_equal(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted);
uint64_t rows_of_integer(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted);
uint64_t rows_above(const int64_t values[EVENT_BATCH_ROWS], int64_t limit);
uint64_t rows_above_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t limits[EVENT_BATCH_ROWS]);
uint64_t rows_equal_each(const int64_t values[EVENT_BATCH_ROWS], const int64_t wanted[EVENT_BATCH_ROWS]);
/* The same row by row, to build where there is no such instruction and to test against. */
uint64_t rows_equal_scalar(const uint32_t numbers[EVENT_BATCH_ROWS], uint32_t wanted);
uint64_t rows_of_integer_scalar(const int64_t values[EVENT_BATCH_ROWS], int64_t wanted);
uint64_t rows_above_scalar(const int64_t values[EVENT_BATCH_ROWS], int64_t limit);
uint64_t rows_above_each_scalar(const int64_t values[EVENT_BATCH_ROWS], const int64_t limits[EVENT_BATCH_ROWS]);
uint64_t rows_equal_each_scalar(const int64_t values[EVENT_BATCH_ROWS], const int64_t wanted[EVENT_BATCH_ROWS]);

/* column_facts.c: computes the column if need be, once a batch. */
struct column_facts *column_facts_of(struct evaluation *evaluation, uint16_t column);
void column_facts_begin(struct evaluation *evaluation, uint16_t column);
const struct column_facts *column_integers(struct evaluation *evaluation, uint16_t column);
const struct column_facts *column_ids(struct evaluation *evaluation, uint16_t column);
uint64_t column_rows_of_id(const struct column_facts *facts, uint32_t id);

/* column_compute.c: the values of a computed column and of those it is made of, into the batch; their facts begin. */
void column_compute(struct evaluation *evaluation, uint16_t column);

/* column_pairs.c: the wanted rows in which one column compares so with another. */
uint64_t column_pairs_compared(struct evaluation *evaluation, const struct image_predicate *predicate, uint64_t wanted);

/* column_scans.c: bring the matches of the column's patterns, or literals, up to the wanted rows. Return the rows that were
 * looked at so far, for patterns without those that are no text. */
uint64_t column_scan_patterns(struct evaluation *evaluation, uint16_t column, uint64_t wanted);
uint64_t column_scan_literals(struct evaluation *evaluation, uint16_t column, uint64_t wanted);

/* image_check.c: whether the engine can run this image without leaving its bounds, whatever the batch. */
bool image_is_sound(const struct rule_image *image);
/* image_story_check.c: the same of facts; the programs with them are not its business. */
bool image_story_is_sound(const struct rule_image *image);

/* candidates.c: into evaluation.candidates, one bit for each of the `count` programs that may be true of some row. */
void candidates_find(struct evaluation *evaluation, const struct image_candidates *index, uint32_t count);
/* The first candidate from `at` on; `count` when there is none. */
uint32_t candidates_next(const struct evaluation *evaluation, uint32_t at, uint32_t count);

/* programs.c: the rows among `rows` that the program is true of. */
uint64_t program_run(const struct image_program *program, struct evaluation *evaluation, uint64_t rows);
bool program_holds(const struct image_program *program, const uint64_t bits[ENGINE_SELECTOR_WORDS]);

/* message.c: renders a value the way a message shows it; returns bytes written, at most `room`. */
uint32_t message_value(const struct value *value, bool duration, char *out, uint32_t room);
/* `values` by slot; at most IMAGE_MESSAGE_BYTES_MAX bytes, always valid UTF-8. */
uint32_t message_render(const struct image_rule *rule, const struct image_column *columns,
                        const struct value *(*value_of)(void *context, uint32_t slot), void *context,
                        char out[IMAGE_MESSAGE_BYTES_MAX]);

/* trace_table.c */
enum trace_state { TRACE_FREE, TRACE_LIVE, TRACE_REMEMBERED };
#define TRACE_NONE 0xffffffffu
#define CAPTURE_PAYLOAD_BYTES 640u

struct trace_capture { /* what one rule remembers of one trace */
  uint32_t next;
  uint16_t rule; /* trace_rule index of the current image */
  uint8_t span_count;
  bool has_values;
  uint32_t spans_met;
  uint16_t service_length, value_count;
  uint32_t payload_bytes;
  uint8_t span_ids[VIOLATION_SPAN_IDS_MAX][8];
  uint8_t payload[CAPTURE_PAYLOAD_BYTES];
};

struct trace {
  /* One cache line for what each digest touches. */
  CACHE_ALIGNED uint8_t trace_id[16];
  uint32_t chain;        /* hash chain */
  uint32_t older, newer; /* list of its state, by arrival */
  uint8_t state;
  bool on_retry;
  uint64_t arrival_ns, first_ns, last_ns, opened_generation;
  /* Another for those whose span met a selector. */
  CACHE_ALIGNED uint64_t bits[ENGINE_SELECTOR_WORDS];
  uint32_t captures;
  uint32_t retry; /* list of those with verdicts due; TRACE_NONE at its end */
  /* And one for those with a verdict. */
  CACHE_ALIGNED uint64_t due[IMAGE_TRACE_RULES_MAX / 64]; /* that found no room yet */
  uint64_t raised[IMAGE_TRACE_RULES_MAX / 64];            /* and those that did */
};
_Static_assert(offsetof(struct trace, bits) == CACHE_LINE_BYTES, "one line");

struct trace_list {
  uint32_t oldest, newest;
};

struct trace_table {
  struct trace *traces;
  uint32_t *buckets;
  uint32_t bucket_mask, capacity, free_traces;
  struct trace_capture *captures;
  uint32_t free_captures;
  struct trace_list live, remembered;
  uint32_t retry;
  struct siphash_key key;
};

bool trace_table_create(struct trace_table *table, struct arena *arena, uint32_t traces, uint32_t captures,
                        const struct siphash_key *key);
/* Fetches what digests of these traces will touch into the cache. */
#define TRACES_EXPECTED_MAX 16u
void trace_table_expect(struct trace_table *table, const uint8_t *const *trace_ids, uint32_t count);
struct trace *trace_find(struct trace_table *table, const uint8_t trace_id[16]);
/* NULL when none is free: make room first. */
struct trace *trace_open(struct trace_table *table, const uint8_t trace_id[16], uint64_t now_ns);
void trace_touch(struct trace_table *table, struct trace *trace, uint64_t now_ns);
void trace_remember(struct trace_table *table, struct trace *trace, uint64_t now_ns);
void trace_forget(struct trace_table *table, struct trace *trace);
struct trace *trace_oldest(struct trace_table *table, const struct trace_list *list);
struct trace_capture *trace_capture_of(struct trace_table *table, struct trace *trace, uint16_t rule, bool make);
/* Rules have moved: `to[old]` is the new index, or 0xffff. */
void trace_table_renumber(struct trace_table *table, const uint16_t to[IMAGE_TRACE_RULES_MAX]);

/* match_counts.c: by match slot. What a request raised counts when it is committed. */
struct match_counts {
  uint64_t *counted; /* shard:rw any:ro */
  uint32_t *pending;
  uint32_t *touched; /* slots with something pending */
  uint32_t touched_count;
};
bool match_counts_create(struct match_counts *counts, struct arena *arena);
void match_count_pending(struct match_counts *counts, uint32_t slot);
void match_counts_commit(struct match_counts *counts);
void match_counts_rollback(struct match_counts *counts);
/* Of a verdict that is its own transaction. */
static inline void match_count_now(struct match_counts *counts, uint32_t slot) {
  __atomic_store_n(&counts->counted[slot], counts->counted[slot] + 1, __ATOMIC_RELAXED);
}

struct engine {
  struct engine_config config;
  const struct rule_image *image;
  struct event_batch batches[EVENT_KINDS];
  struct intrinsic_text intrinsic_text;
  struct evaluation evaluation; /* of the batch at hand */
  struct match_counts matches;
  uint64_t all_when_bits[ENGINE_SELECTOR_WORDS];
  struct trace_table traces;
  struct violation violation; /* being built */
  char message[IMAGE_MESSAGE_BYTES_MAX];
  struct {
    uint64_t events[EVENT_KINDS], violations, digests;
    uint64_t record_bytes, digest_lines;
    bool no_room;
  } transaction;
  struct engine_counters counters;
};

/* engine_digest.c */
bool engine_send_digests(struct engine *engine, const struct event_batch *batch);
/* engine_verdict.c */
void engine_raise_due(struct engine *engine, struct trace *trace, uint64_t wall_ns);
/* Reserves one violation of the ring, counted in the transaction. */
bool engine_reserve_violation(struct engine *engine);
/* The value list of a digest or capture: the value of a column, or null. */
bool digest_value(const uint8_t *payload, uint32_t payload_bytes, uint16_t service_length, uint16_t value_count,
                  uint32_t identity, struct value *value);

static inline bool bit_get(const uint64_t *words, uint32_t bit) { return words[bit / 64] >> (bit % 64) & 1; }
static inline void bit_set(uint64_t *words, uint32_t bit) { words[bit / 64] |= 1ull << (bit % 64); }
static inline void bit_clear(uint64_t *words, uint32_t bit) { words[bit / 64] &= ~(1ull << (bit % 64)); }
static inline bool bits_meet(const uint64_t *a, const uint64_t *b) {
  uint64_t both = 0;
  for (unsigned i = 0; i < ENGINE_SELECTOR_WORDS; i++) both |= a[i] & b[i];
  return both != 0;
}
