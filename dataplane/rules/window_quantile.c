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

static struct window_block *directory_of(struct window_table *table, const struct window_key *key) {
  return key->list == WINDOW_NONE ? NULL : window_block_at(table, key->list);
}

static uint32_t place_of(const struct window_block *directory, int32_t group) {
  uint32_t at = 0;
  while (at < (uint32_t)directory->tag && directory->groups[at].group < group) at++;
  return at;
}

/* False: no block. */
static bool insert(struct engine *engine, struct window_key *key, struct window_block *directory, uint32_t at, int32_t group) {
  const uint32_t block = window_block_take(engine, key);
  if (block == WINDOW_NONE) return false;
  struct window_group *groups = directory->groups;
  memmove(&groups[at + 1], &groups[at], ((uint32_t)directory->tag - at) * sizeof *groups);
  groups[at] = (struct window_group){.group = group, .block = block};
  directory->tag++;
  return true;
}

bool window_quantile_add(struct engine *engine, struct window_key *key, uint32_t slot, double value) {
  struct window_table *table = &engine->windows;
  const int32_t bin = bin_of(value), group = group_of(bin);
  uint32_t in_group = (uint32_t)(bin - group * (int32_t)WINDOW_GROUP_BINS);
  if (key->list == WINDOW_NONE) key->list = window_block_take(engine, key);
  struct window_block *directory = directory_of(table, key);
  if (!directory) return false;
  uint32_t at = place_of(directory, group);
  const bool found = at < (uint32_t)directory->tag && directory->groups[at].group == group;
  if (!found && directory->tag == (int32_t)WINDOW_GROUPS_MAX) {
    engine->counters.window_values_merged++;
    if (at == WINDOW_GROUPS_MAX) at--;
    in_group = directory->groups[at].group < group ? WINDOW_GROUP_BINS - 1 : 0;
  } else if (!found && !insert(engine, key, directory, at, group)) {
    return false;
  }
  struct window_block *block = window_block_at(table, directory->groups[at].block);
  block->bins.steps[slot][in_group]++;
  block->bins.all[in_group]++;
  directory->groups[at].events++;
  return true;
}

void window_quantile_drop(struct engine *engine, struct window_key *key, uint32_t slot) {
  struct window_table *table = &engine->windows;
  struct window_block *directory = directory_of(table, key);
  uint32_t kept = 0;
  for (uint32_t at = 0; directory && at < (uint32_t)directory->tag; at++) {
    struct window_group group = directory->groups[at];
    struct window_block *block = window_block_at(table, group.block);
    for (unsigned i = 0; i < WINDOW_GROUP_BINS; i++) {
      group.events -= block->bins.steps[slot][i];
      block->bins.all[i] -= block->bins.steps[slot][i];
      block->bins.steps[slot][i] = 0;
    }
    if (group.events)
      directory->groups[kept++] = group;
    else
      window_blocks_give(engine, &group.block);
  }
  if (!directory) return;
  directory->tag = (int32_t)kept;
  if (kept == 0) window_blocks_give(engine, &key->list);
}

void window_quantile_forget(struct engine *engine, struct window_key *key) {
  struct window_block *directory = directory_of(&engine->windows, key);
  for (uint32_t at = 0; directory && at < (uint32_t)directory->tag; at++)
    window_blocks_give(engine, &directory->groups[at].block);
  window_blocks_give(engine, &key->list);
}

/* The nearest rank: the least value that so many of all are at or below. */
double window_quantile(struct engine *engine, const struct window_key *key, double quantile) {
  struct window_table *table = &engine->windows;
  const struct window_block *directory = directory_of(table, key);
  const double exact = quantile * (double)key->events;
  uint64_t rank = (uint64_t)exact;
  if ((double)rank < exact || rank == 0) rank++;
  for (uint32_t at = 0; directory && at < (uint32_t)directory->tag; at++) {
    const struct window_group *group = &directory->groups[at];
    if (group->events < rank) {
      rank -= group->events;
      continue;
    }
    const struct window_block *block = window_block_at(table, group->block);
    unsigned i = 0;
    while (i + 1 < WINDOW_GROUP_BINS && block->bins.all[i] < rank) rank -= block->bins.all[i++];
    return value_of(group->group * (int32_t)WINDOW_GROUP_BINS + (int32_t)i);
  }
  return 0;
}
