#include "growing_internal.h"
#include "rule_window_internal.h"

static const char *const function_words[WINDOW_FUNCTIONS] = {
    [WINDOW_COUNT] = "count", [WINDOW_RATE] = "rate",   [WINDOW_SUM] = "sum",           [WINDOW_AVERAGE] = "avg",
    [WINDOW_MINIMUM] = "min", [WINDOW_MAXIMUM] = "max", [WINDOW_DISTINCT] = "distinct", [WINDOW_ABSENT] = "absent"};
static const char *const comparisons[] = {
    [PREDICATE_EQUAL] = "=",          [PREDICATE_NOT_EQUAL] = "!=", [PREDICATE_LESS] = "<",
    [PREDICATE_LESS_OR_EQUAL] = "<=", [PREDICATE_GREATER] = ">",    [PREDICATE_GREATER_OR_EQUAL] = ">="};

void window_print_duration(uint64_t duration_ns, struct growing_text *out) {
  const struct literal literal = {.value = {.type = VALUE_INTEGER, .integer = (int64_t)duration_ns}, .duration = true};
  literal_print(&literal, NULL, out);
}

static void print_function(const struct rule_window *window, struct growing_text *out) {
  if (window->change) growing_text_append_string(out, "change(");
  if (window->function == WINDOW_QUANTILE)
    growing_text_format(out, "p%u", window->quantile_digits);
  else
    growing_text_append_string(out, function_words[window->function]);
  if (window->value) {
    growing_text_append_string(out, "(");
    reference_print(window->value, out);
    growing_text_append_string(out, ")");
  }
  if (window->change) growing_text_append_string(out, ")");
}

void window_print(const struct rule_window *window, struct growing_text *out) {
  print_function(window, out);
  for (uint32_t i = 0; i < window->by_count; i++) {
    growing_text_append_string(out, i ? ", " : " by (");
    reference_print(window->by[i], out);
  }
  if (window->by_count) growing_text_append_string(out, ")");
  growing_text_append_string(out, window->function == WINDOW_ABSENT ? " for " : " over ");
  window_print_duration(window->over_ns, out);
  if (window->function == WINDOW_ABSENT) return;
  growing_text_format(out, " %s ", comparisons[window->comparison]);
  literal_print(&window->limit, NULL, out);
}
