#pragma once
/* An address of either family in 16 bytes of network order; IPv4 is held as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), a form
 * that is never accepted from the wire in an IPv6 header. Threads: any. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ip_address {
  uint64_t words[2]; /* the bytes as they lie in a packet */
};

#define IP_ADDRESS_MAPPED 0xffff0000u /* the first half of the second word of an IPv4 address */

static inline struct ip_address ip_address_of_ipv4(uint32_t ipv4) {
  return (struct ip_address){{0, (uint64_t)__builtin_bswap32(ipv4) << 32 | IP_ADDRESS_MAPPED}};
}
static inline struct ip_address ip_address_of_bytes(const uint8_t bytes[16]) {
  struct ip_address address;
  memcpy(&address, bytes, sizeof address);
  return address;
}
static inline bool ip_address_is_ipv4(const struct ip_address *address) {
  return address->words[0] == 0 && (uint32_t)address->words[1] == IP_ADDRESS_MAPPED;
}
/* Host byte order; 0 for an IPv6 address. */
static inline uint32_t ip_address_ipv4(const struct ip_address *address) {
  return ip_address_is_ipv4(address) ? __builtin_bswap32((uint32_t)(address->words[1] >> 32)) : 0;
}
static inline bool ip_address_equal(const struct ip_address *a, const struct ip_address *b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}
static inline void ip_address_store(uint8_t bytes[16], const struct ip_address *address) { memcpy(bytes, address, 16); }
