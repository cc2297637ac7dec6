/* What IP adds to a frame of ours, either family: never fragmented, no options, no extension headers. */
#include "checksum.h"
#include "network_internal.h"

#define HOP_LIMIT 64u

uint32_t network_address_find(const struct network *network, const struct ip_address *address) {
  for (uint32_t i = 0; i < network->config.address_count; i++) {
    if (ip_address_equal(&network->config.addresses[i], address)) return i;
  }
  return NETWORK_ADDRESSES_MAX;
}

static uint32_t ipv4_header_write(const struct network *network, uint8_t *ip, const struct path *path, uint8_t protocol,
                                  uint32_t l4_bytes) {
  store_be16(ip, 0x4500);
  store_be16(ip + 2, (uint16_t)(IPV4_HEADER_BYTES + l4_bytes));
  /* Never fragmented, so the identification may be anything (RFC 6864). */
  store_be32(ip + 4, IPV4_DONT_FRAGMENT);
  ip[8] = HOP_LIMIT;
  ip[9] = protocol;
  store_be16(ip + 10, 0);
  store_be32(ip + 12, ip_address_ipv4(&network->config.addresses[path->local]));
  store_be32(ip + 16, ip_address_ipv4(&path->peer));
  if (network->config.offload & NETWORK_OFFLOAD_TX_IPV4_CHECKSUM) return NETWORK_OFFLOAD_TX_IPV4_CHECKSUM;
  const uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_HEADER_BYTES));
  memcpy(ip + 10, &checksum, sizeof checksum);
  return 0;
}

static void ipv6_header_write(const struct network *network, uint8_t *ip, const struct path *path, uint8_t protocol,
                              uint32_t l4_bytes) {
  store_be32(ip, 6u << 28);
  store_be16(ip + 4, (uint16_t)l4_bytes);
  ip[6] = protocol;
  ip[7] = HOP_LIMIT;
  ip_address_store(ip + 8, &network->config.addresses[path->local]);
  ip_address_store(ip + 24, &path->peer);
}

uint32_t ip_headers_write(const struct network *network, uint8_t *frame, const struct path *path, uint8_t protocol,
                          uint32_t l4_bytes) {
  const bool ipv4 = ip_address_is_ipv4(&path->peer);
  uint8_t *ip = frame + ethernet_header_write(network, frame, path->peer_mac, path->vlan, ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  if (ipv4) return ipv4_header_write(network, ip, path, protocol, l4_bytes);
  ipv6_header_write(network, ip, path, protocol, l4_bytes);
  return 0;
}
