#pragma once
/* Inside the simulated port. Every field: the simulator's thread. */
#include "always_assert.h"
#include "sim_wire.h"
#include <string.h>

enum sim_place { SIM_FREE, SIM_TAKEN, SIM_IN_FLIGHT, SIM_WAITING, SIM_BORROWED, SIM_PLACES };

struct sim_frame {
  uint64_t due_ns, order; /* `order` keeps frames due at one instant in the order they left */
  uint32_t length, next_free;
  uint16_t destination; /* queue or peer */
  uint8_t direction, place;
  uint8_t *bytes;
};

/* A bounded first-in first-out of frame numbers: a queue's or a peer's. */
struct sim_fifo {
  uint32_t *frames;
  uint32_t head, count;
  bool blocked;
};

struct sim_queue {
  struct driver_queue face;
  struct sim_wire *wire;
  struct driver_queue_counters counters;
};

struct sim_wire {
  struct sim_wire_config config;
  uint64_t random[2];
  uint64_t now_ns, next_order;
  uint32_t frame_bytes, round;
  struct sim_frame *frames;
  uint32_t first_free, places[SIM_PLACES];
  uint32_t *flight; /* a binary heap by due time and order */
  uint32_t flight_count;
  struct sim_fifo to_queue[SIM_QUEUES_MAX], to_peer[SIM_PEERS_MAX];
  struct sim_queue queues[SIM_QUEUES_MAX];
  struct sim_wire_counters counters[SIM_DIRECTIONS];
};

extern const struct driver_queue_operations sim_queue_operations;

#define SIM_NO_FRAME UINT32_MAX
uint32_t sim_frame_take(struct sim_wire *wire);
void sim_frame_move(struct sim_wire *wire, uint32_t number, enum sim_place place);
void sim_frame_give(struct sim_wire *wire, uint32_t number);
uint32_t sim_frame_number(const struct sim_wire *wire, const struct sim_frame *frame);
bool sim_fifo_take(struct sim_wire *wire, struct sim_fifo *fifo, enum sim_direction direction, uint32_t *number);
/* The wire owns the frame from here on. */
void sim_flight_begin(struct sim_wire *wire, uint32_t number, enum sim_direction direction);

uint64_t sim_random(struct sim_wire *wire);
bool sim_chance(struct sim_wire *wire, uint32_t ppm);
uint64_t sim_random_up_to(struct sim_wire *wire, uint64_t most);
