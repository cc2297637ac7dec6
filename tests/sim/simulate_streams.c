/* The simulator of the byte streams: `simulate_streams [FIRST [COUNT [PROCESSES]]]`. */
#include "seed_runner.h"
#include "stream_story.h"
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>

static struct totals { _Atomic uint64_t bytes, transfers, frames, lost; } * totals; /* of all processes */

static void run_seed(uint64_t seed) {
  struct stream_story_result result;
  stream_story_run(seed, &result);
  printf("seed %llu: %u shards, %u clients, %u transfers, %llu bytes, %llu frames (%llu lost, %llu corrupted, %llu reordered, "
         "%llu duplicated), %llu s in %llu steps\n",
         (unsigned long long)seed, result.shards, result.clients, result.transfers, (unsigned long long)result.bytes,
         (unsigned long long)result.frames, (unsigned long long)result.frames_lost, (unsigned long long)result.frames_corrupted,
         (unsigned long long)result.frames_reordered, (unsigned long long)result.frames_duplicated,
         (unsigned long long)(result.simulated_ns / 1000000000), (unsigned long long)result.steps);
  atomic_fetch_add(&totals->bytes, result.bytes);
  atomic_fetch_add(&totals->transfers, result.transfers);
  atomic_fetch_add(&totals->frames, result.frames);
  atomic_fetch_add(&totals->lost, result.frames_lost);
}

int main(int argument_count, char **arguments) {
  totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (totals == MAP_FAILED) return 2;
  const int status = seed_runner(argument_count, arguments, run_seed);
  printf("%llu transfers, %llu bytes each where it belongs, %llu frames of which %llu were lost\n",
         (unsigned long long)totals->transfers, (unsigned long long)totals->bytes, (unsigned long long)totals->frames,
         (unsigned long long)totals->lost);
  return status;
}
