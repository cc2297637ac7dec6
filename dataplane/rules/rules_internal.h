#pragma once
/* Inside the rules room. */
#include "always_assert.h"
#include "engine.h"
#include "trace_hash.h"
#include "trace_story_internal.h"
#include "trace_table_internal.h"
#include "violation.h"
#include "window_internal.h"
#include <string.h>

#define ENGINE_COLUMNS_MAX 1024u
#define ENGINE_PREDICATES_MAX 262144u
#define ENGINE_PROGRAMS_MAX 131072u

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

/* One batch against one kind of an image. `steps` counts what was done for it: about one for each operation of a program, for
 * each row that a predicate looked at and each constant it compared that with, and for each 16 bytes that were searched.
 * Predicates are evaluated when a program first asks for them. */
struct evaluation {
  const struct event_batch *batch;
  const struct image_kind *kind;
  hs_scratch_t *scratch;
  uint64_t steps, steps_max;
  uint64_t stamp;                     /* one more each batch: what older batches left behind needs no clearing */
  struct predicate_state *predicates; /* ENGINE_PREDICATES_MAX */
  uint32_t *matched;                  /* scanned predicates with a match in this batch, as they came; ENGINE_PREDICATES_MAX */
  uint32_t matched_count;
  struct column_facts *columns; /* as many as a batch may have */
  uint64_t *candidates;         /* ENGINE_PROGRAMS_MAX bits */
};

/* predicates.c */
bool evaluation_create(struct evaluation *evaluation, struct arena *arena, uint32_t column_capacity, uint64_t steps_max);
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

#define STEP_BYTES 16u
static inline bool evaluation_is_over(const struct evaluation *evaluation) { return evaluation->steps > evaluation->steps_max; }

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

/* column_elements.c: the rows of which some value of a path with `[*]` meets the predicate. */
uint64_t column_elements_hold(struct evaluation *evaluation, uint32_t index);

/* predicates.c: of one value, patterns apart. */
bool predicate_holds(const struct image_predicate *predicate, const struct value *value, uint32_t interned);
/* column_pairs.c: of two. */
bool pair_holds(enum predicate_operation operation, const struct value *left, const struct value *right);
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
/* How many candidates there are from `at` on. */
uint32_t candidates_left(const struct evaluation *evaluation, uint32_t at, uint32_t count);
/* The first candidate from `at` on; `count` when there is none. */
uint32_t candidates_next(const struct evaluation *evaluation, uint32_t at, uint32_t count);

/* programs.c: the rows among `rows` that the program is true of. */
uint64_t program_run(const struct image_program *program, struct evaluation *evaluation, uint64_t rows);
/* Of a trace that met these selectors. */
/* What value_compare says of two values, held against an operation from EQUAL to GREATER_OR_EQUAL. */
static inline bool order_holds(enum predicate_operation operation, int order) {
  switch (operation) {
  case PREDICATE_EQUAL:
    return order == 0;
  case PREDICATE_NOT_EQUAL:
    return order == -1 || order == 1;
  case PREDICATE_LESS:
    return order == -1;
  case PREDICATE_LESS_OR_EQUAL:
    return order == -1 || order == 0;
  case PREDICATE_GREATER:
    return order == 1;
  default:
    return order == 1 || order == 0;
  }
}

/* Of one thing, where the operands are looked up as they are needed. */
static inline bool program_holds_by(const struct image_program *program, bool (*operand)(const void *context, uint32_t operand),
                                    const void *context) {
  bool stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    switch (operation) {
    case PROGRAM_AND:
      depth--;
      stack[depth - 1] = stack[depth - 1] && stack[depth];
      break;
    case PROGRAM_OR:
      depth--;
      stack[depth - 1] = stack[depth - 1] || stack[depth];
      break;
    case PROGRAM_NOT:
      stack[depth - 1] = !stack[depth - 1];
      break;
    default:
      ALWAYS_ASSERT(depth < IMAGE_PROGRAM_DEPTH_MAX);
      stack[depth++] = operand(context, operation);
    }
    if (depth == 1 && program->conjunction && !stack[0]) return false;
  }
  return depth && stack[0];
}
bool program_holds(const struct image_program *program, const uint64_t bits[IMAGE_SELECTORS_MAX / 64]);

/* message.c: renders a value the way a message shows it; returns bytes written, at most `room`. */
uint32_t message_value(const struct value *value, bool duration, char *out, uint32_t room);
/* `values` by slot; at most IMAGE_MESSAGE_BYTES_MAX bytes, always valid UTF-8. */
uint32_t message_render(const struct image_rule *rule, const struct image_column *columns,
                        const struct value *(*value_of)(void *context, uint32_t slot), void *context,
                        char out[IMAGE_MESSAGE_BYTES_MAX]);

/* The selectors that each row of a batch met, as far as they are not sent yet. */
struct digest_rows {
  uint16_t counts[EVENT_BATCH_ROWS];
  bool begun[EVENT_BATCH_ROWS]; /* a message about the row was sent */
  bool unjudged;                /* not all selectors were asked */
  uint16_t bits[EVENT_BATCH_ROWS][DIGEST_SELECTORS_MAX];
};

/* What is looked at for one trace, and empty in between. */
struct trace_judge {
  uint64_t met[IMAGE_SELECTORS_MAX / 64];         /* by the trace */
  uint64_t span[IMAGE_SELECTORS_MAX / 64];        /* by the span at hand, as far as it is not known of the trace */
  uint64_t candidate[IMAGE_TRACE_RULES_MAX / 64]; /* of the list below */
  uint16_t candidates[IMAGE_TRACE_RULES_MAX];
  uint32_t candidate_count;
};

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
  struct trace_hasher trace_hasher;
  struct digest_rows *digest_rows;
  struct trace_judge *judge;
  struct match_counts matches;
  struct trace_table traces;
  struct window_table windows;
  struct trace_story story;
  struct violation violation; /* being built */
  char message[IMAGE_MESSAGE_BYTES_MAX];
  struct {
    uint64_t events[EVENT_KINDS], violations, digests, window_digests;
    uint64_t record_bytes, digest_lines;
    uint32_t shadow_matches, window_matches;
    bool no_room, unjudged, correlated;
    uint8_t correlation_id[16];
  } transaction;
  uint8_t raised_ids[ENGINE_RAISED_IDS][16]; /* of the transaction's first violations */
  struct engine_counters counters;
};

/* engine.c: into engine.violation what a single-event rule says of a row. */
void engine_fill_violation(struct engine *engine, const struct event_batch *batch, uint32_t row, const struct image_rule *rule,
                           uint64_t wall_ns);
/* engine_digest.c */
/* Counts the programs from one on that are left unasked as the steps of the batch are spent. */
void engine_leave_unjudged(struct engine *engine, uint32_t from, uint32_t count);
bool engine_send_digests(struct engine *engine, const struct event_batch *batch);
/* The value list of a digest or capture: the value of a column, or null. */
bool digest_value(const uint8_t *payload, uint32_t payload_bytes, uint16_t service_length, uint16_t value_count,
                  uint32_t identity, struct value *value);

/* engine_violation.c: reserves one violation of the ring, counted in the transaction. */
bool engine_reserve_violation(struct engine *engine);
/* The verdict of a rule about a trace, published at once. False: no room. */
bool engine_raise_trace(struct engine *engine, const struct trace *trace, const struct image_rule *rule, uint64_t wall_ns);

/* engine_verdict.c */
/* Verdicts of a trace that found no room are tried again; at most as many traces. */
void engine_retry_due(struct engine *engine, uint64_t wall_ns, uint32_t most);
/* Of what became known with `added`. `met` of the judge holds what the trace met. */
void engine_judge_never(struct engine *engine, struct trace *trace, const uint16_t *added, uint32_t added_count, bool late,
                        uint64_t wall_ns);
void engine_judge_completed(struct engine *engine, struct trace *trace, uint64_t wall_ns);
void engine_give_verdict(struct engine *engine, struct trace *trace, const struct image_rule *rule, uint64_t wall_ns);
/* The rules that a late span may break though it met nothing new: by what it has to do with the others. */
void engine_judge_late_story(struct engine *engine, struct trace *trace, uint64_t wall_ns);

/* engine_traces.c: a digest of an earlier generation may carry bits that mean something else now. Returns how many are left. */
uint32_t engine_digest_meaning(const struct engine *engine, const struct span_digest *digest,
                               uint16_t bits[DIGEST_SELECTORS_MAX]);

/* engine_story.c */
/* False: this span was told before. */
bool engine_story_tell(struct engine *engine, struct trace *trace, const struct span_digest *digest, uint64_t now_ns);
/* Raises what the span told last broke by what it has to do with others. */
void engine_story_judge(struct engine *engine, struct trace *trace, bool late, uint64_t wall_ns);
/* Once for each rule; never again of a trace that could not keep what was raised. */
bool engine_story_may_raise(struct engine *engine, const struct trace *trace, const struct image_rule *rule);
/* `met` of the judge holds what the trace met. */
bool engine_story_breaks(struct engine *engine, const struct trace *trace, const struct image_rule *rule,
                         enum story_moment moment);
/* Of a live trace that is to be looked at: raises what its deadlines broke, and says anew when it is due. Still in its place on
 * the wheel, or off it. */
void engine_story_settle(struct engine *engine, struct trace *trace, uint64_t now_ns, uint64_t wall_ns);

static inline bool bit_get(const uint64_t *words, uint32_t bit) { return words[bit / 64] >> (bit % 64) & 1; }
static inline void bit_set(uint64_t *words, uint32_t bit) { words[bit / 64] |= 1ull << (bit % 64); }
static inline void bit_clear(uint64_t *words, uint32_t bit) { words[bit / 64] &= ~(1ull << (bit % 64)); }
