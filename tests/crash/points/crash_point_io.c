/* The journal's io_uring with a crash point before and after everything it does. In the place of the real one: the test
 * executable is linked with --wrap. */
#include "always_assert.h"
#include "crash_points.h"
#include "journal_io.h"
#include <errno.h>
#include <stdlib.h>

_Static_assert(CRASH_AT_submit_sync_directory - CRASH_AT_submit_write_durable == JOURNAL_IO_SYNC_DIRECTORY &&
                   CRASH_AT_complete_sync_directory - CRASH_AT_complete_write_durable == JOURNAL_IO_SYNC_DIRECTORY &&
                   JOURNAL_IO_KINDS == 6,
               "a point for each kind, in their order");

/* Of the types that the header gives: another prototype there does not compile here. */
__typeof__(journal_io_uring_create) __real_journal_io_uring_create, __wrap_journal_io_uring_create;
__typeof__(journal_io_uring_pin_workers) __real_journal_io_uring_pin_workers, __wrap_journal_io_uring_pin_workers;

#define BLOCK_BYTES 4096u

struct points_io {
  struct journal_io io;
  struct journal_io *inner;
  /* journal:rw */
  struct {
    uint64_t token;
    enum journal_io_kind kind;
    bool used;
  } under_way[JOURNAL_IO_IN_FLIGHT_MAX];
};

static struct points_io *points_of(struct journal_io *io) { return (struct points_io *)(void *)io; }
#define INNER(io) (points_of(io)->inner)
#define BETWEEN(type, point, call)                                                                                               \
  do {                                                                                                                           \
    crash_point((point), CRASH_BEFORE);                                                                                          \
    const type result = (call);                                                                                                  \
    crash_point((point), CRASH_AFTER);                                                                                           \
    return result;                                                                                                               \
  } while (0)

static int points_open(struct journal_io *io, const char *name, bool create) {
  BETWEEN(int, CRASH_AT_open, INNER(io)->operations->open(INNER(io), name, create));
}

static int points_close(struct journal_io *io, int file) {
  BETWEEN(int, CRASH_AT_close, INNER(io)->operations->close(INNER(io), file));
}

static int64_t points_size(struct journal_io *io, int file) {
  BETWEEN(int64_t, CRASH_AT_size, INNER(io)->operations->size(INNER(io), file));
}

static int points_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  BETWEEN(int, CRASH_AT_read, INNER(io)->operations->read(INNER(io), file, buffer, bytes, offset));
}

/* The first half of it, in whole blocks, and nothing after. Only what has more than one counts. */
static void tear(struct journal_io *inner, enum crash_point point, int file, const void *buffer, uint64_t bytes,
                 uint64_t offset) {
  const uint64_t part = bytes / 2 / BLOCK_BYTES * BLOCK_BYTES;
  if (part == 0 || !crash_point_reached(point, CRASH_TORN)) return;
  inner->operations->write_sync(inner, file, buffer, (uint32_t)part, offset);
  crash_now();
}

static int points_write_sync(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  tear(INNER(io), CRASH_AT_write_sync, file, buffer, bytes, offset);
  BETWEEN(int, CRASH_AT_write_sync, INNER(io)->operations->write_sync(INNER(io), file, buffer, bytes, offset));
}

static int points_sync(struct journal_io *io, int file) {
  BETWEEN(int, CRASH_AT_sync, INNER(io)->operations->sync(INNER(io), file));
}

static int points_remove(struct journal_io *io, const char *name) {
  BETWEEN(int, CRASH_AT_remove, INNER(io)->operations->remove(INNER(io), name));
}

static int points_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  BETWEEN(int, CRASH_AT_list, INNER(io)->operations->list(INNER(io), each, context));
}

static uint64_t points_now(struct journal_io *io) { return INNER(io)->operations->now(INNER(io)); }

static void points_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  INNER(io)->operations->set_buffers(INNER(io), buffers, count);
}

static int points_submit(struct journal_io *io, const struct journal_io_request *request) {
  struct points_io *points = points_of(io);
  const enum crash_point point = (enum crash_point)(CRASH_AT_submit_write_durable + (unsigned)request->kind);
  if (request->kind == JOURNAL_IO_WRITE_DURABLE || request->kind == JOURNAL_IO_WRITE)
    tear(points->inner, point, request->file, request->buffer, request->bytes, request->offset);
  crash_point(point, CRASH_BEFORE);
  const int result = points->inner->operations->submit(points->inner, request);
  if (result != 0) return result;
  unsigned place = 0;
  while (place < JOURNAL_IO_IN_FLIGHT_MAX && points->under_way[place].used) place++;
  ALWAYS_ASSERT(place < JOURNAL_IO_IN_FLIGHT_MAX);
  points->under_way[place].token = request->token;
  points->under_way[place].kind = request->kind;
  points->under_way[place].used = true;
  crash_point(point, CRASH_AFTER);
  return 0;
}

static void completed(struct points_io *points, uint64_t token) {
  unsigned place = 0;
  while (place < JOURNAL_IO_IN_FLIGHT_MAX && (!points->under_way[place].used || points->under_way[place].token != token)) place++;
  ALWAYS_ASSERT(place < JOURNAL_IO_IN_FLIGHT_MAX);
  points->under_way[place].used = false;
  crash_point((enum crash_point)(CRASH_AT_complete_write_durable + (unsigned)points->under_way[place].kind), CRASH_AFTER);
}

static int points_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct points_io *points = points_of(io);
  const int count = points->inner->operations->reap(points->inner, completions, most, wait_ns);
  for (int i = 0; i < count; i++) completed(points, completions[i].token);
  return count;
}

static void points_destroy(struct journal_io *io) {
  INNER(io)->operations->destroy(INNER(io));
  free(io);
}

static const struct journal_io_operations points_operations = {
    .open = points_open,
    .close = points_close,
    .size = points_size,
    .read = points_read,
    .write_sync = points_write_sync,
    .sync = points_sync,
    .remove = points_remove,
    .list = points_list,
    .now = points_now,
    .set_buffers = points_set_buffers,
    .submit = points_submit,
    .reap = points_reap,
    .destroy = points_destroy,
};

struct journal_io *__wrap_journal_io_uring_create(const char *directory, int *error_number, const char **error) {
  struct points_io *points = calloc(1, sizeof *points);
  *error = "out of memory";
  *error_number = -ENOMEM;
  if (!points) return NULL;
  points->io.operations = &points_operations;
  points->inner = __real_journal_io_uring_create(directory, error_number, error);
  if (points->inner) return &points->io;
  free(points);
  return NULL;
}

int __wrap_journal_io_uring_pin_workers(struct journal_io *io, const int *cpus, uint32_t count) {
  return __real_journal_io_uring_pin_workers(INNER(io), cpus, count);
}
