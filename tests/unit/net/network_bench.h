#pragma once
/* A network on a bench: virtual time, frames in by hand, frames out kept for inspection, and an application whose streams record
 * what happens to them. For unit tests, packet scripts and the fuzz target. */
#include "heap_arena.h"
#include "network.h"
#include <stdbool.h>
#include <stdint.h>

#define BENCH_PEER_IPV4 0x0a560001u /* 10.86.0.1 */
#define BENCH_OWN_IPV4 0x0a560002u
/* fd86::1 and fd86::2 */
extern const uint8_t bench_peer_ipv6[16], bench_own_ipv6[16];
#define BENCH_PORT 8080
#define BENCH_UDP_PORT 4318
#define BENCH_FRAME_BYTES 9216u
#define BENCH_FRAMES 512u
#define BENCH_STREAMS 64u

extern const uint8_t bench_peer_mac[6], bench_own_mac[6];

struct bench_frame {
  uint64_t time_ns;
  uint32_t length, offload;
  uint8_t bytes[BENCH_FRAME_BYTES];
};

/* One application stream. Received bytes are checked against bench_pattern as they come. */
struct bench_stream {
  struct bench *bench;
  struct stream *stream; /* NULL once closed */
  uint32_t received, take_most, calls;
  bool opened, peer_finished, closed, corrupt;
  uint32_t writable_calls;
  enum stream_end end;
  uint32_t written;
  /* Done inside `received`, once: what a handler may do to its own stream. */
  bool abort_in_received, close_in_received, echo;
};

struct bench {
  struct heap_arena *heap;
  struct network *network;
  struct network_config config;
  struct stream_handler handler;
  uint64_t now_ns;
  bool no_buffer, refuse_open, abort_in_opened;
  bool ipv6;          /* segments go over IPv6, and what is parsed must */
  uint16_t vlan;      /* likewise with this tag */
  uint32_t take_most; /* for streams opened from now on */
  bool echo;
  struct bench_frame *frames; /* a ring of what was sent */
  uint32_t sent, seen;        /* frames sent; frames taken by bench_next */
  struct bench_stream streams[BENCH_STREAMS];
  uint32_t opened, closed, open_now;
  uint32_t datagrams, datagram_bytes;
  void (*on_frame)(struct bench *bench, const uint8_t *bytes, uint32_t length); /* instead of the ring, when set */
  void *on_frame_context;
  uint8_t building[BENCH_FRAME_BYTES];
};

/* A parsed frame of ours, or a segment to forge. */
struct bench_segment {
  uint16_t peer_port, own_port;
  uint32_t seq, ack;
  uint8_t flags;
  uint16_t window;
  uint8_t options[40], options_bytes;
  const uint8_t *payload; /* when forging: NULL takes the pattern at pattern_at */
  uint32_t payload_bytes, pattern_at;
  int data_offset; /* when forging: 0 is the true one */
  bool bad_checksum;
};

/* An ICMP error about a segment of ours. */
struct bench_quote {
  uint8_t type, code;
  uint32_t mtu;          /* or the unused word */
  uint32_t packet_bytes; /* of the IP packet that was ours */
  uint16_t own_port, peer_port;
  uint32_t seq;
};

/* The byte that both sides' test data have at an offset of the stream. */
static inline uint8_t bench_pattern(uint32_t offset) { return (uint8_t)(offset * 31 + (offset >> 8) * 7 + 1); }

void bench_default_config(struct network_config *config);
/* `config` may be NULL. False when the network could not be made. */
bool bench_start(struct bench *bench, const struct network_config *config);
void bench_stop(struct bench *bench);

/* Lets time pass in steps of a millisecond, with tick and flush. */
void bench_pass(struct bench *bench, uint64_t nanoseconds);
void bench_flush(struct bench *bench);
void bench_frame_in(struct bench *bench, const uint8_t *bytes, uint32_t length);
void bench_segment_in(struct bench *bench, const struct bench_segment *segment);
uint32_t bench_segment_build(uint8_t *frame, const struct bench_segment *segment);
/* Ethernet and IPv4 around `bytes` already at FRAME offset 34; checksums filled in. */
uint32_t bench_ipv4_finish(uint8_t *frame, uint8_t protocol, uint32_t l4_bytes);
/* Makes the IPv4 frame an IPv6 one of the same payload, its TCP, UDP or ICMP sum made right. */
uint32_t bench_ipv6_convert(uint8_t *frame, uint32_t length);
/* IPv6 and Ethernet headers in front of what lies at offset 54. */
uint32_t bench_ipv6_finish(uint8_t *frame, uint8_t next, uint32_t payload_bytes);
/* The upper layer's sum of an IPv6 packet, at its place, for `bytes` at `l4`. */
void bench_ipv6_sum(const uint8_t *frame, uint8_t *l4, uint8_t protocol, uint32_t bytes);
/* The error as a frame, over the bench's family; its ICMP header is at 34 or 54, the quoted packet 8 bytes later. */
uint32_t bench_icmp_error_build(const struct bench *bench, uint8_t *frame, const struct bench_quote *quote);
/* Makes the ICMP sum of such a frame right again. */
void bench_icmp_error_sum(const struct bench *bench, uint8_t *frame, uint32_t length);
uint32_t bench_vlan_insert(uint8_t *frame, uint32_t length, uint16_t vlan);
/* The internet checksum, byte by byte: slow and plainly right. */
uint16_t bench_checksum(const uint8_t *bytes, uint32_t length, uint32_t sum);

/* The next frame sent and not yet looked at, or NULL. */
const struct bench_frame *bench_next(struct bench *bench);
/* False when it is no good TCP segment from us: every header field and checksum is verified. */
bool bench_parse(const struct bench *bench, const uint8_t *bytes, uint32_t length, struct bench_segment *segment);
/* Next sent frame as a TCP segment; false when there is none or it is something else. */
bool bench_next_segment(struct bench *bench, struct bench_segment *segment);
/* Handshake from `peer_port` with client ISN `isn`; returns our ISS. The stream is bench->streams[opened - 1]. Frames sent before
 * are passed over. */
uint32_t bench_connect(struct bench *bench, uint16_t peer_port, uint32_t isn);
/* Writes `length` pattern bytes; returns how many fitted. */
uint32_t bench_write(struct bench_stream *stream, uint32_t length);
/* frames_received = arp + nd + icmp + icmp_too_big + udp_delivered + tcp_delivered + fragments_kept + drops. */
bool bench_conserved(const struct bench *bench);
