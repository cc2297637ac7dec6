#pragma once
/* Where the test executable triplined_at_points can be killed: CRASH_POINT=name, CRASH_WHEN=before|after|torn and CRASH_NTH=N
 * choose the Nth time that the process gets there; CRASH_POINT=? prints them all. The daemon itself has none of this: its
 * calls are redirected when the test executable is linked. Threads: any. */
#include <stdbool.h>

enum crash_when { CRASH_BEFORE = 1, CRASH_AFTER = 2, CRASH_TORN = 4 /* a part of the write is done */ };

/* P(name, what can be chosen, what the process must be doing) */
#define CRASH_IO_POINTS(P)                                                                                                       \
  P(submit_write_durable, CRASH_BEFORE | CRASH_AFTER | CRASH_TORN, load)                                                         \
  P(submit_write, CRASH_BEFORE | CRASH_AFTER | CRASH_TORN, segments)                                                             \
  P(submit_sync, CRASH_BEFORE | CRASH_AFTER, segments)                                                                           \
  P(submit_allocate, CRASH_BEFORE | CRASH_AFTER, segments)                                                                       \
  P(submit_rename, CRASH_BEFORE | CRASH_AFTER, segments)                                                                         \
  P(submit_sync_directory, CRASH_BEFORE | CRASH_AFTER, segments)                                                                 \
  P(complete_write_durable, CRASH_AFTER, load)                                                                                   \
  P(complete_write, CRASH_AFTER, segments)                                                                                       \
  P(complete_sync, CRASH_AFTER, segments)                                                                                        \
  P(complete_allocate, CRASH_AFTER, segments)                                                                                    \
  P(complete_rename, CRASH_AFTER, segments)                                                                                      \
  P(complete_sync_directory, CRASH_AFTER, segments)                                                                              \
  P(open, CRASH_BEFORE | CRASH_AFTER, load)                                                                                      \
  P(close, CRASH_BEFORE | CRASH_AFTER, segments)                                                                                 \
  P(size, CRASH_BEFORE | CRASH_AFTER, start)                                                                                     \
  P(read, CRASH_BEFORE | CRASH_AFTER, load)                                                                                      \
  P(write_sync, CRASH_BEFORE | CRASH_AFTER | CRASH_TORN, start)                                                                  \
  P(sync, CRASH_BEFORE | CRASH_AFTER, start)                                                                                     \
  P(remove, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                                  \
  P(list, CRASH_BEFORE | CRASH_AFTER, load)

/* Functions whose calls from other files are redirected. */
#define CRASH_CALL_POINTS(P)                                                                                                     \
  P(journal_recover, CRASH_BEFORE | CRASH_AFTER, start)                                                                          \
  P(rule_book_recover, CRASH_BEFORE | CRASH_AFTER, start)                                                                        \
  P(remembered_ids_see, CRASH_BEFORE | CRASH_AFTER, load)                                                                        \
  P(shard_restore_replay, CRASH_BEFORE | CRASH_AFTER, start)                                                                     \
  P(records_start, CRASH_BEFORE | CRASH_AFTER, start)                                                                            \
  P(rules_start, CRASH_BEFORE | CRASH_AFTER, start)                                                                              \
  P(keeper_start, CRASH_BEFORE | CRASH_AFTER, start)                                                                             \
  P(shards_start, CRASH_BEFORE | CRASH_AFTER, start)                                                                             \
  P(journal_gather, CRASH_BEFORE | CRASH_AFTER, load)                                                                            \
  P(journal_flush, CRASH_BEFORE | CRASH_AFTER, load)                                                                             \
  P(journal_batch_completed, CRASH_BEFORE | CRASH_AFTER, load)                                                                   \
  P(journal_mark_chain, CRASH_BEFORE | CRASH_AFTER, load)                                                                        \
  P(record_ring_set_durable, CRASH_BEFORE | CRASH_AFTER, load)                                                                   \
  P(journal_header_completed, CRASH_BEFORE | CRASH_AFTER, segments)                                                              \
  P(journal_prepare_completed, CRASH_BEFORE | CRASH_AFTER, segments)                                                             \
  P(record_ring_publish, CRASH_BEFORE | CRASH_AFTER, load)                                                                       \
  P(shard_release_durable, CRASH_BEFORE | CRASH_AFTER, load)                                                                     \
  P(shard_answer_webhook, CRASH_BEFORE | CRASH_AFTER, load)                                                                      \
  P(shard_answer_spans, CRASH_BEFORE | CRASH_AFTER, load)                                                                        \
  P(rules_stream_write, CRASH_BEFORE | CRASH_AFTER, rules)                                                                       \
  P(records_wait_settled, CRASH_BEFORE | CRASH_AFTER, rules)                                                                     \
  P(records_publish, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                         \
  P(match_counts_begin, CRASH_BEFORE | CRASH_AFTER, rules)                                                                       \
  P(match_counts_end, CRASH_BEFORE | CRASH_AFTER, rules)                                                                         \
  P(remembered_ids_copy, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                     \
  P(rule_book_snapshot, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                      \
  P(records_wait_durable, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                    \
  P(journal_set_state_lsn, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                   \
  P(journal_set_oldest_segment, CRASH_BEFORE | CRASH_AFTER, keeper)                                                              \
  P(violation_store_forget, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                  \
  P(journal_remove_segment, CRASH_BEFORE | CRASH_AFTER, keeper)                                                                  \
  P(checkpoint_sign, CRASH_BEFORE | CRASH_AFTER, load)                                                                           \
  P(shards_drain, CRASH_BEFORE | CRASH_AFTER, drain)                                                                             \
  P(shards_stop, CRASH_BEFORE | CRASH_AFTER, drain)                                                                              \
  P(keeper_stop, CRASH_BEFORE | CRASH_AFTER, drain)                                                                              \
  P(journal_drain, CRASH_BEFORE | CRASH_AFTER, drain)                                                                            \
  P(records_stop_thread, CRASH_BEFORE | CRASH_AFTER, drain)                                                                      \
  P(records_close, CRASH_BEFORE | CRASH_AFTER, drain)                                                                            \
  P(journal_close, CRASH_BEFORE | CRASH_AFTER, drain)

enum crash_point {
#define CRASH_POINT_NAME(name, when, phase) CRASH_AT_##name,
  CRASH_IO_POINTS(CRASH_POINT_NAME) CRASH_CALL_POINTS(CRASH_POINT_NAME)
#undef CRASH_POINT_NAME
      CRASH_POINTS,
};

/* Does not return when this is the chosen one. */
void crash_point(enum crash_point point, enum crash_when when);
/* Whether this is the chosen one, for a write that is torn by the caller, who then says crash_now. */
bool crash_point_reached(enum crash_point point, enum crash_when when);
_Noreturn void crash_now(void);
