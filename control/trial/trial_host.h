#pragma once
/* Rules on trial: the daemon's engine and decoders on one to many shards in one thread, with rings between them and time from the
 * input. Needs no daemon, root or hugepages. What one body raises is handed over before the call for it returns. Threads: one. */
#include "engine.h"
#include "rule_set.h"
#include "span_result.h"
#include "violation.h"
#include "webhook.h"
#include <jansson.h>

#define TRIAL_BODY_BYTES_MAX (64u << 20)

/* What a body is, as the listener that would take it knows. */
enum trial_format {
  TRIAL_OTLP_PROTOBUF,
  TRIAL_OTLP_JSON,
  TRIAL_ZIPKIN,
  TRIAL_JAEGER,
  TRIAL_WEBHOOK, /* of the kind json */
  TRIAL_ALERTMANAGER,
  TRIAL_ANY_WEBHOOK,      /* Alertmanager's where it has that shape, else of the kind json */
  TRIAL_RECORDED_WEBHOOK, /* as a journal has it: judged at its time, its violations name it */
  TRIAL_FORMATS
};
const char *trial_format_name(enum trial_format format);

struct trial_body {
  enum trial_format format;
  const void *bytes;
  size_t length;
  const char *source;                    /* of a webhook: its name */
  const struct webhook_record *recorded; /* of a recorded one */
};

/* Why nothing of a body was judged. */
enum trial_refusal {
  TRIAL_TAKEN,
  TRIAL_MALFORMED,
  TRIAL_NOT_JSON,
  TRIAL_SCHEMA,
  TRIAL_TOO_LARGE, /* itself, or what it raises */
  TRIAL_REFUSALS
};
const char *trial_refusal_name(enum trial_refusal refusal);

struct trial_answer {
  enum trial_refusal refusal;
  const char *error; /* static text, NULL when taken */
  uint32_t error_offset;
  uint64_t spans, webhooks, alerts; /* judged */
  uint64_t spans_rejected;          /* alone, by reason in the counters */
};

/* Conservation: bodies = the sum of `taken`; spans_decoded = judged + rejected, by reason + of refused bodies. */
struct trial_counters {
  uint64_t bodies, taken[TRIAL_REFUSALS];
  uint64_t spans_decoded, spans_judged, spans_rejected[SPAN_REJECTS], spans_refused;
  uint64_t webhooks_judged, alerts_judged;
  uint64_t violations;
};

struct trial_config {
  uint16_t shards;        /* 1 to IMAGE_SHARDS_MAX */
  uint64_t start_wall_ns; /* Unix */
  uint64_t trace_idle_ns; /* 0: the daemon's default */
  uint32_t traces_max;    /* a shard; 0: the daemon's default */
  uint32_t captures_max;  /* likewise */
  void *context;
  /* Text points into memory of the call. */
  void (*violation)(void *context, const struct violation *violation);
};

struct trial_host;

/* NULL with errors: the rules do not compile, or there is no memory. Keeps nothing of `set`. */
struct trial_host *trial_host_create(const struct rule_set *set, const struct trial_config *config, struct rule_errors *errors);
void trial_host_free(struct trial_host *host);
/* The same rules, nothing seen yet, at another start. False: no memory; the host may only be freed. */
bool trial_host_restart(struct trial_host *host, uint64_t start_wall_ns);

/* Judges a body that arrives now. */
void trial_host_take(struct trial_host *host, const struct trial_body *body, struct trial_answer *answer);
/* The latest end of the spans in a body, without judging them: about when it was sent. 0: none. */
uint64_t trial_host_latest_end_ns(struct trial_host *host, const struct trial_body *body);
/* Time goes on; what matures meanwhile is judged when it does, within TRIAL_STEP_NS of a short wait and a ten-thousandth of a
 * long one. Time never goes back. */
#define TRIAL_STEP_NS 10000000ull
void trial_host_advance(struct trial_host *host, uint64_t wall_ns);
/* Time goes on until every trace is judged. */
void trial_host_settle(struct trial_host *host);
/* Ends what is open as a daemon does that is stopped: `never` stands, `always` is not judged. */
void trial_host_drain(struct trial_host *host);

uint64_t trial_host_wall_ns(const struct trial_host *host);
uint64_t trial_host_traces_live(const struct trial_host *host);
const struct trial_counters *trial_host_counters(const struct trial_host *host);
const struct rule_image *trial_host_image(const struct trial_host *host);
const struct engine_counters *trial_host_engine_counters(const struct trial_host *host, uint16_t shard);

/* As the API shows it, without what a trial has not: id, node, shard, lsn. */
json_t *trial_violation_json(const struct violation *violation);
