/* The simulator of the whole appliance: `simulate [FIRST [COUNT [PROCESSES]]]`. For every seed a disturbed story; and every
 * fourth seed an undisturbed one on one shard, on the same plan again on several (the same verdicts), and once more (the same in
 * every number). */
#include "seed_runner.h"
#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell(uint64_t seed, const struct world_result *result) {
  printf("seed %llu: %u shards, %u clients, %u requests, %u connections (%u broken), %u refused, %llu spans, %u violations, "
         "%llu frames (%llu lost, %llu handed over), %u power cuts, %u restarts, %u full disks, %u soft and %u hard, %llu s in "
         "%llu steps\n",
         (unsigned long long)seed, result->shards, result->clients, result->requests, result->connections, result->broken,
         result->refused, (unsigned long long)result->spans, result->violations, (unsigned long long)result->frames,
         (unsigned long long)result->frames_lost, (unsigned long long)result->frames_handed_over, result->power_cuts,
         result->restarts, result->disk_full, result->soft, result->hard, (unsigned long long)(result->simulated_ns / 1000000000),
         (unsigned long long)result->steps);
}

static void run_undisturbed(uint64_t seed) {
  struct world_result one, several, again;
  const uint16_t shards = (uint16_t)(2 + seed / 4 % 3);
  world_run(&(struct world_story){.seed = seed, .shards = 1, .undisturbed = true}, &one);
  world_run(&(struct world_story){.seed = seed, .shards = shards, .undisturbed = true}, &several);
  world_run(&(struct world_story){.seed = seed, .shards = shards, .undisturbed = true}, &again);
  tell(seed, &several);
  if (one.verdicts != several.verdicts || one.violations != several.violations) {
    fprintf(stderr, "one shard finds %u violations, %u shards %u\n", one.violations, shards, several.violations);
    abort();
  }
  if (memcmp(&several, &again, sizeof again) != 0) {
    tell(seed, &again);
    fprintf(stderr, "the same seed tells another story\n");
    abort();
  }
}

static void run_seed(uint64_t seed) {
  struct world_result result;
  world_run(&(struct world_story){.seed = seed}, &result);
  tell(seed, &result);
  if (seed % 4 == 0) run_undisturbed(seed);
}

int main(int argument_count, char **arguments) { return seed_runner(argument_count, arguments, run_seed); }
