#include "always_assert.h"
#include "journal_internal.h"
#include <errno.h>
#include <string.h>

#define RECORDS_A_TURN 32    /* from one ring before the next has its turn */
#define SUM_BYTES_LEAST 4096 /* at a time: a checksum's start costs as much as a record's bytes */

static void sum_up_record(const struct journal_batch *batch, struct record_frame *frame, uint64_t lsn) {
  frame->checksum = journal_checksum(journal_lsn_seed(batch->segment_seed, lsn), frame + 1, frame->bytes);
}

static void sum_up_content(struct journal_batch *batch, uint32_t to) {
  batch->content = journal_checksum(batch->content, batch->bytes + batch->summed, to - batch->summed);
  batch->summed = to;
}

static void start_content(struct journal *journal, struct journal_batch *batch) {
  batch->first_lsn = journal->next_lsn;
  batch->segment_seed = journal->segment_seed;
  batch->content = journal_lsn_seed(batch->segment_seed, batch->first_lsn);
  batch->summed = JOURNAL_BATCH_HEADER_BYTES;
}

static void copy_record(struct journal *journal, struct journal_batch *batch, const void *record, uint32_t bytes) {
  const struct record_header *header = record;
  ALWAYS_ASSERT(bytes >= sizeof *header && header->bytes == bytes);
  if (batch->count == 0) start_content(journal, batch);
  uint8_t *at = batch->bytes + batch->used;
  struct record_frame *frame = (void *)at;
  const uint32_t framed = record_frame_bytes(bytes);
  memset(at + framed - 8, 0, 8); /* padding, and perhaps the record's end, which is written next */
  memcpy(frame + 1, record, bytes);
  frame->bytes = bytes;
  /* Now, while it is in the cache and another batch in flight. */
  sum_up_record(batch, frame, batch->first_lsn + batch->count);
  batch->used += framed;
  batch->count++;
  if (batch->used - batch->summed >= SUM_BYTES_LEAST) sum_up_content(batch, batch->used);
  journal_count(&journal->counters.record_bytes, bytes);
}

/* No record waits longer than its own durability says, whatever it shares a batch with. */
static void be_due(struct journal_batch *batch, enum record_durability urgency, uint64_t now_ns) {
  const uint64_t due_ns = urgency == DURABILITY_STRICT     ? 0
                          : urgency == DURABILITY_BALANCED ? now_ns + BALANCED_WAIT_NS
                                                           : now_ns + RELAXED_WAIT_NS;
  if (due_ns < batch->due_ns) batch->due_ns = due_ns;
}

/* A record takes as much in a batch as in its ring. */
uint32_t journal_unit_bytes_max(uint32_t batch_bytes_max) { return batch_bytes_max - JOURNAL_BATCH_HEADER_BYTES; }

/* What must fit for the peeked record to go into a batch: all that was published with it, so that a crash keeps it whole or not
 * at all: a webhook's id with its violations. Only what no batch holds goes into several. */
static uint32_t bytes_needed(const struct journal *journal, const struct record_ring *ring, uint32_t record_bytes) {
  const uint32_t unit_bytes = record_ring_unit_bytes(ring);
  return unit_bytes > 0 && unit_bytes <= journal_unit_bytes_max(journal->config.batch_bytes_max)
             ? unit_bytes
             : record_frame_bytes(record_bytes);
}

/* Up to RECORDS_A_TURN, and on to the end of what was published together. Returns how many; *full when the next does not fit. */
static uint32_t gather_ring(struct journal *journal, struct journal_batch *batch, struct record_ring *ring, uint64_t now_ns,
                            bool *full) {
  const uint64_t from = record_ring_read_position(ring);
  uint32_t count = 0, bytes;
  const void *record;
  while ((record = record_ring_peek(ring, &bytes)) && (count < RECORDS_A_TURN || record_ring_unit_bytes(ring) == 0)) {
    if (bytes_needed(journal, ring, bytes) > journal->config.batch_bytes_max - batch->used) {
      *full = true;
      break;
    }
    copy_record(journal, batch, record, bytes);
    record_ring_advance(ring);
    count++;
  }
  if (count > 0) be_due(batch, record_ring_urgency(ring, from), now_ns);
  return count;
}

uint32_t journal_gather(struct journal *journal, uint64_t now_ns) {
  struct journal_batch *batch = &journal->batches[journal->filling];
  const uint32_t rings = journal->config.ring_count;
  const uint32_t used = batch->used;
  uint32_t gathered = 0;
  bool full = false;
  for (uint32_t idle = 0; idle < rings && !full && batch->used - used < LOOK_BYTES;) {
    const uint32_t count = gather_ring(journal, batch, journal->config.rings[journal->next_ring], now_ns, &full);
    if (!full) journal->next_ring = (journal->next_ring + 1) % rings;
    gathered += count;
    idle = count ? 0 : idle + 1;
  }
  if (full) batch->due_ns = 0;
  journal->gathers_on = !full && batch->used - used >= LOOK_BYTES;
  return gathered;
}

static int open_next_segment(struct journal *journal, uint64_t wall_ns) {
  if (journal->prepared_count == 0) return 0;
  journal->next = journal->prepared[0];
  journal->prepared_count--;
  memmove(journal->prepared, journal->prepared + 1, journal->prepared_count * sizeof journal->prepared[0]);
  memset(journal->header_block, 0, JOURNAL_BLOCK_BYTES);
  struct segment_header *header = (void *)journal->header_block;
  *header = (struct segment_header){
      .salt = journal->identity.salt,
      .segment = journal->next.segment,
      .first_lsn = journal->next_lsn,
      .created_wall_ns = wall_ns,
      .segment_bytes = journal->config.segment_bytes,
      .batch_bytes_max = journal->config.batch_bytes_max,
      .previous_checksum = journal->chain,
      .chain_kind = journal->config.hash_chain ? JOURNAL_CHAIN_SHA256 : JOURNAL_CHAIN_NONE,
      .state_lsn = atomic_load_explicit(&journal->state_lsn, memory_order_acquire),
      .oldest_segment = atomic_load_explicit(&journal->oldest_segment, memory_order_acquire),
  };
  memcpy(header->chain, journal->chain_hash, sizeof header->chain);
  memcpy(header->node_id, journal->identity.node_id, sizeof header->node_id);
  segment_header_seal(journal->header_block);
  journal->opening = true;
  return journal_write_start(journal, &journal->header_write,
                             &(struct journal_io_request){.kind = JOURNAL_IO_WRITE_DURABLE,
                                                          .file = journal->next.file,
                                                          .buffer = journal->header_block,
                                                          .bytes = JOURNAL_BLOCK_BYTES,
                                                          .token = TOKEN_HEADER});
}

int journal_header_completed(struct journal *journal, int result) {
  const int done = journal_write_completed(journal, &journal->header_write, result);
  if (done <= 0) return done;
  if (journal->file >= 0) journal->io->operations->close(journal->io, journal->file);
  journal->file = journal->next.file;
  journal->segment = journal->next.segment;
  journal->segment_end = journal->config.segment_bytes;
  journal->offset = JOURNAL_BLOCK_BYTES;
  journal->segment_seed = journal_segment_seed(&journal->identity, journal->segment);
  journal->first_in_segment = true;
  journal->opening = false;
  atomic_store_explicit(&journal->current_segment, journal->segment, memory_order_release);
  return 0;
}

/* It goes to another segment than the one it was gathered for. */
static void sum_up_again(struct journal *journal, struct journal_batch *batch) {
  start_content(journal, batch);
  uint64_t lsn = batch->first_lsn;
  for (uint32_t at = JOURNAL_BATCH_HEADER_BYTES; at < batch->used; lsn++) {
    struct record_frame *frame = (void *)(batch->bytes + at);
    sum_up_record(batch, frame, lsn);
    at += record_frame_bytes(frame->bytes);
  }
  ALWAYS_ASSERT(lsn - batch->first_lsn == batch->count);
}

static uint32_t batch_finish(struct journal *journal, struct journal_batch *batch, uint64_t wall_ns) {
  const uint32_t batch_bytes = journal_blocks_up(batch->used), padding = batch_bytes - batch->used;
  ALWAYS_ASSERT(batch->first_lsn == journal->next_lsn);
  if (batch->segment_seed != journal->segment_seed) sum_up_again(journal, batch);
  memset(batch->bytes + batch->used, 0, padding);
  sum_up_content(batch, batch_bytes);
  struct batch_header *header = (void *)batch->bytes;
  *header = (struct batch_header){
      .batch_bytes = batch_bytes,
      .record_count = batch->count,
      .first_lsn = batch->first_lsn,
      .segment = journal->segment,
      .wall_ns = wall_ns,
      .previous_checksum = journal->chain,
      .used_bytes = batch->used,
  };
  struct batch_chain *chain = (void *)(header + 1);
  *chain = (struct batch_chain){.reserved = {0}};
  memcpy(chain->before, journal->chain_hash, sizeof chain->before);
  header->magic = JOURNAL_BATCH_MAGIC;
  header->checksum = batch_header_checksum(header, batch->content);
  journal->chain = header->checksum;
  journal->next_lsn += batch->count;
  return batch_bytes;
}

static bool is_due(struct journal *journal, const struct journal_batch *batch, uint64_t now_ns) {
  const uint64_t requests = atomic_load_explicit(&journal->flush_requests, memory_order_acquire);
  const bool asked = requests != journal->flushes_answered;
  journal->flushes_answered = requests;
  return asked || journal->draining || now_ns >= batch->due_ns || batch->used > journal->config.batch_bytes_max / 2 ||
         (batch->count >= BALANCED_RECORDS && batch->due_ns <= now_ns + BALANCED_WAIT_NS);
}

/* While the disk works. The next batch holds the result. */
static void chain_batch(struct journal *journal, const void *batch, uint32_t bytes) {
  const void *segment_block = journal->first_in_segment ? journal->header_block : NULL;
  journal->chaining = journal->chainer && bytes >= CHAINER_BYTES_LEAST;
  if (journal->chaining)
    journal_chainer_start(journal->chainer, segment_block, batch, bytes);
  else
    journal_chain_next(segment_block, batch, bytes, journal->chain_hash);
}

void journal_collect_chain(struct journal *journal) {
  if (!journal->chaining || !journal_chainer_done(journal->chainer, journal->chain_hash)) return;
  journal->chaining = false;
  /* Its batch may be durable by now. */
  if (!journal->in_flight) journal_mark_chain(journal, atomic_load_explicit(&journal->durable_lsn, memory_order_relaxed));
}

int journal_flush(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
  struct journal_batch *batch = &journal->batches[journal->filling];
  if (journal->in_flight || journal->opening || journal->chaining || batch->count == 0 || !is_due(journal, batch, now_ns))
    return 0;
  if (journal->file < 0 || journal_blocks_up(batch->used) > journal->segment_end - journal->offset)
    return open_next_segment(journal, wall_ns);
  for (uint32_t i = 0; i < journal->config.ring_count; i++)
    batch->ring_positions[i] = record_ring_read_position(journal->config.rings[i]);
  const uint32_t bytes = batch_finish(journal, batch, wall_ns);
  batch->submitted_ns = journal->io->operations->now(journal->io);
  const struct journal_io_request request = {.kind = JOURNAL_IO_WRITE_DURABLE,
                                             .file = journal->file,
                                             .buffer = batch->bytes,
                                             .bytes = bytes,
                                             .offset = journal->offset,
                                             .token = TOKEN_BATCH};
  journal->offset += bytes;
  journal->in_flight = true;
  journal->filling ^= 1u;
  struct journal_batch *other = &journal->batches[journal->filling];
  other->used = JOURNAL_BATCH_HEADER_BYTES;
  other->count = 0;
  other->due_ns = UINT64_MAX;
  const int started = journal_write_start(journal, &journal->write, &request);
  if (started == 0 && journal->config.hash_chain) chain_batch(journal, batch->bytes, bytes);
  journal->first_in_segment = false;
  return started;
}

static void count_batch(struct journal *journal, const struct journal_batch *batch) {
  struct journal_counters *counters = &journal->counters;
  const uint64_t flush_ns = journal->io->operations->now(journal->io) - batch->submitted_ns;
  journal_count(&counters->records, batch->count);
  journal_count(&counters->batches, 1);
  journal_count(&counters->batch_bytes, journal_blocks_up(batch->used));
  journal_count(&counters->flush_ns_sum, flush_ns);
  if (flush_ns > atomic_load_explicit(&counters->flush_ns_max, memory_order_relaxed))
    atomic_store_explicit(&counters->flush_ns_max, flush_ns, memory_order_relaxed);
}

int journal_batch_completed(struct journal *journal, int result) {
  const int done = journal_write_completed(journal, &journal->write, result);
  if (done <= 0) return done;
  const struct journal_batch *batch = &journal->batches[journal->filling ^ 1u];
  ALWAYS_ASSERT(journal->in_flight && batch->count > 0);
  count_batch(journal, batch);
  if (!journal->chaining) journal_mark_chain(journal, batch->first_lsn + batch->count - 1);
  /* The LSN first: whoever sees its ring's mark may then read its records. */
  atomic_store_explicit(&journal->durable_lsn, batch->first_lsn + batch->count - 1, memory_order_release);
  for (uint32_t i = 0; i < journal->config.ring_count; i++)
    record_ring_set_durable(journal->config.rings[i], batch->ring_positions[i]);
  journal->in_flight = false;
  return (int)batch->count;
}
