#include "image_builder_internal.h"
#include "rule_window_internal.h"
#include <stdlib.h>
#include <string.h>

/* A rule that judges the same under the same name goes on with the keys it has; what it says about them may change. */
static struct image_text text_of(struct image_builder *builder) {
  const struct rule_definition *definition = &builder->rule->definition;
  const struct parsed_rule *parsed = builder->rule->parsed;
  struct growing_text text = {0};
  const char *const conditions[] = {definition->condition_text, definition->when_text, definition->always_text,
                                    definition->never_text, definition->timezone};
  growing_text_format(&text, "%s %s\n", definition->name, rule_on_words[definition->on]);
  for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
    growing_text_format(&text, "%s\n", conditions[i] ? conditions[i] : "");
  growing_text_format(&text, "%lld\n", (long long)definition->within_ns);
  window_print_keys(parsed, &text);
  const struct image_text copy = region_image_text(builder->region, text.at, text.length);
  growing_text_free(&text);
  return copy;
}

static void set_steps(struct image_window *made, const struct rule_window *window) {
  made->over_ns = window->over_ns;
  if (window->function == WINDOW_EACH || window->function == WINDOW_ABSENT) return;
  made->steps = window->function == WINDOW_QUANTILE ? IMAGE_WINDOW_QUANTILE_STEPS : IMAGE_WINDOW_STEPS;
  made->step_ns = (window->over_ns + made->steps - 1) / made->steps;
}

uint32_t window_image_add(struct image_builder *builder, enum event_kind kind, uint32_t index) {
  const struct rule_window *window = builder->rule->parsed->window;
  if (!window) return 0;
  builder->windows =
      growing_list_reserve(builder->windows, builder->window_count, &builder->window_capacity, sizeof *builder->windows);
  struct window_builder *into = &builder->windows[builder->window_count++];
  into->text = text_of(builder);
  const uint32_t known = text_index_find(&builder->window_by_text, into->text);
  into->window = (struct image_window){
      .identity =
          known != TEXT_INDEX_NONE ? builder->previous->image.windows[known].identity : builder->compiled->next_window_identity++,
      .rule = index,
      .kind = kind,
      .of_trace = builder->rule->definition.on == RULE_ON_TRACE,
      .function = window->function,
      .change = window->change,
      .carries_event = window->form != WINDOW_FORM_WINDOW,
      .comparison = (uint8_t)window->comparison,
      .limit = window->limit.value,
      .quantile = window->quantile,
      .value_column = window->value ? image_column_of(builder, kind, window->value) : IMAGE_WINDOW_NO_COLUMN,
      .key_count = window->by_count,
      .for_ns = window->for_ns,
      .repeat_after_ns = window->repeat_after_ns,
  };
  set_steps(&into->window, window);
  for (uint32_t i = 0; i < window->by_count; i++) into->window.key_columns[i] = image_column_of(builder, kind, window->by[i]);
  return (uint32_t)builder->window_count;
}

void window_image_remember(struct image_builder *builder) {
  const struct compiled_image *previous = builder->previous;
  for (uint32_t i = 0; previous && i < previous->image.window_count; i++)
    text_index_add(&builder->window_by_text, previous->window_texts[i], i);
}

static int by_identity(const void *a, const void *b) {
  const uint32_t left = ((const struct window_builder *)a)->window.identity;
  const uint32_t right = ((const struct window_builder *)b)->window.identity;
  return left < right ? -1 : left > right;
}

/* Sorted, then the rules are told where theirs went. */
void window_image_finish(struct image_builder *builder) {
  const size_t count = builder->window_count;
  if (count == 0) return;
  qsort(builder->windows, count, sizeof *builder->windows, by_identity);
  struct image_window *windows = region_take(builder->region, count * sizeof *windows);
  struct image_text *texts = region_take(builder->region, count * sizeof *texts);
  for (size_t i = 0; i < count; i++) {
    const struct image_window *window = &builder->windows[i].window;
    windows[i] = *window;
    texts[i] = builder->windows[i].text;
    struct image_rule *rules = window->of_trace ? builder->trace_rules : builder->kinds[window->kind].rules;
    rules[window->rule].window = (uint32_t)i + 1;
  }
  builder->compiled->window_texts = texts;
  builder->compiled->image.windows = windows;
  builder->compiled->image.window_count = (uint32_t)count;
}
