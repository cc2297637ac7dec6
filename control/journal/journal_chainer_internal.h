#pragma once
/* The hash chain beside the journal thread: SHA-256 of a long batch takes longer than the disk does, so a thread of its own
 * computes it while the journal gathers. It runs where the thread that made it may run. One batch at a time. */
#include "journal_format_internal.h"

struct journal_chainer;

/* NULL: no memory or no thread. */
struct journal_chainer *journal_chainer_create(void);
/* NULL is nothing. Waits for a batch that was handed over. */
void journal_chainer_destroy(struct journal_chainer *chainer);
/* As journal_chain_next. What it points at must stay as it is until it is done. Threads: the journal's, as all below. */
void journal_chainer_start(struct journal_chainer *chainer, const void *segment_block, const void *batch, uint32_t batch_bytes);
/* Whether it is done; `chain` then is that after the batch. */
bool journal_chainer_done(struct journal_chainer *chainer, uint8_t chain[JOURNAL_CHAIN_BYTES]);
