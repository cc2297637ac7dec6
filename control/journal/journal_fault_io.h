#pragma once
/* A fault injector around another journal_io: the Nth operation of a kind goes wrong, and so may those after it. For tests.
 * Threads: one. */
#include "journal_io.h"

enum journal_fault_point {
  FAULT_OPEN,
  FAULT_SIZE,
  FAULT_READ,
  FAULT_WRITE_SYNC,
  FAULT_SYNC,
  FAULT_REMOVE,
  FAULT_LIST,
  FAULT_SUBMIT,   /* the request is refused */
  FAULT_REAP,     /* the call itself fails */
  FAULT_COMPLETE, /* + enum journal_io_kind: a request of that kind completes with the fault */
  FAULT_POINTS = FAULT_COMPLETE + JOURNAL_IO_KINDS,
};

enum journal_fault_manner {
  FAULT_NOT_DONE, /* fails with `error`, nothing has happened */
  FAULT_DONE,     /* fails with `error` after it was done */
  FAULT_SHORT,    /* completed writes only: `bytes` of it are done and reported */
  FAULT_LOST,     /* completions only: nothing has happened, and nothing is ever reported */
};

struct journal_fault {
  enum journal_fault_point point;
  uint64_t nth; /* 1: the next one */
  enum journal_fault_manner manner;
  int error; /* -errno */
  uint64_t bytes;
  uint64_t times; /* one after another; 0: once */
};

/* Does not own `inner`; NULL: out of memory. */
struct journal_io *journal_fault_io_create(struct journal_io *inner);
/* One fault at a time; counting starts now. */
void journal_fault_io_arm(struct journal_io *io, const struct journal_fault *fault);
bool journal_fault_io_fired(const struct journal_io *io);
/* Called before each operation; what it arms may strike that one. A request is two: FAULT_SUBMIT, and if that is not refused
 * FAULT_COMPLETE + its kind. */
void journal_fault_io_watch(struct journal_io *io, void (*watch)(void *context, unsigned point), void *context);
