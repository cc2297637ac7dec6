#pragma once
/* The io_uring implementation's inside, for its test. */
#include "journal_io.h"
#include <liburing.h>
#include <stdatomic.h>

#define URING_FILES_MAX 32 /* registered; beyond them a file is used by its descriptor */

/* What a completion belongs to; its number in the table is in the entry's user data. */
struct uring_request {
  uint64_t token;
  uint32_t bytes;
  bool used;
};

struct uring_io {
  struct journal_io io;
  struct io_uring ring;
  bool has_ring;
  pid_t owner; /* the thread that submits and reaps; the kernel lets no other */
  int directory;
  uint32_t in_flight;
  struct uring_request requests[JOURNAL_IO_IN_FLIGHT_MAX];
  bool has_buffers, has_files; /* registered; the kernel may refuse (RLIMIT_MEMLOCK), and it works without */
  struct iovec buffers[JOURNAL_IO_BUFFERS_MAX];
  uint32_t buffer_count;
  /* Descriptors by slot, -1: free. The journal thread writes; any thread's close looks for its own. */
  _Atomic int files[URING_FILES_MAX];
};

/* journal_uring_ring.c: the ring, restricted to what the journal does. 0 or -errno with *error. */
int uring_ring_create(struct uring_io *uring, const char **error);
/* The calling thread submits and reaps from now on: with nothing under way it gets a ring of its own, else -EXDEV. */
int uring_ring_own(struct uring_io *uring);
void uring_ring_destroy(struct uring_io *uring);
void uring_set_buffers(struct journal_io *io, const struct iovec *buffers, uint32_t count);
/* The slot of a file, taken when it has none; -1: none is to be had. */
int uring_file_slot(struct uring_io *uring, int file);
void uring_file_forget(struct uring_io *uring, int file);
/* The registered buffer that holds all of these bytes, or -1. */
int uring_buffer_of(const struct uring_io *uring, const void *bytes, uint64_t length);
