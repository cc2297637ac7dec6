#pragma once
/* What the clients will send, drawn from a seed before anything moves: requests in order for each client, and traces whose spans
 * are spread over them. The plan does not depend on what happens later, so one plan must give the same verdicts on any number of
 * shards. */
#include "test_random.h"
#include <stdbool.h>
#include <stdint.h>

#define PLAN_CLIENTS_MAX 12
#define PLAN_REQUESTS_MAX 400
#define PLAN_TRACES_MAX 200
#define PLAN_PARTS_MAX 800
#define PLAN_EVENTS_A_REQUEST 12

enum request_kind {
  REQUEST_SPANS_PROTOBUF,
  REQUEST_SPANS_JSON,
  REQUEST_SPANS_ZIPKIN,
  REQUEST_DATAGRAM, /* spans in one UDP datagram: no answer */
  REQUEST_DATAGRAM_JAEGER,
  REQUEST_SIGNED,           /* a signed webhook with an id */
  REQUEST_REPEAT,           /* the same id and body again: the first answer */
  REQUEST_OTHER_BODY,       /* the same id, another body: 409 */
  REQUEST_FORGED,           /* a bad signature: 401; its id stays free */
  REQUEST_PLAIN,            /* an unsigned webhook, answered durable */
  REQUEST_PLAIN_RECEIVED,   /* likewise, answered received */
  REQUEST_ALERTS,           /* an Alertmanager's */
  REQUEST_WRONG_PATH,       /* 404 */
  REQUEST_WRONG_METHOD,     /* 405 */
  REQUEST_WRONG_MEDIA_TYPE, /* 415 */
  REQUEST_MALFORMED,        /* 400 */
  REQUEST_TOO_LARGE,        /* 413 */
  REQUEST_KINDS,
};

static inline bool is_spans_request(enum request_kind kind) { return kind <= REQUEST_SPANS_ZIPKIN; }
static inline bool is_datagram(enum request_kind kind) { return kind == REQUEST_DATAGRAM || kind == REQUEST_DATAGRAM_JAEGER; }

enum trace_role { ROLE_CHARGE, ROLE_FRAUD_CHECK, ROLE_FORBIDDEN, ROLE_OTHER };

/* One span of a trace. */
struct plan_part {
  uint16_t trace, request;
  enum trace_role role;
};

struct plan_trace {
  uint16_t first_part, parts;
  bool checked, forbidden; /* a fraud check, a forbidden span is among them */
  uint32_t always_event, never_event;
};

struct plan_request {
  enum request_kind kind;
  uint16_t client;
  uint16_t of;        /* REPEAT, OTHER_BODY: the signed request meant; earlier, of the same client */
  uint16_t fillers;   /* spans that nothing is wrong with */
  uint16_t bad_spans; /* with a trace id of zeros: rejected alone */
  uint16_t events;    /* each its own entry of the ledger */
  uint32_t first_event;
  uint16_t faulty; /* by bit: which of them the rule finds fault with */
};

struct traffic_plan {
  uint32_t clients, requests, traces, parts, events;
  struct plan_request request[PLAN_REQUESTS_MAX];
  struct plan_trace trace[PLAN_TRACES_MAX];
  struct plan_part part[PLAN_PARTS_MAX];
};

void traffic_plan_draw(struct traffic_plan *plan, uint64_t seed);
