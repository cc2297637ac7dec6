#pragma once
/* A wire on a heap arena, and frames of a UDP flow with a number in them. */
#include "cmocka_test.h"
#include "heap_arena.h"
#include "sim_wire.h"
#include <string.h>

struct bench {
  struct heap_arena *heap;
  struct sim_wire *wire;
};

static inline struct sim_wire_config plain_config(void) {
  struct sim_wire_config config = {.seed = 1,
                                   .queues = 4,
                                   .peers = 2,
                                   .mtu = 1500,
                                   .frames = 4096,
                                   .queue_depth = 1024,
                                   .mac = {2, 0, 0, 0, 0, 1},
                                   .peer_macs = {{2, 0, 0, 0, 1, 0}, {2, 0, 0, 0, 1, 1}}};
  for (int i = 0; i < SIM_DIRECTIONS; i++) config.impairment[i].delay_ns = 1000;
  return config;
}

static inline struct bench bench_create(const struct sim_wire_config *config) {
  struct bench bench = {.heap = heap_arena_create()};
  bench.wire = sim_wire_create(heap_arena_arena(bench.heap), config);
  assert_non_null(bench.wire);
  return bench;
}

static inline void bench_destroy(struct bench *bench) { heap_arena_destroy(bench->heap); }

#define FLOW_FRAME_BYTES 60
/* `flow` is the source port; `reverse` swaps the ends. */
static inline void flow_frame(uint8_t bytes[FLOW_FRAME_BYTES], uint16_t flow, uint32_t number, bool reverse) {
  static const uint8_t header[] = {0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0};
  static const uint8_t client[] = {10, 86, 0, 1}, server[] = {10, 86, 0, 2};
  const uint8_t client_port[] = {(uint8_t)(flow >> 8), (uint8_t)flow}, server_port[] = {0x10, 0xde};
  memset(bytes, 0, FLOW_FRAME_BYTES);
  memcpy(bytes, (const uint8_t[]){2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 8, 0}, 14);
  memcpy(bytes + 14, header, sizeof header);
  memcpy(bytes + 26, reverse ? server : client, 4);
  memcpy(bytes + 30, reverse ? client : server, 4);
  memcpy(bytes + 34, reverse ? server_port : client_port, 2);
  memcpy(bytes + 36, reverse ? client_port : server_port, 2);
  memcpy(bytes + 42, &number, sizeof number);
}

static inline uint32_t number_in(const uint8_t *bytes) {
  uint32_t number;
  memcpy(&number, bytes + 42, sizeof number);
  return number;
}

static inline void send_number(struct bench *bench, uint16_t flow, uint32_t number) {
  uint8_t bytes[FLOW_FRAME_BYTES];
  flow_frame(bytes, flow, number, false);
  assert_true(sim_wire_peer_send(bench->wire, 0, bytes, sizeof bytes));
}

/* Takes one frame from a queue and releases it; false when none waits. */
static inline bool receive_number(struct bench *bench, uint16_t index, uint32_t *number) {
  struct driver_queue *queue = sim_wire_queue(bench->wire, index);
  struct driver_frame frame;
  if (queue->operations->receive(queue, &frame, 1) == 0) return false;
  *number = number_in(frame.bytes);
  queue->operations->release(queue, &frame, 1);
  return true;
}
