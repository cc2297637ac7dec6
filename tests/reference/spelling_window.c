#include "rule_spelling.h"

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

static void spell_keys(struct spelling *spelling, const struct window_shape *window) {
  if (window->by_count) spell(spelling, "\n      by: ");
  for (unsigned i = 0; i < window->by_count; i++) spell(spelling, "\n        - %s", reference_facts[window->by[i]].spelling);
  spell(spelling, "\n");
}

static void spell_suppress(struct spelling *spelling, const struct window_shape *window) {
  spell(spelling, "    suppress:\n      for: ");
  spell_duration(spelling, window->over_ns);
  spell_keys(spelling, window);
}

static void spell_threshold(struct spelling *spelling, const struct window_shape *window) {
  spell(spelling, "    threshold:\n      count: %lld\n      over: ", (long long)window->limit.integer);
  spell_duration(spelling, window->over_ns);
  spell_keys(spelling, window);
}

void spell_window(struct spelling *spelling, const struct window_shape *window) {
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
    spell(spelling, " %s ", spelling_of_comparison(window->comparison, 0));
    spell_plain(spelling, &window->limit, 0);
  }
  if (window->for_ns) spell(spelling, "\n    for: ");
  if (window->for_ns) spell_duration(spelling, window->for_ns);
  if (window->repeat_ns) spell(spelling, "\n    repeat_after: ");
  if (window->repeat_ns) spell_duration(spelling, window->repeat_ns);
  spell(spelling, "\n");
}
