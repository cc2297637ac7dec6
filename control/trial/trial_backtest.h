#pragma once
/* `tripline rules backtest`: recorded traffic judged by two rule sets side by side. Memory is bounded, however long the recording
 * is: counts for each rule, a limited list of violations, and a limited number of those that wait for their like. Threads: one.
 */
#include "rule_set.h"
#include <jansson.h>

struct trial_progress {
  uint64_t done_bytes, total_bytes; /* total 0: not known */
  uint64_t events, violations;
};

struct trial_backtest {
  const struct rule_set *rules;   /* NEW */
  const struct rule_set *against; /* CURRENT; NULL: none, or what a journal has recorded */
  const char *recording;          /* a capture, a journal's folder, or a file of spans */
  uint16_t shards;
  size_t limit; /* violations listed of each kind of difference */
  void *context;
  void (*progress)(void *context, const struct trial_progress *progress); /* may be NULL */
};

/* {"input": {..}, "totals": {both, only_new, only_current}, "rules": [{rule, both, only_new, only_current}], "violations":
 * {both: [..], only_new: [..], only_current: [..]}}; of a journal also "not_judged" in each, and in the input how many webhooks
 * were judged again and how many were not, by reason. NULL with errors. */
json_t *trial_backtest_run(const struct trial_backtest *backtest, struct rule_errors *errors);
