#include "disk_damage.h"
#include "disk_story.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512u
#define BLOCK JOURNAL_BLOCK_BYTES

const char *disk_damage_name(enum disk_damage_kind kind) {
  static const char *const names[DAMAGE_KINDS] = {"bits",       "zeroed",      "stale sector", "stale segment", "earlier journal",
                                                  "other node", "misdirected", "copied",       "swapped",       "truncated",
                                                  "extended",   "missing",     "duplicate"};
  return names[kind];
}

bool disk_damage_is_wide(enum disk_damage_kind kind) { return kind != DAMAGE_BITS && kind != DAMAGE_STALE_SECTOR; }

/* A file and a place in it, mostly where something stands. */
struct target {
  uint32_t file;
  uint8_t *bytes;
  size_t length;
  size_t offset; /* of a block */
};

static struct target file_target(struct journal_io *sim, const struct disk_map *map, uint32_t file) {
  struct target target = {.file = file};
  target.bytes = journal_sim_io_bytes(sim, map->image.files[file].name, &target.length);
  return target;
}

static struct target any_place(struct journal_io *sim, const struct disk_map *map, struct test_random *random) {
  if (random_below(random, 8) > 0) {
    /* The newest batches matter most: what follows them is not there to prove anything. */
    const uint32_t back = random_below(random, random_below(random, 2) ? 4 : map->unit_count);
    const struct disk_unit *unit = &map->units[map->unit_count - 1 - (back < map->unit_count ? back : 0)];
    struct target target = file_target(sim, map, unit->file);
    target.offset = unit->offset + random_below(random, (uint32_t)(unit->bytes / BLOCK)) * (size_t)BLOCK;
    return target;
  }
  struct target target = file_target(sim, map, random_below(random, map->image.count));
  target.offset = random_below(random, (uint32_t)(target.length / BLOCK)) * (size_t)BLOCK;
  return target;
}

/* A file may be gone, or too short, by damage before this one; and what is being prepared has no length at first. */
static bool is_there(struct target target) { return target.bytes && target.offset + BLOCK <= target.length; }

static bool replace(struct journal_io *sim, const char *name, const void *bytes, size_t length) {
  uint8_t *copy = malloc(length + 1);
  if (length) memcpy(copy, bytes, length);
  const bool done = journal_sim_io_put(sim, name, copy, length) == 0;
  free(copy);
  return done;
}

static bool flip_bits(struct target at, struct test_random *random, size_t *sector) {
  *sector = at.offset + random_below(random, BLOCK / SECTOR) * SECTOR;
  for (uint32_t bits = 1 + random_below(random, random_below(random, 2) ? 1 : 32); bits > 0; bits--) {
    const uint32_t bit = random_below(random, SECTOR * 8);
    at.bytes[*sector + bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  return true;
}

static void zero(struct target at, struct test_random *random, size_t *from, size_t *bytes) {
  const uint32_t how = random_below(random, 4);
  *from = at.offset + (how == 0 ? random_below(random, BLOCK / SECTOR) * SECTOR : 0);
  *bytes = how == 0 ? SECTOR : how < 3 ? BLOCK : (1 + random_below(random, 12)) * (size_t)BLOCK;
  if (*bytes > at.length - *from) *bytes = at.length - *from;
  memset(at.bytes + *from, 0, *bytes);
}

static const struct disk_image *any_older(const struct disk_sources *sources, struct test_random *random) {
  return &sources->older[random_below(random, sources->older_count)];
}

static int file_in(const struct disk_image *image, const char *name) {
  for (uint32_t i = 0; i < image->count; i++)
    if (strcmp(image->files[i].name, name) == 0) return (int)i;
  return -1;
}

static bool put_stale_sector(struct target at, const struct disk_sources *sources, struct test_random *random, size_t *from,
                             size_t *bytes) {
  const struct disk_image *older = any_older(sources, random);
  const int file = file_in(older, sources->map->image.files[at.file].name);
  *bytes = random_below(random, 2) ? SECTOR : BLOCK;
  *from = at.offset + (*bytes == SECTOR ? random_below(random, BLOCK / SECTOR) * SECTOR : 0);
  if (file < 0 || older->files[file].length < *from + *bytes) return false;
  memcpy(at.bytes + *from, older->files[file].bytes + *from, *bytes);
  return true;
}

/* A file of the same name from another disk; of another journal also one that ours does not have yet. */
static bool put_file_of(struct journal_io *sim, const struct disk_image *image, uint32_t file) {
  return image->files[file].length > 0 &&
         replace(sim, image->files[file].name, image->files[file].bytes, image->files[file].length);
}

/* One write that went elsewhere, to the same or another file. */
static bool move(struct journal_io *sim, const struct disk_map *map, struct test_random *random, bool stays, char *told,
                 size_t room) {
  const struct disk_unit *unit = &map->units[random_below(random, map->unit_count)];
  if (random_below(random, 2)) unit = &map->units[map->unit_count - 1];
  const struct target to = any_place(sim, map, random);
  const struct target from = file_target(sim, map, unit->file);
  const size_t offset = random_below(random, 3) ? to.offset : random_below(random, (uint32_t)(to.length / BLOCK)) * (size_t)BLOCK;
  const size_t bytes = unit->bytes < to.length - offset ? unit->bytes : to.length - offset;
  if ((to.file == unit->file && offset == unit->offset) || !is_there(to) || !from.bytes) return false;
  if (from.length < unit->offset + unit->bytes) return false;
  memcpy(to.bytes + offset, map->image.files[unit->file].bytes + unit->offset, bytes);
  /* Where it should have been there is what preparation wrote; unless it landed there in part. */
  const bool overlaps = to.file == unit->file && offset < unit->offset + unit->bytes && unit->offset < offset + bytes;
  if (!stays && !overlaps) memset(from.bytes + unit->offset, 0, unit->bytes);
  snprintf(told, room, "offset %" PRIu64 " of %s to offset %zu of %s", unit->offset, map->image.files[unit->file].name, offset,
           map->image.files[to.file].name);
  return true;
}

static bool swap(struct target one, struct target two) {
  uint8_t block[BLOCK];
  memcpy(block, one.bytes + one.offset, BLOCK);
  memcpy(one.bytes + one.offset, two.bytes + two.offset, BLOCK);
  memcpy(two.bytes + two.offset, block, BLOCK);
  return true;
}

static bool change_length(struct journal_io *sim, const struct disk_map *map, struct target at, struct test_random *random,
                          bool longer, size_t *length) {
  const uint32_t unit = random_below(random, 3) == 0 ? 1 : random_below(random, 2) ? SECTOR : BLOCK;
  *length = longer ? at.length + (1 + random_below(random, 3 * BLOCK)) / unit * unit
                   : random_below(random, (uint32_t)at.length) / unit * unit;
  uint8_t *bytes = calloc(1, *length + 1);
  memcpy(bytes, at.bytes, at.length < *length ? at.length : *length);
  if (longer && random_below(random, 2)) memset(bytes + at.length, 0xa5, *length - at.length);
  const bool done = journal_sim_io_put(sim, map->image.files[at.file].name, bytes, *length) == 0;
  free(bytes);
  return done && *length != at.length;
}

static bool duplicate(struct journal_io *sim, const struct disk_map *map, struct target at, struct test_random *random,
                      uint64_t *segment) {
  char name[SEGMENT_NAME_BYTES];
  *segment = map->segments[random_below(random, map->image.count)];
  if (random_below(random, 4) == 0) *segment += map->image.count;
  if (*segment == 0 || *segment == map->segments[at.file]) return false;
  segment_name(name, *segment, NAME_SEGMENT);
  return replace(sim, name, at.bytes, at.length);
}

bool disk_damage_put(enum disk_damage_kind kind, const struct disk_sources *sources, struct journal_io *sim,
                     struct test_random *random, char *told, size_t room) {
  const struct disk_map *map = sources->map;
  const struct target at = any_place(sim, map, random);
  const char *name = map->image.files[at.file].name;
  size_t from = at.offset, bytes = 0;
  uint64_t segment = 0;
  bool put = false;
  told[0] = 0;
  if (!is_there(at)) return false;
  if (kind == DAMAGE_MISDIRECTED || kind == DAMAGE_COPIED) return move(sim, map, random, kind == DAMAGE_COPIED, told, room);
  if (kind == DAMAGE_BITS) put = flip_bits(at, random, &from);
  if (kind == DAMAGE_STALE_SECTOR) put = put_stale_sector(at, sources, random, &from, &bytes);
  if (kind == DAMAGE_SWAPPED) {
    const struct target other = any_place(sim, map, random);
    put = is_there(other) && swap(at, other);
  }
  if (kind == DAMAGE_TRUNCATED || kind == DAMAGE_EXTENDED)
    put = change_length(sim, map, at, random, kind == DAMAGE_EXTENDED, &from);
  if (kind == DAMAGE_MISSING) put = sim->operations->remove(sim, name) == 0;
  if (kind == DAMAGE_DUPLICATE) put = duplicate(sim, map, at, random, &segment);
  if (kind == DAMAGE_ZEROED) {
    zero(at, random, &from, &bytes);
    put = true;
  }
  if (kind == DAMAGE_STALE_SEGMENT || kind == DAMAGE_EARLIER_JOURNAL || kind == DAMAGE_OTHER_NODE) {
    const struct disk_image *image = kind == DAMAGE_STALE_SEGMENT     ? any_older(sources, random)
                                     : kind == DAMAGE_EARLIER_JOURNAL ? sources->earlier
                                                                      : sources->other;
    const uint32_t file = random_below(random, image->count);
    name = image->files[file].name;
    put = put_file_of(sim, image, file);
  }
  snprintf(told, room, "%s: offset %zu, %zu bytes, segment %" PRIu64, name, from, bytes, segment);
  return put;
}
