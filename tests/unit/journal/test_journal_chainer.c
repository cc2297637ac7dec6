/* The hash chain on a thread of its own: the same chain, however late it is. */
#include "cmocka_test.h"
#include "journal_chainer_internal.h"
#include "journal_rig.h"
#include "journal_scan.h"
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (512u * 1024u)

static void test_it_computes_the_chain(void **state) {
  (void)state;
  static uint8_t segment_block[JOURNAL_BLOCK_BYTES];
  uint8_t *batch = malloc(BATCH_BYTES), wanted[JOURNAL_CHAIN_BYTES], found[JOURNAL_CHAIN_BYTES];
  struct journal_chainer *chainer = journal_chainer_create();
  assert_non_null(chainer);
  for (unsigned turn = 0; turn < 50; turn++) {
    memset(batch, (int)turn, BATCH_BYTES);
    segment_block[turn] = 1;
    const void *block = turn % 2 ? segment_block : NULL;
    const uint32_t bytes = JOURNAL_BLOCK_BYTES * (turn + 1);
    journal_chain_next(block, batch, bytes, wanted);
    journal_chainer_start(chainer, block, batch, bytes);
    while (!journal_chainer_done(chainer, found)) sched_yield();
    assert_memory_equal(found, wanted, sizeof wanted);
  }
  /* One that nobody asks for any more is waited for. */
  journal_chainer_start(chainer, NULL, batch, BATCH_BYTES);
  journal_chainer_destroy(chainer);
  journal_chainer_destroy(NULL);
  free(batch);
}

static void expect_marked(struct journal_rig *rig, const uint8_t chain[JOURNAL_CHAIN_BYTES]) {
  uint8_t marked[JOURNAL_CHAIN_BYTES];
  uint64_t lsn = 0;
  for (unsigned steps = 0; steps < 100000 && lsn != journal_durable_lsn(rig->journal); steps++) {
    assert_true(rig_step(rig, 10000) >= 0);
    if (!journal_chain_mark(rig->journal, &lsn, marked)) lsn = 0;
    sched_yield();
  }
  assert_int_equal(lsn, journal_durable_lsn(rig->journal));
  assert_memory_equal(marked, chain, sizeof marked);
}

/* Batches above and below the length that goes to the thread, over segments, as `tripline journal verify` walks them. */
static void test_a_journal_with_the_thread_verifies(void **state) {
  (void)state;
  struct journal_io *io =
      journal_sim_io_create(&(struct journal_sim_io_options){.seed = 5, .latency_least_ns = 20000, .latency_most_ns = 200000});
  struct journal_rig rig;
  rig_init(&rig, io, 2);
  rig.config.hash_chain = rig.config.chain_thread = true;
  rig.config.segment_bytes = 1u << 20;
  rig.config.batch_bytes_max = BATCH_BYTES;
  rig.ring_bytes = 1u << 20;
  assert_int_equal(rig_open(&rig), 0);
  for (unsigned turn = 0; turn < 12; turn++) {
    for (unsigned i = 0; i < (turn % 3 == 0 ? 10u : 300u); i++) assert_true(rig_publish(&rig, i % 2, 2000));
    assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  }
  const struct journal_counters *counters = journal_counters(rig.journal);
  assert_true(counters->batch_bytes / counters->batches > 100u * 1024u);
  struct journal_scan scan;
  assert_int_equal(journal_scan(io, &(struct journal_scan_handler){0}, &scan), 0);
  assert_int_equal(scan.damages, 0);
  assert_true(scan.chained && scan.segments > 2);
  expect_marked(&rig, scan.chain);
  rig_free(&rig);
  io->operations->destroy(io);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_it_computes_the_chain),
      cmocka_unit_test(test_a_journal_with_the_thread_verifies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
