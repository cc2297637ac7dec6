#include "shard_internal.h"

#define MESSAGES_A_RING 8192u /* more than a burst of full requests sends, so that rings empty as fast as they fill */
#define TIMERS_A_STEP 64u
#define TRACES_A_STEP 64u
#define REPLAY_IDS_A_STEP 64u
#define REPLAY_EXPIRE_EVERY_NS 10000000ull

static void adopt_image(struct shard *shard) {
  const struct rule_image *image = atomic_load_explicit(&shard->config.publication->image, memory_order_acquire);
  if (!image || image->generation == engine_generation(shard->engine)) return;
  engine_adopt(shard->engine, image);
  shard_flight_note(shard, FLIGHT_RULES_ADOPTED, 0, (const uint64_t[FLIGHT_VALUES]){image->generation});
  atomic_store_explicit(&shard->generation, image->generation, memory_order_release);
}

static const struct span_digest *digest_at(const struct line_header *const *messages, uint32_t at, uint32_t count) {
  return at < count && messages[at]->type == LINE_SPAN_DIGEST ? (const struct span_digest *)(const void *)messages[at] : NULL;
}

/* Digests meet memory at random: what those behind will touch is fetched while one is applied. */
static uint32_t receive_ring(struct shard *shard, uint16_t from) {
  struct line_ring *ring = shard->config.messages_from[from];
  const struct line_header *messages[2 * ENGINE_FAR_DIGESTS];
  uint32_t total = 0, count;
  while (total < MESSAGES_A_RING && (count = line_ring_look_ahead(ring, messages, 2 * ENGINE_FAR_DIGESTS)) > 0) {
    /* A digest may be of a generation published since the step began; its sender's read of it happened before ours. */
    adopt_image(shard);
    for (uint32_t i = 0; i < count && i < ENGINE_FAR_DIGESTS; i++, total++) {
      engine_expect_digest(shard->engine, digest_at(messages, i + ENGINE_NEAR_DIGESTS, count),
                           digest_at(messages, i + ENGINE_FAR_DIGESTS, count));
      shard_receive_message(shard, from, line_ring_peek(ring));
      line_ring_consume(ring);
    }
  }
  return total;
}

static uint32_t receive_messages(struct shard *shard) {
  uint32_t total = 0;
  for (uint16_t from = 0; from < shard->config.shards; from++) total += receive_ring(shard, from);
  return total;
}

static uint32_t receive_verdicts(struct shard *shard) {
  uint32_t total = 0;
  for (uint16_t from = 0; from < shard->config.shards; from++) {
    struct line_ring *ring = shard->config.verdicts_from[from];
    if (!ring) continue;
    for (uint32_t i = 0; i < MESSAGES_A_RING; i++, total++) {
      const struct replay_verdict_message *message = line_ring_peek(ring);
      if (!message) break;
      shard_receive_verdict(shard, message);
      line_ring_consume(ring);
    }
  }
  return total;
}

static void watch_journal(struct shard *shard) {
  if (!atomic_load_explicit(&shard->journal_failed, memory_order_acquire)) return;
  if (!shard->journal_failed_seen) {
    const uint64_t durable = record_ring_durable(shard->config.records);
    shard_flight_note(shard, FLIGHT_JOURNAL_FAILED, 0, (const uint64_t[FLIGHT_VALUES]){durable, shard->slots_in_use});
  }
  shard->journal_failed_seen = true;
  shard_fail_parked(shard);
}

static uint32_t run_timers(struct shard *shard) {
  uint32_t fired = network_tick(shard->network, shard->now_ns, TIMERS_A_STEP);
  fired += http_server_tick(shard->http, shard->now_ns, TIMERS_A_STEP);
  fired += timer_wheel_advance(shard->timers, shard, shard->now_ns, TIMERS_A_STEP);
  engine_expire(shard->engine, shard->now_ns, shard->wall_ns, TRACES_A_STEP);
  if (shard->now_ns >= shard->replay_expire_at_ns) {
    replay_expire(shard->replay, shard->wall_ns, REPLAY_IDS_A_STEP);
    shard->replay_expire_at_ns = shard->now_ns + REPLAY_EXPIRE_EVERY_NS;
  }
  return fired;
}

static uint32_t run_tls(struct shard *shard) {
  if (!shard->tls) return 0;
  const uint32_t work = tls_server_step(shard->tls, shard->now_ns, shard->wall_ns, shard->receiving == RECEIVING_PAUSED);
  atomic_store_explicit(&shard->tls_generation, tls_server_generation(shard->tls), memory_order_release);
  return work;
}

static bool rings_empty(const struct shard *shard) {
  for (uint16_t from = 0; from < shard->config.shards; from++) {
    if (line_ring_peek(shard->config.messages_from[from])) return false;
    if (shard->config.verdicts_from[from] && line_ring_peek(shard->config.verdicts_from[from])) return false;
  }
  return true;
}

/* Requests first, then what they sent to other shards, then the traces. */
static void drain(struct shard *shard) {
  if (!shard->draining) {
    if (!atomic_load_explicit(&shard->drain, memory_order_acquire)) return;
    shard->draining = true;
    const struct http_counters *http = http_server_counters(shard->http);
    shard_flight_note(shard, FLIGHT_DRAINING, 0,
                      (const uint64_t[FLIGHT_VALUES]){http->connections, http->in_progress, shard->slots_in_use});
    network_drain(shard->network, shard->now_ns);
    http_server_drain(shard->http, shard->now_ns);
  }
  const bool quiet = http_server_counters(shard->http)->in_progress == 0 && shard->slots_in_use == 0 && rings_empty(shard);
  const uint32_t traces = quiet ? engine_drain(shard->engine, shard->now_ns, shard->wall_ns, TRACES_A_STEP) : 1;
  atomic_store_explicit(&shard->drained, quiet && traces == 0, memory_order_release);
}

bool shard_step(struct shard *shard, uint64_t now_ns, uint64_t wall_ns) {
  shard->now_ns = now_ns;
  shard->wall_ns = wall_ns;
  adopt_image(shard);
  watch_journal(shard);
  shard_look_at_pressure(shard);
  uint32_t work = shard_receive_frames(shard);
  work += shard_take_over_frames(shard);
  work += receive_messages(shard);
  work += receive_verdicts(shard);
  if (shard_release_durable(shard)) work++;
  shard_retry_settling(shard);
  work += run_timers(shard);
  work += run_tls(shard);
  drain(shard);
  shard_flight_watch(shard);
  network_flush(shard->network, now_ns);
  shard->config.queue->operations->flush(shard->config.queue);
  if (atomic_load_explicit(&shard->snapshot_wanted, memory_order_acquire) !=
      atomic_load_explicit(&shard->snapshot_taken, memory_order_relaxed))
    shard_take_snapshot(shard);
  shard->counters.steps++;
  atomic_store_explicit(&shard->heartbeat, shard->counters.steps, memory_order_relaxed);
  return work > 0;
}

void shard_account(struct shard *shard, uint64_t cycles, bool busy, bool long_loop) {
  if (busy) {
    shard->counters.busy_cycles += cycles;
    shard->counters.steps_busy++;
  } else {
    shard->counters.idle_cycles += cycles;
  }
  if (long_loop) shard->counters.long_loops++;
}
