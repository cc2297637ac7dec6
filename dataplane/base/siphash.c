#include "siphash.h"
#include <string.h>

static inline uint64_t rotate_left(uint64_t value, unsigned bits) { return value << bits | value >> (64 - bits); }

static inline uint64_t load_le64(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

static inline void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = rotate_left(v[1], 13) ^ v[0];
  v[0] = rotate_left(v[0], 32);
  v[2] += v[3];
  v[3] = rotate_left(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = rotate_left(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = rotate_left(v[1], 17) ^ v[2];
  v[2] = rotate_left(v[2], 32);
}

static inline void absorb(uint64_t v[4], uint64_t word) {
  v[3] ^= word;
  sip_round(v);
  sip_round(v);
  v[0] ^= word;
}

/* The last 0 to 7 bytes, with the length's low byte on top. */
static inline uint64_t last_word(const uint8_t *bytes, size_t length) {
  uint64_t word = (uint64_t)(length & 0xff) << 56;
  for (size_t i = 0; i < (length & 7); i++) word |= (uint64_t)bytes[i] << (8 * i);
  return word;
}

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t length) {
  uint64_t v[4] = {
      key->k0 ^ 0x736f6d6570736575,
      key->k1 ^ 0x646f72616e646f6d,
      key->k0 ^ 0x6c7967656e657261,
      key->k1 ^ 0x7465646279746573,
  };
  const uint8_t *at = bytes;
  for (size_t words = length / 8; words > 0; words--, at += 8) absorb(v, load_le64(at));
  absorb(v, last_word(at, length));
  v[2] ^= 0xff;
  for (unsigned round = 0; round < 4; round++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
