#pragma once
/* Regular expressions that Hyperscan and PCRE2 both take; judged by PCRE2. */
#include "plain_value.h"
#include "test_random.h"

struct pattern;
void pattern_pool_open(void);
void pattern_pool_close(void);
const struct pattern *pattern_pick(struct test_random *random);
const char *pattern_text(const struct pattern *pattern);
/* Somewhere in the text, which must be UTF-8. */
bool pattern_found(const struct pattern *pattern, const struct plain *text);
