/* Every byte of a journal of 1 MiB is changed in turn: `disk_bits [FIRST [COUNT [PROCESSES]]]`. A seed is one of SLICES parts:
 * the bytes whose offset leaves it as remainder, over all files. One bit of each, and of some bytes every bit and all of them:
 * recovery refuses, or gives all that was acknowledged but the last batch; what it does not see, verify does.
 *
 * TRIPLINE_BYTE chooses one byte of the files in order. */
#include "disk_oracle.h"
#include "disk_story.h"
#include "seed_runner.h"
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICES 97u
#define JOURNAL_BYTES (1u << 20)
#define ALL_BITS_EVERY 64u /* bytes of a slice */
#define VERIFY_EVERY 32u   /* of the changes that recovery has seen */

/* Batches of one to seventeen blocks, over eight segments. */
static void make_journal(struct disk_map *map, uint64_t *acked_lsn) {
  struct journal_io *sim = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 9, .latency_most_ns = 1000});
  struct journal_rig rig;
  rig_init(&rig, sim, 1);
  if (rig_open(&rig) < 0) disk_broken("the journal is not made");
  for (uint32_t i = 0; atomic_load(&journal_counters(rig.journal)->batch_bytes) < JOURNAL_BYTES - RIG_SEGMENT_BYTES; i++)
    rig_append(&rig, i % 7 == 6 ? 14 : 1 + i % 3, i % 7 == 6 ? 3500 : 0);
  for (uint32_t i = 0; i < 20; i++) rig_step(&rig, 100000);
  *acked_lsn = journal_durable_lsn(rig.journal);
  rig_close(&rig);
  disk_map_make(map, sim);
  rig_free(&rig);
  sim->operations->destroy(sim);
}

struct bits_run {
  uint64_t seed, acked_lsn;
  struct disk_map map;
  struct journal_io *sim;
  struct disk_tally tally;
  struct disk_case disk;
};

static void restore_file(struct bits_run *run, uint32_t file) {
  if (journal_sim_io_put(run->sim, run->map.image.files[file].name, run->map.image.files[file].bytes,
                         run->map.image.files[file].length) != 0)
    disk_broken("no memory for an image");
}

static void change(struct bits_run *run, uint32_t file, uint64_t offset, uint8_t mask, uint64_t number) {
  char told[160];
  size_t length;
  uint8_t *bytes = journal_sim_io_bytes(run->sim, run->map.image.files[file].name, &length);
  bytes[offset] ^= mask;
  snprintf(told, sizeof told, "%s: offset %" PRIu64 " xor %02x (TRIPLINE_BYTE=%" PRIu64 " disk_bits %" PRIu64 ")",
           run->map.image.files[file].name, offset, mask, number, run->seed);
  struct disk_case *disk = &run->disk;
  *disk = (struct disk_case){.map = &run->map, .sim = run->sim, .acked_lsn = run->acked_lsn, .told = told};
  disk_case_look(disk);
  const uint64_t opened = run->tally.opened;
  disk_check_recovery(disk, &run->tally);
  if (run->tally.opened > opened) {
    /* Recovery has mended it. */
    restore_file(run, file);
    bytes = journal_sim_io_bytes(run->sim, run->map.image.files[file].name, &length);
    bytes[offset] ^= mask;
  }
  if (run->tally.opened > opened || run->tally.images % VERIFY_EVERY == 0) disk_check_verify(disk);
  bytes[offset] ^= mask;
}

static void run_seed(uint64_t seed) {
  struct bits_run *run = calloc(1, sizeof *run);
  struct test_random random = {.state = seed};
  const char *only = getenv("TRIPLINE_BYTE");
  run->seed = seed;
  make_journal(&run->map, &run->acked_lsn);
  run->sim = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 1});
  for (uint32_t file = 0; file < run->map.image.count; file++) restore_file(run, file);
  uint64_t number = 0, changes = 0;
  for (uint32_t file = 0; file < run->map.image.count; file++)
    for (uint64_t offset = 0; offset < run->map.image.files[file].length; offset++, number++) {
      const uint32_t bit = random_below(&random, 8);
      if (number % SLICES != seed % SLICES || (only && strtoull(only, NULL, 10) != number)) continue;
      const bool all = number / SLICES % ALL_BITS_EVERY == 0;
      for (uint32_t i = 0; i < 8; i++)
        if (all || i == bit) change(run, file, offset, (uint8_t)(1u << i), number);
      if (all) change(run, file, offset, 0xff, number);
      changes += all ? 9 : 1;
    }
  printf("seed %" PRIu64 ": %" PRIu64 " changes of %" PRIu64 " bytes with %u headers and batches: %" PRIu64 " refused, %" PRIu64
         " opened, of these %" PRIu64 " without the last batch\n",
         seed, changes, number, run->map.unit_count, run->tally.refused, run->tally.opened, run->tally.lost_batches);
  if (run->tally.lost_more > 0 || number < JOURNAL_BYTES)
    disk_broken("more than the last batch is lost, or too little looked at");
  run->sim->operations->destroy(run->sim);
  disk_map_free(&run->map);
  free(run);
}

int main(int argument_count, char **arguments) {
  /* Recovery's large buffers, a thousand times a second, from the heap and not from the kernel. */
  mallopt(M_MMAP_THRESHOLD, 1 << 26);
  mallopt(M_TRIM_THRESHOLD, 1 << 27);
  return seed_runner(argument_count, arguments, run_seed);
}
