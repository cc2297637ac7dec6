#pragma once
/* `tripline rules test|backtest|explain`. */
#include "cli_internal.h"
#include "rule_set.h"

/* cli_trial_rules.c: NULL, and said why with the code to leave with in *result. `paths` may be empty: the daemon's rules. */
struct rule_set *cli_trial_load(const char *const *paths, size_t count, int *result);
struct rule_set *cli_trial_daemon_rules(const struct cli *cli, int *result);
/* Text of rules, events and files on a terminal: one line, no control characters. */
void cli_trial_print_clean(const char *text);
