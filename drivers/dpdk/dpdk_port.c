#include "dpdk_internal.h"
#include <errno.h>
#include <rte_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESCRIPTORS 1024
#define POOL_CACHE 256

/* The symmetric Toeplitz key: both directions of a flow hash alike, as the software hash does. */
static uint8_t rss_key[52];

static void describe(const struct rte_eth_dev_info *info, struct dpdk_device_capabilities *device) {
  *device = (struct dpdk_device_capabilities){
      .rx_offloads = info->rx_offload_capa,
      .tx_offloads = info->tx_offload_capa,
      .rss_hash_types = info->flow_type_rss_offloads,
      .rx_queues_max = info->max_rx_queues,
      .tx_queues_max = info->max_tx_queues,
      .rx_length_max = info->max_rx_pktlen,
      .mtu_max = info->max_mtu,
  };
}

static int find(const struct dpdk_port_config *config, uint16_t *port_id) {
  char name[32];
  if (config->kind == DPDK_PORT_PCI) return rte_eth_dev_get_port_by_name(config->address, port_id);
  dpdk_vdev_name(config, name, sizeof name);
  return rte_eth_dev_get_port_by_name(name, port_id);
}

static int configure(struct dpdk_port *port, const struct dpdk_device_choice *choice, const struct rte_eth_dev_info *info) {
  struct rte_eth_conf conf = {.rxmode = {.offloads = choice->rx_offloads}, .txmode = {.offloads = choice->tx_offloads}};
  if (info->max_mtu >= choice->mtu && info->min_mtu <= choice->mtu) conf.rxmode.mtu = choice->mtu;
  if (choice->rss_hash_types) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    for (unsigned i = 0; i < sizeof rss_key; i++) rss_key[i] = i % 2 ? 0x5a : 0x6d;
    conf.rx_adv_conf.rss_conf.rss_key = rss_key;
    conf.rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size ? info->hash_key_size : 40;
    conf.rx_adv_conf.rss_conf.rss_hf = choice->rss_hash_types;
  }
  return rte_eth_dev_configure(port->port_id, choice->queues, choice->queues, &conf);
}

/* Enough for both descriptor rings, a hand-over ring and what is on its way; never taken from again after start. */
static int set_up_queue(struct dpdk_port *port, uint16_t index, uint32_t room) {
  struct dpdk_queue *queue = &port->queues[index];
  char name[32];
  const unsigned frames = room > 4096 ? 4095 : 8191;
  snprintf(name, sizeof name, "frames-%u-%u", port->port_id, index);
  queue->pool = rte_pktmbuf_pool_create(name, frames, POOL_CACHE, 0, (uint16_t)(room + RTE_PKTMBUF_HEADROOM),
                                        (int)rte_eth_dev_socket_id(port->port_id));
  if (!queue->pool) return -rte_errno;
  queue->queue.operations = &dpdk_queue_operations;
  queue->port_id = port->port_id;
  queue->index = index;
  queue->frame_room = room;
  uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
  int result = index == 0 ? rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &rx, &tx) : 0;
  const int socket = rte_eth_dev_socket_id(port->port_id);
  if (result == 0) result = rte_eth_rx_queue_setup(port->port_id, index, rx, (unsigned)socket, NULL, queue->pool);
  if (result == 0) result = rte_eth_tx_queue_setup(port->port_id, index, tx, (unsigned)socket, NULL);
  return result;
}

static int read_mac(struct dpdk_port *port) {
  static const uint8_t none[6] = {0};
  struct rte_ether_addr mac;
  if (memcmp(port->config.mac, none, sizeof none) != 0) {
    memcpy(port->information.mac, port->config.mac, sizeof none);
    return 0;
  }
  const int result = rte_eth_macaddr_get(port->port_id, &mac);
  if (result == 0) memcpy(port->information.mac, mac.addr_bytes, sizeof none);
  return result;
}

static int open_port(struct dpdk_port *port) {
  struct rte_eth_dev_info info;
  struct dpdk_device_capabilities device;
  struct dpdk_device_choice choice;
  int result = find(&port->config, &port->port_id);
  if (result == 0) result = rte_eth_dev_info_get(port->port_id, &info);
  if (result != 0) return result;
  describe(&info, &device);
  result = dpdk_device_negotiate(&device, &port->config, &choice);
  if (result == 0) result = configure(port, &choice, &info);
  /* Room for the frame and its Ethernet header, rounded up to whole cache lines. */
  const uint32_t room = ((uint32_t)choice.mtu + 64 + 127) & ~127u;
  for (uint16_t i = 0; result == 0 && i < choice.queues; i++) result = set_up_queue(port, i, room < 2048 ? 2048 : room);
  if (result == 0) result = read_mac(port);
  if (result != 0) return result;
  port->queue_count = choice.queues;
  memcpy(port->information.name, port->config.name, sizeof port->config.name);
  port->information.mtu = choice.mtu;
  port->information.offload = choice.offload;
  port->information.queues = choice.queues;
  port->information.flow_steering = choice.flow_steering;
  port->information.frame_bytes = port->queues[0].frame_room;
  return 0;
}

struct dpdk_port *dpdk_port_open(const struct dpdk_port_config *config, int *error_number) {
  struct dpdk_port *port = aligned_alloc(64, (sizeof *port + 63) / 64 * 64);
  *error_number = -ENOMEM;
  if (!port) return NULL;
  memset(port, 0, sizeof *port);
  port->config = *config;
  *error_number = open_port(port);
  if (*error_number == 0) return port;
  free(port);
  return NULL;
}

int dpdk_port_start(struct dpdk_port *port) {
  const int result = rte_eth_dev_start(port->port_id);
  if (result != 0) return result;
  /* An address that is not the device's own needs it; where a device cannot, it delivers everything anyway. */
  if (port->config.kind == DPDK_PORT_MEMIF || port->config.kind == DPDK_PORT_TAP) rte_eth_promiscuous_enable(port->port_id);
  return 0;
}

const struct driver_port_information *dpdk_port_information(const struct dpdk_port *port) { return &port->information; }

struct driver_queue *dpdk_port_queue(struct dpdk_port *port, uint16_t queue) {
  return &port->queues[queue].queue;
}

void dpdk_port_counters(struct dpdk_port *port, struct driver_port_counters *counters) {
  struct rte_eth_stats stats = {0};
  *counters = (struct driver_port_counters){0};
  if (rte_eth_stats_get(port->port_id, &stats) != 0) return;
  *counters = (struct driver_port_counters){.received = stats.ipackets,
                                            .missed = stats.imissed,
                                            .errors = stats.ierrors,
                                            .no_buffer = stats.rx_nombuf,
                                            .sent = stats.opackets,
                                            .send_errors = stats.oerrors};
}

bool dpdk_port_link_up(struct dpdk_port *port) {
  struct rte_eth_link link = {0};
  return rte_eth_link_get_nowait(port->port_id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void dpdk_port_close(struct dpdk_port *port) {
  for (uint16_t i = 0; i < port->queue_count; i++) {
    struct dpdk_queue *queue = &port->queues[i];
    rte_pktmbuf_free_bulk(queue->pending, queue->pending_count);
    queue->pending_count = 0;
  }
  rte_eth_dev_stop(port->port_id);
  rte_eth_dev_close(port->port_id);
  for (uint16_t i = 0; i < port->queue_count; i++) rte_mempool_free(port->queues[i].pool);
  free(port);
}
