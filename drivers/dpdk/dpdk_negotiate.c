#include "dpdk_internal.h"
#include <errno.h>
#include <string.h>

#define RX_L4 (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define TX_L4 (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RSS_TYPES                                                                                                                \
  (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)

static bool has(uint64_t offered, uint64_t wanted) { return (offered & wanted) == wanted; }

/* Real devices: the checksum engines that are there. Half of TCP and UDP is no use: the stack has one switch for both. */
static void choose_device_offloads(const struct dpdk_device_capabilities *capabilities, struct dpdk_device_choice *choice) {
  if (has(capabilities->rx_offloads, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM))
    choice->rx_offloads |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
  else
    choice->offload |= NETWORK_OFFLOAD_RX_IPV4_VERIFY;
  if (has(capabilities->rx_offloads, RX_L4))
    choice->rx_offloads |= RX_L4;
  else
    choice->offload |= NETWORK_OFFLOAD_RX_L4_VERIFY;
  if (has(capabilities->tx_offloads, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)) {
    choice->tx_offloads |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
    choice->offload |= NETWORK_OFFLOAD_TX_IPV4_CHECKSUM;
  }
  if (has(capabilities->tx_offloads, TX_L4)) {
    choice->tx_offloads |= TX_L4;
    choice->offload |= NETWORK_OFFLOAD_TX_L4_CHECKSUM;
  }
  /* Legal as every frame that a queue sends comes whole from its own pool, with one reference. */
  if (has(capabilities->tx_offloads, RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE)) choice->tx_offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
}

/* Software devices: what some of them offer (tap) is a checksum in software too, so the stack does it. */
static void choose_software_offloads(const struct dpdk_port_config *config, struct dpdk_device_choice *choice) {
  choice->offload = NETWORK_OFFLOAD_RX_IPV4_VERIFY;
  switch ((enum dpdk_port_kind)config->kind) {
  case DPDK_PORT_AF_PACKET: /* the kernel leaves partial sums and the device does not say where */
  case DPDK_PORT_AF_XDP:
  case DPDK_PORT_TAP:
  case DPDK_PORT_MEMIF:
    if (config->verify_checksums) choice->offload |= NETWORK_OFFLOAD_RX_L4_VERIFY;
    break;
  case DPDK_PORT_PCAP:
  case DPDK_PORT_RING:
  case DPDK_PORT_PCI:
    choice->offload |= NETWORK_OFFLOAD_RX_L4_VERIFY;
    break;
  }
}

static uint16_t least(uint32_t a, uint32_t b) { return (uint16_t)(a < b ? a : b); }

int dpdk_device_negotiate(const struct dpdk_device_capabilities *capabilities, const struct dpdk_port_config *config,
                          struct dpdk_device_choice *choice) {
  memset(choice, 0, sizeof *choice);
  if (config->queues == 0 || config->queues > DPDK_QUEUES_MAX) return -EINVAL;
  choice->queues = least(config->queues, least(capabilities->rx_queues_max, capabilities->tx_queues_max));
  if (choice->queues == 0) return -ENODEV;

  const uint32_t frame_most =
      capabilities->rx_length_max > DPDK_FRAME_OVERHEAD ? capabilities->rx_length_max - DPDK_FRAME_OVERHEAD : 0;
  choice->mtu = least(config->mtu ? config->mtu : DPDK_MTU_DEFAULT, least(frame_most, capabilities->mtu_max));
  if (choice->mtu < DPDK_MTU_LEAST) return -ERANGE;

  if (config->kind == DPDK_PORT_PCI)
    choose_device_offloads(capabilities, choice);
  else
    choose_software_offloads(config, choice);

  /* Frames of types without a hash all go to queue 0, so one of TCP and UDP is enough to keep each flow on one queue. */
  if (config->kind == DPDK_PORT_PCI && choice->queues > 1) choice->rss_hash_types = capabilities->rss_hash_types & RSS_TYPES;
  choice->flow_steering = choice->rss_hash_types != 0;
  return 0;
}
