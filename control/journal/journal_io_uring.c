#include "always_assert.h"
#include "journal_files_internal.h"
#include "journal_io_uring_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* A killed predecessor's lock goes when the kernel has finished its last write. */
#define LOCK_ATTEMPTS 200
#define LOCK_PAUSE_NS 10000000L

static struct uring_io *uring_of(struct journal_io *io) { return (struct uring_io *)(void *)io; }

static int uring_open(struct journal_io *io, const char *name, bool create) {
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
  const int directory = uring_of(io)->directory;
  int file = openat(directory, name, flags | O_DIRECT, 0640);
  /* The filesystem has no O_DIRECT. With `create` it may have made the file before it found out. */
  if (file < 0 && errno == EINVAL) file = openat(directory, name, flags & ~O_EXCL, 0640);
  return file < 0 ? -errno : file;
}

static int uring_close(struct journal_io *io, int file) {
  uring_file_forget(uring_of(io), file);
  return close(file) == 0 ? 0 : -errno;
}

static int uring_write_sync(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  (void)io;
  uint32_t done = 0;
  while (done < bytes) {
    const struct iovec vector = {.iov_base = (uint8_t *)(uintptr_t)buffer + done, .iov_len = bytes - done};
    const ssize_t put = pwritev2(file, &vector, 1, (off_t)(offset + done), RWF_DSYNC);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? -errno : -EIO;
    done += (uint32_t)put;
  }
  return (int)done;
}

static int uring_sync(struct journal_io *io, int file) {
  (void)io;
  return fsync(file) == 0 ? 0 : -errno;
}

static int uring_remove(struct journal_io *io, const char *name) {
  return unlinkat(uring_of(io)->directory, name, 0) == 0 ? 0 : -errno;
}

static int uring_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  return journal_files_list(uring_of(io)->directory, each, context);
}

static void prepare(struct uring_io *uring, struct io_uring_sqe *sqe, const struct journal_io_request *request) {
  const int buffer = uring_buffer_of(uring, request->buffer, request->bytes);
  switch (request->kind) {
  case JOURNAL_IO_WRITE_DURABLE:
  case JOURNAL_IO_WRITE:
    io_uring_prep_write(sqe, request->file, request->buffer, (unsigned)request->bytes, request->offset);
    if (buffer < 0) break;
    sqe->opcode = IORING_OP_WRITE_FIXED;
    sqe->buf_index = (uint16_t)buffer;
    break;
  case JOURNAL_IO_SYNC:
    io_uring_prep_fsync(sqe, request->file, 0);
    break;
  case JOURNAL_IO_ALLOCATE:
    io_uring_prep_fallocate(sqe, request->file, 0, 0, (off_t)request->bytes);
    break;
  case JOURNAL_IO_RENAME:
    io_uring_prep_renameat(sqe, uring->directory, request->from, uring->directory, request->to, 0);
    break;
  case JOURNAL_IO_SYNC_DIRECTORY:
    io_uring_prep_fsync(sqe, uring->directory, 0);
    break;
  case JOURNAL_IO_KINDS:
    ALWAYS_ASSERT(request->kind != JOURNAL_IO_KINDS);
    break;
  }
}

/* By its registered slot where it has one. */
static void use_file(struct io_uring_sqe *sqe, int slot) {
  if (slot < 0) return;
  sqe->fd = slot;
  sqe->flags |= IOSQE_FIXED_FILE;
}

/* An interrupted submit leaves the entry in the queue; reap hands it over again. */
static int hand_over(struct uring_io *uring) {
  const int result = io_uring_submit(&uring->ring);
  return result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ? 0 : result;
}

/* A durable write is a write with an fdatasync linked to it. The write says something only when it fails or is short, and its
 * fdatasync then nothing: one completion either way. (docs/decisions/0006: why not RWF_DSYNC.) */
static int uring_submit(struct journal_io *io, const struct journal_io_request *request) {
  struct uring_io *uring = uring_of(io);
  const int owned = uring_ring_own(uring);
  if (owned < 0) return owned;
  if (uring->in_flight == JOURNAL_IO_IN_FLIGHT_MAX || io_uring_sq_space_left(&uring->ring) < 2) return -EAGAIN;
  uint32_t place = 0;
  while (uring->requests[place].used) place++;
  uring->requests[place] = (struct uring_request){.token = request->token, .bytes = (uint32_t)request->bytes, .used = true};
  const int slot = request->kind <= JOURNAL_IO_ALLOCATE ? uring_file_slot(uring, request->file) : -1;
  struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
  prepare(uring, sqe, request);
  use_file(sqe, slot);
  io_uring_sqe_set_data64(sqe, place * 2);
  if (request->kind == JOURNAL_IO_WRITE_DURABLE) {
    sqe->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    struct io_uring_sqe *sync = io_uring_get_sqe(&uring->ring);
    io_uring_prep_fsync(sync, request->file, IORING_FSYNC_DATASYNC);
    use_file(sync, slot);
    io_uring_sqe_set_data64(sync, place * 2 + 1);
  }
  uring->in_flight++;
  return hand_over(uring);
}

static struct journal_io_completion completion_of(struct uring_io *uring, const struct io_uring_cqe *entry) {
  const uint64_t data = io_uring_cqe_get_data64(entry);
  struct uring_request *request = &uring->requests[data / 2];
  ALWAYS_ASSERT(data / 2 < JOURNAL_IO_IN_FLIGHT_MAX && request->used);
  request->used = false;
  int result = entry->res;
  /* The sync of a durable write. An interrupted one counts as failed: what it has not made durable nobody can say. */
  if (data % 2 == 1) result = result == 0 ? (int)request->bytes : result == -EINTR || result == -EAGAIN ? -EIO : result;
  return (struct journal_io_completion){.token = request->token, .result = result};
}

static uint32_t take_completions(struct uring_io *uring, struct journal_io_completion *completions, uint32_t most) {
  struct io_uring_cqe *entries[JOURNAL_IO_IN_FLIGHT_MAX];
  const unsigned count =
      io_uring_peek_batch_cqe(&uring->ring, entries, most < JOURNAL_IO_IN_FLIGHT_MAX ? most : JOURNAL_IO_IN_FLIGHT_MAX);
  for (unsigned i = 0; i < count; i++) completions[i] = completion_of(uring, entries[i]);
  io_uring_cq_advance(&uring->ring, count);
  ALWAYS_ASSERT(count <= uring->in_flight);
  uring->in_flight -= count;
  return count;
}

static int uring_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct uring_io *uring = uring_of(io);
  const int owned = uring_ring_own(uring);
  if (owned < 0) return owned;
  if (io_uring_sq_ready(&uring->ring) > 0) {
    const int result = hand_over(uring);
    if (result < 0) return result;
  }
  uint32_t count = take_completions(uring, completions, most);
  /* Whoever does not wait has more to do, and keeps this core from the kernel's workers, which finish what is under way. */
  if (count == 0 && wait_ns == 0 && uring->in_flight > 0) sched_yield();
  if (count > 0 || wait_ns == 0) return (int)count;
  struct __kernel_timespec limit = {.tv_sec = (int64_t)(wait_ns / 1000000000u), .tv_nsec = (long long)(wait_ns % 1000000000u)};
  struct io_uring_cqe *first;
  const int result = io_uring_wait_cqe_timeout(&uring->ring, &first, &limit);
  if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN) return result;
  count = take_completions(uring, completions, most);
  return (int)count;
}

static void uring_destroy(struct journal_io *io) {
  struct uring_io *uring = uring_of(io);
  uring_ring_destroy(uring);
  close(uring->directory);
  free(uring);
}

static const struct journal_io_operations uring_operations = {
    .open = uring_open,
    .close = uring_close,
    .size = journal_files_size,
    .read = journal_files_read,
    .write_sync = uring_write_sync,
    .sync = uring_sync,
    .remove = uring_remove,
    .list = uring_list,
    .now = journal_files_now,
    .set_buffers = uring_set_buffers,
    .submit = uring_submit,
    .reap = uring_reap,
    .destroy = uring_destroy,
    .reads_on_any_thread = true,
};

/* Opens the directory, making it (and its name durable) when it is missing. */
static int open_directory(const char *path, const char **error) {
  const bool made = mkdir(path, 0750) == 0;
  if (!made && errno != EEXIST) {
    *error = "cannot make the journal's directory";
    return -errno;
  }
  const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    *error = "cannot open the journal's directory";
    return -errno;
  }
  if (made) {
    const int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 || fsync(parent) != 0) {
      const int result = -errno;
      *error = "cannot make the journal's directory durable";
      if (parent >= 0) close(parent);
      close(directory);
      return result;
    }
    close(parent);
  }
  return directory;
}

static int lock_directory(int directory) {
  for (int attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    if (flock(directory, LOCK_EX | LOCK_NB) == 0) return 0;
    if (errno != EWOULDBLOCK && errno != EINTR) return -errno;
    nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
  }
  return -EBUSY;
}

struct journal_io *journal_io_uring_create(const char *directory, int *error_number, const char **error) {
  struct uring_io *uring = calloc(1, sizeof *uring);
  int result = -ENOMEM;
  *error = "out of memory";
  if (!uring) goto failed;
  uring->io.operations = &uring_operations;
  result = uring->directory = open_directory(directory, error);
  if (result < 0) goto failed;
  *error = "the journal's directory is in use by another process";
  result = lock_directory(uring->directory);
  if (result < 0) goto close_directory;
  result = uring_ring_create(uring, error);
  if (result < 0) goto close_directory;
  *error = NULL;
  *error_number = 0;
  return &uring->io;

close_directory:
  close(uring->directory);
failed:
  free(uring);
  *error_number = result;
  return NULL;
}

int journal_io_uring_pin_workers(struct journal_io *io, const int *cpus, uint32_t count) {
  ALWAYS_ASSERT(io->operations == &uring_operations);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (uint32_t i = 0; i < count; i++) {
    if (cpus[i] < 0 || cpus[i] >= CPU_SETSIZE) return -EINVAL;
    CPU_SET((size_t)cpus[i], &set);
  }
  return io_uring_register_iowq_aff(&uring_of(io)->ring, sizeof set, &set);
}
