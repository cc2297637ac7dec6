#include "disk_oracle.h"
#include "disk_story.h"
#include "journal_salvage.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES (64u * 1024u)
#define SALVAGED_MAX DISK_MAP_LSNS_MAX

__attribute__((format(printf, 2, 3), noreturn)) static void broken(const struct disk_case *disk, const char *format, ...) {
  char law[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(law, sizeof law, format, arguments);
  va_end(arguments);
  disk_broken("%s\n  after %s", law, disk->told);
}

void disk_case_look(struct disk_case *disk) {
  disk->damaged_units = 0;
  for (uint32_t i = 0; i < disk->map->unit_count; i++) {
    disk->intact[i] = disk_unit_intact(disk->map, &disk->map->units[i], disk->sim);
    disk->damaged_units += !disk->intact[i];
  }
}

/* LSNs after the map's last were written, and never acknowledged: any of them may come to light. So may a segment that retention
 * has removed. */
static bool record_is_right(const struct disk_map *map, uint64_t lsn, const struct record_header *record) {
  if (lsn > map->last_lsn || lsn < map->first_lsn) return true;
  return lsn < DISK_MAP_LSNS_MAX && map->record[lsn] == disk_record_sum(record);
}

static void verify_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  const struct disk_case *disk = context;
  if (!record_is_right(disk->map, lsn, record))
    broken(disk, "verify gives a wrong record as LSN %" PRIu64 " (segment %" PRIu64 ", offset %" PRIu64 ")", lsn, segment,
           offset);
}

/* From this unit on none is whole: what is lost there may look as if it had never been written. */
static uint32_t lost_from(const struct disk_case *disk) {
  uint32_t from = disk->map->unit_count;
  while (from > 0 && !disk->intact[from - 1]) from--;
  return from;
}

static bool must_be_told(const struct disk_case *disk) {
  const uint32_t end = lost_from(disk);
  for (uint32_t i = 0; i < end; i++)
    if (!disk->intact[i]) return true;
  return false;
}

/* Whether the oldest segments are gone, as after retention: nothing but recovery can tell. */
static bool only_oldest_missing(const struct disk_case *disk) {
  uint32_t i = 0;
  const uint32_t end = lost_from(disk);
  for (size_t length; i < end && !disk->intact[i]; i++)
    if (journal_sim_io_bytes(disk->sim, disk->map->image.files[disk->map->units[i].file].name, &length)) return false;
  for (; i < end; i++)
    if (!disk->intact[i]) return false;
  return true;
}

void disk_check_verify(const struct disk_case *disk) {
  const struct journal_scan_handler handler = {.context = (void *)(uintptr_t)disk, .record = verify_record};
  struct journal_scan scan;
  const int result = journal_scan(disk->sim, &handler, &scan);
  if (result < 0 && result != -EPROTONOSUPPORT) broken(disk, "verify says %s", strerror(-result));
  if (result == 0 && scan.damages == 0 && must_be_told(disk) && !only_oldest_missing(disk))
    broken(disk, "verify finds nothing, and %u headers and batches are damaged", disk->damaged_units);
  if (result == 0 && scan.damages == 0 && disk->damaged_units == 0 && scan.last_lsn < disk->acked_lsn)
    broken(disk, "verify ends at LSN %" PRIu64, scan.last_lsn);
}

struct salvaged {
  uint32_t count;
  uint32_t sums[SALVAGED_MAX];
};

static void take_salvaged(void *context, uint64_t lsn, const struct record_header *record) {
  struct salvaged *salvaged = context;
  (void)lsn;
  if (salvaged->count < SALVAGED_MAX) salvaged->sums[salvaged->count++] = disk_record_sum(record);
}

static void read_salvaged(const struct disk_case *disk, struct journal_io *to, struct salvaged *salvaged) {
  struct heap_arena *arena = heap_arena_create();
  struct journal_config config = {.io = to,
                                  .segment_bytes = RIG_SEGMENT_BYTES,
                                  .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST,
                                  .segments_ahead = 1,
                                  .ring_count = 1,
                                  .rings = {record_ring_create(heap_arena_arena(arena), RING_BYTES)}};
  memcpy(config.node_id,
         ((const struct segment_header *)(const void *)disk->map->image.files[disk->map->units[0].file].bytes)->node_id,
         sizeof config.node_id);
  struct journal_recovery recovery;
  int error;
  struct journal *journal = journal_open(&config, take_salvaged, salvaged, &recovery, &error);
  if (!journal) broken(disk, "what was salvaged does not open: %s", recovery.refusal);
  journal_close(journal);
  heap_arena_destroy(arena);
}

static bool is_salvaged(const struct disk_map *map, uint64_t lsn) {
  return map->type[lsn] != RECORD_RETENTION && map->type[lsn] != RECORD_CHECKPOINT;
}

/* After what a segment held that retention had removed and that came back. */
static uint32_t first_salvaged(const struct disk_case *disk, const struct salvaged *salvaged) {
  const struct disk_map *map = disk->map;
  uint64_t lsn = map->first_lsn;
  while (lsn < map->last_lsn && (!is_salvaged(map, lsn) || !disk->intact[map->unit_of[lsn]])) lsn++;
  uint32_t at = 0;
  while (at < salvaged->count && salvaged->sums[at] != map->record[lsn]) at++;
  return at < salvaged->count ? at : 0;
}

/* Every whole batch's records are there; whatever is there is in order and was there before. */
static void hold_salvaged(const struct disk_case *disk, const struct salvaged *salvaged) {
  const struct disk_map *map = disk->map;
  uint32_t at = first_salvaged(disk, salvaged);
  for (uint64_t lsn = map->first_lsn; lsn <= map->last_lsn; lsn++) {
    if (!is_salvaged(map, lsn)) continue;
    if (at < salvaged->count && salvaged->sums[at] == map->record[lsn])
      at++;
    else if (disk->intact[map->unit_of[lsn]])
      broken(disk, "salvage leaves LSN %" PRIu64 " behind (record %u of %u), and its batch is whole", lsn, at, salvaged->count);
  }
  /* After the last acknowledged one may come what was never acknowledged. */
  if (at < salvaged->count && map->last_lsn >= disk->acked_lsn && disk->damaged_units > 0 && salvaged->count - at > 64)
    broken(disk, "salvage brings %u records that were not there, or not in that order", salvaged->count - at);
}

void disk_check_salvage(const struct disk_case *disk, struct disk_tally *tally) {
  struct journal_io *to = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  struct salvaged *salvaged = calloc(1, sizeof *salvaged);
  struct journal_scan scan;
  const char *why;
  uint64_t records;
  const int result = journal_salvage(disk->sim, to, 77, &(struct journal_scan_handler){0}, &scan, &records, &why);
  if (result == 0) {
    read_salvaged(disk, to, salvaged);
    hold_salvaged(disk, salvaged);
    tally->salvaged += salvaged->count;
  } else if (result != -EPROTONOSUPPORT && result != -ENODATA) {
    broken(disk, "salvage fails: %s (%s)", why, strerror(-result));
  }
  free(salvaged);
  to->operations->destroy(to);
}

struct recovered {
  const struct disk_case *disk;
  uint64_t first_lsn, last_lsn;
};

static void visit(void *context, uint64_t lsn, const struct record_header *record) {
  struct recovered *recovered = context;
  if (recovered->first_lsn && lsn != recovered->last_lsn + 1)
    broken(recovered->disk, "recovery leaves a gap at LSN %" PRIu64, lsn);
  if (recovered->first_lsn == 0) recovered->first_lsn = lsn;
  recovered->last_lsn = lsn;
  if (!record_is_right(recovered->disk->map, lsn, record))
    broken(recovered->disk, "recovery gives a wrong record as LSN %" PRIu64, lsn);
}

static void hold_opened(const struct disk_case *disk, const struct recovered *recovered, uint64_t last_lsn,
                        struct disk_tally *tally) {
  const struct disk_map *map = disk->map;
  uint32_t lost = 0;
  if (recovered->first_lsn > 1 && recovered->first_lsn > map->state_lsn && recovered->first_lsn > map->first_lsn)
    broken(disk, "recovery begins at LSN %" PRIu64 ", the state at %" PRIu64, recovered->first_lsn, map->state_lsn);
  for (uint32_t i = 0; i < map->unit_count; i++) {
    const struct disk_unit *unit = &map->units[i];
    if (unit->kind != DISK_BATCH || unit->last_lsn <= last_lsn || unit->first_lsn > disk->acked_lsn) continue;
    if (disk->intact[i])
      broken(disk, "recovery ends at LSN %" PRIu64 ", and the batch of LSN %" PRIu64 " is whole", last_lsn, unit->first_lsn);
    lost++;
  }
  if (lost > 1 && !disk->wide) broken(disk, "%u batches are lost by damage of one sector", lost);
  tally->opened++;
  tally->lost_batches += lost > 0;
  tally->lost_more += lost > 1;
}

/* Whether the refusal names this unit: its file, and the offset and LSN where it should be. */
static bool names(const char *refusal, const struct disk_map *map, const struct disk_unit *unit) {
  char place[96], segment[48];
  if (unit->kind == DISK_BATCH) {
    snprintf(place, sizeof place, "%s: offset %" PRIu64 ":", map->image.files[unit->file].name, unit->offset);
    if (strstr(refusal, place)) return true;
  }
  snprintf(segment, sizeof segment, "egment %" PRIu64, unit->segment);
  return unit->kind == DISK_HEADER && (strstr(refusal, map->image.files[unit->file].name) || strstr(refusal, segment));
}

/* A file that is cut short, longer, or not the map's at all. */
static bool names_file(const char *refusal, const struct disk_case *disk) {
  const struct disk_map *map = disk->map;
  for (uint64_t segment = 1; segment <= map->newest + 64; segment++) {
    char name[SEGMENT_NAME_BYTES];
    segment_name(name, segment, NAME_SEGMENT);
    if (!strstr(refusal, name)) continue;
    const int file = disk_map_file(map, segment);
    size_t length = 0;
    const uint8_t *bytes = journal_sim_io_bytes(disk->sim, name, &length);
    if (file < 0) return bytes != NULL;
    if (!bytes || length != map->image.files[file].length) return true;
    /* After its last batch, if any. */
    const uint64_t end = disk_map_end(map, segment);
    if (memcmp(bytes + end, map->image.files[file].bytes + end, length - end) != 0) return true;
  }
  return false;
}

static bool names_missing(const char *refusal, const struct disk_case *disk, uint32_t file) {
  char segment[48];
  size_t length = 0;
  snprintf(segment, sizeof segment, "segment %" PRIu64 " ", disk->map->segments[file]);
  return strstr(refusal, segment) && !journal_sim_io_bytes(disk->sim, disk->map->image.files[file].name, &length);
}

struct strangers {
  const struct disk_map *map;
  bool any;
};

static void look_for_stranger(void *context, const char *name) {
  struct strangers *strangers = context;
  uint64_t segment;
  if (segment_name_parse(name, &segment) == NAME_SEGMENT && disk_map_file(strangers->map, segment) < 0) strangers->any = true;
}

/* A file that was removed long ago came back: those between it and the oldest are missing, then. */
static bool names_gap_after_stranger(const char *refusal, const struct disk_case *disk) {
  struct strangers strangers = {.map = disk->map};
  disk->sim->operations->list(disk->sim, look_for_stranger, &strangers);
  return strangers.any && strstr(refusal, "is missing");
}

static void hold_refused(const struct disk_case *disk, int error, const char *refusal, struct disk_tally *tally) {
  const struct disk_map *map = disk->map;
  if (error != -EBADMSG && error != -EPERM && error != -EPROTONOSUPPORT)
    broken(disk, "recovery fails with %s: %s", strerror(-error), refusal);
  bool named = false;
  for (uint32_t i = 0; i < map->unit_count && !named; i++) named = !disk->intact[i] && names(refusal, map, &map->units[i]);
  for (uint32_t i = 0; i < map->image.count && !named; i++) named = names_missing(refusal, disk, i);
  /* What retention removed is known from the newest segment. */
  if (!named && lost_from(disk) < map->unit_count) named = strstr(refusal, "is missing") != NULL;
  if (!named && !names_file(refusal, disk) && !names_gap_after_stranger(refusal, disk))
    broken(disk, "the place is not that of the damage: %s", refusal);
  tally->refused++;
}

void disk_check_recovery(const struct disk_case *disk, struct disk_tally *tally) {
  struct heap_arena *arena = heap_arena_create();
  struct recovered recovered = {.disk = disk};
  const struct segment_header *header = (const void *)disk->map->image.files[disk->map->units[0].file].bytes;
  struct journal_config config = {.io = disk->sim,
                                  .segment_bytes = RIG_SEGMENT_BYTES,
                                  .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST,
                                  .segments_ahead = 1,
                                  .hash_chain = true,
                                  .ring_count = 1,
                                  .rings = {record_ring_create(heap_arena_arena(arena), RING_BYTES)}};
  memcpy(config.node_id, header->node_id, sizeof config.node_id);
  struct journal_recovery recovery;
  int error;
  struct journal *journal = journal_open(&config, visit, &recovered, &recovery, &error);
  tally->images++;
  if (journal)
    hold_opened(disk, &recovered, recovery.next_lsn - 1, tally);
  else
    hold_refused(disk, error, recovery.refusal, tally);
  journal_close(journal);
  heap_arena_destroy(arena);
}
