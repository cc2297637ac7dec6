/* Ethernet II with at most one 802.1Q tag: which frames are ours, and the header of those we send. */
#include "network_internal.h"
#include "tcp_internal.h"

#define VLAN_ID_MASK 0x0fffu

/* With no ids configured only frames without a tag are ours. In the list 0 stands for those; a tag of id 0 only carries a
 * priority (IEEE 802.1Q section 9.6) and counts as none. */
static bool vlan_accepted(const struct network *network, uint16_t vlan) {
  if (network->config.vlan_count == 0) return vlan == 0;
  for (uint32_t i = 0; i < network->config.vlan_count; i++) {
    if (network->config.vlans[i] == vlan) return true;
  }
  return false;
}

static void ethernet_dispatch(struct network *network, const struct link_frame *frame, uint16_t ethertype) {
  if (ethertype == ETHERTYPE_IPV4) {
    /* RFC 1122 section 3.3.6: unicast packets in a link-layer broadcast are discarded; group addresses are not ours anyway. */
    if (frame->group) {
      network_dropped(network, DROP_ETHERNET_NOT_OURS);
    } else {
      ipv4_receive(network, frame);
      tcp_reap(network);
    }
  } else if (ethertype == ETHERTYPE_IPV6) {
    ipv6_receive(network, frame);
    tcp_reap(network);
  } else if (ethertype == ETHERTYPE_ARP) {
    arp_receive(network, frame);
  } else {
    network_dropped(network, DROP_ETHERTYPE);
  }
}

void ethernet_receive(struct network *network, const uint8_t *bytes, uint32_t length, bool checksum_bad) {
  if (length < ETHERNET_HEADER_BYTES) {
    network_dropped(network, DROP_ETHERNET_SHORT);
    return;
  }
  struct link_frame frame = {.ethernet = bytes,
                             .payload = bytes + ETHERNET_HEADER_BYTES,
                             .payload_bytes = length - ETHERNET_HEADER_BYTES,
                             .group = bytes[0] & 1,
                             .checksum_bad = checksum_bad};
  /* A group address is never a source (IEEE 802.3): an answer to it would be a multicast. */
  if ((!frame.group && memcmp(bytes, network->config.mac, 6) != 0) || (bytes[6] & 1)) {
    network_dropped(network, DROP_ETHERNET_NOT_OURS);
    return;
  }
  uint16_t ethertype = load_be16(bytes + 12);
  if (ethertype == ETHERTYPE_VLAN) {
    if (frame.payload_bytes < VLAN_TAG_BYTES) {
      network_dropped(network, DROP_ETHERNET_SHORT);
      return;
    }
    frame.vlan = load_be16(frame.payload) & VLAN_ID_MASK;
    ethertype = load_be16(frame.payload + 2);
    frame.payload += VLAN_TAG_BYTES;
    frame.payload_bytes -= VLAN_TAG_BYTES;
  }
  if (!vlan_accepted(network, frame.vlan)) {
    network_dropped(network, DROP_VLAN_NOT_OURS);
    return;
  }
  ethernet_dispatch(network, &frame, ethertype);
}

uint32_t ethernet_header_write(const struct network *network, uint8_t *frame, const uint8_t peer_mac[6], uint16_t vlan,
                               uint16_t ethertype) {
  memcpy(frame, peer_mac, 6);
  memcpy(frame + 6, network->config.mac, 6);
  if (!vlan) {
    store_be16(frame + 12, ethertype);
    return ETHERNET_HEADER_BYTES;
  }
  store_be16(frame + 12, ETHERTYPE_VLAN);
  store_be16(frame + 14, vlan);
  store_be16(frame + 16, ethertype);
  return ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES;
}
