#include "rule_spelling.h"

static void spell_one_measure(struct spelling *spelling, const struct measure *measure, unsigned style) {
  static const char *const names[] = {[MEASURED_COUNT] = "count",
                                      [MEASURED_SUM] = "sum",
                                      [MEASURED_LEAST] = "min",
                                      [MEASURED_MOST] = "max",
                                      [MEASURED_AVERAGE] = "avg",
                                      [MEASURED_DURATION] = "trace.duration",
                                      [MEASURED_SPANS] = "trace.span_count"};
  if (measure->kind == MEASURED_CONSTANT) {
    spell_plain(spelling, &measure->constant, style % 2 ? 0 : 4);
    return;
  }
  spell(spelling, "%s", names[measure->kind]);
  if (!measure->selector) return;
  spell(spelling, "(");
  spell_condition(spelling, measure->selector);
  if (measure->value) spell(spelling, ", ");
  if (measure->value) spell_term(spelling, measure->value, SORT_ANY, 0);
  spell(spelling, ")");
}

static void spell_measures(struct spelling *spelling, const struct condition *condition) {
  const bool mirror = condition->style % 4 == 1;
  spell_one_measure(spelling, condition->measures[mirror], condition->style);
  spell(spelling, " %s ",
        mirror ? spelling_mirrored[condition->comparison] : spelling_of_comparison(condition->comparison, condition->style));
  spell_one_measure(spelling, condition->measures[!mirror], condition->style);
}

static void spell_joined_selectors(struct spelling *spelling, const struct condition *condition) {
  static const char *const relations[2][RELATIONS] = {{">", ">>", "<", "<<", "~"}, {"!>", "!>>", "!<", "!<<", "!~"}};
  const bool then = condition->kind == CONDITION_THEN;
  spell_condition(spelling, condition->left);
  if (then) {
    spell(spelling, condition->negative ? " not followed by " : " then ");
  } else {
    spell(spelling, " %s ", relations[condition->negative][condition->relation]);
  }
  spell_condition(spelling, condition->right);
  if (then && condition->within_ns) spell(spelling, " within ");
  if (then && condition->within_ns) spell_duration(spelling, condition->within_ns);
}

void spell_fact(struct spelling *spelling, const struct condition *condition) {
  if (condition->kind == CONDITION_MEASURES) {
    spell_measures(spelling, condition);
  } else {
    spell_joined_selectors(spelling, condition);
  }
}
