#pragma once
/* Requests of the load generator: one template a kind, copied for each request and given ids and amounts of its own, so that no
 * two requests tell of the same traces or orders. Threads: one. */
#include <stdbool.h>
#include <stdint.h>

#define LOAD_SPANS 100u
#define LOAD_SPANS_A_TRACE 10u
#define LOAD_VIOLATION_EVERY 1000u /* spans or orders, unless said otherwise */

enum load_kind { LOAD_OTLP, LOAD_WEBHOOK, LOAD_WEBHOOK_SIGNED, LOAD_WEBHOOK_DURABLE, LOAD_KINDS };

struct load_request {
  enum load_kind kind;
  uint8_t *bytes; /* head and body; freed by load_request_free */
  uint32_t length, head_bytes;
  uint16_t port, status;       /* where it goes; what is answered */
  uint32_t ids[LOAD_SPANS];    /* offsets: of trace ids, or of the one id */
  uint32_t limits[LOAD_SPANS]; /* offsets of what breaks a rule: spans' ends, or an amount */
  uint64_t start_ns;           /* of the first span; the others start a microsecond later each */
  uint32_t violation_every;    /* one span or order of so many breaks a rule; 0: none */
};

/* `body_bytes` is for webhooks. */
void load_request_make(struct load_request *request, enum load_kind kind, uint32_t body_bytes);
void load_request_free(struct load_request *request);
/* Makes the ids in `copy`, which holds the template, those of request `number`. */
void load_request_number(const struct load_request *request, uint64_t number, uint8_t *copy);
/* How often request `number` breaks a rule. */
uint32_t load_request_violations(const struct load_request *request, uint64_t number);
