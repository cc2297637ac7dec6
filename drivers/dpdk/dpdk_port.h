#pragma once
/* Ports on DPDK (22.11 or later). All of EAL, devices, mempools and rte_* stays behind this header.
 * Start: dpdk_start once, dpdk_port_open for each port, dpdk_port_start when all its shards are ready. Threads: control, except
 * the queue operations (drivers/driver.h), which belong to the shard. A polling thread calls dpdk_thread_register first. */
#include "driver.h"
#include <stddef.h>

struct dpdk_port_config {
  char name[16];      /* unique among the ports */
  int kind;           /* enum dpdk_port_kind */
  char interface[16]; /* af_packet, af_xdp: an existing one; tap: the one to make */
  char address[32];   /* pci: 0000:3b:00.0 */
  char path[256], output_path[256];
  bool server;
  uint16_t mtu;          /* 0: 1500; af_packet and af_xdp: the interface is set to it */
  uint16_t queues;       /* 1 to 64; af_xdp and pcap have one */
  bool verify_checksums; /* received TCP and UDP, on a port whose peer is the kernel or a process (else always) */
  bool group_frames;     /* IPv6: hear group addresses (neighbour discovery) */
  uint8_t mac[6];        /* ours when not all zero; else the device's, on tap one made from it */
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
  uint32_t memory_mib; /* without hugepages: -m at least; 0: what the ports need */
  const char *extra;   /* words appended to EAL's arguments */
  const struct dpdk_port_config *ports;
  uint32_t port_count;
  /* Every line of DPDK's log, and the full argument vector at start. `level` as control's log: 0 error, 1 warning, 2 information,
   * 3 debug. Called under a lock, never from a thread that is registered as polling. */
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
/* What the ports' buffers and rings take, and what the machine has reserved and not used. */
uint32_t dpdk_memory_needed_mib(const struct dpdk_port_config *ports, uint32_t port_count);
uint64_t dpdk_hugepages_free_mib(void);

/* Once a process: EAL cannot start again after dpdk_stop. The calling thread is pinned to `main_core`, and so are the threads
 * that it makes later. -errno when EAL refuses; its reasons are in the log. */
int dpdk_start(const struct dpdk_start_config *config);
void dpdk_stop(void);
void dpdk_thread_register(void);
void dpdk_thread_unregister(void);

struct dpdk_port;
/* A port that dpdk_start was given, found by its name. NULL and a positive errno when it cannot be had. A device may have fewer
 * queues or a smaller MTU than asked for: see the information. */
struct dpdk_port *dpdk_port_open(const struct dpdk_port_config *config, int *error_number);
/* 0 or -errno. A memif client whose server does not listen gets -ENOTCONN and may be started again. One whose server listens but
 * has not started, or went away, is turned away for good (the device does not connect twice): an appliance should be the server.
 */
int dpdk_port_start(struct dpdk_port *port);
const struct driver_port_information *dpdk_port_information(const struct dpdk_port *port);
struct driver_queue *dpdk_port_queue(struct dpdk_port *port, uint16_t queue);
void dpdk_port_counters(struct dpdk_port *port, struct driver_port_counters *counters);
bool dpdk_port_link_up(struct dpdk_port *port);
/* After its shards have stopped. Frames that were never released are lost with it. */
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
