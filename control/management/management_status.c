#include "json_cursors.h"
#include "management_internal.h"
#include "metrics.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Too large for a stack. */
static struct appliance_snapshot *take(struct management_request *request) {
  struct appliance_snapshot *snapshot = malloc(sizeof *snapshot);
  if (snapshot)
    request->appliance->snapshot(request->appliance->context, snapshot); /* a shard that did not answer shows in its checks */
  return snapshot;
}

enum MHD_Result handle_metrics(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct appliance_snapshot *snapshot = take(request);
  size_t length = 0;
  char *text = snapshot ? metrics_render(appliance, snapshot, &length) : NULL;
  free(snapshot);
  return text ? answer_text(request, 200, METRICS_TYPE, text, length) : MHD_NO;
}

static json_t *checks_of(const struct appliance_snapshot *snapshot) {
  json_t *checks = json_array();
  for (uint32_t i = 0; i < snapshot->check_count; i++)
    json_array_append_new(checks, json_pack("{s:s, s:b, s:s}", "name", snapshot->checks[i].name, "passed",
                                            snapshot->checks[i].passed, "detail", snapshot->checks[i].detail));
  return checks;
}

/* BeTrace's words at its paths, beside the same checks. */
enum MHD_Result handle_health(struct management_request *request, enum health health) {
  struct appliance_snapshot *snapshot = take(request);
  if (!snapshot) return MHD_NO;
  const bool betrace = health == HEALTH_BETRACE_LIVE || health == HEALTH_BETRACE_READY;
  const bool good = health == HEALTH_READY || health == HEALTH_BETRACE_READY ? snapshot->ready : snapshot->live;
  const char *word = betrace ? (good ? "HEALTHY" : "UNHEALTHY") : (good ? "ok" : "failing");
  const double uptime = (double)(snapshot->wall_ns - snapshot->started_wall_ns) / 1e9;
  json_t *json = json_pack("{s:s, s:s, s:f, s:o}", "status", word, "version", snapshot->version, "uptime_seconds", uptime,
                           "checks", checks_of(snapshot));
  if (betrace)
    json_object_set_new(json, "metadata",
                        json_pack("{s:s, s:s}", "node", snapshot->node, "rules_sha256", snapshot->rules.sha256));
  free(snapshot);
  return answer_json(request, good ? 200 : 503, json);
}

static json_t *ports_of(const struct appliance_snapshot *snapshot) {
  json_t *ports = json_array();
  for (uint32_t i = 0; i < snapshot->port_count; i++) {
    const struct appliance_port *port = &snapshot->ports[i];
    json_array_append_new(ports,
                          json_pack("{s:s, s:s, s:b, s:i, s:i, s:I, s:I, s:I}", "name", port->information.name, "kind",
                                    port->kind, "link_up", port->link_up, "mtu", (int)port->information.mtu, "queues",
                                    (int)port->information.queues, "received", (json_int_t)port->counters.received, "missed",
                                    (json_int_t)port->counters.missed, "errors", (json_int_t)port->counters.errors));
  }
  return ports;
}

static json_t *limit_of(uint64_t limit) { return limit ? json_integer((json_int_t)limit) : json_null(); }

static json_t *kept_of(const struct appliance_journal *journal) {
  return json_pack(
      "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "segments", (json_int_t)journal->kept.segments,
      "bytes", (json_int_t)journal->kept.bytes, "oldest_lsn", (json_int_t)journal->kept.oldest_lsn, "held_segments",
      (json_int_t)journal->kept.held_segments, "held_by_cursors", (json_int_t)journal->kept.held_by_cursors, "held_bytes",
      (json_int_t)journal->kept.held_bytes, "overtaken_segments", (json_int_t)journal->kept.overtaken_segments,
      "removed_segments", (json_int_t)journal->kept.removed_segments, "removed_bytes", (json_int_t)journal->kept.removed_bytes,
      "age_limit_seconds", limit_of(journal->kept.age_limit_ns / 1000000000u), "byte_limit", limit_of(journal->kept.byte_limit),
      "byte_limit_hard", limit_of(journal->kept.byte_limit_hard), "record_limit", limit_of(journal->kept.record_limit));
}

/* As far as nanoseconds go: to the year 2554. */
static json_t *time_of(int64_t unix_s) {
  const int64_t last_s = (int64_t)(UINT64_MAX / 1000000000u) - 1;
  return json_time((uint64_t)(unix_s < 0 ? 0 : unix_s < last_s ? unix_s : last_s) * 1000000000u);
}

static json_t *certificates_of(const struct appliance_snapshot *snapshot) {
  json_t *certificates = json_array();
  for (uint32_t i = 0; i < snapshot->certificate_count; i++) {
    const struct appliance_certificate *certificate = &snapshot->certificates[i];
    const int64_t left_s = certificate->not_after_s - (int64_t)(snapshot->wall_ns / 1000000000u);
    json_array_append_new(certificates, json_pack("{s:s, s:o, s:I, s:b, s:s}", "listener", certificate->listener, "not_after",
                                                  time_of(certificate->not_after_s), "days_left", (json_int_t)(left_s / 86400),
                                                  "asks_clients", certificate->asks_clients, "sha256", certificate->sha256));
  }
  return certificates;
}

enum MHD_Result handle_config_reload(struct management_request *request) {
  char error[512];
  const struct appliance *appliance = request->appliance;
  if (appliance->certificates_reload(appliance->context, error, sizeof error) != 0)
    return answer_error(request, 422, "certificate", error);
  struct appliance_snapshot *snapshot = take(request);
  if (!snapshot) return MHD_NO;
  json_t *json = json_pack("{s:o}", "certificates", certificates_of(snapshot));
  free(snapshot);
  return answer_json(request, 200, json);
}

static json_t *failure_of(const struct appliance_journal *journal) {
  const struct journal_failure *failure = &journal->failure;
  if (!journal->failed) return json_null();
  return json_pack("{s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:s}", "since", json_time(failure->since_wall_ns), "error",
                   strerror(-failure->error), "operation", failure->operation, "file", failure->file, "offset",
                   (json_int_t)failure->offset, "bytes", (json_int_t)failure->bytes, "safe_lsn", (json_int_t)journal->durable_lsn,
                   "unknown_first_lsn", failure->first_lsn ? json_integer((json_int_t)failure->first_lsn) : json_null(),
                   "unknown_last_lsn", failure->first_lsn ? json_integer((json_int_t)failure->last_lsn) : json_null(), "meaning",
                   "safe: all up to safe_lsn, which is all that was acknowledged as durable; unknown until the next start: "
                   "unknown_first_lsn to unknown_last_lsn; lost: the discarded records");
}

static json_t *journal_of(const struct appliance_journal *journal) {
  const double mean_us = journal->batches ? (double)journal->flush_ns_sum / (double)journal->batches / 1e3 : 0;
  return json_pack(
      "{s:b, s:b, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "failed",
      journal->failed != 0, "out_of_space", journal->stalled == -ENOSPC, "durable_lsn", (json_int_t)journal->durable_lsn,
      "records", (json_int_t)journal->records, "batches", (json_int_t)journal->batches, "batch_bytes",
      (json_int_t)journal->batch_bytes, "flush_mean_us", mean_us, "flush_max_us", (double)journal->flush_ns_max / 1e3,
      "recovered_records", (json_int_t)journal->recovered_records, "recovered_truncated_bytes",
      (json_int_t)journal->recovered_truncated_bytes, "state_lsn", (json_int_t)journal->state_lsn, "snapshots",
      (json_int_t)journal->snapshots, "indexed_lsn", (json_int_t)journal->index.extent.last_lsn, "indexing",
      !journal->index.complete, "signed_lsn", (json_int_t)journal->signed_lsn, "kept", kept_of(journal), "recovery",
      recovery_json(&journal->recovery), "index", index_json(&journal->index), "failure", failure_of(journal), "records_pending",
      (json_int_t)journal->records_pending, "records_discarded", (json_int_t)journal->records_discarded, "violations_discarded",
      (json_int_t)journal->violations_discarded);
}

json_t *index_json(const struct appliance_index *index) {
  const struct violation_extent *extent = &index->extent;
  return json_pack("{s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "complete", index->complete, "percent",
                   (int)appliance_percent(index->ratio), "violations", (json_int_t)extent->count, "capacity",
                   (json_int_t)extent->capacity, "let_go", (json_int_t)extent->let_go, "memory_bytes", (json_int_t)extent->bytes,
                   "from_lsn", (json_int_t)extent->first_lsn, "from_time",
                   extent->count ? json_time(extent->first_wall_ns) : json_null(), "lsn", (json_int_t)extent->last_lsn);
}

static const char *state_of(const struct appliance_snapshot *snapshot) {
  for (uint32_t i = 0; i < snapshot->check_count; i++)
    if (strcmp(snapshot->checks[i].name, "drain") == 0 && !snapshot->checks[i].passed) return "stopping";
  return snapshot->ready ? "ready" : "not ready";
}

static json_t *park_of(const struct appliance_snapshot *snapshot, enum record_durability durability) {
  struct histogram *all = calloc(1, sizeof *all);
  if (!all) return json_null();
  for (uint32_t i = 0; i < snapshot->shard_count; i++) histogram_merge(all, &snapshot->shards[i].shard.park_ns[durability]);
  json_t *park = json_pack("{s:I, s:f, s:f}", "answers", (json_int_t)all->count, "p50_us",
                           (double)histogram_quantile(all, 0.5) / 1e3, "p99_us", (double)histogram_quantile(all, 0.99) / 1e3);
  free(all);
  return park;
}

/* What each durability may lose when the machine goes down, and how long its answers wait. */
static json_t *durabilities_of(const struct appliance_snapshot *snapshot) {
  return json_pack("{s:{s:s, s:o}, s:{s:s, s:o}, s:{s:s}}", "strict", "loss_window",
                   "nothing that was answered as durable; else what is in the flush in progress and gathers behind it", "park",
                   park_of(snapshot, DURABILITY_STRICT), "balanced", "loss_window",
                   "nothing that was answered as durable; else up to 1,000 records or 10 ms, and a flush", "park",
                   park_of(snapshot, DURABILITY_BALANCED), "relaxed", "loss_window",
                   "what was answered in the last 100 ms, and a flush");
}

/* The worst state of each resource over all shards. */
static json_t *pressure_of(const struct appliance_snapshot *snapshot) {
  json_t *pressure = json_object();
  for (unsigned r = 0; r < RESOURCES; r++) {
    enum pressure worst = PRESSURE_NORMAL;
    for (uint32_t i = 0; i < snapshot->shard_count; i++)
      if (snapshot->shards[i].pressure[r].state > worst) worst = snapshot->shards[i].pressure[r].state;
    json_object_set_new(pressure, pressure_resource_name(r), json_string(pressure_name(worst)));
  }
  return pressure;
}

static json_t *shedding_of(const struct appliance_snapshot *snapshot) {
  json_t *shedding = json_array();
  uint32_t bits = 0;
  for (uint32_t i = 0; i < snapshot->shard_count; i++) bits |= snapshot->shards[i].shedding;
  for (unsigned what = 0; what < SHEDS; what++)
    if (bits >> what & 1) json_array_append_new(shedding, json_string(shed_name(what)));
  return shedding;
}

enum MHD_Result handle_status(struct management_request *request) {
  struct appliance_snapshot *snapshot = take(request);
  if (!snapshot) return MHD_NO;
  uint64_t spans = 0, webhooks = 0, emitted = 0, live = 0;
  for (uint32_t i = 0; i < snapshot->shard_count; i++) {
    spans += snapshot->shards[i].shard.spans_evaluated;
    webhooks += snapshot->shards[i].shard.webhooks_accepted;
    emitted += snapshot->shards[i].engine.violations_emitted;
    live += snapshot->shards[i].engine.traces_live;
  }
  json_t *rules = json_pack("{s:I, s:i, s:i, s:s, s:b, s:o, s:I}", "generation", (json_int_t)snapshot->rules.generation, "rules",
                            (int)snapshot->rules.rules, "enabled", (int)snapshot->rules.enabled, "sha256", snapshot->rules.sha256,
                            "last_reload_succeeded", snapshot->rules.last_reload_succeeded, "last_reload_at",
                            json_time(snapshot->rules.last_reload_wall_ns), "failed", (json_int_t)snapshot->rules.failed);
  json_t *json =
      json_pack("{s:s, s:s, s:b, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:s}", "version",
                snapshot->version, "node", snapshot->node, "ready", snapshot->ready, "uptime_seconds",
                (double)(snapshot->wall_ns - snapshot->started_wall_ns) / 1e9, "checks", checks_of(snapshot), "rules", rules,
                "journal", journal_of(&snapshot->journal), "durability", durabilities_of(snapshot), "ports", ports_of(snapshot),
                "pressure", pressure_of(snapshot), "shedding", shedding_of(snapshot), "shards", (int)snapshot->shard_count,
                "spans_evaluated", (json_int_t)spans, "webhooks_accepted", (json_int_t)webhooks, "violations_emitted",
                (json_int_t)emitted, "violations_durable", (json_int_t)snapshot->violations_durable, "traces_live",
                (json_int_t)live, "lost_in_a_crash", "live traces (memory only); nothing acknowledged as durable");
  json_object_set_new(json, "certificates", certificates_of(snapshot));
  json_object_set_new(json, "cursors", json_cursors_state(request->appliance));
  json_object_set_new(json, "state", json_string(state_of(snapshot)));
  free(snapshot);
  return answer_json(request, 200, json);
}

enum MHD_Result handle_shards(struct management_request *request) {
  struct appliance_snapshot *snapshot = take(request);
  if (!snapshot) return MHD_NO;
  json_t *shards = json_array();
  for (uint32_t i = 0; i < snapshot->shard_count; i++) {
    const struct shard_snapshot *shard = &snapshot->shards[i];
    const double cycles = (double)shard->shard.busy_cycles + (double)shard->shard.idle_cycles;
    json_array_append_new(
        shards,
        json_pack("{s:i, s:i, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "shard", (int)i, "core",
                  (int)snapshot->shard_core[i], "generation", (json_int_t)shard->generation, "busy_ratio",
                  cycles > 0 ? (double)shard->shard.busy_cycles / cycles : 0.0, "frames_received",
                  (json_int_t)shard->queue.received, "connections", (json_int_t)shard->network.tcp_connections, "requests",
                  (json_int_t)shard->http.requests, "spans_evaluated", (json_int_t)shard->shard.spans_evaluated,
                  "webhooks_accepted", (json_int_t)shard->shard.webhooks_accepted, "violations_emitted",
                  (json_int_t)shard->engine.violations_emitted, "traces_live", (json_int_t)shard->engine.traces_live,
                  "long_loops", (json_int_t)shard->shard.long_loops, "heap_allocated_bytes",
                  (json_int_t)(snapshot->shard_allocated_bytes[i] - snapshot->shard_allocated_at_start_bytes[i])));
  }
  free(snapshot);
  return answer_json(request, 200, json_pack("{s:o}", "shards", shards));
}
