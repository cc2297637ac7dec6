#include "journal_scan.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct read_only_io {
  struct journal_io io;
  int directory;
};

static struct read_only_io *of(struct journal_io *io) { return (struct read_only_io *)(void *)io; }

static int read_only_open(struct journal_io *io, const char *name, bool create) {
  if (create) return -EROFS;
  const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  int file = openat(of(io)->directory, name, flags | O_DIRECT);
  if (file < 0 && errno == EINVAL) file = openat(of(io)->directory, name, flags);
  return file < 0 ? -errno : file;
}

static int read_only_close(struct journal_io *io, int file) {
  (void)io;
  return close(file) == 0 ? 0 : -errno;
}

static int64_t read_only_size(struct journal_io *io, int file) {
  (void)io;
  struct stat status;
  return fstat(file, &status) == 0 ? (int64_t)status.st_size : -errno;
}

static int read_only_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io;
  uint32_t done = 0;
  while (done < bytes) {
    const ssize_t got = pread(file, (uint8_t *)buffer + done, bytes - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    done += (uint32_t)got;
    if (got == 0 || got % 512 != 0) break; /* the end of the file; O_DIRECT would refuse to go on from there */
  }
  return (int)done;
}

static int read_only_write(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io, (void)file, (void)buffer, (void)bytes, (void)offset;
  return -EROFS;
}

static int read_only_sync(struct journal_io *io, int file) {
  (void)io, (void)file;
  return -EROFS;
}

static int read_only_remove(struct journal_io *io, const char *name) {
  (void)io, (void)name;
  return -EROFS;
}

static int read_only_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  const int copy = openat(of(io)->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = copy < 0 ? NULL : fdopendir(copy);
  if (!directory) {
    const int error = -errno;
    if (copy >= 0) close(copy);
    return error;
  }
  errno = 0;
  for (struct dirent *entry; (entry = readdir(directory)); errno = 0) each(context, entry->d_name);
  const int error = -errno;
  closedir(directory);
  return error;
}

static uint64_t read_only_now(struct journal_io *io) {
  (void)io;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void read_only_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  (void)io, (void)buffers, (void)count;
}

static int read_only_submit(struct journal_io *io, const struct journal_io_request *request) {
  (void)io, (void)request;
  return -EROFS;
}

static int read_only_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  (void)io, (void)completions, (void)most, (void)wait_ns;
  return 0;
}

static void read_only_destroy(struct journal_io *io) {
  close(of(io)->directory);
  free(of(io));
}

struct journal_io *journal_read_only_io_create(const char *directory, int *error_number) {
  static const struct journal_io_operations operations = {
      .open = read_only_open,
      .close = read_only_close,
      .size = read_only_size,
      .read = read_only_read,
      .write_sync = read_only_write,
      .sync = read_only_sync,
      .remove = read_only_remove,
      .list = read_only_list,
      .now = read_only_now,
      .set_buffers = read_only_set_buffers,
      .submit = read_only_submit,
      .reap = read_only_reap,
      .destroy = read_only_destroy,
  };
  struct read_only_io *made = calloc(1, sizeof *made);
  *error_number = -ENOMEM;
  if (!made) return NULL;
  made->io.operations = &operations;
  made->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *error_number = made->directory < 0 ? -errno : 0;
  if (made->directory >= 0) return &made->io;
  free(made);
  return NULL;
}
