#pragma once
/* Conditions that BeTrace's notation can say, too. */
#include "rule_maker.h"

/* Of one span, as its older notation asks: span.name == "x" and span.attributes["k"] > 5. */
const struct condition *make_betrace_condition(struct rule_maker *maker, unsigned depth);
/* "Some span of that name, of which further conditions hold." */
const struct condition *make_betrace_selector(struct rule_maker *maker);
/* A name that such selectors look for. */
struct plain pool_operation(struct test_random *random);
