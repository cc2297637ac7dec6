#pragma once
/* What spans of a trace have to do with one another: by looking at all of them, and at all pairs. */
#include "judge_trace.h"

/* An aggregate compared, an order, or a relation. */
bool trace_fact_holds(struct trace_judge *judge, const struct condition *condition, const struct judged_trace *trace,
                      unsigned generation);
/* No further span can make it false. */
bool trace_fact_stays(const struct condition *condition);
