#include "always_assert.h"
#include "journal_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SLICE_NS 1000000u
#define IDLE_WAIT_LEAST_NS 10000u
#define IDLE_WAIT_PART 16u     /* of the time since the last record: a busy journal looks often, an idle one seldom */
#define GATHER_PAUSE_NS 30000u /* between two looks at the rings that had something */
#define CHAIN_PAUSE_NS 5000u   /* the disk is free and the next batch wants the chain */
#define ANSWER_WAIT_NS 10000000000u
#define CLOSE_WAITS_MAX 10000u /* times WAIT_SLICE_NS: a disk that does not answer keeps its buffers */

static bool config_is_sound(const struct journal_config *config) {
  return config->io && config->segment_bytes % JOURNAL_BLOCK_BYTES == 0 && config->batch_bytes_max % JOURNAL_BLOCK_BYTES == 0 &&
         config->batch_bytes_max >= JOURNAL_BATCH_BYTES_LEAST && config->batch_bytes_max <= JOURNAL_BATCH_BYTES_MOST &&
         config->segment_bytes >= config->batch_bytes_max + (uint64_t)JOURNAL_BLOCK_BYTES &&
         config->segment_bytes <= JOURNAL_SEGMENT_BYTES_MOST && config->segments_ahead >= 1 &&
         config->segments_ahead <= JOURNAL_SEGMENTS_AHEAD_MAX && config->ring_count <= JOURNAL_RINGS_MAX;
}

static bool take_buffers(struct journal *journal) {
  for (unsigned i = 0; i < 2; i++) {
    journal->batches[i].bytes = aligned_alloc(JOURNAL_BLOCK_BYTES, journal->config.batch_bytes_max);
    journal->batches[i].used = JOURNAL_BATCH_HEADER_BYTES;
    journal->batches[i].due_ns = UINT64_MAX;
    if (!journal->batches[i].bytes) return false;
  }
  journal->header_block = aligned_alloc(JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES);
  journal->preparer.zeros = aligned_alloc(JOURNAL_BLOCK_BYTES, ZERO_SLICE_BYTES_MOST);
  if (!journal->header_block || !journal->preparer.zeros) return false;
  memset(journal->preparer.zeros, 0, ZERO_SLICE_BYTES_MOST);
  const struct iovec buffers[] = {{journal->batches[0].bytes, journal->config.batch_bytes_max},
                                  {journal->batches[1].bytes, journal->config.batch_bytes_max},
                                  {journal->header_block, JOURNAL_BLOCK_BYTES},
                                  {journal->preparer.zeros, ZERO_SLICE_BYTES_MOST}};
  _Static_assert(sizeof buffers / sizeof *buffers <= JOURNAL_IO_BUFFERS_MAX, "all are registered");
  journal->io->operations->set_buffers(journal->io, buffers, sizeof buffers / sizeof *buffers);
  return true;
}

static bool has_writes(const struct journal *journal) {
  return journal->write.active || journal->header_write.active || journal->preparer.operation.active;
}

/* Records made durable, or -errno. */
static int complete(struct journal *journal, const struct journal_io_completion *completion, uint64_t now_ns) {
  if (completion->token == TOKEN_BATCH) return journal_batch_completed(journal, completion->result);
  if (completion->token == TOKEN_HEADER) return journal_header_completed(journal, completion->result);
  ALWAYS_ASSERT(completion->token == TOKEN_PREPARE);
  return journal_prepare_completed(journal, completion->result, now_ns);
}

/* A write that neither ends nor fails has no error to tell. */
static void watch_disk(struct journal *journal, uint64_t now_ns, int handled) {
  const int stalled = journal_stalled(journal);
  if (handled > 0 || !has_writes(journal)) {
    journal->answered_ns = now_ns;
    if (stalled == -ETIMEDOUT) atomic_store_explicit(&journal->stalled, 0, memory_order_relaxed);
  } else if (!stalled && now_ns > journal->answered_ns && now_ns - journal->answered_ns >= ANSWER_WAIT_NS) {
    atomic_store_explicit(&journal->stalled, -ETIMEDOUT, memory_order_relaxed);
  }
}

/* *completions: how many were handled. Records made durable, or -errno. */
static int reap(struct journal *journal, uint64_t now_ns, uint64_t wait_ns, int *handled) {
  struct journal_io_completion completions[JOURNAL_IO_IN_FLIGHT_MAX];
  *handled = journal->io->operations->reap(journal->io, completions, JOURNAL_IO_IN_FLIGHT_MAX, wait_ns);
  if (*handled < 0) return *handled;
  watch_disk(journal, now_ns, *handled);
  int durable = 0, error = 0;
  for (int i = 0; i < *handled; i++) {
    const int result = complete(journal, &completions[i], now_ns);
    if (result < 0 && !error) error = result;
    if (result > 0) durable += result;
  }
  return error ? error : durable;
}

/* Hands over what the queue had no room for before. */
static int poke(struct journal *journal) {
  struct journal_write *writes[] = {&journal->write, &journal->header_write, &journal->preparer.operation};
  int result = 0;
  for (unsigned i = 0; i < 3 && result == 0; i++) result = journal_write_poke(journal, writes[i]);
  return result;
}

/* Flushes, gathers and prepares. Whether there was anything to do, or -errno. */
static int work(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
  int result = poke(journal);
  if (result < 0) return result;
  journal_collect_chain(journal);
  const bool was_in_flight = journal->in_flight || journal->opening;
  /* What has gathered first: the disk need not wait for what is still to come. */
  result = journal_flush(journal, now_ns, wall_ns);
  if (result < 0) return result;
  const uint32_t gathered = journal_gather(journal, now_ns);
  if (gathered > 0) journal->gathered_at_ns = now_ns;
  if (!journal->gathers_on) result = journal_flush(journal, now_ns, wall_ns);
  if (result < 0) return result;
  result = journal_prepare(journal, now_ns);
  if (result < 0) return result;
  return gathered > 0 || (!was_in_flight && (journal->in_flight || journal->opening));
}

/* The thread sleeps a little even when records go on coming: with a batch in flight because the kernel's workers on this core,
 * which finish it, would else wait for whole time slices; with one that is not due because there is no hurry. */
static uint64_t wait_of(const struct journal *journal, uint64_t now_ns, uint64_t wait_ns, bool busy) {
  if (journal->gathers_on) return 0;
  if (journal->chaining && !journal->in_flight) return wait_ns < CHAIN_PAUSE_NS ? wait_ns : CHAIN_PAUSE_NS;
  if (busy) return wait_ns < GATHER_PAUSE_NS ? wait_ns : GATHER_PAUSE_NS;
  if (journal->in_flight || journal->opening) return wait_ns;
  const struct journal_batch *batch = &journal->batches[journal->filling];
  if (batch->count > 0 && batch->due_ns > now_ns && batch->due_ns - now_ns < wait_ns) wait_ns = batch->due_ns - now_ns;
  const uint64_t idle_ns = now_ns > journal->gathered_at_ns ? (now_ns - journal->gathered_at_ns) / IDLE_WAIT_PART : 0;
  const uint64_t wait = idle_ns > IDLE_WAIT_LEAST_NS ? idle_ns : IDLE_WAIT_LEAST_NS;
  return wait < wait_ns ? wait : wait_ns;
}

int journal_step(struct journal *journal, uint64_t now_ns, uint64_t wall_ns, uint64_t wait_ns) {
  const int failed = journal_failed(journal);
  if (failed) {
    journal_discard(journal);
    return failed;
  }
  journal->wall_ns = wall_ns;
  int handled;
  const int durable = reap(journal, now_ns, 0, &handled);
  if (durable < 0) return journal_fail(journal, durable);
  const int busy = work(journal, now_ns, wall_ns);
  if (busy < 0) return journal_fail(journal, busy);
  const uint64_t wait = handled > 0 ? 0 : wait_of(journal, now_ns, wait_ns, busy > 0);
  if (wait == 0) return durable;
  const int waited = reap(journal, now_ns, wait, &handled);
  if (waited < 0) return journal_fail(journal, waited);
  if (handled > 0) {
    /* The next flush starts with what has gathered during this one, at once. */
    const int next = work(journal, now_ns, wall_ns);
    if (next < 0) return journal_fail(journal, next);
  }
  return waited;
}

static int end_drain(struct journal *journal, int result) {
  journal->draining = false;
  return result;
}

int journal_drain(struct journal *journal, uint64_t now_ns, uint64_t wall_ns) {
  const uint64_t start_ns = journal->io->operations->now(journal->io);
  journal->draining = true;
  for (;;) {
    const uint64_t now = now_ns + (journal->io->operations->now(journal->io) - start_ns);
    const int result = journal_step(journal, now, wall_ns, WAIT_SLICE_NS);
    if (result < 0) return end_drain(journal, result);
    bool waiting = journal->in_flight || journal->opening || journal->batches[journal->filling].count > 0;
    uint32_t bytes;
    for (uint32_t i = 0; i < journal->config.ring_count && !waiting; i++)
      waiting = record_ring_peek(journal->config.rings[i], &bytes) != NULL;
    if (!waiting) return end_drain(journal, 0);
    const int stalled = journal_stalled(journal);
    if (stalled == -ETIMEDOUT || (stalled && !has_writes(journal) && journal->prepared_count == 0))
      return end_drain(journal, stalled);
  }
}

/* A new journal's first segment must be there before the first record. */
static int prepare_first(struct journal *journal) {
  while (journal->file < 0 && journal->prepared_count == 0) {
    const uint64_t now_ns = journal->io->operations->now(journal->io);
    int handled, result = poke(journal);
    if (result >= 0) result = journal_prepare(journal, now_ns);
    if (result >= 0) result = reap(journal, now_ns, WAIT_SLICE_NS, &handled);
    if (result < 0) return result;
    if (journal_stalled(journal)) return journal_stalled(journal);
  }
  return 0;
}

struct journal *journal_open(const struct journal_config *config, journal_record_visitor *visit, void *context,
                             struct journal_recovery *recovery, int *error_number) {
  memset(recovery, 0, sizeof *recovery);
  *error_number = -EINVAL;
  if (!config_is_sound(config)) {
    strcpy(recovery->refusal, "sizes of segments or batches that the format does not allow");
    return NULL;
  }
  *error_number = -ENOMEM;
  struct journal *journal = calloc(1, sizeof *journal);
  if (!journal) return NULL;
  journal->config = *config;
  journal->io = config->io;
  journal->file = -1;
  journal->preparer.file = -1;
  if (config->hash_chain && config->chain_thread) journal->chainer = journal_chainer_create();
  journal->answered_ns = config->io->operations->now(config->io);
  int result = take_buffers(journal) ? journal_recover(journal, visit, context, recovery) : -ENOMEM;
  if (result == 0) result = prepare_first(journal);
  if (result < 0) {
    if (!recovery->refusal[0])
      snprintf(recovery->refusal, sizeof recovery->refusal, "the journal cannot be opened: %s", strerror(-result));
    journal_close(journal);
    *error_number = result;
    return NULL;
  }
  atomic_store_explicit(&journal->durable_lsn, journal->next_lsn - 1, memory_order_release);
  *error_number = 0;
  return journal;
}

/* By the thread that the ring belongs to: the kernel would keep them until the ring itself is gone, some time after the process.
 */
static void let_go_of_files(struct journal *journal) {
  const struct journal_io_operations *operations = journal->io->operations;
  if (journal->file >= 0) operations->close(journal->io, journal->file);
  if (journal->opening) operations->close(journal->io, journal->next.file);
  if (journal->preparer.file >= 0) operations->close(journal->io, journal->preparer.file);
  for (uint32_t i = 0; i < journal->prepared_count; i++) operations->close(journal->io, journal->prepared[i].file);
  journal->file = journal->preparer.file = -1;
  journal->opening = false;
  journal->prepared_count = 0;
}

int journal_rest(struct journal *journal) {
  struct journal_io *io = journal->io;
  uint32_t in_flight = 0;
  struct journal_write *writes[] = {&journal->write, &journal->header_write, &journal->preparer.operation};
  for (unsigned i = 0; i < 3; i++) in_flight += writes[i]->active && !writes[i]->waiting;
  for (uint32_t waits = 0; in_flight > 0; waits++) {
    struct journal_io_completion completions[JOURNAL_IO_IN_FLIGHT_MAX];
    const int count = io->operations->reap(io, completions, JOURNAL_IO_IN_FLIGHT_MAX, WAIT_SLICE_NS);
    if (waits == CLOSE_WAITS_MAX) return count < 0 ? count : -ETIMEDOUT;
    /* That asking failed says nothing of what is in flight: whoever uses this I/O next would be told of it. */
    if (count > 0) in_flight -= (uint32_t)count;
  }
  for (unsigned i = 0; i < 3; i++) writes[i]->active = false;
  let_go_of_files(journal);
  io->operations->set_buffers(io, NULL, 0);
  return 0;
}

void journal_close(struct journal *journal) {
  if (!journal) return;
  journal_fail(journal, -ESHUTDOWN);
  journal_chainer_destroy(journal->chainer);
  journal->chainer = NULL;
  if (journal_rest(journal) < 0) return;
  for (unsigned i = 0; i < 2; i++) free(journal->batches[i].bytes);
  free(journal->header_block);
  free(journal->preparer.zeros);
  free(journal);
}

uint64_t journal_durable_lsn(const struct journal *journal) {
  return atomic_load_explicit(&journal->durable_lsn, memory_order_acquire);
}

/* One writer; a reader that met it in the middle reads again. */
void journal_mark_chain(struct journal *journal, uint64_t lsn) {
  struct journal_chain_mark *mark = &journal->chain_mark;
  const uint64_t turns = atomic_load_explicit(&mark->turns, memory_order_relaxed);
  atomic_store_explicit(&mark->turns, turns + 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
  atomic_store_explicit(&mark->lsn, lsn, memory_order_relaxed);
  for (unsigned i = 0; i < JOURNAL_CHAIN_BYTES / sizeof(uint64_t); i++) {
    uint64_t word;
    memcpy(&word, journal->chain_hash + i * sizeof word, sizeof word);
    atomic_store_explicit(&mark->chain[i], word, memory_order_relaxed);
  }
  atomic_store_explicit(&mark->turns, turns + 2, memory_order_release);
}

bool journal_chain_mark(const struct journal *journal, uint64_t *lsn, uint8_t chain[JOURNAL_CHAIN_BYTES]) {
  const struct journal_chain_mark *mark = &journal->chain_mark;
  uint64_t before, after;
  do {
    before = atomic_load_explicit(&mark->turns, memory_order_acquire);
    *lsn = atomic_load_explicit(&mark->lsn, memory_order_relaxed);
    for (unsigned i = 0; i < JOURNAL_CHAIN_BYTES / sizeof(uint64_t); i++) {
      const uint64_t word = atomic_load_explicit(&mark->chain[i], memory_order_relaxed);
      memcpy(chain + i * sizeof word, &word, sizeof word);
    }
    atomic_thread_fence(memory_order_acquire);
    after = atomic_load_explicit(&mark->turns, memory_order_relaxed);
  } while (before != after || before % 2 != 0);
  return *lsn > 0 && journal->config.hash_chain;
}

int journal_failed(const struct journal *journal) { return atomic_load_explicit(&journal->failed, memory_order_acquire); }

int journal_stalled(const struct journal *journal) { return atomic_load_explicit(&journal->stalled, memory_order_relaxed); }

static void raise(_Atomic uint64_t *value, uint64_t to) {
  uint64_t now = atomic_load_explicit(value, memory_order_relaxed);
  while (now < to && !atomic_compare_exchange_weak_explicit(value, &now, to, memory_order_release, memory_order_relaxed)) {
  }
}

void journal_request_flush(struct journal *journal) {
  atomic_fetch_add_explicit(&journal->flush_requests, 1, memory_order_release);
}

void journal_set_state_lsn(struct journal *journal, uint64_t lsn) { raise(&journal->state_lsn, lsn); }

uint64_t journal_state_lsn(const struct journal *journal) {
  return atomic_load_explicit(&journal->state_lsn, memory_order_relaxed);
}

void journal_set_oldest_segment(struct journal *journal, uint64_t segment) { raise(&journal->oldest_segment, segment); }

uint64_t journal_current_segment(const struct journal *journal) {
  return atomic_load_explicit(&journal->current_segment, memory_order_acquire);
}

const struct journal_counters *journal_counters(const struct journal *journal) { return &journal->counters; }
