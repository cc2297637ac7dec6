#pragma once
/* One run of a story: the engine's shards and the reference beside them. */
#include "cases.h"
#include "judge_silence.h"
#include "trace_maker.h"

struct flight { /* a span whose digest is on its way */
  unsigned sample, generation;
  bool landed;
};

struct trace_run {
  const struct trace_plan *plan;
  struct engine_side side;
  struct trace_judge judge;
  struct test_random random;
  struct case_totals *totals;
  struct yard *yard;
  unsigned shard_generation[SIDE_SHARDS_MAX], generation;
  struct flight *flights[SIDE_SHARDS_MAX];
  unsigned flight_count[SIDE_SHARDS_MAX];
  unsigned *queue, queued, taken; /* samples in the order in which they are sent */
  uint64_t now_ns;
  struct expected_report report;
  struct silence *silences;
  bool differs, quiet, loud;
};

void trace_run_differ(struct trace_run *run, const char *what, const char *rule, uint64_t trace);
/* Takes what the engine has raised to what the reference expects. */
void trace_run_drain(struct trace_run *run);
/* After a step all that the reference expects must be there; where the ring is tight, at the end. */
void trace_run_check(struct trace_run *run, bool end);
