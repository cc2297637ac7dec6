#pragma once
/* What disks do to bytes that were safe: the kinds of damage that a journal must notice, put on a simulated disk by chance. */
#include "disk_map.h"
#include "test_random.h"

enum disk_damage_kind {
  DAMAGE_BITS,            /* 1 to 32 bits of one sector */
  DAMAGE_ZEROED,          /* sectors or blocks, one to several */
  DAMAGE_STALE_SECTOR,    /* 512 bytes or 4 KiB as they once were */
  DAMAGE_STALE_SEGMENT,   /* a whole file as it once was */
  DAMAGE_EARLIER_JOURNAL, /* a segment of a journal that this node had before */
  DAMAGE_OTHER_NODE,      /* a segment of another node */
  DAMAGE_MISDIRECTED,     /* a batch or header went elsewhere, and its place was never written */
  DAMAGE_COPIED,          /* it is in its place, and a copy of it elsewhere */
  DAMAGE_SWAPPED,         /* two blocks */
  DAMAGE_TRUNCATED,
  DAMAGE_EXTENDED,
  DAMAGE_MISSING,   /* a file */
  DAMAGE_DUPLICATE, /* a file under another segment's name */
  DAMAGE_KINDS,
};

/* All of one node, but for the last two. Files have the same names in all. */
struct disk_sources {
  const struct disk_map *map;     /* what is damaged */
  const struct disk_image *older; /* of the same journal; `older_count` of them */
  uint32_t older_count;
  const struct disk_image *earlier; /* another salt */
  const struct disk_image *other;   /* another node */
};

const char *disk_damage_name(enum disk_damage_kind kind);
/* Whether one such damage can reach more than one batch. */
bool disk_damage_is_wide(enum disk_damage_kind kind);
/* Puts it on `sim`, which holds what the map says. `told`: what and where. False: there was nothing to damage so. */
bool disk_damage_put(enum disk_damage_kind kind, const struct disk_sources *sources, struct journal_io *sim,
                     struct test_random *random, char *told, size_t room);
