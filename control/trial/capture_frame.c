/* From a captured frame to its TCP segment or UDP datagram. Checksums are not looked at: where the sender's card makes them, a
 * capture on the sender has none. */
#include "capture_internal.h"
#include <pcap/dlt.h>
#include <string.h>

#define TYPE_IPV4 0x0800
#define TYPE_IPV6 0x86dd
#define EXTENSIONS_MAX 8

struct bytes {
  const uint8_t *at;
  uint32_t left;
  bool cut; /* the capture kept less than there was */
};

static uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static uint32_t read32(const uint8_t *at) { return (uint32_t)read16(at) << 16 | read16(at + 2); }

static bool skip(struct bytes *bytes, uint32_t count) {
  if (count > bytes->left) return false;
  bytes->at += count;
  bytes->left -= count;
  return true;
}

/* The EtherType of what follows, or -1. */
static int ethertype_of(struct bytes *bytes, uint32_t at) {
  if (bytes->left < at + 2) return -1;
  int type = read16(bytes->at + at);
  skip(bytes, at + 2);
  for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8) && bytes->left >= 4; tags++) {
    type = read16(bytes->at + 2);
    skip(bytes, 4);
  }
  return type;
}

static int raw_type(const struct bytes *bytes) {
  if (bytes->left < 1) return -1;
  return bytes->at[0] >> 4 == 4 ? TYPE_IPV4 : bytes->at[0] >> 4 == 6 ? TYPE_IPV6 : 0;
}

static int skip_link(int link, struct bytes *bytes) {
  switch (link) {
  case DLT_EN10MB:
    return ethertype_of(bytes, 12);
  case DLT_LINUX_SLL:
    return ethertype_of(bytes, 14);
  case DLT_LINUX_SLL2: {
    if (bytes->left < 20) return -1;
    const int type = read16(bytes->at);
    skip(bytes, 20);
    return type;
  }
  case DLT_NULL:
  case DLT_LOOP:
    return skip(bytes, 4) ? raw_type(bytes) : -1;
  case DLT_RAW:
  case DLT_IPV4:
  case DLT_IPV6:
    return raw_type(bytes);
  default:
    return 0;
  }
}

/* A wrong length, or a capture that kept too little of it. */
static enum capture_frame short_of(const struct bytes *bytes) { return bytes->cut ? CAPTURE_TRUNCATED : CAPTURE_BAD_HEADER; }

/* What is behind the header, without the link's padding. */
static enum capture_frame cut_to(struct bytes *bytes, uint32_t length) {
  if (length > bytes->left) return short_of(bytes);
  bytes->left = length;
  return CAPTURE_PACKET;
}

static enum capture_frame read_ipv4(struct bytes *bytes, struct capture_packet *packet, int *protocol) {
  if (bytes->left < 20) return short_of(bytes);
  const uint8_t *header = bytes->at;
  const uint32_t header_bytes = (header[0] & 15u) * 4u;
  uint32_t total = read16(header + 2);
  if (total == 0) total = bytes->left; /* segmentation left to the card */
  if (header[0] >> 4 != 4 || header_bytes < 20 || total < header_bytes) return CAPTURE_BAD_HEADER;
  if (read16(header + 6) & 0x3fff) return CAPTURE_FRAGMENT;
  packet->ip_version = 4;
  memcpy(packet->source, header + 12, 4);
  memcpy(packet->destination, header + 16, 4);
  *protocol = header[9];
  if (!skip(bytes, header_bytes)) return short_of(bytes);
  return cut_to(bytes, total - header_bytes);
}

/* Hop-by-hop, routing and destination options stand before TCP and UDP (RFC 8200 section 4.1). */
static enum capture_frame read_ipv6(struct bytes *bytes, struct capture_packet *packet, int *protocol) {
  if (bytes->left < 40) return short_of(bytes);
  const uint8_t *header = bytes->at;
  const uint32_t length = read16(header + 4);
  if (header[0] >> 4 != 6) return CAPTURE_BAD_HEADER;
  packet->ip_version = 6;
  memcpy(packet->source, header + 8, 16);
  memcpy(packet->destination, header + 24, 16);
  *protocol = header[6];
  skip(bytes, 40);
  const enum capture_frame whole = cut_to(bytes, length ? length : bytes->left);
  for (int i = 0; whole == CAPTURE_PACKET && i < EXTENSIONS_MAX; i++) {
    if (*protocol == 44) return CAPTURE_FRAGMENT;
    if (*protocol != 0 && *protocol != 43 && *protocol != 60) break;
    if (bytes->left < 8) return CAPTURE_BAD_HEADER;
    *protocol = bytes->at[0];
    if (!skip(bytes, 8u + bytes->at[1] * 8u)) return CAPTURE_BAD_HEADER;
  }
  return whole;
}

static enum capture_frame read_udp(struct bytes *bytes, struct capture_packet *packet) {
  if (bytes->left < 8) return CAPTURE_BAD_HEADER;
  const uint32_t length = read16(bytes->at + 4);
  if (length < 8 || length > bytes->left) return CAPTURE_BAD_HEADER;
  packet->udp = true;
  packet->source_port = read16(bytes->at);
  packet->destination_port = read16(bytes->at + 2);
  packet->payload = bytes->at + 8;
  packet->length = length - 8;
  return CAPTURE_PACKET;
}

static enum capture_frame read_tcp(struct bytes *bytes, struct capture_packet *packet) {
  if (bytes->left < 20) return CAPTURE_BAD_HEADER;
  const uint32_t header_bytes = (bytes->at[12] >> 4) * 4u;
  if (header_bytes < 20 || header_bytes > bytes->left) return CAPTURE_BAD_HEADER;
  const uint8_t flags = bytes->at[13];
  packet->source_port = read16(bytes->at);
  packet->destination_port = read16(bytes->at + 2);
  packet->sequence = read32(bytes->at + 4);
  packet->fin = flags & 1;
  packet->syn = flags & 2;
  packet->rst = flags & 4;
  packet->payload = bytes->at + header_bytes;
  packet->length = bytes->left - header_bytes;
  return CAPTURE_PACKET;
}

enum capture_frame capture_frame_read(int link, const uint8_t *frame, uint32_t captured, uint32_t length,
                                      struct capture_packet *packet) {
  struct bytes bytes = {.at = frame, .left = captured, .cut = captured < length};
  int protocol = -1;
  memset(packet, 0, sizeof *packet);
  const int type = skip_link(link, &bytes);
  if (type < 0) return short_of(&bytes);
  if (type != TYPE_IPV4 && type != TYPE_IPV6) return CAPTURE_NOT_IP;
  const enum capture_frame whole =
      type == TYPE_IPV4 ? read_ipv4(&bytes, packet, &protocol) : read_ipv6(&bytes, packet, &protocol);
  if (whole != CAPTURE_PACKET) return whole;
  if (protocol == 6) return read_tcp(&bytes, packet);
  return protocol == 17 ? read_udp(&bytes, packet) : CAPTURE_OTHER;
}
