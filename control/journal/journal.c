#include "journal.h"
#include "always_assert.h"
#include "journal_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fail(struct journal *journal, int error) {
  atomic_store_explicit(&journal->failed, error, memory_order_release);
  return error;
}

static void add_record(struct journal *journal, struct journal_buffer_state *buffer, const void *record, uint32_t bytes) {
  struct journal_batch_header *batch = buffer->batch;
  if (buffer->payload_bytes == 0) {
    memset(batch, 0, sizeof *batch);
    batch->first_lsn = journal->next_lsn;
    buffer->payload_bytes = sizeof *batch;
    buffer->record_bytes = 0;
  }
  uint8_t *at = (uint8_t *)batch + buffer->payload_bytes;
  const uint32_t stride = journal_record_stride(bytes);
  ALWAYS_ASSERT(((const struct record_header *)record)->bytes == bytes);
  memcpy(at, record, bytes);
  memset(at + bytes, 0, stride - bytes);
  buffer->payload_bytes += stride;
  buffer->record_bytes += bytes;
  batch->record_count++;
  journal->next_lsn++;
}

/* Takes from each ring in turn, beginning with another one each time, until the buffer or the rings are empty. */
static uint32_t gather(struct journal *journal) {
  struct journal_buffer_state *buffer = &journal->buffers[journal->filling];
  const uint32_t rings = journal->config.ring_count;
  uint32_t gathered = 0, idle = 0;
  uint32_t at = journal->next_ring;
  while (idle < rings) {
    struct record_ring *ring = journal->config.rings[at];
    uint32_t bytes = 0;
    const void *record = record_ring_peek(ring, &bytes);
    const uint32_t used = buffer->payload_bytes ? buffer->payload_bytes : (uint32_t)sizeof *buffer->batch;
    if (record && used + journal_record_stride(bytes) > journal->config.batch_bytes_max) break;
    if (record) {
      add_record(journal, buffer, record, bytes);
      record_ring_advance(ring);
      buffer->ring_positions[at] = record_ring_read_position(ring);
      gathered++;
      idle = 0;
    } else {
      idle++;
    }
    at = (at + 1) % rings;
  }
  journal->next_ring = (journal->next_ring + 1) % rings;
  return gathered;
}

/* A full queue is not an error: the step tries again. */
static int submit_rest(struct journal *journal) {
  struct journal_io *io = journal->config.io;
  const struct journal_buffer_state *flight = &journal->buffers[journal->filling ^ 1];
  const uint32_t done = journal->flight_written;
  const int submitted = io->operations->submit_durable_write(io, journal->file, (const uint8_t *)flight->batch + done,
                                                             flight->batch->batch_bytes - done, journal->offset + done, 1);
  journal->submitted = submitted == 0;
  return submitted == -EAGAIN ? 0 : submitted;
}

static int launch(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
  struct journal_buffer_state *buffer = &journal->buffers[journal->filling];
  struct journal_batch_header *batch = buffer->batch;
  const uint32_t bytes = journal_round_to_block(buffer->payload_bytes);
  if (journal->file < 0 || journal->offset + bytes > journal->config.segment_bytes) {
    const int rolled = journal_roll(journal, wall_ns);
    if (rolled < 0) return rolled;
  }
  memset((uint8_t *)batch + buffer->payload_bytes, 0, bytes - buffer->payload_bytes);
  batch->magic = JOURNAL_BATCH_MAGIC;
  batch->batch_bytes = bytes;
  batch->payload_bytes = buffer->payload_bytes;
  batch->segment_id = journal->segment_id;
  batch->wall_ns = wall_ns;
  batch->previous_checksum = journal->chain;
  journal_seal_batch(batch);
  journal->chain = batch->checksum;
  journal->in_flight = true;
  journal->flight_written = 0;
  journal->flight_started_ns = now_ns;
  journal->filling ^= 1;
  return submit_rest(journal);
}

static int complete(struct journal *journal, uint64_t now_ns) {
  struct journal_buffer_state *flight = &journal->buffers[journal->filling ^ 1];
  const struct journal_batch_header *batch = flight->batch;
  struct journal_counters *counters = &journal->counters;
  journal->offset += batch->batch_bytes;
  journal->in_flight = false;
  const uint64_t last_lsn = batch->first_lsn + batch->record_count - 1;
  atomic_store_explicit(&journal->durable_lsn, last_lsn, memory_order_release);
  for (uint32_t i = 0; i < journal->config.ring_count; i++)
    if (flight->ring_positions[i]) record_ring_set_durable(journal->config.rings[i], flight->ring_positions[i]);
  atomic_fetch_add_explicit(&counters->records, batch->record_count, memory_order_relaxed);
  atomic_fetch_add_explicit(&counters->record_bytes, flight->record_bytes, memory_order_relaxed);
  atomic_fetch_add_explicit(&counters->batches, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&counters->batch_bytes, batch->batch_bytes, memory_order_relaxed);
  const uint64_t flush_ns = now_ns - journal->flight_started_ns;
  atomic_fetch_add_explicit(&counters->flush_ns_sum, flush_ns, memory_order_relaxed);
  if (flush_ns > atomic_load_explicit(&counters->flush_ns_max, memory_order_relaxed))
    atomic_store_explicit(&counters->flush_ns_max, flush_ns, memory_order_relaxed);
  flight->payload_bytes = 0;
  memset(flight->ring_positions, 0, sizeof flight->ring_positions);
  return (int)batch->record_count;
}

static bool transient(int result) { return result == -EAGAIN || result == -EINTR || result == -ECANCELED; }

/* A short write goes on where it stopped; any other error is final: what the disk holds then is for recovery to say. */
static int reap(struct journal *journal, uint64_t now_ns, uint64_t wait_ns) {
  struct journal_io *io = journal->config.io;
  struct journal_io_completion completion;
  if (journal->in_flight && !journal->submitted) return submit_rest(journal);
  const int count = io->operations->reap(io, &completion, 1, wait_ns);
  if (count < 0) return transient(count) ? 0 : count;
  if (count == 0 || !journal->in_flight) return 0;
  const uint32_t expected = journal->buffers[journal->filling ^ 1].batch->batch_bytes - journal->flight_written;
  if (completion.result == (int)expected) return complete(journal, now_ns);
  if (completion.result == 0 || (completion.result < 0 && !transient(completion.result)))
    return completion.result ? completion.result : -EIO;
  if (completion.result > 0) journal->flight_written += (uint32_t)completion.result & ~(JOURNAL_BLOCK_BYTES - 1);
  atomic_fetch_add_explicit(&journal->counters.writes_retried, 1, memory_order_relaxed);
  return submit_rest(journal);
}

static bool prepared(const struct journal *journal) {
  return journal->prepared_file >= 0 && journal->prepared_bytes == journal->config.segment_bytes;
}

int journal_step(struct journal *journal, uint64_t now_ns, uint64_t wall_ns, uint64_t wait_ns) {
  const int failed = atomic_load_explicit(&journal->failed, memory_order_relaxed);
  if (failed) return failed;
  const uint32_t gathered = gather(journal);
  if (!journal->in_flight && journal->buffers[journal->filling].payload_bytes) {
    const int launched = launch(journal, now_ns, wall_ns);
    if (launched < 0) return fail(journal, launched);
  } else if (gathered == 0 && journal->config.segments_ahead && !prepared(journal)) {
    /* Nothing to gather: the next segment is made ready, a slice at a time. */
    const int slice = journal_prepare_slice(journal);
    if (slice < 0) return fail(journal, slice);
    wait_ns = 0;
  }
  const int durable = reap(journal, now_ns, gathered && !journal->in_flight ? 0 : wait_ns);
  return durable < 0 ? fail(journal, durable) : durable;
}

static bool all_empty(struct journal *journal) {
  uint32_t bytes;
  for (uint32_t i = 0; i < journal->config.ring_count; i++)
    if (record_ring_peek(journal->config.rings[i], &bytes)) return false;
  return !journal->in_flight && journal->buffers[journal->filling].payload_bytes == 0;
}

int journal_drain(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
  while (!all_empty(journal)) {
    const int result = journal_step(journal, now_ns, wall_ns, 1000000);
    if (result < 0) return result;
  }
  return 0;
}

static bool allocate(struct journal *journal) {
  journal->zeros = journal_buffer(JOURNAL_SLICE_BYTES);
  for (unsigned i = 0; i < 2; i++) journal->buffers[i].batch = journal_buffer(journal->config.batch_bytes_max);
  return journal->zeros && journal->buffers[0].batch && journal->buffers[1].batch;
}

struct journal *journal_open(const struct journal_config *config, journal_record_visitor *visit, void *context,
                             struct journal_recovery *recovery, int *error_number) {
  ALWAYS_ASSERT(config->ring_count > 0 && config->ring_count <= JOURNAL_RINGS_MAX);
  ALWAYS_ASSERT(config->batch_bytes_max % JOURNAL_BLOCK_BYTES == 0 && config->batch_bytes_max >= 2 * RECORD_BYTES_MAX);
  ALWAYS_ASSERT(config->segment_bytes % JOURNAL_BLOCK_BYTES == 0 &&
                config->segment_bytes >= config->batch_bytes_max + JOURNAL_BLOCK_BYTES);
  struct journal *journal = calloc(1, sizeof *journal);
  *recovery = (struct journal_recovery){0};
  *error_number = -ENOMEM;
  if (!journal) return NULL;
  journal->config = *config;
  journal->file = journal->prepared_file = -1;
  if (allocate(journal)) *error_number = journal_recover(journal, visit, context, recovery);
  if (*error_number == 0) return journal;
  journal_close(journal);
  return NULL;
}

void journal_close(struct journal *journal) {
  struct journal_io *io = journal->config.io;
  if (journal->file >= 0) io->operations->close(io, journal->file);
  if (journal->prepared_file >= 0) io->operations->close(io, journal->prepared_file);
  free(journal->zeros);
  free(journal->buffers[0].batch);
  free(journal->buffers[1].batch);
  free(journal);
}

uint64_t journal_durable_lsn(const struct journal *journal) {
  return atomic_load_explicit(&journal->durable_lsn, memory_order_acquire);
}

int journal_failed(const struct journal *journal) { return atomic_load_explicit(&journal->failed, memory_order_acquire); }

const struct journal_counters *journal_counters(const struct journal *journal) { return &journal->counters; }
