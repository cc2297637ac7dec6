#include "shard_internal.h"

const struct shard_otlp_listener *shard_otlp_listener(const struct shard *shard, uint16_t local_port) {
  if (local_port == shard->config.otlp.port) return &shard->config.otlp;
  return shard->config.otlp_grpc.port && local_port == shard->config.otlp_grpc.port ? &shard->config.otlp_grpc : NULL;
}

enum otlp_encoding shard_otlp_encoding(const struct http_request *request) {
  return http_media_type_is(http_request_header(request, "content-type"), "application/json") ? OTLP_JSON : OTLP_PROTOBUF;
}

static uint64_t rejected_total(const struct otlp_result *result) {
  uint64_t total = 0;
  for (unsigned reason = 0; reason < OTLP_REJECTS; reason++) total += result->rejected[reason];
  return total;
}

static void count_spans(struct shard *shard, const struct otlp_result *result) {
  struct shard_counters *counters = &shard->counters;
  const uint64_t good = result->spans - rejected_total(result);
  counters->spans_decoded += result->spans;
  for (unsigned reason = 0; reason < OTLP_REJECTS; reason++) counters->spans_rejected[reason] += result->rejected[reason];
  switch (result->outcome) {
  case OTLP_OK:
    counters->spans_evaluated += good;
    break;
  case OTLP_MALFORMED:
    counters->spans_rejected_malformed += good;
    break;
  case OTLP_NO_ROOM:
    counters->spans_rejected_overload += good;
    break;
  }
}

static void decode(struct shard *shard, enum otlp_encoding encoding, const uint8_t *body, uint32_t bytes,
                   struct otlp_result *result) {
  struct event_batch *batch = engine_batch(shard->engine, EVENT_SPAN);
  if (encoding == OTLP_JSON) {
    otlp_decode_json(body, bytes, shard->scratch, shard->scratch_bytes, batch, &shard->sink, result);
  } else {
    otlp_decode_protobuf(body, bytes, batch, &shard->sink, result);
  }
  count_spans(shard, result);
}

static void respond(struct shard *shard, struct http_exchange *exchange, enum otlp_encoding encoding,
                    const struct otlp_result *result) {
  uint8_t body[HTTP_RESPONSE_BODY_BYTES_MAX];
  const struct http_response response = {
      .status = 200,
      .content_type = encoding == OTLP_JSON ? "application/json" : "application/x-protobuf",
      .body = body,
      .body_bytes = otlp_encode_response(encoding, result, body, sizeof body),
  };
  http_respond(exchange, &response, shard->now_ns);
}

static void refuse_undecoded(struct shard *shard, struct http_exchange *exchange, const struct otlp_result *result) {
  const enum engine_room room = engine_room(shard->engine);
  engine_rollback(shard->engine);
  if (result->outcome == OTLP_MALFORMED) {
    shard_refuse(shard, exchange, 400, "malformed", result->error);
  } else if (room == ENGINE_ROOM_NEVER) {
    shard_refuse(shard, exchange, 413, "too_large", "the request raises more than fits in one piece; send it in smaller ones");
  } else {
    shard_refuse(shard, exchange, 503, "overloaded", "no room for what the request raises; try again");
  }
}

enum http_disposition shard_handle_otlp(struct shard *shard, struct http_exchange *exchange, const struct http_request *request) {
  const enum otlp_encoding encoding = shard_otlp_encoding(request);
  shard->counters.otlp_requests[encoding]++;
  if (request->grpc) shard->counters.otlp_grpc_calls++;
  struct parked *parked = NULL;
  const struct shard_otlp_listener *listener = shard_otlp_listener(shard, request->local_port);
  if (listener->acknowledge_durable && !(parked = shard_park(shard, exchange))) {
    shard_refuse(shard, exchange, 503, "overloaded", "too many answers wait for the journal; try again");
    return HTTP_ANSWERED;
  }
  struct otlp_result result = {0};
  decode(shard, encoding, request->body, request->body_bytes, &result);
  if (result.outcome != OTLP_OK) {
    if (parked) shard_unpark(shard, parked);
    refuse_undecoded(shard, exchange, &result);
    return HTTP_ANSWERED;
  }
  const bool raised = record_ring_reserved_count(shard->config.records) > 0;
  record_ring_set_durability(shard->config.records, listener->durability);
  const uint64_t position = engine_commit(shard->engine);
  if (parked && raised) {
    parked->encoding = encoding;
    parked->result = result;
    shard_wait_durable(shard, parked, position, listener->durability);
    return HTTP_PARKED;
  }
  if (parked) shard_unpark(shard, parked);
  respond(shard, exchange, encoding, &result);
  return HTTP_ANSWERED;
}

void shard_answer_otlp(struct shard *shard, struct parked *parked) {
  if (parked->exchange) respond(shard, parked->exchange, parked->encoding, &parked->result);
}

/* Nobody is told: what cannot be taken is dropped and counted. */
void shard_receive_otlp_datagram(void *context, const struct ip_address *source, uint16_t source_port, const uint8_t *bytes,
                                 uint32_t length, uint64_t now_ns) {
  struct shard *shard = context;
  (void)source, (void)source_port, (void)now_ns;
  shard->counters.otlp_datagrams++;
  if (length > SHARD_DATAGRAM_BYTES_MAX || shard_overloaded(shard)) {
    shard->counters.otlp_datagrams_dropped++;
    return;
  }
  memcpy(shard->datagram, bytes, length);
  struct otlp_result result = {0};
  decode(shard, OTLP_PROTOBUF, shard->datagram, length, &result);
  if (result.outcome == OTLP_OK) {
    record_ring_set_durability(shard->config.records, shard->config.otlp.durability);
    engine_commit(shard->engine);
    return;
  }
  engine_rollback(shard->engine);
  if (result.outcome == OTLP_MALFORMED) {
    shard->counters.otlp_datagrams_malformed++;
  } else {
    shard->counters.otlp_datagrams_dropped++;
  }
}
