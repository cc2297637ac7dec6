/* ICMPv6 (RFC 4443) echo and the answering half of neighbour discovery (RFC 4861): as with ARP the appliance never asks, it
 * answers to the MAC that a frame came from, so it keeps no neighbour cache that could be poisoned or filled. */
#include "checksum.h"
#include "network_internal.h"

#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define NEIGHBOUR_BYTES 24u
#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define OPTION_MAC_BYTES 8u
#define FLAG_SOLICITED 0x40
#define FLAG_OVERRIDE 0x20
#define HOP_LIMIT_UNFORWARDED 255

static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t solicited_prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};

bool neighbour_group_is_ours(const struct network *network, const struct ip_address *group) {
  const uint8_t *bytes = (const uint8_t *)group;
  if (memcmp(bytes, solicited_prefix, sizeof solicited_prefix) != 0) return false;
  for (uint32_t i = 0; i < network->config.address_count; i++) {
    const struct ip_address *address = &network->config.addresses[i];
    if (!ip_address_is_ipv4(address) && memcmp((const uint8_t *)address + 13, bytes + 13, 3) == 0) return true;
  }
  return false;
}

static void checksum_write(const struct network *network, uint8_t *icmp, uint32_t bytes, const struct path *path) {
  store_be16(icmp + 2, 0);
  const uint64_t pseudo = checksum_pseudo_header(&network->config.addresses[path->local], &path->peer, IP_PROTOCOL_ICMPV6, bytes);
  const uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(pseudo, icmp, bytes));
  memcpy(icmp + 2, &checksum, sizeof checksum);
}

static void echo_answer(struct network *network, const struct packet *packet) {
  network->counters.icmp_answered++;
  const struct path path = path_back(packet);
  const uint32_t offset = frame_l4_offset(&path.peer, path.vlan), bytes = offset + packet->l4_bytes;
  uint8_t *frame = frame_reserve(network, bytes);
  if (!frame) return;
  const uint32_t offload = ip_headers_write(network, frame, &path, IP_PROTOCOL_ICMPV6, packet->l4_bytes);
  memcpy(frame + offset, packet->l4, packet->l4_bytes);
  frame[offset] = ICMPV6_ECHO_REPLY;
  checksum_write(network, frame + offset, packet->l4_bytes, &path);
  frame_commit(network, bytes, offload);
}

/* RFC 4861 section 7.1.1, and no source address option where the sender has no address yet. */
static bool options_good(const struct packet *packet, bool duplicate_detection) {
  const uint8_t *at = packet->l4 + NEIGHBOUR_BYTES;
  for (uint32_t left = packet->l4_bytes - NEIGHBOUR_BYTES; left > 0;) {
    if (left < 2 || at[1] == 0 || at[1] * 8u > left) return false;
    if (duplicate_detection && at[0] == OPTION_SOURCE_MAC) return false;
    left -= at[1] * 8u;
    at += at[1] * 8u;
  }
  return true;
}

static void advertise(struct network *network, const struct packet *packet, uint32_t local, bool duplicate_detection) {
  const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
  struct path path = path_back(packet);
  path.local = (uint8_t)local;
  if (duplicate_detection) {
    /* Who asks has no address yet: all hear that this one is taken (section 7.2.4). */
    path.peer = ip_address_of_bytes(all_nodes);
    path.peer_mac = all_nodes_mac;
  }
  const uint32_t offset = frame_l4_offset(&path.peer, path.vlan), icmp_bytes = NEIGHBOUR_BYTES + OPTION_MAC_BYTES;
  uint8_t *frame = frame_reserve(network, offset + icmp_bytes);
  if (!frame) return;
  const uint32_t offload = ip_headers_write(network, frame, &path, IP_PROTOCOL_ICMPV6, icmp_bytes);
  frame[offset - IPV6_HEADER_BYTES + 7] = HOP_LIMIT_UNFORWARDED;
  uint8_t *icmp = frame + offset;
  memset(icmp, 0, icmp_bytes);
  icmp[0] = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
  icmp[4] = duplicate_detection ? FLAG_OVERRIDE : FLAG_SOLICITED | FLAG_OVERRIDE;
  ip_address_store(icmp + 8, &network->config.addresses[local]);
  icmp[NEIGHBOUR_BYTES] = OPTION_TARGET_MAC;
  icmp[NEIGHBOUR_BYTES + 1] = OPTION_MAC_BYTES / 8;
  memcpy(icmp + NEIGHBOUR_BYTES + 2, network->config.mac, 6);
  checksum_write(network, icmp, icmp_bytes, &path);
  frame_commit(network, offset + icmp_bytes, offload);
}

static void solicitation_receive(struct network *network, const struct packet *packet, const struct ip_address *destination,
                                 uint8_t hop_limit) {
  const bool duplicate_detection = (packet->source.words[0] | packet->source.words[1]) == 0;
  /* With another hop limit it came from beyond the link (section 7.1.1). Without a source it goes to the group only. */
  if (hop_limit != HOP_LIMIT_UNFORWARDED || packet->l4[1] != 0 || packet->l4_bytes < NEIGHBOUR_BYTES ||
      !options_good(packet, duplicate_detection) || (duplicate_detection && !neighbour_group_is_ours(network, destination))) {
    network_dropped(network, DROP_ND_MALFORMED);
    return;
  }
  const struct ip_address target = ip_address_of_bytes(packet->l4 + 8);
  const uint32_t local = ip_address_is_ipv4(&target) ? NETWORK_ADDRESSES_MAX : network_address_find(network, &target);
  if (local == NETWORK_ADDRESSES_MAX) {
    network_dropped(network, DROP_ND_NOT_OURS);
    return;
  }
  network->counters.nd_answered++;
  advertise(network, packet, local, duplicate_detection);
}

void icmpv6_receive(struct network *network, const struct packet *packet, const struct ip_address *destination,
                    uint8_t hop_limit) {
  /* No port offers ICMP checksums, so they are verified here whatever the offload. */
  const uint64_t pseudo = checksum_pseudo_header(&packet->source, destination, IP_PROTOCOL_ICMPV6, packet->l4_bytes);
  if (packet->l4_bytes < ICMP_HEADER_BYTES || packet->l4_bytes > network->config.mtu - IPV6_HEADER_BYTES ||
      checksum_fold(checksum_add(pseudo, packet->l4, packet->l4_bytes)) != 0xffff) {
    network_dropped(network, DROP_ICMP_MALFORMED);
    return;
  }
  if (icmpv6_error_receive(network, packet)) return;
  const uint8_t type = packet->l4[0];
  if (type == ICMPV6_NEIGHBOUR_SOLICITATION) {
    solicitation_receive(network, packet, destination, hop_limit);
  } else if (type == ICMPV6_ECHO_REQUEST && packet->l4[1] == 0 && packet->local != NETWORK_ADDRESSES_MAX) {
    echo_answer(network, packet);
  } else {
    network_dropped(network, DROP_ICMP_TYPE);
  }
}
