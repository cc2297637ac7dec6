#include "rule_set_internal.h"
#include "rule_window_internal.h"
#include <string.h>

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

static void complain_at(const struct builder *builder, const struct raw_node *node, const char *message) {
  const struct source_place place = {.line = node->scalar.line + 1, .column = node->scalar.column + 1};
  rule_errors_add(builder->context.errors, builder->context.source, place, "%s", message);
}

static void complain(const struct builder *builder, enum rule_field field, const char *message) {
  const struct source_scalar *scalar = &builder->raw->fields[field];
  const struct source_place rule = {.line = builder->raw->line, .column = builder->raw->column};
  const struct raw_node *node = field == FIELD_SUPPRESS    ? builder->raw->suppress
                                : field == FIELD_THRESHOLD ? builder->raw->threshold
                                                           : NULL;
  if (node)
    complain_at(builder, node, message);
  else
    rule_errors_add(builder->context.errors, builder->context.source,
                    scalar->value ? rule_source_place(builder->context.source, scalar, 0) : rule, "%s", message);
}

static void build_duration(struct builder *builder, const struct source_scalar *scalar, uint64_t least_ns, uint64_t *duration) {
  const struct expression_context context = at_scalar(builder, scalar);
  if (scalar->value) window_parse_duration(&context, least_ns, duration);
}

/* The members of the mapping that is the value of `suppress` or `threshold`. */
enum member { MEMBER_BY, MEMBER_FOR, MEMBER_COUNT, MEMBER_OVER, MEMBERS };
static const char *const member_words[MEMBERS + 1] = {
    [MEMBER_BY] = "by", [MEMBER_FOR] = "for", [MEMBER_COUNT] = "count", [MEMBER_OVER] = "over"};

static void unknown_member(const struct builder *builder, const struct raw_node *member, const char *const *words) {
  const struct image_text key = {.at = member->key.value,
                                 .length = (uint32_t)(member->key.length < 64 ? member->key.length : 64)};
  const char *meant = suggest(key, words);
  rule_errors_add(builder->context.errors, builder->context.source, rule_source_place(builder->context.source, &member->key, 0),
                  "unknown key `%.*s` here%s%s%s", (int)key.length, key.at, meant ? "; did you mean `" : "", meant ? meant : "",
                  meant ? "`?" : "");
}

/* Of the members that `words` names; false, and errors, when the node is no such mapping. */
static bool read_members(const struct builder *builder, const struct raw_node *node, const char *const *words,
                         const char *example, const struct raw_node *members[MEMBERS]) {
  bool good = true;
  if (node->kind != RAW_MAPPING) {
    complain_at(builder, node, example);
    return false;
  }
  for (const struct raw_node *member = node->first; member; member = member->next) {
    int at = 0, word = 0;
    while (words[word] && strcmp(words[word], member->key.value) != 0) word++;
    while (words[word] && strcmp(words[word], member_words[at]) != 0) at++;
    if (!words[word]) {
      unknown_member(builder, member, words);
    } else if (members[at]) {
      complain_at(builder, member, "this is given twice");
    } else if ((member->kind == RAW_LIST) != (at == MEMBER_BY) || member->kind == RAW_MAPPING) {
      complain_at(builder, member, at == MEMBER_BY ? "`by` must be a list of references" : "this must be a text");
    } else {
      members[at] = member;
      continue;
    }
    good = false;
  }
  return good;
}

static void build_keys(struct builder *builder, const struct raw_node *by) {
  for (const struct raw_node *key = by ? by->first : NULL; key; key = key->next) {
    const struct expression_context context = at_scalar(builder, &key->scalar);
    if (key->kind != RAW_SCALAR) {
      complain_at(builder, key, "expected a reference");
      return;
    }
    if (!window_parse_key(&context, builder->window)) return;
  }
}

static void begin(struct rule_window *window, enum window_form form, enum window_function function) {
  window->form = form;
  window->function = function;
  window->comparison = PREDICATE_GREATER_OR_EQUAL;
  window->limit = (struct literal){.value = {.type = VALUE_INTEGER, .integer = 1}};
}

static void build_suppress(struct builder *builder) {
  static const char *const words[] = {"by", "for", NULL};
  const struct raw_node *members[MEMBERS] = {NULL};
  begin(builder->window, WINDOW_FORM_SUPPRESS, WINDOW_EACH);
  if (!read_members(builder, builder->raw->suppress, words, "`suppress` is a mapping, as in {by: [service], for: 10m}", members))
    return;
  if (!members[MEMBER_FOR]) {
    complain(builder, FIELD_SUPPRESS, "`suppress` needs `for` and a duration");
    return;
  }
  build_keys(builder, members[MEMBER_BY]);
  build_duration(builder, &members[MEMBER_FOR]->scalar, WINDOW_REPEAT_NS_MIN, &builder->window->repeat_after_ns);
}

static void build_threshold(struct builder *builder) {
  static const char *const words[] = {"count", "over", "by", NULL};
  const struct raw_node *members[MEMBERS] = {NULL};
  begin(builder->window, WINDOW_FORM_THRESHOLD, WINDOW_COUNT);
  if (!read_members(builder, builder->raw->threshold, words,
                    "`threshold` is a mapping, as in {count: 5, over: 60s, by: [service]}", members))
    return;
  if (!members[MEMBER_COUNT] || !members[MEMBER_OVER]) {
    complain(builder, FIELD_THRESHOLD, "`threshold` needs `count` and a whole number, `over` and a duration");
    return;
  }
  const struct expression_context context = at_scalar(builder, &members[MEMBER_COUNT]->scalar);
  window_parse_count(&context, &builder->window->limit.value.integer);
  build_keys(builder, members[MEMBER_BY]);
  build_duration(builder, &members[MEMBER_OVER]->scalar, WINDOW_OVER_NS_MIN, &builder->window->over_ns);
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
