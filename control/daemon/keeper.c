/* Looks after the journal, off the polling cores: reads it into the index as it grows, writes a snapshot of the state now and
 * then so that recovery need not read far, and removes the oldest segments that the limits let go and nobody needs. */
#include "daemon_internal.h"
#include "journal_retention.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASS_US 100000u
#define LOOK_AFTER_NS 1000000000ull
#define INDEX_STEP_NS 100000000ull /* between two looks at whether to stop */
#define SNAPSHOT_SEGMENTS 4u       /* used since the last one; and it may cost an eighth of what is written at most */
#define SNAPSHOT_PART 8u
#define SNAPSHOT_PAUSE_NS 60000000000ull /* after one that failed */

static void set(_Atomic uint64_t *value, uint64_t to) { atomic_store_explicit(value, to, memory_order_relaxed); }

static bool stopping(struct daemon *daemon) {
  return atomic_load_explicit(&daemon->stop_keeper, memory_order_relaxed) || journal_failed(daemon->journal) != 0;
}

/* Whether all that was durable is in the index; not for longer than a while, so that a journal that grows as fast is looked
 * after, too. */
static bool index_on(struct daemon *daemon) {
  const uint64_t durable_lsn = journal_durable_lsn(daemon->journal), until_ns = monotonic_ns() + LOOK_AFTER_NS / 2;
  while (!stopping(daemon) && monotonic_ns() < until_ns) {
    if (violation_store_last_lsn(daemon->violations) >= durable_lsn) return true;
    const int result = violation_store_catch_up_within(daemon->violations, durable_lsn, INDEX_STEP_NS);
    if (result == 0 || result == -ETIMEDOUT) continue;
    log_error("journal", "the violation index cannot be read further: %s", strerror(-result));
    usleep(PASS_US);
    return false;
  }
  return false;
}

void *keeper_reserve(struct daemon *daemon, uint32_t bytes) { return records_reserve(daemon, bytes, stopping); }

uint64_t keeper_publish(struct daemon *daemon) { return records_publish(daemon); }

struct record_header keeper_header(uint16_t type, size_t bytes) {
  return (struct record_header){.type = type, .shard = RECORD_SHARD_CONTROL, .bytes = (uint32_t)bytes, .wall_ns = wall_ns()};
}

static int write_ids(struct daemon *daemon, const struct remembered_id *ids, size_t count, uint64_t covered_lsn) {
  for (size_t at = 0; at < count; at += REMEMBERED_IDS_A_RECORD) {
    const size_t part = count - at < REMEMBERED_IDS_A_RECORD ? count - at : REMEMBERED_IDS_A_RECORD;
    const size_t bytes = sizeof(struct remembered_ids_record) + part * sizeof *ids;
    struct remembered_ids_record *record = keeper_reserve(daemon, (uint32_t)bytes);
    if (!record) return -EAGAIN;
    *record = (struct remembered_ids_record){
        .header = keeper_header(RECORD_REPLAY_IDS, bytes), .covered_lsn = covered_lsn, .count = (uint32_t)part};
    memcpy(record->ids, ids + at, part * sizeof *ids);
    keeper_publish(daemon);
  }
  struct state_commit_record *commit = keeper_reserve(daemon, sizeof *commit);
  if (!commit) return -EAGAIN;
  *commit = (struct state_commit_record){
      .header = keeper_header(RECORD_STATE_COMMIT, sizeof *commit), .covered_lsn = covered_lsn, .ids = count};
  return records_wait_durable(daemon, keeper_publish(daemon));
}

/* All that records up to here say of the state is said again after them; then recovery may begin there. */
static void snapshot_state(struct daemon *daemon) {
  const uint64_t covered_lsn = violation_store_last_lsn(daemon->violations);
  struct remembered_id *ids = NULL;
  size_t count = 0, rule_bytes = 0, cursor_bytes = 0;
  int result = remembered_ids_copy(daemon->remembered, wall_ns(), &ids, &count);
  if (result == 0) result = cursor_table_snapshot(daemon->cursors.table, covered_lsn, &cursor_bytes);
  if (result == 0) result = rule_book_snapshot(daemon->rules.book, &rule_bytes);
  if (result == 0) result = write_ids(daemon, ids, count, covered_lsn);
  free(ids);
  if (result < 0) {
    daemon->keeper.snapshot_not_before_ns = monotonic_ns() + SNAPSHOT_PAUSE_NS;
    if (!stopping(daemon)) log_warning("journal", "no snapshot of the state was written: %s", strerror(-result));
    return;
  }
  journal_set_state_lsn(daemon->journal, covered_lsn + 1);
  set(&daemon->keeper.snapshots, daemon->keeper.snapshots + 1);
  set(&daemon->keeper.snapshot_lsn, covered_lsn);
  set(&daemon->keeper.snapshot_bytes, count * sizeof *ids + rule_bytes + cursor_bytes);
}

static bool snapshot_due(const struct daemon *daemon, const struct journal_segment *segments, size_t count,
                         size_t held_by_state) {
  if (atomic_load_explicit(&daemon->keeper.no_snapshots, memory_order_relaxed)) return false;
  /* It would only wait in the ring, and be tried again behind that. */
  if (daemon->keeper.indexing || journal_stalled(daemon->journal) || monotonic_ns() < daemon->keeper.snapshot_not_before_ns)
    return false;
  const uint64_t state_lsn = journal_state_lsn(daemon->journal);
  uint64_t newer = 0, newer_bytes = 0;
  for (size_t i = 0; i < count; i++) {
    if (segments[i].first_lsn <= state_lsn) continue;
    newer++;
    newer_bytes += segments[i].bytes;
  }
  if (held_by_state > 0 && newer > 0) return true;
  return newer >= SNAPSHOT_SEGMENTS && newer_bytes / SNAPSHOT_PART >= daemon->keeper.snapshot_bytes;
}

/* Said in the journal first: a segment that is missing without that is a lost one. */
static int announce_removal(struct daemon *daemon, const struct journal_segment *oldest, uint64_t removed_bytes) {
  journal_set_oldest_segment(daemon->journal, oldest->segment);
  struct journal_retention_record *record = keeper_reserve(daemon, sizeof *record);
  if (!record) return -EAGAIN;
  *record = (struct journal_retention_record){.header = keeper_header(RECORD_RETENTION, sizeof *record),
                                              .oldest_segment = oldest->segment,
                                              .oldest_lsn = oldest->first_lsn,
                                              .removed_bytes = removed_bytes};
  return records_wait_durable(daemon, keeper_publish(daemon));
}

static void remove_oldest(struct daemon *daemon, const struct journal_segment *segments, size_t count, size_t overtaking) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += segments[i].bytes;
  int result = cursors_let_go(daemon, segments[count].first_lsn, overtaking > 0);
  if (result == -EBUSY) return; /* a cursor was set there meanwhile: judged again */
  if (result == 0) result = announce_removal(daemon, &segments[count], bytes);
  if (result == 0) {
    violation_store_forget(daemon->violations, segments[count].first_lsn);
    webhook_store_forget(daemon->webhooks, segments[count].first_lsn);
  }
  for (size_t i = 0; i < count && result == 0; i++) result = journal_remove_segment(daemon->io, segments[i].segment);
  if (result < 0) {
    log_warning("journal", "old segments cannot be removed: %s", strerror(-result));
    return;
  }
  cursor_readers_let_go(daemon->cursors.readers, segments[count].first_lsn);
  set(&daemon->keeper.removed_segments, daemon->keeper.removed_segments + count);
  set(&daemon->keeper.overtaken_segments, daemon->keeper.overtaken_segments + overtaking);
  set(&daemon->keeper.removed_bytes, daemon->keeper.removed_bytes + bytes);
  log_info("journal", "retention removed %zu segments with %llu bytes: the oldest record is LSN %llu now", count,
           (unsigned long long)bytes, (unsigned long long)segments[count].first_lsn);
}

/* Once when it begins: which cursor it is, and when it is over. */
static void tell_held(struct daemon *daemon, const struct journal_retention *retention, uint64_t cursor_lsn) {
  const bool before = daemon->keeper.held_by_cursors > 0, now = retention->held_by_cursors > 0;
  if (now && !before)
    log_warning("journal",
                "%zu segments over the limits of retention are held: a cursor needs LSN %llu and later (`tripline cursors list`)",
                retention->held_by_cursors, (unsigned long long)cursor_lsn);
  if (before && !now) log_info("journal", "no segment is held for a cursor any more");
}

static void report(struct daemon *daemon, const struct journal_segment *segments, size_t count,
                   const struct journal_retention *retention) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) bytes += segments[i].bytes;
  set(&daemon->keeper.segments, count);
  set(&daemon->keeper.segment_bytes, bytes);
  set(&daemon->keeper.oldest_lsn, count ? segments[0].first_lsn : 0);
  set(&daemon->keeper.held_segments, retention->held_by_state + retention->held_by_cursors);
  set(&daemon->keeper.held_by_cursors, retention->held_by_cursors);
  set(&daemon->keeper.held_bytes, retention->held_bytes);
}

static struct journal_retention judge(struct daemon *daemon, const struct journal_segment *segments, size_t count,
                                      struct journal_needs *needs) {
  const struct journal_limits limits = {.age_ns = daemon->config.journal.retain_age_ns,
                                        .bytes = daemon->config.journal.retain_bytes,
                                        .records = daemon->config.journal.retain_records,
                                        .bytes_hard = daemon->config.journal.retain_bytes_hard,
                                        .no_room = journal_stalled(daemon->journal) != 0};
  *needs = (struct journal_needs){.state_lsn = journal_state_lsn(daemon->journal),
                                  .cursor_lsn = cursor_table_needed_lsn(daemon->cursors.table)};
  return journal_retention_judge(segments, count, &limits, needs, journal_durable_lsn(daemon->journal), wall_ns());
}

static void look_after(struct daemon *daemon) {
  struct journal_segment *segments = NULL;
  struct journal_needs needs;
  size_t count = 0;
  const int result = journal_segments(daemon->io, &segments, &count);
  if (result < 0) {
    log_warning("journal", "its segments cannot be listed: %s", strerror(-result));
    return;
  }
  struct journal_retention retention = judge(daemon, segments, count, &needs);
  if (snapshot_due(daemon, segments, count, retention.held_by_state)) {
    snapshot_state(daemon);
    retention = judge(daemon, segments, count, &needs);
  }
  if (count > 0)
    tell_held(daemon, &retention, needs.cursor_lsn > segments[0].first_lsn ? needs.cursor_lsn : segments[0].first_lsn);
  const bool stalled = journal_stalled(daemon->journal) != 0;
  if (stalled && retention.removable > 0) disk_reserve_give_up(daemon);
  if (!stalled) disk_reserve_keep(daemon);
  if (retention.removable > 0) remove_oldest(daemon, segments, retention.removable, retention.overtaking);
  report(daemon, segments + retention.removable, count - retention.removable, &retention);
  free(segments);
}

static void *keeper_thread(void *argument) {
  struct daemon *daemon = argument;
  uint64_t looked_ns = 0;
  pthread_setname_np(pthread_self(), "keeper");
  while (!stopping(daemon)) {
    const bool indexed = index_on(daemon);
    if (indexed) atomic_store_explicit(&daemon->keeper.indexing, false, memory_order_relaxed);
    if (monotonic_ns() - looked_ns >= LOOK_AFTER_NS) {
      look_after(daemon);
      looked_ns = monotonic_ns();
    }
    signing_look_after(daemon);
    cursors_write(daemon);
    if (indexed) usleep(PASS_US);
  }
  return NULL;
}

int keeper_start(struct daemon *daemon) {
  atomic_store_explicit(&daemon->keeper.indexing, true, memory_order_relaxed);
  return -pthread_create(&daemon->keeper.thread, NULL, keeper_thread, daemon);
}

void keeper_stop(struct daemon *daemon) {
  if (!daemon->keeper.thread) return;
  atomic_store_explicit(&daemon->stop_keeper, true, memory_order_release);
  pthread_join(daemon->keeper.thread, NULL);
  disk_reserve_give_up(daemon);
  cursors_stop(daemon);
  signing_sign_all(daemon);
}
