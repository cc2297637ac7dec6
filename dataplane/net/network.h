#pragma once
/* One shard's network stack on one port: Ethernet, ARP, IPv4 and IPv6, echo, UDP and a server-side TCP (RFC 9293; the exact
 * profile is docs/tcp-profile.md). Frames and time in, frames out; it sees no NIC and no clock.
 * Memory: all from the arena at create. Threads: one shard. */
#include "address_limits.h"
#include "arena.h"
#include "ip_address.h"
#include "siphash.h"
#include "stream.h"
#include <stdbool.h>
#include <stdint.h>

#define NETWORK_LISTENERS_MAX 16
#define NETWORK_ADDRESSES_MAX 16
#define NETWORK_VLANS_MAX 16
#define NETWORK_REASSEMBLY_MAX 256u
#define NETWORK_FRAME_HEADROOM 0
#define NETWORK_MTU_MIN 576u
#define NETWORK_MTU_MIN_IPV6 1280u /* RFC 8200 section 5 */
#define NETWORK_KEEP_ALIVES_MAX 127u
/* Bounds of receive_buffer_bytes and send_buffer_bytes; the upper one is RFC 7323's largest window. */
#define NETWORK_BUFFER_BYTES_MIN 2048u
#define NETWORK_BUFFER_BYTES_MAX (1u << 30)

/* Where frames to send are built. The stack reserves, writes a whole frame and commits; commits may be batched by the port. */
struct network_output {
  void *context;
  /* A writable buffer of at least `bytes`, or NULL when the port has none: the stack drops (TCP retransmits) and counts. */
  uint8_t *(*reserve)(void *context, uint32_t bytes);
  /* Sends the reserved buffer. Exactly one commit or cancel follows each reserve. */
  void (*commit)(void *context, uint32_t bytes, uint32_t offload); /* NETWORK_OFFLOAD_* actually left to the port */
};

/* What the port can do, and what a received frame already had done. */
enum network_offload {
  NETWORK_OFFLOAD_TX_IPV4_CHECKSUM = 1 << 0, /* port fills the IPv4 header checksum */
  NETWORK_OFFLOAD_TX_L4_CHECKSUM = 1 << 1,   /* port fills TCP/UDP; the stack writes the pseudo-header sum */
  NETWORK_OFFLOAD_RX_IPV4_VERIFY = 1 << 2,   /* verify the IPv4 header checksum in software */
  NETWORK_OFFLOAD_RX_L4_VERIFY = 1 << 3,     /* verify TCP/UDP in software (off on kernel-backed ports: partial sums) */
};

struct network_tcp_listener {
  uint16_t port;
  const struct stream_handler *handler;
};

struct network_udp_listener {
  uint16_t port;
  void *context;
  /* One datagram; the port in host order. The bytes are valid only during the call. */
  void (*received)(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes, uint32_t length,
                   uint64_t now_ns);
};

struct network_config {
  uint8_t mac[6];
  uint32_t address_count; /* at least one */
  struct ip_address addresses[NETWORK_ADDRESSES_MAX];
  uint32_t vlan_count;               /* 0: frames without a tag only */
  uint16_t vlans[NETWORK_VLANS_MAX]; /* accepted ids; 0: frames without a tag. Answers carry the tag of the question. */
  uint16_t mtu;                      /* IP bytes a frame */
  uint32_t offload;                  /* NETWORK_OFFLOAD_* mask for this port */
  struct siphash_key hash_key;
  struct siphash_key isn_key;    /* RFC 6528, the timestamp clocks (RFC 7323) and, through keys of its own, SYN cookies */
  uint32_t connections_max;      /* 320 bytes each at most, before any data is held */
  uint32_t half_open_max;        /* when full SYNs are answered by cookies (RFC 4987 section 3.6) */
  uint32_t receive_buffer_bytes; /* a connection's window limit; in-order untaken plus out-of-order bytes */
  uint32_t receive_pool_bytes;   /* shared by all connections of the shard; windows shrink as it fills */
  uint32_t send_buffer_bytes;    /* a connection's unacknowledged plus unsent bytes */
  uint32_t send_pool_bytes;
  uint32_t reassembly_max;  /* datagrams in fragments at one time, 65 KiB each; 0: all fragments are refused */
  uint64_t idle_timeout_ns; /* nothing either way but answers to probes of ours: the connection is reset */
  /* RFC 9293 section 3.8.4: a peer not heard for keep_alive_idle_ns is asked, and again every interval; after keep_alive_count
   * without an answer the connection is reset. 0: never asked. */
  uint64_t keep_alive_idle_ns, keep_alive_interval_ns;
  uint32_t keep_alive_count; /* 1 to NETWORK_KEEP_ALIVES_MAX where peers are asked */
  uint64_t time_wait_ns;
  struct address_limits *address_limits; /* NULL: no limits; the caller's, for as long as the network is used */
  struct network_output output;
  uint32_t tcp_listener_count, udp_listener_count;
  struct network_tcp_listener tcp_listeners[NETWORK_LISTENERS_MAX];
  struct network_udp_listener udp_listeners[NETWORK_LISTENERS_MAX];
};

/* Why a frame went nowhere. Each reason is one counter and one metric label (network_drop_name). */
enum network_drop {
  DROP_ETHERNET_SHORT,
  DROP_ETHERNET_NOT_OURS, /* unicast to another MAC */
  DROP_ETHERTYPE,         /* neither ARP nor IP */
  DROP_ARP_MALFORMED,
  DROP_ARP_NOT_OURS,
  DROP_IPV4_MALFORMED,
  DROP_IPV4_CHECKSUM,
  DROP_IPV4_OPTIONS,
  DROP_IPV4_FRAGMENT, /* of anything but UDP */
  DROP_IPV4_NOT_OURS,
  DROP_IPV4_PROTOCOL,
  DROP_ICMP_MALFORMED,
  DROP_ICMP_TYPE,
  DROP_ICMP_ERROR,    /* errors that are never acted on */
  DROP_ICMP_UNPROVEN, /* "too big" that names no segment in flight, or nothing new */
  DROP_UDP_MALFORMED,
  DROP_UDP_CHECKSUM,
  DROP_UDP_PORT,
  DROP_TCP_MALFORMED,
  DROP_TCP_CHECKSUM,
  DROP_VLAN_NOT_OURS,
  DROP_IPV6_MALFORMED,
  DROP_IPV6_EXTENSION, /* too many or too long extension headers, or options that forbid the packet */
  DROP_IPV6_FRAGMENT,  /* of anything but UDP */
  DROP_IPV6_NOT_OURS,
  DROP_IPV6_PROTOCOL,
  DROP_ND_MALFORMED,
  DROP_ND_NOT_OURS,
  DROP_FRAGMENT_MALFORMED,
  DROP_FRAGMENT_OVERLAP, /* contradicts what came before, or belongs to a datagram that was given up for that */
  DROP_FRAGMENT_DUPLICATE,
  DROP_FRAGMENT_RANGES, /* more holes than are kept track of */
  DROP_TRUNCATED,       /* the port cut the frame: IP length beyond the frame */
  NETWORK_DROPS,
};

/* Single writer: the shard. Conservation: frames_received = arp + nd + icmp + icmp_too_big + udp_delivered + tcp_delivered +
 * fragments_kept + sum(drops): a datagram in fragments counts as delivered, or as a drop, with its last. */
struct network_counters {
  uint64_t frames_received, frames_sent, bytes_received, bytes_sent;
  uint64_t arp_answered, icmp_answered, udp_delivered, tcp_delivered;
  uint64_t nd_answered, icmp_too_big, fragments_kept; /* icmp_too_big: those that were acted on */
  uint64_t datagrams_reassembled, reassembly_timed_out, reassembly_evicted, reassembly_rejected; /* datagrams, not frames */
  uint64_t drops[NETWORK_DROPS];
  uint64_t send_no_buffer;
  uint64_t tcp_opened, tcp_established, tcp_refused_full, tcp_refused_half_open, tcp_refused_port, tcp_refused_drain;
  uint64_t tcp_cookies_sent, tcp_cookies_accepted, tcp_cookies_rejected;
  uint64_t tcp_half_open_evicted; /* for a client that proved itself by a cookie when the table was full */
  uint64_t tcp_closed_by_end[4];  /* enum stream_end */
  uint64_t tcp_resets_sent, tcp_resets_received, tcp_resets_ignored;
  uint64_t tcp_segments_sent, tcp_retransmits, tcp_rto_fired, tcp_duplicate_acks, tcp_challenge_acks;
  uint64_t tcp_out_of_order, tcp_out_of_order_dropped, tcp_duplicate_bytes, tcp_window_overrun_bytes;
  uint64_t tcp_paws_dropped, tcp_timestamp_missing;
  uint64_t tcp_urgent_ignored; /* segments whose urgent pointer was not acted on: their bytes are bytes (RFC 6093) */
  uint64_t tcp_keep_alives_sent, tcp_keep_alive_timed_out;
  uint64_t tcp_path_mtu_lowered; /* MSS of a connection clamped on "too big" */
  uint64_t tcp_sack_refused;     /* blocks that name what was never sent */
  uint64_t tcp_bytes_received, tcp_bytes_sent, tcp_acks_coalesced, tcp_zero_windows;
  uint64_t tcp_refused_overload, tcp_refused_address;
  uint32_t tcp_connections, tcp_half_open, tcp_time_wait, reassembly_held; /* gauges */
};

struct network;

/* NULL when the arena has no room or a bound of the configuration is not usable. */
struct network *network_create(struct arena *arena, const struct network_config *config, uint64_t now_ns);

/* One received frame. What is verified in software is config.offload's; a frame that the NIC found bad is passed with
 * `checksum_bad`. The frame is not kept. */
void network_receive(struct network *network, const uint8_t *frame, uint32_t length, bool checksum_bad, uint64_t now_ns);
/* The same for a burst: connections are fetched from memory ahead of their segments. */
struct network_frame {
  const uint8_t *bytes;
  uint32_t length;
  bool checksum_bad;
};
void network_receive_burst(struct network *network, const struct network_frame *frames, uint32_t count, uint64_t now_ns);
/* End of a burst: coalesced ACKs, queued writes, window updates and resumed streams go out; at most 256 streams a call, the
 * rest keep their order for the next. */
void network_flush(struct network *network, uint64_t now_ns);
/* Timers; at most `most` a call. Returns how many fired. */
uint32_t network_tick(struct network *network, uint64_t now_ns, uint32_t most);
/* Stop offering windows to new bytes (journal ring full), or go on. Acknowledged room is never taken back. */
void network_pause_receiving(struct network *network, bool paused);
/* From now on new connections are answered with RST; closing the live ones is for those who own their streams. */
void network_drain(struct network *network, uint64_t now_ns);
const struct network_counters *network_counters(const struct network *network);
/* What of the pools is out. Connections in TIME-WAIT make room when asked and do not count. */
struct network_use {
  struct {
    uint32_t used, capacity;
  } connections, half_open, receive_blocks, send_blocks;
};
void network_use(const struct network *network, struct network_use *use);
/* By bit: listeners (of network_config.tcp_listeners) whose new connections go unanswered for now; their peers ask again. */
void network_shed_connections(struct network *network, uint32_t listeners);
/* True when no connection holds a receive or send block: what must be so when all is over. */
bool network_pools_full(const struct network *network);
const char *network_drop_name(enum network_drop drop);

/* Which of `shards` owns this frame: a symmetric keyed hash of addresses and ports for TCP and UDP of either family, by
 * addresses alone for fragments; for ICMP errors of the flow that they quote; or -1 when any shard may take it (ARP, other ICMP,
 * malformed). All shards of a port use the same key.
 */
int network_flow_owner(const struct siphash_key *key, const uint8_t *frame, uint32_t length, uint32_t shards);
