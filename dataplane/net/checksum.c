#include "checksum.h"
#include <string.h>

uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  /* 32-bit words into 64-bit lanes: 2^32 words fit before a carry is lost, and the compiler keeps the lanes in vectors. */
  uint64_t lane0 = 0, lane1 = 0, lane2 = 0, lane3 = 0;
  for (; length >= 32; length -= 32, at += 32) {
    uint64_t words[4];
    memcpy(words, at, sizeof words);
    lane0 += (words[0] & 0xffffffff) + (words[0] >> 32);
    lane1 += (words[1] & 0xffffffff) + (words[1] >> 32);
    lane2 += (words[2] & 0xffffffff) + (words[2] >> 32);
    lane3 += (words[3] & 0xffffffff) + (words[3] >> 32);
  }
  sum += lane0 + lane1 + lane2 + lane3;
  for (; length >= 4; length -= 4, at += 4) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    sum += word;
  }
  uint32_t rest = 0;
  memcpy(&rest, at, length);
  return sum + rest;
}

uint16_t checksum_fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  uint32_t half = (uint32_t)(sum & 0xffff) + (uint32_t)(sum >> 16);
  half = (half & 0xffff) + (half >> 16);
  half = (half & 0xffff) + (half >> 16);
  return (uint16_t)half;
}

uint64_t checksum_pseudo_header(const struct ip_address *source, const struct ip_address *destination, uint8_t protocol,
                                uint32_t length) {
  /* The ffff in front of an IPv4 address is zero in one's complement, so one sum serves both families. */
  const uint64_t tail = (uint64_t)__builtin_bswap32((uint32_t)protocol) + __builtin_bswap32(length);
  return checksum_add(checksum_add(tail, source, sizeof *source), destination, sizeof *destination);
}
