#include "cmocka_test.h"
#include "dpdk_port.h"
#include "network.h"
#include <errno.h>
#include <rte_ethdev.h>
#include <string.h>

#define RX_ALL (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define TX_ALL (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RX_L4 (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define TX_L4 (RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define RSS_TCP (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define RSS_UDP (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RSS_OTHERS (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6)
#define VERIFY_IPV4 NETWORK_OFFLOAD_RX_IPV4_VERIFY
#define VERIFY_L4 NETWORK_OFFLOAD_RX_L4_VERIFY
#define FILL_BOTH (NETWORK_OFFLOAD_TX_IPV4_CHECKSUM | NETWORK_OFFLOAD_TX_L4_CHECKSUM)
#define FAST_FREE RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE

/* Modelled on what the drivers of DPDK 22.11 report for these devices. Asked for: 4 queues, MTU 9000. */
static const struct device {
  const char *name;
  int kind;
  bool verify_checksums;
  struct dpdk_device_capabilities offers;
  struct dpdk_device_choice wants;
} devices[] = {
    {"ixgbe (82599)",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RX_ALL | RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_TCP_LRO,
      .tx_offloads = TX_ALL | RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
      .rss_hash_types = RSS_TCP | RSS_UDP | RSS_OTHERS,
      .rx_queues_max = 128,
      .tx_queues_max = 128,
      .rx_length_max = 15872,
      .mtu_max = 15854},
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 4,
      .mtu = 9000,
      .offload = FILL_BOTH,
      .flow_steering = true}},
    {"i40e (X710)",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RX_ALL | RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_RSS_HASH,
      .tx_offloads = TX_ALL | RTE_ETH_TX_OFFLOAD_SCTP_CKSUM | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER,
      .rx_queues_max = 320,
      .tx_queues_max = 320,
      .rx_length_max = 9728,
      .mtu_max = 9710},
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 4,
      .mtu = 9000,
      .offload = FILL_BOTH,
      .flow_steering = true}},
    {"ice (E810)",
     DPDK_PORT_PCI,
     true,
     {.rx_offloads = RX_ALL | RTE_ETH_RX_OFFLOAD_TIMESTAMP,
      .tx_offloads = TX_ALL | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP | RSS_OTHERS | RTE_ETH_RSS_L4_CHKSUM,
      .rx_queues_max = 256,
      .tx_queues_max = 256,
      .rx_length_max = 9728,
      .mtu_max = 9702},
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 4,
      .mtu = 9000,
      .offload = FILL_BOTH,
      .flow_steering = true}},
    {"mlx5 (ConnectX-5)",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RX_ALL | RTE_ETH_RX_OFFLOAD_BUFFER_SPLIT,
      .tx_offloads = TX_ALL | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP | RSS_OTHERS | RTE_ETH_RSS_L3_SRC_ONLY,
      .rx_queues_max = 1024,
      .tx_queues_max = 1024,
      .rx_length_max = 65536,
      .mtu_max = 65535},
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL | FAST_FREE,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 4,
      .mtu = 9000,
      .offload = FILL_BOTH,
      .flow_steering = true}},
    {"ena with few queues",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .rx_queues_max = 2,
      .tx_queues_max = 2,
      .rx_length_max = 9234,
      .mtu_max = 9216},
     {.rx_offloads = RX_ALL,
      .tx_offloads = TX_ALL,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 2,
      .mtu = 9000,
      .offload = FILL_BOTH,
      .flow_steering = true}},
    {"ena without receive checksums",
     DPDK_PORT_PCI,
     false,
     {.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .rx_queues_max = 8,
      .tx_queues_max = 8,
      .rx_length_max = 9234,
      .mtu_max = 9216},
     {.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
      .rss_hash_types = RSS_TCP | RSS_UDP,
      .queues = 4,
      .mtu = 9000,
      .offload = VERIFY_IPV4 | VERIFY_L4 | NETWORK_OFFLOAD_TX_IPV4_CHECKSUM,
      .flow_steering = true}},
    {"virtio without VIRTIO_NET_F_RSS",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RX_L4, .tx_offloads = TX_L4, .rx_queues_max = 4, .tx_queues_max = 4, .rx_length_max = 9728, .mtu_max = 1500},
     {.rx_offloads = RX_L4,
      .tx_offloads = TX_L4,
      .queues = 4,
      .mtu = 1500,
      .offload = VERIFY_IPV4 | NETWORK_OFFLOAD_TX_L4_CHECKSUM,
      .flow_steering = false}},
    {"half of L4 is none",
     DPDK_PORT_PCI,
     false,
     {.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
      .tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM,
      .rss_hash_types = RSS_TCP,
      .rx_queues_max = 4,
      .tx_queues_max = 3,
      .rx_length_max = 1518,
      .mtu_max = 65535},
     {.rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM,
      .tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM,
      .rss_hash_types = RSS_TCP,
      .queues = 3,
      .mtu = 1500,
      .offload = VERIFY_L4 | NETWORK_OFFLOAD_TX_IPV4_CHECKSUM,
      .flow_steering = true}},
    {"af_packet",
     DPDK_PORT_AF_PACKET,
     false,
     {.rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
      .tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT,
      .rx_queues_max = 4,
      .tx_queues_max = 4,
      .rx_length_max = 10240,
      .mtu_max = 65535},
     {.queues = 4, .mtu = 9000, .offload = VERIFY_IPV4}},
    {"af_packet with complete checksums",
     DPDK_PORT_AF_PACKET,
     true,
     {.rx_queues_max = 4, .tx_queues_max = 4, .rx_length_max = 10240, .mtu_max = 65535},
     {.queues = 4, .mtu = 9000, .offload = VERIFY_IPV4 | VERIFY_L4}},
    {"af_xdp",
     DPDK_PORT_AF_XDP,
     false,
     {.rx_queues_max = 1, .tx_queues_max = 1, .rx_length_max = 3560, .mtu_max = 3542},
     {.queues = 1, .mtu = 3542, .offload = VERIFY_IPV4}},
    {"tap: its checksums are software too",
     DPDK_PORT_TAP,
     false,
     {.rx_offloads = RX_ALL | RTE_ETH_RX_OFFLOAD_SCATTER,
      .tx_offloads = TX_ALL | RTE_ETH_TX_OFFLOAD_TCP_TSO,
      .rss_hash_types = RSS_TCP | RSS_UDP | RSS_OTHERS,
      .rx_queues_max = 16,
      .tx_queues_max = 16,
      .rx_length_max = 1522,
      .mtu_max = 65535},
     {.queues = 4, .mtu = 1504, .offload = VERIFY_IPV4}},
    {"memif",
     DPDK_PORT_MEMIF,
     true,
     {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
      .rx_queues_max = 255,
      .tx_queues_max = 255,
      .rx_length_max = 10240,
      .mtu_max = 65535},
     {.queues = 4, .mtu = 9000, .offload = VERIFY_IPV4 | VERIFY_L4}},
    {"ring",
     DPDK_PORT_RING,
     false,
     {.tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS,
      .rx_queues_max = 16,
      .tx_queues_max = 16,
      .rx_length_max = UINT32_MAX,
      .mtu_max = 65535},
     {.queues = 4, .mtu = 9000, .offload = VERIFY_IPV4 | VERIFY_L4}},
    {"pcap",
     DPDK_PORT_PCAP,
     false,
     {.rx_queues_max = 1, .tx_queues_max = 1, .rx_length_max = UINT32_MAX, .mtu_max = 65535},
     {.queues = 1, .mtu = 9000, .offload = VERIFY_IPV4 | VERIFY_L4}},
};

static void every_device_of_the_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
    const struct device *device = &devices[i];
    const struct dpdk_port_config config = {
        .kind = device->kind, .mtu = 9000, .queues = 4, .verify_checksums = device->verify_checksums};
    struct dpdk_device_choice choice;
    assert_int_equal(dpdk_device_negotiate(&device->offers, &config, &choice), 0);
    const struct dpdk_device_choice *wants = &device->wants;
    if (choice.rx_offloads != wants->rx_offloads || choice.tx_offloads != wants->tx_offloads ||
        choice.rss_hash_types != wants->rss_hash_types || choice.queues != wants->queues || choice.mtu != wants->mtu ||
        choice.offload != wants->offload || choice.flow_steering != wants->flow_steering)
      fail_msg("%s: rx %lx tx %lx rss %lx queues %u mtu %u offload %x steering %d", device->name, (long)choice.rx_offloads,
               (long)choice.tx_offloads, (long)choice.rss_hash_types, choice.queues, choice.mtu, choice.offload,
               choice.flow_steering);
    assert_int_equal(choice.rx_offloads & ~device->offers.rx_offloads, 0);
    assert_int_equal(choice.rx_offloads & RTE_ETH_RX_OFFLOAD_SCATTER, 0);
  }
}

static void one_queue_needs_no_hashing(void **state) {
  (void)state;
  const struct dpdk_port_config config = {.kind = DPDK_PORT_PCI, .queues = 1};
  struct dpdk_device_choice choice;
  assert_int_equal(dpdk_device_negotiate(&devices[0].offers, &config, &choice), 0);
  assert_int_equal(choice.queues, 1);
  assert_int_equal(choice.mtu, 1500);
  assert_int_equal(choice.rss_hash_types, 0);
  assert_false(choice.flow_steering);
}

static void what_cannot_work_is_refused(void **state) {
  (void)state;
  struct dpdk_device_choice choice;
  struct dpdk_port_config config = {.kind = DPDK_PORT_PCI, .queues = 0};
  assert_int_equal(dpdk_device_negotiate(&devices[0].offers, &config, &choice), -EINVAL);
  config.queues = 65;
  assert_int_equal(dpdk_device_negotiate(&devices[0].offers, &config, &choice), -EINVAL);
  config.queues = 1;
  struct dpdk_device_capabilities offers = devices[0].offers;
  offers.tx_queues_max = 0;
  assert_int_equal(dpdk_device_negotiate(&offers, &config, &choice), -ENODEV);
  offers = devices[0].offers;
  offers.rx_length_max = 593;
  assert_int_equal(dpdk_device_negotiate(&offers, &config, &choice), -ERANGE);
  offers.rx_length_max = 594;
  assert_int_equal(dpdk_device_negotiate(&offers, &config, &choice), 0);
  assert_int_equal(choice.mtu, 576);
  offers.rx_length_max = 0;
  assert_int_equal(dpdk_device_negotiate(&offers, &config, &choice), -ERANGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_device_of_the_table),
      cmocka_unit_test(one_queue_needs_no_hashing),
      cmocka_unit_test(what_cannot_work_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
