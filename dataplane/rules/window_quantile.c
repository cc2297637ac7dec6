#include "rules_internal.h"

#define BINS_A_POWER 16
#define EXPONENT_LEAST (-32)
#define EXPONENT_MOST 62

/* Bins are numbered through from the lowest negative values to the highest; 0 is that of zero. */
static int32_t bin_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  const int32_t exponent = (int32_t)(bits >> 52 & 0x7ff) - 1023;
  int32_t bin = 0;
  if (exponent > EXPONENT_MOST)
    bin = (EXPONENT_MOST + 1 - EXPONENT_LEAST) * BINS_A_POWER;
  else if (exponent >= EXPONENT_LEAST)
    bin = (exponent - EXPONENT_LEAST) * BINS_A_POWER + (int32_t)(bits >> 48 & 0xf) + 1;
  return bits >> 63 ? -bin : bin;
}

/* The middle of a bin. */
static double value_of(int32_t bin) {
  if (bin == 0) return 0;
  const uint32_t index = (uint32_t)(bin < 0 ? -bin : bin) - 1;
  const uint64_t exponent = (uint64_t)(1023 + EXPONENT_LEAST + (int32_t)(index / BINS_A_POWER));
  const uint64_t bits = exponent << 52 | (uint64_t)(index % BINS_A_POWER) << 48 | 1ull << 47;
  double value;
  memcpy(&value, &bits, sizeof value);
  return bin < 0 ? -value : value;
}

static int32_t group_of(int32_t bin) {
  return bin >= 0 ? bin / (int32_t)WINDOW_GROUP_BINS : -((-bin + (int32_t)WINDOW_GROUP_BINS - 1) / (int32_t)WINDOW_GROUP_BINS);
}

/* The link to the group, or to where it would be. */
static uint32_t *find(struct window_table *table, struct window_key *key, int32_t group, uint32_t *before, uint32_t *groups) {
  uint32_t *link = &key->list;
  *before = WINDOW_NONE;
  *groups = 0;
  while (*link != WINDOW_NONE && window_block_at(table, *link)->tag < group) {
    *before = *link;
    link = &window_block_at(table, *link)->next;
    ++*groups;
  }
  for (uint32_t rest = *link; rest != WINDOW_NONE; rest = window_block_at(table, rest)->next) ++*groups;
  return link;
}

bool window_quantile_add(struct engine *engine, struct window_key *key, uint32_t slot, double value) {
  struct window_table *table = &engine->windows;
  const int32_t bin = bin_of(value), group = group_of(bin);
  uint32_t before, groups, in_group = (uint32_t)(bin - group * (int32_t)WINDOW_GROUP_BINS);
  uint32_t *link = find(table, key, group, &before, &groups);
  uint32_t index = *link;
  if (index == WINDOW_NONE || window_block_at(table, index)->tag != group) {
    if (groups == WINDOW_GROUPS_MAX) {
      engine->counters.window_values_merged++;
      if (index == WINDOW_NONE) index = before;
      in_group = window_block_at(table, index)->tag < group ? WINDOW_GROUP_BINS - 1 : 0;
    } else {
      index = window_block_take(engine, key);
      if (index == WINDOW_NONE) return false;
      struct window_block *made = window_block_at(table, index);
      made->tag = group;
      made->next = *link;
      *link = index;
    }
  }
  struct window_block *block = window_block_at(table, index);
  block->bins.steps[slot][in_group]++;
  block->bins.all[in_group]++;
  return true;
}

void window_quantile_drop(struct engine *engine, struct window_key *key, uint32_t slot) {
  struct window_table *table = &engine->windows;
  for (uint32_t *link = &key->list; *link != WINDOW_NONE;) {
    struct window_block *block = window_block_at(table, *link);
    uint64_t left = 0;
    for (unsigned i = 0; i < WINDOW_GROUP_BINS; i++) {
      block->bins.all[i] -= block->bins.steps[slot][i];
      block->bins.steps[slot][i] = 0;
      left += block->bins.all[i];
    }
    if (left) {
      link = &block->next;
      continue;
    }
    uint32_t empty = *link;
    *link = block->next;
    block->next = WINDOW_NONE;
    window_blocks_give(engine, &empty);
  }
}

/* The nearest rank: the least value that so many of all are at or below. */
double window_quantile(struct engine *engine, const struct window_key *key, double quantile) {
  struct window_table *table = &engine->windows;
  const double exact = quantile * (double)key->events;
  uint64_t rank = (uint64_t)exact;
  if ((double)rank < exact || rank == 0) rank++;
  int32_t bin = 0;
  for (uint32_t index = key->list; index != WINDOW_NONE; index = window_block_at(table, index)->next) {
    const struct window_block *block = window_block_at(table, index);
    for (unsigned i = 0; i < WINDOW_GROUP_BINS; i++) {
      if (block->bins.all[i] == 0) continue;
      bin = block->tag * (int32_t)WINDOW_GROUP_BINS + (int32_t)i;
      if (block->bins.all[i] >= rank) return value_of(bin);
      rank -= block->bins.all[i];
    }
  }
  return value_of(bin);
}
