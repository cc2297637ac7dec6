#pragma once
/* Ports on DPDK (22.11 or later). All of EAL, devices, mempools and rte_* stays behind this header.
 * Start: dpdk_start once, dpdk_port_open for each port, dpdk_port_start when all its shards are ready. Threads: control, except
 * the queue operations (drivers/driver.h), which belong to the shard. A polling thread calls dpdk_thread_register first. */
#include "driver.h"
#include <stddef.h>

struct dpdk_port_config {
  char name[16];
  uint32_t index; /* among the ports of one start: names its virtual device */
  int kind;       /* enum dpdk_port_kind */
  char interface[16];
  char address[32];
  char path[256], output_path[256];
  bool server;
  uint16_t mtu;
  uint16_t queues;
  bool verify_checksums;
  uint8_t mac[6]; /* tap, ring, memif...: ours when not all zero */
};

enum dpdk_port_kind {
  DPDK_PORT_AF_PACKET,
  DPDK_PORT_AF_XDP,
  DPDK_PORT_TAP,
  DPDK_PORT_MEMIF,
  DPDK_PORT_PCAP,
  DPDK_PORT_RING,
  DPDK_PORT_PCI,
};

struct dpdk_start_config {
  int main_core;       /* EAL's own lcore: never a polling one */
  uint32_t memory_mib; /* without hugepages: -m */
  const char *extra;   /* words appended to EAL's arguments */
  const struct dpdk_port_config *ports;
  uint32_t port_count;
  /* Every line of DPDK's log, and the full argument vector at start. */
  void (*log)(void *context, int level, const char *line);
  void *log_context;
};

/* EAL's arguments for a configuration; pure, for tests and logs. Returns argc, words in `argv` owned by the result. */
struct dpdk_arguments {
  int count;
  char *words[96];
};
int dpdk_arguments_build(const struct dpdk_start_config *config, bool hugepages, struct dpdk_arguments *arguments);
void dpdk_arguments_free(struct dpdk_arguments *arguments);
bool dpdk_hugepages_available(void);

int dpdk_start(const struct dpdk_start_config *config);
void dpdk_stop(void);
void dpdk_thread_register(void);
void dpdk_thread_unregister(void);

struct dpdk_port;
struct dpdk_port *dpdk_port_open(const struct dpdk_port_config *config, int *error_number);
int dpdk_port_start(struct dpdk_port *port);
const struct driver_port_information *dpdk_port_information(const struct dpdk_port *port);
struct driver_queue *dpdk_port_queue(struct dpdk_port *port, uint16_t queue);
void dpdk_port_counters(struct dpdk_port *port, struct driver_port_counters *counters);
bool dpdk_port_link_up(struct dpdk_port *port);
void dpdk_port_close(struct dpdk_port *port);

/* What a device offers and what we then ask of it: the negotiation as a pure function, tested on a table of devices. */
struct dpdk_device_capabilities {
  uint64_t rx_offloads, tx_offloads, rss_hash_types; /* RTE_ETH_* masks */
  uint16_t rx_queues_max, tx_queues_max;
  uint32_t rx_length_max;
  uint16_t mtu_max;
};
struct dpdk_device_choice {
  uint64_t rx_offloads, tx_offloads, rss_hash_types;
  uint16_t queues;
  uint16_t mtu;
  uint32_t offload; /* for driver_port_information */
  bool flow_steering;
};
int dpdk_device_negotiate(const struct dpdk_device_capabilities *capabilities, const struct dpdk_port_config *config,
                          struct dpdk_device_choice *choice);
