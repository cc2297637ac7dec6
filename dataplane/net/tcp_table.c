/* The connection table: chained buckets under a keyed hash, all streams from one fixed pool. */
#include "tcp_internal.h"

struct stream **tcp_bucket(struct network *network, const struct stream_key *key) {
  return &network->buckets[siphash(&network->config.hash_key, key, sizeof *key) & network->bucket_mask];
}

bool tcp_tables_create(struct network *network, struct arena *arena) {
  const struct network_config *config = &network->config;
  uint32_t buckets = 1;
  while (buckets < config->connections_max && buckets < 1u << 31) buckets <<= 1;
  network->bucket_mask = buckets - 1;
  network->buckets = ARENA_ARRAY(arena, struct stream *, buckets);
  return network->buckets && pool_init(&network->streams, arena, sizeof(struct stream), config->connections_max) &&
         pool_init(&network->receive_blocks, arena, RECEIVE_BLOCK_BYTES, config->receive_pool_bytes / RECEIVE_BLOCK_BYTES) &&
         pool_init(&network->send_blocks, arena, SEND_BLOCK_BYTES, config->send_pool_bytes / SEND_BLOCK_BYTES);
}

struct stream *tcp_find(struct network *network, const struct stream_key *key) {
  if (network->last_found && stream_key_equal(&network->last_found->key, key)) return network->last_found;
  struct stream *stream = network->expected;
  if (stream && stream->state != TCP_CLOSED && stream_key_equal(&stream->key, key)) return network->last_found = stream;
  stream = *tcp_bucket(network, key);
  while (stream && !stream_key_equal(&stream->key, key)) stream = stream->hash_next;
  if (stream) network->last_found = stream;
  return stream;
}

struct stream *tcp_open(struct network *network, const struct stream_key *key) {
  struct stream *stream = pool_take(&network->streams);
  if (!stream) return NULL;
  struct stream **bucket = tcp_bucket(network, key);
  *stream = (struct stream){.network = network, .key = *key, .hash_next = *bucket, .timer = {.fire = tcp_timer_fire}};
  if (!tcp_admission_begin(stream)) {
    pool_give(&network->streams, stream);
    return NULL;
  }
  *bucket = stream;
  link_init(&stream->pending);
  network->counters.tcp_connections++;
  return stream;
}

void tcp_end(struct stream *stream, enum stream_end end) {
  struct network *network = stream->network;
  if (stream->state == TCP_CLOSED) return;
  struct stream **at = tcp_bucket(network, &stream->key);
  while (*at != stream) at = &(*at)->hash_next;
  *at = stream->hash_next;
  if (network->last_found == stream) network->last_found = NULL;
  tcp_admission_end(stream);
  if (stream->state == TCP_SYN_RECEIVED) network->counters.tcp_half_open--;
  if (stream->state == TCP_TIME_WAIT) network->counters.tcp_time_wait--;
  network->counters.tcp_connections--;
  if (stream->state == TCP_SYN_RECEIVED || stream->state == TCP_TIME_WAIT) link_remove(&stream->age);
  stream->state = TCP_CLOSED;
  timer_cancel(&stream->timer);
  link_remove(&stream->pending);
  reassembly_discard(stream);
  send_queue_discard(stream);
  /* A caller up the stack may still hold the stream, so its memory is kept until the step is over. */
  stream->hash_next = network->graveyard;
  network->graveyard = stream;
  if (!(stream->flags & STREAM_OPENED)) return;
  stream->flags &= ~(uint32_t)STREAM_OPENED;
  network->counters.tcp_closed_by_end[end]++;
  stream_handler(stream)->closed(stream->handler_state, end, network->now_ns);
}

void tcp_reap(struct network *network) {
  while (network->graveyard) {
    struct stream *stream = network->graveyard;
    network->graveyard = stream->hash_next;
    pool_give(&network->streams, stream);
  }
}
