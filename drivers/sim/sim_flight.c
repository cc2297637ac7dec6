#include "sim_wire_internal.h"

/* What happens to frames between their sender and their receiver. */

static bool earlier(const struct sim_wire *wire, uint32_t a, uint32_t b) {
  const struct sim_frame *left = &wire->frames[a], *right = &wire->frames[b];
  return left->due_ns != right->due_ns ? left->due_ns < right->due_ns : left->order < right->order;
}

static void heap_push(struct sim_wire *wire, uint32_t number) {
  uint32_t at = wire->flight_count++;
  for (; at > 0 && earlier(wire, number, wire->flight[(at - 1) / 2]); at = (at - 1) / 2)
    wire->flight[at] = wire->flight[(at - 1) / 2];
  wire->flight[at] = number;
}

static uint32_t heap_pop(struct sim_wire *wire) {
  const uint32_t first = wire->flight[0], last = wire->flight[--wire->flight_count];
  uint32_t at = 0;
  for (uint32_t child; (child = 2 * at + 1) < wire->flight_count; at = child) {
    if (child + 1 < wire->flight_count && earlier(wire, wire->flight[child + 1], wire->flight[child])) child++;
    if (!earlier(wire, wire->flight[child], last)) break;
    wire->flight[at] = wire->flight[child];
  }
  wire->flight[at] = last;
  return first;
}

static void launch(struct sim_wire *wire, uint32_t number, enum sim_direction direction, uint64_t later_ns) {
  const struct sim_impairment *impairment = &wire->config.impairment[direction];
  struct sim_frame *frame = &wire->frames[number];
  frame->due_ns = wire->now_ns + impairment->delay_ns + later_ns;
  if (impairment->jitter_ns) frame->due_ns += sim_random_up_to(wire, impairment->jitter_ns);
  frame->order = wire->next_order++;
  frame->direction = (uint8_t)direction;
  sim_frame_move(wire, number, SIM_IN_FLIGHT);
  wire->counters[direction].in_flight++;
  heap_push(wire, number);
}

static uint64_t reorder_delay(struct sim_wire *wire, const struct sim_impairment *impairment) {
  return impairment->reorder_ns ? 1 + sim_random_up_to(wire, impairment->reorder_ns - 1) : 0;
}

static void duplicate(struct sim_wire *wire, uint32_t number, enum sim_direction direction) {
  struct sim_wire_counters *counters = &wire->counters[direction];
  counters->duplicated++;
  const uint32_t copy = sim_frame_take(wire);
  if (copy == SIM_NO_FRAME) {
    counters->no_buffer++;
    return;
  }
  const struct sim_frame *original = &wire->frames[number];
  struct sim_frame *frame = &wire->frames[copy];
  frame->length = original->length;
  frame->destination = original->destination;
  memcpy(frame->bytes, original->bytes, original->length);
  launch(wire, copy, direction, reorder_delay(wire, &wire->config.impairment[direction]));
}

void sim_flight_begin(struct sim_wire *wire, uint32_t number, enum sim_direction direction) {
  const struct sim_impairment *impairment = &wire->config.impairment[direction];
  struct sim_wire_counters *counters = &wire->counters[direction];
  if (sim_chance(wire, impairment->loss_ppm)) {
    counters->lost++;
    sim_frame_give(wire, number);
    return;
  }
  if (sim_chance(wire, impairment->duplicate_ppm)) duplicate(wire, number, direction);
  struct sim_frame *frame = &wire->frames[number];
  if (frame->length && sim_chance(wire, impairment->corrupt_ppm)) {
    const uint64_t bit = sim_random_up_to(wire, (uint64_t)frame->length * 8 - 1);
    frame->bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    counters->corrupted++;
  }
  uint64_t later_ns = 0;
  if (sim_chance(wire, impairment->reorder_ppm)) {
    later_ns = reorder_delay(wire, impairment);
    counters->reordered++;
  }
  launch(wire, number, direction, later_ns);
}

/* Addresses and ports of TCP and UDP over IPv4, alike for both directions; what is neither hashes as its MACs. */
static uint32_t flow_hash(const uint8_t *bytes, uint32_t length) {
  uint32_t hash = 2166136261u;
  uint8_t key[12] = {0};
  const uint32_t header_bytes = length > 14 ? (uint32_t)(bytes[14] & 15) * 4 : 0;
  if (length >= 14 + 20 && bytes[12] == 8 && bytes[13] == 0) {
    for (int i = 0; i < 4; i++) key[i] = (uint8_t)(bytes[26 + i] ^ bytes[30 + i]);
    const bool has_ports = (bytes[23] == 6 || bytes[23] == 17) && header_bytes >= 20 && length >= 14 + header_bytes + 4;
    for (uint32_t i = 0; has_ports && i < 2; i++) key[4 + i] = bytes[14 + header_bytes + i] ^ bytes[14 + header_bytes + 2 + i];
    key[6] = bytes[23];
  } else if (length >= 12)
    memcpy(key, bytes, 12);
  for (size_t i = 0; i < sizeof key; i++) hash = (hash ^ key[i]) * 16777619u;
  return hash ^ hash >> 15;
}

static bool has_room(const struct sim_wire *wire, const struct sim_fifo *fifo) {
  return !fifo->blocked && fifo->count < wire->config.queue_depth;
}

static struct sim_fifo *choose_queue(struct sim_wire *wire, const struct sim_frame *frame) {
  const uint32_t queues = wire->config.queues;
  uint32_t queue = 0;
  switch (wire->config.spread) {
  case SIM_SPREAD_HASH:
    queue = flow_hash(frame->bytes, frame->length) % queues;
    break;
  case SIM_SPREAD_ROLLOVER:
    queue = flow_hash(frame->bytes, frame->length) % queues;
    for (uint32_t i = 0; i < queues && !has_room(wire, &wire->to_queue[queue]); i++) queue = (queue + 1) % queues;
    break;
  case SIM_SPREAD_ROUND:
    queue = wire->round++ % queues;
    break;
  case SIM_SPREAD_RANDOM:
    queue = (uint32_t)sim_random_up_to(wire, queues - 1);
    break;
  }
  return &wire->to_queue[queue];
}

static void arrive(struct sim_wire *wire, uint32_t number) {
  struct sim_frame *frame = &wire->frames[number];
  struct sim_wire_counters *counters = &wire->counters[frame->direction];
  struct sim_fifo *fifo = frame->direction == SIM_TO_APPLIANCE ? choose_queue(wire, frame) : &wire->to_peer[frame->destination];
  counters->in_flight--;
  if (!has_room(wire, fifo)) {
    counters->missed++;
    sim_frame_give(wire, number);
    return;
  }
  fifo->frames[(fifo->head + fifo->count++) % wire->config.queue_depth] = number;
  sim_frame_move(wire, number, SIM_WAITING);
  counters->waiting++;
}

void sim_wire_advance(struct sim_wire *wire, uint64_t now_ns) {
  ALWAYS_ASSERT(now_ns >= wire->now_ns);
  wire->now_ns = now_ns;
  while (wire->flight_count > 0 && wire->frames[wire->flight[0]].due_ns <= now_ns) arrive(wire, heap_pop(wire));
}

uint64_t sim_wire_next_ns(const struct sim_wire *wire) {
  return wire->flight_count ? wire->frames[wire->flight[0]].due_ns : UINT64_MAX;
}
