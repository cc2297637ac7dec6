#include "daemon_internal.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_RING_BYTES (64u << 20)
#define JOURNAL_WAIT_NS 200000ull
#define JOURNAL_NICE (-20)
#define JOURNAL_TURN_NS 100000u
#define FAILED_PAUSE_NS 1000000l /* between two times of letting go of what shards raise */
#define DURABLE_WAIT_NS 10000000000ull
#define ROOM_WAIT_NS 10000000000ull

static void visit(void *context, uint64_t lsn, const struct record_header *record) {
  struct daemon *daemon = context;
  switch (record->type) {
  case RECORD_WEBHOOK:
  case RECORD_REPLAY_IDS:
    if (!remembered_ids_see(daemon->remembered, lsn, record, daemon->started_wall_ns)) daemon->ids_lost = true;
    break;
  case RECORD_CURSOR:
  case RECORD_CURSORS:
    cursor_table_see(daemon->cursors.table, lsn, record);
    break;
  case RECORD_RULES_BEGIN:
  case RECORD_RULES_CHUNK:
  case RECORD_RULES_COMMIT:
    rule_book_recover(daemon->rules.book, record);
    break;
  default:
    break;
  }
}

/* As the index reads on. */
static void see(void *context, uint64_t lsn, const struct record_header *record, struct journal_position position) {
  struct daemon *daemon = context;
  webhook_store_see(daemon->webhooks, lsn, record, position);
  if (record->type != RECORD_WEBHOOK || remembered_ids_see(daemon->remembered, lsn, record, wall_ns())) return;
  log_error("journal", "no memory for webhook ids: a snapshot would miss one, so none is taken from now on");
  atomic_store_explicit(&daemon->keeper.no_snapshots, true, memory_order_relaxed);
}

static bool make_rings(struct daemon *daemon, struct journal_config *config) {
  for (uint32_t i = 0; i < daemon->shard_count; i++) {
    daemon->shards[i].records = record_ring_create(&daemon->arena, daemon->config.journal.ring_bytes);
    if (!daemon->shards[i].records) return false;
    config->rings[config->ring_count++] = daemon->shards[i].records;
  }
  daemon->control_records = record_ring_create(&daemon->arena, CONTROL_RING_BYTES);
  if (!daemon->control_records) return false;
  config->rings[config->ring_count++] = daemon->control_records;
  return true;
}

int records_open(struct daemon *daemon) {
  char directory[CONFIG_PATH_BYTES + 16];
  const char *why = "";
  int error = 0;
  snprintf(directory, sizeof directory, "%s/journal", daemon->config.data_dir);
  daemon->io = journal_io_uring_create(directory, &error, &why);
  if (!daemon->io) {
    log_error("journal", "%s: %s: %s", directory, why, strerror(error < 0 ? -error : error));
    return -EIO;
  }
  daemon->violations = violation_store_create(daemon->io, daemon->config.journal.index_violations);
  daemon->webhooks = webhook_store_create(daemon->io);
  daemon->remembered = remembered_ids_create();
  if (!daemon->violations || !daemon->webhooks || !daemon->remembered || cursors_create(daemon) != 0) return -ENOMEM;
  return 0;
}

int records_recover(struct daemon *daemon) {
  int error = 0;
  struct journal_config config = {.io = daemon->io,
                                  .progress = &daemon->start.progress,
                                  .segment_bytes = daemon->config.journal.segment_bytes,
                                  .batch_bytes_max = daemon->config.journal.batch_bytes_max,
                                  .segments_ahead = daemon->config.journal.segments_ahead,
                                  .hash_chain = daemon->config.journal.hash_chain,
                                  .chain_thread = daemon->cores.control != daemon->cores.journal && !daemon->cores.shared};
  memcpy(config.node_id, daemon->node_id, sizeof config.node_id);
  if (getrandom(&config.salt, sizeof config.salt, 0) != sizeof config.salt) return -EIO;
  if (!make_rings(daemon, &config)) return -ENOMEM;
  const uint64_t before_ns = monotonic_ns();
  daemon->journal = journal_open(&config, visit, daemon, &daemon->recovery, &error);
  if (!daemon->journal) {
    if (error == -ECANCELED)
      log_info("journal", "recovery %s: the journal is as it was", daemon->recovery.refusal);
    else
      log_error("journal", "does not open: %s (%s)", daemon->recovery.refusal, strerror(error < 0 ? -error : error));
    return error < 0 ? error : -error;
  }
  if (daemon->ids_lost) {
    log_error("start", "no memory for recovered webhook ids");
    return -ENOMEM;
  }
  remembered_ids_recovered(daemon->remembered);
  cursors_recovered(daemon);
  violation_store_begin_run(daemon->violations, daemon->recovery.next_lsn);
  violation_store_observe(daemon->violations, see, daemon);
  log_info("journal",
           "%llu records recovered in %llu ms, next LSN %llu, %llu of %llu segments older than the state passed, %llu bytes of "
           "torn tail truncated",
           (unsigned long long)daemon->recovery.records, (unsigned long long)((monotonic_ns() - before_ns) / 1000000),
           (unsigned long long)daemon->recovery.next_lsn, (unsigned long long)daemon->recovery.segments_passed,
           (unsigned long long)daemon->recovery.segments, (unsigned long long)daemon->recovery.truncated_bytes);
  return 0;
}

void records_describe_failure(const struct journal_failure *failure, uint64_t durable_lsn, char *text, size_t room) {
  char unknown[96] = "";
  if (failure->first_lsn)
    snprintf(unknown, sizeof unknown, "; of LSN %llu to %llu, which were under way, the next start tells",
             (unsigned long long)failure->first_lsn, (unsigned long long)failure->last_lsn);
  snprintf(text, room, "%s: %s%s%s at %llu; safe up to LSN %llu, which is all that was acknowledged as durable%s",
           failure->operation, strerror(-failure->error), failure->file[0] ? ", " : "", failure->file,
           (unsigned long long)failure->offset, (unsigned long long)durable_lsn, unknown);
}

uint64_t records_pending(const struct daemon *daemon) {
  const struct journal_counters *counters = journal_counters(daemon->journal);
  const uint64_t settled = counters->records + counters->records_discarded;
  uint64_t published = record_ring_read_counters(daemon->control_records).published;
  for (uint32_t i = 0; i < daemon->shard_count; i++) published += record_ring_read_counters(daemon->shards[i].records).published;
  return published > settled ? published - settled : 0;
}

static void announce_failure(struct daemon *daemon) {
  struct journal_failure failure;
  char text[512];
  if (!journal_failure(daemon->journal, &failure)) return;
  records_describe_failure(&failure, journal_durable_lsn(daemon->journal), text, sizeof text);
  log_error("journal",
            "failed: %s. Nothing is acknowledged from now on; spans are judged and counted, their violations are not kept. "
            "Restart when the disk is good",
            text);
  for (uint32_t i = 0; i < daemon->shard_count; i++) shard_set_journal_failed(daemon->shards[i].shard, true);
}

/* The workers belong to the thread that submits, and to nobody before it has (-EINVAL). */
static bool workers_pinned(struct daemon *daemon) {
  const int cpus[] = {daemon->cores.journal, daemon->cores.control};
  const int result = journal_io_uring_pin_workers(daemon->io, cpus, daemon->cores.shared ? 1 : 2);
  if (result < 0 && result != -EINVAL)
    log_warning("cores", "the journal's kernel workers stay on any core: %s", strerror(-result));
  return result != -EINVAL;
}

/* Of sched_setattr(2), which this C library does not know; its first version. */
struct sched_attr_48 {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns, deadline_ns, period_ns;
};

/* Short sleeps end on time, and the kernel's workers, which inherit priority and turns, are not kept waiting by whatever else
 * shares the core: every answer that waits for the disk waits for them. Neither is needed to work. Since Linux 6.12 a thread of
 * short turns, when it wakes, does not wait for the end of a longer one; older kernels take the priority alone. */
static void make_prompt(void) {
  const struct sched_attr_48 prompt = {
      .size = sizeof prompt, .policy = SCHED_OTHER, .nice = JOURNAL_NICE, .runtime_ns = JOURNAL_TURN_NS};
  prctl(PR_SET_TIMERSLACK, 1ul);
  if (syscall(SYS_sched_setattr, 0, &prompt, 0) != 0 && setpriority(PRIO_PROCESS, 0, JOURNAL_NICE) != 0)
    log_warning("cores", "the journal runs at the ordinary priority: %s", strerror(errno));
}

static void *journal_thread(void *argument) {
  struct daemon *daemon = argument;
  bool failed = false, pinned = false;
  pthread_setname_np(pthread_self(), "journal");
  make_prompt();
  while (!atomic_load_explicit(&daemon->stop_journal, memory_order_acquire)) {
    const int result = journal_step(daemon->journal, monotonic_ns(), wall_ns(), JOURNAL_WAIT_NS);
    if (result > 0 && !pinned) pinned = workers_pinned(daemon);
    if (result >= 0) continue;
    if (!failed) announce_failure(daemon);
    failed = true;
    struct timespec pause = {.tv_nsec = FAILED_PAUSE_NS};
    nanosleep(&pause, NULL);
  }
  if (!failed && journal_drain(daemon->journal, monotonic_ns(), wall_ns()) < 0)
    log_error("journal", "the last records are not durable");
  if (journal_rest(daemon->journal) < 0) log_warning("journal", "the disk does not answer");
  atomic_store_explicit(&daemon->journal_ended, true, memory_order_release);
  return NULL;
}

int records_start(struct daemon *daemon) {
  const int result = pthread_create(&daemon->journal_thread, NULL, journal_thread, daemon);
  if (result != 0) return -result;
  const int pinned = cores_pin(daemon->journal_thread, daemon->cores.journal);
  if (pinned != 0) log_warning("cores", "the journal cannot be pinned to core %d: %s", daemon->cores.journal, strerror(-pinned));
  return 0;
}

int records_wait_durable(struct daemon *daemon, uint64_t position) {
  const uint64_t deadline_ns = monotonic_ns() + DURABLE_WAIT_NS;
  while (record_ring_durable(daemon->control_records) < position) {
    if (journal_failed(daemon->journal)) return -EIO;
    if (monotonic_ns() > deadline_ns) return -ETIMEDOUT;
    usleep(200);
  }
  return 0;
}

int records_wait_settled(struct daemon *daemon, uint64_t position) {
  for (;;) {
    const bool ended = atomic_load_explicit(&daemon->journal_ended, memory_order_acquire);
    if (record_ring_durable(daemon->control_records) >= position) return 0;
    if (journal_failed(daemon->journal)) return -EIO;
    if (ended) return -ECANCELED;
    usleep(100);
  }
}

void *records_reserve(struct daemon *daemon, uint32_t bytes, bool (*stopping)(struct daemon *daemon)) {
  const uint64_t deadline_ns = monotonic_ns() + ROOM_WAIT_NS;
  do {
    pthread_mutex_lock(&daemon->records_lock);
    void *record = record_ring_reserve(daemon->control_records, bytes);
    if (record) return record;
    pthread_mutex_unlock(&daemon->records_lock);
    usleep(1000);
  } while (!journal_failed(daemon->journal) && !(stopping && stopping(daemon)) && monotonic_ns() < deadline_ns);
  return NULL;
}

uint64_t records_publish(struct daemon *daemon) {
  const uint64_t position = record_ring_publish(daemon->control_records);
  pthread_mutex_unlock(&daemon->records_lock);
  return position;
}

static struct record_ring *ring_of(const struct daemon *daemon, uint32_t index) {
  return index < daemon->shard_count ? daemon->shards[index].records : daemon->control_records;
}

int records_flush(void *context, uint64_t *durable_lsn) {
  struct daemon *daemon = context;
  const uint64_t deadline_ns = monotonic_ns() + DURABLE_WAIT_NS;
  for (uint32_t i = 0; i <= daemon->shard_count; i++) {
    const struct record_ring *ring = ring_of(daemon, i);
    const uint64_t position = record_ring_published_position(ring);
    while (record_ring_durable(ring) < position) {
      if (journal_failed(daemon->journal)) return -EIO;
      if (monotonic_ns() > deadline_ns) return -ETIMEDOUT;
      journal_request_flush(daemon->journal);
      usleep(200);
    }
  }
  *durable_lsn = journal_durable_lsn(daemon->journal);
  return journal_failed(daemon->journal) ? -EIO : 0;
}

void records_stop_thread(struct daemon *daemon) {
  if (!daemon->journal_thread) return;
  atomic_store_explicit(&daemon->stop_journal, true, memory_order_release);
  pthread_join(daemon->journal_thread, NULL);
}

void records_close(struct daemon *daemon) {
  if (daemon->violations) violation_store_destroy(daemon->violations);
  cursors_destroy(daemon);
  webhook_store_destroy(daemon->webhooks);
  if (daemon->journal) journal_close(daemon->journal);
  if (daemon->io) daemon->io->operations->destroy(daemon->io);
  remembered_ids_destroy(daemon->remembered);
}
