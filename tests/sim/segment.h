#pragma once
/* Ethernet, IP of both families, TCP and UDP as the simulator's clients write and read them: slow and plain, sharing nothing with
 * the stack under test. */
#include <stdbool.h>
#include <stdint.h>

#define SEGMENT_FRAME_BYTES_MAX 9216u
#define SEGMENT_SELECTIVE_MAX 4u

enum segment_flag { SEGMENT_FIN = 0x01, SEGMENT_SYN = 0x02, SEGMENT_RST = 0x04, SEGMENT_ACK = 0x10 };

/* The two ends of a conversation, as a client sees them. */
struct segment_ends {
  uint8_t client_mac[6], server_mac[6];
  uint32_t client_ipv4, server_ipv4; /* host byte order */
  bool ipv6;                         /* TCP goes between these instead */
  uint8_t client_ipv6[16], server_ipv6[16];
  uint16_t client_port, server_port;
};

struct segment_options {
  uint16_t maximum_segment; /* 0: no such option */
  bool scales, selective_permitted, timestamps;
  uint8_t window_shift;
  uint32_t timestamp, timestamp_echo;
  uint32_t selective_count; /* RFC 2018 blocks: first sequence number, and the one behind the last */
  uint32_t selective[SEGMENT_SELECTIVE_MAX][2];
};

struct segment {
  uint32_t sequence, acknowledgement;
  uint16_t window; /* as on the wire */
  uint8_t flags;
  struct segment_options options;
  const uint8_t *payload;
  uint32_t payload_bytes;
};

/* A frame from the client; returns its length. */
uint32_t segment_write(const struct segment_ends *ends, const struct segment *segment, uint8_t *frame);
/* A frame for the client. False when it is not TCP between the two ends, or is damaged. */
bool segment_read(const struct segment_ends *ends, const uint8_t *frame, uint32_t length, struct segment *segment);
uint32_t segment_write_datagram(const struct segment_ends *ends, const uint8_t *payload, uint32_t payload_bytes, uint8_t *frame);
/* `bytes` of a packet's payload, from `offset` on. */
uint32_t segment_write_fragment(const struct segment_ends *ends, uint32_t identification, uint32_t protocol, const uint8_t *bytes,
                                uint32_t offset, uint32_t length, bool last, uint8_t *frame);
uint32_t segment_write_arp_request(const struct segment_ends *ends, uint8_t *frame);
uint32_t segment_write_echo_request(const struct segment_ends *ends, uint16_t sequence, uint8_t *frame);
