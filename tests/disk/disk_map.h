#pragma once
/* What stands where on a disk that holds a journal: the headers and batches of its segments, the place of each LSN, and a
 * checksum of its record. Made of a whole journal, to hold damaged copies against it. */
#include "journal_format_internal.h"
#include "journal_rig.h"

#define DISK_UNITS_MAX 2048u
#define DISK_MAP_LSNS_MAX 16384u

enum disk_unit_kind { DISK_HEADER, DISK_BATCH };

struct disk_unit {
  enum disk_unit_kind kind;
  uint32_t file; /* of the image */
  uint64_t segment, offset, bytes;
  uint64_t first_lsn, last_lsn; /* of a batch */
};

struct disk_map {
  struct disk_image image; /* owned; files in the order of their names */
  uint64_t segments[16];   /* of each file; 0: none */
  struct disk_unit units[DISK_UNITS_MAX];
  uint32_t unit_count;
  uint64_t first_lsn, last_lsn;
  uint64_t state_lsn, newest; /* segment in use, and what its header says */
  uint32_t unit_of[DISK_MAP_LSNS_MAX];
  uint32_t record[DISK_MAP_LSNS_MAX]; /* checksum; 0: none */
  uint16_t type[DISK_MAP_LSNS_MAX];
};

uint32_t disk_record_sum(const struct record_header *record);
/* Of what `sim` holds now, which must be whole. */
void disk_map_make(struct disk_map *map, struct journal_io *sim);
void disk_map_free(struct disk_map *map);
/* The index of a segment's file, or -1. */
int disk_map_file(const struct disk_map *map, uint64_t segment);
/* Where its batches end; 0: it is not in use. */
uint64_t disk_map_end(const struct disk_map *map, uint64_t segment);
/* Whether the unit is on the disk as the map has it, byte by byte. */
bool disk_unit_intact(const struct disk_map *map, const struct disk_unit *unit, struct journal_io *sim);
