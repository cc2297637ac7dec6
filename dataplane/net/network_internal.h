#pragma once
/* What the files of this room share: the shard's network and the path of a frame through it.
 * Threads: one shard. Lifetime: the arena's. */
#include "always_assert.h"
#include "link_internal.h"
#include "network.h"
#include "pool.h"
#include "timer_wheel.h"
#include "wire_internal.h"

/* Streams that one flush serves; the rest wait for the next one in order. */
#define FLUSH_STREAMS_MAX 256u

struct network {
  struct network_counters counters;
  uint64_t now_ns; /* of the step in progress: stream calls carry no time */
  struct stream **buckets;
  uint32_t bucket_mask;
  uint16_t mss;         /* from the MTU: what we announce and the most we send */
  uint8_t window_shift; /* RFC 7323: smallest that lets the window field hold receive_buffer_bytes */
  bool paused, draining;
  struct stream *last_found; /* the segments of a burst come in runs of one connection */
  struct stream *graveyard;  /* ended streams, linked by hash_next, until no caller can hold them */
  struct link pending;       /* streams with something to do at the next flush */
  struct link held;          /* streams that wait for the end of a pause */
  struct link half_open;     /* oldest first */
  struct link time_wait;     /* oldest first */
  struct timer_wheel *wheel;
  struct pool streams, receive_blocks, send_blocks;
  struct network_config config;
};

/* A received frame on its way up. `l4` lies in the frame. */
struct packet {
  const uint8_t *ethernet;
  uint32_t source, destination; /* host order */
  const uint8_t *l4;
  uint32_t l4_bytes;
  bool checksum_bad;
};

static inline void network_dropped(struct network *network, enum network_drop drop) { network->counters.drops[drop]++; }

void arp_receive(struct network *network, const uint8_t *frame, uint32_t length);
void ipv4_receive(struct network *network, const uint8_t *frame, uint32_t length, bool checksum_bad);
void icmp_receive(struct network *network, const struct packet *packet);
void udp_receive(struct network *network, const struct packet *packet);
void tcp_receive(struct network *network, const struct packet *packet);

/* A buffer for a frame, or NULL (counted). One frame_commit follows. */
uint8_t *frame_reserve(struct network *network, uint32_t bytes);
void frame_commit(struct network *network, uint32_t bytes, uint32_t offload);
/* Ethernet and IPv4 headers of a frame to `peer`; returns the offload bits that the header leaves to the port. */
uint32_t ipv4_header_write(const struct network *network, uint8_t *frame, const uint8_t peer_mac[6], uint32_t peer_ipv4,
                           uint8_t protocol, uint32_t l4_bytes);
