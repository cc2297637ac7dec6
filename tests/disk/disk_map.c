#include "disk_map.h"
#include "disk_story.h"
#include "journal_scan.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

uint32_t disk_record_sum(const struct record_header *record) {
  const uint32_t sum = journal_checksum(0x5a5a5a5au, record, record->bytes);
  return sum ? sum : 1;
}

static int compare_names(const void *left, const void *right) { return strcmp(left, right); }

static void add_unit(struct disk_map *map, struct disk_unit unit) {
  if (map->unit_count == DISK_UNITS_MAX) disk_broken("more batches than a map holds");
  for (uint64_t lsn = unit.first_lsn; lsn && lsn <= unit.last_lsn; lsn++) {
    if (lsn >= DISK_MAP_LSNS_MAX) disk_broken("more records than a map holds");
    map->unit_of[lsn] = map->unit_count;
  }
  map->units[map->unit_count++] = unit;
}

static void take_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct disk_map *map = context;
  const struct disk_unit *unit = map->unit_count ? &map->units[map->unit_count - 1] : NULL;
  if (!unit || unit->kind != DISK_BATCH || unit->segment != segment || unit->offset != offset) {
    const int file = disk_map_file(map, segment);
    const struct batch_header *batch = (const void *)(map->image.files[file].bytes + offset);
    add_unit(map, (struct disk_unit){DISK_BATCH, (uint32_t)file, segment, offset, batch->batch_bytes, lsn,
                                     lsn + batch->record_count - 1});
  }
  if (map->first_lsn == 0) map->first_lsn = lsn;
  map->last_lsn = lsn;
  map->record[lsn] = disk_record_sum(record);
  map->type[lsn] = record->type;
}

static void take_segment(void *context, const struct segment_header *header) {
  struct disk_map *map = context;
  add_unit(map, (struct disk_unit){DISK_HEADER, (uint32_t)disk_map_file(map, header->segment), header->segment, 0,
                                   JOURNAL_BLOCK_BYTES, 0, 0});
  map->newest = header->segment;
  map->state_lsn = header->state_lsn;
}

static void refuse_damage(void *context, const struct journal_damage *damage) {
  (void)context;
  disk_broken("the journal to be damaged is damaged already: %s: %s", damage->file, damage->what);
}

void disk_map_make(struct disk_map *map, struct journal_io *sim) {
  memset(map, 0, sizeof *map);
  disk_image_take(&map->image, sim);
  qsort(map->image.files, map->image.count, sizeof map->image.files[0], compare_names);
  for (uint32_t i = 0; i < map->image.count; i++)
    if (segment_name_parse(map->image.files[i].name, &map->segments[i]) != NAME_SEGMENT) map->segments[i] = 0;
  const struct journal_scan_handler handler = {
      .context = map, .segment = take_segment, .record = take_record, .damage = refuse_damage};
  struct journal_scan scan;
  if (journal_scan(sim, &handler, &scan) != 0) disk_broken("the journal to be damaged cannot be read");
}

void disk_map_free(struct disk_map *map) { disk_image_free(&map->image); }

int disk_map_file(const struct disk_map *map, uint64_t segment) {
  for (uint32_t i = 0; i < map->image.count; i++)
    if (map->segments[i] == segment) return (int)i;
  return -1;
}

uint64_t disk_map_end(const struct disk_map *map, uint64_t segment) {
  uint64_t end = 0;
  for (uint32_t i = 0; i < map->unit_count; i++)
    if (map->units[i].segment == segment) end = map->units[i].offset + map->units[i].bytes;
  return end;
}

bool disk_unit_intact(const struct disk_map *map, const struct disk_unit *unit, struct journal_io *sim) {
  size_t length;
  const uint8_t *bytes = journal_sim_io_bytes(sim, map->image.files[unit->file].name, &length);
  return bytes && length >= unit->offset + unit->bytes &&
         memcmp(bytes + unit->offset, map->image.files[unit->file].bytes + unit->offset, unit->bytes) == 0;
}
