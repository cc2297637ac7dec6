#include "daemon_internal.h"
#include <sys/mman.h>
#include <time.h>

/* Each take is a mapping of its own: zeroed, page-aligned, for the life of the process. Large ones ask for huge pages. */
static void *take(void *context, size_t bytes, size_t alignment) {
  const bool *prefault = context;
  const size_t huge = 2u << 20;
  if (bytes == 0 || alignment > 4096) return NULL;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  if (bytes >= huge) madvise(memory, bytes, MADV_HUGEPAGE);
  /* A first touch costs the shard a fault, and of a huge page its zeroing: hundreds of microseconds. */
  if (*prefault && madvise(memory, bytes, MADV_POPULATE_WRITE) != 0) {
    munmap(memory, bytes);
    return NULL;
  }
  return memory;
}

struct arena arena_mapped(bool *prefault) {
  return (struct arena){.take = take, .context = prefault};
}

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
uint64_t wall_ns(void) { return clock_ns(CLOCK_REALTIME); }
