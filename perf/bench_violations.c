/* Queries for violations, beside reading the whole log for the same answer. A journal of COUNT violations is written first; each
 * answer is checked. Usage: bench_violations [DIRECTORY [COUNT]]. */
#include "bench.h"
#include "bench_directory.h"
#include "heap_arena.h"
#include "journal.h"
#include "numbered_violation.h"
#include "violation_store.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_DEFAULT 1000000u
#define ROUNDS 101u
#define COUNT_ROUNDS 15u

static struct journal_io *io;
static struct journal *journal;
static struct record_ring *ring;

static const struct violation_filter any = {.severity = -1, .source = -1, .limit = 100};

static uint64_t wall_of(uint64_t n) { return NUMBERED_FIRST_WALL_NS + n * NUMBERED_STEP_NS; }

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

/* The last LSN given must be `last`, so that order and pages are right, too; 0: it is not asked. */
struct answer {
  uint64_t count, last_lsn;
};

static bool take(void *context, uint64_t lsn, const struct violation *violation) {
  struct answer *answer = context;
  (void)violation;
  answer->count++;
  answer->last_lsn = lsn;
  return true;
}

static void print_times(const char *what, uint64_t found, const char *unit, double *times, uint32_t rounds) {
  qsort(times, rounds, sizeof *times, compare);
  printf("%-36s %6llu %-8s %10.1f %10.1f %10.1f\n", what, (unsigned long long)found, unit, times[rounds / 2],
         times[rounds * 99 / 100], times[0]);
}

static void measure(struct violation_store *store, const char *what, struct violation_filter filter, uint64_t expected,
                    uint64_t last_lsn) {
  double times[ROUNDS];
  for (uint32_t i = 0; i < ROUNDS; i++) {
    struct answer answer = {0};
    const uint64_t start_ns = bench_now_ns();
    bench_check(violation_store_query(store, &filter, take, &answer) >= 0, "a query");
    times[i] = (double)(bench_now_ns() - start_ns) / 1e3;
    bench_check(answer.count == expected && (!last_lsn || answer.last_lsn == last_lsn), what);
  }
  print_times(what, expected, "found", times, ROUNDS);
}

static void measure_counts(struct violation_store *store, const char *what, enum violation_group group, size_t groups,
                           uint64_t violations) {
  double times[COUNT_ROUNDS];
  for (uint32_t i = 0; i < COUNT_ROUNDS; i++) {
    struct violation_count *counts;
    size_t count;
    uint64_t total, sum = 0;
    const uint64_t start_ns = bench_now_ns();
    bench_check(violation_store_count_groups(store, &any, group, 60000000000u, &counts, &count, &total) == 0, what);
    times[i] = (double)(bench_now_ns() - start_ns) / 1e3;
    for (size_t g = 0; g < count; g++) sum += counts[g].count;
    bench_check(count == groups && total == violations && sum == violations, what);
    free(counts);
  }
  print_times(what, groups, "groups", times, COUNT_ROUNDS);
}

/* What every query would cost without an index, read with warm code. */
static double read_log(uint64_t violations) {
  int error;
  uint64_t lsn, count = 0;
  const struct record_header *record;
  struct journal_reader *reader = journal_reader_open(io, 1, &error);
  const uint64_t start_ns = bench_now_ns();
  while (journal_reader_next(reader, violations, &lsn, &record) == JOURNAL_READ_RECORD) count++;
  bench_check(count == violations, "the log");
  journal_reader_close(reader);
  return (double)(bench_now_ns() - start_ns) / 1e6;
}

static double process_cpu_s(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* From nothing, as after a start. */
static struct violation_store *build(uint64_t violations) {
  struct violation_store *store = violation_store_create(io, (uint32_t)violations);
  bench_check(store != NULL, "no memory");
  const double cpu_s = process_cpu_s();
  const uint64_t start_ns = bench_now_ns();
  bench_check(violation_store_catch_up(store, violations) == 0, "the index");
  const double built_s = (double)(bench_now_ns() - start_ns) / 1e9, used_s = process_cpu_s() - cpu_s;
  const struct violation_extent extent = violation_store_extent(store);
  bench_check(extent.count == violations && extent.last_lsn == violations, "not all is in the index");
  printf("index built in %.2f s: %.2f M violations/s, %.2f M a second of CPU; %.1f bytes of memory a violation\n", built_s,
         (double)violations / built_s / 1e6, (double)violations / used_s / 1e6, (double)extent.bytes / (double)violations);
  return store;
}

static void measure_queries(struct violation_store *store, uint64_t violations) {
  struct violation_filter filter = any;
  const uint64_t n = violations / 3;
  struct numbered_violation one;
  numbered_violation_make(&one, n);
  measure(store, "the newest 100", filter, 100, violations - 99);
  filter.oldest_first = true;
  measure(store, "the oldest 100", filter, 100, 100);
  filter = any;
  filter.rule = "rule-7";
  measure(store, "the newest 100 of a rule", filter, 100, 0);
  filter = any;
  filter.severity = 3;
  measure(store, "the newest 100 of a severity", filter, 100, 0);
  filter = any;
  filter.service = "service-33";
  measure(store, "the newest 100 of a service", filter, 100, 0);
  filter.service = "service-200";
  measure(store, "a rare service, from all over", filter,
          violations / NUMBERED_RARE_EVERY < 100 ? violations / NUMBERED_RARE_EVERY : 100, 0);
  filter = any;
  filter.has_trace_id = true;
  memcpy(filter.trace_id, one.violation.fixed.trace_id, sizeof filter.trace_id);
  measure(store, "one trace", filter, 1, n);
  filter = any;
  filter.has_id = true;
  memcpy(filter.id, one.violation.fixed.id, sizeof filter.id);
  measure(store, "one id", filter, 1, n);
  filter.id[15] ^= 0x55;
  filter.id[9] ^= 0x55;
  measure(store, "an id that is not there", filter, 0, 0);
  filter = any;
  filter.since_ns = wall_of(n);
  filter.until_ns = wall_of(n + 500);
  filter.limit = 1000;
  measure(store, "500 in a stretch of time", filter, 500, n);
  filter = any;
  filter.before_lsn = violations / 2;
  measure(store, "a page of 100 in the middle", filter, 100, violations / 2 - 100);
  filter = any;
  filter.limit = 10000;
  measure(store, "the newest 10,000", filter, 10000, violations - 9999);
  measure_counts(store, "all counted by rule", VIOLATIONS_BY_RULE, NUMBERED_RULES, violations);
  measure_counts(store, "all counted by severity", VIOLATIONS_BY_SEVERITY, 5, violations);
  const uint64_t minute_ns = 60000000000u;
  measure_counts(store, "all counted by minute", VIOLATIONS_BY_TIME,
                 (size_t)(wall_of(violations) / minute_ns - wall_of(1) / minute_ns + 1), violations);
}

static void run(uint64_t violations) {
  for (uint64_t n = 1; n <= violations;) {
    while (n <= violations && numbered_violation_publish(ring, n)) n++;
    bench_check(journal_step(journal, bench_now_ns(), 1, 1000000) >= 0, "the journal failed");
  }
  bench_check(journal_drain(journal, bench_now_ns(), 1) == 0, "the journal does not drain");
  printf("%llu violations; the log is read in %.0f ms\n", (unsigned long long)violations, read_log(violations));
  struct violation_store *store = build(violations);
  printf("%-36s %15s %10s %10s %10s\n", "", "", "p50 us", "p99 us", "best us");
  measure_queries(store, violations);
  violation_store_destroy(store);
}

int main(int count, char **arguments) {
  char directory[256];
  const char *why;
  int error;
  const uint64_t violations = count > 2 ? strtoull(arguments[2], NULL, 10) : COUNT_DEFAULT;
  bench_check(violations >= NUMBERED_RARE_EVERY && violations < UINT32_MAX, "a count of at least 100000");
  bench_directory_make(directory, count > 1 ? arguments[1] : ".", "bench-violations");
  io = journal_io_uring_create(directory, &error, &why);
  if (!io) bench_fail(why);
  struct heap_arena *arena = heap_arena_create();
  ring = record_ring_create(heap_arena_arena(arena), 16u << 20);
  struct journal_recovery recovery;
  const struct journal_config config = {.io = io,
                                        .salt = 1,
                                        .segment_bytes = 64u << 20,
                                        .batch_bytes_max = 1u << 20,
                                        .segments_ahead = 2,
                                        .ring_count = 1,
                                        .rings = {ring}};
  journal = journal_open(&config, NULL, NULL, &recovery, &error);
  if (!journal) bench_fail(recovery.refusal);
  run(violations);
  journal_close(journal);
  io->operations->destroy(io);
  heap_arena_destroy(arena);
  bench_directory_remove(directory);
  return 0;
}
