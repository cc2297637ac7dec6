/* Recovery of a journal of 128-byte records: by the CPU it takes, and cold, beside plain O_DIRECT reads of the same files in
 * turns, one and four at a time. Each recovery is held against the count and the sum of what was written. Usage: bench_recovery
 * [DIRECTORY [COUNT [ROUNDS]]]. */
#include "bench.h"
#include "bench_directory.h"
#include "heap_arena.h"
#include "journal.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RECORD_BYTES 128u
#define COUNT_DEFAULT 4000000u
#define ROUNDS_DEFAULT 7u
#define ROUNDS_MAX 101u
#define SEGMENT_BYTES (64ull << 20)
#define READ_BYTES (4u << 20)
#define READERS 4u

struct sum {
  uint64_t records, words;
};

static struct journal_io *io;
static struct heap_arena *arena;
static struct record_ring *ring;

/* Its body is its number, over and over. */
static bool publish(uint64_t n) {
  struct record_header *record = record_ring_reserve(ring, RECORD_BYTES);
  if (!record) return false;
  *record = (struct record_header){.type = RECORD_WEBHOOK, .bytes = RECORD_BYTES, .wall_ns = n};
  uint64_t *words = (uint64_t *)(void *)(record + 1);
  for (unsigned i = 0; i < (RECORD_BYTES - sizeof *record) / 8; i++) words[i] = n;
  record_ring_publish(ring);
  return true;
}

static void add(void *context, uint64_t lsn, const struct record_header *record) {
  struct sum *sum = context;
  uint64_t last;
  memcpy(&last, (const uint8_t *)record + RECORD_BYTES - sizeof last, sizeof last);
  sum->records++;
  sum->words += last * 3 + lsn;
}

static struct journal *open_journal(const char *directory, struct sum *sum) {
  const char *why;
  int error;
  struct journal_recovery recovery;
  io = journal_io_uring_create(directory, &error, &why);
  if (!io) bench_fail(why);
  const struct journal_config config = {.io = io,
                                        .salt = 1,
                                        .segment_bytes = SEGMENT_BYTES,
                                        .batch_bytes_max = 1u << 20,
                                        .segments_ahead = 1,
                                        .hash_chain = true,
                                        .ring_count = 1,
                                        .rings = {ring}};
  struct journal *journal = journal_open(&config, add, sum, &recovery, &error);
  if (!journal) bench_fail(recovery.refusal);
  return journal;
}

static void close_journal(struct journal *journal) {
  journal_close(journal);
  io->operations->destroy(io);
}

static void write_records(const char *directory, uint64_t count) {
  struct sum sum = {0};
  struct journal *journal = open_journal(directory, &sum);
  bench_check(sum.records == 0, "an empty directory");
  for (uint64_t n = 1; n <= count;) {
    while (n <= count && publish(n)) n++;
    bench_check(journal_step(journal, bench_now_ns(), 1, 100000) >= 0, "the journal failed");
  }
  bench_check(journal_drain(journal, bench_now_ns(), 1) == 0, "the journal does not drain");
  close_journal(journal);
}

static double process_cpu_s(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

struct measured {
  double wall_s, cpu_s;
};

static struct measured recover(const char *directory, uint64_t count) {
  struct sum sum = {0};
  const double cpu_s = process_cpu_s();
  const uint64_t start_ns = bench_now_ns();
  struct journal *journal = open_journal(directory, &sum);
  const struct measured measured = {.wall_s = (double)(bench_now_ns() - start_ns) / 1e9, .cpu_s = process_cpu_s() - cpu_s};
  close_journal(journal);
  bench_check(sum.records == count && sum.words == count * (count + 1) / 2 * 4, "what was recovered is not what was written");
  return measured;
}

/* The floor: every byte of every segment, in pieces, by as many threads. */
struct floor {
  const char *directory;
  uint64_t segments;
  _Atomic uint64_t next, bytes;
};

static void *read_pieces(void *context) {
  struct floor *floor = context;
  const uint64_t pieces = SEGMENT_BYTES / READ_BYTES;
  uint8_t *buffer = aligned_alloc(4096, READ_BYTES);
  bench_check(buffer != NULL, "no memory");
  for (uint64_t piece; (piece = atomic_fetch_add(&floor->next, 1)) < floor->segments * pieces;) {
    char path[320];
    snprintf(path, sizeof path, "%s/journal-%016llx.seg", floor->directory, (unsigned long long)(piece / pieces + 1));
    const int file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    bench_check(file >= 0 && pread(file, buffer, READ_BYTES, (off_t)(piece % pieces * READ_BYTES)) == (ssize_t)READ_BYTES, path);
    close(file);
    floor->bytes += READ_BYTES;
  }
  free(buffer);
  return NULL;
}

static double read_plainly(const char *directory, uint64_t segments, uint32_t threads) {
  struct floor floor = {.directory = directory, .segments = segments};
  pthread_t ids[READERS];
  const uint64_t start_ns = bench_now_ns();
  for (uint32_t i = 0; i < threads; i++) bench_check(pthread_create(&ids[i], NULL, read_pieces, &floor) == 0, "a thread");
  for (uint32_t i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  bench_check(floor.bytes == segments * SEGMENT_BYTES, "not all was read");
  return (double)(bench_now_ns() - start_ns) / 1e9;
}

static int compare(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

static void print(const char *what, const char *unit, double times[ROUNDS_MAX], uint32_t rounds, double work) {
  qsort(times, rounds, sizeof *times, compare);
  printf("%-44s %10.2f %-16s [%.2f..%.2f]\n", what, work / times[rounds / 2], unit, work / times[rounds - 1], work / times[0]);
}

static void run(const char *directory, uint64_t count, uint32_t rounds) {
  static double wall[ROUNDS_MAX], cpu[ROUNDS_MAX], alone[ROUNDS_MAX], together[ROUNDS_MAX];
  write_records(directory, count);
  struct sum sum = {0};
  struct journal *journal = open_journal(directory, &sum); /* the segment that was prepared ahead goes, or stays */
  close_journal(journal);
  uint64_t segments = 0;
  char path[320];
  do snprintf(path, sizeof path, "%s/journal-%016llx.seg", directory, (unsigned long long)++segments);
  while (access(path, F_OK) == 0);
  segments--;
  const double megabytes = (double)(segments * SEGMENT_BYTES) / 1e6;
  printf("%llu records of %u bytes, %llu segments, %.0f MB; medians of %u rounds in turns\n", (unsigned long long)count,
         RECORD_BYTES, (unsigned long long)segments, megabytes, rounds);
  for (uint32_t round = 0; round < rounds; round++) {
    alone[round] = read_plainly(directory, segments, 1);
    const struct measured measured = recover(directory, count);
    wall[round] = measured.wall_s;
    cpu[round] = measured.cpu_s;
    together[round] = read_plainly(directory, segments, READERS);
  }
  print("recovery, of CPU", "M records/s", cpu, rounds, (double)count / 1e6);
  print("recovery, cold", "M records/s", wall, rounds, (double)count / 1e6);
  print("recovery, cold", "MB/s", wall, rounds, megabytes);
  print("plain reads of 4 MiB, one at a time", "MB/s", alone, rounds, megabytes);
  print("plain reads of 4 MiB, four at a time", "MB/s", together, rounds, megabytes);
  printf("ratio of the medians: %.2f of one at a time, %.2f of four\n", alone[rounds / 2] / wall[rounds / 2],
         together[rounds / 2] / wall[rounds / 2]);
}

int main(int count, char **arguments) {
  char directory[256];
  const uint64_t records = count > 2 ? strtoull(arguments[2], NULL, 10) : COUNT_DEFAULT;
  const uint64_t rounds = count > 3 ? strtoull(arguments[3], NULL, 10) : ROUNDS_DEFAULT;
  bench_check(records > 0 && rounds > 0 && rounds <= ROUNDS_MAX, "at least one record, and 1 to 101 rounds");
  bench_directory_make(directory, count > 1 ? arguments[1] : ".", "bench-recovery");
  arena = heap_arena_create();
  ring = record_ring_create(heap_arena_arena(arena), 16u << 20);
  run(directory, records, (uint32_t)rounds);
  heap_arena_destroy(arena);
  bench_directory_remove(directory);
  return 0;
}
