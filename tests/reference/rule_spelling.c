#include "rule_spelling.h"
#include "exception_shape.h"

static void spell_block(struct spelling *spelling, const char *key, const struct condition *condition) {
  if (!condition) return;
  spell(spelling, "    %s: |\n      ", key);
  spell_condition(spelling, condition);
  spell(spelling, "\n");
}

static void spell_message(struct spelling *spelling, const struct shape_rule *rule) {
  spell(spelling, "    message: '");
  for (unsigned i = 0; i < rule->message_parts; i++) {
    const struct message_part *part = &rule->message[i];
    if (part->literal) {
      spell(spelling, "%s", part->literal);
    } else {
      spell(spelling, "${%s}", reference_facts[part->reference].spelling);
    }
  }
  spell(spelling, "'\n");
}

static void spell_native(struct spelling *spelling, const struct shape_rule *rule) {
  const struct exceptions_shape *exceptions = rule->exceptions;
  spell_block(spelling, "if", exceptions && rule->condition ? exceptions->written : rule->condition);
  spell_block(spelling, "when", exceptions && rule->when ? exceptions->written : rule->when);
  spell_block(spelling, "always", rule->always);
  spell_block(spelling, "never", rule->never);
}

static void spell_rule(struct spelling *spelling, const struct shape_rule *rule) {
  static const char *const on[] = {"span", "webhook", "alert", "trace"};
  spell(spelling, "  - name: %s\n", rule->name);
  if (!rule->betrace) spell(spelling, "    on: %s\n", on[rule->on]);
  if (rule->severity) spell(spelling, "    severity: %s\n", rule->severity);
  if (rule->timezone) spell(spelling, "    timezone: \"%s\"\n", rule->timezone);
  if (rule->shadow) spell(spelling, "    mode: shadow\n");
  if (rule->disabled) spell(spelling, "    enabled: false\n");
  if (rule->betrace) {
    spell_betrace(spelling, rule);
  } else {
    spell_native(spelling, rule);
  }
  if (rule->within_ns) spell(spelling, "    within: ");
  if (rule->within_ns) spell_duration(spelling, rule->within_ns);
  if (rule->within_ns) spell(spelling, "\n");
  if (rule->window) spell_window(spelling, rule->window);
  if (rule->exceptions) spell_exceptions(spelling, rule->exceptions, false);
  if (rule->has_message) spell_message(spelling, rule);
}

static void spell_appended(struct spelling *spelling, const struct shape_rule *rule) {
  spell(spelling, "  - name: %s\n    append: true\n", rule->name);
  spell_exceptions(spelling, rule->exceptions, true);
}

void spell_rules(struct spelling *spelling, const struct shape_rule *const *rules, unsigned count) {
  struct spelling macros = {0}, lists = {0};
  unsigned names = 0;
  spelling->macros = &macros;
  spelling->lists = &lists;
  spelling->names = &names;
  spell(spelling, count ? "rules:\n" : "rules: []\n");
  for (unsigned i = 0; i < count; i++) {
    const bool first = rules[i]->exceptions && rules[i]->exceptions->appended_first;
    if (first) spell_appended(spelling, rules[i]);
    spell_rule(spelling, rules[i]);
    if (rules[i]->exceptions && !first) spell_appended(spelling, rules[i]);
  }
  if (macros.length) spell(spelling, "macros:\n%s", macros.text);
  if (lists.length) spell(spelling, "lists:\n%s", lists.text);
  spelling_free(&macros);
  spelling_free(&lists);
  spelling->macros = spelling->lists = NULL;
}
