#pragma once
/* OTLP/HTTP traces (opentelemetry-proto, ExportTraceServiceRequest): body in, span events out; answers encoded.
 * Either the whole body decodes, or the request is malformed and the caller rolls back; a span with a bad id is rejected alone
 * and reported through partial_success. Unknown fields are skipped. Threads: one shard.
 *
 * Alike in both encodings: members in any order; of fields and attribute keys that occur twice the last counts; a parent id of
 * zeros is no parent; a name that is absent is the empty string; an unknown kind is unspecified, an unknown status code unset; an
 * array, map or bytes attribute is VALUE_OTHER, one without a value VALUE_NULL; service is null unless service.name is a string.
 * Protobuf: attributes that no rule reads, events and links are passed over by length and not looked into; a known field of
 * another wire type is malformed; strings are not checked for UTF-8 (stock SDKs and the Collector do not either): regular
 * expressions do not match invalid text. JSON: the whole body is checked; null is an absent field; only a body with a top object
 * is a request; `resource` or `scopeSpans` twice in one object is malformed; an id that is not hexadecimal is a bad id. */
#include "span_result.h"

enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

/* `body` has 64 readable bytes after its end. The batch is empty before and after; `sink` gets full batches and the last. */
void otlp_decode_protobuf(const uint8_t *body, uint32_t bytes, struct event_batch *batch, const struct event_sink *sink,
                          struct span_result *result);
/* `scratch` of at least `bytes` holds unescaped strings. */
void otlp_decode_json(const uint8_t *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes, struct event_batch *batch,
                      const struct event_sink *sink, struct span_result *result);

/* Both need at least this much room; a longer message is cut at whole characters to fit. */
#define OTLP_ANSWER_BYTES_MIN 256u

/* ExportTraceServiceResponse for SPANS_DECODED: empty (protobuf) or {} without rejects, else partial_success. Returns bytes
 * written. */
uint32_t otlp_encode_response(enum otlp_encoding encoding, const struct span_result *result, uint8_t *out, uint32_t room);
/* google.rpc.Status with a gRPC code derived from the HTTP status, and a message. */
uint32_t otlp_encode_status(enum otlp_encoding encoding, uint16_t http_status, const char *message, uint32_t message_length,
                            uint8_t *out, uint32_t room);
