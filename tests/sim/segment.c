#include "segment.h"
#include <string.h>

#define ETHERNET_BYTES 14u
#define IPV4_BYTES 20u
#define PROTOCOL_ICMP 1u
#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u

static void put16(uint8_t *at, uint32_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

/* Words as they lie in memory, turned once at the end (RFC 1071 section 2 (B)): a loop that the compiler can do in vectors. */
static uint16_t checksum(const uint8_t *bytes, uint32_t length, uint32_t sum) {
  uint64_t native = 0;
  for (uint32_t i = 0; i < length / 2; i++) {
    uint16_t word;
    memcpy(&word, bytes + (size_t)i * 2, sizeof word);
    native += word;
  }
  while (native >> 16) native = (native & 0xffff) + (native >> 16);
  const uint16_t folded = (uint16_t)native;
  sum += get16((const uint8_t *)&folded) + (length & 1 ? (uint32_t)bytes[length - 1] << 8 : 0);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static uint32_t pseudo_header_sum(const uint8_t *ip, uint32_t transport_bytes) {
  uint32_t sum = ip[9] + transport_bytes;
  for (uint32_t i = 12; i < 20; i += 2) sum += get16(ip + i);
  return sum;
}

static void write_ethernet(const struct segment_ends *ends, uint32_t type, uint8_t *frame) {
  memcpy(frame, ends->server_mac, 6);
  memcpy(frame + 6, ends->client_mac, 6);
  put16(frame + 12, type);
}

/* Around the transport's bytes, which are in place; `checksum_at` in them, or -1 when they carry no pseudo header. */
static uint32_t write_ipv4(const struct segment_ends *ends, uint32_t protocol, uint32_t bytes, int checksum_at, uint8_t *frame) {
  uint8_t *ip = frame + ETHERNET_BYTES, *transport = ip + IPV4_BYTES;
  write_ethernet(ends, 0x0800, frame);
  memset(ip, 0, IPV4_BYTES);
  ip[0] = 0x45;
  put16(ip + 2, IPV4_BYTES + bytes);
  put16(ip + 6, 0x4000);
  ip[8] = 64;
  ip[9] = (uint8_t)protocol;
  put32(ip + 12, ends->client_ipv4);
  put32(ip + 16, ends->server_ipv4);
  put16(ip + 10, checksum(ip, IPV4_BYTES, 0));
  if (checksum_at >= 0) put16(transport + checksum_at, checksum(transport, bytes, pseudo_header_sum(ip, bytes)));
  return ETHERNET_BYTES + IPV4_BYTES + bytes;
}

uint32_t segment_write(const struct segment_ends *ends, const struct segment *segment, uint8_t *frame) {
  uint8_t *tcp = frame + ETHERNET_BYTES + IPV4_BYTES;
  const uint32_t header_bytes = 20u + (segment->maximum_segment ? 4u : 0u) + (segment->window_scale ? 4u : 0u);
  memset(tcp, 0, header_bytes);
  put16(tcp, ends->client_port);
  put16(tcp + 2, ends->server_port);
  put32(tcp + 4, segment->sequence);
  put32(tcp + 8, segment->acknowledgement);
  tcp[12] = (uint8_t)(header_bytes / 4 << 4);
  tcp[13] = segment->flags;
  put16(tcp + 14, segment->window);
  if (segment->maximum_segment) {
    tcp[20] = 2;
    tcp[21] = 4;
    put16(tcp + 22, segment->maximum_segment);
  }
  if (segment->window_scale) put32(tcp + header_bytes - 4, 0x01030300u | (segment->window_scale - 1u));
  if (segment->payload_bytes) memcpy(tcp + header_bytes, segment->payload, segment->payload_bytes);
  return write_ipv4(ends, PROTOCOL_TCP, header_bytes + segment->payload_bytes, 16, frame);
}

static bool ipv4_for_client(const struct segment_ends *ends, const uint8_t *frame, uint32_t length) {
  const uint8_t *ip = frame + ETHERNET_BYTES;
  if (length < SEGMENT_HEADERS_BYTES || memcmp(frame, ends->client_mac, 6) != 0 || get16(frame + 12) != 0x0800) return false;
  if (ip[0] != 0x45 || get16(ip + 2) != length - ETHERNET_BYTES || checksum(ip, IPV4_BYTES, 0) != 0) return false;
  return get32(ip + 12) == ends->server_ipv4 && get32(ip + 16) == ends->client_ipv4;
}

/* Those of a SYN that a client asks for. */
static void read_options(const uint8_t *options, uint32_t length, struct segment *segment) {
  for (uint32_t at = 0; at + 1 < length && options[at];) {
    const uint32_t bytes = options[at] == 1 ? 1 : options[at + 1];
    if (bytes == 0 || bytes > length - at) return;
    if (options[at] == 2 && bytes == 4) segment->maximum_segment = (uint16_t)get16(options + at + 2);
    if (options[at] == 3 && bytes == 3) segment->window_scale = (uint8_t)(options[at + 2] + 1);
    at += bytes;
  }
}

bool segment_read(const struct segment_ends *ends, const uint8_t *frame, uint32_t length, struct segment *segment) {
  const uint8_t *ip = frame + ETHERNET_BYTES, *tcp = ip + IPV4_BYTES;
  if (!ipv4_for_client(ends, frame, length) || ip[9] != PROTOCOL_TCP) return false;
  const uint32_t bytes = length - ETHERNET_BYTES - IPV4_BYTES, header_bytes = (uint32_t)(tcp[12] >> 4) * 4;
  if (checksum(tcp, bytes, pseudo_header_sum(ip, bytes)) != 0 || header_bytes < 20 || header_bytes > bytes) return false;
  if (get16(tcp) != ends->server_port || get16(tcp + 2) != ends->client_port) return false;
  *segment = (struct segment){
      .sequence = get32(tcp + 4),
      .acknowledgement = get32(tcp + 8),
      .flags = tcp[13],
      .window = (uint16_t)get16(tcp + 14),
      .payload = tcp + header_bytes,
      .payload_bytes = bytes - header_bytes,
  };
  if (segment->flags & SEGMENT_SYN) read_options(tcp + 20, header_bytes - 20, segment);
  return true;
}

uint32_t segment_write_datagram(const struct segment_ends *ends, const uint8_t *payload, uint32_t payload_bytes, uint8_t *frame) {
  uint8_t *udp = frame + ETHERNET_BYTES + IPV4_BYTES;
  memset(udp, 0, 8);
  put16(udp, ends->client_port);
  put16(udp + 2, ends->server_port);
  put16(udp + 4, 8 + payload_bytes);
  memcpy(udp + 8, payload, payload_bytes);
  return write_ipv4(ends, PROTOCOL_UDP, 8 + payload_bytes, 6, frame);
}

uint32_t segment_write_arp_request(const struct segment_ends *ends, uint8_t *frame) {
  static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4, 0, 1};
  uint8_t *arp = frame + ETHERNET_BYTES;
  write_ethernet(ends, 0x0806, frame);
  memset(frame, 0xff, 6);
  memcpy(arp, fixed, sizeof fixed);
  memcpy(arp + 8, ends->client_mac, 6);
  put32(arp + 14, ends->client_ipv4);
  memset(arp + 18, 0, 6);
  put32(arp + 24, ends->server_ipv4);
  return ETHERNET_BYTES + 28;
}

uint32_t segment_write_echo_request(const struct segment_ends *ends, uint16_t sequence, uint8_t *frame) {
  uint8_t *icmp = frame + ETHERNET_BYTES + IPV4_BYTES;
  memset(icmp, 0, 40);
  icmp[0] = 8;
  put16(icmp + 6, sequence);
  put16(icmp + 2, checksum(icmp, 40, 0));
  return write_ipv4(ends, PROTOCOL_ICMP, 40, -1, frame);
}
