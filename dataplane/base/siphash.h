#pragma once
/* SipHash-2-4 (Aumasson and Bernstein, 2012): the keyed hash for everything an attacker may choose. Threads: any. */
#include <stddef.h>
#include <stdint.h>

struct siphash_key {
  uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t length);
