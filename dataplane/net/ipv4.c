/* IPv4 (RFC 791, RFC 1122): validated before anything above sees it. Options and fragments are refused, counted. */
#include "checksum.h"
#include "network_internal.h"

/* 0/8, 127/8, multicast, reserved and broadcast are never a source (RFC 1122 section 3.2.1.3); nor are we. */
static bool source_is_host(const struct network *network, uint32_t source) {
  const uint32_t first = source >> 24;
  return first != 0 && first != 127 && first < 224 && source != network->config.ipv4;
}

/* The reason to drop the packet, or NETWORK_DROPS when it is good. */
static enum network_drop ipv4_check(const struct network *network, const uint8_t *ip, uint32_t bytes, bool checksum_bad) {
  if (bytes < IPV4_HEADER_BYTES || ip[0] >> 4 != 4) return DROP_IPV4_MALFORMED;
  const uint32_t header_bytes = (ip[0] & 15u) * 4;
  const uint32_t total = load_be16(ip + 2);
  if (header_bytes < IPV4_HEADER_BYTES || total < header_bytes) return DROP_IPV4_MALFORMED;
  if (total > bytes) return DROP_TRUNCATED;
  if (((network->config.offload & NETWORK_OFFLOAD_RX_IPV4_VERIFY) || checksum_bad) &&
      checksum_fold(checksum_add(0, ip, header_bytes)) != 0xffff) {
    return DROP_IPV4_CHECKSUM;
  }
  if (load_be32(ip + 16) != network->config.ipv4) return DROP_IPV4_NOT_OURS;
  if (header_bytes != IPV4_HEADER_BYTES) return DROP_IPV4_OPTIONS;
  if (load_be16(ip + 6) & IPV4_FRAGMENT_MASK) return DROP_IPV4_FRAGMENT;
  return source_is_host(network, load_be32(ip + 12)) ? NETWORK_DROPS : DROP_IPV4_MALFORMED;
}

void ipv4_receive(struct network *network, const uint8_t *frame, uint32_t length, bool checksum_bad) {
  const uint8_t *ip = frame + ETHERNET_HEADER_BYTES;
  const enum network_drop drop = ipv4_check(network, ip, length - ETHERNET_HEADER_BYTES, checksum_bad);
  if (drop != NETWORK_DROPS) {
    network_dropped(network, drop);
    return;
  }
  const struct packet packet = {
      .ethernet = frame,
      .source = load_be32(ip + 12),
      .destination = load_be32(ip + 16),
      .l4 = ip + IPV4_HEADER_BYTES,
      .l4_bytes = load_be16(ip + 2) - IPV4_HEADER_BYTES,
      .checksum_bad = checksum_bad,
  };
  switch (ip[9]) {
  case IPV4_PROTOCOL_TCP:
    tcp_receive(network, &packet);
    break;
  case IPV4_PROTOCOL_UDP:
    udp_receive(network, &packet);
    break;
  case IPV4_PROTOCOL_ICMP:
    icmp_receive(network, &packet);
    break;
  default:
    network_dropped(network, DROP_IPV4_PROTOCOL);
  }
}

uint32_t ipv4_header_write(const struct network *network, uint8_t *frame, const uint8_t peer_mac[6], uint32_t peer_ipv4,
                           uint8_t protocol, uint32_t l4_bytes) {
  memcpy(frame, peer_mac, 6);
  memcpy(frame + 6, network->config.mac, 6);
  store_be16(frame + 12, ETHERTYPE_IPV4);
  uint8_t *ip = frame + ETHERNET_HEADER_BYTES;
  store_be16(ip, 0x4500);
  store_be16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + l4_bytes));
  /* Never fragmented, so the identification may be anything (RFC 6864). */
  store_be32(ip + 4, IPV4_DONT_FRAGMENT);
  ip[8] = 64;
  ip[9] = protocol;
  store_be16(ip + 10, 0);
  store_be32(ip + 12, network->config.ipv4);
  store_be32(ip + 16, peer_ipv4);
  if (network->config.offload & NETWORK_OFFLOAD_TX_IPV4_CHECKSUM) return NETWORK_OFFLOAD_TX_IPV4_CHECKSUM;
  const uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER_BYTES));
  memcpy(ip + 10, &checksum, sizeof checksum);
  return 0;
}
