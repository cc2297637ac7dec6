#include "sim_wire_internal.h"

/* xoroshiro128+ (Blackman and Vigna): fast, and the same on every machine. */
uint64_t sim_random(struct sim_wire *wire) {
  const uint64_t a = wire->random[0], result = a + wire->random[1], b = wire->random[1] ^ a;
  wire->random[0] = (a << 24 | a >> 40) ^ b ^ (b << 16);
  wire->random[1] = b << 37 | b >> 27;
  return result;
}

uint64_t sim_random_up_to(struct sim_wire *wire, uint64_t most) {
  return most == UINT64_MAX ? sim_random(wire) : (sim_random(wire) >> 11) % (most + 1);
}

bool sim_chance(struct sim_wire *wire, uint32_t ppm) { return ppm != 0 && (sim_random(wire) >> 11) % 1000000 < ppm; }
