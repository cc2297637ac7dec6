#include "rules_internal.h"

bool match_counts_create(struct match_counts *counts, struct arena *arena) {
  counts->counted = ARENA_ARRAY(arena, uint64_t, IMAGE_MATCH_SLOTS);
  counts->pending = ARENA_ARRAY(arena, uint32_t, IMAGE_MATCH_SLOTS);
  counts->touched = ARENA_ARRAY(arena, uint32_t, IMAGE_MATCH_SLOTS);
  return counts->counted && counts->pending && counts->touched;
}

void match_count_pending(struct match_counts *counts, uint32_t slot) {
  if (counts->pending[slot]++ == 0) counts->touched[counts->touched_count++] = slot;
}

void match_counts_commit(struct match_counts *counts) {
  for (uint32_t i = 0; i < counts->touched_count; i++) {
    const uint32_t slot = counts->touched[i];
    __atomic_store_n(&counts->counted[slot], counts->counted[slot] + counts->pending[slot], __ATOMIC_RELAXED);
    counts->pending[slot] = 0;
  }
  counts->touched_count = 0;
}

void match_counts_rollback(struct match_counts *counts) {
  for (uint32_t i = 0; i < counts->touched_count; i++) counts->pending[counts->touched[i]] = 0;
  counts->touched_count = 0;
}

uint64_t engine_rule_matches(const struct engine *engine, uint32_t match_slot) {
  return match_slot < IMAGE_MATCH_SLOTS ? __atomic_load_n(&engine->matches.counted[match_slot], __ATOMIC_RELAXED) : 0;
}
