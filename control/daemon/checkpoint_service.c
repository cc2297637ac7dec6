/* Signed checkpoints: the key is read at start and on SIGHUP; the keeper writes one record an interval while there is something
 * new to sign, and a last one over all that came before an orderly end. */
#include "daemon_internal.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CHAIN_WAIT_US 1000u
#define CHAIN_WAITS_MAX 1000u

static struct checkpoint_key *load(const struct config *config, char *error, size_t room) {
  return checkpoint_key_load(config->journal.signing.key_id, config->journal.signing.key_file, true, error, room);
}

int signing_start(struct daemon *daemon) {
  char error[CONFIG_PATH_BYTES + 128];
  pthread_mutex_init(&daemon->signing.lock, NULL);
  if (!daemon->config.journal.signing.key_id[0]) return 0;
  daemon->signing.key = load(&daemon->config, error, sizeof error);
  if (daemon->signing.key) return 0;
  log_error("journal", "the signing key: %s", error);
  return -EINVAL;
}

int signing_reload(struct daemon *daemon, char *error, size_t room) {
  if (!daemon->signing.key) return 0;
  struct checkpoint_key *key = load(&daemon->config, error, room);
  if (!key) {
    log_error("journal", "the signing key before stays in force: %s", error);
    return -EINVAL;
  }
  pthread_mutex_lock(&daemon->signing.lock);
  struct checkpoint_key *before = daemon->signing.key;
  daemon->signing.key = key;
  pthread_mutex_unlock(&daemon->signing.lock);
  checkpoint_key_free(before);
  return 0;
}

static int sign(struct daemon *daemon, struct checkpoint_record *record) {
  pthread_mutex_lock(&daemon->signing.lock);
  const int result = checkpoint_sign(daemon->signing.key, record);
  pthread_mutex_unlock(&daemon->signing.lock);
  return result;
}

/* The record of the checkpoint before is not worth another one. */
static bool something_new(const struct daemon *daemon, uint64_t lsn) { return lsn > daemon->signing.covered_lsn + 1; }

static void write_checkpoint(struct daemon *daemon) {
  struct daemon_signing *signing = &daemon->signing;
  struct checkpoint_record made = {.reserved = 0};
  if (!journal_chain_mark(daemon->journal, &made.lsn, made.chain) || !something_new(daemon, made.lsn)) return;
  signing->written_ns = monotonic_ns();
  made.header = keeper_header(RECORD_CHECKPOINT, sizeof made);
  memcpy(made.node_id, daemon->node_id, sizeof made.node_id);
  if (sign(daemon, &made) != 0) {
    log_error("journal", "LSN %llu cannot be signed", (unsigned long long)made.lsn);
    return;
  }
  struct checkpoint_record *record = keeper_reserve(daemon, sizeof *record);
  if (!record) return; /* the journal is behind: an interval later */
  *record = made;
  if (records_wait_durable(daemon, keeper_publish(daemon)) != 0) return;
  signing->covered_lsn = made.lsn;
  atomic_store_explicit(&signing->signed_lsn, made.lsn, memory_order_relaxed);
  atomic_store_explicit(&signing->signed_wall_ns, made.header.wall_ns, memory_order_relaxed);
  atomic_fetch_add_explicit(&signing->checkpoints, 1, memory_order_relaxed);
}

void signing_look_after(struct daemon *daemon) {
  if (!daemon->signing.key || monotonic_ns() - daemon->signing.written_ns < daemon->config.journal.signing.interval_ns) return;
  write_checkpoint(daemon);
}

/* The chain may be a moment behind what is durable. */
static bool chain_reaches(const struct daemon *daemon, uint64_t durable_lsn) {
  uint8_t chain[32];
  uint64_t lsn;
  for (uint32_t waits = 0; waits < CHAIN_WAITS_MAX; waits++, usleep(CHAIN_WAIT_US))
    if (journal_chain_mark(daemon->journal, &lsn, chain) && lsn >= durable_lsn) return true;
  return false;
}

void signing_sign_all(struct daemon *daemon) {
  uint64_t durable_lsn;
  if (!daemon->signing.key || journal_failed(daemon->journal) || journal_stalled(daemon->journal)) return;
  if (records_flush(daemon, &durable_lsn) == 0 && chain_reaches(daemon, durable_lsn)) write_checkpoint(daemon);
}

void signing_stop(struct daemon *daemon) {
  checkpoint_key_free(daemon->signing.key);
  daemon->signing.key = NULL;
}
