#pragma once
/* Violations by rule, for metrics: bounded; the rules met after the first VIOLATION_COUNTS_MAX are counted together. Threads: the
 * owner's lock. */
#include "violation.h"
#include <stdint.h>

#define VIOLATION_COUNTS_MAX 1000u
#define VIOLATION_COUNT_NAME_BYTES 129u /* the longest name of a rule, and NUL */

struct violation_counts;
struct violation_counts *violation_counts_create(void); /* NULL: out of memory */
/* `hash` of the name, as good as the caller likes. */
void violation_counts_add(struct violation_counts *counts, struct event_text rule, uint32_t hash);
/* In the order in which the rules were first met; last, when not zero, with the name "": all others. */
void violation_counts_each(const struct violation_counts *counts, void (*each)(void *context, const char *rule, uint64_t count),
                           void *context);
/* The name that was added with this hash (the first, should there be two); NULL: none, or among the others. Stays. */
const char *violation_counts_name(const struct violation_counts *counts, uint32_t hash);
void violation_counts_destroy(struct violation_counts *counts);
