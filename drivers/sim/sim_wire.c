#include "network.h"
#include "sim_wire_internal.h"

#define ETHERNET_HEADER_BYTES 14

uint32_t sim_frame_take(struct sim_wire *wire) {
  const uint32_t number = wire->first_free;
  if (number == SIM_NO_FRAME) return number;
  wire->first_free = wire->frames[number].next_free;
  sim_frame_move(wire, number, SIM_TAKEN);
  return number;
}

void sim_frame_move(struct sim_wire *wire, uint32_t number, enum sim_place place) {
  wire->places[wire->frames[number].place]--;
  wire->frames[number].place = (uint8_t)place;
  wire->places[place]++;
}

void sim_frame_give(struct sim_wire *wire, uint32_t number) {
  ALWAYS_ASSERT(wire->frames[number].place != SIM_FREE);
  /* A reader that kept a pointer shall not find its bytes intact. */
  memset(wire->frames[number].bytes, 0xdd, wire->frame_bytes);
  sim_frame_move(wire, number, SIM_FREE);
  wire->frames[number].next_free = wire->first_free;
  wire->first_free = number;
}

uint32_t sim_frame_number(const struct sim_wire *wire, const struct sim_frame *frame) {
  const ptrdiff_t number = frame - wire->frames;
  ALWAYS_ASSERT(number >= 0 && number < (ptrdiff_t)wire->config.frames);
  return (uint32_t)number;
}

bool sim_fifo_take(struct sim_wire *wire, struct sim_fifo *fifo, enum sim_direction direction, uint32_t *number) {
  if (fifo->count == 0) return false;
  *number = fifo->frames[fifo->head];
  fifo->head = (fifo->head + 1) % wire->config.queue_depth;
  fifo->count--;
  wire->counters[direction].waiting--;
  wire->counters[direction].received++;
  return true;
}

static bool make_pool(struct sim_wire *wire, struct arena *arena) {
  const uint32_t count = wire->config.frames;
  const size_t stride = ((size_t)wire->frame_bytes + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
  wire->frames = ARENA_ARRAY(arena, struct sim_frame, count);
  wire->flight = ARENA_ARRAY(arena, uint32_t, count);
  uint8_t *bytes = arena_take(arena, stride * count, CACHE_LINE_BYTES);
  if (!wire->frames || !wire->flight || !bytes) return false;
  for (uint32_t i = 0; i < count; i++) {
    wire->frames[i].bytes = bytes + stride * i;
    wire->frames[i].next_free = i + 1 < count ? i + 1 : SIM_NO_FRAME;
  }
  wire->places[SIM_FREE] = count;
  return true;
}

static bool make_fifo(struct sim_wire *wire, struct arena *arena, struct sim_fifo *fifo) {
  fifo->frames = ARENA_ARRAY(arena, uint32_t, wire->config.queue_depth);
  return fifo->frames != NULL;
}

static uint64_t scatter(uint64_t value) { /* splitmix64: near seeds must not give near streams */
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
  value = (value ^ value >> 27) * 0x94d049bb133111ebu;
  return value ^ value >> 31;
}

struct sim_wire *sim_wire_create(struct arena *arena, const struct sim_wire_config *config) {
  const bool usable = config->queues > 0 && config->queues <= SIM_QUEUES_MAX && config->peers > 0 &&
                      config->peers <= SIM_PEERS_MAX && config->frames > 0 && config->queue_depth > 0 && config->mtu > 0;
  struct sim_wire *wire = usable ? ARENA_NEW(arena, struct sim_wire) : NULL;
  if (!wire) return NULL;
  wire->config = *config;
  wire->random[0] = scatter(config->seed);
  wire->random[1] = scatter(config->seed + 1);
  wire->frame_bytes = (uint32_t)config->mtu + ETHERNET_HEADER_BYTES;
  bool made = make_pool(wire, arena);
  for (uint16_t i = 0; made && i < config->queues; i++) {
    wire->queues[i] = (struct sim_queue){.face.operations = &sim_queue_operations, .wire = wire};
    made = make_fifo(wire, arena, &wire->to_queue[i]);
  }
  for (uint16_t i = 0; made && i < config->peers; i++) made = make_fifo(wire, arena, &wire->to_peer[i]);
  return made ? wire : NULL;
}

void sim_wire_information(const struct sim_wire *wire, struct driver_port_information *information) {
  *information = (struct driver_port_information){.name = "sim",
                                                  .mtu = wire->config.mtu,
                                                  .offload = NETWORK_OFFLOAD_RX_IPV4_VERIFY | NETWORK_OFFLOAD_RX_L4_VERIFY,
                                                  .queues = wire->config.queues,
                                                  .flow_steering = wire->config.spread == SIM_SPREAD_HASH,
                                                  .frame_bytes = wire->frame_bytes};
  memcpy(information->mac, wire->config.mac, sizeof information->mac);
}

struct driver_queue *sim_wire_queue(struct sim_wire *wire, uint16_t queue) {
  ALWAYS_ASSERT(queue < wire->config.queues);
  return &wire->queues[queue].face;
}

void sim_wire_set_impairment(struct sim_wire *wire, enum sim_direction direction, const struct sim_impairment *impairment) {
  wire->config.impairment[direction] = *impairment;
}

void sim_wire_block_queue(struct sim_wire *wire, uint16_t queue, bool blocked) {
  ALWAYS_ASSERT(queue < wire->config.queues);
  wire->to_queue[queue].blocked = blocked;
}

bool sim_wire_peer_send(struct sim_wire *wire, uint16_t peer, const uint8_t *bytes, uint32_t length) {
  ALWAYS_ASSERT(peer < wire->config.peers);
  if (length > wire->frame_bytes) return false;
  struct sim_wire_counters *counters = &wire->counters[SIM_TO_APPLIANCE];
  counters->offered++;
  const uint32_t number = sim_frame_take(wire);
  if (number == SIM_NO_FRAME) {
    counters->no_buffer++;
    return false;
  }
  wire->frames[number].length = length;
  if (length) memcpy(wire->frames[number].bytes, bytes, length);
  sim_flight_begin(wire, number, SIM_TO_APPLIANCE);
  return true;
}

uint32_t sim_wire_peer_receive(struct sim_wire *wire, uint16_t peer, uint8_t *bytes, uint32_t room) {
  ALWAYS_ASSERT(peer < wire->config.peers);
  uint32_t number;
  if (!sim_fifo_take(wire, &wire->to_peer[peer], SIM_TO_PEER, &number)) return 0;
  const uint32_t length = wire->frames[number].length;
  memcpy(bytes, wire->frames[number].bytes, length < room ? length : room);
  sim_frame_give(wire, number);
  return length;
}

const struct sim_wire_counters *sim_wire_counters(const struct sim_wire *wire, enum sim_direction direction) {
  return &wire->counters[direction];
}

void sim_wire_port_counters(const struct sim_wire *wire, struct driver_port_counters *counters) {
  *counters = (struct driver_port_counters){.received = wire->counters[SIM_TO_APPLIANCE].received,
                                            .missed = wire->counters[SIM_TO_APPLIANCE].missed};
  for (uint16_t i = 0; i < wire->config.queues; i++) counters->sent += wire->queues[i].counters.sent;
}

bool sim_wire_conserved(const struct sim_wire *wire) {
  uint32_t in_flight = 0, waiting = 0, total = 0;
  for (unsigned direction = 0; direction < SIM_DIRECTIONS; direction++) {
    const struct sim_wire_counters *counters = &wire->counters[direction];
    if (counters->offered + counters->duplicated != counters->lost + counters->no_buffer + counters->no_peer + counters->missed +
                                                        counters->received + counters->in_flight + counters->waiting)
      return false;
    in_flight += counters->in_flight;
    waiting += counters->waiting;
  }
  for (unsigned place = 0; place < SIM_PLACES; place++) total += wire->places[place];
  return total == wire->config.frames && wire->places[SIM_IN_FLIGHT] == in_flight && wire->places[SIM_WAITING] == waiting &&
         wire->flight_count == in_flight;
}
