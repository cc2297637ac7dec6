#pragma once
/* 1 to 4 engines in one thread with real rings between them, fed from rule text. */
#include "cmocka_test.h"
#include "engine.h"
#include "heap_arena.h"
#include "rule_set.h"
#include "violation.h"
#include <string.h>

#define RIG_ENGINES_MAX 4
#define RIG_SECOND 1000000000ull

struct rig_limits {
  uint32_t record_bytes, digest_lines, traces, captures;
};

struct engine_rig {
  struct heap_arena *heap;
  uint32_t engines;
  struct engine *engine[RIG_ENGINES_MAX];
  struct record_ring *records[RIG_ENGINES_MAX];
  struct line_ring *digests[RIG_ENGINES_MAX][RIG_ENGINES_MAX]; /* from, to */
  struct rule_set *set;
  struct rule_image *image;
  uint64_t generation, now_ns;
  uint64_t parent, start_ns; /* of the spans sent; start 0: as RIG_CHILD and the span id say */
};

struct rig_traces { /* zeros: as an engine that says nothing of it */
  struct trace_limits limits;
  uint32_t story_lines, story_steps;
  uint32_t spills;
};

struct rig_span {
  uint64_t trace, span;
  const char *name, *service;
  int64_t amount; /* span.amount; negative: absent */
  bool error;
};
#define RIG_CHILD (1ull << 63) /* in `span`: it has a parent */

void rig_open(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, const char *rules);
void rig_open_traces(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, const struct rig_traces *traces,
                     const char *rules);
/* The same with so much room for windows in each engine. */
void rig_open_windows(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, uint32_t keys, uint32_t blocks,
                      const char *rules);
/* Compiles the next generation; every engine adopts it. */
void rig_apply(struct engine_rig *rig, const char *rules);
void rig_close(struct engine_rig *rig);
/* One request of one span through an engine. False: rolled back. */
bool rig_send(struct engine_rig *rig, uint32_t engine, const struct rig_span *span);
/* Takes a span into the batch and evaluates, without commit. */
bool rig_evaluate(struct engine_rig *rig, uint32_t engine, const struct rig_span *span);
void rig_deliver(struct engine_rig *rig);
void rig_pass(struct engine_rig *rig, uint64_t ns);
/* Reads what was published: calls `each` and frees the space. Returns how many. */
uint32_t rig_violations(struct engine_rig *rig, void (*each)(void *context, const struct violation *violation), void *context);
/* Asserts the conservation laws over all engines. */
void rig_check_laws(struct engine_rig *rig);
