#pragma once
/* Webhooks: who may send, is it genuine, what does it say. Pure functions over a configured source; no state.
 * Secrets are held as prepared HMAC-SHA256 states (inner and outer block hashed once); verification compares in constant time
 * and tries every secret without early exit. Threads: any; a source is constant after start. */
#include "event.h"
#include "webhook_record.h"
#include <openssl/sha.h>

#define WEBHOOK_SECRETS_MAX 8
#define WEBHOOK_ID_BYTES_MAX 256u
#define WEBHOOK_RECORDED_NAMES_MAX 16
#define WEBHOOK_ALERTS_MAX 1u << 20 /* bounded by body bytes only */

enum webhook_kind { WEBHOOK_JSON, WEBHOOK_ALERTMANAGER, WEBHOOK_GITHUB, WEBHOOK_STANDARD };

struct webhook_secret {
  char id[32];
  SHA256_CTX inner, outer;   /* after the padded key block */
  uint8_t bearer_sha256[32]; /* of the secret text, for Authorization: Bearer (json, alertmanager) */
};

/* What of an accepted webhook its record keeps, beside its verdict. */
struct webhook_recording {
  uint32_t body_bytes; /* bodies up to this length; 0: none */
  uint32_t header_count;
  struct {
    uint32_t length;
    char name[WEBHOOK_AUDIT_NAME_BYTES_MAX + 1]; /* lower case */
  } headers[WEBHOOK_RECORDED_NAMES_MAX];
};

struct webhook_source {
  char name[64];
  enum webhook_kind kind;
  bool acknowledge_durable;
  enum record_durability durability;
  uint32_t max_body_bytes;
  uint64_t window_ns, skew_ns;
  struct webhook_recording recording;
  uint32_t secret_count;
  struct webhook_secret secrets[WEBHOOK_SECRETS_MAX];
};

/* Header values as received; {NULL,0} when absent. */
struct webhook_headers {
  struct event_text signature; /* webhook-signature | svix-signature | x-hub-signature-256 | x-webhook-signature */
  struct event_text id;        /* webhook-id | svix-id | x-github-delivery | idempotency-key | x-idempotency-key */
  struct event_text timestamp; /* webhook-timestamp | svix-timestamp */
  struct event_text authorization;
};

enum webhook_verdict {
  WEBHOOK_GENUINE,  /* signature verified (or bearer); id, if any, is to be claimed */
  WEBHOOK_UNSIGNED, /* the source has no secrets: accepted, ids are not claimed */
  WEBHOOK_MISSING_SIGNATURE,
  WEBHOOK_BAD_SIGNATURE,
  WEBHOOK_MISSING_ID,
  WEBHOOK_BAD_ID,        /* too long, or has a '.' where the scheme forbids it */
  WEBHOOK_BAD_TIMESTAMP, /* not an integer */
  WEBHOOK_TOO_OLD,
  WEBHOOK_TOO_NEW,
  WEBHOOK_VERDICTS,
};

/* A secret as the kind writes it (standard-webhooks: base64, with or without whsec_; others: raw bytes). -1: not valid for it. */
int webhook_secret_prepare(enum webhook_kind kind, const char *text, uint32_t length, struct webhook_secret *secret);
/* `secret_index` (may be NULL) receives the matching secret, for the metric per key id. */
enum webhook_verdict webhook_authenticate(const struct webhook_source *source, const struct webhook_headers *headers,
                                          const uint8_t *body, uint32_t bytes, uint64_t wall_ns, uint32_t *secret_index);
const char *webhook_verdict_name(enum webhook_verdict verdict);

enum webhook_outcome {
  WEBHOOK_DECODED,
  WEBHOOK_NOT_JSON, /* 400 */
  WEBHOOK_SCHEMA,   /* 422: valid JSON, not what the kind demands */
  WEBHOOK_NO_ROOM,
};

struct webhook_result {
  enum webhook_outcome outcome;
  uint32_t alerts;
  const char *error; /* static text */
  uint32_t error_offset;
};

/* One EVENT_WEBHOOK into `webhooks`; an Alertmanager body also one EVENT_ALERT an alert into `alerts`. The sinks get full and
 * last batches. json and github: any JSON object; standard-webhooks: any JSON object; alertmanager: version 4 body as in
 * features.md 2.6 (labels with alertname, status, startsAt). Nothing is handed over before the whole body is known to be good:
 * the body is validated first. */
void webhook_decode(const struct webhook_source *source, const uint8_t *body, uint32_t bytes, char *scratch,
                    uint32_t scratch_bytes, uint64_t wall_ns, struct event_batch *webhooks, struct event_batch *alerts,
                    const struct event_sink *sink, struct webhook_result *result);
