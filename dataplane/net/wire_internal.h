#pragma once
/* Big-endian fields and header sizes of the formats that this room reads and writes. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETHERNET_HEADER_BYTES 14u
#define ETHERTYPE_IPV4 0x0800u
#define ETHERTYPE_IPV6 0x86ddu
#define ETHERTYPE_VLAN 0x8100u
#define VLAN_TAG_BYTES 4u
#define ETHERTYPE_ARP 0x0806u
#define ARP_BYTES 28u
#define IPV4_HEADER_BYTES 20u
#define IPV6_HEADER_BYTES 40u
#define IP_PROTOCOL_ICMP 1u
#define IP_PROTOCOL_TCP 6u
#define IP_PROTOCOL_UDP 17u
#define IP_PROTOCOL_ICMPV6 58u
#define IPV6_NEXT_HOP_BY_HOP 0u
#define IPV6_NEXT_ROUTING 43u
#define IPV6_NEXT_FRAGMENT 44u
#define IPV6_NEXT_DESTINATION 60u
/* RFC 8504 section 5.3 lets a host bound these: one of each that could be wanted. */
#define IPV6_EXTENSIONS_MAX 4u
#define IPV6_FRAGMENT_BYTES 8u
#define IPV4_DONT_FRAGMENT 0x4000u
#define IPV4_MORE_FRAGMENTS 0x2000u
#define IPV4_OFFSET_MASK 0x1fffu
#define IPV4_FRAGMENT_MASK (IPV4_MORE_FRAGMENTS | IPV4_OFFSET_MASK)
#define ICMP_HEADER_BYTES 8u
#define UDP_HEADER_BYTES 8u
#define TCP_HEADER_BYTES 20u

enum tcp_flag { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20 };

/* Headers that are walked over; a fragment's is not. */
static inline bool ipv6_is_extension(uint8_t next) {
  return next == IPV6_NEXT_HOP_BY_HOP || next == IPV6_NEXT_ROUTING || next == IPV6_NEXT_DESTINATION;
}

static inline uint16_t load_be16(const uint8_t *at) {
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return __builtin_bswap16(value);
}

static inline uint32_t load_be32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return __builtin_bswap32(value);
}

static inline void store_be16(uint8_t *at, uint16_t value) {
  value = __builtin_bswap16(value);
  memcpy(at, &value, sizeof value);
}

static inline void store_be32(uint8_t *at, uint32_t value) {
  value = __builtin_bswap32(value);
  memcpy(at, &value, sizeof value);
}
