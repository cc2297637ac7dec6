/* ICMP echo (RFC 792): answered byte for byte; errors have a file of their own. */
#include "checksum.h"
#include "network_internal.h"

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8

void icmp_receive(struct network *network, const struct packet *packet) {
  /* No port offers ICMP checksums, so they are verified here whatever the offload. */
  if (packet->l4_bytes < ICMP_HEADER_BYTES || packet->l4_bytes > network->config.mtu - IPV4_HEADER_BYTES ||
      checksum_fold(checksum_add(0, packet->l4, packet->l4_bytes)) != 0xffff) {
    network_dropped(network, DROP_ICMP_MALFORMED);
    return;
  }
  if (icmp_error_receive(network, packet)) return;
  if (packet->l4[0] != ICMP_ECHO_REQUEST || packet->l4[1] != 0) {
    network_dropped(network, DROP_ICMP_TYPE);
    return;
  }
  network->counters.icmp_answered++;
  const struct path path = path_back(packet);
  const uint32_t offset = frame_l4_offset(&path.peer, path.vlan), bytes = offset + packet->l4_bytes;
  uint8_t *frame = frame_reserve(network, bytes);
  if (!frame) return;
  const uint32_t offload = ip_headers_write(network, frame, &path, IP_PROTOCOL_ICMP, packet->l4_bytes);
  uint8_t *icmp = frame + offset;
  memcpy(icmp, packet->l4, packet->l4_bytes);
  icmp[0] = ICMP_ECHO_REPLY;
  store_be16(icmp + 2, 0);
  const uint16_t checksum = (uint16_t)~checksum_fold(checksum_add(0, icmp, packet->l4_bytes));
  memcpy(icmp + 2, &checksum, sizeof checksum);
  frame_commit(network, bytes, offload);
}
