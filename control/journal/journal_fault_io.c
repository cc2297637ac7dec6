#include "journal_fault_io.h"
#include "always_assert.h"
#include <errno.h>
#include <stdlib.h>

/* A request that the inner one holds, or whose completion is made up here. */
struct fault_request {
  uint64_t token;
  int result;
  bool used, replaced; /* the completion's result becomes `result` */
};

struct fault_io {
  struct journal_io io;
  struct journal_io *inner;
  struct journal_fault fault;
  uint64_t seen; /* operations at the point, since it was armed */
  bool fired;
  void (*watch)(void *context, unsigned point);
  void *watch_context;
  struct fault_request requests[JOURNAL_IO_IN_FLIGHT_MAX];
  struct journal_io_completion made_up[JOURNAL_IO_IN_FLIGHT_MAX];
  uint32_t made_up_count;
};

static struct fault_io *fault_of(const struct journal_io *io) { return (struct fault_io *)(uintptr_t)io; }

static bool strikes(struct fault_io *fault, unsigned point) {
  if (fault->watch) fault->watch(fault->watch_context, point);
  if (fault->fault.nth == 0 || (unsigned)fault->fault.point != point || ++fault->seen < fault->fault.nth) return false;
  const uint64_t times = fault->fault.times ? fault->fault.times : 1;
  if (fault->seen - fault->fault.nth >= times) return false;
  fault->fired = true;
  return true;
}

#define INNER(io) (fault_of(io)->inner)
/* What a synchronous call returns: the fault's error, before or after the call was made. */
#define FAULTY(io, point, call)                                                                                                  \
  do {                                                                                                                           \
    struct fault_io *faulty = fault_of(io);                                                                                      \
    if (!strikes(faulty, (point))) return call;                                                                                  \
    if (faulty->fault.manner != FAULT_NOT_DONE) (void)call;                                                                      \
    return faulty->fault.error;                                                                                                  \
  } while (0)

static int fault_open(struct journal_io *io, const char *name, bool create) {
  /* Never half done: there would be a handle that nobody closes. */
  struct fault_io *fault = fault_of(io);
  return strikes(fault, FAULT_OPEN) ? fault->fault.error : fault->inner->operations->open(fault->inner, name, create);
}

static int fault_close(struct journal_io *io, int file) { return INNER(io)->operations->close(INNER(io), file); }

static int64_t fault_size(struct journal_io *io, int file) {
  FAULTY(io, FAULT_SIZE, INNER(io)->operations->size(INNER(io), file));
}

static int fault_read(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  FAULTY(io, FAULT_READ, INNER(io)->operations->read(INNER(io), file, buffer, bytes, offset));
}

static int fault_write_sync(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset) {
  FAULTY(io, FAULT_WRITE_SYNC, INNER(io)->operations->write_sync(INNER(io), file, buffer, bytes, offset));
}

static int fault_sync(struct journal_io *io, int file) { FAULTY(io, FAULT_SYNC, INNER(io)->operations->sync(INNER(io), file)); }

static int fault_remove(struct journal_io *io, const char *name) {
  FAULTY(io, FAULT_REMOVE, INNER(io)->operations->remove(INNER(io), name));
}

static int fault_list(struct journal_io *io, void (*each)(void *context, const char *name), void *context) {
  FAULTY(io, FAULT_LIST, INNER(io)->operations->list(INNER(io), each, context));
}

static uint64_t fault_now(struct journal_io *io) { return INNER(io)->operations->now(INNER(io)); }

static void fault_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count) {
  INNER(io)->operations->set_buffers(INNER(io), buffers, count);
}

static int fault_submit(struct journal_io *io, const struct journal_io_request *request) {
  struct fault_io *fault = fault_of(io);
  if (strikes(fault, FAULT_SUBMIT)) return fault->fault.error;
  uint32_t slot = 0;
  while (slot < JOURNAL_IO_IN_FLIGHT_MAX && fault->requests[slot].used) slot++;
  if (slot + fault->made_up_count >= JOURNAL_IO_IN_FLIGHT_MAX) return -EAGAIN;
  struct journal_io_request passed = *request;
  passed.token = slot;
  struct fault_request kept = {.token = request->token, .used = true};
  if (strikes(fault, (unsigned)FAULT_COMPLETE + (unsigned)request->kind)) {
    if (fault->fault.manner == FAULT_NOT_DONE) {
      fault->made_up[fault->made_up_count++] =
          (struct journal_io_completion){.token = request->token, .result = fault->fault.error};
      return 0;
    }
    if (fault->fault.manner == FAULT_LOST) {
      fault->requests[slot] = kept;
      return 0;
    }
    if (fault->fault.manner == FAULT_DONE) {
      kept.replaced = true;
      kept.result = fault->fault.error;
    } else {
      /* The disk does whole blocks; the report may end within one. */
      passed.bytes = fault->fault.bytes / 4096 * 4096;
      kept.replaced = true;
      kept.result = (int)fault->fault.bytes;
      if (passed.bytes == 0) {
        fault->made_up[fault->made_up_count++] = (struct journal_io_completion){.token = request->token, .result = kept.result};
        return 0;
      }
    }
  }
  const int result = fault->inner->operations->submit(fault->inner, &passed);
  if (result == 0) fault->requests[slot] = kept;
  return result;
}

static int fault_reap(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns) {
  struct fault_io *fault = fault_of(io);
  if (strikes(fault, FAULT_REAP)) return fault->fault.error;
  uint32_t made_up = 0;
  while (fault->made_up_count > 0 && made_up < most) completions[made_up++] = fault->made_up[--fault->made_up_count];
  if (made_up == most) return (int)made_up;
  const int count = fault->inner->operations->reap(fault->inner, completions + made_up, most - made_up, made_up ? 0 : wait_ns);
  for (int i = 0; i < count; i++) {
    struct journal_io_completion *completion = &completions[made_up + (uint32_t)i];
    ALWAYS_ASSERT(completion->token < JOURNAL_IO_IN_FLIGHT_MAX);
    struct fault_request *request = &fault->requests[completion->token];
    completion->token = request->token;
    if (request->replaced) completion->result = request->result;
    request->used = false;
  }
  return count < 0 ? count : (int)made_up + count;
}

static void fault_destroy(struct journal_io *io) { free(fault_of(io)); }

static const struct journal_io_operations fault_operations = {
    .open = fault_open,
    .close = fault_close,
    .size = fault_size,
    .read = fault_read,
    .write_sync = fault_write_sync,
    .sync = fault_sync,
    .remove = fault_remove,
    .list = fault_list,
    .now = fault_now,
    .set_buffers = fault_set_buffers,
    .submit = fault_submit,
    .reap = fault_reap,
    .destroy = fault_destroy,
};

struct journal_io *journal_fault_io_create(struct journal_io *inner) {
  struct fault_io *fault = calloc(1, sizeof *fault);
  if (!fault) return NULL;
  fault->io.operations = &fault_operations;
  fault->inner = inner;
  return &fault->io;
}

void journal_fault_io_arm(struct journal_io *io, const struct journal_fault *fault) {
  fault_of(io)->fault = *fault;
  fault_of(io)->seen = 0;
  fault_of(io)->fired = false;
}

bool journal_fault_io_fired(const struct journal_io *io) { return fault_of(io)->fired; }

void journal_fault_io_watch(struct journal_io *io, void (*watch)(void *context, unsigned point), void *context) {
  fault_of(io)->watch = watch;
  fault_of(io)->watch_context = context;
}
