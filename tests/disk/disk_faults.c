/* Every operation of a run of 10,000 goes wrong in turn: `disk_faults [FIRST [COUNT [PROCESSES]]]`. The seeds up to SLICES are
 * parts of one story: the operations whose number leaves the same remainder. Each seed above them is a story of its own, of which
 * a few operations go wrong. At each the process splits: in the child the operation goes wrong, the story goes on for a while,
 * the power goes or the process dies, and what the disk holds is judged.
 *
 * TRIPLINE_OPERATION and TRIPLINE_FAULT choose one case of a seed; TRIPLINE_IMAGES how many power cuts each case ends with. */
#include "disk_story.h"
#include "journal_fault_io.h"
#include "seed_runner.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICES 64u
#define FEW_SLICES 1000u /* of a story that is not looked at whole */
#define OPERATIONS 10000u
#define TURNS_AFTER 60u
#define TURNS_TO_END 4u /* as many rounds of TURNS_AFTER, for some */
#define CASE_SECONDS 60u
#define LOST_TURNS 400u

/* What the documents say of it. */
enum outcome {
  FINAL,   /* the journal has failed */
  GOES_ON, /* tried again, or of no matter */
  WAITS,   /* no room: producers are pushed back, and it goes on */
  SILENT,  /* nothing is ever heard of it */
};

struct fault_case {
  const char *name;
  enum journal_fault_manner manner;
  int error;
  uint64_t bytes, times;
  enum outcome outcome; /* when the journal asked */
};

static const struct fault_case calls[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},
    {"EIO, done", FAULT_DONE, -EIO, 0, 0, FINAL},
    {"EROFS", FAULT_NOT_DONE, -EROFS, 0, 0, FINAL},
    {"EBADF", FAULT_NOT_DONE, -EBADF, 0, 0, FINAL},
};
static const struct fault_case opens[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},       {"EROFS", FAULT_NOT_DONE, -EROFS, 0, 0, FINAL},
    {"EMFILE", FAULT_NOT_DONE, -EMFILE, 0, 0, FINAL}, {"ENOSPC", FAULT_NOT_DONE, -ENOSPC, 0, 0, WAITS},
    {"EDQUOT", FAULT_NOT_DONE, -EDQUOT, 0, 0, WAITS},
};
static const struct fault_case submits[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},
    {"EBADF", FAULT_NOT_DONE, -EBADF, 0, 0, FINAL},
    {"queue full", FAULT_NOT_DONE, -EAGAIN, 0, 0, GOES_ON},
    {"queue full for long", FAULT_NOT_DONE, -EAGAIN, 0, 100, GOES_ON},
};
static const struct fault_case reaps[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},
    {"completions dropped", FAULT_NOT_DONE, -EBADR, 0, 0, FINAL},
};
/* Of batches and headers. */
static const struct fault_case durable_writes[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},
    {"EIO, done", FAULT_DONE, -EIO, 0, 0, FINAL},
    {"ENOSPC", FAULT_NOT_DONE, -ENOSPC, 0, 0, FINAL},
    {"EDQUOT", FAULT_NOT_DONE, -EDQUOT, 0, 0, FINAL},
    {"EROFS", FAULT_NOT_DONE, -EROFS, 0, 0, FINAL},
    {"EBADF", FAULT_NOT_DONE, -EBADF, 0, 0, FINAL},
    {"EAGAIN", FAULT_NOT_DONE, -EAGAIN, 0, 0, GOES_ON},
    {"EAGAIN, done", FAULT_DONE, -EAGAIN, 0, 0, GOES_ON},
    {"EINTR", FAULT_NOT_DONE, -EINTR, 0, 0, GOES_ON},
    {"EINTR, 50 times", FAULT_NOT_DONE, -EINTR, 0, 50, GOES_ON},
    {"ECANCELED", FAULT_NOT_DONE, -ECANCELED, 0, 0, GOES_ON},
    {"ECANCELED, done", FAULT_DONE, -ECANCELED, 0, 0, GOES_ON},
    {"short by all", FAULT_SHORT, 0, 0, 0, GOES_ON},
    {"short within a block", FAULT_SHORT, 0, 1000, 0, GOES_ON},
    {"short by blocks", FAULT_SHORT, 0, 4096, 0, GOES_ON},
    {"never completes", FAULT_LOST, 0, 0, 0, SILENT},
};
/* Of a segment in preparation, before it has its name. */
static const struct fault_case preparations[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},         {"EIO, done", FAULT_DONE, -EIO, 0, 0, FINAL},
    {"EROFS", FAULT_NOT_DONE, -EROFS, 0, 0, FINAL},     {"EBADF", FAULT_NOT_DONE, -EBADF, 0, 0, FINAL},
    {"ENOSPC", FAULT_NOT_DONE, -ENOSPC, 0, 0, WAITS},   {"ENOSPC, done", FAULT_DONE, -ENOSPC, 0, 0, WAITS},
    {"EDQUOT", FAULT_NOT_DONE, -EDQUOT, 0, 0, WAITS},   {"ENOSPC, 5 times", FAULT_NOT_DONE, -ENOSPC, 0, 5, WAITS},
    {"EAGAIN", FAULT_NOT_DONE, -EAGAIN, 0, 0, GOES_ON}, {"EINTR", FAULT_NOT_DONE, -EINTR, 0, 0, GOES_ON},
    {"never completes", FAULT_LOST, 0, 0, 0, SILENT},
};
static const struct fault_case short_zeros[] = {
    {"short by all", FAULT_SHORT, 0, 0, 0, GOES_ON},
    {"short by blocks", FAULT_SHORT, 0, 8192, 0, GOES_ON},
};
static const struct fault_case no_allocation[] = {{"EOPNOTSUPP", FAULT_NOT_DONE, -EOPNOTSUPP, 0, 0, GOES_ON}};
/* Renames, and the directory's sync. */
static const struct fault_case names[] = {
    {"EIO", FAULT_NOT_DONE, -EIO, 0, 0, FINAL},         {"EIO, done", FAULT_DONE, -EIO, 0, 0, FINAL},
    {"ENOSPC", FAULT_NOT_DONE, -ENOSPC, 0, 0, FINAL},   {"EROFS", FAULT_NOT_DONE, -EROFS, 0, 0, FINAL},
    {"EAGAIN", FAULT_NOT_DONE, -EAGAIN, 0, 0, GOES_ON}, {"EINTR", FAULT_NOT_DONE, -EINTR, 0, 0, GOES_ON},
    {"never completes", FAULT_LOST, 0, 0, 0, SILENT},
};

struct fault_list {
  const struct fault_case *cases;
  size_t count;
};
#define LIST(of) ((struct fault_list){of, sizeof(of) / sizeof(of)[0]})

/* Up to two lists of what can happen at a point. */
static void lists_of(unsigned point, struct fault_list lists[2]) {
  lists[1] = (struct fault_list){NULL, 0};
  switch (point) {
  case FAULT_OPEN:
    lists[0] = LIST(opens);
    return;
  case FAULT_SUBMIT:
    lists[0] = LIST(submits);
    return;
  case FAULT_REAP:
    lists[0] = LIST(reaps);
    return;
  case FAULT_COMPLETE + JOURNAL_IO_WRITE_DURABLE:
    lists[0] = LIST(durable_writes);
    return;
  case FAULT_COMPLETE + JOURNAL_IO_WRITE:
  case FAULT_COMPLETE + JOURNAL_IO_SYNC:
  case FAULT_COMPLETE + JOURNAL_IO_ALLOCATE:
    lists[0] = LIST(preparations);
    if (point == FAULT_COMPLETE + JOURNAL_IO_WRITE) lists[1] = LIST(short_zeros);
    if (point == FAULT_COMPLETE + JOURNAL_IO_ALLOCATE) lists[1] = LIST(no_allocation);
    return;
  case FAULT_COMPLETE + JOURNAL_IO_RENAME:
  case FAULT_COMPLETE + JOURNAL_IO_SYNC_DIRECTORY:
    lists[0] = LIST(names);
    return;
  default:
    lists[0] = LIST(calls);
  }
}

struct fault_run {
  struct disk_story *story;
  uint64_t seed, slices, slice;
  uint64_t operations;
  uint64_t cases, broken;
  uint64_t images;
  int64_t only_operation, only_fault;
  /* In the child: */
  const struct fault_case *fault;
  unsigned point;
  enum disk_actor actor; /* who asked */
};

static uint64_t environment(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Nothing is acknowledged behind a completion that does not come, and after a while the journal says so. */
static void wait_in_vain(struct fault_run *run) {
  struct disk_story *story = run->story;
  bool good = story->journal && !story->failed;
  for (uint32_t i = 0; good && i < LOST_TURNS; i++) good = disk_story_turn(story);
  if (good) good = disk_story_drain(story) == 0;
  if (!story->journal) {
    if (story->failed != -ETIMEDOUT) disk_broken("the disk does not answer, and the start says %s", strerror(-story->failed));
    return;
  }
  const bool of_batch = run->point == FAULT_COMPLETE + JOURNAL_IO_WRITE_DURABLE;
  if (!good && story->failed != -ETIMEDOUT)
    disk_broken("the disk does not answer, and the drain says %s", strerror(-story->failed));
  if (good && of_batch) disk_broken("all is durable with a write that never ended");
  if (!good && journal_stalled(story->journal) != -ETIMEDOUT) disk_broken("the disk does not answer, and nobody is told");
}

static void after_fault(struct fault_run *run) {
  struct disk_story *story = run->story;
  const struct fault_case *fault = run->fault;
  const bool journal_asked = run->actor == DISK_JOURNAL;
  story->cut_off = true;
  if (fault->outcome == SILENT) {
    wait_in_vain(run);
    return;
  }
  const uint32_t rounds = run->operations % 16 == 0 ? TURNS_TO_END : 1;
  bool good = story->journal != NULL && !story->failed;
  for (uint32_t i = 0; good && i < rounds * TURNS_AFTER; i++) good = disk_story_turn(story);
  if (good) good = disk_story_drain(story) == 0;
  if (!story->journal && run->actor != DISK_START) disk_broken("it does not open again");
  /* A full disk is asked again after a second. */
  for (uint32_t i = 0; !good && story->journal && story->failed == -ENOSPC && fault->outcome == WAITS && i < 10; i++) {
    story->failed = 0;
    story->now_ns += 1000000000u;
    journal_sim_io_set_time(story->sim, story->now_ns);
    good = disk_story_drain(story) == 0;
  }
  const bool final = journal_asked && fault->outcome == FINAL;
  if (final && story->failed != fault->error) disk_broken("the journal says %s", good ? "nothing" : strerror(-story->failed));
  if (!final && run->actor != DISK_START && !good) disk_broken("the journal fails: %s", strerror(-story->failed));
}

static void judge_image(struct fault_run *run, uint64_t image) {
  journal_sim_io_reseed(run->story->sim, run->seed * 1000003 + run->operations * 31 + image);
  disk_story_stop(run->story, image > 0 || run->operations % 3 != 0);
  disk_story_judge(run->story);
}

/* The child's end: every image but one in a process of its own. */
_Noreturn static void judge_all(struct fault_run *run) {
  for (uint64_t image = 1; image < run->images; image++) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(CASE_SECONDS);
      judge_image(run, image);
      _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) _exit(1);
  }
  judge_image(run, 0);
  _exit(0);
}

/* Returns in the child, with the fault armed for the operation at hand. */
static void split(struct fault_run *run, unsigned point, const struct fault_case *fault, uint64_t number) {
  if (run->only_fault >= 0 && (uint64_t)run->only_fault != number) return;
  run->cases++;
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    alarm(CASE_SECONDS);
    run->fault = fault;
    run->point = point;
    run->actor = run->story->actor;
    journal_fault_io_watch(run->story->io, NULL, NULL);
    journal_fault_io_arm(run->story->io, &(struct journal_fault){.point = (enum journal_fault_point)point,
                                                                 .nth = 1,
                                                                 .manner = fault->manner,
                                                                 .error = fault->error,
                                                                 .bytes = fault->bytes,
                                                                 .times = fault->times});
    return;
  }
  int status = 0;
  if (child > 0 && waitpid(child, &status, 0) == child && status == 0) return;
  run->broken++;
  fprintf(stderr,
          "FAILED: seed %" PRIu64 ", operation %" PRIu64 " (point %u), %s: TRIPLINE_OPERATION=%" PRIu64 " TRIPLINE_FAULT=%" PRIu64
          " disk_faults %" PRIu64 "\n",
          run->seed, run->operations, point, fault->name, run->operations, number, run->seed);
}

static void watch(void *context, unsigned point) {
  struct fault_run *run = context;
  const uint64_t operation = ++run->operations;
  if (run->only_operation >= 0 ? operation != (uint64_t)run->only_operation : operation % run->slices != run->slice) return;
  struct fault_list lists[2];
  lists_of(point, lists);
  uint64_t number = 0;
  for (unsigned list = 0; list < 2; list++)
    for (size_t i = 0; i < lists[list].count && !run->fault; i++) split(run, point, &lists[list].cases[i], number++);
}

static void run_seed(uint64_t seed) {
  struct fault_run run = {.seed = seed,
                          .slices = seed <= SLICES ? SLICES : FEW_SLICES,
                          .slice = seed % (seed <= SLICES ? SLICES : FEW_SLICES),
                          .story = disk_story_create(seed <= SLICES ? 1 : seed),
                          .images = environment("TRIPLINE_IMAGES", 1),
                          .only_operation = (int64_t)environment("TRIPLINE_OPERATION", UINT64_MAX),
                          .only_fault = (int64_t)environment("TRIPLINE_FAULT", UINT64_MAX)};
  struct disk_story *story = run.story;
  journal_fault_io_watch(story->io, watch, &run);
  bool good = disk_story_start(story) == 0;
  while (!run.fault && run.operations < OPERATIONS) {
    if (!good) disk_broken("the story fails without a fault");
    good = disk_story_turn(story);
  }
  if (run.fault) {
    after_fault(&run);
    judge_all(&run);
  }
  if (story->segments_removed == 0 || story->snapshots == 0 || story->checkpoints == 0 || story->power_cuts == 0 ||
      story->restarts == story->power_cuts || story->state_lsn == 0 || story->reader_errors > 0)
    disk_broken("the story is too short to prove anything");
  disk_story_stop(story, true);
  disk_story_judge(story);
  printf("seed %" PRIu64 ": %" PRIu64 " operations, LSN %" PRIu64 ", %" PRIu64 " restarts, %" PRIu64 " segments removed, %" PRIu64
         " faults, %" PRIu64 " broken\n",
         seed, run.operations, story->durable_lsn, story->restarts, story->segments_removed, run.cases, run.broken);
  disk_story_destroy(story);
  if (run.broken) exit(1);
}

int main(int argument_count, char **arguments) { return seed_runner(argument_count, arguments, run_seed); }
