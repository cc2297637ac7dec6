/* Every outcome of a power cut: `disk_cuts [FIRST [COUNT [PROCESSES]]]`. A seed is a story of small records; after each of its
 * turns all subsets of what is not synced are tried, 512-byte sectors, lengths, names and operations under way, each judged in a
 * process of its own. A cut with more than OUTCOMES_MAX of them is tried that often, by chance.
 *
 * TRIPLINE_TURN chooses one turn of a seed; TRIPLINE_TURNS how many. */
#include "disk_story.h"
#include "seed_runner.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 120u
#define CHOICES_MAX 64u
#define OUTCOMES_MAX 4096u
#define SAMPLES 256u
#define RECORD_BYTES 96u
#define CASE_SECONDS 60u

/* Shared with the child that makes them. */
struct choices {
  uint32_t made, count; /* count: that are given; the rest are 0 */
  uint64_t choice[CHOICES_MAX], bound[CHOICES_MAX];
  bool by_chance;
  struct test_random random;
};

static uint64_t choose(void *context, uint64_t bound) {
  struct choices *choices = context;
  if (choices->made == CHOICES_MAX) return random_below(&choices->random, (uint32_t)bound);
  const uint32_t at = choices->made++;
  choices->bound[at] = bound;
  if (choices->by_chance) return random_below(&choices->random, (uint32_t)bound);
  if (at >= choices->count) choices->choice[at] = 0;
  return choices->choice[at];
}

/* The next in the order of the first choices. False: that was the last. */
static bool next(struct choices *choices) {
  uint32_t at = choices->made;
  while (at > 0 && choices->choice[at - 1] + 1 >= choices->bound[at - 1]) at--;
  if (at == 0) return false;
  choices->choice[at - 1]++;
  choices->count = at;
  return true;
}

static double outcomes(const struct choices *choices) {
  double product = 1;
  for (uint32_t i = 0; i < choices->made; i++) product *= (double)choices->bound[i];
  return choices->made == CHOICES_MAX ? OUTCOMES_MAX * 2.0 : product;
}

static void cut(struct disk_story *story, struct choices *choices, uint64_t seed) {
  choices->made = 0;
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    alarm(CASE_SECONDS);
    journal_sim_io_choose(story->sim, choose, choices);
    journal_sim_io_crash(story->sim);
    journal_sim_io_choose(story->sim, NULL, NULL);
    disk_story_stop(story, false);
    disk_story_judge(story);
    _exit(0);
  }
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child && status == 0) return;
  fprintf(stderr, "FAILED: seed %" PRIu64 ", turn %" PRIu64 ", choices", seed, story->turns);
  for (uint32_t i = 0; i < choices->made; i++) fprintf(stderr, " %" PRIu64 "/%" PRIu64, choices->choice[i], choices->bound[i]);
  fprintf(stderr, ": TRIPLINE_TURN=%" PRIu64 " disk_cuts %" PRIu64 "\n", story->turns, seed);
  exit(1);
}

static void run_seed(uint64_t seed) {
  struct disk_story *story = disk_story_create(seed);
  const char *only = getenv("TRIPLINE_TURN"), *many = getenv("TRIPLINE_TURNS");
  const uint64_t turns = many ? strtoull(many, NULL, 10) : TURNS;
  struct choices *choices = mmap(NULL, sizeof *choices, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (choices == MAP_FAILED) disk_broken("no memory");
  uint64_t cuts = 0, exhausted = 0;
  story->record_bytes = RECORD_BYTES;
  if (disk_story_start(story) < 0) disk_broken("the story does not begin");
  for (uint64_t turn = 1; turn <= turns; turn++) {
    if (!disk_story_turn(story)) disk_broken("the story fails without a fault");
    if (only && strtoull(only, NULL, 10) != turn) continue;
    memset(choices, 0, sizeof *choices);
    choices->random.state = seed * 1000003 + turn;
    cut(story, choices, seed);
    cuts++;
    choices->by_chance = outcomes(choices) > OUTCOMES_MAX;
    exhausted += !choices->by_chance;
    for (uint32_t i = 1; choices->by_chance ? i < SAMPLES : next(choices); i++, cuts++) {
      if (choices->by_chance) choices->random.state += i;
      cut(story, choices, seed);
    }
  }
  printf("seed %" PRIu64 ": %" PRIu64 " turns, LSN %" PRIu64 ", %" PRIu64 " power cuts; of %" PRIu64 " turns all outcomes\n",
         seed, turns, story->durable_lsn, cuts, exhausted);
  if (!only && exhausted < turns / 2) disk_broken("too few turns are looked at whole");
  disk_story_destroy(story);
}

int main(int argument_count, char **arguments) { return seed_runner(argument_count, arguments, run_seed); }
