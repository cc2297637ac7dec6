#pragma once
/* What spans of a trace have to do with one another: by looking at all of them, and at all pairs. */
#include "judge_trace.h"

/* An aggregate compared, an order, or a relation. */
bool trace_fact_holds(const struct trace_view *view, const struct condition *condition);
/* The span at that place is a left one of the order and not followed. */
bool trace_fact_is_open(const struct trace_view *view, const struct condition *order, unsigned at);
/* No further span can make it false. */
bool trace_fact_stays(const struct condition *condition);
