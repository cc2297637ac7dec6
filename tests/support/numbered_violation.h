#pragma once
/* Violations that follow from their number, so that what a query must find can be said by counting. */
#include "record_ring.h"
#include "violation.h"

#define NUMBERED_RULES 40u
#define NUMBERED_SERVICES 200u
#define NUMBERED_RARE_EVERY 100000u /* one in so many is of service-200 alone */
#define NUMBERED_FIRST_WALL_NS 1700000000000000000u
#define NUMBERED_STEP_NS 1000000u

struct numbered_violation {
  struct violation violation; /* its texts are the fields below */
  char rule[32], service[32];
};

/* Rule n % 40, severity n % 5, source n % 4, service n % 200, a millisecond after the one before, an id and a trace of its own.
 */
void numbered_violation_make(struct numbered_violation *numbered, uint64_t n);
/* False when the ring is full. */
bool numbered_violation_publish(struct record_ring *ring, uint64_t n);
