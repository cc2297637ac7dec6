#pragma once
/* Which LSN a record has in a copy that leaves some out: runs of neighbours that stayed neighbours. One owner. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal_lsn_map {
  struct journal_lsn_run {
    uint64_t from, to, count; /* first LSN before, first LSN in the copy, how many */
  } * runs;
  size_t count, room;
};

/* In order of both. False: no memory. */
bool journal_lsn_map_add(struct journal_lsn_map *map, uint64_t from, uint64_t to);
/* The LSN in the copy of the last record at or before `lsn`; 0: there is none. */
uint64_t journal_lsn_map_find(const struct journal_lsn_map *map, uint64_t lsn);
void journal_lsn_map_free(struct journal_lsn_map *map);
