#pragma once
/* Big-endian fields and header sizes of the formats that this room reads and writes. */
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
#define IPV4_DONT_FRAGMENT 0x4000u
#define IPV4_FRAGMENT_MASK 0x3fffu /* more-fragments bit and offset */
#define ICMP_HEADER_BYTES 8u
#define UDP_HEADER_BYTES 8u
#define TCP_HEADER_BYTES 20u

enum tcp_flag { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20 };

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
