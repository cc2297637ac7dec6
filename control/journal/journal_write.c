#include "journal_internal.h"
#include <errno.h>
#include <string.h>

static int hand_over(struct journal *journal, struct journal_write *write) {
  const int result = journal->io->operations->submit(journal->io, &write->request);
  write->waiting = result == -EAGAIN;
  return write->waiting ? 0 : result;
}

static int checked(struct journal *journal, struct journal_write *write, int result) {
  if (result >= 0) return result;
  write->active = false;
  journal_note_error(journal, write, result);
  return result;
}

int journal_write_start(struct journal *journal, struct journal_write *write, const struct journal_io_request *request) {
  *write = (struct journal_write){.request = *request, .active = true};
  return checked(journal, write, hand_over(journal, write));
}

int journal_write_poke(struct journal *journal, struct journal_write *write) {
  if (!write->active || !write->waiting) return 0;
  return checked(journal, write, hand_over(journal, write));
}

int journal_write_completed(struct journal *journal, struct journal_write *write, int result) {
  struct journal_io_request *request = &write->request;
  const bool moves_bytes = request->kind == JOURNAL_IO_WRITE || request->kind == JOURNAL_IO_WRITE_DURABLE;
  /* Cancelled is never begun: neither a write nor a sync has failed. */
  const bool again = result == -EAGAIN || result == -EINTR || result == -ECANCELED;
  write->active = false;
  if (result < 0 && !again) return checked(journal, write, result);
  if (!again) {
    if (!moves_bytes || (uint64_t)result >= request->bytes) return 1;
    /* A short write: whole blocks count, the rest of a block is written again. */
    const uint64_t whole = (uint64_t)result / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
    request->buffer = (const uint8_t *)request->buffer + whole;
    request->offset += whole;
    request->bytes -= whole;
    if (whole > 0) write->retries = 0;
  }
  if (++write->retries > WRITE_RETRIES_MAX) return checked(journal, write, -EIO);
  journal_count(&journal->counters.writes_retried, 1);
  write->active = true;
  return checked(journal, write, hand_over(journal, write));
}
