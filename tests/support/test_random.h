#pragma once
/* A small seeded generator (splitmix64), so that a failing case can be run again. */
#include <stdint.h>

struct test_random {
  uint64_t state;
};

static inline uint64_t random_next(struct test_random *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

/* 0 to `bound` - 1. */
static inline uint32_t random_below(struct test_random *random, uint32_t bound) {
  return (uint32_t)((random_next(random) >> 32) * bound >> 32);
}
