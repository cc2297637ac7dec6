#pragma once
/* A random story: trace rules over a few shared selectors, through some generations, and the spans of a few traces. */
#include "engine_side.h"
#include "judge_trace.h"
#include "rule_maker.h"
#include "rule_spelling.h"

#define STORY_GENERATIONS_MAX 4

struct trace_plan {
  uint64_t seed;
  unsigned shards, generations;
  const char *timezone; /* of all rules: a selector means the same in each */
  bool silences;        /* rules with `suppress` */
  bool tight;           /* rings that do not hold all that a story raises */
  struct story story;
  bool *rule_dropped, *sample_dropped;
  const struct shape_rule *event_rules[4]; /* not checked here: they share the columns */
  unsigned event_rule_count;
};

/* Rules also count, order and relate spans; and give them time to come; or have exceptions. */
enum story_kind {
  STORY_OF_SELECTORS,
  STORY_OF_FACTS,
  STORY_OF_WAITS,
  STORY_OF_EXCEPTIONS,
  STORY_OF_BETRACE,
  STORY_OF_SILENCES,
  STORY_OF_EVICTIONS
};
void trace_plan_make(struct trace_plan *plan, uint64_t seed, enum story_kind kind, struct yard *yard);
void trace_plan_spell(const struct trace_plan *plan, unsigned generation, struct spelling *text);
