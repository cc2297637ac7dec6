#pragma once
/* The io_uring implementation's inside, for its test. */
#include "journal_io.h"
#include <liburing.h>

struct uring_io {
  struct journal_io io;
  struct io_uring ring;
  int directory;
  uint32_t in_flight;
};
