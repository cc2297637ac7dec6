#include "rules_internal.h"

static bool steps_are_sound(const struct image_window *window) {
  if (window->over_ns > IMAGE_WINDOW_NS_MAX || window->for_ns > IMAGE_WINDOW_NS_MAX ||
      window->repeat_after_ns > IMAGE_WINDOW_NS_MAX)
    return false;
  if (window->function == WINDOW_ABSENT) return window->steps == 0 && window->over_ns != 0 && window->for_ns == 0;
  if (window->function == WINDOW_EACH)
    return window->steps == 0 && window->carries_event && window->repeat_after_ns != 0 && window->for_ns == 0;
  const uint32_t steps = window->function == WINDOW_QUANTILE ? IMAGE_WINDOW_QUANTILE_STEPS : IMAGE_WINDOW_STEPS;
  return window->steps == steps && window->over_ns != 0 && window->step_ns == (window->over_ns + steps - 1) / steps;
}

static bool value_is_sound(const struct image_window *window, uint32_t columns) {
  const bool wants = window->function >= WINDOW_SUM && window->function <= WINDOW_DISTINCT;
  const bool may_change =
      window->function == WINDOW_COUNT || window->function == WINDOW_SUM || window->function == WINDOW_AVERAGE;
  if (window->change && !may_change) return false;
  if (window->carries_event && window->function != WINDOW_COUNT && window->function != WINDOW_EACH) return false;
  if (window->function == WINDOW_QUANTILE && !(window->quantile > 0 && window->quantile < 1)) return false;
  return wants ? window->value_column < columns : window->value_column == IMAGE_WINDOW_NO_COLUMN;
}

static bool limit_is_sound(const struct image_window *window) {
  struct value identity;
  if (window->function == WINDOW_ABSENT) return true;
  return window->comparison <= PREDICATE_GREATER_OR_EQUAL && value_identity(&window->limit, &identity);
}

/* Each window and its rule know one another. */
static bool rule_is_sound(const struct rule_image *image, uint32_t index) {
  const struct image_window *window = &image->windows[index];
  if (window->of_trace && (window->kind != EVENT_SPAN || !window->carries_event || window->function != WINDOW_EACH)) return false;
  const uint32_t rules = window->of_trace ? image->trace_rule_count : image->kinds[window->kind].rule_count;
  if (window->rule >= rules) return false;
  const struct image_rule *rule =
      window->of_trace ? &image->trace_rules[window->rule] : &image->kinds[window->kind].rules[window->rule];
  return rule->window == index + 1;
}

static bool window_is_sound(const struct rule_image *image, uint32_t index) {
  const struct image_window *window = &image->windows[index];
  if (window->function >= WINDOW_FUNCTIONS || window->kind >= EVENT_KINDS || window->key_count > IMAGE_WINDOW_KEYS_MAX)
    return false;
  if (index > 0 && window->identity <= image->windows[index - 1].identity) return false;
  const uint32_t columns = image->kinds[window->kind].column_count;
  for (uint32_t i = 0; i < window->key_count; i++)
    if (window->key_columns[i] >= columns) return false;
  return steps_are_sound(window) && value_is_sound(window, columns) && limit_is_sound(window) && rule_is_sound(image, index);
}

/* Only a rule whose window makes its own violations may print what the window gave. */
static bool message_is_sound(const struct rule_image *image, const struct image_rule *rule) {
  const bool own = rule->window && !image->windows[rule->window - 1].carries_event;
  for (uint32_t i = 0; i < rule->message_parts; i++)
    if (rule->message[i].slot < (own ? IMAGE_MESSAGE_COUNT : IMAGE_MESSAGE_LITERAL)) return false;
  return true;
}

static bool rules_are_sound(const struct rule_image *image, const struct image_rule *rules, uint32_t count, enum event_kind kind,
                            bool of_trace) {
  for (uint32_t i = 0; i < count; i++) {
    if (rules[i].window > image->window_count) return false;
    if (rules[i].window) {
      const struct image_window *window = &image->windows[rules[i].window - 1];
      if (window->kind != kind || window->of_trace != of_trace || window->rule != i) return false;
    }
    if (!message_is_sound(image, &rules[i])) return false;
  }
  return true;
}

bool windows_are_sound(const struct rule_image *image) {
  for (uint32_t i = 0; i < image->window_count; i++)
    if (!window_is_sound(image, i)) return false;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
    if (!rules_are_sound(image, image->kinds[kind].rules, image->kinds[kind].rule_count, (enum event_kind)kind, false))
      return false;
  return rules_are_sound(image, image->trace_rules, image->trace_rule_count, EVENT_SPAN, true);
}
