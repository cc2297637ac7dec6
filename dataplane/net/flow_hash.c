#include "network.h"
#include "wire_internal.h"

/* What the owner is chosen by: ordered endpoints, so that both directions hash alike. */
struct flow {
  struct ip_address low, high;
  uint16_t low_port, high_port;
  uint32_t protocol;
};

_Static_assert(sizeof(struct flow) == 40, "no padding");

static struct flow flow_of(const struct ip_address *source, const struct ip_address *destination, const uint8_t *ports,
                           uint8_t protocol) {
  const uint16_t from = ports ? load_be16(ports) : 0, to = ports ? load_be16(ports + 2) : 0;
  const int order = memcmp(source, destination, sizeof *source);
  const bool forward = order < 0 || (order == 0 && from < to);
  return (struct flow){.low = forward ? *source : *destination,
                       .high = forward ? *destination : *source,
                       .low_port = forward ? from : to,
                       .high_port = forward ? to : from,
                       .protocol = protocol};
}

/* An ICMP error goes to the owner of the flow that it quotes. */
static bool ipv4_quoted_flow(const uint8_t *icmp, uint32_t bytes, struct flow *flow) {
  const uint8_t *ip = icmp + ICMP_HEADER_BYTES;
  if (bytes < ICMP_HEADER_BYTES + IPV4_HEADER_BYTES + 4 || icmp[0] != 3 || ip[0] != 0x45) return false;
  if ((ip[9] != IP_PROTOCOL_TCP && ip[9] != IP_PROTOCOL_UDP) || (load_be16(ip + 6) & IPV4_FRAGMENT_MASK)) return false;
  const struct ip_address source = ip_address_of_ipv4(load_be32(ip + 12)), destination = ip_address_of_ipv4(load_be32(ip + 16));
  *flow = flow_of(&source, &destination, ip + IPV4_HEADER_BYTES, ip[9]);
  return true;
}

static bool ipv6_quoted_flow(const uint8_t *icmp, uint32_t bytes, struct flow *flow) {
  const uint8_t *ip = icmp + ICMP_HEADER_BYTES;
  if (bytes < ICMP_HEADER_BYTES + IPV6_HEADER_BYTES + 4 || icmp[0] > 127 || ip[0] >> 4 != 6) return false;
  if (ip[6] != IP_PROTOCOL_TCP && ip[6] != IP_PROTOCOL_UDP) return false;
  const struct ip_address source = ip_address_of_bytes(ip + 8), destination = ip_address_of_bytes(ip + 24);
  *flow = flow_of(&source, &destination, ip + IPV6_HEADER_BYTES, ip[6]);
  return true;
}

/* False for options and foreign protocols, which are dropped or answered by whoever gets them. */
static bool ipv4_flow(const uint8_t *ip, uint32_t bytes, struct flow *flow) {
  if (bytes < IPV4_HEADER_BYTES + 4 || ip[0] != 0x45) return false;
  if (ip[9] == IP_PROTOCOL_ICMP) return ipv4_quoted_flow(ip + IPV4_HEADER_BYTES, bytes - IPV4_HEADER_BYTES, flow);
  if (ip[9] != IP_PROTOCOL_TCP && ip[9] != IP_PROTOCOL_UDP) return false;
  const struct ip_address source = ip_address_of_ipv4(load_be32(ip + 12)), destination = ip_address_of_ipv4(load_be32(ip + 16));
  /* Only the first fragment has ports, so all of a datagram goes by what they share. */
  const bool fragment = load_be16(ip + 6) & IPV4_FRAGMENT_MASK;
  *flow = flow_of(&source, &destination, fragment ? NULL : ip + IPV4_HEADER_BYTES, ip[9]);
  return true;
}

/* Walks as many extension headers as ipv6_receive would; what it refuses may be refused by anybody. */
static bool ipv6_flow(const uint8_t *ip, uint32_t bytes, struct flow *flow) {
  if (bytes < IPV6_HEADER_BYTES || ip[0] >> 4 != 6) return false;
  uint8_t next = ip[6];
  uint32_t at = IPV6_HEADER_BYTES;
  for (uint32_t i = 0; i < IPV6_EXTENSIONS_MAX && ipv6_is_extension(next); i++) {
    if (bytes - at < 2) return false;
    const uint32_t header_bytes = 8u + ip[at + 1] * 8u;
    if (bytes - at < header_bytes) return false;
    next = ip[at];
    at += header_bytes;
  }
  const bool fragment = next == IPV6_NEXT_FRAGMENT;
  if (next == IP_PROTOCOL_ICMPV6) return ipv6_quoted_flow(ip + at, bytes - at, flow);
  if (bytes - at < 4 || (!fragment && next != IP_PROTOCOL_TCP && next != IP_PROTOCOL_UDP)) return false;
  const struct ip_address source = ip_address_of_bytes(ip + 8), destination = ip_address_of_bytes(ip + 24);
  *flow = flow_of(&source, &destination, fragment ? NULL : ip + at, fragment ? ip[at] : next);
  return true;
}

int network_flow_owner(const struct siphash_key *key, const uint8_t *frame, uint32_t length, uint32_t shards) {
  if (length < ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES) return -1;
  const bool tagged = load_be16(frame + 12) == ETHERTYPE_VLAN;
  const uint32_t offset = ETHERNET_HEADER_BYTES + (tagged ? VLAN_TAG_BYTES : 0);
  const uint16_t ethertype = load_be16(frame + offset - 2);
  struct flow flow;
  if (!(ethertype == ETHERTYPE_IPV4 && ipv4_flow(frame + offset, length - offset, &flow)) &&
      !(ethertype == ETHERTYPE_IPV6 && ipv6_flow(frame + offset, length - offset, &flow)))
    return -1;
  if (shards <= 1) return 0;
  /* Multiply-shift instead of a division: uniform over any number of shards. */
  return (int)((siphash(key, &flow, sizeof flow) >> 32) * shards >> 32);
}
