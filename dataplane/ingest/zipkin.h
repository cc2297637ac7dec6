#pragma once
/* Zipkin v2 JSON (zipkin2-api.yaml): an array of spans in, span events out.
 *
 * Ids are hexadecimal of either case, traceId of up to 32 characters, id and parentId of up to 16; shorter ones have zeros before
 * them, as Zipkin's own server reads them; a parentId of zeros is no parent. A span whose ids are none of these, or whose times
 * do not fit 64 bits of nanoseconds, is rejected alone; Zipkin has no answer that says so, thus a body of which no span can be
 * taken is malformed. `timestamp` and `duration` are microseconds, 0 when absent. The service, and the resource attribute
 * service.name, is localEndpoint.serviceName, null when it is absent or empty. Tags are span attributes, always strings: a number
 * or a bool is its text, null is no tag. remoteEndpoint.serviceName is the span attribute peer.service unless a tag is. A tag
 * `error` that is not "false" makes the status error; `otel.status_code` of OK or ERROR counts for more. An unknown or absent
 * kind is unspecified. The server's half of a `shared` span without a parentId has the client's half, of the same id, as its
 * parent. Of members and tags that occur twice the last counts; annotations and debug are checked as JSON and passed over. */
#include "span_result.h"

/* `scratch` of at least `bytes` holds unescaped strings. The batch is empty before and after; `sink` gets full batches and the
 * last. */
void zipkin_decode_json(const uint8_t *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes, struct event_batch *batch,
                        const struct event_sink *sink, struct span_result *result);
