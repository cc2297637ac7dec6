#pragma once
/* The hash of a trace id: its top bits choose the shard that owns the trace, its low bits the place in that shard's table. Ids
 * are chosen by clients, so it is keyed: multilinear hashing is strongly universal (Lemire and Kaser, 2012): whatever two ids are
 * sent, chance alone decides whether they meet, and nothing that leaves the process depends on it. A fifth of SipHash's time. */
#include "siphash.h"
#include <string.h>

struct trace_hasher {
  uint64_t keys[5];
};

static inline struct trace_hasher trace_hasher_of(const struct siphash_key *key) {
  struct trace_hasher hasher;
  for (uint64_t i = 0; i < 5; i++) hasher.keys[i] = siphash(key, &i, sizeof i);
  return hasher;
}

static inline uint32_t trace_hash(const struct trace_hasher *hasher, const uint8_t trace_id[16]) {
  uint32_t words[4];
  memcpy(words, trace_id, sizeof words);
  uint64_t sum = hasher->keys[0];
  for (unsigned i = 0; i < 4; i++) sum += hasher->keys[i + 1] * words[i];
  return (uint32_t)(sum >> 32);
}

static inline uint16_t trace_owner(uint32_t hash, uint16_t shards) { return (uint16_t)((uint64_t)hash * shards >> 32); }
