#include "sha256_of_run.h"
#include "shard_internal.h"

static const char *const refusal_names[REFUSALS - WEBHOOK_VERDICTS] = {"not_json",    "schema",   "id_conflict",
                                                                       "replay_full", "overload", "too_large"};

const char *webhook_refusal_name(unsigned refusal) {
  ALWAYS_ASSERT(refusal < REFUSALS);
  if (refusal < WEBHOOK_VERDICTS) return webhook_verdict_name((enum webhook_verdict)refusal);
  return refusal_names[refusal - WEBHOOK_VERDICTS];
}

const struct webhook_source *shard_webhook_source(const struct shard *shard, struct http_text path) {
  static const char prefix[] = "/webhook/";
  const uint32_t prefix_length = sizeof prefix - 1;
  if (path.length <= prefix_length || memcmp(path.at, prefix, prefix_length) != 0) return NULL;
  const char *name = path.at + prefix_length;
  const uint32_t length = path.length - prefix_length;
  for (uint32_t i = 0; i < shard->config.webhooks.source_count; i++) {
    const struct webhook_source *source = &shard->config.webhooks.sources[i];
    if (strlen(source->name) == length && memcmp(source->name, name, length) == 0) return source;
  }
  return NULL;
}

static struct event_text header_of(const struct http_request *request, const char *const *names) {
  for (; *names; names++) {
    const struct http_text value = http_request_header(request, *names);
    if (value.at) return (struct event_text){value.at, value.length};
  }
  return (struct event_text){NULL, 0};
}

/* Each kind reads the headers of its own scheme only (features.md 2.7). */
static struct webhook_headers headers_of(const struct webhook_source *source, const struct http_request *request) {
  static const char *const standard_signature[] = {"webhook-signature", "svix-signature", NULL};
  static const char *const standard_id[] = {"webhook-id", "svix-id", NULL};
  static const char *const standard_timestamp[] = {"webhook-timestamp", "svix-timestamp", NULL};
  static const char *const github_signature[] = {"x-hub-signature-256", NULL};
  static const char *const github_id[] = {"x-github-delivery", NULL};
  static const char *const plain_signature[] = {"x-webhook-signature", NULL};
  static const char *const plain_id[] = {"idempotency-key", "x-idempotency-key", NULL};
  static const char *const authorization[] = {"authorization", NULL};
  struct webhook_headers headers = {.authorization = header_of(request, authorization)};
  switch (source->kind) {
  case WEBHOOK_STANDARD:
    headers.signature = header_of(request, standard_signature);
    headers.id = header_of(request, standard_id);
    headers.timestamp = header_of(request, standard_timestamp);
    break;
  case WEBHOOK_GITHUB:
    headers.signature = header_of(request, github_signature);
    headers.id = header_of(request, github_id);
    break;
  case WEBHOOK_JSON:
  case WEBHOOK_ALERTMANAGER:
    headers.signature = header_of(request, plain_signature);
    headers.id = header_of(request, plain_id);
    break;
  }
  return headers;
}

static void refuse(struct shard *shard, struct http_exchange *exchange, unsigned refusal, uint16_t status, const char *message) {
  shard->counters.webhooks_refused[refusal]++;
  if (exchange) shard_refuse(shard, exchange, status, webhook_refusal_name(refusal), message);
}

static void refuse_verdict(struct shard *shard, struct http_exchange *exchange, enum webhook_verdict verdict) {
  static const char *const messages[WEBHOOK_VERDICTS] = {
      [WEBHOOK_MISSING_SIGNATURE] = "the signature is missing",
      [WEBHOOK_BAD_SIGNATURE] = "the signature does not match",
      [WEBHOOK_MISSING_ID] = "the webhook id is missing",
      [WEBHOOK_BAD_ID] = "the webhook id is not acceptable",
      [WEBHOOK_BAD_TIMESTAMP] = "the timestamp is not a whole number of seconds",
      [WEBHOOK_TOO_OLD] = "the timestamp is too old",
      [WEBHOOK_TOO_NEW] = "the timestamp is in the future",
  };
  refuse(shard, exchange, verdict, 401, messages[verdict]);
}

static void respond(struct shard *shard, struct http_exchange *exchange, const struct replay_answer *answer) {
  uint8_t body[HTTP_RESPONSE_BODY_BYTES_MAX];
  char correlation[37];
  uuid7_text(answer->correlation_id, correlation);
  static const char durable[] = "{\"status\":\"durable\",\"correlation_id\":\"";
  static const char received[] = "{\"status\":\"received\",\"correlation_id\":\"";
  const bool is_durable = answer->status == 200;
  const char *start = is_durable ? durable : received;
  const uint32_t start_length = is_durable ? sizeof durable - 1 : sizeof received - 1;
  memcpy(body, start, start_length);
  memcpy(body + start_length, correlation, 36);
  memcpy(body + start_length + 36, "\"}", 2);
  const struct http_response response = {
      .status = answer->status, .content_type = "application/json", .body = body, .body_bytes = start_length + 38};
  shard_respond(shard, exchange, &response, NULL);
}

void shard_answer_webhook(struct shard *shard, struct parked *parked) {
  if (parked->exchange) respond(shard, parked->exchange, &parked->answer);
  shard_settle(shard, parked, false);
}

/* The request took no effect: its id, if it claimed one, is free again. */
static void refuse_and_release(struct shard *shard, struct parked *parked, unsigned refusal, uint16_t status,
                               const char *message) {
  engine_rollback(shard->engine);
  refuse(shard, parked->exchange, refusal, status, message);
  shard_settle(shard, parked, true);
}

static const char too_much[] = "the body raises more than fits in one piece";

static bool judge(struct shard *shard, struct parked *parked, const struct http_request *request) {
  struct webhook_result result = {0};
  webhook_decode(parked->source, request->body, request->body_bytes, shard->scratch, shard->scratch_bytes, shard->wall_ns,
                 engine_batch(shard->engine, EVENT_WEBHOOK), engine_batch(shard->engine, EVENT_ALERT), &shard->sink, &result);
  switch (result.outcome) {
  case WEBHOOK_DECODED:
    break;
  case WEBHOOK_NOT_JSON:
    refuse_and_release(shard, parked, REFUSAL_NOT_JSON, 400, result.error);
    return false;
  case WEBHOOK_SCHEMA:
    refuse_and_release(shard, parked, REFUSAL_SCHEMA, 422, result.error);
    return false;
  case WEBHOOK_NO_ROOM: {
    const bool never = engine_room(shard->engine) == ENGINE_ROOM_NEVER;
    refuse_and_release(shard, parked, never ? REFUSAL_TOO_LARGE : REFUSAL_OVERLOAD, never ? 413 : 503,
                       never ? too_much : "no room for what the body raises; try again");
    return false;
  }
  }
  bool never = false;
  if (shard_reserve_webhook_record(shard, parked, request, &never)) return true;
  refuse_and_release(shard, parked, never ? REFUSAL_TOO_LARGE : REFUSAL_OVERLOAD, never ? 413 : 503,
                     never ? too_much : "the journal is behind; try again");
  return false;
}

/* An id must not outlive its webhook's effect, nor the effect its id: both go into one batch of the journal. */
static bool stays_whole(struct shard *shard, struct parked *parked) {
  if (!parked->claimed || record_ring_reserved_bytes(shard->config.records) <= shard->config.webhooks.unit_bytes_max) return true;
  refuse_and_release(shard, parked, REFUSAL_TOO_LARGE, 413, too_much);
  return false;
}

static void accept(struct shard *shard, struct parked *parked) {
  const struct http_request *request = http_exchange_request(parked->exchange);
  parked->answer.status = parked->source->acknowledge_durable ? 200 : 202;
  uuid7_next(&shard->correlation, shard->wall_ns, parked->answer.correlation_id);
  engine_set_correlation(shard->engine, parked->answer.correlation_id);
  if (!judge(shard, parked, request) || !stays_whole(shard, parked)) return;
  record_ring_set_durability(shard->config.records, parked->source->durability);
  const uint64_t position = engine_commit(shard->engine);
  shard->counters.webhooks_accepted++;
  if (parked->source->acknowledge_durable) {
    shard->counters.webhooks_pending++;
    shard_wait_durable(shard, parked, position, parked->source->durability);
    return;
  }
  shard->counters.webhooks_received_only++;
  shard_answer_webhook(shard, parked);
}

void shard_webhook_verdict(struct shard *shard, struct parked *parked, enum replay_verdict verdict,
                           const struct replay_answer *answer) {
  switch (verdict) {
  case REPLAY_NEW:
    parked->claimed = true;
    if (parked->exchange) {
      accept(shard, parked);
    } else {
      shard_settle(shard, parked, true); /* the client went away before it took effect */
    }
    return;
  case REPLAY_PENDING:
    shard_claim_later(shard, parked);
    return;
  case REPLAY_SAME:
    shard->counters.webhooks_repeated++;
    if (parked->exchange) respond(shard, parked->exchange, answer);
    break;
  case REPLAY_CONFLICT:
    refuse(shard, parked->exchange, REFUSAL_CONFLICT, 409, "this id was used with another body");
    break;
  case REPLAY_FULL:
    refuse(shard, parked->exchange, REFUSAL_REPLAY_FULL, 503, "too many ids are remembered; try again");
    break;
  }
  shard_unpark(shard, parked);
}

/* Whatever the answer, it may have been given by the time this returns: the exchange is parked if its slot still holds it. */
static enum http_disposition disposition(const struct parked *parked, const struct http_exchange *exchange) {
  return parked->state != PARKED_FREE && parked->exchange == exchange ? HTTP_PARKED : HTTP_ANSWERED;
}

enum http_disposition shard_handle_webhook(struct shard *shard, struct http_exchange *exchange,
                                           const struct http_request *request) {
  const struct webhook_source *source = shard_webhook_source(shard, request->path);
  ALWAYS_ASSERT(source); /* admitted */
  const struct webhook_headers headers = headers_of(source, request);
  uint32_t secret = 0;
  const enum webhook_verdict verdict =
      webhook_authenticate(source, &headers, request->body, request->body_bytes, shard->wall_ns, &secret);
  if (verdict != WEBHOOK_GENUINE && verdict != WEBHOOK_UNSIGNED) {
    refuse_verdict(shard, exchange, verdict);
    return HTTP_ANSWERED;
  }
  if (verdict == WEBHOOK_GENUINE) shard->counters.webhook_secret_used[source - shard->config.webhooks.sources][secret]++;
  struct parked *parked = shard_park(shard, exchange);
  if (!parked) {
    refuse(shard, exchange, REFUSAL_OVERLOAD, 503, "too many answers wait; try again");
    return HTTP_ANSWERED;
  }
  parked->source = source;
  parked->received_wall_ns = shard->wall_ns;
  sha256(request->body, request->body_bytes, parked->body_sha256);
  if (verdict == WEBHOOK_GENUINE && headers.id.at) {
    parked->key = replay_key_of(source->name, (uint32_t)strlen(source->name), headers.id.at, headers.id.length);
    parked->remember_until_ns = shard->wall_ns + 2 * (source->window_ns + source->skew_ns);
    shard_claim(shard, parked);
  } else {
    accept(shard, parked);
  }
  return disposition(parked, exchange);
}
