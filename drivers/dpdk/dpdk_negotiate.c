#include "dpdk_internal.h"
#include "network.h"
#include <errno.h>

#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define TX_L4_CHECKSUMS (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RSS_WANTED (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP)
#define ETHERNET_OVERHEAD (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN)

/* Frames from the kernel's own stack may carry partial sums that no flag tells of: verified only when asked for. */
static bool kernel_backed(int kind) {
  return kind == DPDK_PORT_AF_PACKET || kind == DPDK_PORT_AF_XDP || kind == DPDK_PORT_TAP || kind == DPDK_PORT_MEMIF;
}

static void choose_receive(const struct dpdk_device_capabilities *device, const struct dpdk_port_config *config,
                           struct dpdk_device_choice *choice) {
  const bool hardware = (device->rx_offloads & RX_CHECKSUMS) == RX_CHECKSUMS && config->kind == DPDK_PORT_PCI;
  if (hardware) {
    choice->rx_offloads |= RX_CHECKSUMS;
    return;
  }
  choice->offload |= NETWORK_OFFLOAD_RX_IPV4_VERIFY;
  if (!kernel_backed(config->kind) || config->verify_checksums) choice->offload |= NETWORK_OFFLOAD_RX_L4_VERIFY;
}

static void choose_send(const struct dpdk_device_capabilities *device, const struct dpdk_port_config *config,
                        struct dpdk_device_choice *choice) {
  if (config->kind != DPDK_PORT_PCI) return; /* a virtual device sums in software anyway, and later */
  if (device->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) {
    choice->tx_offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
    choice->offload |= NETWORK_OFFLOAD_TX_IPV4_CHECKSUM;
  }
  if ((device->tx_offloads & TX_L4_CHECKSUMS) == TX_L4_CHECKSUMS) {
    choice->tx_offloads |= TX_L4_CHECKSUMS;
    choice->offload |= NETWORK_OFFLOAD_TX_L4_CHECKSUM;
  }
}

/* A flow's frames come to one queue only by RSS over addresses and ports of both protocols; less than that is not steering. */
static void choose_steering(const struct dpdk_device_capabilities *device, const struct dpdk_port_config *config,
                            struct dpdk_device_choice *choice) {
  if (choice->queues == 1) {
    choice->flow_steering = true;
    return;
  }
  if (config->kind != DPDK_PORT_PCI || (device->rss_hash_types & RSS_WANTED) != RSS_WANTED) return;
  choice->rss_hash_types = RSS_WANTED;
  if (device->rx_offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH) choice->rx_offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
  choice->flow_steering = true;
}

int dpdk_device_negotiate(const struct dpdk_device_capabilities *device, const struct dpdk_port_config *config,
                          struct dpdk_device_choice *choice) {
  *choice = (struct dpdk_device_choice){.queues = config->queues ? config->queues : 1, .mtu = config->mtu};
  if (choice->queues > device->rx_queues_max || choice->queues > device->tx_queues_max) return -ENOSPC;
  if (device->mtu_max && choice->mtu > device->mtu_max) choice->mtu = device->mtu_max;
  if (device->rx_length_max > ETHERNET_OVERHEAD && choice->mtu > device->rx_length_max - ETHERNET_OVERHEAD)
    choice->mtu = (uint16_t)(device->rx_length_max - ETHERNET_OVERHEAD);
  if (choice->mtu < 576) return -EINVAL;
  choose_receive(device, config, choice);
  choose_send(device, config, choice);
  choose_steering(device, config, choice);
  return 0;
}
