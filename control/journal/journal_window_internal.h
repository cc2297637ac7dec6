#pragma once
/* A stretch of a segment file in memory, read in large aligned pieces. */
#include "journal_format_internal.h"

struct journal_window {
  struct journal_io *io;
  int file;
  uint8_t *bytes; /* 4096-aligned */
  uint32_t room;
  uint64_t from; /* what it holds */
  uint32_t held;
};

/* Forgets what it holds and reads `file` from now on. */
void journal_window_reset(struct journal_window *window, int file);
/* A window for at least `room` bytes (rounded up to blocks). 0 or -ENOMEM; grows what is there. */
int journal_window_reserve(struct journal_window *window, uint32_t room);
void journal_window_free(struct journal_window *window);
/* `bytes` of the file at `offset` (a multiple of 4096, both), reading up to `ahead` when they are not held; what lies beyond the
 * end of the file reads as zero. NULL and *error_number on failure. Valid until the next call. */
const uint8_t *journal_window_at(struct journal_window *window, uint64_t offset, uint32_t bytes, uint64_t ahead,
                                 int *error_number);
