/* Preloaded into a program: each read of 64 KiB and more takes SLOW_READS_US longer, as from a slow disk. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LARGE_BYTES 65536u

ssize_t pread64(int file, void *buffer, size_t bytes, off64_t offset);

ssize_t pread64(int file, void *buffer, size_t bytes, off64_t offset) {
  static ssize_t (*next)(int, void *, size_t, off64_t);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "pread64");
  const char *slow = bytes >= LARGE_BYTES ? getenv("SLOW_READS_US") : NULL;
  const long microseconds = slow ? strtol(slow, NULL, 10) : 0;
  const struct timespec pause = {.tv_sec = microseconds / 1000000, .tv_nsec = microseconds % 1000000 * 1000};
  if (microseconds > 0) nanosleep(&pause, NULL);
  return next(file, buffer, bytes, offset);
}
