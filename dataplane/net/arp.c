/* ARP (RFC 826), answers only: the appliance never asks, it answers to the MAC that a frame came from. */
#include "network_internal.h"

#define ARP_ETHERNET 1u
#define ARP_REQUEST 1u
#define ARP_REPLY 2u
#define ARP_SENDER_MAC 8u
#define ARP_SENDER_IPV4 14u
#define ARP_TARGET_MAC 18u
#define ARP_TARGET_IPV4 24u

void arp_receive(struct network *network, const struct link_frame *frame) {
  const uint8_t *arp = frame->payload;
  if (frame->payload_bytes < ARP_BYTES || load_be16(arp) != ARP_ETHERNET || load_be16(arp + 2) != ETHERTYPE_IPV4 || arp[4] != 6 ||
      arp[5] != 4) {
    network_dropped(network, DROP_ARP_MALFORMED);
    return;
  }
  const uint32_t target = load_be32(arp + ARP_TARGET_IPV4);
  const struct ip_address address = ip_address_of_ipv4(target);
  if (load_be16(arp + 6) != ARP_REQUEST || network_address_find(network, &address) == NETWORK_ADDRESSES_MAX) {
    network_dropped(network, DROP_ARP_NOT_OURS);
    return;
  }
  network->counters.arp_answered++;
  const uint32_t bytes = ETHERNET_HEADER_BYTES + (frame->vlan ? VLAN_TAG_BYTES : 0) + ARP_BYTES;
  uint8_t *reply = frame_reserve(network, bytes);
  if (!reply) return;
  uint8_t *out = reply + ethernet_header_write(network, reply, frame->ethernet + 6, frame->vlan, ETHERTYPE_ARP);
  memcpy(out, arp, 6);
  store_be16(out + 6, ARP_REPLY);
  memcpy(out + ARP_SENDER_MAC, network->config.mac, 6);
  store_be32(out + ARP_SENDER_IPV4, target);
  memcpy(out + ARP_TARGET_MAC, arp + ARP_SENDER_MAC, 10);
  frame_commit(network, bytes, 0);
}
