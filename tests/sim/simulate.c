/* The simulator: `simulate [FIRST [COUNT [PROCESSES]]]` runs COUNT stories from seed FIRST, each in a process of its own. For
 * every seed: a disturbed story; and every fourth seed an undisturbed one on one shard, on the same plan again on several (the
 * same verdicts), and once more (the same in every number). A seed that fails is named, and can be run alone. */
#include "world.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(uint64_t seed, const struct world_result *result) {
  printf("seed %llu: %u shards, %u clients, %u requests, %u connections (%u broken), %u refused, %llu spans, %u violations, "
         "%llu frames (%llu lost, %llu handed over), %u power cuts, %u restarts, %u full disks, %llu s in %llu steps\n",
         (unsigned long long)seed, result->shards, result->clients, result->requests, result->connections, result->broken,
         result->refused, (unsigned long long)result->spans, result->violations, (unsigned long long)result->frames,
         (unsigned long long)result->frames_lost, (unsigned long long)result->frames_handed_over, result->power_cuts,
         result->restarts, result->disk_full, (unsigned long long)(result->simulated_ns / 1000000000),
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

/* Waits for one story to end. Returns whether it ended well. */
static bool reap(pid_t *children, uint64_t *seeds, uint32_t processes) {
  int status = 0;
  const pid_t ended = wait(&status);
  for (uint32_t i = 0; i < processes; i++) {
    if (children[i] != ended) continue;
    children[i] = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    printf("seed %llu FAILED\n", (unsigned long long)seeds[i]);
  }
  return false;
}

int main(int argument_count, char **arguments) {
  enum { PROCESSES_MAX = 64 };
  const uint64_t first = argument_count > 1 ? strtoull(arguments[1], NULL, 10) : 1;
  const uint64_t count = argument_count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
  uint32_t processes = argument_count > 3 ? (uint32_t)strtoul(arguments[3], NULL, 10) : 1;
  pid_t children[PROCESSES_MAX] = {0};
  uint64_t seeds[PROCESSES_MAX] = {0}, failed = 0, started = 0, ended = 0;
  if (processes < 1) processes = 1;
  if (processes > PROCESSES_MAX) processes = PROCESSES_MAX;
  setvbuf(stdout, NULL, _IOLBF, 0);
  while (ended < count) {
    for (uint32_t i = 0; i < processes && started < count; i++) {
      if (children[i]) continue;
      seeds[i] = first + started++;
      fflush(NULL);
      children[i] = fork();
      if (children[i] == 0) {
        run_seed(seeds[i]);
        exit(0);
      }
      if (children[i] < 0) return 2;
    }
    if (!reap(children, seeds, processes)) failed++;
    ended++;
  }
  printf("%llu seeds, %llu failed\n", (unsigned long long)count, (unsigned long long)failed);
  return failed ? 1 : 0;
}
