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
