#include "segment.h"
#include <string.h>

#define ETHERNET_BYTES 14u
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u
#define TCP_BYTES 20u
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

static uint32_t pseudo_header_ipv6_sum(const uint8_t *ip, uint32_t transport_bytes) {
  uint32_t sum = ip[6] + transport_bytes;
  for (uint32_t i = 8; i < IPV6_BYTES; i += 2) sum += get16(ip + i);
  return sum;
}

static uint32_t write_ipv6_tcp(const struct segment_ends *ends, uint32_t bytes, uint8_t *frame) {
  uint8_t *ip = frame + ETHERNET_BYTES, *tcp = ip + IPV6_BYTES;
  write_ethernet(ends, 0x86dd, frame);
  memset(ip, 0, 8);
  ip[0] = 0x60;
  put16(ip + 4, bytes);
  ip[6] = PROTOCOL_TCP;
  ip[7] = 64;
  memcpy(ip + 8, ends->client_ipv6, 16);
  memcpy(ip + 24, ends->server_ipv6, 16);
  put16(tcp + 16, checksum(tcp, bytes, pseudo_header_ipv6_sum(ip, bytes)));
  return ETHERNET_BYTES + IPV6_BYTES + bytes;
}

/* Returns their length, a multiple of four. */
static uint32_t write_options(const struct segment_options *options, uint8_t *at) {
  const uint8_t *begin = at;
  if (options->maximum_segment) {
    memcpy(at, "\2\4", 2);
    put16(at + 2, options->maximum_segment);
    at += 4;
  }
  if (options->selective_permitted) {
    memcpy(at, "\1\1\4\2", 4);
    at += 4;
  }
  if (options->timestamps) {
    memcpy(at, "\1\1\10\12", 4);
    put32(at + 4, options->timestamp);
    put32(at + 8, options->timestamp_echo);
    at += 12;
  }
  if (options->scales) {
    memcpy(at, "\1\3\3", 3);
    at[3] = options->window_shift;
    at += 4;
  }
  if (options->selective_count) {
    memcpy(at, "\1\1\5", 3);
    at[3] = (uint8_t)(2 + 8 * options->selective_count);
    at += 4;
    for (uint32_t i = 0; i < options->selective_count; i++, at += 8) {
      put32(at, options->selective[i][0]);
      put32(at + 4, options->selective[i][1]);
    }
  }
  return (uint32_t)(at - begin);
}

uint32_t segment_write(const struct segment_ends *ends, const struct segment *segment, uint8_t *frame) {
  uint8_t *tcp = frame + ETHERNET_BYTES + (ends->ipv6 ? IPV6_BYTES : IPV4_BYTES);
  memset(tcp, 0, TCP_BYTES);
  const uint32_t header_bytes = TCP_BYTES + write_options(&segment->options, tcp + TCP_BYTES);
  put16(tcp, ends->client_port);
  put16(tcp + 2, ends->server_port);
  put32(tcp + 4, segment->sequence);
  put32(tcp + 8, segment->acknowledgement);
  tcp[12] = (uint8_t)(header_bytes / 4 << 4);
  tcp[13] = segment->flags;
  put16(tcp + 14, segment->window);
  if (segment->payload_bytes) memcpy(tcp + header_bytes, segment->payload, segment->payload_bytes);
  const uint32_t bytes = header_bytes + segment->payload_bytes;
  return ends->ipv6 ? write_ipv6_tcp(ends, bytes, frame) : write_ipv4(ends, PROTOCOL_TCP, bytes, 16, frame);
}

/* The TCP segment of a packet for the client; NULL when it is none. */
static const uint8_t *ipv4_payload(const struct segment_ends *ends, const uint8_t *frame, uint32_t length, uint32_t *bytes) {
  const uint8_t *ip = frame + ETHERNET_BYTES;
  if (length < ETHERNET_BYTES + IPV4_BYTES + TCP_BYTES || get16(frame + 12) != 0x0800) return NULL;
  if (ip[0] != 0x45 || get16(ip + 2) != length - ETHERNET_BYTES || checksum(ip, IPV4_BYTES, 0) != 0) return NULL;
  if (get32(ip + 12) != ends->server_ipv4 || get32(ip + 16) != ends->client_ipv4 || ip[9] != PROTOCOL_TCP) return NULL;
  *bytes = length - ETHERNET_BYTES - IPV4_BYTES;
  return checksum(ip + IPV4_BYTES, *bytes, pseudo_header_sum(ip, *bytes)) == 0 ? ip + IPV4_BYTES : NULL;
}

static const uint8_t *ipv6_payload(const struct segment_ends *ends, const uint8_t *frame, uint32_t length, uint32_t *bytes) {
  const uint8_t *ip = frame + ETHERNET_BYTES;
  if (length < ETHERNET_BYTES + IPV6_BYTES + TCP_BYTES || get16(frame + 12) != 0x86dd || ip[0] >> 4 != 6) return NULL;
  if (get16(ip + 4) != length - ETHERNET_BYTES - IPV6_BYTES || ip[6] != PROTOCOL_TCP) return NULL;
  if (memcmp(ip + 8, ends->server_ipv6, 16) != 0 || memcmp(ip + 24, ends->client_ipv6, 16) != 0) return NULL;
  *bytes = length - ETHERNET_BYTES - IPV6_BYTES;
  return checksum(ip + IPV6_BYTES, *bytes, pseudo_header_ipv6_sum(ip, *bytes)) == 0 ? ip + IPV6_BYTES : NULL;
}

static bool read_selective(const uint8_t *at, uint32_t bytes, struct segment_options *options) {
  if (bytes % 8 != 2 || bytes > 2 + 8 * SEGMENT_SELECTIVE_MAX) return false;
  options->selective_count = bytes / 8;
  for (uint32_t i = 0; i < options->selective_count; i++) {
    options->selective[i][0] = get32(at + 2 + 8 * i);
    options->selective[i][1] = get32(at + 6 + 8 * i);
  }
  return true;
}

static bool read_options(const uint8_t *at, uint32_t left, struct segment_options *options) {
  while (left && at[0] != 0) {
    const uint32_t bytes = at[0] == 1 ? 1 : left > 1 ? at[1] : 0;
    if (bytes == 0 || bytes > left || (at[0] != 1 && bytes < 2)) return false;
    if (at[0] == 2 && bytes == 4) options->maximum_segment = (uint16_t)get16(at + 2);
    if (at[0] == 3 && bytes == 3) {
      options->scales = true;
      options->window_shift = at[2];
    }
    if (at[0] == 4 && bytes == 2) options->selective_permitted = true;
    if (at[0] == 5 && !read_selective(at, bytes, options)) return false;
    if (at[0] == 8 && bytes == 10) {
      options->timestamps = true;
      options->timestamp = get32(at + 2);
      options->timestamp_echo = get32(at + 6);
    }
    at += bytes;
    left -= bytes;
  }
  return true;
}

bool segment_read(const struct segment_ends *ends, const uint8_t *frame, uint32_t length, struct segment *segment) {
  uint32_t bytes = 0;
  if (length < ETHERNET_BYTES || memcmp(frame, ends->client_mac, 6) != 0) return false;
  const uint8_t *tcp = ends->ipv6 ? ipv6_payload(ends, frame, length, &bytes) : ipv4_payload(ends, frame, length, &bytes);
  if (!tcp || get16(tcp) != ends->server_port || get16(tcp + 2) != ends->client_port) return false;
  const uint32_t header_bytes = (uint32_t)(tcp[12] >> 4) * 4;
  if (header_bytes < TCP_BYTES || header_bytes > bytes) return false;
  *segment = (struct segment){
      .sequence = get32(tcp + 4),
      .acknowledgement = get32(tcp + 8),
      .flags = tcp[13],
      .window = (uint16_t)get16(tcp + 14),
      .payload = tcp + header_bytes,
      .payload_bytes = bytes - header_bytes,
  };
  return read_options(tcp + TCP_BYTES, header_bytes - TCP_BYTES, &segment->options);
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

uint32_t segment_write_fragment(const struct segment_ends *ends, uint32_t identification, uint32_t protocol, const uint8_t *bytes,
                                uint32_t offset, uint32_t length, bool last, uint8_t *frame) {
  uint8_t *ip = frame + ETHERNET_BYTES;
  memcpy(ip + IPV4_BYTES, bytes + offset, length);
  const uint32_t total = write_ipv4(ends, protocol, length, -1, frame);
  put16(ip + 4, identification);
  put16(ip + 6, (last ? 0 : 0x2000) | offset / 8);
  put16(ip + 10, 0);
  put16(ip + 10, checksum(ip, IPV4_BYTES, 0));
  return total;
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
