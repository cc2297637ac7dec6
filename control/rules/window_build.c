#include "rule_set_internal.h"
#include "rule_window_internal.h"

struct builder {
  const struct raw_rule *raw;
  struct expression_context context;
  struct rule_window *window;
};

static struct expression_context at_scalar(const struct builder *builder, const struct source_scalar *scalar) {
  struct expression_context context = builder->context;
  context.scalar = scalar;
  return context;
}

static void complain(const struct builder *builder, enum rule_field field, const char *message) {
  const struct source_scalar *scalar = &builder->raw->fields[field];
  struct source_place place = {.line = builder->raw->line, .column = builder->raw->column};
  const struct raw_grouping *grouping = field == FIELD_SUPPRESS    ? builder->raw->suppress
                                        : field == FIELD_THRESHOLD ? builder->raw->threshold
                                                                   : NULL;
  if (grouping)
    place = (struct source_place){.line = grouping->line, .column = grouping->column};
  else if (scalar->value)
    place = rule_source_place(builder->context.source, scalar, 0);
  rule_errors_add(builder->context.errors, builder->context.source, place, "%s", message);
}

static void build_duration(struct builder *builder, const struct source_scalar *scalar, uint64_t least_ns, uint64_t *duration) {
  const struct expression_context context = at_scalar(builder, scalar);
  if (scalar->value) window_parse_duration(&context, least_ns, duration);
}

static void build_keys(struct builder *builder, const struct raw_grouping *grouping) {
  for (size_t i = 0; i < grouping->by_count; i++) {
    const struct expression_context context = at_scalar(builder, &grouping->by[i]);
    if (!window_parse_key(&context, builder->window)) return;
  }
}

static void build_suppress(struct builder *builder) {
  const struct raw_grouping *grouping = builder->raw->suppress;
  builder->window->form = WINDOW_FORM_SUPPRESS;
  builder->window->function = WINDOW_EACH;
  builder->window->comparison = PREDICATE_GREATER_OR_EQUAL;
  builder->window->limit = (struct literal){.value = {.type = VALUE_INTEGER, .integer = 1}};
  if (grouping->present[GROUPING_COUNT] || grouping->present[GROUPING_OVER])
    complain(builder, FIELD_SUPPRESS, "`suppress` has the keys `by` and `for`");
  if (!grouping->present[GROUPING_FOR]) complain(builder, FIELD_SUPPRESS, "`suppress` needs `for` and a duration");
  build_keys(builder, grouping);
  build_duration(builder, &grouping->fields[GROUPING_FOR], WINDOW_REPEAT_NS_MIN, &builder->window->repeat_after_ns);
}

static void build_threshold(struct builder *builder) {
  const struct raw_grouping *grouping = builder->raw->threshold;
  const struct source_scalar *count = &grouping->fields[GROUPING_COUNT];
  struct rule_window *window = builder->window;
  window->form = WINDOW_FORM_THRESHOLD;
  window->function = WINDOW_COUNT;
  window->comparison = PREDICATE_GREATER_OR_EQUAL;
  window->limit = (struct literal){.value = {.type = VALUE_INTEGER, .integer = 1}};
  if (grouping->present[GROUPING_FOR]) complain(builder, FIELD_THRESHOLD, "`threshold` has the keys `count`, `over` and `by`");
  if (!grouping->present[GROUPING_COUNT]) complain(builder, FIELD_THRESHOLD, "`threshold` needs `count` and a whole number");
  if (!grouping->present[GROUPING_OVER]) complain(builder, FIELD_THRESHOLD, "`threshold` needs `over` and a duration");
  const struct expression_context context = at_scalar(builder, count);
  if (count->value) window_parse_count(&context, &window->limit.value.integer);
  build_keys(builder, grouping);
  build_duration(builder, &grouping->fields[GROUPING_OVER], WINDOW_OVER_NS_MIN, &window->over_ns);
}

/* Which of the keys go together. */
static void check_shape(const struct builder *builder) {
  const bool *present = builder->raw->present;
  const bool of_trace = builder->context.on_known && builder->context.on == RULE_ON_TRACE;
  const bool window = present[FIELD_WINDOW], threshold = present[FIELD_THRESHOLD], suppress = present[FIELD_SUPPRESS];
  if (window && of_trace) complain(builder, FIELD_WINDOW, "`window` goes with single events (`on:` span, webhook, alert)");
  if (threshold && of_trace)
    complain(builder, FIELD_THRESHOLD, "`threshold` goes with single events (`on:` span, webhook, alert)");
  if (window && threshold) complain(builder, FIELD_THRESHOLD, "`threshold` is a window: not beside `window`");
  if (suppress && (window || threshold))
    complain(builder, FIELD_SUPPRESS, "a rule with a window is kept silent by `repeat_after`, not by `suppress`");
  if (present[FIELD_FOR] && !window) complain(builder, FIELD_FOR, "`for` goes with `window`");
  if (present[FIELD_FOR] && window && builder->window->function == WINDOW_ABSENT)
    complain(builder, FIELD_FOR, "`absent` has its duration in the window itself");
  if (present[FIELD_REPEAT_AFTER] && !window && !threshold)
    complain(builder, FIELD_REPEAT_AFTER, "`repeat_after` goes with `window` or `threshold`; a rule without takes `suppress`");
}

void window_build(const struct raw_rule *raw, const struct expression_context *context, struct parsed_rule *parsed) {
  const bool *present = raw->present;
  if (!present[FIELD_WINDOW] && !present[FIELD_SUPPRESS] && !present[FIELD_THRESHOLD] && !present[FIELD_FOR] &&
      !present[FIELD_REPEAT_AFTER])
    return;
  struct builder builder = {.raw = raw, .context = *context};
  builder.window = region_take(context->region, sizeof *builder.window);
  if (raw->fields[FIELD_WINDOW].value) {
    const struct expression_context at = at_scalar(&builder, &raw->fields[FIELD_WINDOW]);
    window_parse(&at, builder.window);
  } else if (raw->threshold) {
    build_threshold(&builder);
  } else if (raw->suppress) {
    build_suppress(&builder);
  }
  build_duration(&builder, &raw->fields[FIELD_FOR], WINDOW_FOR_NS_MIN, &builder.window->for_ns);
  build_duration(&builder, &raw->fields[FIELD_REPEAT_AFTER], WINDOW_REPEAT_NS_MIN, &builder.window->repeat_after_ns);
  check_shape(&builder);
  parsed->window = builder.window;
  if (!raw->fields[FIELD_WINDOW].value && !raw->threshold) return;
  struct growing_text text = {0};
  window_print(builder.window, &text);
  parsed->definition.window_text = region_copy(context->region, text.at, text.length);
  growing_text_free(&text);
}

static void print_by(const struct rule_window *window, struct growing_text *out) {
  if (!window->by_count) return;
  growing_text_append_string(out, "by: [");
  for (uint32_t i = 0; i < window->by_count; i++) {
    if (i) growing_text_append_string(out, ", ");
    rule_text_print_scalar(window->by[i]->spelling.at, out); /* it has a NUL behind it */
  }
  growing_text_append_string(out, "], ");
}

static void print_duration_key(const char *key, uint64_t duration_ns, struct growing_text *out) {
  if (!duration_ns) return;
  growing_text_format(out, "    %s: ", key);
  window_print_duration(duration_ns, out);
  growing_text_append(out, "\n", 1);
}

void window_print_keys(const struct parsed_rule *parsed, struct growing_text *out) {
  const struct rule_window *window = parsed->window;
  if (!window) return;
  if (window->form == WINDOW_FORM_SUPPRESS) {
    growing_text_append_string(out, "    suppress: {");
    print_by(window, out);
    growing_text_append_string(out, "for: ");
    window_print_duration(window->repeat_after_ns, out);
    growing_text_append_string(out, "}\n");
    return;
  }
  if (window->form == WINDOW_FORM_THRESHOLD) {
    growing_text_append_string(out, "    threshold: {");
    print_by(window, out);
    growing_text_format(out, "count: %lld, over: ", (long long)window->limit.value.integer);
    window_print_duration(window->over_ns, out);
    growing_text_append_string(out, "}\n");
  } else {
    growing_text_append_string(out, "    window: ");
    rule_text_print_scalar(parsed->definition.window_text, out);
    growing_text_append_string(out, "\n");
  }
  print_duration_key("for", window->for_ns, out);
  print_duration_key("repeat_after", window->repeat_after_ns, out);
}
