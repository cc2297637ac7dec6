#include "numbered_violation.h"
#include <stdio.h>
#include <string.h>

static void put_big_endian(uint8_t *at, uint64_t number) {
  for (unsigned i = 0; i < 8; i++) at[i] = (uint8_t)(number >> (56 - 8 * i));
}

void numbered_violation_make(struct numbered_violation *numbered, uint64_t n) {
  static const char message[] = "something took longer than it may";
  const uint64_t wall_ns = NUMBERED_FIRST_WALL_NS + n * NUMBERED_STEP_NS;
  snprintf(numbered->rule, sizeof numbered->rule, "rule-%u", (unsigned)(n % NUMBERED_RULES));
  snprintf(numbered->service, sizeof numbered->service, "service-%u",
           n % NUMBERED_RARE_EVERY == 0 ? NUMBERED_SERVICES : (unsigned)(n % NUMBERED_SERVICES));
  numbered->violation = (struct violation){.wall_ns = wall_ns,
                                           .rule = {numbered->rule, (uint32_t)strlen(numbered->rule)},
                                           .message = {message, sizeof message - 1},
                                           .service = {numbered->service, (uint32_t)strlen(numbered->service)}};
  struct violation_fixed *fixed = &numbered->violation.fixed;
  fixed->severity = (uint8_t)(n % 5);
  fixed->source = (uint8_t)(n % 4);
  fixed->count = 1;
  fixed->has_trace = true;
  put_big_endian(fixed->id, wall_ns / 1000000u << 16 | 0x7000);
  put_big_endian(fixed->id + 8, 1ull << 63 | n);
  put_big_endian(fixed->trace_id, n * 0x9e3779b97f4a7c15u);
  put_big_endian(fixed->trace_id + 8, n);
}

bool numbered_violation_publish(struct record_ring *ring, uint64_t n) {
  struct numbered_violation numbered;
  numbered_violation_make(&numbered, n);
  void *record = record_ring_reserve(ring, violation_encoded_bytes(&numbered.violation));
  if (!record) return false;
  violation_encode(&numbered.violation, record);
  record_ring_publish(ring);
  return true;
}
