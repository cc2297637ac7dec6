#pragma once
/* The kernel's side of a wire for tests: a packet socket on an interface, one ethertype. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int packet_socket_open(const char *interface, uint16_t ethertype) {
  const int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ethertype));
  const struct sockaddr_ll address = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ethertype), .sll_ifindex = (int)if_nametoindex(interface)};
  if (descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&address, sizeof address) != 0) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

/* The next frame that came in from the wire (not one that this host sent); 0 when none comes within `patience_ms`. */
static inline uint32_t packet_socket_receive(int descriptor, uint8_t *bytes, uint32_t room, int patience_ms) {
  for (struct pollfd ready = {.fd = descriptor, .events = POLLIN}; poll(&ready, 1, patience_ms) == 1;) {
    struct sockaddr_ll from;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(descriptor, bytes, room, 0, (struct sockaddr *)&from, &length);
    if (got <= 0) return 0;
    if (from.sll_pkttype != PACKET_OUTGOING) return (uint32_t)got;
  }
  return 0;
}
