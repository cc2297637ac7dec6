#include "shard_internal.h"

void shard_take_snapshot(struct shard *shard) {
  struct shard_snapshot *snapshot = &shard->snapshot;
  snapshot->taken_ns = shard->now_ns;
  snapshot->generation = engine_generation(shard->engine);
  shard->counters.parked = shard->slots_in_use;
  snapshot->shard = shard->counters;
  snapshot->network = *network_counters(shard->network);
  snapshot->http = *http_server_counters(shard->http);
  if (shard->tls) snapshot->tls = tls_server_counters(shard->tls);
  snapshot->engine = *engine_counters(shard->engine);
  snapshot->replay = *replay_table_counters(shard->replay);
  snapshot->queue = *shard->config.queue->operations->counters(shard->config.queue);
  snapshot->records = record_ring_read_counters(shard->config.records);
  snapshot->messages_out = (struct line_ring_counters){0};
  for (uint16_t to = 0; to < shard->config.shards; to++) {
    const struct line_ring_counters ring = line_ring_read_counters(shard->config.messages_to[to]);
    snapshot->messages_out.published += ring.published;
    snapshot->messages_out.consumed += ring.consumed;
    snapshot->messages_out.refused += ring.refused;
    snapshot->messages_out.lines_waiting += ring.lines_waiting;
  }
  if (shard->address_limits) snapshot->addresses = *address_limits_counters(shard->address_limits);
  memcpy(snapshot->pressure, shard->pressure, sizeof snapshot->pressure);
  if (shard->recorder) flight_read_counters(shard->recorder, &snapshot->flight);
  snapshot->shedding = shard->shed;
  snapshot->drained = atomic_load_explicit(&shard->drained, memory_order_relaxed);
  const unsigned wanted = atomic_load_explicit(&shard->snapshot_wanted, memory_order_acquire);
  atomic_store_explicit(&shard->snapshot_taken, wanted, memory_order_release);
}

bool shard_snapshot_request(struct shard *shard) {
  const unsigned taken = atomic_load_explicit(&shard->snapshot_taken, memory_order_acquire);
  if (atomic_load_explicit(&shard->snapshot_wanted, memory_order_relaxed) != taken) return false; /* one is under way */
  atomic_store_explicit(&shard->snapshot_wanted, taken + 1, memory_order_release);
  return true;
}

bool shard_snapshot_read(struct shard *shard, struct shard_snapshot *snapshot) {
  const unsigned taken = atomic_load_explicit(&shard->snapshot_taken, memory_order_acquire);
  if (atomic_load_explicit(&shard->snapshot_wanted, memory_order_relaxed) != taken) return false;
  *snapshot = shard->snapshot;
  return true;
}
