#include "always_assert.h"
#include "violation_store_internal.h"
#include <errno.h>
#include <stdlib.h>

static int compare_times(const void *left, const void *right) {
  const uint64_t a = ((const struct violation_count *)left)->from_ns, b = ((const struct violation_count *)right)->from_ns;
  return a < b ? -1 : a > b;
}

static int compare_severities(const void *left, const void *right) {
  const unsigned a = ((const struct violation_count *)left)->severity, b = ((const struct violation_count *)right)->severity;
  return a > b ? -1 : a < b;
}

static int compare_counts(const void *left, const void *right) {
  const uint64_t a = ((const struct violation_count *)left)->count, b = ((const struct violation_count *)right)->count;
  return a > b ? -1 : a < b;
}

/* Groups in an open-addressed table by key; `slots` holds numbers of groups, one more than theirs. */
struct grouping {
  enum violation_group group;
  uint64_t bucket_ns;
  struct violation_count *counts;
  uint64_t *keys;
  uint32_t *slots;
  size_t count;
  bool too_many;
};
#define GROUP_SLOTS 32768u

static void count_one(struct violation_store *store, struct grouping *grouping, const struct index_entry *entry) {
  const uint64_t key = grouping->group == VIOLATIONS_BY_RULE       ? entry->rule
                       : grouping->group == VIOLATIONS_BY_SEVERITY ? entry->severity
                                                                   : entry->wall_ns / grouping->bucket_ns;
  uint32_t slot = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 40) % GROUP_SLOTS;
  while (grouping->slots[slot] && grouping->keys[grouping->slots[slot] - 1] != key) slot = (slot + 1) % GROUP_SLOTS;
  if (!grouping->slots[slot]) {
    if (grouping->count == VIOLATION_GROUPS_MAX) {
      grouping->too_many = true;
      return;
    }
    grouping->keys[grouping->count] = key;
    grouping->counts[grouping->count] = (struct violation_count){
        .rule = grouping->group == VIOLATIONS_BY_RULE ? violation_counts_name(store->by_rule, entry->rule) : NULL,
        .severity = entry->severity,
        .from_ns = grouping->group == VIOLATIONS_BY_TIME ? key * grouping->bucket_ns : 0};
    grouping->slots[slot] = (uint32_t)++grouping->count;
  }
  grouping->counts[grouping->slots[slot] - 1].count++;
}

/* In steps, so that the index is not held up; what comes meanwhile is counted or not. */
static uint64_t count_all(struct violation_store *store, const struct index_query *query, struct grouping *grouping) {
  uint64_t total = 0, above = 0;
  for (bool done = false; !done && !grouping->too_many;) {
    pthread_mutex_lock(&store->lock);
    const struct violation_index *index = &store->index;
    uint64_t nth = violation_index_below(index, above + 1), first, end = 0;
    for (uint32_t looked = 0; nth < index->count && looked < LOOKS; looked++) {
      if (nth >= end && !violation_index_group_may_match(index, query, nth, &first, &end)) {
        nth = end;
        continue;
      }
      const struct index_entry *entry = violation_index_at(index, nth++);
      if (!violation_index_matches(query, entry)) continue;
      count_one(store, grouping, entry);
      total++;
    }
    done = nth >= index->count;
    if (!done) above = violation_index_at(index, nth)->lsn - 1;
    pthread_mutex_unlock(&store->lock);
  }
  return total;
}

int violation_store_count_groups(struct violation_store *store, const struct violation_filter *filter, enum violation_group group,
                                 uint64_t bucket_ns, struct violation_count **counts, size_t *count, uint64_t *total) {
  ALWAYS_ASSERT(group != VIOLATIONS_BY_TIME || bucket_ns > 0);
  const struct index_query query = violation_store_index_query(filter);
  struct grouping grouping = {.group = group,
                              .bucket_ns = bucket_ns,
                              .counts = calloc(VIOLATION_GROUPS_MAX, sizeof *grouping.counts),
                              .keys = calloc(VIOLATION_GROUPS_MAX, sizeof *grouping.keys),
                              .slots = calloc(GROUP_SLOTS, sizeof *grouping.slots)};
  const bool enough = grouping.counts && grouping.keys && grouping.slots;
  *counts = NULL;
  *count = 0;
  *total = enough ? count_all(store, &query, &grouping) : 0;
  free(grouping.keys);
  free(grouping.slots);
  if (!enough || grouping.too_many) {
    free(grouping.counts);
    return enough ? -E2BIG : -ENOMEM;
  }
  static int (*const compare[])(const void *, const void *) = {
      [VIOLATIONS_BY_RULE] = compare_counts, [VIOLATIONS_BY_SEVERITY] = compare_severities, [VIOLATIONS_BY_TIME] = compare_times};
  if (grouping.count > 1) qsort(grouping.counts, grouping.count, sizeof *grouping.counts, compare[group]);
  *counts = grouping.counts;
  *count = grouping.count;
  return 0;
}
