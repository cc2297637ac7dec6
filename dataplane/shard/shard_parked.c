#include "shard_internal.h"

void parked_queue_push(struct parked_queue *queue, struct parked *parked) {
  parked->next = NULL;
  *queue->last = parked;
  queue->last = &parked->next;
}

struct parked *parked_queue_pop(struct parked_queue *queue) {
  struct parked *parked = queue->first;
  if (!parked) return NULL;
  queue->first = parked->next;
  if (!queue->first) queue->last = &queue->first;
  parked->next = NULL;
  return parked;
}

bool shard_parked_create(struct shard *shard, struct arena *arena) {
  shard->slots = ARENA_ARRAY(arena, struct parked, shard->config.parked_max);
  if (!shard->slots) return false;
  for (uint32_t i = shard->config.parked_max; i-- > 0;) {
    shard->slots[i].next = shard->free_slots;
    shard->free_slots = &shard->slots[i];
  }
  shard->durable.last = &shard->durable.first;
  shard->settling.last = &shard->settling.first;
  return true;
}

struct parked *shard_park(struct shard *shard, struct http_exchange *exchange) {
  struct parked *parked = shard->free_slots;
  if (!parked) {
    shard->counters.parked_exhausted++;
    return NULL;
  }
  shard->free_slots = parked->next;
  *parked = (struct parked){
      .exchange = exchange, .since_ns = shard->now_ns, .sampled = shard->sampled, .received_ns = shard->received_ns};
  shard->slots_in_use++;
  if (exchange) http_exchange_set_data(exchange, parked);
  return parked;
}

void shard_unpark(struct shard *shard, struct parked *parked) {
  timer_cancel(&parked->timer);
  parked->state = PARKED_FREE;
  parked->exchange = NULL;
  parked->next = shard->free_slots;
  shard->free_slots = parked;
  shard->slots_in_use--;
}

void shard_wait_durable(struct shard *shard, struct parked *parked, uint64_t position, enum record_durability durability) {
  ALWAYS_ASSERT(durability < DURABILITY_RELAXED); /* its answers do not wait */
  parked->durability = durability;
  parked->state = PARKED_DURABLE;
  parked->position = position;
  parked->since_ns = shard->now_ns;
  parked_queue_push(&shard->durable, parked); /* positions only grow: the queue is in order */
}

static void answer(struct shard *shard, struct parked *parked) {
  shard_flight_resume(shard, parked);
  if (parked->source) {
    shard_answer_webhook(shard, parked);
  } else {
    shard_answer_spans(shard, parked);
    shard_unpark(shard, parked);
  }
}

bool shard_release_durable(struct shard *shard) {
  if (!shard->durable.first) return false;
  const uint64_t durable = record_ring_durable(shard->config.records);
  bool released = false;
  while (shard->durable.first && shard->durable.first->position <= durable) {
    struct parked *parked = parked_queue_pop(&shard->durable);
    histogram_record(&shard->counters.park_ns[parked->durability], shard->now_ns - parked->since_ns);
    if (parked->source) {
      shard->counters.webhooks_durable++;
      shard->counters.webhooks_pending--;
    }
    answer(shard, parked);
    released = true;
  }
  return released;
}

/* The journal has failed: nothing that waits can become durable. Ids stay claimed: whether the record reached the disk is for
 * recovery to say. */
void shard_fail_parked(struct shard *shard) {
  for (struct parked *parked; (parked = parked_queue_pop(&shard->durable));) {
    shard_flight_resume(shard, parked);
    if (parked->exchange)
      shard_refuse(shard, parked->exchange, 503, "journal_failed", SHARD_JOURNAL_FAILED);
    shard_unpark(shard, parked);
  }
}
