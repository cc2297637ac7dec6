#pragma once
/* Values as the API writes them; the command line writes the same. */
#include "rule_set.h"
#include "violation.h"
#include <jansson.h>

json_t *json_time(uint64_t wall_ns); /* RFC 3339 UTC with nanoseconds */
json_t *json_violation(const struct violation *violation, uint64_t lsn, const char *node);
json_t *json_rule_errors(const struct rule_errors *errors);
const char *severity_word(unsigned severity);
const char *rule_on_word(unsigned on);
bool parse_time(const char *text, uint64_t now_wall_ns, uint64_t *wall_ns); /* RFC 3339, Unix seconds, or a duration ago */
