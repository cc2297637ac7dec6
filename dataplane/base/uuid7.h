#pragma once
/* UUID version 7 (RFC 9562 section 5.7): 48-bit Unix milliseconds, then a 12-bit counter and 62 bits derived by SipHash from
 * a secret key, node, shard and a counter, so that ids sort by time and are unique across nodes. Threads: one owner. */
#include "siphash.h"
#include <stdint.h>

struct uuid7_source {
  struct siphash_key key; /* random per process start */
  uint64_t origin;        /* node and shard */
  uint64_t counter;
  uint64_t last_ms;
};

void uuid7_next(struct uuid7_source *source, uint64_t wall_ns, uint8_t uuid[16]);
/* 36 characters and a NUL. */
void uuid7_text(const uint8_t uuid[16], char text[37]);
