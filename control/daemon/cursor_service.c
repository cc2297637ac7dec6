/* Cursors over this daemon's journal: where their records go, and violations from where one is. */
#include "daemon_internal.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define DURABLE_WAIT_NS 10000000000ull
#define STALLED_WAIT_NS 1000000000ull /* what is reserved may still have room */
#define LOOK_US 5000u

static bool publish(void *context, const void *record, uint32_t bytes, uint64_t *position) {
  struct daemon *daemon = context;
  pthread_mutex_lock(&daemon->records_lock);
  void *room = record_ring_reserve(daemon->control_records, bytes);
  if (room) {
    memcpy(room, record, bytes);
    *position = records_publish(daemon);
  } else {
    pthread_mutex_unlock(&daemon->records_lock);
  }
  return room != NULL;
}

static bool is_durable(void *context, uint64_t position) {
  return record_ring_durable(((struct daemon *)context)->control_records) >= position;
}

static int trouble(void *context) {
  struct daemon *daemon = context;
  if (atomic_load_explicit(&daemon->journal_ended, memory_order_acquire)) return -ECANCELED;
  return journal_failed(daemon->journal) ? -EIO : journal_stalled(daemon->journal);
}

static int wait_durable(void *context, uint64_t position) {
  struct daemon *daemon = context;
  const uint64_t began_ns = monotonic_ns();
  for (;;) {
    const int error = trouble(daemon);
    if (is_durable(daemon, position)) return 0;
    const uint64_t waited_ns = monotonic_ns() - began_ns;
    if (error < 0 && (error != -ENOSPC || waited_ns > STALLED_WAIT_NS)) return error;
    if (waited_ns > DURABLE_WAIT_NS) return -ETIMEDOUT;
    usleep(100);
  }
}

static uint64_t durable_lsn(void *context) { return journal_durable_lsn(((struct daemon *)context)->journal); }

static uint64_t now_ns(void *context) {
  (void)context;
  return monotonic_ns();
}

static uint64_t wall_now_ns(void *context) {
  (void)context;
  return wall_ns();
}

static void pause_for(void *context, uint64_t ns) {
  (void)context;
  usleep((useconds_t)(ns / 1000) + 1);
}

int cursors_create(struct daemon *daemon) {
  const struct cursor_journal journal = {.context = daemon,
                                         .publish = publish,
                                         .is_durable = is_durable,
                                         .wait_durable = wait_durable,
                                         .durable_lsn = durable_lsn,
                                         .trouble = trouble,
                                         .now_ns = now_ns,
                                         .wall_ns = wall_now_ns,
                                         .pause = pause_for};
  daemon->cursors.table = cursor_table_create(&journal);
  daemon->cursors.readers = cursor_readers_create(daemon->io);
  return daemon->cursors.table && daemon->cursors.readers ? 0 : -ENOMEM;
}

void cursors_recovered(struct daemon *daemon) {
  const uint64_t bad = cursor_table_recovered(daemon->cursors.table, daemon->recovery.first_lsn);
  if (bad > 0)
    log_warning("journal", "%llu records of cursors do not add up: `tripline cursors list` tells what is left",
                (unsigned long long)bad);
}

void cursors_write(struct daemon *daemon) {
  uint64_t position;
  if (trouble(daemon) == 0) cursor_table_write(daemon->cursors.table, false, &position);
}

void cursors_stop(struct daemon *daemon) {
  uint64_t position;
  if (!daemon->cursors.table || trouble(daemon) != 0) return;
  cursor_table_write(daemon->cursors.table, true, &position);
  if (position && wait_durable(daemon, position) != 0) log_warning("stop", "where cursors moved last is not durable");
}

void cursors_destroy(struct daemon *daemon) {
  cursor_readers_destroy(daemon->cursors.readers);
  cursor_table_destroy(daemon->cursors.table);
}

static void tell_overtaken(void *context, const struct cursor_view *view) {
  (void)context;
  log_warning("cursors", "cursor %s has not had LSN %llu to %llu%s, and they are removed: %llu records lost to it in all",
              view->cursor.name, (unsigned long long)view->gap_from, (unsigned long long)view->gap_to,
              view->cursor.holds ? " (a hard limit, or a full disk)" : "", (unsigned long long)view->cursor.lost_records);
}

int cursors_let_go(struct daemon *daemon, uint64_t oldest_lsn, bool overtake) {
  uint64_t position = 0;
  const int result = cursor_table_let_go(daemon->cursors.table, oldest_lsn, overtake, tell_overtaken, NULL, &position);
  if (result < 0) return result;
  return position ? records_wait_durable(daemon, position) : 0;
}

int cursors_read(void *context, uint64_t after_lsn, uint32_t limit, uint64_t wait_ns,
                 bool (*each)(void *context, uint64_t lsn, const struct violation *violation), void *each_context,
                 struct cursor_reading *reading) {
  struct daemon *daemon = context;
  const uint64_t until_ns = monotonic_ns() + wait_ns;
  for (;;) {
    const int result = cursor_readers_read(daemon->cursors.readers, after_lsn, journal_durable_lsn(daemon->journal), limit, each,
                                           each_context, reading);
    if (result < 0 || reading->given > 0 || reading->more || monotonic_ns() >= until_ns) return result;
    if (atomic_load_explicit(&daemon->draining, memory_order_relaxed)) return result;
    after_lsn = reading->position;
    usleep(LOOK_US);
  }
}
