/* The start as others see it: what it is at and how far, for management and systemd, and the signal that ends it early. */
#include "daemon_internal.h"
#include "uuid7.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define LOOK_NS 50000000L          /* between two looks at a recovery: what a signal waits at most */
#define TELL_NS 1000000000ull      /* between two words to systemd */
#define EXTEND_US (90u * 1000000u) /* a recovery that stands still for longer may be given up */

void start_enter(struct daemon *daemon, enum appliance_phase phase, const char *step) {
  atomic_store_explicit(&daemon->start.step, step, memory_order_relaxed);
  atomic_store_explicit(&daemon->start.phase, phase, memory_order_release);
}

static void ending_signals(sigset_t *ending) {
  sigemptyset(ending);
  sigaddset(ending, SIGTERM);
  sigaddset(ending, SIGINT);
}

bool start_stopped(struct daemon *daemon) {
  sigset_t ending;
  const struct timespec now = {0};
  ending_signals(&ending);
  if (!daemon->start.stopped && sigtimedwait(&ending, NULL, &now) > 0) daemon->start.stopped = true;
  return daemon->start.stopped;
}

void start_recovery_view(struct daemon *daemon, struct appliance_recovery *recovery) {
  const struct journal_progress *progress = &daemon->start.progress;
  const uint64_t began_ns = atomic_load_explicit(&daemon->start.recovery_began_ns, memory_order_relaxed);
  const uint64_t ended_ns = atomic_load_explicit(&daemon->start.recovery_ended_ns, memory_order_relaxed);
  *recovery = (struct appliance_recovery){.bytes_read = progress->bytes_read,
                                          .bytes_to_read = progress->bytes_to_read,
                                          .segment = progress->segment,
                                          .segments_read = progress->segments_read,
                                          .segments_to_read = progress->segments_to_read,
                                          .records = progress->records};
  if (began_ns) recovery->elapsed_ns = (ended_ns ? ended_ns : monotonic_ns()) - began_ns;
  recovery->ratio = ended_ns ? 1 : recovery->bytes_to_read ? (double)recovery->bytes_read / (double)recovery->bytes_to_read : 0;
  const double left = (double)(recovery->bytes_to_read - recovery->bytes_read);
  if (recovery->bytes_read) recovery->rest_ns = (uint64_t)((double)recovery->elapsed_ns * left / (double)recovery->bytes_read);
}

bool start_view(void *context, struct appliance_start *start) {
  struct daemon *daemon = context;
  const enum appliance_phase phase = (enum appliance_phase)atomic_load_explicit(&daemon->start.phase, memory_order_acquire);
  if (phase == APPLIANCE_RUNNING) return false;
  *start = (struct appliance_start){
      .phase = phase, .version = TRIPLINE_VERSION, .wall_ns = wall_ns(), .started_wall_ns = daemon->started_wall_ns};
  uuid7_text(daemon->node_id, start->node);
  start_recovery_view(daemon, &start->recovery);
  if (phase == APPLIANCE_RECOVERING)
    snprintf(start->reason, sizeof start->reason, "recovering %u %%", appliance_percent(start->recovery.ratio));
  else
    snprintf(start->reason, sizeof start->reason, "starting: %s",
             atomic_load_explicit(&daemon->start.step, memory_order_relaxed));
  return true;
}

static void tell_recovery(struct daemon *daemon, bool moved) {
  struct appliance_start start;
  if (!start_view(daemon, &start)) return;
  /* Only progress buys time: one that hangs on its disk runs into the unit's timeout. */
  if (moved)
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%u\nSTATUS=%s: segment %" PRIu64 ", %" PRIu64 " records, about %" PRIu64 " s left",
               EXTEND_US, start.reason, start.recovery.segment, start.recovery.records, start.recovery.rest_ns / 1000000000u);
  else
    sd_notifyf(0, "STATUS=%s: no progress", start.reason);
}

static void *recovery_thread(void *argument) {
  struct daemon *daemon = argument;
  pthread_setname_np(pthread_self(), "recovery");
  return (void *)(intptr_t)records_recover(daemon);
}

/* From here on a second signal ends the process as it is: the disk may not answer. */
static void let_signals_end(void) {
  sigset_t ending;
  ending_signals(&ending);
  signal(SIGTERM, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

int start_recovery(struct daemon *daemon) {
  pthread_t thread;
  atomic_store_explicit(&daemon->start.recovery_began_ns, monotonic_ns(), memory_order_relaxed);
  const int created = pthread_create(&thread, NULL, recovery_thread, daemon);
  if (created != 0) return -created;
  uint64_t told_ns = 0, told_bytes = UINT64_MAX;
  void *result;
  for (;;) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    if (pthread_timedjoin_np(thread, &result, &until) == 0) break;
    if (!daemon->start.stopped && start_stopped(daemon)) {
      atomic_store_explicit(&daemon->start.progress.stop, true, memory_order_relaxed);
      let_signals_end();
    }
    if (monotonic_ns() - told_ns < TELL_NS) continue;
    const uint64_t bytes = daemon->start.progress.bytes_read;
    tell_recovery(daemon, bytes != told_bytes);
    told_bytes = bytes;
    told_ns = monotonic_ns();
  }
  atomic_store_explicit(&daemon->start.recovery_ended_ns, monotonic_ns(), memory_order_relaxed);
  return (int)(intptr_t)result;
}

bool start_journal_refused(const struct daemon *daemon, int error) {
  return daemon->recovery.refusal[0] && (error == -EBADMSG || error == -EPERM || error == -EPROTONOSUPPORT);
}

void start_failed(struct daemon *daemon, int error) {
  if (daemon->start.stopped) {
    log_info("start", "stopped before it was ready");
    return;
  }
  if (daemon->recovery.refusal[0])
    sd_notifyf(0, "STATUS=refused: %s\nERRNO=%d", daemon->recovery.refusal, -error);
  else
    sd_notifyf(0, "STATUS=refused: %s: %s; the log says more\nERRNO=%d",
               atomic_load_explicit(&daemon->start.step, memory_order_relaxed), strerror(-error), -error);
}

void start_tell_systemd(struct daemon *daemon, bool ready) {
  char status[sizeof daemon->start.told];
  struct appliance_index index;
  const int failed = journal_failed(daemon->journal), stalled = journal_stalled(daemon->journal);
  if (!getenv("NOTIFY_SOCKET")) return;
  appliance_index_view(daemon, &index);
  if (failed)
    snprintf(status, sizeof status, "the journal has failed: %s; nothing more is acknowledged as durable", strerror(-failed));
  else if (stalled)
    snprintf(status, sizeof status, "the journal waits: %s", strerror(-stalled));
  else if (index.complete)
    snprintf(status, sizeof status, "%u shards", daemon->shard_count);
  else
    snprintf(status, sizeof status, "%u shards; index %u %%", daemon->shard_count, appliance_percent(index.ratio));
  if (!ready && strcmp(status, daemon->start.told) == 0) return;
  memcpy(daemon->start.told, status, sizeof status);
  sd_notifyf(0, "%sSTATUS=%s", ready ? "READY=1\n" : "", status);
}
