/* UDP (RFC 768): one datagram to the listener of its port. No ICMP unreachable is sent: counted instead. */
#include "checksum.h"
#include "network_internal.h"

static bool udp_checksum_good(const struct network *network, const struct packet *packet, uint32_t udp_bytes) {
  if (packet->checksum_bad) return false;
  /* Zero means that the sender computed none, which IPv6 forbids (RFC 8200 section 8.1). */
  if (load_be16(packet->l4 + 6) == 0) return ip_address_is_ipv4(&packet->source);
  if (!(network->config.offload & NETWORK_OFFLOAD_RX_L4_VERIFY) && !packet->reassembled) return true;
  const uint64_t pseudo =
      checksum_pseudo_header(&packet->source, &network->config.addresses[packet->local], IP_PROTOCOL_UDP, udp_bytes);
  return checksum_fold(checksum_add(pseudo, packet->l4, udp_bytes)) == 0xffff;
}

void udp_receive(struct network *network, const struct packet *packet) {
  const uint32_t udp_bytes = packet->l4_bytes >= UDP_HEADER_BYTES ? load_be16(packet->l4 + 4) : 0;
  if (udp_bytes < UDP_HEADER_BYTES || udp_bytes > packet->l4_bytes) {
    network_dropped(network, DROP_UDP_MALFORMED);
    return;
  }
  if (!udp_checksum_good(network, packet, udp_bytes)) {
    network_dropped(network, DROP_UDP_CHECKSUM);
    return;
  }
  const uint16_t port = load_be16(packet->l4 + 2);
  for (uint32_t i = 0; i < network->config.udp_listener_count; i++) {
    const struct network_udp_listener *listener = &network->config.udp_listeners[i];
    if (listener->port != port) continue;
    network->counters.udp_delivered++;
    listener->received(listener->context, &packet->source, load_be16(packet->l4), packet->l4 + UDP_HEADER_BYTES,
                       udp_bytes - UDP_HEADER_BYTES, network->now_ns);
    return;
  }
  network_dropped(network, DROP_UDP_PORT);
}
