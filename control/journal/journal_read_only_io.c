#include "journal_files_internal.h"
#include "journal_scan.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
  return journal_files_list(of(io)->directory, each, context);
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
      .size = journal_files_size,
      .read = journal_files_read,
      .write_sync = read_only_write,
      .sync = read_only_sync,
      .remove = read_only_remove,
      .list = read_only_list,
      .now = journal_files_now,
      .set_buffers = read_only_set_buffers,
      .submit = read_only_submit,
      .reap = read_only_reap,
      .destroy = read_only_destroy,
      .reads_on_any_thread = true,
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
