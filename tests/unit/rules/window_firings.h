#pragma once
/* Violations as the tests of window rules look at them. */
#include "engine_rig.h"

#define FIRINGS_MAX 1024
struct firing {
  char rule[32], key[64], message[128];
  uint32_t count;
  double value;
  int64_t suppressed;
  uint64_t wall_ns, first_seen_ns, last_seen_ns;
  bool has_trace;
  char service[32];
};
struct firings {
  uint32_t count;
  struct firing at[FIRINGS_MAX];
};

/* What was published since the last time. */
struct firings read_firings(struct engine_rig *rig);
