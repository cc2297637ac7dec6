#include "sim_wire_internal.h"

/* The appliance's side: drivers/driver.h over the wire. */

static struct sim_queue *of(struct driver_queue *queue) { return (struct sim_queue *)queue; }

static uint32_t queue_receive(struct driver_queue *face, struct driver_frame *frames, uint32_t most) {
  struct sim_queue *queue = of(face);
  struct sim_wire *wire = queue->wire;
  struct sim_fifo *fifo = &wire->to_queue[queue - wire->queues];
  uint32_t count = 0;
  for (uint32_t number; count < most && sim_fifo_take(wire, fifo, SIM_TO_APPLIANCE, &number); count++) {
    struct sim_frame *frame = &wire->frames[number];
    sim_frame_move(wire, number, SIM_BORROWED);
    frames[count] = (struct driver_frame){.bytes = frame->bytes, .length = frame->length, .owner = frame};
    queue->counters.received_bytes += frame->length;
  }
  queue->counters.received += count;
  return count;
}

static void queue_release(struct driver_queue *face, struct driver_frame *frames, uint32_t count) {
  struct sim_wire *wire = of(face)->wire;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t number = sim_frame_number(wire, frames[i].owner);
    const uint8_t place = wire->frames[number].place;
    ALWAYS_ASSERT(place == SIM_BORROWED || place == SIM_TAKEN);
    sim_frame_give(wire, number);
  }
}

static bool queue_take(struct driver_queue *face, struct driver_frame *frame) {
  struct sim_queue *queue = of(face);
  const uint32_t number = sim_frame_take(queue->wire);
  if (number == SIM_NO_FRAME) {
    queue->counters.no_buffer++;
    return false;
  }
  struct sim_frame *taken = &queue->wire->frames[number];
  *frame = (struct driver_frame){.bytes = taken->bytes, .length = queue->wire->frame_bytes, .owner = taken};
  return true;
}

/* To the peer with the destination's MAC; a group address goes to every peer, each copy an offered frame of its own. */
static void send_to_peers(struct sim_wire *wire, uint32_t number) {
  struct sim_frame *frame = &wire->frames[number];
  struct sim_wire_counters *counters = &wire->counters[SIM_TO_PEER];
  const bool group = frame->length >= 6 && frame->bytes[0] & 1;
  bool launched = false;
  for (uint16_t peer = 0; peer < wire->config.peers; peer++) {
    if (!group && (frame->length < 6 || memcmp(frame->bytes, wire->config.peer_macs[peer], 6) != 0)) continue;
    counters->offered++;
    uint32_t mine = number;
    const bool last = !group || peer + 1 == wire->config.peers;
    if (!last) {
      mine = sim_frame_take(wire);
      if (mine == SIM_NO_FRAME) {
        counters->no_buffer++;
        continue;
      }
      wire->frames[mine].length = frame->length;
      memcpy(wire->frames[mine].bytes, frame->bytes, frame->length);
    }
    wire->frames[mine].destination = peer;
    sim_flight_begin(wire, mine, SIM_TO_PEER);
    if (last) {
      launched = true;
      break;
    }
  }
  if (launched) return;
  counters->offered++;
  counters->no_peer++;
  sim_frame_give(wire, number);
}

static void queue_send(struct driver_queue *face, struct driver_frame *frame, uint32_t offload) {
  (void)offload; /* the port's information offers none */
  struct sim_queue *queue = of(face);
  const uint32_t number = sim_frame_number(queue->wire, frame->owner);
  ALWAYS_ASSERT(queue->wire->frames[number].place == SIM_TAKEN && frame->length <= queue->wire->frame_bytes && offload == 0);
  queue->wire->frames[number].length = frame->length;
  queue->counters.sent++;
  queue->counters.sent_bytes += frame->length;
  send_to_peers(queue->wire, number);
}

static void queue_flush(struct driver_queue *face) { (void)face; }

static const struct driver_queue_counters *queue_counters(const struct driver_queue *face) {
  return &((const struct sim_queue *)face)->counters;
}

const struct driver_queue_operations sim_queue_operations = {
    .receive = queue_receive,
    .release = queue_release,
    .take = queue_take,
    .send = queue_send,
    .flush = queue_flush,
    .counters = queue_counters,
};
