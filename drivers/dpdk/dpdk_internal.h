#pragma once
/* Inside the DPDK room: sizes, names and the queue. */
#include "always_assert.h"
#include "arena.h"
#include "dpdk_port.h"
#include "network.h"
#include <netinet/in.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <stdatomic.h>

#define DPDK_BURST_FRAMES 64
#define DPDK_PORTS_MAX 16
#define DPDK_QUEUES_MAX 64
#define DPDK_MTU_DEFAULT 1500
#define DPDK_MTU_LEAST 576     /* RFC 791: every host takes this much */
#define DPDK_MTU_MOST 16000    /* the largest af_packet ring frame that a page-multiple block divides into, less headers */
#define DPDK_FRAME_OVERHEAD 18 /* Ethernet header and frame check, as ethdev counts a frame's length against its MTU */

/* What a port costs in memory. Pure in its configuration, so that EAL's -m can be computed before anything is opened. */
struct dpdk_sizes {
  uint32_t ring_frame_bytes, ring_block_bytes, ring_frames; /* af_packet: a direction of a queue; the frame size also memif's */
  uint16_t buffer_bytes;                                    /* mbuf data room, headroom included */
  uint32_t buffers;                                         /* mbufs a queue */
  uint32_t buffer_cache;                                    /* of them, kept by one thread at most (times 1.5) */
  uint16_t receive_descriptors, send_descriptors;
};
void dpdk_sizes_compute(const struct dpdk_port_config *config, struct dpdk_sizes *sizes);

/* Where ethdev finds the port: net_af_packet0, or the PCI address. `index` is its place in dpdk_start_config. */
void dpdk_device_name(const struct dpdk_port_config *config, uint32_t index, char name[static 32]);
/* The device name of a started port, by its own name; false when dpdk_start was not given it. */
bool dpdk_started_device_name(const char *port_name, char name[static 32]);

/* To the log of dpdk_start; never from a polling thread. */
void dpdk_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum { DPDK_LOG_ERROR, DPDK_LOG_WARNING, DPDK_LOG_INFO, DPDK_LOG_DEBUG };

/* One (port, queue) pair. Every field is written by its shard's thread once the port has started. */
struct dpdk_queue {
  CACHE_ALIGNED struct driver_queue face;
  uint16_t port_id, queue;
  uint16_t pending_count;
  uint16_t frame_bytes;            /* most that a frame to send may hold */
  bool prepare;                    /* the device wants tx_prepare: it was asked for checksums */
  bool hardware_ipv4, hardware_l4; /* the device verifies; what it leaves unverified is verified here */
  struct rte_mempool *buffers;
  struct driver_queue_counters counters;
  _Atomic uint64_t segmented; /* received in several buffers: dropped, scatter is off; control:ro */
  struct rte_mbuf *pending[DPDK_BURST_FRAMES];
};
extern const struct driver_queue_operations dpdk_queue_operations;

/* The sockets that the af_packet device opened on an interface: their drop counts are nowhere else to be read. Threads: control.
 */
#define PACKET_SOCKETS_MAX DPDK_QUEUES_MAX
struct packet_sockets {
  int descriptors[PACKET_SOCKETS_MAX];
  uint32_t count;
  uint64_t dropped; /* the kernel forgets its count when asked */
};
void packet_sockets_find(struct packet_sockets *sockets, unsigned interface_index);
uint64_t packet_sockets_dropped(struct packet_sockets *sockets);
