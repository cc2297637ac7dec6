#pragma once
/* What the spans of a trace have to do with one another, for the rules that ask: a node a span, in a bounded pool of lines, from
 * the first span until the trace is forgotten. Kept only while the image has such rules, and only for what they ask.
 *
 * Traces are named by their number in the trace table. When the pool is full the stories of remembered traces go first, oldest
 * first; then the trace that finds no room is partial: what it had is given back, and rules that need its spans are not judged on
 * it any more. Memory: from the arena. Threads: one shard. */
#include "arena.h"
#include "digest.h"
#include "siphash.h"
#include "story_counters.h"

#define STORY_SPANS_DEFAULT 10000u
#define STORY_STEPS_DEFAULT 4000000u
#define STORY_NONE 0xffffffffu
#define DIGEST_BITS_MAX 256u   /* selectors told at once */
#define STORY_NEVER UINT64_MAX /* a time that does not come */

/* One span as its digest tells it. */
struct story_span {
  uint64_t span_id, parent_id; /* as they lie in memory */
  bool has_parent;
  bool continued; /* more selectors of a span already told */
  uint64_t start_ns, end_ns, arrival_ns;
  const uint16_t *bits; /* selectors that it met */
  uint32_t bit_count;
  bool (*value)(const void *context, uint32_t identity, struct value *value); /* of a column; false: none */
  const void *context;
};

struct story_sizes {
  uint32_t traces;       /* numbers below this */
  uint32_t lines;        /* of the pool, 64 bytes each */
  uint32_t spans_max;    /* of one trace */
  uint32_t steps_max;    /* that all judgements of one trace may take together */
  uint64_t tolerance_ns; /* by which the clocks of senders may differ */
  struct siphash_key key;
};

struct story_node {
  uint64_t span_id, parent_id;
  uint64_t start_ns, arrival_ns;
  uint32_t trace, next;            /* its trace, and the next of that */
  uint32_t same_span, same_parent; /* hash chains */
  uint32_t more;                   /* lines with what found no place here */
  uint32_t row;                    /* while its trace is judged; a link while a change spreads */
  uint16_t bit_count : 15, has_parent : 1;
  uint16_t bits[3];
};

struct story_more {
  uint32_t next;
  uint16_t bit_count, value_count;
  union {
    uint16_t bits[28];
    struct {
      uint32_t identity, type;
      int64_t number; /* of a double its bits */
    } values[3];
  };
};

/* What is known of a fact without looking at all spans again. */
enum story_cell_sort {
  CELL_FACT,   /* count: spans so far; whether it is true */
  CELL_PERIOD, /* by start / width: the earliest and latest spans of both selectors */
  CELL_SPAN,   /* by span: what it is */
  CELL_FAMILY, /* by parent: what its children are */
};
enum { CELL_LEFT = 1, CELL_RIGHT = 2, CELL_TRUE = 4, CELL_UNDER = 8 };

struct story_cell {
  uint64_t key;
  uint32_t trace, fact; /* identity */
  uint32_t next, chain;
  uint8_t sort, flags;
  uint32_t count;
  uint64_t left_first, left_last, right_first, right_last;
};

union story_line {
  CACHE_ALIGNED uint32_t free;
  struct story_node node;
  struct story_more more;
  struct story_cell cell;
};
_Static_assert(sizeof(union story_line) == CACHE_LINE_BYTES, "one line");

enum { STORY_PARTIAL = 1, STORY_REMEMBERED = 2, STORY_LISTED = 4 };

struct story_head {
  CACHE_ALIGNED uint64_t first_ns, last_ns; /* of its spans: the earliest start, the latest end */
  uint64_t wake_ns, hold_ns;
  uint32_t nodes, cells, node_count;
  uint32_t steps_left;
  uint32_t older, newer; /* of the remembered that have a story */
  uint32_t flags;
};

struct story_known {
  uint64_t stamp;
  bool truth;
};

struct story_sort_item {
  uint64_t key;
  uint32_t row;
};

/* The spans of one trace side by side, as far as they start by a limit. */
struct story_rows {
  uint32_t trace; /* STORY_NONE: none are loaded */
  uint32_t count;
  uint64_t limit_ns;
  uint64_t matured_ns; /* arrival: a span that came later may still be followed */
  uint64_t first_ns, last_ns;
  uint32_t *nodes;   /* by row */
  uint32_t *parents; /* by row: the row of its parent, or STORY_NONE */
  uint8_t *left, *right, *marks;
  struct story_sort_item *sorted, *spare;
  uint64_t stamp; /* of these rows: what is known about other ones means nothing */
};

struct trace_story {
  union story_line *lines;
  uint32_t free_lines;
  struct story_head *heads;
  uint32_t *nodes_by_span, *nodes_by_parent, *cells;
  uint32_t bucket_mask;
  uint32_t oldest, newest; /* of the remembered */
  struct story_sizes sizes;
  const struct rule_image *image;
  struct story_rows rows;
  struct story_known *known; /* by fact, of the rows loaded */
  uint64_t *bit_stamps;      /* by selector: met by the trace at hand */
  uint64_t bit_stamp;
  uint16_t *bits_met; /* of that */
  uint16_t *fresh;    /* facts that the last span made true */
  uint32_t fresh_count;
  uint16_t *broken; /* rules, as of trace_story_mature */
  struct story_counters *counters;
};

/* trace_story.c */
/* The counters outlive it. */
bool trace_story_create(struct trace_story *story, struct arena *arena, const struct story_sizes *sizes,
                        struct story_counters *counters);
/* What was noted stays, and means the same: what it may be asked depends on the generation in which its trace was opened. */
void trace_story_adopt(struct trace_story *story, const struct rule_image *image);
/* False: this span was told before, and counts no more. Leaves the early facts that it made true in `fresh`. */
bool trace_story_add(struct trace_story *story, uint32_t trace, const struct story_span *span);
/* The trace is complete: its story may give way to others, and times no longer matter. */
void trace_story_remember(struct trace_story *story, uint32_t trace);
void trace_story_forget(struct trace_story *story, uint32_t trace);
/* Arrival time before which the trace is not complete by idleness, and that at which it asks for trace_story_mature. */
static inline uint64_t trace_story_hold_ns(const struct trace_story *story, uint32_t trace) {
  return story->heads[trace].hold_ns;
}
static inline uint64_t trace_story_wake_ns(const struct trace_story *story, uint32_t trace) {
  return story->heads[trace].wake_ns;
}

/* trace_story_judge.c */
enum story_moment {
  STORY_SPAN,     /* a span came: what is true now and stays so */
  STORY_LATE,     /* a span came after the verdict: `never` alone */
  STORY_DEADLINE, /* time has passed: what could be met until then */
  STORY_COMPLETE, /* the trace has ended */
};

struct story_question {
  uint32_t trace;
  enum story_moment moment;
  uint64_t now_ns;
  uint64_t opened_generation;                     /* younger rules are not judged */
  bool (*met)(const void *context, uint32_t bit); /* whether some span of the trace met the selector */
  const void *context;
};

/* Whether the rule, which needs the story, is broken. */
bool trace_story_breaks(struct trace_story *story, const struct story_question *question, const struct image_rule *rule);
/* At wake_ns, and when the trace would be complete but is held: finds the rules whose deadline has passed and that are broken, in
 * `broken`, and says anew how long the trace is held and when to ask again. Returns how many. */
uint32_t trace_story_mature(struct trace_story *story, const struct story_question *question);

/* Inside of the story. */
static inline struct story_node *story_node(const struct trace_story *story, uint32_t line) { return &story->lines[line].node; }
static inline struct story_cell *story_cell(const struct trace_story *story, uint32_t line) { return &story->lines[line].cell; }
/* Zeroed. STORY_NONE when the pool is spent and `trace` has become partial. */
uint32_t story_take_line(struct trace_story *story, uint32_t trace);
uint32_t story_find_node(const struct trace_story *story, uint32_t trace, uint64_t span_id);
bool story_node_has(const struct trace_story *story, const struct story_node *node, uint32_t bit);
/* A number; false: none was noted. */
bool story_node_value(const struct trace_story *story, const struct story_node *node, uint32_t identity, struct value *value);
uint32_t story_bucket(const struct trace_story *story, uint32_t trace, uint32_t of, uint64_t key);
/* Counts `steps` off; false, and the trace is partial, when it has too few left. */
bool story_spend(struct trace_story *story, uint32_t trace, uint64_t steps);
/* Walks the selectors of a node. */
struct story_bits {
  const uint16_t *at;
  uint32_t left, more;
};
struct story_bits story_bits_of(const struct story_node *node);
bool story_bits_next(const struct trace_story *story, struct story_bits *bits, uint32_t *bit);

/* trace_story_rows.c: false when the trace is partial, or becomes so. */
bool story_rows_load(struct trace_story *story, uint32_t trace, uint64_t limit_ns, uint64_t matured_ns);
/* Notes in `marks`, a byte a row, which met the selector. */
void story_rows_mark(struct trace_story *story, uint32_t bit, uint8_t *marks);
void story_sort(struct story_sort_item *items, struct story_sort_item *spare, uint32_t count);

/* trace_story_facts.c: of the rows loaded. */
bool story_fact_holds(struct trace_story *story, const struct image_fact *fact);
/* When the left spans without a follower that are not yet due will be: the first and the last of them. False: the trace became
 * partial. */
struct story_waits {
  uint64_t next_ns, last_ns; /* STORY_NEVER and 0: none waits */
};
bool story_ordered_waits(struct trace_story *story, const struct image_fact *fact, struct story_waits *waits);
bool story_compare(const struct value *left, uint8_t operation, const struct value *right);

/* trace_story_early.c */
/* What the span, noted already, changes; the bits are those that are new of it. */
void story_early_add(struct trace_story *story, uint32_t trace, uint32_t node, const uint16_t *bits, uint32_t bit_count,
                     bool continued);
/* Of an early fact, by what was noted. */
bool story_early_holds(const struct trace_story *story, uint32_t trace, const struct image_fact *fact);
