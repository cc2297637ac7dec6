#include "conservation.h"
#include <stdio.h>

static bool equal(const char *law, uint64_t left, uint64_t right) {
  if (left != right) fprintf(stderr, "%s: %llu is not %llu\n", law, (unsigned long long)left, (unsigned long long)right);
  return left == right;
}

static uint64_t sum(const uint64_t *values, unsigned count) {
  uint64_t total = 0;
  for (unsigned i = 0; i < count; i++) total += values[i];
  return total;
}

static bool frames_of_network(const struct network_counters *network) {
  return equal("frames processed = delivered + answered + dropped", network->frames_received,
               network->arp_answered + network->nd_answered + network->fragments_kept + network->icmp_answered +
                   network->icmp_too_big + network->udp_delivered + network->tcp_delivered + sum(network->drops, NETWORK_DROPS));
}

static bool requests(const struct http_counters *http) {
  return equal("requests = answered + aborted + in progress", http->requests,
               sum(http->answered, 600) + sum(http->aborted, HTTP_ABORTS) + http->in_progress);
}

static bool spans(const struct shard_counters *shard) {
  return equal("spans decoded = evaluated + rejected", shard->spans_decoded,
               shard->spans_evaluated + sum(shard->spans_rejected, SPAN_REJECTS) + shard->spans_rejected_overload +
                   shard->spans_rejected_malformed);
}

static bool datagrams(const char *law, const struct datagram_counters *counters) {
  return equal(law, counters->received, sum(counters->outcomes, DATAGRAM_OUTCOMES));
}

static bool webhooks(const struct shard_counters *shard) {
  return equal("webhooks accepted = durable + pending + received only", shard->webhooks_accepted,
               shard->webhooks_durable + shard->webhooks_pending + shard->webhooks_received_only);
}

static bool traces(const struct engine_counters *engine) {
  return equal("traces opened = completed + evicted + live", engine->traces_opened,
               sum(engine->traces_completed, TRACE_COMPLETIONS) + engine->traces_evicted + engine->traces_live);
}

static bool windows(const struct engine_counters *engine) {
  return equal("window keys opened = expired + evicted + dropped + live", engine->window_keys_opened,
               engine->window_keys_expired + engine->window_keys_evicted + engine->window_keys_dropped +
                   engine->window_keys_live);
}

static bool records(const struct shard_snapshot *snapshot) {
  return equal("violations emitted + webhooks accepted = records published", snapshot->records.published,
               snapshot->engine.violations_emitted + snapshot->shard.webhooks_accepted);
}

/* What is in use is no more than there is. */
static bool pressure(const struct shard_snapshot *snapshot) {
  bool holds = true;
  for (unsigned r = 0; r < RESOURCES; r++) {
    const struct watermark *watermark = &snapshot->pressure[r];
    if (watermark->used <= watermark->capacity) continue;
    fprintf(stderr, "%s: %llu of %llu in use\n", pressure_resource_name((enum pressure_resource)r),
            (unsigned long long)watermark->used, (unsigned long long)watermark->capacity);
    holds = false;
  }
  return holds;
}

static bool of_each_shard(const struct simulated_appliance *appliance) {
  bool holds = true;
  for (uint16_t i = 0; i < appliance->options.shards; i++) {
    const struct shard_snapshot *snapshot = &appliance->snapshots[i];
    holds &= frames_of_network(&snapshot->network);
    holds &= requests(&snapshot->http);
    holds &= spans(&snapshot->shard);
    holds &= datagrams("OTLP datagrams = accepted + dropped", &snapshot->shard.otlp_datagrams);
    holds &= datagrams("Jaeger datagrams = accepted + dropped", &snapshot->shard.jaeger_datagrams);
    holds &= webhooks(&snapshot->shard);
    holds &= traces(&snapshot->engine);
    holds &= windows(&snapshot->engine);
    holds &= records(snapshot);
    holds &= pressure(snapshot);
  }
  return holds;
}

/* What crossed between shards; rings are looked at now, so that what one shard sent after another's step counts as waiting. */
struct crossing {
  uint64_t taken_from_wire, processed, handed_over, taken_over, hand_over_dropped, frames_waiting;
  uint64_t digests_sent, digests_applied, messages_waiting;
};

static struct crossing crossing_of(const struct simulated_appliance *appliance) {
  struct crossing crossing = {0};
  for (uint16_t i = 0; i < appliance->options.shards; i++) {
    const struct shard_snapshot *snapshot = &appliance->snapshots[i];
    crossing.taken_from_wire += snapshot->queue.received;
    crossing.processed += snapshot->network.frames_received;
    crossing.handed_over += snapshot->shard.frames_handed_over;
    crossing.taken_over += snapshot->shard.frames_taken_over;
    crossing.hand_over_dropped += snapshot->shard.frames_hand_over_dropped;
    crossing.digests_sent += snapshot->engine.digests_sent;
    crossing.digests_applied += snapshot->engine.digests_applied;
    for (uint16_t to = 0; to < appliance->options.shards; to++) {
      const struct line_ring_counters messages = line_ring_read_counters(appliance->messages[i][to]);
      crossing.messages_waiting += messages.published - messages.consumed;
      if (!appliance->frames[i][to]) continue;
      const struct line_ring_counters frames = line_ring_read_counters(appliance->frames[i][to]);
      crossing.frames_waiting += frames.published - frames.consumed;
    }
  }
  return crossing;
}

static bool across_shards(const struct simulated_appliance *appliance) {
  const struct crossing crossing = crossing_of(appliance);
  bool holds = equal("wire received = taken by shards", sim_wire_counters(appliance->wires[0], SIM_TO_APPLIANCE)->received,
                     crossing.taken_from_wire);
  holds &= equal("frames taken = processed + handed over + dropped", crossing.taken_from_wire + crossing.taken_over,
                 crossing.processed + crossing.handed_over + crossing.hand_over_dropped);
  holds &=
      equal("frames handed over = taken over + waiting", crossing.handed_over, crossing.taken_over + crossing.frames_waiting);
  /* Claims wait in the same rings. */
  if (crossing.digests_sent < crossing.digests_applied ||
      crossing.digests_sent - crossing.digests_applied > crossing.messages_waiting)
    holds &=
        equal("digests sent = applied + waiting", crossing.digests_sent, crossing.digests_applied + crossing.messages_waiting);
  return holds;
}

/* Between all shards and the journal: what is durable was published, and no acknowledgement is ahead of the disk. */
static bool journal(const struct simulated_appliance *appliance) {
  uint64_t published = 0, acknowledged = 0;
  for (uint16_t i = 0; i < appliance->options.shards; i++) {
    published += appliance->snapshots[i].records.published;
    acknowledged += appliance->snapshots[i].shard.webhooks_durable;
  }
  const uint64_t durable = journal_durable_lsn(appliance->journal) + 1 - appliance->recovery.next_lsn;
  if (durable <= published && acknowledged <= durable) return true;
  fprintf(stderr, "acknowledged durable (%llu) <= durable (%llu) <= published (%llu)\n", (unsigned long long)acknowledged,
          (unsigned long long)durable, (unsigned long long)published);
  return false;
}

bool conservation_holds(const struct simulated_appliance *appliance) {
  bool holds = sim_wire_conserved(appliance->wires[0]);
  if (!holds) fprintf(stderr, "the wire lost count of a frame\n");
  holds &= of_each_shard(appliance);
  holds &= across_shards(appliance);
  holds &= journal(appliance);
  return holds;
}

/* Nothing that was short is short any more, but for the ids, which only time forgets; and nothing is shed. */
static bool pressure_at_rest(const struct shard_snapshot *snapshot) {
  bool holds = equal("at rest, shed", snapshot->shedding, 0);
  for (unsigned r = 0; r < RESOURCES; r++) {
    const struct watermark *watermark = &snapshot->pressure[r];
    if (r == RESOURCE_REPLAY_IDS) continue;
    if (!equal("at rest, pressure", watermark->state, PRESSURE_NORMAL)) {
      fprintf(stderr, "of %s\n", pressure_resource_name((enum pressure_resource)r));
      holds = false;
    }
    holds &= equal("at rest, in use", watermark->used, 0);
  }
  return holds & equal("at rest, addresses", snapshot->addresses.accounts, 0);
}

bool conservation_at_rest(const struct simulated_appliance *appliance) {
  const struct crossing crossing = crossing_of(appliance);
  uint64_t published = 0;
  bool holds = equal("at rest, messages waiting", crossing.messages_waiting, 0);
  holds &= equal("at rest, frames waiting", crossing.frames_waiting, 0);
  for (uint16_t i = 0; i < appliance->options.shards; i++) {
    const struct shard_snapshot *snapshot = &appliance->snapshots[i];
    holds &= equal("at rest, requests in progress", snapshot->http.in_progress, 0);
    holds &= equal("at rest, answers parked", snapshot->shard.parked, 0);
    holds &= equal("at rest, webhooks pending", snapshot->shard.webhooks_pending, 0);
    holds &= equal("at rest, live traces", snapshot->engine.traces_live, 0);
    holds &= equal("at rest, records waiting", snapshot->records.bytes_waiting, 0);
    holds &= pressure_at_rest(snapshot);
    published += snapshot->records.published;
  }
  holds &= equal("violations emitted = durable", published,
                 journal_durable_lsn(appliance->journal) + 1 - appliance->recovery.next_lsn);
  return holds;
}
