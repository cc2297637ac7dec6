#include "metrics_internal.h"
#include <string.h>

static const char *const mode_words[RULE_MODES] = {[RULE_ENFORCE] = "enforce", [RULE_SHADOW] = "shadow"};

/* Names of rules need no escapes. Rules beyond the configured number of series are told together. */
void metrics_render_rule_matches(struct text_buffer *out, const struct appliance *appliance) {
  uint64_t others[RULE_MODES] = {0};
  bool any_other = false;
  text_append(out, "# HELP tripline_rule_matches_total Matches of a rule since this process has it, published or not.\n"
                   "# TYPE tripline_rule_matches_total counter\n");
  struct rule_view view;
  appliance->rules_read(appliance->context, &view);
  const struct rule_set *set = view.set;
  for (size_t i = 0; set && i < rule_set_count(set); i++) {
    const struct rule_definition *rule = rule_set_at(set, i);
    uint64_t matches = 0;
    bool own_series = false;
    if (!appliance->rule_matches(appliance->context, rule, &matches, &own_series)) continue;
    own_series &= strcmp(rule->name, "other") != 0; /* the name of the sum */
    if (own_series)
      text_append(out, "tripline_rule_matches_total{rule=\"%s\",mode=\"%s\"} %llu\n", rule->name, mode_words[rule->mode],
                  (unsigned long long)matches);
    else
      others[rule->mode] += matches;
    any_other |= !own_series;
  }
  uint64_t gone[RULE_MODES];
  appliance->rule_matches_gone(appliance->context, gone);
  appliance->rules_release(appliance->context);
  for (unsigned mode = 0; mode < RULE_MODES; mode++)
    if (any_other || gone[mode])
      text_append(out, "tripline_rule_matches_total{rule=\"other\",mode=\"%s\"} %llu\n", mode_words[mode],
                  (unsigned long long)(others[mode] + gone[mode]));
}

static void told(struct text_buffer *out, const char *name, const char *type, const char *help, double value) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

/* That every shard judges by this set is tripline_shard_rules_generation. */
void metrics_render_rule_set(struct text_buffer *out, const struct appliance_rules *rules) {
  text_append(out, "# HELP tripline_rules_info The set in force, by the hash of its canonical text.\n"
                   "# TYPE tripline_rules_info gauge\n");
  text_append(out, "tripline_rules_info{sha256=\"%s\"} 1\n", rules->sha256);
  text_append(out, "# HELP tripline_rules Rules by the state that they are in.\n# TYPE tripline_rules gauge\n");
  for (unsigned state = RULE_NONEXISTENT + 1; state < RULE_STATES; state++)
    text_append(out, "tripline_rules{state=\"%s\"} %llu\n", rule_state_word((enum rule_state)state),
                (unsigned long long)rules->in_state[state]);
  const struct {
    const char *name, *type, *help;
    double value;
  } values[] = {
      {"tripline_rules_generation", "gauge", "Generation of the set in force.", (double)rules->generation},
      {"tripline_rules_enabled", "gauge", "Enabled rules in the set in force.", rules->enabled},
      {"tripline_rules_failed", "gauge", "Rules that the last attempt about them did not put in force.", (double)rules->failed},
      {"tripline_rules_reloads_total", "counter", "Attempts to change the rule set.", (double)rules->reloads},
      {"tripline_rules_reload_failures_total", "counter", "Attempts that changed nothing.", (double)rules->reload_failures},
      {"tripline_rules_last_reload_success", "gauge", "1 when the last attempt succeeded.", rules->last_reload_succeeded},
      {"tripline_rules_last_reload_time_seconds", "gauge", "When that was, Unix time.", (double)rules->last_reload_wall_ns / 1e9},
      {"tripline_rules_last_reload_duration_seconds", "gauge", "How long it took.", (double)rules->last_reload_ns / 1e9},
      {"tripline_rules_versions", "gauge", "Versions of rules that are remembered.", (double)rules->versions},
      {"tripline_rules_versions_forgotten_total", "counter", "Versions that the bounds of the history let go.",
       (double)rules->versions_forgotten},
      {"tripline_rules_history_bytes", "gauge", "What versions no longer in force take.", (double)rules->history_bytes},
  };
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    told(out, values[i].name, values[i].type, values[i].help, values[i].value);
}
