#pragma once
/* All the journal's I/O: a small asynchronous file interface with three implementations: io_uring, the simulated disk and the
 * fault injector (which wraps another). Offsets and lengths of journal writes are multiples of 4096; buffers are 4096-aligned.
 * Threads: the journal thread; readers use their own descriptors. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct journal_io;

struct journal_io_completion {
  uint64_t token;
  int result; /* bytes, or -errno */
};

struct journal_io_operations {
  /* Synchronous, control path. A handle >= 0 or -errno. */
  int (*open)(struct journal_io *io, const char *name, bool create); /* in the journal's directory; O_DIRECT where it can */
  int (*close)(struct journal_io *io, int file);
  int64_t (*size)(struct journal_io *io, int file);
  int (*allocate)(struct journal_io *io, int file, uint64_t bytes); /* reserve the space; contents are zero */
  int (*read)(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset); /* past the page cache */
  int (*write_sync)(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset); /* durable on return */
  int (*rename)(struct journal_io *io, const char *from, const char *to);
  int (*remove)(struct journal_io *io, const char *name);
  int (*sync_directory)(struct journal_io *io);
  /* Calls `each` for every name in the directory. */
  int (*list)(struct journal_io *io, void (*each)(void *context, const char *name), void *context);
  /* Asynchronous: a write that is durable when it completes with all its bytes. -EAGAIN when the queue is full. */
  int (*submit_durable_write)(struct journal_io *io, int file, const void *buffer, uint32_t bytes, uint64_t offset,
                              uint64_t token);
  /* Completions so far, up to `most`; waits up to `wait_ns` for the first (0: does not wait). */
  int (*reap)(struct journal_io *io, struct journal_io_completion *completions, uint32_t most, uint64_t wait_ns);
  void (*destroy)(struct journal_io *io);
};

struct journal_io {
  const struct journal_io_operations *operations;
};

/* io_uring on files under `directory` (created 0750 when missing). NULL and *error (static text) on failure. */
struct journal_io *journal_io_uring_create(const char *directory, int *error_number, const char **error);
