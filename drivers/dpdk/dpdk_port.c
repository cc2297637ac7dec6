#include "dpdk_internal.h"
#include "veth.h"
#include <errno.h>
#include <net/if.h>
#include <rte_errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct dpdk_port {
  struct dpdk_port_config config;
  struct dpdk_sizes sizes;
  struct dpdk_device_choice choice;
  struct driver_port_information information;
  uint16_t port_id;
  bool started;
  struct packet_sockets sockets;  /* control:rw */
  int64_t interface_drops_before; /* the interface's count when the port was opened; negative: unknown */
  struct dpdk_queue *queues;      /* shard:rw, one each */
  struct rte_mempool *buffers[DPDK_QUEUES_MAX];
};

/* Repeated two-byte key: both directions of a flow hash alike (Woo and Park, 2012). Devices want 40 or 52 bytes, at most this. */
#define RSS_KEY_BYTES_MOST 64
static uint8_t rss_key[RSS_KEY_BYTES_MOST];

static bool on_interface(const struct dpdk_port *port) {
  return port->config.kind == DPDK_PORT_AF_PACKET || port->config.kind == DPDK_PORT_AF_XDP;
}

static int interface_ioctl(const char *name, unsigned long request, struct ifreq *value) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  snprintf(value->ifr_name, sizeof value->ifr_name, "%.15s", name);
  const int result = ioctl(descriptor, request, value) == 0 ? 0 : -errno;
  close(descriptor);
  return result;
}

static int set_interface_mtu(const struct dpdk_port *port) {
  struct ifreq value = {0};
  int result = interface_ioctl(port->config.interface, SIOCGIFMTU, &value);
  if (result || value.ifr_mtu == port->choice.mtu) return result;
  value.ifr_mtu = port->choice.mtu;
  result = interface_ioctl(port->config.interface, SIOCSIFMTU, &value);
  if (result) dpdk_log(DPDK_LOG_ERROR, "%s: MTU %u refused: %s", port->config.interface, port->choice.mtu, strerror(-result));
  return result;
}

static void read_capabilities(const struct dpdk_port *port, const struct rte_eth_dev_info *device,
                              struct dpdk_device_capabilities *capabilities) {
  *capabilities = (struct dpdk_device_capabilities){.rx_offloads = device->rx_offload_capa,
                                                    .tx_offloads = device->tx_offload_capa,
                                                    .rss_hash_types = device->flow_type_rss_offloads,
                                                    .rx_queues_max = device->max_rx_queues,
                                                    .tx_queues_max = device->max_tx_queues,
                                                    .rx_length_max = device->max_rx_pktlen,
                                                    .mtu_max = device->max_mtu};
  /* These two report 1518 whatever they were made with; what bounds a frame is the ring frame in their arguments. */
  if (port->config.kind == DPDK_PORT_AF_PACKET || port->config.kind == DPDK_PORT_MEMIF) {
    capabilities->rx_length_max = port->sizes.ring_frame_bytes;
    capabilities->mtu_max = UINT16_MAX;
  }
}

static int configure(struct dpdk_port *port, const struct rte_eth_dev_info *device) {
  struct rte_eth_conf conf = {0};
  /* ethdev checks this against the length that a device claims; where that is a fiction the smaller one passes. */
  const bool claims_less = device->max_rx_pktlen < (uint32_t)port->choice.mtu + DPDK_FRAME_OVERHEAD;
  conf.rxmode.mtu = claims_less && device->max_rx_pktlen >= RTE_ETHER_MAX_LEN ? RTE_ETHER_MTU : port->choice.mtu;
  conf.rxmode.offloads = port->choice.rx_offloads;
  conf.txmode.offloads = port->choice.tx_offloads;
  if (port->choice.rss_hash_types) {
    for (size_t i = 0; i < sizeof rss_key; i += 2) memcpy(rss_key + i, (const uint8_t[2]){0x6d, 0x5a}, 2);
    const uint8_t wanted = device->hash_key_size ? device->hash_key_size : 40;
    if (wanted > sizeof rss_key) return -ENOTSUP;
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf =
        (struct rte_eth_rss_conf){.rss_key = rss_key, .rss_key_len = wanted, .rss_hf = port->choice.rss_hash_types};
  }
  return rte_eth_dev_configure(port->port_id, port->choice.queues, port->choice.queues, &conf);
}

static int set_up_queue(struct dpdk_port *port, uint16_t index, uint16_t receive_descriptors, uint16_t send_descriptors) {
  char name[RTE_MEMPOOL_NAMESIZE];
  snprintf(name, sizeof name, "port%u-queue%u", port->port_id, index);
  const int node = rte_eth_dev_socket_id(port->port_id);
  struct rte_mempool *buffers = rte_pktmbuf_pool_create(name, port->sizes.buffers, port->sizes.buffer_cache, 0,
                                                        port->sizes.buffer_bytes, node < 0 ? SOCKET_ID_ANY : node);
  if (!buffers) return -rte_errno;
  port->buffers[index] = buffers;
  const unsigned where = node < 0 ? 0 : (unsigned)node;
  int result = rte_eth_rx_queue_setup(port->port_id, index, receive_descriptors, where, NULL, buffers);
  if (!result) result = rte_eth_tx_queue_setup(port->port_id, index, send_descriptors, where, NULL);
  const uint64_t checksums = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  port->queues[index] = (struct dpdk_queue){
      .face.operations = &dpdk_queue_operations,
      .port_id = port->port_id,
      .queue = index,
      .frame_bytes = (uint16_t)port->information.frame_bytes,
      .prepare = (port->choice.tx_offloads & checksums) != 0,
      .hardware_ipv4 = (port->choice.rx_offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0,
      .hardware_l4 = (port->choice.rx_offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0,
      .buffers = buffers,
  };
  return result;
}

static int set_up_queues(struct dpdk_port *port) {
  uint16_t receive_descriptors = port->sizes.receive_descriptors, send_descriptors = port->sizes.send_descriptors;
  int result = rte_eth_dev_adjust_nb_rx_tx_desc(port->port_id, &receive_descriptors, &send_descriptors);
  if (result) return result;
  if (posix_memalign((void **)&port->queues, CACHE_LINE_BYTES, port->choice.queues * sizeof *port->queues) != 0) return -ENOMEM;
  memset(port->queues, 0, port->choice.queues * sizeof *port->queues);
  for (uint16_t i = 0; i < port->choice.queues && !result; i++)
    result = set_up_queue(port, i, receive_descriptors, send_descriptors);
  return result;
}

/* A device made by a process gets an address of ours: the configured one, or the device's with the locally administered bit.
 * A tap's own address is its kernel end's, which must not be ours too. */
static int choose_mac(struct dpdk_port *port) {
  static const uint8_t none[6];
  struct rte_ether_addr device;
  const int result = rte_eth_macaddr_get(port->port_id, &device);
  if (result) return result;
  const bool configured = memcmp(port->config.mac, none, sizeof none) != 0;
  memcpy(port->information.mac, configured ? port->config.mac : device.addr_bytes, 6);
  if (configured && port->config.kind == DPDK_PORT_PCI) {
    memcpy(device.addr_bytes, port->config.mac, 6);
    return rte_eth_dev_default_mac_addr_set(port->port_id, &device);
  }
  const bool differs = memcmp(port->information.mac, device.addr_bytes, 6) != 0;
  if (differs && on_interface(port)) return rte_eth_promiscuous_enable(port->port_id);
  if (!configured && (port->config.kind == DPDK_PORT_TAP || memcmp(device.addr_bytes, none, sizeof none) == 0)) {
    port->information.mac[0] = (uint8_t)((port->information.mac[0] & 0xfe) | 0x02);
    port->information.mac[5] ^= 0x80;
  }
  return 0;
}

static void fill_information(struct dpdk_port *port) {
  struct driver_port_information *information = &port->information;
  snprintf(information->name, sizeof information->name, "%.15s", port->config.name);
  information->mtu = port->choice.mtu;
  information->offload = port->choice.offload;
  information->queues = port->choice.queues;
  information->flow_steering = port->choice.flow_steering;
  information->frame_bytes = (uint32_t)port->choice.mtu + RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN;
}

static int open_device(struct dpdk_port *port) {
  char device_name[32];
  if (!dpdk_started_device_name(port->config.name, device_name)) return -ENOENT;
  int result = rte_eth_dev_get_port_by_name(device_name, &port->port_id);
  struct rte_eth_dev_info device;
  if (!result) result = rte_eth_dev_info_get(port->port_id, &device);
  if (result) return result;
  struct dpdk_device_capabilities capabilities;
  read_capabilities(port, &device, &capabilities);
  result = dpdk_device_negotiate(&capabilities, &port->config, &port->choice);
  if (result) return result;
  fill_information(port);
  if (on_interface(port)) result = set_interface_mtu(port);
  if (!result) result = configure(port, &device);
  if (!result) result = set_up_queues(port);
  if (!result) result = choose_mac(port);
  if (!result && port->config.kind == DPDK_PORT_AF_PACKET) {
    packet_sockets_find(&port->sockets, if_nametoindex(port->config.interface));
    port->interface_drops_before = veth_receive_drops(port->config.interface);
  }
  return result;
}

struct dpdk_port *dpdk_port_open(const struct dpdk_port_config *config, int *error_number) {
  struct dpdk_port *port = calloc(1, sizeof *port);
  int result = port ? 0 : -ENOMEM;
  if (port) {
    port->config = *config;
    port->port_id = RTE_MAX_ETHPORTS;
    dpdk_sizes_compute(config, &port->sizes);
    result = open_device(port);
  }
  if (result == 0) return port;
  dpdk_log(DPDK_LOG_ERROR, "port %.15s: %s", config->name, strerror(-result));
  if (error_number) *error_number = -result;
  if (port) dpdk_port_close(port);
  return NULL;
}

int dpdk_port_start(struct dpdk_port *port) {
  const int result = rte_eth_dev_start(port->port_id);
  port->started = result == 0;
  /* Who cannot filter groups apart hears everything. */
  if (port->started && port->config.group_frames && rte_eth_allmulticast_enable(port->port_id) != 0)
    rte_eth_promiscuous_enable(port->port_id);
  const bool memif_client = port->config.kind == DPDK_PORT_MEMIF && !port->config.server;
  return result && memif_client ? -ENOTCONN : result;
}

const struct driver_port_information *dpdk_port_information(const struct dpdk_port *port) { return &port->information; }

struct driver_queue *dpdk_port_queue(struct dpdk_port *port, uint16_t queue) {
  ALWAYS_ASSERT(queue < port->choice.queues);
  return &port->queues[queue].face;
}

void dpdk_port_counters(struct dpdk_port *port, struct driver_port_counters *counters) {
  *counters = (struct driver_port_counters){0};
  struct rte_eth_stats stats;
  if (rte_eth_stats_get(port->port_id, &stats) != 0) return;
  *counters = (struct driver_port_counters){.received = stats.ipackets,
                                            .missed = stats.imissed,
                                            .errors = stats.ierrors,
                                            .no_buffer = stats.rx_nombuf,
                                            .sent = stats.opackets,
                                            .send_errors = stats.oerrors};
  for (uint16_t i = 0; i < port->choice.queues; i++)
    counters->errors += atomic_load_explicit(&port->queues[i].segmented, memory_order_relaxed);
  if (port->config.kind != DPDK_PORT_AF_PACKET) return;
  counters->missed += packet_sockets_dropped(&port->sockets);
  const int64_t drops = veth_receive_drops(port->config.interface);
  if (port->interface_drops_before >= 0 && drops > port->interface_drops_before)
    counters->missed += (uint64_t)(drops - port->interface_drops_before);
}

bool dpdk_port_link_up(struct dpdk_port *port) {
  if (on_interface(port)) { /* the device says up whatever its interface is */
    struct ifreq value = {0};
    const int both = IFF_UP | IFF_RUNNING;
    return interface_ioctl(port->config.interface, SIOCGIFFLAGS, &value) == 0 && (value.ifr_flags & both) == both;
  }
  struct rte_eth_link link;
  return rte_eth_link_get_nowait(port->port_id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

void dpdk_port_close(struct dpdk_port *port) {
  if (port->port_id != RTE_MAX_ETHPORTS) {
    if (port->started) {
      for (uint16_t i = 0; i < port->choice.queues; i++) port->queues[i].face.operations->flush(&port->queues[i].face);
      rte_eth_dev_stop(port->port_id);
    }
    rte_eth_dev_close(port->port_id);
  }
  for (uint16_t i = 0; i < DPDK_QUEUES_MAX; i++) rte_mempool_free(port->buffers[i]);
  free(port->queues);
  free(port);
}
