/* IPv4 (RFC 791, RFC 1122): validated before anything above sees it. Options, and fragments of anything but
 * UDP, are refused and counted. */
#include "checksum.h"
#include "network_internal.h"

static bool own(const struct network *network, uint32_t ipv4) {
  const struct ip_address address = ip_address_of_ipv4(ipv4);
  return network_address_find(network, &address) != NETWORK_ADDRESSES_MAX;
}

/* 0/8, 127/8, multicast, reserved and broadcast are never a source (RFC 1122 section 3.2.1.3); nor are we. */
static bool source_is_host(const struct network *network, uint32_t source) {
  const uint32_t first = source >> 24;
  return first != 0 && first != 127 && first < 224 && !own(network, source);
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
  if (!own(network, load_be32(ip + 16))) return DROP_IPV4_NOT_OURS;
  if (header_bytes != IPV4_HEADER_BYTES) return DROP_IPV4_OPTIONS;
  if ((load_be16(ip + 6) & IPV4_FRAGMENT_MASK) && ip[9] != IP_PROTOCOL_UDP) return DROP_IPV4_FRAGMENT;
  return source_is_host(network, load_be32(ip + 12)) ? NETWORK_DROPS : DROP_IPV4_MALFORMED;
}

void ipv4_receive(struct network *network, const struct link_frame *frame) {
  const uint8_t *ip = frame->payload;
  const enum network_drop drop = ipv4_check(network, ip, frame->payload_bytes, frame->checksum_bad);
  if (drop != NETWORK_DROPS) {
    network_dropped(network, drop);
    return;
  }
  const struct ip_address destination = ip_address_of_ipv4(load_be32(ip + 16));
  const struct packet packet = {
      .ethernet = frame->ethernet,
      .source = ip_address_of_ipv4(load_be32(ip + 12)),
      .vlan = frame->vlan,
      .local = (uint8_t)network_address_find(network, &destination),
      .l4 = ip + IPV4_HEADER_BYTES,
      .l4_bytes = load_be16(ip + 2) - IPV4_HEADER_BYTES,
      .checksum_bad = frame->checksum_bad,
  };
  const uint16_t field = load_be16(ip + 6);
  if (field & IPV4_FRAGMENT_MASK) {
    const struct fragment fragment = {.identification = load_be16(ip + 4),
                                      .offset = (field & IPV4_OFFSET_MASK) * 8u,
                                      .more = field & IPV4_MORE_FRAGMENTS,
                                      .bytes = packet.l4,
                                      .length = packet.l4_bytes};
    fragments_receive(network, &packet, &fragment);
    return;
  }
  switch (ip[9]) {
  case IP_PROTOCOL_TCP:
    tcp_receive(network, &packet);
    break;
  case IP_PROTOCOL_UDP:
    udp_receive(network, &packet);
    break;
  case IP_PROTOCOL_ICMP:
    icmp_receive(network, &packet);
    break;
  default:
    network_dropped(network, DROP_IPV4_PROTOCOL);
  }
}
