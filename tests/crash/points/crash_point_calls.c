/* Calls between files of the daemon and its rooms, redirected (--wrap) so that the process can be killed right before or after.
 */
#include "checkpoint_audit.h"
#include "crash_points.h"
#include "daemon_internal.h"
#include "journal_checkpoint.h"
#include "journal_internal.h"
#include "journal_retention.h"
#include "rule_records.h"
#include "shard_internal.h"

/* What is redirected has the prototype of what it stands for. */
#define DECLARE(type, name, parameters)                                                                                          \
  type __real_##name parameters;                                                                                                 \
  type __wrap_##name parameters;                                                                                                 \
  _Static_assert(__builtin_types_compatible_p(__typeof__(name), __typeof__(__wrap_##name)), "the prototype of " #name)

#define WRAP(type, name, parameters, arguments)                                                                                  \
  DECLARE(type, name, parameters);                                                                                               \
  type __wrap_##name parameters {                                                                                                \
    crash_point(CRASH_AT_##name, CRASH_BEFORE);                                                                                  \
    type result = __real_##name arguments;                                                                                       \
    crash_point(CRASH_AT_##name, CRASH_AFTER);                                                                                   \
    return result;                                                                                                               \
  }
#define WRAP_VOID(name, parameters, arguments)                                                                                   \
  DECLARE(void, name, parameters);                                                                                               \
  void __wrap_##name parameters {                                                                                                \
    crash_point(CRASH_AT_##name, CRASH_BEFORE);                                                                                  \
    __real_##name arguments;                                                                                                     \
    crash_point(CRASH_AT_##name, CRASH_AFTER);                                                                                   \
  }

WRAP(int, journal_recover,
     (struct journal * journal, journal_record_visitor *visit, void *context, struct journal_recovery *recovery),
     (journal, visit, context, recovery))
WRAP_VOID(rule_book_recover, (struct rule_book * book, const struct record_header *record), (book, record))
WRAP(bool, remembered_ids_see,
     (struct remembered_ids * remembered, uint64_t lsn, const struct record_header *record, uint64_t wall_ns),
     (remembered, lsn, record, wall_ns))
WRAP(bool, shard_restore_replay, (struct shard * shard, const struct shard_replay_entry *entry), (shard, entry))
WRAP(int, records_start, (struct daemon * daemon), (daemon))
WRAP(int, rules_start, (struct daemon * daemon), (daemon))
WRAP(int, keeper_start, (struct daemon * daemon), (daemon))
WRAP(int, shards_start, (struct daemon * daemon), (daemon))

WRAP(uint32_t, journal_gather, (struct journal * journal, uint64_t now_ns), (journal, now_ns))
WRAP(int, journal_flush, (struct journal * journal, uint64_t now_ns, uint64_t wall_ns), (journal, now_ns, wall_ns))
WRAP(int, journal_batch_completed, (struct journal * journal, int written), (journal, written))
WRAP_VOID(journal_mark_chain, (struct journal * journal, uint64_t lsn), (journal, lsn))
WRAP_VOID(record_ring_set_durable, (struct record_ring * ring, uint64_t position), (ring, position))
WRAP(int, journal_header_completed, (struct journal * journal, int written), (journal, written))
WRAP(int, journal_prepare_completed, (struct journal * journal, int done, uint64_t now_ns), (journal, done, now_ns))

WRAP(uint64_t, record_ring_publish, (struct record_ring * ring), (ring))
WRAP(bool, shard_release_durable, (struct shard * shard), (shard))
WRAP_VOID(shard_answer_webhook, (struct shard * shard, struct parked *parked), (shard, parked))
WRAP_VOID(shard_answer_spans, (struct shard * shard, struct parked *parked), (shard, parked))

WRAP(int, rules_stream_write,
     (const struct rules_writer *writer, enum rules_stream_kind kind, const void *bytes, size_t length, uint64_t time_ns,
      const char *who),
     (writer, kind, bytes, length, time_ns, who))
WRAP(int, records_wait_settled, (struct daemon * daemon, uint64_t position), (daemon, position))
WRAP(uint64_t, records_publish, (struct daemon * daemon), (daemon))
WRAP_VOID(match_counts_begin, (struct daemon * daemon, const struct rule_image *image), (daemon, image))
WRAP_VOID(match_counts_end, (struct daemon * daemon, const struct rule_image *before, const struct rule_image *after),
          (daemon, before, after))

WRAP(int, remembered_ids_copy, (struct remembered_ids * remembered, uint64_t wall_ns, struct remembered_id **ids, size_t *count),
     (remembered, wall_ns, ids, count))
WRAP(int, rule_book_snapshot, (struct rule_book * book, size_t *bytes), (book, bytes))
WRAP(int, records_wait_durable, (struct daemon * daemon, uint64_t position), (daemon, position))
WRAP_VOID(journal_set_state_lsn, (struct journal * journal, uint64_t lsn), (journal, lsn))
WRAP_VOID(journal_set_oldest_segment, (struct journal * journal, uint64_t segment), (journal, segment))
WRAP_VOID(violation_store_forget, (struct violation_store * store, uint64_t before_lsn), (store, before_lsn))
WRAP(int, journal_remove_segment, (struct journal_io * io, uint64_t segment), (io, segment))
WRAP(int, checkpoint_sign, (const struct checkpoint_key *key, struct checkpoint_record *record), (key, record))

WRAP(bool, shards_drain, (struct daemon * daemon, uint64_t deadline_ns), (daemon, deadline_ns))
WRAP_VOID(shards_stop, (struct daemon * daemon), (daemon))
WRAP_VOID(keeper_stop, (struct daemon * daemon), (daemon))
WRAP(int, journal_drain, (struct journal * journal, uint64_t now_ns, uint64_t wall_ns), (journal, now_ns, wall_ns))
WRAP_VOID(records_stop_thread, (struct daemon * daemon), (daemon))
WRAP_VOID(records_close, (struct daemon * daemon), (daemon))
WRAP_VOID(journal_close, (struct journal * journal), (journal))
