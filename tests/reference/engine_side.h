#pragma once
/* The product's side of a case: rule text through the real loader and compiler, events into the real engine's batches, records
 * and digests over real rings. 1 to 4 shards in one thread. */
#include "engine.h"
#include "rule_set.h"
#include "sample.h"
#include "violation.h"

#define SIDE_SHARDS_MAX 4

struct side_limits {
  uint32_t record_bytes, digest_lines, traces, captures, window_keys;
  uint64_t idle_ns;
  struct trace_limits trace;
};

struct engine_side {
  struct heap_arena *heap;
  unsigned shards;
  struct engine *engines[SIDE_SHARDS_MAX];
  struct record_ring *records[SIDE_SHARDS_MAX];
  struct line_ring *digests[SIDE_SHARDS_MAX][SIDE_SHARDS_MAX]; /* from, to */
  struct rule_set *set;
  struct rule_image *image;
  struct rule_image *older[8]; /* kept until every shard has moved on */
  unsigned older_count;
  uint64_t generation;
};

void side_open(struct engine_side *side, unsigned shards, const struct side_limits *limits, uint64_t now_ns);
/* The next generation; shards adopt it by side_adopt. False: the loader refused it (errors are printed). */
bool side_load(struct engine_side *side, const char *text, size_t length);
void side_adopt(struct engine_side *side, unsigned shard);
bool side_has_adopted(const struct engine_side *side, unsigned shard);
/* Frees the images that no shard uses any more. */
void side_forget_older(struct engine_side *side);
void side_close(struct engine_side *side);

/* Adds a row as a decoder does; `random` decides on harmless noise (values set twice, nulls said or not, rows taken back). */
void side_add(struct event_batch *batch, const struct sample *sample, struct test_random *random);
enum event_kind side_kind(enum subject subject);
/* The next published violation of a shard, or false; text points into the ring until the next call. */
bool side_next_violation(struct engine_side *side, unsigned shard, struct violation *violation, bool *advance);
/* As the reference evaluator sees it. */
struct plain side_plain(const struct value *value);
uint64_t side_number_of_id(const uint8_t *id, unsigned bytes);
