#include "always_assert.h"
#include "journal_chainer_internal.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct journal_chainer {
  pthread_t thread;
  sem_t wanted;
  /* journal:rw; read by the thread between `wanted` and `done` */
  const void *segment_block, *batch;
  uint32_t batch_bytes;
  bool under_way;
  bool ends; /* there is no batch: the thread ends */
  /* the thread writes, before `done` */
  uint8_t chain[JOURNAL_CHAIN_BYTES];
  _Atomic bool done;
};

static void *run(void *context) {
  struct journal_chainer *chainer = context;
  pthread_setname_np(pthread_self(), "journal-chain");
  for (;;) {
    while (sem_wait(&chainer->wanted) != 0) ALWAYS_ASSERT(errno == EINTR);
    if (chainer->ends) return NULL;
    journal_chain_next(chainer->segment_block, chainer->batch, chainer->batch_bytes, chainer->chain);
    atomic_store_explicit(&chainer->done, true, memory_order_release);
  }
}

struct journal_chainer *journal_chainer_create(void) {
  struct journal_chainer *chainer = calloc(1, sizeof *chainer);
  if (!chainer) return NULL;
  if (sem_init(&chainer->wanted, 0, 0) != 0) goto no_semaphore;
  if (pthread_create(&chainer->thread, NULL, run, chainer) != 0) goto no_thread;
  return chainer;

no_thread:
  sem_destroy(&chainer->wanted);
no_semaphore:
  free(chainer);
  return NULL;
}

void journal_chainer_destroy(struct journal_chainer *chainer) {
  if (!chainer) return;
  /* A batch that is still to be hashed goes first: `ends` is only looked at when another is wanted. */
  uint8_t chain[JOURNAL_CHAIN_BYTES];
  while (chainer->under_way && !journal_chainer_done(chainer, chain)) sched_yield();
  chainer->ends = true;
  sem_post(&chainer->wanted);
  pthread_join(chainer->thread, NULL);
  sem_destroy(&chainer->wanted);
  free(chainer);
}

void journal_chainer_start(struct journal_chainer *chainer, const void *segment_block, const void *batch, uint32_t batch_bytes) {
  ALWAYS_ASSERT(!chainer->under_way);
  chainer->segment_block = segment_block;
  chainer->batch = batch;
  chainer->batch_bytes = batch_bytes;
  chainer->under_way = true;
  atomic_store_explicit(&chainer->done, false, memory_order_relaxed);
  sem_post(&chainer->wanted);
}

bool journal_chainer_done(struct journal_chainer *chainer, uint8_t chain[JOURNAL_CHAIN_BYTES]) {
  ALWAYS_ASSERT(chainer->under_way);
  if (!atomic_load_explicit(&chainer->done, memory_order_acquire)) return false;
  memcpy(chain, chainer->chain, sizeof chainer->chain);
  chainer->under_way = false;
  return true;
}
