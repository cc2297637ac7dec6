/* What all span formats share once a body is whole: its spans are decoded, judged, counted and committed, or nothing of it is. */
#include "shard_internal.h"

static void count_spans(struct shard *shard, const struct span_result *result) {
  struct shard_counters *counters = &shard->counters;
  const uint64_t good = result->spans - span_result_rejected(result);
  counters->spans_decoded += result->spans;
  for (unsigned reason = 0; reason < SPAN_REJECTS; reason++) counters->spans_rejected[reason] += result->rejected[reason];
  switch (result->outcome) {
  case SPANS_DECODED:
    counters->spans_evaluated += good;
    break;
  case SPANS_MALFORMED:
    counters->spans_rejected_malformed += good;
    break;
  case SPANS_NO_ROOM:
    counters->spans_rejected_overload += good;
    break;
  }
}

static void decode(struct shard *shard, const struct span_format *format, const uint8_t *body, uint32_t bytes,
                   struct span_result *result) {
  format->decode(shard, body, bytes, engine_batch(shard->engine, EVENT_SPAN), result);
  count_spans(shard, result);
}

static void refuse_undecoded(struct shard *shard, struct http_exchange *exchange, const struct span_result *result) {
  const enum engine_room room = engine_room(shard->engine);
  engine_rollback(shard->engine);
  if (result->outcome == SPANS_MALFORMED) {
    shard_refuse(shard, exchange, 400, "malformed", result->error);
  } else if (room == ENGINE_ROOM_NEVER) {
    shard_refuse(shard, exchange, 413, "too_large", "the request raises more than fits in one piece; send it in smaller ones");
  } else {
    shard_refuse(shard, exchange, 503, "overloaded", "no room for what the request raises; try again");
  }
}

enum http_disposition shard_take_spans(struct shard *shard, struct http_exchange *exchange, const struct http_request *request,
                                       const struct shard_span_listener *listener, const struct span_format *format) {
  struct parked *parked = NULL;
  const bool unrecorded = shard->journal_failed_seen;
  if (listener->acknowledge_durable && !unrecorded && !(parked = shard_park(shard, exchange))) {
    shard_refuse(shard, exchange, 503, "overloaded", "too many answers wait for the journal; try again");
    return HTTP_ANSWERED;
  }
  struct span_result result = {0};
  decode(shard, format, request->body, request->body_bytes, &result);
  if (result.outcome != SPANS_DECODED) {
    if (parked) shard_unpark(shard, parked);
    refuse_undecoded(shard, exchange, &result);
    return HTTP_ANSWERED;
  }
  const bool raised = record_ring_reserved_count(shard->config.records) > 0;
  record_ring_set_durability(shard->config.records, listener->durability);
  const uint64_t position = engine_commit(shard->engine);
  if (unrecorded) {
    /* Judged and counted; the journal's thread lets go of what was raised, and who sent it may try elsewhere. */
    shard->counters.overload_answers++;
    shard_refuse(shard, exchange, 503, "journal_failed", SHARD_JOURNAL_FAILED);
    return HTTP_ANSWERED;
  }
  if (parked && raised) {
    parked->format = format;
    parked->result = result;
    shard_wait_durable(shard, parked, position, listener->durability);
    return HTTP_PARKED;
  }
  if (parked) shard_unpark(shard, parked);
  format->respond(shard, exchange, &result);
  return HTTP_ANSWERED;
}

void shard_answer_spans(struct shard *shard, struct parked *parked) {
  if (parked->exchange) parked->format->respond(shard, parked->exchange, &parked->result);
}

static enum datagram_outcome take_datagram(struct shard *shard, const uint8_t *bytes, uint32_t length,
                                           const struct span_format *format) {
  if (length > SHARD_DATAGRAM_BYTES_MAX) return DATAGRAM_TOO_LARGE;
  if (shard_sheds(shard, SHED_SPANS)) return DATAGRAM_OVERLOAD;
  struct span_result result = {0};
  decode(shard, format, bytes, length, &result);
  if (result.outcome == SPANS_DECODED) {
    record_ring_set_durability(shard->config.records, shard->config.otlp.durability);
    engine_commit(shard->engine);
    return DATAGRAM_ACCEPTED;
  }
  const enum engine_room room = engine_room(shard->engine);
  engine_rollback(shard->engine);
  if (result.outcome == SPANS_MALFORMED) return DATAGRAM_MALFORMED;
  return room == ENGINE_ROOM_NEVER ? DATAGRAM_TOO_LARGE : DATAGRAM_OVERLOAD;
}

void shard_take_span_datagram(struct shard *shard, const uint8_t *bytes, uint32_t length, const struct span_format *format,
                              struct datagram_counters *counters, const struct ip_address *source, uint16_t port) {
  const enum datagram_outcome outcome = take_datagram(shard, bytes, length, format);
  shard_count_datagram(shard, counters, outcome, source, port, length);
}

void shard_count_datagram(struct shard *shard, struct datagram_counters *counters, enum datagram_outcome outcome,
                          const struct ip_address *source, uint16_t port, uint32_t length) {
  counters->received++;
  counters->outcomes[outcome]++;
  if (outcome != DATAGRAM_ACCEPTED) shard_flight_datagram(shard, source, port, length, outcome);
}

const char *datagram_outcome_name(enum datagram_outcome outcome) {
  static const char *const names[DATAGRAM_OUTCOMES] = {
      [DATAGRAM_ACCEPTED] = "accepted", [DATAGRAM_MALFORMED] = "malformed", [DATAGRAM_PROTOCOL] = "protocol",
      [DATAGRAM_METHOD] = "method",     [DATAGRAM_TOO_LARGE] = "too_large", [DATAGRAM_OVERLOAD] = "overload"};
  return (unsigned)outcome < DATAGRAM_OUTCOMES ? names[outcome] : "unknown";
}
