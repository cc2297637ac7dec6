#include "pattern_pool.h"
#include "rule_spelling.h"
#include <stdlib.h>
#include <string.h>

/* Stands on the left. */
static bool has_many_values(const struct term *term) {
  return term->kind == TERM_REFERENCE && reference_facts[term->reference].every;
}

static bool spell_mirrored(struct spelling *spelling, const struct condition *condition) {
  const unsigned sort = spelling_sort_of(condition->a);
  if (condition->style % 8 != 2 || condition->comparison >= COMPARE_ORDERS || sort == SORT_KIND || sort == SORT_STATUS ||
      sort == SORT_WEEKDAY || has_many_values(condition->a))
    return false;
  spell_term(spelling, condition->b, sort, condition->style);
  spell(spelling, " %s ", spelling_mirrored[condition->comparison]);
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  return true;
}

static void spell_compared(struct spelling *spelling, const struct condition *condition) {
  if (spell_mirrored(spelling, condition)) return;
  const char *gap = condition->style % 4 == 3 && condition->comparison < COMPARE_ORDERS ? "" : " ";
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  spell(spelling, "%s%s%s", gap, spelling_of_comparison(condition->comparison, condition->style), gap);
  spell_term(spelling, condition->b, spelling_sort_of(condition->a), condition->style);
}

static void spell_exists(struct spelling *spelling, const struct condition *condition) {
  const char *null = condition->style % 4 ? "null" : "nil";
  if (!condition->negative && condition->a->kind == TERM_REFERENCE && condition->style % 2) {
    spell(spelling, "exists ");
    spell_term(spelling, condition->a, SORT_ANY, condition->style);
  } else if (condition->style % 8 == 2) {
    spell(spelling, condition->negative ? "%s = " : "%s != ", null);
    spell_term(spelling, condition->a, SORT_ANY, condition->style);
  } else {
    spell_term(spelling, condition->a, SORT_ANY, condition->style);
    spell(spelling, condition->negative ? " = %s" : " != %s", null);
  }
}

static bool spell_named_list(struct spelling *spelling, const struct condition *condition) {
  if (!spelling->lists || condition->kind != CONDITION_IN || condition->style % 16 != 3) return false;
  /* YAML's texts hold no U+0000. */
  for (unsigned i = 0; i < condition->list_count; i++)
    if (condition->list[i].type == PLAIN_TEXT && memchr(condition->list[i].text, 0, condition->list[i].length)) return false;
  struct spelling *lists = spelling->lists;
  const unsigned name = (*spelling->names)++;
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  spell(spelling, "%s in list_%u", condition->negative ? " not" : "", name);
  spell(lists, "  list_%u: [", name);
  for (unsigned i = 0; i < condition->list_count; i++) {
    if (i) spell(lists, ", ");
    spell_plain(lists, &condition->list[i], 0);
  }
  spell(lists, "]\n");
  return true;
}

static void spell_in(struct spelling *spelling, const struct condition *condition) {
  if (spell_named_list(spelling, condition)) return;
  const bool round = condition->style % 2;
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  spell(spelling, "%s in %s%c", condition->negative ? " not" : "", condition->kind == CONDITION_IN_CIDR ? "cidr " : "",
        round ? '(' : '[');
  for (unsigned i = 0; i < condition->list_count; i++) {
    if (i) spell(spelling, condition->style % 4 ? ", " : ",");
    spell_constant(spelling, &condition->list[i], spelling_sort_of(condition->a), condition->style + i);
  }
  spell(spelling, "%c", round ? ')' : ']');
}

static bool spell_macro(struct spelling *spelling, const struct condition *condition);

static void spell_joined(struct spelling *spelling, const struct condition *condition, bool inside_and) {
  const bool and = condition->kind == CONDITION_AND;
  const bool needed = !and&&inside_and, round = needed || condition->style % 8 == 7;
  static const char *const words[2][3] = {{" || ", " or ", "||"}, {" && ", " and ", "&&"}};
  if (round) spell(spelling, "(");
  for (unsigned side = 0; side < 2; side++) {
    const struct condition *operand = side ? condition->right : condition->left;
    if (side && condition->style % 32 == 9) {
      spell(spelling, " # not here: && \"\n      %s", and? "and " : "or ");
    } else if (side) {
      spell(spelling, "%s", words[and][condition->style % 3]);
    }
    if (spell_macro(spelling, operand)) continue;
    if (operand->kind == CONDITION_AND || operand->kind == CONDITION_OR) {
      spell_joined(spelling, operand, and);
    } else {
      spell_condition(spelling, operand);
    }
  }
  if (round) spell(spelling, ")");
}

static bool spell_macro(struct spelling *spelling, const struct condition *condition) {
  if (!spelling->macros || condition->style % 32 != 18 || condition->kind >= CONDITION_SELECTOR) return false;
  struct spelling macro = {.macros = spelling->macros, .lists = spelling->lists, .names = spelling->names};
  struct condition inside = *condition;
  inside.style = 0;
  const unsigned name = (*spelling->names)++;
  spell(spelling, "macro_%u", name);
  spell_condition(&macro, &inside);
  spell(spelling->macros, "  macro_%u: |\n      %s\n", name, macro.text);
  free(macro.text);
  return true;
}

void spell_condition(struct spelling *spelling, const struct condition *condition) {
  if (spell_macro(spelling, condition)) return;
  switch (condition->kind) {
  case CONDITION_AND:
  case CONDITION_OR:
    spell_joined(spelling, condition, false);
    break;
  case CONDITION_NOT:
    spell(spelling, condition->style % 2 ? "!(" : "not (");
    spell_condition(spelling, condition->left);
    spell(spelling, ")");
    break;
  case CONDITION_LITERAL:
    spell(spelling, "%s", condition->negative ? "false" : "true");
    break;
  case CONDITION_BARE:
    spell_term(spelling, condition->a, SORT_ANY, condition->style);
    break;
  case CONDITION_COMPARE:
    spell_compared(spelling, condition);
    break;
  case CONDITION_EXISTS:
    spell_exists(spelling, condition);
    break;
  case CONDITION_IN:
  case CONDITION_IN_CIDR:
    spell_in(spelling, condition);
    break;
  case CONDITION_MATCH: {
    const char *text = pattern_text(condition->pattern);
    spell_term(spelling, condition->a, SORT_ANY, condition->style);
    spell(spelling, condition->negative ? " !~ " : " =~ ");
    spell_string(spelling, text, (uint32_t)strlen(text), 0);
    break;
  }
  case CONDITION_MEASURES:
  case CONDITION_THEN:
  case CONDITION_RELATED:
    spell_fact(spelling, condition);
    break;
  case CONDITION_SELECTOR:
    spell(spelling, "{ ");
    spell_condition(spelling, condition->left);
    spell(spelling, " }");
    break;
  }
}
