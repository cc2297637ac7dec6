#include "shard_internal.h"

/* Without RSS the port brings a flow's frames to any of its shards: each belongs to the flow's owner, by the same keyed hash on
 * all. */
static uint16_t frame_owner(const struct shard *shard, const struct driver_frame *frame) {
  const struct shard_config *config = &shard->config;
  if (config->port.flow_steering || config->port_shards == 1) return config->shard;
  const int owner = network_flow_owner(&config->flow_key, frame->bytes, frame->length, config->port_shards);
  return owner < 0 ? config->shard : (uint16_t)(config->port_first_shard + owner);
}

static bool hand_over(struct shard *shard, uint16_t to, const struct driver_frame *frame) {
  struct line_ring *ring = shard->config.frames_to[to];
  struct frame_message *message = line_ring_reserve(ring, 1);
  if (!message) {
    /* A full ring is a lost frame: TCP sends it again, and it is counted. */
    shard->counters.frames_hand_over_dropped++;
    return false;
  }
  message->header.type = 0;
  message->frame = *frame;
  line_ring_publish(ring);
  shard->counters.frames_handed_over++;
  return true;
}

uint32_t shard_receive_frames(struct shard *shard) {
  struct driver_queue *queue = shard->config.queue;
  struct driver_frame frames[SHARD_BURST_FRAMES];
  struct driver_frame done[SHARD_BURST_FRAMES];
  struct network_frame own[SHARD_BURST_FRAMES];
  const uint32_t count = queue->operations->receive(queue, frames, SHARD_BURST_FRAMES);
  uint32_t done_count = 0, own_count = 0;
  shard->counters.burst_sizes[count]++;
  for (uint32_t i = 0; i < count; i++) {
    const uint16_t owner = frame_owner(shard, &frames[i]);
    if (owner == shard->config.shard) {
      own[own_count++] =
          (struct network_frame){.bytes = frames[i].bytes, .length = frames[i].length, .checksum_bad = frames[i].checksum_bad};
    } else if (hand_over(shard, owner, &frames[i])) {
      continue; /* the owner releases it */
    }
    done[done_count++] = frames[i];
  }
  network_receive_burst(shard->network, own, own_count, shard->now_ns);
  if (done_count) queue->operations->release(queue, done, done_count);
  return count;
}

uint32_t shard_take_over_frames(struct shard *shard) {
  struct driver_queue *queue = shard->config.queue;
  uint32_t total = 0;
  for (uint16_t from = 0; from < shard->config.shards; from++) {
    struct line_ring *ring = shard->config.frames_from[from];
    if (!ring) continue;
    for (uint32_t i = 0; i < SHARD_BURST_FRAMES; i++) {
      const struct frame_message *message = line_ring_peek(ring);
      if (!message) break;
      struct driver_frame frame = message->frame;
      line_ring_consume(ring);
      network_receive(shard->network, frame.bytes, frame.length, frame.checksum_bad, shard->now_ns);
      queue->operations->release(queue, &frame, 1);
      total++;
    }
  }
  shard->counters.frames_taken_over += total;
  return total;
}

static uint8_t *output_reserve(void *context, uint32_t bytes) {
  struct shard *shard = context;
  struct driver_queue *queue = shard->config.queue;
  if (!queue->operations->take(queue, &shard->output_frame)) return NULL;
  ALWAYS_ASSERT(bytes <= shard->output_frame.length);
  return shard->output_frame.bytes;
}

static void output_commit(void *context, uint32_t bytes, uint32_t offload) {
  struct shard *shard = context;
  struct driver_queue *queue = shard->config.queue;
  shard->output_frame.length = bytes;
  queue->operations->send(queue, &shard->output_frame, offload);
}

struct network_output shard_network_output(struct shard *shard) {
  return (struct network_output){.context = shard, .reserve = output_reserve, .commit = output_commit};
}
