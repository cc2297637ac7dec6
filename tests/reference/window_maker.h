#pragma once
/* Window rules over a few keys, and events that come back to them. */
#include "judge_window.h"
#include "rule_maker.h"

struct window_plan {
  uint64_t seed;
  unsigned shards;
  bool tight; /* rings that fill up */
  unsigned rule_count, sample_count;
  const struct shape_rule **rules;
  struct sample *samples;
  bool *rule_dropped, *sample_dropped;
};

void window_plan_make(struct window_plan *plan, uint64_t seed, struct yard *yard);
