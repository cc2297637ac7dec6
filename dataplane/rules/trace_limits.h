#pragma once
#include <stdint.h>

/* When a trace is complete even though spans still arrive; 0: off. */
struct trace_limits {
  uint64_t root_grace_ns; /* after its root arrived */
  uint64_t max_age_ns;    /* after its first span arrived */
  uint32_t max_spans;
  uint64_t clock_tolerance_ns; /* how far apart the clocks may be by which its spans are ordered */
};
