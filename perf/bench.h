#pragma once
/* The benchmarks' harness: a figure beside its floor or peer, measured in turns in one run, with medians and spread.
 * Threads: the program's main thread, unless said. */
#include <stdbool.h>
#include <stdint.h>

/* One round of a measurement: does its work once, checks that it was done, and returns nanoseconds per operation. */
typedef double bench_round(void *context);

struct bench {
  const char *name;
  bench_round *ours;
  bench_round *floor; /* the physical floor, or the peer; NULL: none */
  const char *floor_name;
  void *context;
  uint32_t rounds; /* of each, after one to warm up; 1 to BENCH_ROUNDS_MAX */
};

#define BENCH_ROUNDS_MAX 101

/* The machine, the compiler and the columns. */
void bench_header(void);
/* Prints `name ours [min..max] floor [min..max] ratio`, in ns per operation; returns the median of ours. */
double bench_run(const struct bench *bench);

/* Ends the program with a message: the oracle found that the work was not done. */
_Noreturn void bench_fail(const char *what);
/* `true` only: a false oracle fails the run. */
static inline void bench_check(bool holds, const char *what) {
  if (!holds) bench_fail(what);
}

/* Monotonic, not slewed. Any thread. */
uint64_t bench_now_ns(void);
/* How many cores this process may use, and the calling thread onto one of them (0-based among those). Any thread. */
uint32_t bench_core_count(void);
void bench_pin(uint32_t core);
/* Of these, but the first, the one that has served the fewest interrupts of devices: a disk's are charged to whom they interrupt.
 */
uint32_t bench_calm_core(void);

/* The compiler must take `value` as used, and memory as changed. */
static inline void bench_keep(uint64_t value) { __asm__ volatile("" : : "r"(value) : "memory"); }

static inline void bench_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
