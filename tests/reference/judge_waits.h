#pragma once
/* The times that rules give spans to come, by the manual: from the arrival of the span that waits, wider by the clock tolerance.
 */
#include "trace_facts.h"

/* The latest start of a span that counts for a rule with `within:`. */
uint64_t trace_waits_limit(struct trace_judge *judge, const struct judged_trace *trace, const struct shape_rule *shape,
                           unsigned generation);
/* Some rule still gives a span of the trace time to come: it is not complete by being idle. */
bool trace_waits(struct trace_judge *judge, const struct judged_trace *trace, unsigned generation, uint64_t now_ns);
/* A time of this very rule has passed, later than `since_ns`: it is judged. */
bool trace_waits_are_over(struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation,
                          uint64_t since_ns, uint64_t now_ns);
