#pragma once
/* One event of a shard's flight recorder: 64 bytes, the size of a cache line. What `code` and `values` mean is its kind's
 * business (shard/flight_text.h prints them). */
#include <stdint.h>

enum flight_kind {
  FLIGHT_REQUEST_RECEIVED, /* sampled */
  FLIGHT_REQUEST_ANSWERED, /* with 2xx; of those that were sampled */
  FLIGHT_REQUEST_REFUSED,
  FLIGHT_MALFORMED,           /* a request or datagram that is not what it should be */
  FLIGHT_FRAMES_MALFORMED,    /* how many since the last such event */
  FLIGHT_CONNECTION_ACCEPTED, /* sampled */
  FLIGHT_CONNECTION_ENDED,    /* otherwise than in order */
  FLIGHT_VIOLATIONS_RAISED,   /* of a step */
  FLIGHT_JOURNAL_FULL,        /* records that found no room in the ring, of a step */
  FLIGHT_JOURNAL_FAILED,
  FLIGHT_PRESSURE,  /* a resource came into another state */
  FLIGHT_RECEIVING, /* windows were closed or opened, requests refused */
  FLIGHT_RULES_ADOPTED,
  FLIGHT_DRAINING,
  FLIGHT_KINDS
};

#define FLIGHT_VALUES 5

struct flight_event {
  uint64_t sequence; /* from 0, of the shard */
  uint64_t wall_ns;  /* of the step */
  uint16_t kind, shard;
  uint32_t code;
  uint64_t values[FLIGHT_VALUES];
};
_Static_assert(sizeof(struct flight_event) == 64, "a cache line");
