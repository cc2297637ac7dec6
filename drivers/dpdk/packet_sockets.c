#include "dpdk_internal.h"
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* The packet sockets are the process's own, so they can be told from its other descriptors: packet family, bound to the
 * interface, member of a fan-out group. */
static bool is_ours(int descriptor, unsigned interface_index) {
  int family = 0;
  socklen_t length = sizeof family;
  if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0 || family != AF_PACKET) return false;
  struct sockaddr_ll address;
  length = sizeof address;
  if (getsockname(descriptor, (struct sockaddr *)&address, &length) != 0 || (unsigned)address.sll_ifindex != interface_index)
    return false;
  int fanout = 0;
  length = sizeof fanout;
  return getsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &fanout, &length) == 0 && fanout != 0;
}

void packet_sockets_find(struct packet_sockets *sockets, unsigned interface_index) {
  const int descriptors_most = 65536; /* the daemon opens its ports first, when its descriptors are low */
  struct rlimit limit;
  int end = descriptors_most;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < (rlim_t)descriptors_most) end = (int)limit.rlim_cur;
  *sockets = (struct packet_sockets){0};
  for (int descriptor = 0; descriptor < end && sockets->count < PACKET_SOCKETS_MAX; descriptor++)
    if (is_ours(descriptor, interface_index)) sockets->descriptors[sockets->count++] = descriptor;
}

uint64_t packet_sockets_dropped(struct packet_sockets *sockets) {
  for (uint32_t i = 0; i < sockets->count; i++) {
    struct tpacket_stats stats;
    socklen_t length = sizeof stats;
    if (getsockopt(sockets->descriptors[i], SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0)
      sockets->dropped += stats.tp_drops;
  }
  return sockets->dropped;
}
