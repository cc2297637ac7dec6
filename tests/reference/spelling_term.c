#include "rule_spelling.h"

const char *const spelling_mirrored[] = {"=", "!=", ">", ">=", "<", "<="};

static bool spell_time_of_day(struct spelling *spelling, const struct plain *value, unsigned style) {
  const int64_t second = INT64_C(1000000000);
  if (value->type != PLAIN_INTEGER || value->integer < 0 || value->integer >= 86400 * second || value->integer % second)
    return false;
  const int seconds = (int)(value->integer / second);
  if (style % 4 == 0) return false;
  spell(spelling, "%02d:%02d", seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 || style % 2) spell(spelling, ":%02d", seconds % 60);
  return true;
}

/* Kinds and statuses are bare words; a string of the same letters means the same. */
void spell_constant(struct spelling *spelling, const struct plain *value, unsigned sort, unsigned style) {
  if (sort == SORT_TIME_OF_DAY && spell_time_of_day(spelling, value, style)) return;
  if ((sort == SORT_KIND || sort == SORT_STATUS || sort == SORT_WEEKDAY) && style % 8) {
    spell(spelling, "%.*s", (int)value->length, value->text);
  } else {
    spell_plain(spelling, value, style);
  }
}

unsigned spelling_sort_of(const struct term *term) {
  return term->kind == TERM_REFERENCE ? reference_facts[term->reference].sort : SORT_ANY;
}

static unsigned precedence_of(const struct term *term) {
  if (term->kind == TERM_MINUS) return 3;
  if (term->kind != TERM_OPERATION) return 4;
  return term->operation == '+' || term->operation == '-' ? 1 : 2;
}

/* Parentheses where they are needed, and sometimes where not. */
static void spell_term_within(struct spelling *spelling, const struct term *term, unsigned sort, unsigned style, unsigned least) {
  const unsigned precedence = precedence_of(term);
  const bool round = precedence < least || (precedence < 4 && style % 4 == 1);
  if (round) spell(spelling, "(");
  switch (term->kind) {
  case TERM_CONSTANT:
    spell_constant(spelling, &term->constant, sort, style);
    break;
  case TERM_REFERENCE:
    spell(spelling, "%s", reference_facts[term->reference].spelling);
    break;
  case TERM_MINUS:
    spell(spelling, "-");
    spell_term_within(spelling, term->left, SORT_ANY, style / 2, 3);
    break;
  case TERM_OPERATION:
    spell_term_within(spelling, term->left, SORT_ANY, style / 2, precedence);
    spell(spelling, " %c ", term->operation);
    spell_term_within(spelling, term->right, SORT_ANY, style / 2, precedence + 1);
    break;
  }
  if (round) spell(spelling, ")");
}

void spell_term(struct spelling *spelling, const struct term *term, unsigned sort, unsigned style) {
  spell_term_within(spelling, term, sort, style, 1);
}

const char *spelling_of_comparison(enum comparison comparison, unsigned style) {
  static const char *const names[] = {"=", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith"};
  return comparison == COMPARE_EQUAL && style % 2 ? "==" : names[comparison];
}
