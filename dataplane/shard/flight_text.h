#pragma once
/* What the events of a shard's flight recorder mean: how requests are packed into them, and each event as a line of JSON. Nothing
 * here allocates or locks: a crash handler may print events, too. Threads: any. */
#include "flight_event.h"
#include <stdbool.h>
#include <stddef.h>

#define FLIGHT_TEXT_BYTES_MAX 768u /* of any event, NUL included */

/* By which port a request or connection came. */
enum flight_protocol {
  FLIGHT_OTLP_HTTP,
  FLIGHT_OTLP_GRPC,
  FLIGHT_ZIPKIN,
  FLIGHT_WEBHOOKS,
  FLIGHT_OTLP_UDP,
  FLIGHT_JAEGER_UDP,
  FLIGHT_PROTOCOLS
};

enum flight_version { FLIGHT_HTTP_1, FLIGHT_HTTP_2, FLIGHT_GRPC, FLIGHT_UDP, FLIGHT_VERSIONS };

/* values[2] of what is about a request, datagram or connection; values[0] and [1] are the peer's address. */
struct flight_request {
  uint16_t status;
  enum flight_protocol protocol;
  enum flight_version version;
  bool forced, parked;
};
uint64_t flight_pack(const struct flight_request *request);

const char *flight_kind_name(unsigned kind);
/* -1: there is no such kind. */
int flight_kind_of_name(const char *name);

/* `code` of a refusal, and the other way round. Of a webhook's refusals the names are webhook_refusal_name's. */
uint32_t flight_reason_of_name(const char *name);
uint32_t flight_reason_of_datagram(unsigned outcome);
const char *flight_reason_name(uint32_t reason);

/* One JSON object without a line's end; returns its length. */
size_t flight_text(const struct flight_event *event, char text[FLIGHT_TEXT_BYTES_MAX]);
/* RFC 3339 with nanoseconds: 30 characters and NUL. */
void flight_time_text(uint64_t wall_ns, char text[31]);
/* Decimal digits, NUL after them; returns how many. */
size_t flight_number_text(uint64_t number, char text[21]);
