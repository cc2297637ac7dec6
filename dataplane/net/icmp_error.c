/* ICMP errors about segments of ours (RFC 792, RFC 4443, RFC 5927). Only "too big" is acted on, and only where it quotes a
 * segment in flight: a blind attacker must guess the four-tuple and a sequence number within one window, and gains a floor. All
 * others would at most end a connection that its own timers end as well. */
#include "network_internal.h"
#include "tcp_internal.h"

#define QUOTED_TCP_BYTES 8u /* ports and sequence number */
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_ERROR_MAX 127

struct quote {
  struct ip_address source, destination;
  uint32_t packet_bytes;
  const uint8_t *tcp;
};

static bool ipv4_quote(const uint8_t *ip, uint32_t bytes, struct quote *quote) {
  /* Ours have no options and are never fragments. */
  if (bytes < IPV4_HEADER_BYTES + QUOTED_TCP_BYTES || ip[0] != 0x45 || ip[9] != IP_PROTOCOL_TCP) return false;
  if (load_be16(ip + 6) & IPV4_FRAGMENT_MASK) return false;
  *quote = (struct quote){.source = ip_address_of_ipv4(load_be32(ip + 12)),
                          .destination = ip_address_of_ipv4(load_be32(ip + 16)),
                          .packet_bytes = load_be16(ip + 2),
                          .tcp = ip + IPV4_HEADER_BYTES};
  return true;
}

static bool ipv6_quote(const uint8_t *ip, uint32_t bytes, struct quote *quote) {
  if (bytes < IPV6_HEADER_BYTES + QUOTED_TCP_BYTES || ip[0] >> 4 != 6 || ip[6] != IP_PROTOCOL_TCP) return false;
  *quote = (struct quote){.source = ip_address_of_bytes(ip + 8),
                          .destination = ip_address_of_bytes(ip + 24),
                          .packet_bytes = IPV6_HEADER_BYTES + load_be16(ip + 4),
                          .tcp = ip + IPV6_HEADER_BYTES};
  return !ip_address_is_ipv4(&quote->destination);
}

static void too_big(struct network *network, const struct packet *packet, const struct quote *quote, uint32_t mtu) {
  const struct stream_key key = {.peer = quote->destination,
                                 .peer_port = load_be16(quote->tcp + 2),
                                 .local_port = load_be16(quote->tcp),
                                 .vlan = packet->vlan,
                                 .local = packet->local};
  /* A packet that would have fitted was never refused for its size. */
  if (!ip_address_equal(&quote->source, &network->config.addresses[packet->local]) || quote->packet_bytes <= mtu ||
      !tcp_too_big(network, &key, load_be32(quote->tcp + 4), mtu)) {
    network_dropped(network, DROP_ICMP_UNPROVEN);
    return;
  }
  network->counters.icmp_too_big++;
}

bool icmp_error_receive(struct network *network, const struct packet *packet) {
  const uint8_t *icmp = packet->l4, type = icmp[0], code = icmp[1];
  if (type != ICMP_UNREACHABLE && type != ICMP_SOURCE_QUENCH && type != ICMP_REDIRECT && type != ICMP_TIME_EXCEEDED &&
      type != ICMP_PARAMETER_PROBLEM) {
    return false;
  }
  struct quote quote;
  if (type != ICMP_UNREACHABLE || code != ICMP_FRAGMENTATION_NEEDED) {
    network_dropped(network, DROP_ICMP_ERROR);
  } else if (!ipv4_quote(icmp + ICMP_HEADER_BYTES, packet->l4_bytes - ICMP_HEADER_BYTES, &quote)) {
    network_dropped(network, DROP_ICMP_UNPROVEN);
  } else {
    too_big(network, packet, &quote, load_be16(icmp + 6));
  }
  return true;
}

bool icmpv6_error_receive(struct network *network, const struct packet *packet) {
  const uint8_t *icmp = packet->l4;
  if (icmp[0] > ICMPV6_ERROR_MAX || packet->local == NETWORK_ADDRESSES_MAX) return false;
  struct quote quote;
  if (icmp[0] != ICMPV6_PACKET_TOO_BIG) {
    network_dropped(network, DROP_ICMP_ERROR);
  } else if (!ipv6_quote(icmp + ICMP_HEADER_BYTES, packet->l4_bytes - ICMP_HEADER_BYTES, &quote)) {
    network_dropped(network, DROP_ICMP_UNPROVEN);
  } else {
    too_big(network, packet, &quote, load_be32(icmp + 4));
  }
  return true;
}
