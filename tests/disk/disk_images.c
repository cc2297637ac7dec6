/* Journals on damaged disks: `disk_images [FIRST [COUNT [PROCESSES]]]`. A seed is a story of its own, and IMAGES disks made of
 * it, each damaged in one way or two: what was acknowledged comes back, or recovery refuses and names the place; verify tells,
 * and salvage brings what is whole.
 *
 * TRIPLINE_IMAGE chooses one image of a seed; TRIPLINE_IMAGES how many. */
#include "disk_damage.h"
#include "disk_oracle.h"
#include "disk_story.h"
#include "seed_runner.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES 200u
#define OLDER 3u
#define TURNS_BETWEEN 200u
#define SALVAGE_EVERY 8u
#define TWICE_EVERY 8u

static uint64_t environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

/* A life of that many turns. */
static struct disk_story *tell(uint64_t seed, uint64_t salt, uint8_t node) {
  struct disk_story *story = disk_story_create(seed);
  story->config.salt = salt;
  story->config.node_id[0] = node;
  if (disk_story_start(story) < 0) disk_broken("the story does not begin");
  return story;
}

static void go_on(struct disk_story *story, uint32_t turns) {
  while (turns-- > 0)
    if (!disk_story_turn(story)) disk_broken("the story fails without a fault");
}

static void make_other(uint64_t seed, uint64_t salt, uint8_t node, struct disk_image *image) {
  struct disk_story *story = tell(seed, salt, node);
  go_on(story, TURNS_BETWEEN * 2);
  disk_story_stop(story, false);
  disk_image_take(image, story->sim);
  disk_story_destroy(story);
}

struct names {
  const struct disk_map *map;
  struct journal_io *sim;
};

static void remove_if_new(void *context, const char *name) {
  const struct names *names = context;
  for (uint32_t i = 0; i < names->map->image.count; i++)
    if (strcmp(names->map->image.files[i].name, name) == 0) return;
  names->sim->operations->remove(names->sim, name);
}

static void restore(const struct disk_map *map, struct journal_io *sim) {
  sim->operations->list(sim, remove_if_new, &(struct names){map, sim});
  for (uint32_t i = 0; i < map->image.count; i++) {
    size_t length = 0;
    const uint8_t *bytes = journal_sim_io_bytes(sim, map->image.files[i].name, &length);
    if (bytes && length == map->image.files[i].length && memcmp(bytes, map->image.files[i].bytes, length) == 0) continue;
    if (journal_sim_io_put(sim, map->image.files[i].name, map->image.files[i].bytes, map->image.files[i].length) != 0)
      disk_broken("no memory for an image");
  }
}

struct image_run {
  uint64_t seed, acked_lsn;
  struct disk_map map;
  struct disk_image older[OLDER], earlier, other;
  struct disk_sources sources;
  struct disk_tally tallies[DAMAGE_KINDS];
  struct disk_case disk;
};

static void one_image(struct image_run *run, struct journal_io *sim, uint64_t image) {
  struct test_random random = {.state = run->seed * 0x10001 + image * 0x9e3779b97f4a7c15u};
  char told[256], again[256] = "", all[640];
  restore(&run->map, sim);
  enum disk_damage_kind kind = random_below(&random, DAMAGE_KINDS);
  while (!disk_damage_put(kind, &run->sources, sim, &random, told, sizeof told)) kind = random_below(&random, DAMAGE_KINDS);
  bool wide = disk_damage_is_wide(kind);
  if (random_below(&random, TWICE_EVERY) == 0) {
    const enum disk_damage_kind second = DAMAGE_BITS + random_below(&random, 3);
    disk_damage_put(second, &run->sources, sim, &random, again, sizeof again);
    wide = true;
  }
  snprintf(all, sizeof all,
           "seed %" PRIu64 ", image %" PRIu64 ": %s: %s%s%s (TRIPLINE_IMAGE=%" PRIu64 " disk_images %" PRIu64 ")", run->seed,
           image, disk_damage_name(kind), told, again[0] ? ", and " : "", again, image, run->seed);
  struct disk_case *disk = &run->disk;
  *disk = (struct disk_case){.map = &run->map, .sim = sim, .acked_lsn = run->acked_lsn, .wide = wide, .told = all};
  disk_case_look(disk);
  disk_check_verify(disk);
  if (image % SALVAGE_EVERY == 0) disk_check_salvage(disk, &run->tallies[kind]);
  disk_check_recovery(disk, &run->tallies[kind]);
}

static void report(const struct image_run *run) {
  struct disk_tally sum = {0};
  char lines[2048];
  size_t used = 0;
  for (unsigned kind = 0; kind < DAMAGE_KINDS; kind++) {
    const struct disk_tally *tally = &run->tallies[kind];
    used += (size_t)snprintf(lines + used, sizeof lines - used, " %s %" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%" PRIu64 ",",
                             disk_damage_name(kind), tally->opened, tally->refused, tally->lost_batches, tally->lost_more);
    sum.images += tally->images;
    sum.salvaged += tally->salvaged;
  }
  printf("seed %" PRIu64 ": %u batches and headers, LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64 " images, %" PRIu64
         " records salvaged; opened/refused/last batch lost/more lost:%s\n",
         run->seed, run->map.unit_count, run->map.first_lsn, run->map.last_lsn, sum.images, sum.salvaged, lines);
}

static void run_seed(uint64_t seed) {
  struct image_run *run = calloc(1, sizeof *run);
  struct disk_story *story = tell(seed, 0x1234567890abcdefu, 4);
  run->seed = seed;
  for (uint32_t i = 0; i < OLDER; i++) {
    go_on(story, TURNS_BETWEEN + random_below(&story->random, 30));
    disk_image_take(&run->older[i], story->sim);
  }
  go_on(story, 20 + random_below(&story->random, 200));
  const bool cut = random_below(&story->random, 2);
  disk_story_stop(story, cut);
  run->acked_lsn = story->durable_lsn;
  make_other(seed, 0x1234567890abcde0u, 4, &run->earlier);
  make_other(seed, 0x1234567890abcdefu, 5, &run->other);
  disk_map_make(&run->map, story->sim);
  run->sources = (struct disk_sources){&run->map, run->older, OLDER, &run->earlier, &run->other};
  struct journal_io *sim = journal_sim_io_create(&(struct journal_sim_io_options){.seed = seed});
  const uint64_t images = environment("TRIPLINE_IMAGES", IMAGES), only = environment("TRIPLINE_IMAGE", UINT64_MAX);
  for (uint64_t image = 0; image < images; image++)
    if (only == UINT64_MAX || only == image) one_image(run, sim, image);
  report(run);
  sim->operations->destroy(sim);
  for (uint32_t i = 0; i < OLDER; i++) disk_image_free(&run->older[i]);
  disk_image_free(&run->earlier);
  disk_image_free(&run->other);
  disk_map_free(&run->map);
  disk_story_destroy(story);
  free(run);
}

int main(int argument_count, char **arguments) {
  /* Recovery's large buffers, a thousand times a second, from the heap and not from the kernel. */
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 27);
  return seed_runner(argument_count, arguments, run_seed);
}
