/* Shapes as rule text. What may be spelled in several ways is spelled by the shape's `style`, so that a seed always gives the
 * same text. */
#include "judge_window.h"
#include "pattern_pool.h"
#include "rule_shape.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spelling_free(struct spelling *spelling) {
  free(spelling->text);
  *spelling = (struct spelling){0};
}

void spell(struct spelling *spelling, const char *format, ...) {
  for (;;) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = spelling->capacity - spelling->length;
    const int length = vsnprintf(room ? spelling->text + spelling->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length < 0) abort();
    if ((size_t)length < room) {
      spelling->length += (size_t)length;
      return;
    }
    spelling->capacity = 2 * (spelling->length + (size_t)length) + 256;
    spelling->text = realloc(spelling->text, spelling->capacity);
    if (!spelling->text) abort();
  }
}

static void spell_string(struct spelling *spelling, const char *text, uint32_t length, unsigned style) {
  spell(spelling, "\"");
  for (uint32_t at = 0; at < length; at++) {
    const unsigned char byte = (unsigned char)text[at];
    if (byte == '"' || byte == '\\') {
      spell(spelling, "\\%c", byte);
    } else if (byte == '\n') {
      spell(spelling, "\\n");
    } else if (byte == '\t') {
      spell(spelling, "\\t");
    } else if (byte < ' ' || (byte < 0x7f && style % 16 == 5)) {
      spell(spelling, style % 2 ? "\\u%04x" : "\\u%04X", byte);
    } else if (byte == '/' && style % 4 == 1) {
      spell(spelling, "\\/");
    } else {
      spell(spelling, "%c", byte);
    }
  }
  spell(spelling, "\"");
}

static void spell_integer(struct spelling *spelling, int64_t integer, unsigned style) {
  static const struct {
    const char *name;
    int64_t ns;
  } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
  const unsigned unit = style / 4 % 6;
  if (style % 4 == 3 && integer % units[unit].ns == 0 && integer != INT64_MIN) {
    spell(spelling, "%lld%s", (long long)(integer / units[unit].ns), units[unit].name);
  } else if (style % 4 == 2 && integer >= 0 && integer % 1000000 == 0) {
    spell(spelling, "%lld.%03llds", (long long)(integer / 1000000000), (long long)(integer % 1000000000 / 1000000));
  } else {
    spell(spelling, "%lld", (long long)integer);
  }
}

static void spell_real(struct spelling *spelling, double real) {
  char text[40];
  snprintf(text, sizeof text, "%.17g", real);
  spell(spelling, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

void spell_plain(struct spelling *spelling, const struct plain *value, unsigned style) {
  switch (value->type) {
  case PLAIN_BOOLEAN:
    spell(spelling, "%s", value->boolean ? "true" : "false");
    break;
  case PLAIN_INTEGER:
    spell_integer(spelling, value->integer, style);
    break;
  case PLAIN_REAL:
    spell_real(spelling, value->real);
    break;
  case PLAIN_TEXT:
    spell_string(spelling, value->text, value->length, style);
    break;
  case PLAIN_NULL:
  case PLAIN_OTHER:
    abort();
  }
}

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
static void spell_constant(struct spelling *spelling, const struct plain *value, unsigned sort, unsigned style) {
  if (sort == SORT_TIME_OF_DAY && spell_time_of_day(spelling, value, style)) return;
  if ((sort == SORT_KIND || sort == SORT_STATUS || sort == SORT_WEEKDAY) && style % 8) {
    spell(spelling, "%.*s", (int)value->length, value->text);
  } else {
    spell_plain(spelling, value, style);
  }
}

static unsigned sort_of(const struct term *term) {
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

static void spell_term(struct spelling *spelling, const struct term *term, unsigned sort, unsigned style) {
  spell_term_within(spelling, term, sort, style, 1);
}

static const char *comparison_text(enum comparison comparison, unsigned style) {
  static const char *const names[] = {"=", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith"};
  return comparison == COMPARE_EQUAL && style % 2 ? "==" : names[comparison];
}

static bool spell_mirrored(struct spelling *spelling, const struct condition *condition) {
  static const char *const mirrored[] = {"=", "!=", ">", ">=", "<", "<="};
  const unsigned sort = sort_of(condition->a);
  if (condition->style % 8 != 2 || condition->comparison >= COMPARE_ORDERS || sort == SORT_KIND || sort == SORT_STATUS ||
      sort == SORT_WEEKDAY)
    return false;
  spell_term(spelling, condition->b, sort, condition->style);
  spell(spelling, " %s ", mirrored[condition->comparison]);
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  return true;
}

static void spell_compared(struct spelling *spelling, const struct condition *condition) {
  if (spell_mirrored(spelling, condition)) return;
  const char *gap = condition->style % 4 == 3 && condition->comparison < COMPARE_ORDERS ? "" : " ";
  spell_term(spelling, condition->a, SORT_ANY, condition->style);
  spell(spelling, "%s%s%s", gap, comparison_text(condition->comparison, condition->style), gap);
  spell_term(spelling, condition->b, sort_of(condition->a), condition->style);
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
    spell_constant(spelling, &condition->list[i], sort_of(condition->a), condition->style + i);
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

static void spell_duration(struct spelling *spelling, uint64_t ns) {
  if (ns % 1000000000 == 0) {
    spell(spelling, "%llus", (unsigned long long)(ns / 1000000000));
  } else {
    spell(spelling, "%llums", (unsigned long long)(ns / 1000000));
  }
}

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
  static const char *const mirrored[] = {"=", "!=", ">", ">=", "<", "<="};
  const bool mirror = condition->style % 4 == 1;
  spell_one_measure(spelling, condition->measures[mirror], condition->style);
  spell(spelling, " %s ", mirror ? mirrored[condition->comparison] : comparison_text(condition->comparison, condition->style));
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
    spell_measures(spelling, condition);
    break;
  case CONDITION_THEN:
  case CONDITION_RELATED:
    spell_joined_selectors(spelling, condition);
    break;
  case CONDITION_SELECTOR:
    spell(spelling, "{ ");
    spell_condition(spelling, condition->left);
    spell(spelling, " }");
    break;
  }
}

static void spell_block(struct spelling *spelling, const char *key, const struct condition *condition) {
  if (!condition) return;
  spell(spelling, "    %s: |\n      ", key);
  spell_condition(spelling, condition);
  spell(spelling, "\n");
}

static void spell_by(struct spelling *spelling, const struct window_shape *window, char open, char close) {
  spell(spelling, "%c", open);
  for (unsigned i = 0; i < window->by_count; i++) spell(spelling, i ? ", %s" : "%s", reference_facts[window->by[i]].spelling);
  spell(spelling, "%c", close);
}

static void spell_measure(struct spelling *spelling, const struct window_shape *window) {
  static const char *const names[] = {
      [WINDOWED_COUNT] = "count", [WINDOWED_RATE] = "rate", [WINDOWED_SUM] = "sum",   [WINDOWED_AVERAGE] = "avg",
      [WINDOWED_LEAST] = "min",   [WINDOWED_MOST] = "max",  [WINDOWED_QUANTILE] = "", [WINDOWED_DISTINCT] = "distinct"};
  if (window->change) spell(spelling, "change(");
  spell(spelling, "%s", window->measure == WINDOWED_QUANTILE ? window->quantile : names[window->measure]);
  if (window->value) {
    spell(spelling, "(");
    spell_term(spelling, window->value, SORT_ANY, 0);
    spell(spelling, ")");
  }
  if (window->change) spell(spelling, ")");
}

static void spell_suppress(struct spelling *spelling, const struct window_shape *window) {
  spell(spelling, "    suppress:\n      for: ");
  spell_duration(spelling, window->over_ns);
  if (window->by_count) spell(spelling, "\n      by: ");
  for (unsigned i = 0; i < window->by_count; i++) spell(spelling, "\n        - %s", reference_facts[window->by[i]].spelling);
  spell(spelling, "\n");
}

static void spell_threshold(struct spelling *spelling, const struct window_shape *window) {
  spell(spelling, "    threshold:\n      count: %lld\n      over: ", (long long)window->limit.integer);
  spell_duration(spelling, window->over_ns);
  if (window->by_count) spell(spelling, "\n      by: ");
  for (unsigned i = 0; i < window->by_count; i++) spell(spelling, "\n        - %s", reference_facts[window->by[i]].spelling);
  spell(spelling, "\n");
}

static void spell_window(struct spelling *spelling, const struct window_shape *window) {
  if (window->measure == WINDOWED_SUPPRESS) {
    spell_suppress(spelling, window);
    return;
  }
  if (window->measure == WINDOWED_THRESHOLD) {
    spell_threshold(spelling, window);
    return;
  }
  const bool absent = window->measure == WINDOWED_ABSENT;
  spell(spelling, "    window: |\n      ");
  if (absent) {
    spell(spelling, "absent");
  } else {
    spell_measure(spelling, window);
  }
  if (window->by_count) spell(spelling, " by ");
  if (window->by_count) spell_by(spelling, window, '(', ')');
  spell(spelling, absent ? " for " : " over ");
  spell_duration(spelling, window->over_ns);
  if (!absent) {
    spell(spelling, " %s ", comparison_text(window->comparison, 0));
    spell_plain(spelling, &window->limit, 0);
  }
  if (window->for_ns) spell(spelling, "\n    for: ");
  if (window->for_ns) spell_duration(spelling, window->for_ns);
  if (window->repeat_ns) spell(spelling, "\n    repeat_after: ");
  if (window->repeat_ns) spell_duration(spelling, window->repeat_ns);
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

static void spell_rule(struct spelling *spelling, const struct shape_rule *rule) {
  static const char *const on[] = {"span", "webhook", "alert", "trace"};
  spell(spelling, "  - name: %s\n    on: %s\n", rule->name, on[rule->on]);
  if (rule->severity) spell(spelling, "    severity: %s\n", rule->severity);
  if (rule->timezone) spell(spelling, "    timezone: \"%s\"\n", rule->timezone);
  if (rule->shadow) spell(spelling, "    mode: shadow\n");
  if (rule->disabled) spell(spelling, "    enabled: false\n");
  spell_block(spelling, "if", rule->condition);
  spell_block(spelling, "when", rule->when);
  spell_block(spelling, "always", rule->always);
  spell_block(spelling, "never", rule->never);
  if (rule->window) spell_window(spelling, rule->window);
  if (rule->has_message) spell_message(spelling, rule);
}

void spell_rules(struct spelling *spelling, const struct shape_rule *const *rules, unsigned count) {
  struct spelling macros = {0}, lists = {0};
  unsigned names = 0;
  spelling->macros = &macros;
  spelling->lists = &lists;
  spelling->names = &names;
  spell(spelling, count ? "rules:\n" : "rules: []\n");
  for (unsigned i = 0; i < count; i++) spell_rule(spelling, rules[i]);
  if (macros.length) spell(spelling, "macros:\n%s", macros.text);
  if (lists.length) spell(spelling, "lists:\n%s", lists.text);
  spelling_free(&macros);
  spelling_free(&lists);
  spelling->macros = spelling->lists = NULL;
}
