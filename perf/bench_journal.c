/* Records of 128 bytes made durable, by load, beside plain O_DIRECT writes of the same sizes to the same directory; and recovery
 * beside reading the same bytes. Each journal is recovered and counted at the end. Usage: bench_journal [DIRECTORY]. */
#include "bench.h"
#include "journal_load.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 15u /* short and interleaved, so that some of each are quiet on a busy machine */
#define MOST_OUTSTANDING 16384u
#define ROUND_NS 50000000u
#define SUSTAINED_NS 1500000000u
#define READ_BYTES (4u << 20)

static int compare_figures(const void *left, const void *right) {
  const double a = ((const struct journal_figures *)left)->per_second, b = ((const struct journal_figures *)right)->per_second;
  return a < b ? -1 : a > b;
}

/* A file as a segment is before use. */
static int prewritten_file(const char *directory, const uint8_t *zeros) {
  char path[300];
  snprintf(path, sizeof path, "%s/floor", directory);
  const int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
  bench_check(file >= 0 && fallocate(file, 0, 0, (off_t)JOURNAL_LOAD_SEGMENT_BYTES) == 0, "the floor's file");
  for (uint64_t at = 0; at < JOURNAL_LOAD_SEGMENT_BYTES; at += READ_BYTES)
    bench_check(pwrite(file, zeros, READ_BYTES, (off_t)at) == (ssize_t)READ_BYTES, "the floor's file");
  bench_check(fsync(file) == 0, "the floor's file");
  return file;
}

/* The same sizes, one durable write after another, by the kernel's plain call. */
static struct journal_figures floor_writes(struct journal_load *rig, int file, const uint8_t *buffer,
                                           const struct journal_figures *ours) {
  const size_t bytes = ((size_t)ours->bytes + 4095) / 4096 * 4096;
  const uint64_t start_ns = bench_now_ns();
  uint64_t now_ns = start_ns, writes = 0, offset = 0;
  rig->samples = 0;
  for (; now_ns - start_ns < ROUND_NS; writes++) {
    const struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    bench_check(pwritev2(file, &vector, 1, (off_t)offset, RWF_DSYNC) == (ssize_t)bytes, "the floor's write");
    offset = offset + 2 * bytes > JOURNAL_LOAD_SEGMENT_BYTES ? 0 : offset + bytes;
    const uint64_t after_ns = bench_now_ns();
    journal_load_sample(rig, after_ns - now_ns);
    now_ns = after_ns;
  }
  struct journal_figures figures = {.per_second = (double)writes * ours->records * 1e9 / (double)(now_ns - start_ns)};
  journal_load_percentiles(rig, &figures);
  return figures;
}

static void bench_loads(struct journal_load *rig, const char *directory, bool hash_chain, const uint32_t *loads,
                        size_t load_count) {
  uint8_t *buffer = aligned_alloc(4096, READ_BYTES);
  memset(buffer, 0, READ_BYTES);
  journal_load_open(rig, directory, 8, hash_chain, NULL, NULL);
  const int file = prewritten_file(directory, buffer);
  memset(buffer, 0x5a, READ_BYTES);
  printf("%-12s %12s %9s %9s   %12s %9s %9s   %6s %6s %8s\n", "outstanding", "records/s", "p50 us", "p99 us", "floor", "p50 us",
         "p99 us", "ratio", "median", "MB/s");
  for (size_t i = 0; i < load_count; i++) {
    struct journal_figures ours[ROUNDS], floors[ROUNDS];
    for (uint32_t round = 0; round < ROUNDS; round++) {
      journal_load_wait_for_segments(rig);
      ours[round] = journal_load_run(rig, loads[i], ROUND_NS);
      floors[round] = floor_writes(rig, file, buffer, &ours[round]);
    }
    qsort(ours, ROUNDS, sizeof *ours, compare_figures);
    qsort(floors, ROUNDS, sizeof *floors, compare_figures);
    const struct journal_figures *a = &ours[ROUNDS - 1], *b = &floors[ROUNDS - 1];
    printf("%-12u %12.0f %9.1f %9.1f   %12.0f %9.1f %9.1f   %6.2f %6.2f %8.0f   [%.0f..%.0f]\n", loads[i], a->per_second,
           a->p50_us, a->p99_us, b->per_second, b->p50_us, b->p99_us, a->per_second / b->per_second,
           ours[ROUNDS / 2].per_second / floors[ROUNDS / 2].per_second, a->per_second / a->records * a->bytes / 1e6,
           ours[0].per_second, ours[ROUNDS - 1].per_second);
    fflush(stdout);
  }
  close(file);
  free(buffer);
  const uint64_t published = rig->published;
  journal_load_close(rig);
  bench_check(journal_load_recover(rig, directory, hash_chain) == published, "records are missing after recovery");
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
static void bench_sustained_and_recovery(struct journal_load *rig, const char *directory) {
  journal_load_open(rig, directory, 2, true, NULL, NULL);
  const struct journal_figures sustained = journal_load_run(rig, MOST_OUTSTANDING, SUSTAINED_NS);
  const struct journal_counters *counters = journal_counters(rig->journal);
  printf("\nsustained, segments zero-filled meanwhile: %.0f records/s, p50 %.1f us, p99 %.1f us, %.0f MB/s, %llu segments\n",
         sustained.per_second, sustained.p50_us, sustained.p99_us,
         sustained.per_second / sustained.records * sustained.bytes / 1e6,
         (unsigned long long)atomic_load(&counters->segments_prepared));
  const uint64_t published = rig->published;
  journal_load_close(rig);
  uint8_t *buffer = aligned_alloc(4096, READ_BYTES);
  double best = 0, best_cpu = 0, best_read = 0;
  uint64_t bytes = 0;
  for (uint32_t round = 0; round < 3; round++) {
    uint64_t start_ns = bench_now_ns();
    const uint64_t start_cpu_ns = thread_cpu_ns();
    const uint64_t count = journal_load_recover(rig, directory, true);
    const double elapsed = (double)(bench_now_ns() - start_ns), cpu = (double)(thread_cpu_ns() - start_cpu_ns);
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
  struct journal_load *rig = journal_load_create(-1);
  printf("# the floor: pwritev2(O_DIRECT, RWF_DSYNC) of the same batches on a zero-filled file, one after another (what\n"
         "# fio --ioengine=pvsync2 --direct=1 --sync=dsync does). The best of %u short rounds of each, and the ratio of the "
         "medians\n",
         ROUNDS);
  static const uint32_t outstanding[] = {1, 8, 64, 512, 1024, 2048, 4096, MOST_OUTSTANDING};
  const size_t all = sizeof outstanding / sizeof outstanding[0];
  bench_loads(rig, loads, true, outstanding, all);
  journal_load_remove_directory(loads);
  printf("\nwithout the hash chain:\n");
  bench_loads(rig, loads, false, outstanding + all - 2, 2);
  journal_load_remove_directory(loads);
  bench_sustained_and_recovery(rig, sustained);
  journal_load_remove_directory(sustained);
  journal_load_remove_directory(base);
  journal_load_destroy(rig);
  return 0;
}
