/* IPv6 (RFC 8200): the header and a bounded walk over extension headers. Nothing is forwarded, no option is acted on. */
#include "network_internal.h"

#define EXTENSION_BYTES_MAX 256u
#define OPTION_PAD1 0u

/* How far the walk has come. */
struct walk {
  const uint8_t *at;
  uint32_t left, headers, bytes;
  uint8_t next;
};

/* RFC 8200 section 4.2: an unknown option with one of the two highest bits set forbids the packet. No ICMP is sent. */
static bool options_acceptable(const uint8_t *options, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes;) {
    if (options[at] == OPTION_PAD1) {
      at++;
      continue;
    }
    if (bytes - at < 2 || options[at + 1] > bytes - at - 2) return false;
    if (options[at] & 0xc0) return false;
    at += 2u + options[at + 1];
  }
  return true;
}

static enum network_drop extension_skip(struct walk *walk) {
  if (walk->left < 8) return DROP_IPV6_MALFORMED;
  const uint32_t bytes = 8u + walk->at[1] * 8u;
  if (bytes > walk->left) return DROP_IPV6_MALFORMED;
  walk->headers++;
  walk->bytes += bytes;
  if (walk->headers > IPV6_EXTENSIONS_MAX || walk->bytes > EXTENSION_BYTES_MAX) return DROP_IPV6_EXTENSION;
  if (walk->next == IPV6_NEXT_ROUTING) {
    /* RFC 8200 section 4.4: with segments left it is not for us to read; type 0 is refused altogether (RFC 5095). */
    if (walk->at[2] == 0 || walk->at[3] != 0) return DROP_IPV6_EXTENSION;
  } else if (!options_acceptable(walk->at + 2, bytes - 2)) {
    return DROP_IPV6_EXTENSION;
  }
  walk->next = walk->at[0];
  walk->at += bytes;
  walk->left -= bytes;
  return NETWORK_DROPS;
}

/* Stops at an upper layer or at a fragment header. Hop-by-hop options come first or not at all. */
static enum network_drop extensions_walk(struct walk *walk) {
  bool first = true;
  while (ipv6_is_extension(walk->next)) {
    if (walk->next == IPV6_NEXT_HOP_BY_HOP && !first) return DROP_IPV6_MALFORMED;
    first = false;
    const enum network_drop drop = extension_skip(walk);
    if (drop != NETWORK_DROPS) return drop;
  }
  return NETWORK_DROPS;
}

/* ::, ::1, multicast, an IPv4 address in disguise and ourselves are never a source; :: is one for duplicate detection only. */
static bool source_is_host(const struct network *network, const struct ip_address *source) {
  const uint8_t *bytes = (const uint8_t *)source;
  if (source->words[0] == 0 && (source->words[1] == 0 || source->words[1] == __builtin_bswap64(1))) return false;
  return bytes[0] != 0xff && !ip_address_is_ipv4(source) && network_address_find(network, source) == NETWORK_ADDRESSES_MAX;
}

static bool unspecified(const struct ip_address *address) { return (address->words[0] | address->words[1]) == 0; }

static enum network_drop header_check(const struct network *network, const struct link_frame *frame) {
  const uint8_t *ip = frame->payload;
  if (frame->payload_bytes < IPV6_HEADER_BYTES || ip[0] >> 4 != 6) return DROP_IPV6_MALFORMED;
  if (load_be16(ip + 4) > frame->payload_bytes - IPV6_HEADER_BYTES) return DROP_TRUNCATED;
  const struct ip_address source = ip_address_of_bytes(ip + 8), destination = ip_address_of_bytes(ip + 24);
  if (ip_address_is_ipv4(&destination)) return DROP_IPV6_MALFORMED;
  const bool ours = network_address_find(network, &destination) != NETWORK_ADDRESSES_MAX;
  if (!ours && !neighbour_group_is_ours(network, &destination)) return DROP_IPV6_NOT_OURS;
  /* A unicast packet in a group frame is somebody's attempt to make many answer. */
  if (ours && frame->group) return DROP_ETHERNET_NOT_OURS;
  return source_is_host(network, &source) || (!ours && unspecified(&source)) ? NETWORK_DROPS : DROP_IPV6_MALFORMED;
}

static void fragment_receive(struct network *network, struct packet *packet, const struct walk *walk) {
  if (walk->left < IPV6_FRAGMENT_BYTES) {
    network_dropped(network, DROP_IPV6_MALFORMED);
    return;
  }
  /* What follows the fragment header must be UDP at once: the rest of a chain hidden behind it is nobody's need. */
  if (walk->at[0] != IP_PROTOCOL_UDP) {
    network_dropped(network, DROP_IPV6_FRAGMENT);
    return;
  }
  const uint16_t field = load_be16(walk->at + 2);
  packet->l4 = walk->at + IPV6_FRAGMENT_BYTES;
  packet->l4_bytes = walk->left - IPV6_FRAGMENT_BYTES;
  const struct fragment fragment = {.identification = load_be32(walk->at + 4),
                                    .offset = field & 0xfff8u,
                                    .more = field & 1,
                                    .bytes = packet->l4,
                                    .length = packet->l4_bytes};
  /* RFC 6946: alone it is a whole datagram, whatever else is being put together. */
  if (fragment.offset == 0 && !fragment.more) {
    udp_receive(network, packet);
  } else {
    fragments_receive(network, packet, &fragment);
  }
}

void ipv6_receive(struct network *network, const struct link_frame *frame) {
  const uint8_t *ip = frame->payload;
  enum network_drop drop = header_check(network, frame);
  struct walk walk = {0};
  if (drop == NETWORK_DROPS) {
    walk = (struct walk){.at = ip + IPV6_HEADER_BYTES, .left = load_be16(ip + 4), .next = ip[6]};
    drop = extensions_walk(&walk);
  }
  if (drop != NETWORK_DROPS) {
    network_dropped(network, drop);
    return;
  }
  const struct ip_address destination = ip_address_of_bytes(ip + 24);
  const uint32_t local = network_address_find(network, &destination);
  struct packet packet = {
      .ethernet = frame->ethernet,
      .source = ip_address_of_bytes(ip + 8),
      .vlan = frame->vlan,
      .local = (uint8_t)local,
      .l4 = walk.at,
      .l4_bytes = walk.left,
      .checksum_bad = frame->checksum_bad,
  };
  if (walk.next == IP_PROTOCOL_ICMPV6) {
    icmpv6_receive(network, &packet, &destination, ip[7]);
  } else if (local == NETWORK_ADDRESSES_MAX) {
    network_dropped(network, DROP_IPV6_NOT_OURS);
  } else if (walk.next == IP_PROTOCOL_TCP) {
    tcp_receive(network, &packet);
  } else if (walk.next == IP_PROTOCOL_UDP) {
    udp_receive(network, &packet);
  } else if (walk.next == IPV6_NEXT_FRAGMENT) {
    fragment_receive(network, &packet, &walk);
  } else {
    network_dropped(network, DROP_IPV6_PROTOCOL);
  }
}
