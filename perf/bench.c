#include "bench.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

struct spread {
  double least, median, most;
};

void bench_fail(const char *what) {
  fprintf(stderr, "benchmark failed: %s\n", what);
  exit(1);
}

uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* What the process could use at the first call: pinning narrows a thread's own mask. */
static const cpu_set_t *allowed_cores(void) {
  static cpu_set_t cores;
  static bool known;
  if (!known) {
    bench_check(sched_getaffinity(0, sizeof cores, &cores) == 0, "sched_getaffinity");
    known = true;
  }
  return &cores;
}

uint32_t bench_core_count(void) { return (uint32_t)CPU_COUNT(allowed_cores()); }

void bench_pin(uint32_t core) {
  const cpu_set_t *allowed = allowed_cores();
  for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, allowed) || core-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    bench_check(sched_setaffinity(0, sizeof one, &one) == 0, "sched_setaffinity");
    return;
  }
  bench_fail("no such core");
}

/* Columns of /proc/interrupts are the cores that are online; devices' lines begin with a number. */
static void sum_interrupts(uint64_t sums[CPU_SETSIZE]) {
  FILE *file = fopen("/proc/interrupts", "re");
  int cores[CPU_SETSIZE], columns = 0, taken = 0;
  char line[16384];
  if (file && fgets(line, sizeof line, file))
    for (const char *at = line; columns < CPU_SETSIZE && sscanf(at, " CPU%d%n", &cores[columns], &taken) == 1; at += taken)
      columns++;
  while (file && fgets(line, sizeof line, file)) {
    unsigned long long count;
    char *at = strchr(line, ':');
    if (!at || line[strspn(line, " ")] < '0' || line[strspn(line, " ")] > '9') continue;
    at++;
    for (int column = 0; column < columns && sscanf(at, " %llu%n", &count, &taken) == 1; at += taken)
      sums[cores[column++]] += count;
  }
  if (file) fclose(file);
}

uint32_t bench_calm_core(void) {
  static uint64_t sums[CPU_SETSIZE];
  const cpu_set_t *allowed = allowed_cores();
  uint32_t calm = 0, index = 0;
  uint64_t least = UINT64_MAX;
  sum_interrupts(sums);
  for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, allowed)) continue;
    if (index > 0 && sums[cpu] < least) {
      least = sums[cpu];
      calm = index;
    }
    index++;
  }
  return calm;
}

/* The processor's own name, where the kernel tells it. */
static void print_processor(void) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (file && fgets(line, sizeof line, file)) {
    if (strncmp(line, "model name", 10) != 0) continue;
    const char *name = strchr(line, ':');
    if (name) printf("# %.*s\n", (int)strcspn(name + 2, "\n"), name + 2);
    break;
  }
  if (file) fclose(file);
}

void bench_header(void) {
  struct utsname system;
  print_processor();
  if (uname(&system) == 0)
    printf("# %s %s %s, %u cores, compiler %s\n", system.sysname, system.release, system.machine, bench_core_count(),
           __VERSION__);
  printf("# ns per operation: median [min..max]\n");
  printf("%-44s %-28s %-28s %6s  %s\n", "name", "ours", "floor", "ratio", "floor is");
  fflush(stdout);
}

static int compare_doubles(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

static struct spread spread_of(double *samples, uint32_t count) {
  qsort(samples, count, sizeof *samples, compare_doubles);
  const double median = count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
  return (struct spread){.least = samples[0], .median = median, .most = samples[count - 1]};
}

static void print_spread(const struct spread *spread) {
  char text[64];
  snprintf(text, sizeof text, "%.2f [%.2f..%.2f]", spread->median, spread->least, spread->most);
  printf(" %-28s", text);
}

double bench_run(const struct bench *bench) {
  bench_check(bench->rounds >= 1 && bench->rounds <= BENCH_ROUNDS_MAX, "rounds out of range");
  double ours[BENCH_ROUNDS_MAX], floors[BENCH_ROUNDS_MAX];
  bench->ours(bench->context);
  if (bench->floor) bench->floor(bench->context);
  for (uint32_t round = 0; round < bench->rounds; round++) {
    ours[round] = bench->ours(bench->context);
    if (bench->floor) floors[round] = bench->floor(bench->context);
  }
  const struct spread spread = spread_of(ours, bench->rounds);
  printf("%-44s", bench->name);
  print_spread(&spread);
  if (bench->floor) {
    const struct spread below = spread_of(floors, bench->rounds);
    print_spread(&below);
    printf(" %6.2f  %s", spread.median / below.median, bench->floor_name);
  } else {
    printf(" %-28s %6s", "-", "-");
  }
  printf("\n");
  fflush(stdout);
  return spread.median;
}
