#include "shard_internal.h"

#define CLAIM_RETRY_NS 1000000ull /* the question found no room, or the first of the same id is still on its way to disk */
#define CLAIM_GIVE_UP_NS 10000000000ull

uint16_t shard_of_replay_key(const struct siphash_key *key, const struct replay_key *replay, uint16_t shards) {
  return (uint16_t)(siphash(key, replay->bytes, sizeof replay->bytes) % shards);
}

static uint16_t owner_of(const struct shard *shard, const struct replay_key *key) {
  return shard_of_replay_key(&shard->config.replay_key, key, shard->config.shards);
}

static void on_retry(struct timer *timer, void *context, uint64_t now_ns) {
  struct shard *shard = context;
  struct parked *parked = (struct parked *)((char *)timer - offsetof(struct parked, timer));
  shard_flight_resume(shard, parked);
  if (now_ns < parked->give_up_ns && parked->exchange) {
    shard_claim(shard, parked);
    return;
  }
  if (parked->exchange)
    shard_refuse(shard, parked->exchange, 503, "overloaded", "the first delivery of this id is not settled yet");
  shard->counters.webhooks_refused[REFUSAL_OVERLOAD]++;
  shard_unpark(shard, parked);
}

void shard_claim_later(struct shard *shard, struct parked *parked) {
  parked->state = PARKED_RETRY;
  parked->timer.fire = on_retry;
  timer_arm(shard->timers, &parked->timer, shard->now_ns + CLAIM_RETRY_NS);
}

void shard_claim(struct shard *shard, struct parked *parked) {
  const uint16_t owner = owner_of(shard, &parked->key);
  if (!parked->give_up_ns) parked->give_up_ns = shard->now_ns + CLAIM_GIVE_UP_NS;
  parked->state = PARKED_CLAIM;
  if (owner == shard->config.shard) {
    struct replay_answer answer = {0};
    const enum replay_verdict verdict =
        replay_claim(shard->replay, &parked->key, parked->body_sha256, parked->remember_until_ns, &answer);
    shard_webhook_verdict(shard, parked, verdict, &answer);
    return;
  }
  struct line_ring *ring = shard->config.messages_to[owner];
  struct replay_claim_message *message = line_ring_reserve(ring, (sizeof *message + LINE_BYTES - 1) / LINE_BYTES);
  if (!message) {
    shard->counters.messages_no_room++;
    shard_claim_later(shard, parked);
    return;
  }
  message->header.type = LINE_REPLAY_CLAIM;
  message->slot = (uint32_t)(parked - shard->slots);
  message->key = parked->key;
  memcpy(message->body_sha256, parked->body_sha256, sizeof message->body_sha256);
  message->remember_until_ns = parked->remember_until_ns;
  line_ring_publish(ring);
}

static bool send_settle(struct shard *shard, const struct replay_key *key, const struct replay_answer *answer) {
  const uint16_t owner = owner_of(shard, key);
  if (owner == shard->config.shard) {
    if (answer->status) {
      replay_settle(shard->replay, key, answer);
    } else {
      replay_release(shard->replay, key);
    }
    return true;
  }
  struct replay_settle_message *message = line_ring_reserve(shard->config.messages_to[owner], 1);
  if (!message) {
    shard->counters.messages_no_room++;
    return false;
  }
  message->header.type = LINE_REPLAY_SETTLE;
  message->key = *key;
  message->answer = *answer;
  line_ring_publish(shard->config.messages_to[owner]);
  return true;
}

void shard_settle(struct shard *shard, struct parked *parked, bool release) {
  if (release) parked->answer.status = 0;
  parked->exchange = NULL;
  if (!parked->claimed || send_settle(shard, &parked->key, &parked->answer)) {
    shard_unpark(shard, parked);
    return;
  }
  parked->state = PARKED_SETTLE;
  parked_queue_push(&shard->settling, parked);
}

void shard_retry_settling(struct shard *shard) {
  while (shard->settling.first) {
    struct parked *parked = shard->settling.first;
    if (!send_settle(shard, &parked->key, &parked->answer)) return;
    parked_queue_pop(&shard->settling);
    shard_unpark(shard, parked);
  }
}

/* We own the id. The verdict ring holds one line for each slot that could be asking, so the answer always fits. */
static void receive_claim(struct shard *shard, uint16_t from, const struct replay_claim_message *claim) {
  struct replay_verdict_message *message = line_ring_reserve(shard->config.verdicts_to[from], 1);
  ALWAYS_ASSERT(message);
  struct replay_answer answer = {0};
  const enum replay_verdict verdict =
      replay_claim(shard->replay, &claim->key, claim->body_sha256, claim->remember_until_ns, &answer);
  message->slot = claim->slot;
  message->verdict = (uint8_t)verdict;
  message->answer = answer;
  line_ring_publish(shard->config.verdicts_to[from]);
}

void shard_receive_verdict(struct shard *shard, const struct replay_verdict_message *message) {
  ALWAYS_ASSERT(message->slot < shard->config.parked_max);
  struct parked *parked = &shard->slots[message->slot];
  ALWAYS_ASSERT(parked->state == PARKED_CLAIM);
  shard_flight_resume(shard, parked);
  shard_webhook_verdict(shard, parked, (enum replay_verdict)message->verdict, &message->answer);
}

void shard_receive_message(struct shard *shard, uint16_t from, const struct line_header *header) {
  switch (header->type) {
  case LINE_SPAN_DIGEST:
    engine_apply_digest(shard->engine, (const struct span_digest *)header, shard->now_ns, shard->wall_ns);
    break;
  case LINE_WINDOW_DIGEST:
    engine_apply_window(shard->engine, (const struct window_digest *)header, shard->now_ns, shard->wall_ns);
    break;
  case LINE_REPLAY_CLAIM:
    receive_claim(shard, from, (const struct replay_claim_message *)header);
    break;
  case LINE_REPLAY_SETTLE: {
    const struct replay_settle_message *settle = (const struct replay_settle_message *)header;
    const bool settled = send_settle(shard, &settle->key, &settle->answer);
    ALWAYS_ASSERT(settled); /* only the owner is told, and it needs no message */
    break;
  }
  default:
    ALWAYS_ASSERT(header->type == LINE_SPAN_DIGEST); /* no other is known */
  }
}
