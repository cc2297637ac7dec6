#pragma once
/* Inside the DPDK room. */
#include "dpdk_port.h"
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define DPDK_BURST 64
#define DPDK_QUEUES_MAX 32

/* Single writer: the shard that polls it. */
struct dpdk_queue {
  struct driver_queue queue; /* first: what shards see */
  uint16_t port_id, index;
  uint32_t frame_room;
  struct rte_mempool *pool;
  struct rte_mbuf *pending[DPDK_BURST]; /* filled, not yet given to the device */
  uint16_t pending_count;
  struct driver_queue_counters counters;
} __attribute__((aligned(64)));

struct dpdk_port {
  struct dpdk_port_config config;
  struct driver_port_information information;
  uint16_t port_id;
  uint16_t queue_count;
  struct dpdk_queue queues[DPDK_QUEUES_MAX];
};

extern const struct driver_queue_operations dpdk_queue_operations;

/* The device's name on the virtual bus, as the arguments name it. */
void dpdk_vdev_name(const struct dpdk_port_config *config, char *name, size_t room);
