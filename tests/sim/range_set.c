#include "range_set.h"
#include <string.h>

bool range_set_add(struct range_set *set, uint32_t start, uint32_t end) {
  uint32_t first = 0, behind;
  while (first < set->count && set->ranges[first].end < start) first++;
  for (behind = first; behind < set->count && set->ranges[behind].start <= end; behind++) {
    if (set->ranges[behind].start < start) start = set->ranges[behind].start;
    if (set->ranges[behind].end > end) end = set->ranges[behind].end;
  }
  if (behind == first && set->count == RANGE_SET_MAX) return false;
  memmove(set->ranges + first + 1, set->ranges + behind, (set->count - behind) * sizeof set->ranges[0]);
  set->count = set->count + 1 - (behind - first);
  set->ranges[first].start = start;
  set->ranges[first].end = end;
  set->latest = first;
  return true;
}

uint32_t range_set_reach(struct range_set *set, uint32_t at) {
  uint32_t taken = 0;
  for (; taken < set->count && set->ranges[taken].start <= at; taken++)
    if (set->ranges[taken].end > at) at = set->ranges[taken].end;
  set->count -= taken;
  set->latest = set->latest > taken ? set->latest - taken : 0;
  memmove(set->ranges, set->ranges + taken, set->count * sizeof set->ranges[0]);
  return at;
}

uint32_t range_set_skip(const struct range_set *set, uint32_t at, uint32_t *start) {
  *start = UINT32_MAX;
  for (uint32_t i = 0; i < set->count; i++) {
    if (set->ranges[i].start > at) {
      *start = set->ranges[i].start;
      return at;
    }
    if (set->ranges[i].end > at) at = set->ranges[i].end;
  }
  return at;
}
