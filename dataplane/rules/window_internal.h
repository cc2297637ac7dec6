#pragma once
/* Window rules inside the rules room. Senders hash the key of what met a rule and tell the key's owner (window_send.c). The owner
 * keeps a bounded table of keys (window_table.c), each with what the steps of its window hold (window_steps.c, window_quantile.c,
 * window_distinct.c), judges them as time passes (window_judge.c) and raises their verdicts (window_verdict.c).
 *
 * Time is cut into steps of image_window.step_ns since the clock's zero, the same on every shard: at any instant a window holds
 * the newest `steps` of them. So what a key holds depends on when events arrived at their shards, never on how they were batched.
 * Threads: one shard. */
#include "digest.h"
#include "engine.h"
#include "timer_wheel.h"
#include <string.h>

#define WINDOW_NONE 0xffffffffu
#define WINDOW_BLOCK_COUNTS (2 * IMAGE_WINDOW_STEPS)
#define WINDOW_GROUP_BINS 8u
#define WINDOW_GROUPS_MAX 42u /* a key; values that would need more go to the nearest group */
#define WINDOW_SET_ENTRIES 40u
#define WINDOW_BYTES_A_BLOCK 504u

struct window_block {
  uint32_t next;
  int32_t tag; /* entries of a set; groups in a histogram's directory; TAG_SKETCH */
  union {
    uint32_t counts[WINDOW_BLOCK_COUNTS]; /* events by step; of a change also of the window before */
    double values[IMAGE_WINDOW_STEPS];    /* by step: sum, least or most */
    struct {
      uint32_t all[WINDOW_GROUP_BINS];
      uint32_t steps[IMAGE_WINDOW_QUANTILE_STEPS][WINDOW_GROUP_BINS];
    } bins;
    struct window_group { /* a histogram's directory, lowest group first */
      int32_t group;
      uint32_t block, events;
    } groups[WINDOW_GROUPS_MAX];
    struct {
      uint64_t hashes[WINDOW_SET_ENTRIES];
      uint32_t steps[WINDOW_SET_ENTRIES]; /* when last seen */
    } set;
    uint32_t blocks[WINDOW_BYTES_A_BLOCK / 4];
    uint8_t bytes[WINDOW_BYTES_A_BLOCK];
  };
};
_Static_assert(sizeof(struct window_block) == WINDOW_BLOCK_BYTES, "blocks have no gaps");

struct window_verdict { /* what was true when a key fired */
  struct value value;
  uint64_t events, first_ns, last_ns; /* Unix: the events' */
  uint64_t suppressed;                /* since the key fired before */
  uint32_t record, record_bytes;      /* blocks of the event's violation; WINDOW_NONE, 0 */
};

struct window_key {
  struct timer timer;
  uint64_t hash, generation; /* generation: of the image that `window` is an index of */
  uint32_t identity, window;
  uint32_t chain;        /* hash chain, or free list */
  uint32_t older, newer; /* by the last event; not in the list when pinned */
  uint32_t retry;        /* list of those whose verdict waits for room */
  bool live, pinned, on_retry;
  bool holds;    /* the comparison, at now_ns */
  bool fired;    /* since it does */
  bool silenced; /* and its silence has been counted */
  /* What it was opened for: an image that gives its identity to something else does not get what it holds. */
  enum window_function function;
  bool change;
  uint64_t over_ns;
  uint64_t now_ns; /* judged up to here */
  uint64_t since_ns, silent_until_ns, arrival_ns;
  uint64_t first_ns, last_ns; /* Unix: events since the window was empty */
  uint64_t suppressed;
  uint64_t step;                  /* the newest */
  uint64_t events, events_before; /* in the window; of a change in the one before */
  double rest, rest_before;       /* of all steps but the newest */
  uint32_t counts, values[2], list;
  struct window_verdict due; /* when on_retry */
  uint16_t key_bytes;
  _Alignas(8) uint8_t key[WINDOW_KEY_BYTES_MAX];
};

struct window_table {
  struct window_key *keys;
  uint32_t *buckets;
  struct window_block *blocks;
  struct timer_wheel *wheel;
  uint32_t bucket_mask, capacity, block_capacity, free_keys, free_blocks;
  uint32_t oldest, newest, retry;
  uint32_t sweep;           /* keys from here on have not been looked at since the image changed; capacity: all have */
  uint32_t to_open;         /* likewise windows that are judged from the start on */
  uint64_t now_ns, wall_ns; /* of the call at hand */
};

struct engine;

/* window_table.c */
bool window_table_create(struct window_table *table, struct arena *arena, uint32_t keys, uint32_t blocks, uint64_t now_ns);
struct window_key *window_key_find(struct window_table *table, uint32_t identity, uint64_t hash, const uint8_t *key,
                                   uint32_t key_bytes);
/* NULL: none is free, and none can be evicted. */
struct window_key *window_key_open(struct engine *engine, uint32_t identity, uint64_t hash, const uint8_t *key,
                                   uint32_t key_bytes, bool pinned);
void window_key_touch(struct window_table *table, struct window_key *key);
/* The key is gone; the caller counts why. */
void window_key_forget(struct engine *engine, struct window_key *key);
/* WINDOW_NONE: all are in use, and no other key than `keeper` can be evicted. */
uint32_t window_block_take(struct engine *engine, const struct window_key *keeper);
void window_blocks_give(struct engine *engine, uint32_t *list);
static inline struct window_block *window_block_at(struct window_table *table, uint32_t index) { return &table->blocks[index]; }
static inline uint32_t window_key_index(const struct window_table *table, const struct window_key *key) {
  return (uint32_t)(key - table->keys);
}

/* window_steps.c */
static inline bool window_has_steps(const struct image_window *window) { return window->steps != 0; }
static inline uint32_t window_ring(const struct image_window *window) {
  return window->change ? 2 * window->steps : window->steps;
}
static inline bool window_is_empty(const struct window_key *key) { return key->events == 0 && key->events_before == 0; }
/* What a new key needs. False: no blocks. */
bool window_steps_open(struct engine *engine, const struct image_window *window, struct window_key *key);
/* One step on; true when what the window gives may have changed. */
bool window_steps_next(struct engine *engine, const struct image_window *window, struct window_key *key);
/* An empty window may go to any step at once. */
void window_steps_skip(struct window_key *key, uint64_t step);
/* One event into one of the steps held. `value` as in a digest. False: no block for it. */
bool window_steps_add(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t step,
                      uint64_t value);
struct value window_value(struct engine *engine, const struct image_window *window, const struct window_key *key);
/* The step with which what the window gives may change next for lack of events; UINT64_MAX: never. */
uint64_t window_steps_next_change(struct engine *engine, const struct image_window *window, const struct window_key *key);

/* window_quantile.c: a histogram of the window, by groups of bins. Relative error at most 1/32 between 2^-32 and 2^63 in size;
 * what is smaller counts as 0, what is larger as 2^63. */
void window_quantile_forget(struct engine *engine, struct window_key *key);
bool window_quantile_add(struct engine *engine, struct window_key *key, uint32_t slot, double value);
void window_quantile_drop(struct engine *engine, struct window_key *key, uint32_t slot);
double window_quantile(struct engine *engine, const struct window_key *key, double quantile);

/* window_distinct.c: the values themselves (by hash) while they are few, then a HyperLogLog whose registers know when each rank
 * was last seen. Standard error 3.3 %. */
#define WINDOW_SET_MAX (4 * WINDOW_SET_ENTRIES)
bool window_distinct_add(struct engine *engine, struct window_key *key, uint64_t step, uint64_t hash);
void window_distinct_drop(struct engine *engine, struct window_key *key, uint64_t step);
uint64_t window_distinct(struct engine *engine, const struct window_key *key);

/* window_send.c */
/* Owner and hash of a key. */
uint64_t window_hash(const struct engine *engine, uint32_t identity, const struct value *const *values, uint32_t count);
uint16_t window_owner(const struct engine *engine, uint64_t hash);
/* Rows that met the rule, to their owners. False: no room. */
bool window_send_rows(struct engine *engine, const struct event_batch *batch, const struct image_rule *rule, uint64_t rows,
                      uint64_t now_ns, uint64_t wall_ns);
/* The violation of a trace rule, filled, whose key's values are among its attributes. False: no room. Published at once. */
bool window_send_violation(struct engine *engine, const struct image_rule *rule, const struct value *const *key_values);
/* The value of one of a key's references. */
struct value window_key_value(const uint8_t *key, uint32_t key_bytes, uint32_t index);

/* window_judge.c */
const struct image_window *window_find(const struct rule_image *image, uint32_t identity);
void windows_adopt(struct engine *engine);
/* Fires timers, retries verdicts, looks through the table after a reload: at most `most` of each. Returns the timers fired. */
uint32_t windows_expire(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most);
/* Forgets at most `most` keys whose verdicts do not wait; returns those left. */
uint32_t windows_drain(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most);

/* window_verdict.c */
/* Raises it, or lets it wait. `record`: the event's violation in the digest at hand, NULL for none. */
void window_fire(struct engine *engine, const struct image_window *window, struct window_key *key, const uint8_t *record,
                 uint32_t record_bytes);
void windows_retry(struct engine *engine, uint32_t most);

/* window_check.c */
bool windows_are_sound(const struct rule_image *image);
