#pragma once
/* Jaeger's agent over UDP (agent.thrift, jaeger.thrift): a datagram is one compact-protocol message, a call of
 * `emitBatch(1: Batch)`, oneway or not; span events out.
 *
 * The process's serviceName is the service and the resource attribute service.name, null when empty; the process's tags are
 * resource attributes, a span's tags span attributes: text, double, bool and 64-bit integer by their type, binary is VALUE_OTHER.
 * Trace ids are traceIdHigh and traceIdLow, high bytes first. The parent is parentSpanId, or when that is 0 the first CHILD_OF,
 * else the first FOLLOWS_FROM reference to the same trace. Times are microseconds; a duration below 0 is 0. The tag span.kind
 * gives the kind; `error` of true, or of "true", the status error; otel.status_code of OK or ERROR counts for more. Flags, logs,
 * seqNo and stats are passed over.
 *
 * A span whose ids are 0, or whose start is before 1970 or beyond 64 bits of nanoseconds, is rejected alone. Malformed is: a
 * known field of another type, a batch without process or spans, either of them twice, anything after the message, unknown values
 * nested more than 16 deep. Strings are not checked for UTF-8. */
#include "span_result.h"

enum jaeger_message {
  JAEGER_BATCH,          /* a call of emitBatch, as far as its head tells */
  JAEGER_OTHER_PROTOCOL, /* not Thrift's compact protocol in its version 1 */
  JAEGER_OTHER_METHOD,
  JAEGER_MALFORMED,
};

enum jaeger_message jaeger_message_of(const uint8_t *bytes, uint32_t length);
/* The batch is empty before and after; `sink` gets full batches and the last. */
void jaeger_decode_compact(const uint8_t *bytes, uint32_t length, struct event_batch *batch, const struct event_sink *sink,
                           struct span_result *result);
