/* Records of 128 bytes made durable, by load, beside plain O_DIRECT writes of the same sizes to the same directory; and recovery
 * beside reading the same bytes. Each journal is recovered and counted at the end. Usage: bench_journal [DIRECTORY]. */
#include "bench.h"
#include "heap_arena.h"
#include "journal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RECORD_BYTES 128u
#define ROUNDS 15u /* short and interleaved, so that some of each are quiet on a busy machine */
#define ROUND_NS 50000000u
#define SUSTAINED_NS 1500000000u
#define SEGMENT_BYTES (64ull << 20)
#define OUTSTANDING_MAX 16384u
#define SAMPLES_MAX (1u << 22)
#define SAMPLES_LEAST 100u
#define READ_BYTES (4u << 20)
#define QUIET_STEPS 20

struct rig {
  char directory[256];
  struct heap_arena *arena;
  struct journal_io *io;
  struct record_ring *ring;
  struct journal *journal;
  uint64_t published;
  uint64_t published_ns[OUTSTANDING_MAX]; /* by number */
  float *latencies_us;
  uint32_t samples;
};

struct figures {
  double per_second, p50_us, p99_us, bytes, records; /* the last two: of a mean batch */
};

static int compare_floats(const void *left, const void *right) {
  const float a = *(const float *)left, b = *(const float *)right;
  return a < b ? -1 : a > b;
}

static int compare_figures(const void *left, const void *right) {
  const double a = ((const struct figures *)left)->per_second, b = ((const struct figures *)right)->per_second;
  return a < b ? -1 : a > b;
}

static void percentiles(struct rig *rig, struct figures *figures) {
  bench_check(rig->samples > 0, "nothing was durable in a round");
  qsort(rig->latencies_us, rig->samples, sizeof *rig->latencies_us, compare_floats);
  figures->p50_us = rig->latencies_us[rig->samples / 2];
  figures->p99_us = rig->latencies_us[(uint64_t)rig->samples * 99 / 100];
}

static void sample(struct rig *rig, uint64_t elapsed_ns) {
  if (rig->samples < SAMPLES_MAX) rig->latencies_us[rig->samples++] = (float)elapsed_ns / 1000.0f;
}

static void open_journal(struct rig *rig, const char *directory, uint32_t segments_ahead, bool hash_chain,
                         journal_record_visitor *visit, void *context) {
  const char *why;
  int error;
  struct journal_recovery recovery;
  snprintf(rig->directory, sizeof rig->directory, "%s", directory);
  rig->io = journal_io_uring_create(directory, &error, &why);
  if (!rig->io) bench_fail(why);
  rig->arena = heap_arena_create();
  rig->ring = record_ring_create(heap_arena_arena(rig->arena), 16u << 20);
  rig->published = 0;
  const struct journal_config config = {.io = rig->io,
                                        .salt = 1,
                                        .segment_bytes = SEGMENT_BYTES,
                                        .batch_bytes_max = 4u << 20,
                                        .segments_ahead = segments_ahead,
                                        .hash_chain = hash_chain,
                                        .ring_count = 1,
                                        .rings = {rig->ring}};
  rig->journal = journal_open(&config, visit, context, &recovery, &error);
  if (!rig->journal) bench_fail(recovery.refusal[0] ? recovery.refusal : strerror(-error));
}

static void close_journal(struct rig *rig) {
  journal_close(rig->journal);
  heap_arena_destroy(rig->arena);
  rig->io->operations->destroy(rig->io);
}

static void remove_directory(const char *directory) {
  DIR *listing = opendir(directory);
  for (struct dirent *entry; listing && (entry = readdir(listing));)
    if (entry->d_name[0] != '.') unlinkat(dirfd(listing), entry->d_name, 0);
  if (listing) closedir(listing);
  rmdir(directory);
}

static void publish(struct rig *rig, uint64_t now_ns) {
  struct record_header *record = record_ring_reserve(rig->ring, RECORD_BYTES);
  bench_check(record != NULL, "the ring is full");
  *record = (struct record_header){.type = RECORD_WEBHOOK, .bytes = RECORD_BYTES, .wall_ns = rig->published};
  memset(record + 1, (int)rig->published, RECORD_BYTES - sizeof *record);
  record_ring_publish(rig->ring);
  rig->published_ns[rig->published++ % OUTSTANDING_MAX] = now_ns;
}

/* So that a round measures flushes, not the zero-filling between rounds. */
static void wait_for_segments(struct rig *rig) {
  const _Atomic uint64_t *prepared = &journal_counters(rig->journal)->segments_prepared;
  uint64_t before = *prepared;
  for (int quiet = 0; quiet < QUIET_STEPS; quiet++) {
    const uint64_t until = bench_now_ns() + 5000000;
    while (bench_now_ns() < until) bench_check(journal_step(rig->journal, bench_now_ns(), 0, 1000000) >= 0, "the journal failed");
    if (*prepared != before) quiet = 0;
    before = *prepared;
  }
}

/* `outstanding` records are always on their way to the disk: half of them in flight while the other half gathers. One thread
 * publishes and runs the journal, so that a busy machine takes no part in the figures that it need not. */
static struct figures load(struct rig *rig, uint32_t outstanding, uint64_t duration_ns) {
  const struct journal_counters *counters = journal_counters(rig->journal);
  const uint64_t batches = counters->batches, bytes = counters->batch_bytes, first = journal_durable_lsn(rig->journal);
  const uint64_t start_ns = bench_now_ns();
  uint64_t durable = first, now_ns = start_ns;
  rig->samples = 0;
  while (rig->published - first < (outstanding + 1) / 2) publish(rig, now_ns);
  bench_check(journal_step(rig->journal, now_ns, now_ns, 0) >= 0, "the journal failed");
  while (now_ns - start_ns < duration_ns || rig->samples < SAMPLES_LEAST) {
    while (rig->published - durable < outstanding) publish(rig, now_ns);
    bench_check(journal_step(rig->journal, now_ns, now_ns, 1000000) >= 0, "the journal failed");
    now_ns = bench_now_ns();
    for (const uint64_t reached = journal_durable_lsn(rig->journal); durable < reached; durable++)
      sample(rig, now_ns - rig->published_ns[durable % OUTSTANDING_MAX]);
  }
  struct figures figures = {.per_second = (double)(durable - first) * 1e9 / (double)(now_ns - start_ns)};
  const double flushes = (double)(counters->batches - batches);
  figures.bytes = (double)(counters->batch_bytes - bytes) / flushes;
  figures.records = (double)(durable - first) / flushes;
  percentiles(rig, &figures);
  bench_check(journal_drain(rig->journal, now_ns, now_ns) == 0, "the journal does not drain");
  return figures;
}

/* A file as a segment is before use. */
static int prewritten_file(const char *directory, const uint8_t *zeros) {
  char path[300];
  snprintf(path, sizeof path, "%s/floor", directory);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
  bench_check(file >= 0 && fallocate(file, 0, 0, (off_t)SEGMENT_BYTES) == 0, "the floor's file");
  for (uint64_t at = 0; at < SEGMENT_BYTES; at += READ_BYTES)
    bench_check(pwrite(file, zeros, READ_BYTES, (off_t)at) == (ssize_t)READ_BYTES, "the floor's file");
  bench_check(fsync(file) == 0, "the floor's file");
  return file;
}

/* The same sizes, one durable write after another, by the kernel's plain call. */
static struct figures floor_writes(struct rig *rig, int file, const uint8_t *buffer, const struct figures *ours) {
  const size_t bytes = ((size_t)ours->bytes + 4095) / 4096 * 4096;
  const uint64_t start_ns = bench_now_ns();
  uint64_t now_ns = start_ns, writes = 0, offset = 0;
  rig->samples = 0;
  for (; now_ns - start_ns < ROUND_NS; writes++) {
    const struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    bench_check(pwritev2(file, &vector, 1, (off_t)offset, RWF_DSYNC) == (ssize_t)bytes, "the floor's write");
    offset = offset + 2 * bytes > SEGMENT_BYTES ? 0 : offset + bytes;
    const uint64_t after_ns = bench_now_ns();
    sample(rig, after_ns - now_ns);
    now_ns = after_ns;
  }
  struct figures figures = {.per_second = (double)writes * ours->records * 1e9 / (double)(now_ns - start_ns)};
  percentiles(rig, &figures);
  return figures;
}

static void count_records(void *context, uint64_t lsn, const struct record_header *record) {
  uint64_t *count = context;
  bench_check(lsn == *count + 1 && record->wall_ns == *count && record->bytes == RECORD_BYTES, "a wrong record was recovered");
  ++*count;
}

static void bench_loads(struct rig *rig, const char *directory, bool hash_chain, const uint32_t *loads, size_t load_count) {
  uint8_t *buffer = aligned_alloc(4096, READ_BYTES);
  memset(buffer, 0, READ_BYTES);
  open_journal(rig, directory, 8, hash_chain, NULL, NULL);
  const int file = prewritten_file(directory, buffer);
  memset(buffer, 0x5a, READ_BYTES);
  printf("%-12s %12s %9s %9s   %12s %9s %9s   %6s %6s %8s\n", "outstanding", "records/s", "p50 us", "p99 us", "floor", "p50 us",
         "p99 us", "ratio", "median", "MB/s");
  for (size_t i = 0; i < load_count; i++) {
    struct figures ours[ROUNDS], floors[ROUNDS];
    for (uint32_t round = 0; round < ROUNDS; round++) {
      wait_for_segments(rig);
      ours[round] = load(rig, loads[i], ROUND_NS);
      floors[round] = floor_writes(rig, file, buffer, &ours[round]);
    }
    qsort(ours, ROUNDS, sizeof *ours, compare_figures);
    qsort(floors, ROUNDS, sizeof *floors, compare_figures);
    const struct figures *a = &ours[ROUNDS - 1], *b = &floors[ROUNDS - 1];
    printf("%-12u %12.0f %9.1f %9.1f   %12.0f %9.1f %9.1f   %6.2f %6.2f %8.0f   [%.0f..%.0f]\n", loads[i], a->per_second,
           a->p50_us, a->p99_us, b->per_second, b->p50_us, b->p99_us, a->per_second / b->per_second,
           ours[ROUNDS / 2].per_second / floors[ROUNDS / 2].per_second, a->per_second / a->records * a->bytes / 1e6,
           ours[0].per_second, ours[ROUNDS - 1].per_second);
    fflush(stdout);
  }
  close(file);
  free(buffer);
  const uint64_t published = rig->published;
  close_journal(rig);
  uint64_t count = 0;
  open_journal(rig, directory, 1, hash_chain, count_records, &count);
  bench_check(count == published, "records are missing after recovery");
  close_journal(rig);
}

static uint64_t thread_cpu_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* Every byte of every segment, past the page cache. Returns bytes. */
static uint64_t read_files(const char *directory, uint8_t *buffer) {
  uint64_t total = 0;
  DIR *listing = opendir(directory);
  bench_check(listing != NULL, "the directory");
  for (struct dirent *entry; (entry = readdir(listing));) {
    if (strstr(entry->d_name, ".seg") == NULL) continue;
    const int file = openat(dirfd(listing), entry->d_name, O_RDONLY | O_DIRECT);
    bench_check(file >= 0, "a segment");
    for (ssize_t got; (got = read(file, buffer, READ_BYTES)) > 0;) total += (uint64_t)got;
    close(file);
  }
  closedir(listing);
  return total;
}

/* Zero-filling goes on beside the records, as it does in a journal that never rests. Then that journal is recovered. */
static void bench_sustained_and_recovery(struct rig *rig, const char *directory) {
  open_journal(rig, directory, 2, true, NULL, NULL);
  const struct figures sustained = load(rig, OUTSTANDING_MAX, SUSTAINED_NS);
  const struct journal_counters *counters = journal_counters(rig->journal);
  printf("\nsustained, segments zero-filled meanwhile: %.0f records/s, p50 %.1f us, p99 %.1f us, %.0f MB/s, %llu segments\n",
         sustained.per_second, sustained.p50_us, sustained.p99_us,
         sustained.per_second / sustained.records * sustained.bytes / 1e6,
         (unsigned long long)atomic_load(&counters->segments_prepared));
  const uint64_t published = rig->published;
  close_journal(rig);
  uint8_t *buffer = aligned_alloc(4096, READ_BYTES);
  double best = 0, best_cpu = 0, best_read = 0;
  uint64_t bytes = 0;
  for (uint32_t round = 0; round < 3; round++) {
    uint64_t count = 0, start_ns = bench_now_ns();
    const uint64_t start_cpu_ns = thread_cpu_ns();
    open_journal(rig, directory, 1, true, count_records, &count);
    const double elapsed = (double)(bench_now_ns() - start_ns), cpu = (double)(thread_cpu_ns() - start_cpu_ns);
    close_journal(rig);
    bench_check(count == published, "records are missing after recovery");
    start_ns = bench_now_ns();
    bytes = read_files(directory, buffer);
    const double read = (double)bytes * 1e9 / (double)(bench_now_ns() - start_ns);
    if ((double)count * 1e9 / elapsed > best) best = (double)count * 1e9 / elapsed;
    if ((double)count * 1e9 / cpu > best_cpu) best_cpu = (double)count * 1e9 / cpu;
    if (read > best_read) best_read = read;
  }
  const double speed = best * (double)bytes / (double)published;
  printf("recovery: %.0f records/s, %.0f a second of CPU; %.0f MB/s beside %.0f MB/s of plain reading: %.2f (best of 3, %llu "
         "records)\n",
         best, best_cpu, speed / 1e6, best_read / 1e6, speed / best_read, (unsigned long long)published);
  free(buffer);
}

int main(int count, char **arguments) {
  char base[200], loads[240], sustained[240];
  snprintf(base, sizeof base, "%s/bench-journal-XXXXXX", count > 1 ? arguments[1] : ".");
  bench_check(mkdtemp(base) != NULL, "a directory of its own");
  snprintf(loads, sizeof loads, "%s/loads", base);
  snprintf(sustained, sizeof sustained, "%s/sustained", base);
  struct rig *rig = calloc(1, sizeof *rig);
  bench_check(rig != NULL && (rig->latencies_us = malloc(SAMPLES_MAX * sizeof *rig->latencies_us)) != NULL, "no memory");
  printf("# the floor: pwritev2(O_DIRECT, RWF_DSYNC) of the same batches on a zero-filled file, one after another (what\n"
         "# fio --ioengine=pvsync2 --direct=1 --sync=dsync does). The best of %u short rounds of each, and the ratio of the "
         "medians\n",
         ROUNDS);
  static const uint32_t outstanding[] = {1, 8, 64, 512, 2048, 4096, OUTSTANDING_MAX};
  const size_t all = sizeof outstanding / sizeof outstanding[0];
  bench_loads(rig, loads, true, outstanding, all);
  remove_directory(loads);
  printf("\nwithout the hash chain:\n");
  bench_loads(rig, loads, false, outstanding + all - 2, 2);
  remove_directory(loads);
  bench_sustained_and_recovery(rig, sustained);
  remove_directory(sustained);
  remove_directory(base);
  free(rig->latencies_us);
  free(rig);
  return 0;
}
