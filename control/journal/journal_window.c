#include "always_assert.h"
#include "journal_window_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void journal_window_reset(struct journal_window *window, int file) {
  window->file = file;
  window->held = 0;
}

int journal_window_reserve(struct journal_window *window, uint32_t room) {
  room = journal_blocks_up(room);
  if (room <= window->room) return 0;
  uint8_t *bytes = aligned_alloc(JOURNAL_BLOCK_BYTES, room);
  if (!bytes) return -ENOMEM;
  free(window->bytes);
  window->bytes = bytes;
  window->room = room;
  window->held = 0;
  return 0;
}

void journal_window_free(struct journal_window *window) {
  free(window->bytes);
  window->bytes = NULL;
  window->room = window->held = 0;
}

/* Reads on from what is held of [offset, offset + bytes), so that no byte of a walk is read twice. */
static int fill(struct journal_window *window, uint64_t offset, uint32_t bytes, uint64_t ahead) {
  uint32_t kept = 0;
  if (offset >= window->from && offset < window->from + window->held) {
    kept = window->held - (uint32_t)(offset - window->from);
    memmove(window->bytes, window->bytes + (offset - window->from), kept);
  }
  uint64_t wanted = ahead < window->room ? ahead : window->room;
  if (wanted < bytes) wanted = bytes;
  window->from = offset;
  window->held = kept;
  const uint32_t missing = (uint32_t)wanted - kept;
  const int got = window->io->operations->read(window->io, window->file, window->bytes + kept, missing, offset + kept);
  if (got < 0) return got;
  memset(window->bytes + kept + got, 0, missing - (uint32_t)got);
  window->held = (uint32_t)wanted;
  return 0;
}

const uint8_t *journal_window_at(struct journal_window *window, uint64_t offset, uint32_t bytes, uint64_t ahead,
                                 int *error_number) {
  ALWAYS_ASSERT(offset % JOURNAL_BLOCK_BYTES == 0 && bytes % JOURNAL_BLOCK_BYTES == 0 && bytes <= window->room);
  const bool held = offset >= window->from && offset + bytes <= window->from + window->held;
  if (!held && (*error_number = fill(window, offset, bytes, ahead)) < 0) return NULL;
  return window->bytes + (offset - window->from);
}
