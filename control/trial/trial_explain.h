#pragma once
/* `tripline rules explain`: what the compiler has made of a rule within its set, and what it costs. Threads: one. */
#include "rule_set.h"
#include <jansson.h>

/* {name, on, severity, mode, enabled, version, text, conditions: [{part, compiled}], betrace, columns: [{reference, rules}],
 * predicates:
 * [{predicate, rules, shared}], found_by: {always_run, keys: [..]}, owner, memory: {..}, estimate: {..}}. The estimate is
 * measured here and now, `measure_ns` long, and left out when that is 0. NULL with errors; no such rule: NULL and none. */
json_t *trial_explain(const struct rule_set *set, const char *name, uint64_t measure_ns, struct rule_errors *errors);
