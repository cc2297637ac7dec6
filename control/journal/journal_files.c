#include "journal_files_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int64_t journal_files_size(struct journal_io *io, int file) {
  (void)io;
  struct stat status;
  return fstat(file, &status) == 0 ? (int64_t)status.st_size : -errno;
}

int journal_files_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io;
  /* Without O_DIRECT the cache may hold what never reached the disk. */
  if (!(fcntl(file, F_GETFL) & O_DIRECT)) posix_fadvise(file, (off_t)offset, bytes, POSIX_FADV_DONTNEED);
  uint32_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(file, (uint8_t *)buffer + done, bytes - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    done += (uint32_t)got;
    /* An unaligned count only comes at the end of the file; O_DIRECT would refuse to go on from there. */
    if (got == 0 || got % 512 != 0) break;
  }
  return (int)done;
}

int journal_files_list(int directory, void (*each)(void *context, const char *name), void *context) {
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return -errno;
  DIR *entries = fdopendir(copy);
  if (!entries) {
    const int error = -errno;
    close(copy);
    return error;
  }
  errno = 0;
  for (struct dirent *entry; (entry = readdir(entries)); errno = 0) each(context, entry->d_name);
  const int error = -errno;
  closedir(entries);
  return error;
}

uint64_t journal_files_now(struct journal_io *io) {
  (void)io;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
