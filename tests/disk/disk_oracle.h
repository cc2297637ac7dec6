#pragma once
/* What recovery, verify and salvage may say of a damaged disk, held against the journal as it was. A broken law ends the process.
 */
#include "disk_map.h"

struct disk_case {
  const struct disk_map *map;
  struct journal_io *sim; /* damaged */
  uint64_t acked_lsn;     /* of what the map holds */
  bool wide;              /* the damage may reach more than one batch */
  const char *told;       /* what was done */
  bool intact[DISK_UNITS_MAX];
  uint32_t damaged_units;
};

struct disk_tally {
  uint64_t images, opened, refused, lost_batches, lost_more, salvaged;
};

void disk_case_look(struct disk_case *disk);
/* Before recovery, which mends: verify reads every record right, and tells of damage. */
void disk_check_verify(const struct disk_case *disk);
/* Before recovery: salvage brings over every record of a whole batch, once, in order. */
void disk_check_salvage(const struct disk_case *disk, struct disk_tally *tally);
/* Changes the disk. */
void disk_check_recovery(const struct disk_case *disk, struct disk_tally *tally);
