#pragma once
/* All the journal's I/O: a small file interface with three implementations: io_uring, the simulated disk
 * (journal_sim_io.h) and the fault injector (journal_fault_io.h, which wraps another). Offsets and lengths of reads and writes
 * are multiples of 4096; buffers are 4096-aligned. Threads: submit and reap belong to the journal thread; another one may take
 * over when nothing is under way. The io_uring implementation's open, close, size, read and list may be called by any thread at
 * the same time: readers use descriptors of their own. The simulated disk has one thread. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define JOURNAL_IO_IN_FLIGHT_MAX 8 /* requests at a time; the journal needs two */
#define JOURNAL_IO_NAME_BYTES 64
#define JOURNAL_IO_BUFFERS_MAX 4

struct journal_io;

enum journal_io_kind {
  JOURNAL_IO_WRITE_DURABLE,  /* durable when it completes with all its bytes */
  JOURNAL_IO_WRITE,          /* durable after a later JOURNAL_IO_SYNC */
  JOURNAL_IO_SYNC,           /* the file's data and size */
  JOURNAL_IO_ALLOCATE,       /* blocks for `bytes` from the file's start, so that later writes need none; extends it */
  JOURNAL_IO_RENAME,         /* durable after a later JOURNAL_IO_SYNC_DIRECTORY */
  JOURNAL_IO_SYNC_DIRECTORY, /* names */
  JOURNAL_IO_KINDS,
};

/* Buffer and names must live, unchanged, until the completion is reaped. */
struct journal_io_request {
  enum journal_io_kind kind;
  int file;
  const void *buffer;
  uint64_t bytes;
  uint64_t offset;
  const char *from, *to;
  uint64_t token;
};

struct journal_io_completion {
  uint64_t token;
  int result; /* bytes written, 0 for the other kinds, or -errno */
};

struct journal_io_operations {
  /* Synchronous: start-up, recovery and readers. A handle >= 0 or -errno. `create` refuses a name that exists. */
  int (*open)(struct journal_io *io, const char *name, bool create); /* in the journal's directory; O_DIRECT where it can */
  int (*close)(struct journal_io *io, int file);
  int64_t (*size)(struct journal_io *io, int file);
  /* Past the page cache. Bytes read (fewer only at the end of the file) or -errno. */
  int (*read)(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset);
  int (*write_sync)(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset); /* durable on return */
  int (*sync)(struct journal_io *io, int file); /* all that was ever written to the file is durable on return */
  int (*remove)(struct journal_io *io, const char *name);
  /* Calls `each` for every name in the directory. */
  int (*list)(struct journal_io *io, void (*each)(void *context, const char *name), void *context);
  uint64_t (*now)(struct journal_io *io); /* monotonic nanoseconds */
  /* Where most writes come from: may be made known to the kernel ahead. They must outlive it: `count` 0 takes it back. At most
   * JOURNAL_IO_BUFFERS_MAX; nothing may be under way. */
  void (*set_buffers)(struct journal_io *io, const struct iovec *buffers, uint32_t count);
  /* Asynchronous. 0, -EAGAIN when JOURNAL_IO_IN_FLIGHT_MAX are under way, or -errno. */
  int (*submit)(struct journal_io *io, const struct journal_io_request *request);
  /* Completions so far, up to `most`; waits up to `wait_ns` for the first (0: does not wait), also when nothing is under way. */
  int (*reap)(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns);
  void (*destroy)(struct journal_io *io);
  bool reads_on_any_thread; /* `read` may be called by several threads at a time */
};

struct journal_io {
  const struct journal_io_operations *operations;
};

/* io_uring on files under `directory` (created 0750 when missing; locked against a second process). NULL and *error (static
 * text) on failure. */
struct journal_io *journal_io_uring_create(const char *directory, int *error_number, const char **error);
/* Keeps the kernel's helper threads of this ring on `cpus`, off the polling cores. 0 or -errno. */
int journal_io_uring_pin_workers(struct journal_io *io, const int *cpus, uint32_t count);
