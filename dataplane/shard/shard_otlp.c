#include "shard_internal.h"

const struct shard_span_listener *shard_otlp_listener(const struct shard *shard, uint16_t local_port) {
  if (local_port == shard->config.otlp.port) return &shard->config.otlp;
  return shard->config.otlp_grpc.port && local_port == shard->config.otlp_grpc.port ? &shard->config.otlp_grpc : NULL;
}

enum otlp_encoding shard_otlp_encoding(const struct http_request *request) {
  return http_media_type_is(http_request_header(request, "content-type"), "application/json") ? OTLP_JSON : OTLP_PROTOBUF;
}

static void decode_protobuf(struct shard *shard, const uint8_t *body, uint32_t bytes, struct event_batch *batch,
                            struct span_result *result) {
  otlp_decode_protobuf(body, bytes, batch, &shard->sink, result);
}

static void decode_json(struct shard *shard, const uint8_t *body, uint32_t bytes, struct event_batch *batch,
                        struct span_result *result) {
  otlp_decode_json(body, bytes, shard->scratch, shard->scratch_bytes, batch, &shard->sink, result);
}

static void respond(struct shard *shard, struct http_exchange *exchange, enum otlp_encoding encoding,
                    const struct span_result *result) {
  uint8_t body[HTTP_RESPONSE_BODY_BYTES_MAX];
  const struct http_response response = {
      .status = 200,
      .content_type = encoding == OTLP_JSON ? "application/json" : "application/x-protobuf",
      .body = body,
      .body_bytes = otlp_encode_response(encoding, result, body, sizeof body),
  };
  shard_respond(shard, exchange, &response, NULL);
}

static void respond_protobuf(struct shard *shard, struct http_exchange *exchange, const struct span_result *result) {
  respond(shard, exchange, OTLP_PROTOBUF, result);
}

static void respond_json(struct shard *shard, struct http_exchange *exchange, const struct span_result *result) {
  respond(shard, exchange, OTLP_JSON, result);
}

static const struct span_format formats[] = {[OTLP_PROTOBUF] = {.decode = decode_protobuf, .respond = respond_protobuf},
                                             [OTLP_JSON] = {.decode = decode_json, .respond = respond_json}};

enum http_disposition shard_handle_otlp(struct shard *shard, struct http_exchange *exchange, const struct http_request *request) {
  const enum otlp_encoding encoding = shard_otlp_encoding(request);
  shard->counters.otlp_requests[encoding]++;
  if (request->grpc) shard->counters.otlp_grpc_calls++;
  return shard_take_spans(shard, exchange, request, shard_otlp_listener(shard, request->local_port), &formats[encoding]);
}

/* The decoder reads beyond the end, where a frame has nothing. */
static void decode_datagram(struct shard *shard, const uint8_t *bytes, uint32_t length, struct event_batch *batch,
                            struct span_result *result) {
  memcpy(shard->datagram, bytes, length);
  otlp_decode_protobuf(shard->datagram, length, batch, &shard->sink, result);
}

void shard_receive_otlp_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                 uint32_t length, uint64_t now_ns) {
  static const struct span_format format = {.decode = decode_datagram};
  struct shard *shard = context;
  (void)source_port, (void)now_ns;
  shard_take_span_datagram(shard, bytes, length, &format, &shard->counters.otlp_datagrams, source, shard->config.otlp.port);
}
