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
  struct stream_operations operations; /* first: to a stream's face its network is this */
  struct network_counters counters;
  uint64_t now_ns; /* of the step in progress: stream calls carry no time */
  struct stream **buckets;
  uint32_t bucket_mask;
  uint8_t window_shift; /* RFC 7323: smallest that lets the window field hold receive_buffer_bytes */
  bool paused, draining;
  struct stream *last_found; /* the segments of a burst come in runs of one connection */
  struct stream *expected;   /* whose segment the frame in hand looks like; it may have ended since */
  struct stream *graveyard;  /* ended streams, linked by hash_next, until no caller can hold them */
  struct link pending;       /* streams with something to do at the next flush */
  struct link held;          /* streams that wait for the end of a pause */
  struct link half_open;     /* oldest first */
  struct link time_wait;     /* oldest first */
  struct timer_wheel *wheel;
  struct {
    struct siphash_key keys[2]; /* of `slot` and the one before */
    uint64_t slot, sent_ns;     /* sent_ns: the last cookie */
    bool keyed;
  } cookies;
  struct link fragmented; /* datagrams being put together, oldest first */
  struct pool datagrams;
  struct pool streams, receive_blocks, send_blocks;
  uint32_t shed_listeners; /* by bit: new connections go unanswered */
  struct network_config config;
};

/* A received frame below IP. */
struct link_frame {
  const uint8_t *ethernet, *payload; /* payload: behind the type, and the tag if there is one */
  uint32_t payload_bytes;
  uint16_t vlan; /* 0: no tag */
  bool group;    /* sent to a group address */
  bool checksum_bad;
};

/* A received packet on its way up. `l4` lies in the frame, or in a reassembled datagram. */
struct packet {
  const uint8_t *ethernet;
  struct ip_address source;
  uint16_t vlan; /* 0: no tag */
  uint8_t local; /* which of our addresses it came to */
  const uint8_t *l4;
  uint32_t l4_bytes;
  bool checksum_bad;
  bool reassembled; /* from fragments: verified in software whatever the offload */
};

/* A part of a datagram; `bytes` lie in the frame. */
struct fragment {
  uint32_t identification, offset, length;
  bool more;
  const uint8_t *bytes;
};

static inline void network_dropped(struct network *network, enum network_drop drop) { network->counters.drops[drop]++; }

/* Where a frame of ours goes: back the way that the peer's came. */
struct path {
  const uint8_t *peer_mac;
  struct ip_address peer;
  uint16_t vlan;
  uint8_t local;
};

static inline struct path path_back(const struct packet *packet) {
  return (struct path){.peer_mac = packet->ethernet + 6, .peer = packet->source, .vlan = packet->vlan, .local = packet->local};
}
static inline uint32_t ip_header_bytes(const struct ip_address *peer) {
  return ip_address_is_ipv4(peer) ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}
/* Where TCP, UDP or ICMP begins in a frame to the peer. */
static inline uint32_t frame_l4_offset(const struct ip_address *peer, uint16_t vlan) {
  return ETHERNET_HEADER_BYTES + (vlan ? VLAN_TAG_BYTES : 0) + ip_header_bytes(peer);
}
/* Our address by its bytes, or NETWORK_ADDRESSES_MAX. */
uint32_t network_address_find(const struct network *network, const struct ip_address *address);

void ethernet_receive(struct network *network, const uint8_t *frame, uint32_t length, bool checksum_bad);
/* Writes MACs, tag and type; returns where the payload begins. */
uint32_t ethernet_header_write(const struct network *network, uint8_t *frame, const uint8_t peer_mac[6], uint16_t vlan,
                               uint16_t ethertype);
void arp_receive(struct network *network, const struct link_frame *frame);
void ipv4_receive(struct network *network, const struct link_frame *frame);
void ipv6_receive(struct network *network, const struct link_frame *frame);
void icmpv6_receive(struct network *network, const struct packet *packet, const struct ip_address *destination,
                    uint8_t hop_limit);
/* Whether an address is the solicited-node group of one of ours. */
bool neighbour_group_is_ours(const struct network *network, const struct ip_address *group);
bool fragments_create(struct network *network, struct arena *arena);
/* A fragment of a UDP datagram: counted as kept, as a drop, or as what became of the whole. */
void fragments_receive(struct network *network, const struct packet *packet, const struct fragment *fragment);
/* Forgets the datagrams whose time is over. */
void fragments_expire(struct network *network);
void icmp_receive(struct network *network, const struct packet *packet);
/* Good ICMP; false when it is no error message. Else counted, as what was acted on or as a drop. */
bool icmp_error_receive(struct network *network, const struct packet *packet);
bool icmpv6_error_receive(struct network *network, const struct packet *packet);
void udp_receive(struct network *network, const struct packet *packet);
void tcp_receive(struct network *network, const struct packet *packet);

/* A buffer for a frame, or NULL (counted). One frame_commit follows. */
uint8_t *frame_reserve(struct network *network, uint32_t bytes);
void frame_commit(struct network *network, uint32_t bytes, uint32_t offload);
/* Ethernet and IP headers of a frame along `path`; returns the offload bits that the headers leave to the port. */
uint32_t ip_headers_write(const struct network *network, uint8_t *frame, const struct path *path, uint8_t protocol,
                          uint32_t l4_bytes);
