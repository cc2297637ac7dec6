#include "network.h"
#include "wire_internal.h"

int network_flow_owner(const struct siphash_key *key, const uint8_t *frame, uint32_t length, uint32_t shards) {
  if (length < FRAME_L4_OFFSET + 4 || load_be16(frame + 12) != ETHERTYPE_IPV4) return -1;
  const uint8_t *ip = frame + ETHERNET_HEADER_BYTES;
  /* Options, fragments and foreign protocols are dropped by whoever gets them. */
  if (ip[0] != 0x45 || (load_be16(ip + 6) & IPV4_FRAGMENT_MASK)) return -1;
  if (ip[9] != IPV4_PROTOCOL_TCP && ip[9] != IPV4_PROTOCOL_UDP) return -1;
  if (shards <= 1) return 0;
  /* Ordered endpoints make both directions hash alike. */
  const uint8_t *ports = ip + IPV4_HEADER_BYTES;
  const uint64_t from = (uint64_t)load_be32(ip + 12) << 16 | load_be16(ports);
  const uint64_t to = (uint64_t)load_be32(ip + 16) << 16 | load_be16(ports + 2);
  const uint64_t endpoints[2] = {from < to ? from : to, from < to ? to : from};
  const uint64_t hash = siphash(key, endpoints, sizeof endpoints);
  /* Multiply-shift instead of a division: uniform over any number of shards. */
  return (int)((hash >> 32) * shards >> 32);
}
