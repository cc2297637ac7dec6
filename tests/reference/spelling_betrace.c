/* The same conditions in BeTrace's notation. */
#include "pattern_pool.h"
#include "rule_spelling.h"
#include <ctype.h>
#include <string.h>

static bool is_plain_word(const struct plain *text) {
  static const char *const taken[] = {"true", "false", "where", "count", "and", "or", "not", "in", "matches", "contains"};
  for (unsigned i = 0; i < sizeof taken / sizeof taken[0]; i++)
    if (strlen(taken[i]) == text->length && memcmp(taken[i], text->text, text->length) == 0) return false;
  for (uint32_t i = 0; i < text->length; i++) {
    const unsigned char byte = (unsigned char)text->text[i];
    if (byte >= 0x80 || !(isalpha(byte) || (i > 0 && (isdigit(byte) || byte == '_' || byte == '-')))) return false;
  }
  return text->length > 0;
}

/* A name of parts, the last of which may have to be one by itself. */
static void spell_name(struct spelling *spelling, const char *text, unsigned style, bool one_part) {
  const char *dot = one_part ? NULL : strchr(text, '.');
  const struct plain part = {.type = PLAIN_TEXT, .text = text, .length = (uint32_t)(dot ? (size_t)(dot - text) : strlen(text))};
  if (style % 4 == 3) {
    spell_string(spelling, text, (uint32_t)strlen(text), 0);
    return;
  }
  if (is_plain_word(&part)) {
    spell(spelling, "%.*s", (int)part.length, part.text);
  } else {
    spell_string(spelling, part.text, part.length, 0);
  }
  if (dot) spell(spelling, ".");
  if (dot) spell_name(spelling, dot + 1, style, false);
}

static const char *key_of(unsigned reference) {
  return reference == REF_SERVICE ? "service.name" : reference_facts[reference].key;
}

static void spell_value(struct spelling *spelling, const struct plain *value, unsigned sort, unsigned style) {
  const bool any_case = sort == SORT_STATUS || sort == SORT_KIND;
  if (value->type != PLAIN_TEXT) {
    spell_plain(spelling, value, style);
  } else if (any_case && style % 3 == 0) {
    for (uint32_t i = 0; i < value->length; i++) spell(spelling, "%c", toupper((unsigned char)value->text[i]));
  } else if (is_plain_word(value) && style % 2) {
    spell(spelling, "%.*s", (int)value->length, value->text);
  } else {
    spell_string(spelling, value->text, value->length, style);
  }
}

/* What stands behind the attribute. */
static void spell_asked(struct spelling *spelling, const struct condition *condition) {
  static const char *const names[] = {"==", "!=", "<", "<=", ">", ">=", "contains"};
  const unsigned sort = spelling_sort_of(condition->a);
  switch (condition->kind) {
  case CONDITION_BARE:
    break;
  case CONDITION_MATCH: {
    const char *text = pattern_text(condition->pattern);
    spell(spelling, " matches ");
    spell_string(spelling, text, (uint32_t)strlen(text), 0);
    break;
  }
  case CONDITION_IN:
    spell(spelling, "%s in [", condition->negative ? " not" : "");
    for (unsigned i = 0; i < condition->list_count; i++) {
      if (i) spell(spelling, ", ");
      spell_value(spelling, &condition->list[i], sort, condition->style + i);
    }
    spell(spelling, "]");
    break;
  default:
    spell(spelling, " %s ", names[condition->comparison]);
    if (condition->b->kind == TERM_REFERENCE) {
      spell_name(spelling, key_of(condition->b->reference), 0, false);
    } else {
      spell_value(spelling, &condition->b->constant, sort, condition->style);
    }
  }
}

typedef void operand_speller(struct spelling *spelling, const struct condition *condition);

static void spell_tree(struct spelling *spelling, const struct condition *condition, bool inside_and, operand_speller *operand) {
  const bool and = condition->kind == CONDITION_AND, round = !and&&inside_and;
  switch (condition->kind) {
  case CONDITION_NOT: {
    const bool joined = condition->left->kind == CONDITION_AND || condition->left->kind == CONDITION_OR;
    const bool inner = joined || condition->style % 4 > 1;
    spell(spelling, "%s%s", condition->style % 2 ? "not " : "!", inner ? "(" : "");
    spell_tree(spelling, condition->left, false, operand);
    if (inner) spell(spelling, ")");
    break;
  }
  case CONDITION_AND:
  case CONDITION_OR:
    if (round) spell(spelling, "(");
    spell_tree(spelling, condition->left, and, operand);
    spell(spelling, condition->style % 2 ? (and? " and " : " or ") : (and? " && " : " || "));
    spell_tree(spelling, condition->right, and, operand);
    if (round) spell(spelling, ")");
    break;
  default:
    operand(spelling, condition);
  }
}

static void spell_where(struct spelling *spelling, const struct condition *condition) {
  spell_name(spelling, key_of(condition->a->reference), condition->style, false);
  spell_asked(spelling, condition);
}

static void spell_wheres(struct spelling *spelling, const struct condition *selector) {
  if (selector->kind != CONDITION_AND) return;
  spell_wheres(spelling, selector->left);
  spell(spelling, ".where(");
  spell_tree(spelling, selector->right, false, spell_where);
  spell(spelling, ")");
}

static const char *operation_of(const struct condition *selector) {
  while (selector->kind == CONDITION_AND) selector = selector->left;
  return selector->b->constant.text;
}

/* `operation.attribute > 5` */
static bool spell_short(struct spelling *spelling, const struct condition *selector) {
  const struct condition *asked = selector->right;
  const bool one = selector->kind == CONDITION_AND && selector->left->kind == CONDITION_COMPARE &&
                   (asked->kind == CONDITION_COMPARE || asked->kind == CONDITION_MATCH || asked->kind == CONDITION_IN);
  if (!one || selector->style % 3 == 0) return false;
  spell_name(spelling, operation_of(selector), selector->style, false);
  spell(spelling, ".");
  spell_name(spelling, key_of(asked->a->reference), selector->style / 4, true);
  spell_asked(spelling, asked);
  return true;
}

static void spell_measure(struct spelling *spelling, const struct measure *measure, bool of_trace) {
  if (measure->kind == MEASURED_CONSTANT) {
    spell_plain(spelling, &measure->constant, 0);
    return;
  }
  const struct condition *selector = measure->selector->left;
  spell(spelling, of_trace ? "trace.count(" : "count(");
  spell_name(spelling, operation_of(selector), selector->style, false);
  if (of_trace) spell(spelling, ")");
  spell_wheres(spelling, selector);
  if (!of_trace) spell(spelling, ")");
}

static void spell_counts(struct spelling *spelling, const struct condition *condition, bool of_trace) {
  static const char *const names[2][6] = {{"==", "!=", "<", "<=", ">", ">="}, {"==", "!=", ">", ">=", "<", "<="}};
  const bool mirror = condition->style % 2;
  spell_measure(spelling, condition->measures[mirror], of_trace);
  spell(spelling, " %s ", names[mirror][condition->comparison]);
  spell_measure(spelling, condition->measures[!mirror], of_trace);
}

static void spell_of_trace(struct spelling *spelling, const struct condition *condition) {
  if (condition->kind == CONDITION_MEASURES) {
    spell_counts(spelling, condition, false);
    return;
  }
  const struct condition *selector = condition->left;
  if (spell_short(spelling, selector)) return;
  spell_name(spelling, operation_of(selector), selector->style, false);
  spell_wheres(spelling, selector);
}

static void spell_of_whole_trace(struct spelling *spelling, const struct condition *condition) {
  if (condition->kind == CONDITION_MEASURES) {
    spell_counts(spelling, condition, true);
    return;
  }
  spell(spelling, "trace.has(");
  spell_name(spelling, operation_of(condition->left), condition->style, false);
  spell(spelling, ")");
  spell_wheres(spelling, condition->left);
}

static void spell_of_span(struct spelling *spelling, const struct condition *condition) {
  const unsigned reference = condition->a->reference;
  const char *key = reference_facts[reference].key;
  if (key && condition->style % 2) {
    spell(spelling, "span.attributes[\"%s\"]", key);
  } else if (key) {
    spell(spelling, "span.attributes.");
    spell_name(spelling, key, condition->style, false);
  } else {
    spell(spelling, "span.%s", reference == REF_SERVICE ? "service_name" : reference_facts[reference].spelling);
  }
  spell_asked(spelling, condition);
}

static void spell_part(struct spelling *spelling, const char *word, const struct condition *condition) {
  if (!condition) return;
  spell(spelling, "%s { ", word);
  spell_tree(spelling, condition, false, spell_of_trace);
  spell(spelling, " } // in braces\n      ");
}

void spell_betrace(struct spelling *spelling, const struct shape_rule *rule) {
  const bool name_first = rule->betrace % 2;
  spell(spelling, "    %s: |\n      ", name_first ? "expression" : "condition");
  if (rule->on != ON_TRACE) {
    spell_tree(spelling, rule->condition, false, spell_of_span);
  } else if (rule->when == rule->never) {
    spell_tree(spelling, rule->when, false, spell_of_whole_trace);
  } else {
    spell_part(spelling, "when", rule->when);
    if (name_first) spell_part(spelling, "always", rule->always);
    spell_part(spelling, "never", rule->never);
    if (!name_first) spell_part(spelling, "always", rule->always);
  }
  spell(spelling, "\n");
}
