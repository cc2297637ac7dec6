#pragma once
/* A port without hardware: a deterministic wire between the appliance's queues and a few peers (models of clients), with loss,
 * duplication, reorder, corruption and delay drawn from a seed. The clock is the caller's: nothing moves but in sim_wire_advance.
 * Same seed and same calls give the same frames at the same times.
 *
 * Frames live in a fixed pool from the arena. A queue's operations are drivers/driver.h; peers send and receive by copy.
 * Threads: all of it one thread, as the simulator runs its shards. */
#include "arena.h"
#include "driver.h"

#define SIM_QUEUES_MAX 32
#define SIM_PEERS_MAX 16

enum sim_direction { SIM_TO_APPLIANCE, SIM_TO_PEER, SIM_DIRECTIONS };

/* Chances are out of a million a frame. */
struct sim_impairment {
  uint32_t loss_ppm, duplicate_ppm, reorder_ppm, corrupt_ppm; /* corrupt: one bit of it is flipped */
  uint64_t delay_ns, jitter_ns;                               /* each frame: delay plus 0 to jitter; jitter alone reorders too */
  uint64_t reorder_ns;                                        /* a reordered frame, or a duplicate, comes 1 to this much later */
};

/* How the port spreads frames over its queues. */
enum sim_spread {
  SIM_SPREAD_HASH,     /* a flow stays on one queue, as with RSS */
  SIM_SPREAD_ROLLOVER, /* by hash, but on to the next queue with room when that one is full, as af_packet's fan-out */
  SIM_SPREAD_ROUND,    /* frame by frame: nearly every frame comes to a shard that does not own its flow */
  SIM_SPREAD_RANDOM,
};

struct sim_wire_config {
  uint64_t seed;
  uint16_t queues, peers;
  uint16_t mtu;
  uint32_t frames;      /* the pool: all that is in flight, waiting or borrowed */
  uint32_t queue_depth; /* frames that wait at one queue or peer; beyond: missed */
  uint8_t mac[6];       /* the appliance's */
  uint8_t peer_macs[SIM_PEERS_MAX][6];
  enum sim_spread spread;
  struct sim_impairment impairment[SIM_DIRECTIONS];
};

/* Of one direction. At every moment offered + duplicated = lost + no_buffer + no_peer + missed + received + in flight + waiting.
 */
struct sim_wire_counters {
  uint64_t offered;    /* frames given to the wire */
  uint64_t duplicated; /* second copies that the wire made */
  uint64_t lost;       /* by chance */
  uint64_t no_buffer;  /* the pool was spent: a peer's frame, or a duplicate */
  uint64_t no_peer;    /* to a unicast address that nobody has */
  uint64_t missed;     /* the receiver's queue was full */
  uint64_t received;   /* taken by the receiver */
  uint64_t reordered, corrupted;
  uint32_t in_flight, waiting; /* gauges */
};

struct sim_wire;

/* NULL when the arena fails or the configuration is out of range. */
struct sim_wire *sim_wire_create(struct arena *arena, const struct sim_wire_config *config);
void sim_wire_information(const struct sim_wire *wire, struct driver_port_information *information);
struct driver_queue *sim_wire_queue(struct sim_wire *wire, uint16_t queue);
void sim_wire_set_impairment(struct sim_wire *wire, enum sim_direction direction, const struct sim_impairment *impairment);
/* A queue that takes nothing: its frames are missed or roll over, as when a shard has stopped polling a full ring. */
void sim_wire_block_queue(struct sim_wire *wire, uint16_t queue, bool blocked);

/* Moves the clock to `now_ns` (never back) and delivers what is due. What is sent from now on leaves at `now_ns`. */
void sim_wire_advance(struct sim_wire *wire, uint64_t now_ns);
/* When the next frame arrives; UINT64_MAX when none is in flight. For a virtual clock that skips idle time. */
uint64_t sim_wire_next_ns(const struct sim_wire *wire);

/* False when the frame is longer than the port takes or the pool is spent (counted). */
bool sim_wire_peer_send(struct sim_wire *wire, uint16_t peer, const uint8_t *bytes, uint32_t length);
/* The next frame's length, copied to `bytes` up to `room`; 0 when none waits. */
uint32_t sim_wire_peer_receive(struct sim_wire *wire, uint16_t peer, uint8_t *bytes, uint32_t room);

const struct sim_wire_counters *sim_wire_counters(const struct sim_wire *wire, enum sim_direction direction);
void sim_wire_port_counters(const struct sim_wire *wire, struct driver_port_counters *counters);
/* Both directions' equation, and that every frame of the pool is in exactly one place. */
bool sim_wire_conserved(const struct sim_wire *wire);
