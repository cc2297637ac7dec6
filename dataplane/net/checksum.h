#pragma once
/* The internet checksum (RFC 1071). Sums are kept in memory byte order, so nothing is swapped: a folded result is stored with
 * memcpy. Threads: any. */
#include "ip_address.h"
#include <stddef.h>
#include <stdint.h>

/* Adds `length` bytes to a running sum. Only the last part of a message may have an odd length. */
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length);
/* The 16-bit one's-complement sum, not complemented: what offload wants in the field. */
uint16_t checksum_fold(uint64_t sum);
/* Sum of the pseudo-header of either family (RFC 9293 section 3.1, RFC 8200 section 8.1); the length in host order. */
uint64_t checksum_pseudo_header(const struct ip_address *source, const struct ip_address *destination, uint8_t protocol,
                                uint32_t length);
