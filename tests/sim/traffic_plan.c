#include "traffic_plan.h"
#include <string.h>

/* Out of a hundred requests. */
static const uint8_t shares[REQUEST_KINDS] = {
    [REQUEST_SPANS_PROTOBUF] = 23, [REQUEST_SPANS_JSON] = 12,  [REQUEST_SPANS_ZIPKIN] = 8,     [REQUEST_DATAGRAM] = 3,
    [REQUEST_DATAGRAM_JAEGER] = 3, [REQUEST_SIGNED] = 16,      [REQUEST_REPEAT] = 6,           [REQUEST_OTHER_BODY] = 3,
    [REQUEST_FORGED] = 3,          [REQUEST_PLAIN] = 7,        [REQUEST_PLAIN_RECEIVED] = 4,   [REQUEST_ALERTS] = 6,
    [REQUEST_WRONG_PATH] = 1,      [REQUEST_WRONG_METHOD] = 1, [REQUEST_WRONG_MEDIA_TYPE] = 1, [REQUEST_MALFORMED] = 2,
    [REQUEST_TOO_LARGE] = 1,
};

static enum request_kind draw_kind(struct test_random *random) {
  uint32_t dice = random_below(random, 100);
  for (unsigned kind = 0; kind < REQUEST_KINDS; kind++) {
    if (dice < shares[kind]) return (enum request_kind)kind;
    dice -= shares[kind];
  }
  return REQUEST_SPANS_PROTOBUF;
}

/* A signed request that the same client has before this one: it is answered by the time this one is sent. */
static bool find_signed(const struct traffic_plan *plan, struct test_random *random, uint32_t client, uint16_t *found) {
  for (uint32_t i = 0; i < 20 && plan->requests; i++) {
    const uint32_t candidate = random_below(random, plan->requests);
    if (plan->request[candidate].kind != REQUEST_SIGNED || plan->request[candidate].client != client) continue;
    *found = (uint16_t)candidate;
    return true;
  }
  return false;
}

static void draw_request(struct traffic_plan *plan, struct test_random *random) {
  struct plan_request *request = &plan->request[plan->requests];
  *request = (struct plan_request){.kind = draw_kind(random), .client = (uint16_t)random_below(random, plan->clients)};
  if ((request->kind == REQUEST_REPEAT || request->kind == REQUEST_OTHER_BODY) &&
      !find_signed(plan, random, request->client, &request->of))
    request->kind = REQUEST_SIGNED;
  request->events = 1;
  if (is_spans_request(request->kind)) {
    request->events = (uint16_t)random_below(random, 5);
    request->fillers = (uint16_t)random_below(random, random_below(random, 4) ? 6 : 150);
    request->bad_spans = (uint16_t)(random_below(random, 8) ? 0 : 1 + random_below(random, 3));
    /* Bad spans alone would be refused there. */
    if (request->kind == REQUEST_SPANS_ZIPKIN && request->bad_spans) request->fillers++;
  } else if (request->kind == REQUEST_ALERTS) {
    request->events = (uint16_t)(1 + random_below(random, PLAN_EVENTS_A_REQUEST));
  } else if (request->kind == REQUEST_REPEAT || request->kind >= REQUEST_WRONG_PATH) {
    request->events = 0;
  }
  request->first_event = plan->events;
  request->faulty = (uint16_t)random_next(random);
  plan->events += request->events;
  plan->requests++;
}

static void draw_trace(struct traffic_plan *plan, struct test_random *random) {
  struct plan_trace *trace = &plan->trace[plan->traces];
  const uint32_t most = 1 + random_below(random, 6);
  *trace = (struct plan_trace){.first_part = (uint16_t)plan->parts};
  for (uint32_t i = 0; i < most && plan->parts < PLAN_PARTS_MAX; i++) {
    struct plan_part *part = &plan->part[plan->parts];
    const uint32_t dice = random_below(random, 100);
    const uint32_t request = random_below(random, plan->requests);
    if (!is_spans_request(plan->request[request].kind)) continue;
    *part = (struct plan_part){.trace = (uint16_t)plan->traces, .request = (uint16_t)request, .role = ROLE_OTHER};
    if (trace->parts == 0)
      part->role = ROLE_CHARGE;
    else if (dice < 25)
      part->role = ROLE_FRAUD_CHECK;
    else if (dice < 35)
      part->role = ROLE_FORBIDDEN;
    trace->checked |= part->role == ROLE_FRAUD_CHECK;
    trace->forbidden |= part->role == ROLE_FORBIDDEN;
    trace->parts++;
    plan->parts++;
  }
  if (trace->parts == 0) return;
  trace->always_event = plan->events++;
  trace->never_event = plan->events++;
  plan->traces++;
}

void traffic_plan_draw(struct traffic_plan *plan, uint64_t seed) {
  struct test_random random = {seed};
  *plan = (struct traffic_plan){.clients = 1 + random_below(&random, PLAN_CLIENTS_MAX)};
  const uint32_t requests = 20 + random_below(&random, PLAN_REQUESTS_MAX - 20);
  while (plan->requests < requests) draw_request(plan, &random);
  const uint32_t traces = random_below(&random, PLAN_TRACES_MAX);
  for (uint32_t i = 0; i < traces && plan->parts + 8 < PLAN_PARTS_MAX; i++) draw_trace(plan, &random);
}
