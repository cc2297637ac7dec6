#include "daemon_internal.h"
#include "impaired_queue.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SNAPSHOT_WAIT_NS 1000000000ull
#define INDEX_WAIT_NS 3000000000ull /* after a start the index is read in the background; short of it, what is there */

static const char *const kind_names[] = {"embedded", "af_packet", "af_xdp", "tap", "memif", "pcap", "ring", "pci"};

static bool read_shard(struct daemon_shard *shard, uint64_t deadline_ns) {
  while (!shard_snapshot_read(shard->shard, &shard->last)) {
    if (monotonic_ns() > deadline_ns) return false;
    usleep(50);
  }
  return true;
}

/* Of a shard that does not answer in time what it told last: a counter never falls. */
static int read_shards(struct daemon *daemon, struct appliance_snapshot *snapshot) {
  const uint64_t deadline_ns = monotonic_ns() + SNAPSHOT_WAIT_NS;
  int result = 0;
  for (uint32_t i = 0; i < daemon->shard_count; i++) shard_snapshot_request(daemon->shards[i].shard);
  for (uint32_t i = 0; i < daemon->shard_count; i++) {
    snapshot->shard_answered[i] = read_shard(&daemon->shards[i], deadline_ns);
    if (!snapshot->shard_answered[i]) result = -ETIMEDOUT;
    snapshot->shards[i] = daemon->shards[i].last;
    const uint64_t *allocated = atomic_load_explicit(&daemon->shards[i].allocated, memory_order_acquire);
    snapshot->shard_core[i] = daemon->shards[i].core;
    snapshot->shard_allocated_at_start_bytes[i] = daemon->shards[i].allocated_at_start;
    snapshot->shard_allocated_bytes[i] =
        allocated ? __atomic_load_n(allocated, __ATOMIC_RELAXED) : daemon->shards[i].allocated_at_start;
  }
  return result;
}

static void add_impairment(const struct driver_queue *queue, enum impaired_direction direction,
                           struct appliance_impairment *sum) {
  const struct impaired_counters counters = impaired_queue_read(queue, direction);
  sum->lost += counters.lost;
  sum->duplicated += counters.duplicated;
  sum->reordered += counters.reordered;
  sum->no_room += counters.no_room;
  sum->passed_on += counters.passed_on;
}

static void read_ports(struct daemon *daemon, struct appliance_snapshot *snapshot) {
  snapshot->port_count = daemon->port_count;
  for (uint32_t i = 0; i < daemon->port_count; i++) {
    struct appliance_port *port = &snapshot->ports[i];
    port->information = *dpdk_port_information(daemon->ports[i].port);
    dpdk_port_counters(daemon->ports[i].port, &port->counters);
    port->kind = kind_names[daemon->ports[i].config->kind];
    port->link_up = dpdk_port_link_up(daemon->ports[i].port);
    port->first_shard = daemon->ports[i].first_shard;
    port->impaired = daemon->ports[i].impaired[0] != NULL;
    port->received = port->sent = (struct appliance_impairment){0};
    for (uint16_t queue = 0; port->impaired && queue < daemon->ports[i].queues; queue++) {
      add_impairment(daemon->ports[i].impaired[queue], IMPAIRED_RECEIVE, &port->received);
      add_impairment(daemon->ports[i].impaired[queue], IMPAIRED_SEND, &port->sent);
    }
  }
}

void appliance_index_view(struct daemon *daemon, struct appliance_index *index) {
  const uint64_t first = daemon->recovery.first_lsn, end = daemon->recovery.next_lsn;
  *index = (struct appliance_index){.extent = violation_store_extent(daemon->violations)};
  const uint64_t next = index->extent.last_lsn + 1;
  index->complete = next >= end;
  index->ratio = index->complete ? 1 : next <= first ? 0 : (double)(next - first) / (double)(end - first);
}

static void read_journal(struct daemon *daemon, struct appliance_journal *journal) {
  const struct journal_counters *counters = journal_counters(daemon->journal);
  struct daemon_keeper *keeper = &daemon->keeper;
  *journal = (struct appliance_journal){
      .durable_lsn = journal_durable_lsn(daemon->journal),
      .recovered_records = daemon->recovery.records,
      .recovered_truncated_bytes = daemon->recovery.truncated_bytes,
      .records = counters->records,
      .record_bytes = counters->record_bytes,
      .batches = counters->batches,
      .batch_bytes = counters->batch_bytes,
      .segments_prepared = counters->segments_prepared,
      .flush_ns_sum = counters->flush_ns_sum,
      .flush_ns_max = counters->flush_ns_max,
      .space_refusals = counters->space_refusals,
      .failed = journal_failed(daemon->journal),
      .records_pending = records_pending(daemon),
      .records_discarded = counters->records_discarded,
      .violations_discarded = counters->violations_discarded,
      .stalled = journal_stalled(daemon->journal),
      .kept = {.segments = keeper->segments,
               .bytes = keeper->segment_bytes,
               .oldest_lsn = keeper->oldest_lsn,
               .held_segments = keeper->held_segments,
               .held_by_cursors = keeper->held_by_cursors,
               .held_bytes = keeper->held_bytes,
               .overtaken_segments = keeper->overtaken_segments,
               .removed_segments = keeper->removed_segments,
               .removed_bytes = keeper->removed_bytes,
               .age_limit_ns = daemon->config.journal.retain_age_ns,
               .byte_limit = daemon->config.journal.retain_bytes,
               .byte_limit_hard = daemon->config.journal.retain_bytes_hard,
               .record_limit = daemon->config.journal.retain_records},
      .state_lsn = journal_state_lsn(daemon->journal),
      .snapshots = keeper->snapshots,
      .checkpoints = daemon->signing.checkpoints,
      .signed_lsn = daemon->signing.signed_lsn,
  };
  start_recovery_view(daemon, &journal->recovery);
  appliance_index_view(daemon, &journal->index);
  journal_failure(daemon->journal, &journal->failure);
}

static void add_check(struct appliance_snapshot *snapshot, const char *name, bool passed, const char *detail) {
  struct appliance_check *check = &snapshot->checks[snapshot->check_count++];
  *check = (struct appliance_check){.name = name, .passed = passed};
  snprintf(check->detail, sizeof check->detail, "%s", detail);
  snapshot->ready = snapshot->ready && passed;
}

/* Not ready while requests are refused: another appliance may have room. Pressure alone is only told. */
static void check_overload(struct appliance_snapshot *snapshot) {
  const uint32_t requests = 1u << SHED_SPANS | 1u << SHED_WEBHOOKS | 1u << SHED_DURABLE_SPANS | 1u << SHED_DURABLE_WEBHOOKS;
  char detail[sizeof snapshot->checks[0].detail] = "";
  size_t used = 0;
  bool refusing = false;
  for (uint32_t i = 0; i < snapshot->shard_count; i++) refusing = refusing || (snapshot->shards[i].shedding & requests);
  for (unsigned r = 0; r < RESOURCES; r++)
    for (uint32_t i = 0; i < snapshot->shard_count && used < sizeof detail; i++) {
      const enum pressure state = snapshot->shards[i].pressure[r].state;
      if (state == PRESSURE_NORMAL) continue;
      used += (size_t)snprintf(detail + used, sizeof detail - used, "%s%s %s on shard %u", used ? ", " : "",
                               pressure_resource_name(r), pressure_name(state), i);
    }
  add_check(snapshot, "overload", !refusing, used ? detail : refusing ? "requests are refused" : "no resource is short");
}

static void check_journal(struct appliance_snapshot *snapshot) {
  const struct appliance_journal *journal = &snapshot->journal;
  char said[sizeof snapshot->checks[0].detail] = "writes are durable";
  if (journal->failed)
    records_describe_failure(&journal->failure, journal->durable_lsn, said, sizeof said);
  else if (journal->stalled)
    snprintf(said, sizeof said, "%s", journal->stalled == -ETIMEDOUT ? "the disk does not answer" : strerror(-journal->stalled));
  add_check(snapshot, "journal", !journal->failed && !journal->stalled, said);
}

static void run_checks(struct daemon *daemon, struct appliance_snapshot *snapshot, bool answered) {
  bool adopted = true, linked = true;
  for (uint32_t i = 0; i < daemon->shard_count; i++)
    adopted =
        adopted && shard_generation(daemon->shards[i].shard) == snapshot->rules.generation && snapshot->rules.generation > 0;
  for (uint32_t i = 0; i < snapshot->port_count; i++) linked = linked && snapshot->ports[i].link_up;
  snapshot->live = answered;
  snapshot->ready = true;
  add_check(snapshot, "shards", answered, answered ? "all answer" : "a shard does not answer within a second");
  check_journal(snapshot);
  add_check(snapshot, "rules", adopted, adopted ? "every shard has the current set" : "no set is in force on every shard");
  add_check(snapshot, "ports", linked, linked ? "links are up" : "a link is down");
  check_overload(snapshot);
  const bool draining = atomic_load_explicit(&daemon->draining, memory_order_relaxed);
  add_check(snapshot, "drain", !draining, draining ? "stopping" : "taking traffic");
}

static struct violation_store *violations_within(struct daemon *daemon, uint64_t wait_ns) {
  const int result = violation_store_catch_up_within(daemon->violations, journal_durable_lsn(daemon->journal), wait_ns);
  if (result < 0 && result != -ETIMEDOUT)
    log_error("journal", "the violation index cannot be read further: %s", strerror(-result));
  return daemon->violations;
}

static struct violation_store *violations(void *context) { return violations_within(context, INDEX_WAIT_NS); }

static struct violation_store *violations_as_they_are(void *context) { return ((struct daemon *)context)->violations; }

static struct webhook_store *webhooks(void *context) {
  struct daemon *daemon = context;
  violations(daemon); /* they are read together */
  return daemon->webhooks;
}

/* Of this run. While the log of earlier ones is read into the index there is none yet, and nobody waits for that. */
static uint64_t count_durable(struct daemon *daemon, const struct appliance_index *index) {
  return index->complete ? violation_store_run_total(violations_within(daemon, INDEX_WAIT_NS)) : 0;
}

static int take_snapshot(void *context, struct appliance_snapshot *snapshot) {
  struct daemon *daemon = context;
  memset(snapshot, 0, sizeof *snapshot);
  pthread_mutex_lock(&daemon->snapshot_lock);
  snapshot->wall_ns = wall_ns();
  snapshot->started_wall_ns = daemon->started_wall_ns;
  snapshot->version = TRIPLINE_VERSION;
  uuid7_text(daemon->node_id, snapshot->node);
  memcpy(snapshot->config_sha256, daemon->config_sha256, sizeof snapshot->config_sha256);
  snapshot->shard_count = daemon->shard_count;
  const int result = read_shards(daemon, snapshot);
  read_ports(daemon, snapshot);
  read_journal(daemon, &snapshot->journal);
  rules_view(daemon, &snapshot->rules);
  certificates_view(daemon, snapshot);
  snapshot->violations_durable = count_durable(daemon, &snapshot->journal.index);
  run_checks(daemon, snapshot, result == 0);
  snapshot->logs_suppressed = log_suppressed();
  pthread_mutex_unlock(&daemon->snapshot_lock);
  return result;
}

static void index_view(void *context, struct appliance_index *index) { appliance_index_view(context, index); }

static uint32_t shard_count(void *context) { return ((struct daemon *)context)->shard_count; }

static uint32_t read_blackbox(void *context, uint32_t shard, struct flight_event *events, uint32_t room) {
  const struct flight_recorder *recorder = shard_flight_recorder(((struct daemon *)context)->shards[shard].shard);
  if (!recorder) return 0;
  const struct flight_range range = flight_range(recorder);
  if (!events) return recorder->mask + 1;
  uint32_t count = 0;
  for (uint64_t sequence = range.first; sequence < range.end && count < room; sequence++)
    if (flight_read(recorder, sequence, &events[count])) count++;
  return count;
}

static void rules_read(void *context, struct rule_view *view) { rule_book_read(((struct daemon *)context)->rules.book, view); }

static void rules_release(void *context) { rule_book_release(((struct daemon *)context)->rules.book); }

static struct cursor_table *cursors_table(void *context) { return ((struct daemon *)context)->cursors.table; }

void appliance_view_init(struct daemon *daemon) {
  daemon->appliance = (struct appliance){
      .context = daemon,
      .starting = start_view,
      .snapshot = take_snapshot,
      .rules_read = rules_read,
      .rules_release = rules_release,
      .rules_change = rules_change,
      .rule_matches = match_counts_read,
      .rule_matches_gone = match_counts_gone,
      .journal_flush = records_flush,
      .certificates_reload = certificates_reload,
      .webhooks = webhooks,
      .shard_count = shard_count,
      .blackbox = read_blackbox,
      .violations = violations,
      .cursors = cursors_table,
      .cursor_read = cursors_read,
      .cursor_stale_ns = daemon->config.journal.cursor_stale_ns,
      .violations_as_they_are = violations_as_they_are,
      .index = index_view,
  };
  uuid7_text(daemon->node_id, daemon->appliance.node);
}
