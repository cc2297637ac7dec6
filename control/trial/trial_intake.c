/* A body through the decoders of the listener that would have taken it, into the next shard's engine: whole, or not at all. */
#include "always_assert.h"
#include "jaeger.h"
#include "json_values.h"
#include "otlp.h"
#include "trial_internal.h"
#include "zipkin.h"
#include <stdlib.h>
#include <string.h>

#define BODY_SLACK_BYTES 64u

const char *trial_format_name(enum trial_format format) {
  static const char *const names[TRIAL_FORMATS] = {"OTLP protobuf",  "OTLP JSON",       "Zipkin JSON",
                                                   "Jaeger compact", "webhook",         "Alertmanager webhook",
                                                   "any webhook",    "recorded webhook"};
  return (unsigned)format < TRIAL_FORMATS ? names[format] : "unknown";
}

const char *trial_refusal_name(enum trial_refusal refusal) {
  static const char *const names[TRIAL_REFUSALS] = {"taken", "malformed", "not_json", "schema", "too_large"};
  return (unsigned)refusal < TRIAL_REFUSALS ? names[refusal] : "unknown";
}

static bool keep_body(struct trial_host *host, const struct trial_body *body) {
  if (body->length > TRIAL_BODY_BYTES_MAX) return false;
  if (body->length + BODY_SLACK_BYTES > host->body_room) {
    const size_t room = 2 * (body->length + BODY_SLACK_BYTES);
    free(host->body);
    free(host->scratch);
    host->body = malloc(room);
    host->scratch = malloc(room);
    host->body_room = host->body && host->scratch ? room : 0;
    if (!host->body_room) return false;
  }
  memcpy(host->body, body->bytes, body->length);
  memset(host->body + body->length, 0, BODY_SLACK_BYTES);
  return true;
}

struct intake {
  struct trial_host *host;
  struct engine *engine;
  uint64_t alerts, latest_end_ns, wall_ns;
};

static bool evaluate(void *context, struct event_batch *batch) {
  struct intake *intake = context;
  return engine_evaluate(intake->engine, batch, intake->host->now_ns, intake->wall_ns);
}

static void decode_spans(struct trial_host *host, const struct trial_body *body, struct event_batch *batch,
                         const struct event_sink *sink, struct span_result *result) {
  const uint32_t bytes = (uint32_t)body->length;
  switch (body->format) {
  case TRIAL_OTLP_PROTOBUF:
    otlp_decode_protobuf(host->body, bytes, batch, sink, result);
    return;
  case TRIAL_OTLP_JSON:
    otlp_decode_json(host->body, bytes, host->scratch, bytes, batch, sink, result);
    return;
  case TRIAL_ZIPKIN:
    zipkin_decode_json(host->body, bytes, host->scratch, bytes, batch, sink, result);
    return;
  case TRIAL_JAEGER:
    if (jaeger_message_of(host->body, bytes) == JAEGER_BATCH) {
      jaeger_decode_compact(host->body, bytes, batch, sink, result);
    } else {
      result->outcome = SPANS_MALFORMED;
      result->error = "no call of emitBatch in Thrift's compact protocol";
    }
    return;
  case TRIAL_WEBHOOK:
  case TRIAL_ALERTMANAGER:
  case TRIAL_ANY_WEBHOOK:
  case TRIAL_RECORDED_WEBHOOK:
  case TRIAL_FORMATS:
    break;
  }
  ALWAYS_ASSERT(false);
}

static enum trial_refusal take_spans(struct intake *intake, const struct trial_body *body, struct trial_answer *answer) {
  struct trial_host *host = intake->host;
  struct span_result result = {0};
  const struct event_sink sink = {.context = intake, .evaluate = evaluate};
  decode_spans(host, body, engine_batch(intake->engine, EVENT_SPAN), &sink, &result);
  answer->spans_rejected = span_result_rejected(&result);
  const uint64_t good = result.spans - answer->spans_rejected;
  host->counters.spans_decoded += result.spans;
  for (unsigned reason = 0; reason < SPAN_REJECTS; reason++) host->counters.spans_rejected[reason] += result.rejected[reason];
  answer->error = result.error;
  answer->error_offset = result.error_offset;
  if (result.outcome == SPANS_DECODED) {
    host->counters.spans_judged += answer->spans = good;
    return TRIAL_TAKEN;
  }
  host->counters.spans_refused += good;
  return result.outcome == SPANS_MALFORMED ? TRIAL_MALFORMED : TRIAL_TOO_LARGE;
}

static void decode_webhook(struct intake *intake, const struct webhook_source *source, const struct trial_body *body,
                           struct webhook_result *result) {
  struct trial_host *host = intake->host;
  const struct event_sink sink = {.context = intake, .evaluate = evaluate};
  const uint32_t bytes = (uint32_t)body->length;
  *result = (struct webhook_result){0};
  webhook_decode(source, host->body, bytes, host->scratch, bytes, intake->wall_ns, engine_batch(intake->engine, EVENT_WEBHOOK),
                 engine_batch(intake->engine, EVENT_ALERT), &sink, result);
}

static enum trial_refusal take_webhook(struct intake *intake, const struct trial_body *body, struct trial_answer *answer) {
  struct trial_host *host = intake->host;
  struct webhook_source source = {.kind = body->format == TRIAL_WEBHOOK ? WEBHOOK_JSON : WEBHOOK_ALERTMANAGER};
  struct webhook_result result = {0};
  const size_t length = body->source ? strlen(body->source) : 0;
  if (length) memcpy(source.name, body->source, length < sizeof source.name ? length : sizeof source.name - 1);
  if (body->recorded) {
    source.kind = (enum webhook_kind)body->recorded->source_kind;
    engine_set_correlation(intake->engine, body->recorded->correlation_id);
  }
  decode_webhook(intake, &source, body, &result);
  if (body->format == TRIAL_ANY_WEBHOOK && result.outcome == WEBHOOK_SCHEMA) {
    engine_rollback(intake->engine);
    source.kind = WEBHOOK_JSON;
    decode_webhook(intake, &source, body, &result);
  }
  answer->error = result.error;
  answer->error_offset = result.error_offset;
  switch (result.outcome) {
  case WEBHOOK_DECODED:
    host->counters.webhooks_judged += answer->webhooks = 1;
    host->counters.alerts_judged += answer->alerts = result.alerts;
    return TRIAL_TAKEN;
  case WEBHOOK_NOT_JSON:
    return TRIAL_NOT_JSON;
  case WEBHOOK_SCHEMA:
    return TRIAL_SCHEMA;
  case WEBHOOK_NO_ROOM:
    break;
  }
  return TRIAL_TOO_LARGE;
}

static bool is_webhook(enum trial_format format) {
  return format == TRIAL_WEBHOOK || format == TRIAL_ALERTMANAGER || format == TRIAL_ANY_WEBHOOK ||
         format == TRIAL_RECORDED_WEBHOOK;
}

void trial_host_take(struct trial_host *host, const struct trial_body *body, struct trial_answer *answer) {
  *answer = (struct trial_answer){.refusal = TRIAL_TOO_LARGE};
  host->counters.bodies++;
  if (keep_body(host, body)) {
    struct intake intake = {.host = host,
                            .engine = host->shards[host->next_shard].engine,
                            .wall_ns = body->recorded ? body->recorded->header.wall_ns : host->wall_ns};
    host->next_shard = (uint16_t)((host->next_shard + 1) % host->config.shards);
    answer->refusal = is_webhook(body->format) ? take_webhook(&intake, body, answer) : take_spans(&intake, body, answer);
    if (answer->refusal == TRIAL_TAKEN)
      engine_commit(intake.engine);
    else
      engine_rollback(intake.engine);
    trial_host_pump(host);
  }
  if (answer->refusal == TRIAL_TAKEN)
    answer->error = NULL;
  else if (!answer->error)
    answer->error = "more than is judged in one piece";
  host->counters.taken[answer->refusal]++;
}

/* Looks at the rows instead of judging them. */
static bool look_at_ends(void *context, struct event_batch *batch) {
  struct intake *intake = context;
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_fields *fields = &batch->fields[row];
    const uint64_t end_ns = fields->end_ns > fields->start_ns ? fields->end_ns : fields->start_ns;
    if (end_ns > intake->latest_end_ns) intake->latest_end_ns = end_ns;
  }
  batch->count = 0;
  return true;
}

uint64_t trial_host_latest_end_ns(struct trial_host *host, const struct trial_body *body) {
  struct intake intake = {.host = host};
  struct span_result result = {0};
  const struct event_sink sink = {.context = &intake, .evaluate = look_at_ends};
  if (is_webhook(body->format) || !keep_body(host, body)) return 0;
  struct engine *engine = host->shards[0].engine;
  decode_spans(host, body, engine_batch(engine, EVENT_SPAN), &sink, &result);
  engine_rollback(engine);
  return result.outcome == SPANS_DECODED ? intake.latest_end_ns : 0;
}

json_t *trial_violation_json(const struct violation *violation) {
  static const char *const meaningless[] = {"id", "node", "shard", "lsn"};
  json_t *json = json_violation(violation, 0, "");
  for (size_t i = 0; i < sizeof meaningless / sizeof *meaningless; i++) json_object_del(json, meaningless[i]);
  if (json_is_null(json_object_get(json, "correlation_id"))) json_object_del(json, "correlation_id"); /* as of any trial */
  return json;
}
