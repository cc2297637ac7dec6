#include "journal_lsn_map_internal.h"
#include <stdlib.h>

#define ROOM_LEAST 64u

bool journal_lsn_map_add(struct journal_lsn_map *map, uint64_t from, uint64_t to) {
  struct journal_lsn_run *last = map->count ? &map->runs[map->count - 1] : NULL;
  if (last && from == last->from + last->count && to == last->to + last->count) {
    last->count++;
    return true;
  }
  if (map->count == map->room) {
    const size_t room = map->room ? 2 * map->room : ROOM_LEAST;
    struct journal_lsn_run *grown = realloc(map->runs, room * sizeof *grown);
    if (!grown) return false;
    map->runs = grown;
    map->room = room;
  }
  map->runs[map->count++] = (struct journal_lsn_run){.from = from, .to = to, .count = 1};
  return true;
}

uint64_t journal_lsn_map_find(const struct journal_lsn_map *map, uint64_t lsn) {
  size_t low = 0, high = map->count; /* runs below `low` begin at or before it */
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (map->runs[middle].from <= lsn)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return 0;
  const struct journal_lsn_run *run = &map->runs[low - 1];
  const uint64_t further = lsn - run->from;
  return run->to + (further < run->count ? further : run->count - 1);
}

void journal_lsn_map_free(struct journal_lsn_map *map) {
  free(map->runs);
  *map = (struct journal_lsn_map){0};
}
