/* Queries for violations, beside reading the whole log for the same answer. A journal of COUNT violations is written first; each
 * answer is checked. Usage: bench_violations [DIRECTORY [COUNT]]. */
#include "bench.h"
#include "heap_arena.h"
#include "journal.h"
#include "violation_store.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT_DEFAULT 1000000u
#define ROUNDS 15u
#define RULES 40u
#define SERVICES 200u
#define RARE_EVERY 100000u

static struct journal_io *io;
static struct journal *journal;
static struct record_ring *ring;

static void name_of(char *text, size_t room, const char *what, uint64_t number) {
  snprintf(text, room, "%s-%llu", what, (unsigned long long)number);
}

static void publish(uint64_t n) {
  char rule[32], service[32];
  name_of(rule, sizeof rule, "rule", n % RULES);
  name_of(service, sizeof service, "service", n % RARE_EVERY == 0 ? SERVICES : n % SERVICES);
  struct violation violation = {.wall_ns = n * 1000,
                                .rule = {rule, (uint32_t)strlen(rule)},
                                .message = {"something took longer than it may", 33},
                                .service = {service, (uint32_t)strlen(service)}};
  violation.fixed.severity = (uint8_t)(n % 5);
  violation.fixed.has_trace = true;
  const uint64_t spread = n * 0x9e3779b97f4a7c15u;
  memcpy(violation.fixed.trace_id, &spread, sizeof spread);
  memcpy(violation.fixed.id, &n, sizeof n);
  void *record;
  while (!(record = record_ring_reserve(ring, violation_encoded_bytes(&violation))))
    bench_check(journal_step(journal, bench_now_ns(), 1, 1000000) >= 0, "the journal failed");
  violation_encode(&violation, record);
  record_ring_publish(ring);
}

static bool count_one(void *context, uint64_t lsn, const struct violation *violation) {
  (void)lsn, (void)violation;
  ++*(uint64_t *)context;
  return true;
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

static void measure(struct violation_store *store, const char *what, struct violation_filter filter, uint64_t expected,
                    double whole_ms) {
  double times[ROUNDS];
  filter.limit = filter.limit ? filter.limit : 1000;
  for (uint32_t i = 0; i < ROUNDS; i++) {
    uint64_t count = 0;
    const uint64_t start_ns = bench_now_ns();
    bench_check(violation_store_query(store, &filter, count_one, &count) >= 0, "a query");
    times[i] = (double)(bench_now_ns() - start_ns) / 1e3;
    bench_check(count == expected, what);
  }
  qsort(times, ROUNDS, sizeof *times, compare);
  printf("%-34s %6llu found   p50 %10.1f us   best %10.1f us   %8.0f x faster than the log\n", what, (unsigned long long)expected,
         times[ROUNDS / 2], times[0], whole_ms * 1e3 / times[ROUNDS / 2]);
}

static void measure_counts(struct violation_store *store, uint64_t violations) {
  double times[ROUNDS];
  const struct violation_filter filter = {.severity = -1, .source = -1};
  for (uint32_t i = 0; i < ROUNDS; i++) {
    struct violation_count *counts;
    size_t count;
    uint64_t total;
    const uint64_t start_ns = bench_now_ns();
    bench_check(violation_store_count_groups(store, &filter, VIOLATIONS_BY_RULE, 0, &counts, &count, &total) == 0, "counts");
    times[i] = (double)(bench_now_ns() - start_ns) / 1e3;
    bench_check(count == RULES && total == violations, "the counts");
    free(counts);
  }
  qsort(times, ROUNDS, sizeof *times, compare);
  printf("%-34s %6u groups  p50 %10.1f us   %.1f ns a violation\n", "all counted by rule", RULES, times[ROUNDS / 2],
         times[ROUNDS / 2] * 1e3 / (double)violations);
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

static void run(uint64_t violations) {
  for (uint64_t n = 1; n <= violations; n++) publish(n);
  bench_check(journal_drain(journal, bench_now_ns(), 1) == 0, "the journal does not drain");
  struct violation_store *store = violation_store_create(io, (uint32_t)violations);
  const uint64_t start_ns = bench_now_ns();
  bench_check(violation_store_catch_up(store, violations) == 0, "the index");
  const double built_s = (double)(bench_now_ns() - start_ns) / 1e9, whole_ms = read_log(violations);
  printf("%llu violations; index built in %.2f s, %.0f a second; the log is read in %.0f ms\n", (unsigned long long)violations,
         built_s, (double)violations / built_s, whole_ms);
  const struct violation_filter any = {.severity = -1, .source = -1};
  struct violation_filter filter = any;
  filter.limit = 100;
  measure(store, "the newest 100", filter, 100, whole_ms);
  filter = any;
  filter.rule = "rule-7";
  filter.limit = 100;
  measure(store, "the newest 100 of a rule", filter, 100, whole_ms);
  filter = any;
  filter.service = "service-200";
  measure(store, "a rare service", filter, violations / RARE_EVERY, whole_ms);
  filter = any;
  const uint64_t n = violations / 3, spread = n * 0x9e3779b97f4a7c15u;
  filter.has_trace_id = true;
  memcpy(filter.trace_id, &spread, sizeof spread);
  measure(store, "one trace", filter, 1, whole_ms);
  filter = any;
  filter.has_id = true;
  memcpy(filter.id, &n, sizeof n);
  measure(store, "one id", filter, 1, whole_ms);
  filter = any;
  filter.since_ns = n * 1000;
  filter.until_ns = (n + 500) * 1000;
  measure(store, "500 in a stretch of time", filter, 500, whole_ms);
  measure_counts(store, violations);
  violation_store_destroy(store);
}

int main(int count, char **arguments) {
  char directory[256];
  const char *why;
  int error;
  const uint64_t violations = count > 2 ? strtoull(arguments[2], NULL, 10) : COUNT_DEFAULT;
  snprintf(directory, sizeof directory, "%s/bench-violations-XXXXXX", count > 1 ? arguments[1] : ".");
  bench_check(mkdtemp(directory) != NULL, "a directory of its own");
  bench_check(violations >= RARE_EVERY && violations < UINT32_MAX, "a count of at least 100000");
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
  DIR *listing = opendir(directory);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  rmdir(directory);
  return 0;
}
