#pragma once
/* Planned requests as bytes: OTLP bodies, webhooks with real signatures, and HTTP/1.1 around them in the many ways a client may
 * write it. */
#include "otlp_model.h"
#include "simulated_appliance.h"
#include "traffic_plan.h"

extern const char *const simulation_rules, *const simulation_window_rules;
#define RULE_SPAN "span-over-limit"
#define RULE_ORDER "order-over-limit"
#define RULE_ALERT "critical-alert"
#define RULE_ALWAYS "charge-without-check"
#define RULE_NEVER "charge-with-forbidden"

/* Which ledger entry each event of a request, and each trace, has this time. */
struct request_entries {
  const uint32_t *events;         /* by number of the event in the request */
  const uint32_t *always, *never; /* by trace */
};

/* The sources of appliance_options that the requests are for. */
void request_maker_sources(struct appliance_options *options);
/* The body alone, as it is posted or sent in a datagram. */
void request_make_body(const struct traffic_plan *plan, uint32_t request, const struct request_entries *entries,
                       struct test_random *random, struct model_bytes *body);
/* The whole request. */
void request_make(const struct traffic_plan *plan, uint32_t request, const struct model_bytes *body, uint64_t wall_ns,
                  struct test_random *random, struct model_bytes *out);
uint32_t request_spans(const struct traffic_plan *plan, uint32_t request);
