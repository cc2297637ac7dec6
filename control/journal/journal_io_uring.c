#include "journal_io.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE_ENTRIES 16

/* The ring belongs to the journal thread; the synchronous calls hold no state and may be used by readers too. */
struct uring_io {
  struct journal_io io;
  struct io_uring ring;
  int directory;
};

static int open_file(struct journal_io *io, const char *name, bool create) {
  struct uring_io *self = (struct uring_io *)io;
  const int flags = O_RDWR | O_CLOEXEC | O_DSYNC | (create ? O_CREAT | O_TRUNC : 0);
  int file = openat(self->directory, name, flags | O_DIRECT, 0640);
  if (file < 0 && errno == EINVAL) file = openat(self->directory, name, flags, 0640); /* a filesystem without O_DIRECT */
  return file < 0 ? -errno : file;
}

static int close_file(struct journal_io *io, int file) {
  (void)io;
  return close(file) == 0 ? 0 : -errno;
}

static int64_t file_size(struct journal_io *io, int file) {
  struct stat status;
  (void)io;
  return fstat(file, &status) == 0 ? status.st_size : -errno;
}

static int allocate_file(struct journal_io *io, int file, uint64_t bytes) {
  (void)io;
  if (ftruncate(file, (off_t)bytes) != 0) return -errno;
  const int result = posix_fallocate(file, 0, (off_t)bytes); /* so that a full disk is known now, not in the middle of a batch */
  return -result;
}

static int read_file(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io;
  uint32_t got = 0;
  while (got < bytes) {
    const ssize_t part = pread(file, (char *)buffer + got, bytes - got, (off_t)(offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return -errno;
    if (part == 0) break;
    got += (uint32_t)part;
  }
  return (int)got;
}

static int write_file(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io;
  uint32_t done = 0;
  while (done < bytes) {
    const ssize_t part = pwrite(file, (const char *)buffer + done, bytes - done, (off_t)(offset + done));
    if (part < 0 && errno == EINTR) continue;
    if (part <= 0) return part < 0 ? -errno : -EIO;
    done += (uint32_t)part;
  }
  return (int)done;
}

static int rename_file(struct journal_io *io, const char *from, const char *to) {
  const int directory = ((struct uring_io *)io)->directory;
  return renameat(directory, from, directory, to) == 0 ? 0 : -errno;
}

static int remove_file(struct journal_io *io, const char *name) {
  return unlinkat(((struct uring_io *)io)->directory, name, 0) == 0 ? 0 : -errno;
}

static int sync_directory(struct journal_io *io) { return fsync(((struct uring_io *)io)->directory) == 0 ? 0 : -errno; }

static int list_files(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  const int again = openat(((struct uring_io *)io)->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *directory = again < 0 ? NULL : fdopendir(again);
  if (!directory) {
    const int error = errno;
    if (again >= 0) close(again);
    return -error;
  }
  for (struct dirent *entry; (entry = readdir(directory));)
    if (entry->d_name[0] != '.') each(context, entry->d_name);
  closedir(directory);
  return 0;
}

/* The file is O_DSYNC: a completion with all bytes means durable. */
static int submit_durable_write(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset,
                                uint64_t token) {
  struct uring_io *self = (struct uring_io *)io;
  struct io_uring_sqe *entry = io_uring_get_sqe(&self->ring);
  if (!entry) return -EAGAIN;
  io_uring_prep_write(entry, file, buffer, bytes, offset);
  io_uring_sqe_set_data64(entry, token);
  int submitted;
  do {
    submitted = io_uring_submit(&self->ring);
  } while (submitted == -EINTR || submitted == -EAGAIN);
  return submitted < 0 ? submitted : 0;
}

static int reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct uring_io *self = (struct uring_io *)io;
  struct io_uring_cqe *entry = NULL;
  uint32_t count = 0;
  if (io_uring_peek_cqe(&self->ring, &entry) != 0 && wait_ns) {
    struct __kernel_timespec limit = {.tv_sec = (long long)(wait_ns / 1000000000), .tv_nsec = (long long)(wait_ns % 1000000000)};
    const int waited = io_uring_wait_cqe_timeout(&self->ring, &entry, &limit);
    if (waited == -ETIME || waited == -EINTR || waited == -EAGAIN) return 0;
    if (waited < 0) return waited;
  }
  while (count < most && io_uring_peek_cqe(&self->ring, &entry) == 0) {
    completions[count++] = (struct journal_io_completion){.token = io_uring_cqe_get_data64(entry), .result = entry->res};
    io_uring_cqe_seen(&self->ring, entry);
  }
  return (int)count;
}

static void destroy(struct journal_io *io) {
  struct uring_io *self = (struct uring_io *)io;
  io_uring_queue_exit(&self->ring);
  close(self->directory);
  free(self);
}

static const struct journal_io_operations operations = {
    .open = open_file,
    .close = close_file,
    .size = file_size,
    .allocate = allocate_file,
    .read = read_file,
    .write_sync = write_file,
    .rename = rename_file,
    .remove = remove_file,
    .sync_directory = sync_directory,
    .list = list_files,
    .submit_durable_write = submit_durable_write,
    .reap = reap,
    .destroy = destroy,
};

struct journal_io *journal_io_uring_create(const char *directory, int *error_number, const char **error) {
  struct uring_io *self = calloc(1, sizeof *self);
  *error_number = -ENOMEM;
  *error = "no memory";
  if (!self) return NULL;
  self->io.operations = &operations;
  *error = "the directory cannot be made or opened";
  if (mkdir(directory, 0750) != 0 && errno != EEXIST) *error_number = -errno;
  self->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->directory < 0) {
    *error_number = -errno;
    free(self);
    return NULL;
  }
  *error_number = io_uring_queue_init(QUEUE_ENTRIES, &self->ring, 0);
  if (*error_number == 0) return &self->io;
  *error = "io_uring is not available (kernel.io_uring_disabled, or a seccomp filter)";
  close(self->directory);
  free(self);
  return NULL;
}
