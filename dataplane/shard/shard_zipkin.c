#include "shard_internal.h"
#include "zipkin.h"

bool shard_is_zipkin(const struct shard *shard, uint16_t local_port) {
  return shard->config.zipkin.port && local_port == shard->config.zipkin.port;
}

static void decode(struct shard *shard, const uint8_t *body, uint32_t bytes, struct event_batch *batch,
                   struct span_result *result) {
  zipkin_decode_json(body, bytes, shard->scratch, shard->scratch_bytes, batch, &shard->sink, result);
}

/* 202 is what Zipkin's own server says and its reporters expect, however far the spans have got. */
static void respond(struct shard *shard, struct http_exchange *exchange, const struct span_result *result) {
  const struct http_response response = {.status = 202};
  (void)result;
  shard_respond(shard, exchange, &response, NULL);
}

enum http_disposition shard_handle_zipkin(struct shard *shard, struct http_exchange *exchange,
                                          const struct http_request *request) {
  static const struct span_format format = {.decode = decode, .respond = respond};
  shard->counters.zipkin_requests++;
  return shard_take_spans(shard, exchange, request, &shard->config.zipkin, &format);
}
