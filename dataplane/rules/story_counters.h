#pragma once
#include <stdint.h>

/* What happened to the stories of traces. Single writer: the shard. */
struct story_counters {
  uint64_t spans;          /* noted */
  uint64_t duplicates;     /* of spans noted before: not counted again */
  uint64_t partial_full;   /* traces whose spans found no room in the pool */
  uint64_t partial_large;  /* and those that had too many */
  uint64_t partial_steps;  /* and those whose judgement would have taken too long */
  uint64_t reclaimed;      /* stories of remembered traces that gave way */
  uint64_t rules_unjudged; /* verdicts not given on partial traces */
  uint32_t lines_used;     /* gauge */
};
