/* A violation of one side waits for one of the other about the same: of a span rule the span, of a trace rule the trace, of other
 * rules the recorded webhook, or the moment, and the service. Several alike pair one by one. */
#include "siphash.h"
#include "trial_pairs_internal.h"
#include <stdlib.h>
#include <string.h>

#define BUCKETS 32768u

struct waiting_violation {
  struct waiting_violation *next_in_bucket, *newer, *older;
  uint64_t print[2];
  enum trial_side side;
  json_t *violation;
};

struct rule_counts {
  struct rule_counts *next;
  char *name;
  uint64_t of[PAIRINGS];
};

struct trial_pairs {
  struct waiting_violation *buckets[BUCKETS], *oldest, *newest;
  size_t waiting, limit;
  struct rule_counts *rules; /* by name */
  uint64_t totals[PAIRINGS];
  json_t *listed[PAIRINGS];
};

const char *trial_pairing_name(enum trial_pairing pairing) {
  static const char *const names[PAIRINGS] = {"both", "only_new", "only_current", "not_judged"};
  return (unsigned)pairing < PAIRINGS ? names[pairing] : "unknown";
}

struct trial_pairs *trial_pairs_create(size_t limit) {
  struct trial_pairs *pairs = calloc(1, sizeof *pairs);
  if (!pairs) return NULL;
  pairs->limit = limit;
  for (unsigned i = 0; i < PAIRINGS; i++) pairs->listed[i] = json_array();
  return pairs;
}

static void remove_waiting(struct trial_pairs *pairs, struct waiting_violation *item) {
  struct waiting_violation **link = &pairs->buckets[item->print[0] % BUCKETS];
  while (*link != item) link = &(*link)->next_in_bucket;
  *link = item->next_in_bucket;
  *(item->older ? &item->older->newer : &pairs->oldest) = item->newer;
  *(item->newer ? &item->newer->older : &pairs->newest) = item->older;
  json_decref(item->violation);
  free(item);
  pairs->waiting--;
}

void trial_pairs_free(struct trial_pairs *pairs) {
  if (!pairs) return;
  while (pairs->oldest) remove_waiting(pairs, pairs->oldest);
  while (pairs->rules) {
    struct rule_counts *rule = pairs->rules;
    pairs->rules = rule->next;
    free(rule->name);
    free(rule);
  }
  for (unsigned i = 0; i < PAIRINGS; i++) json_decref(pairs->listed[i]);
  free(pairs);
}

static struct rule_counts *counts_of(struct trial_pairs *pairs, const char *name) {
  struct rule_counts **link = &pairs->rules;
  while (*link && strcmp((*link)->name, name) < 0) link = &(*link)->next;
  if (*link && strcmp((*link)->name, name) == 0) return *link;
  struct rule_counts *rule = calloc(1, sizeof *rule);
  if (rule) rule->name = strdup(name);
  if (!rule || !rule->name) {
    free(rule);
    return NULL;
  }
  rule->next = *link;
  return *link = rule;
}

static void settle(struct trial_pairs *pairs, enum trial_pairing pairing, json_t *violation) {
  const char *name = json_string_value(json_object_get(violation, "rule"));
  struct rule_counts *rule = counts_of(pairs, name ? name : "");
  pairs->totals[pairing]++;
  if (rule) rule->of[pairing]++;
  if (json_array_size(pairs->listed[pairing]) < pairs->limit) json_array_append(pairs->listed[pairing], violation);
}

struct about {
  uint8_t trace_id[16], span_id[8];
  uint64_t wall_ns, service_print;
  uint8_t source, has_trace;
};

static void fingerprint(const struct violation *violation, uint64_t print[2]) {
  struct about about;
  memset(&about, 0, sizeof about);
  about.source = violation->fixed.source;
  about.has_trace = violation->fixed.has_trace;
  const struct siphash_key key = {1, 2};
  if (violation->fixed.has_trace) memcpy(about.trace_id, violation->fixed.trace_id, sizeof about.trace_id);
  if (violation->fixed.has_trace && violation->fixed.source == RULE_ON_SPAN)
    memcpy(about.span_id, violation->fixed.span_ids[0], sizeof about.span_id);
  if (!violation->fixed.has_trace) {
    /* The webhook, where it is known. */
    static const uint8_t none[16];
    const bool correlated = memcmp(violation->fixed.trace_id, none, sizeof none) != 0;
    if (correlated) memcpy(about.trace_id, violation->fixed.trace_id, sizeof about.trace_id);
    about.wall_ns = correlated ? 0 : violation->wall_ns;
    about.service_print = violation->service.at ? siphash(&key, violation->service.at, violation->service.length) : 0;
  }
  const struct siphash_key of_rule = {siphash(&key, violation->rule.at, violation->rule.length), 3};
  const struct siphash_key again = {of_rule.k0, 4};
  print[0] = siphash(&of_rule, &about, sizeof about);
  print[1] = siphash(&again, &about, sizeof about);
}

static struct waiting_violation *find(struct trial_pairs *pairs, enum trial_side side, const uint64_t print[2]) {
  struct waiting_violation *item = pairs->buckets[print[0] % BUCKETS], *first = NULL;
  /* The newest is first in its bucket: the oldest of those alike comes last. */
  for (; item; item = item->next_in_bucket)
    if (item->side == side && item->print[0] == print[0] && item->print[1] == print[1]) first = item;
  return first;
}

static void give_up(struct trial_pairs *pairs, struct waiting_violation *item) {
  settle(pairs, item->side == SIDE_NEW ? PAIRED_ONLY_NEW : PAIRED_ONLY_CURRENT, item->violation);
  remove_waiting(pairs, item);
}

void trial_pairs_add(struct trial_pairs *pairs, enum trial_side side, const struct violation *violation) {
  uint64_t print[2];
  fingerprint(violation, print);
  struct waiting_violation *like = find(pairs, side == SIDE_NEW ? SIDE_CURRENT : SIDE_NEW, print);
  if (like) {
    settle(pairs, PAIRED_BOTH, like->violation);
    remove_waiting(pairs, like);
    return;
  }
  struct waiting_violation *item = calloc(1, sizeof *item);
  if (!item) return;
  if (pairs->waiting == PAIRS_WAITING_MAX) give_up(pairs, pairs->oldest);
  *item = (struct waiting_violation){.next_in_bucket = pairs->buckets[print[0] % BUCKETS],
                                     .older = pairs->newest,
                                     .print = {print[0], print[1]},
                                     .side = side,
                                     .violation = trial_violation_json(violation)};
  pairs->buckets[print[0] % BUCKETS] = item;
  *(pairs->newest ? &pairs->newest->newer : &pairs->oldest) = item;
  pairs->newest = item;
  pairs->waiting++;
}

void trial_pairs_settle(struct trial_pairs *pairs, enum trial_pairing pairing, const struct violation *violation) {
  json_t *json = trial_violation_json(violation);
  settle(pairs, pairing, json);
  json_decref(json);
}

static json_t *counts_json(const uint64_t counts[PAIRINGS], bool with_not_judged) {
  json_t *json = json_object();
  for (unsigned i = 0; i < PAIRINGS; i++)
    if (i != PAIRED_NOT_JUDGED || with_not_judged)
      json_object_set_new(json, trial_pairing_name((enum trial_pairing)i), json_integer((json_int_t)counts[i]));
  return json;
}

json_t *trial_pairs_finish(struct trial_pairs *pairs, bool with_not_judged) {
  while (pairs->oldest) give_up(pairs, pairs->oldest);
  json_t *rules = json_array(), *violations = json_object();
  for (const struct rule_counts *rule = pairs->rules; rule; rule = rule->next) {
    json_t *counts = json_pack("{s:s}", "rule", rule->name), *numbers = counts_json(rule->of, with_not_judged);
    json_object_update(counts, numbers);
    json_decref(numbers);
    json_array_append_new(rules, counts);
  }
  for (unsigned i = 0; i < PAIRINGS; i++)
    if (i != PAIRED_NOT_JUDGED || with_not_judged)
      json_object_set(violations, trial_pairing_name((enum trial_pairing)i), pairs->listed[i]);
  return json_pack("{s:o, s:o, s:o}", "totals", counts_json(pairs->totals, with_not_judged), "rules", rules, "violations",
                   violations);
}
