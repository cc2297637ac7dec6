#include "betrace_internal.h"
#include "exception_internal.h"
#include "rule_set_internal.h"
#include "time_zone_internal.h"
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 128u
#define TEXT_BYTES_MAX 4096u
#define TITLE_BYTES_MAX 256u

const char *const rule_severity_words[] = {
    [SEVERITY_INFO] = "info", [SEVERITY_LOW] = "low",           [SEVERITY_MEDIUM] = "medium",
    [SEVERITY_HIGH] = "high", [SEVERITY_CRITICAL] = "critical", NULL};
const char *const rule_mode_words[] = {[RULE_ENFORCE] = "enforce", [RULE_SHADOW] = "shadow", NULL};
const char *const rule_on_words[] = {
    [RULE_ON_SPAN] = "span", [RULE_ON_TRACE] = "trace", [RULE_ON_WEBHOOK] = "webhook", [RULE_ON_ALERT] = "alert", NULL};

struct builder {
  const struct raw_rule *raw;
  struct rule_source *source;
  struct rule_errors *errors;
  struct parsed_rule *parsed;
  struct shared_names *shared;
  struct exceptions exceptions;
  enum rule_field expression; /* FIELD_EXPRESSION or FIELD_CONDITION, when the rule has one */
  bool has_expression, expression_read;
  struct betrace_rule betrace; /* what it says */
  bool on_known;
};

static void complain(struct builder *builder, enum rule_field field, size_t offset, const char *message) {
  rule_errors_add(builder->errors, builder->source, rule_source_place(builder->source, &builder->raw->fields[field], offset),
                  "%s", message);
}

static void complain_whole(struct builder *builder, const char *message) {
  const struct source_place place = {.line = builder->raw->line, .column = builder->raw->column};
  rule_errors_add(builder->errors, builder->source, place, "%s", message);
}

static const struct source_scalar *field_at(const struct builder *builder, enum rule_field field) {
  const struct source_scalar *scalar = &builder->raw->fields[field];
  return scalar->value ? scalar : NULL;
}

static bool name_character(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '.' || character == '_' || character == '-';
}

bool rule_name_is_good(const char *name) {
  size_t length = 0;
  while (length <= NAME_BYTES_MAX && name_character(name[length])) length++;
  return length > 0 && length <= NAME_BYTES_MAX && name[length] == '\0';
}

/* A name that is a text for people gives its place to the id. */
const struct source_scalar *rule_name_scalar(const struct raw_rule *raw) {
  const struct source_scalar *name = raw->fields[FIELD_NAME].value ? &raw->fields[FIELD_NAME] : NULL;
  const struct source_scalar *id = raw->fields[FIELD_ID].value ? &raw->fields[FIELD_ID] : NULL;
  return id && (!name || !rule_name_is_good(name->value)) ? id : name;
}

static void build_name(struct builder *builder) {
  const struct source_scalar *name = rule_name_scalar(builder->raw);
  if (!name) {
    if (!builder->raw->present[FIELD_NAME]) complain_whole(builder, "this rule has no `name`");
    return;
  }
  const enum rule_field field = name == &builder->raw->fields[FIELD_ID] ? FIELD_ID : FIELD_NAME;
  if (name->length == 0 || name->length > NAME_BYTES_MAX) {
    complain(builder, field, 0, "a name has 1 to 128 characters");
    return;
  }
  for (size_t i = 0; i < name->length; i++) {
    if (name_character(name->value[i])) continue;
    complain(builder, field, i,
             "a name consists of letters, digits, `.`, `_` and `-` (with an `id` beside it, it may be any text: a title)");
    return;
  }
  builder->parsed->definition.name = region_copy(&builder->parsed->region, name->value, name->length);
}

/* The index of the word, whatever its case when `fold`; -1 and an error when there is none. */
static int build_word(struct builder *builder, enum rule_field field, const char *const *words, bool fold, const char *what) {
  const struct source_scalar *scalar = field_at(builder, field);
  for (int i = 0; words[i]; i++)
    if ((fold ? strcasecmp : strcmp)(scalar->value, words[i]) == 0) return i;
  const struct image_text word = {.at = scalar->value, .length = (uint32_t)(scalar->length < 64 ? scalar->length : 64)};
  const char *meant = suggest(word, words);
  rule_errors_add(builder->errors, builder->source, rule_source_place(builder->source, scalar, 0), "`%.*s` is no %s%s%s%s",
                  (int)word.length, word.at, what, meant ? "; did you mean `" : "", meant ? meant : "", meant ? "`?" : "");
  return -1;
}

static void build_severity(struct builder *builder) {
  builder->parsed->definition.severity = SEVERITY_MEDIUM;
  if (!field_at(builder, FIELD_SEVERITY)) return;
  const int severity =
      build_word(builder, FIELD_SEVERITY, rule_severity_words, true, "severity (critical, high, medium, low, info)");
  if (severity >= 0) builder->parsed->definition.severity = (enum severity)severity;
}

static void build_title(struct builder *builder) {
  const struct raw_rule *raw = builder->raw;
  const bool by_name = !raw->present[FIELD_TITLE] && rule_name_scalar(raw) == &raw->fields[FIELD_ID];
  const enum rule_field field = by_name ? FIELD_NAME : FIELD_TITLE;
  const struct source_scalar *title = field_at(builder, field);
  if (!title) return;
  if (title->length == 0 || title->length > TITLE_BYTES_MAX)
    complain(builder, field, 0, "a title has 1 to 256 bytes");
  else
    builder->parsed->definition.title = region_copy(&builder->parsed->region, title->value, title->length);
}

static void build_mode(struct builder *builder) {
  if (!field_at(builder, FIELD_MODE)) return;
  const int mode = build_word(builder, FIELD_MODE, rule_mode_words, false, "mode (enforce, shadow)");
  if (mode >= 0) builder->parsed->definition.mode = (enum rule_mode)mode;
}

/* The other notation, before all that depends on whether the rule is about a trace. */
static void read_expression(struct builder *builder) {
  const bool *present = builder->raw->present;
  builder->has_expression = present[FIELD_EXPRESSION] || present[FIELD_CONDITION];
  builder->expression = present[FIELD_EXPRESSION] ? FIELD_EXPRESSION : FIELD_CONDITION;
  if (!field_at(builder, builder->expression)) return;
  const struct expression_context context = {.region = &builder->parsed->region,
                                             .errors = builder->errors,
                                             .source = builder->source,
                                             .scalar = &builder->raw->fields[builder->expression]};
  builder->expression_read = betrace_read(&context, &builder->betrace);
}

static void build_on_of_expression(struct builder *builder) {
  struct rule_definition *definition = &builder->parsed->definition;
  const bool read = builder->expression_read, of_trace = builder->betrace.of_trace;
  definition->on = of_trace ? RULE_ON_TRACE : RULE_ON_SPAN;
  builder->on_known = read;
  if (!field_at(builder, FIELD_ON)) return;
  const int on = build_word(builder, FIELD_ON, rule_on_words, false, "source of events (span, trace, webhook, alert)");
  if (on >= 0 && read && definition->on != (enum rule_on)on)
    complain(builder, FIELD_ON, 0,
             of_trace ? "this expression is about a trace: `on: trace`, or no `on`"
                      : "this expression is about one span: `on: span`, or no `on`");
}

static void build_on(struct builder *builder) {
  const bool *present = builder->raw->present;
  if (builder->has_expression) {
    build_on_of_expression(builder);
    return;
  }
  struct rule_definition *definition = &builder->parsed->definition;
  const bool of_trace = present[FIELD_WHEN] || present[FIELD_ALWAYS] || present[FIELD_NEVER];
  if (!present[FIELD_ON]) {
    definition->on = RULE_ON_TRACE;
    builder->on_known = of_trace && !present[FIELD_IF];
    if (present[FIELD_IF] && !of_trace)
      complain_whole(builder, "this rule has no `on` (span, webhook, alert): with `if` it is needed");
  } else if (field_at(builder, FIELD_ON)) {
    const int on = build_word(builder, FIELD_ON, rule_on_words, false, "source of events (span, trace, webhook, alert)");
    builder->on_known = on >= 0;
    if (on >= 0) definition->on = (enum rule_on)on;
  }
}

static void check_shape(struct builder *builder) {
  const bool *present = builder->raw->present;
  const bool of_trace = present[FIELD_WHEN] || present[FIELD_ALWAYS] || present[FIELD_NEVER];
  const enum rule_on on = builder->parsed->definition.on;
  if (builder->has_expression) {
    if (present[FIELD_IF] || of_trace || (present[FIELD_EXPRESSION] && present[FIELD_CONDITION]))
      complain_whole(builder, "a rule has one of `expression`, `condition`, `if`, or `when` with `always` or `never`");
    return;
  }
  if (present[FIELD_IF] && of_trace)
    complain_whole(builder, "`if` goes with single events, `when`, `always` and `never` with traces: not both");
  else if (!present[FIELD_IF] && !of_trace)
    complain_whole(builder, "this rule has no condition: give `if`, or `when` with `always` or `never`");
  else if (of_trace && !present[FIELD_WHEN])
    complain_whole(builder, "`always` and `never` need a `when`");
  else if (of_trace && !present[FIELD_ALWAYS] && !present[FIELD_NEVER])
    complain_whole(builder, "`when` needs an `always` or a `never`");
  else if (builder->on_known && on == RULE_ON_TRACE && present[FIELD_IF])
    complain_whole(builder, "`on: trace` takes `when` with `always` or `never`, not `if`");
  else if (builder->on_known && on != RULE_ON_TRACE && of_trace)
    complain_whole(builder, "`when`, `always` and `never` go with `on: trace`; single events take `if`");
}

static void build_timezone(struct builder *builder) {
  const struct source_scalar *zone = field_at(builder, FIELD_TIMEZONE);
  if (!zone) return;
  const struct image_text name = {.at = zone->value, .length = (uint32_t)zone->length};
  const char *why = time_zone_check(name);
  if (why)
    rule_errors_add(builder->errors, builder->source, rule_source_place(builder->source, zone, 0), "`%.*s` %s",
                    (int)(name.length < 64 ? name.length : 64), name.at, why);
  else if (!image_text_is(name, "UTC") && !image_text_is(name, "Z"))
    builder->parsed->definition.timezone = region_copy(&builder->parsed->region, name.at, name.length);
}

static struct expression_context context_of(struct builder *builder, enum rule_field field) {
  const char *zone = builder->parsed->definition.timezone;
  return (struct expression_context){
      .region = &builder->parsed->region,
      .on = builder->parsed->definition.on,
      .on_known = builder->on_known,
      .errors = builder->errors,
      .source = builder->source,
      .scalar = &builder->raw->fields[field],
      .shared = builder->shared,
      .zone = {.at = zone, .length = zone ? (uint32_t)strlen(zone) : 0},
  };
}

/* Braces round the whole of `if:` become parentheses, as more follows. */
static void unbrace(struct region *region, struct source_scalar *scalar) {
  const size_t first = strspn(scalar->value, " \t\r\n");
  size_t last = scalar->length;
  while (last > first && strchr(" \t\r\n", scalar->value[last - 1])) last--;
  if (last - first < 2 || scalar->value[first] != '{' || scalar->value[last - 1] != '}') return;
  char *copy = region_copy(region, scalar->value, scalar->length);
  copy[first] = '(';
  copy[last - 1] = ')';
  scalar->value = copy;
}

/* What an expression of the other notation says in place of this key; NULL: nothing. */
static const struct composed_text *derived_text(const struct builder *builder, enum rule_field field) {
  const struct betrace_rule *rule = &builder->betrace;
  if (!builder->expression_read) return NULL;
  if (field == (rule->of_trace ? FIELD_WHEN : FIELD_IF)) return &rule->when;
  if (field == FIELD_ALWAYS && rule->has_always) return &rule->always;
  return field == FIELD_NEVER && rule->has_never ? &rule->never : NULL;
}

/* The condition, and not its exceptions. The closing parenthesis has a line of its own: a comment may stand before it. */
static const struct expression *parse_with_exceptions(struct builder *builder, const struct expression_context *context,
                                                      const struct composed_text *derived, bool of_trace) {
  struct composed_text composed = {0};
  struct expression_context inner = *context;
  struct source_scalar scalar = *context->scalar;
  const struct text_piece whole = {.source = context->source, .scalar = context->scalar};
  if (!of_trace && !derived) unbrace(context->region, &scalar);
  inner.scalar = &scalar;
  composed_text_from(&composed, &whole);
  growing_text_append_string(&composed.text, "(");
  bool good = true;
  if (derived)
    composed_text_append(&composed, derived);
  else
    good = macro_expand(&inner, &composed);
  composed_text_from(&composed, &whole);
  growing_text_append_string(&composed.text, "\n)");
  good = good && exceptions_compose(context, &builder->exceptions, of_trace, &composed);
  const struct expression *parsed = good ? expression_parse_composed(context, &composed, of_trace) : NULL;
  composed_text_free(&composed);
  return parsed;
}

static const struct expression *build_expression(struct builder *builder, enum rule_field field, char **text) {
  const struct composed_text *derived = derived_text(builder, field);
  if (!derived && !field_at(builder, field)) return NULL;
  const bool excepted = builder->exceptions.any_values && (field == FIELD_IF || field == FIELD_WHEN);
  const struct expression_context context = context_of(builder, derived ? builder->expression : field);
  const struct expression *expression = excepted  ? parse_with_exceptions(builder, &context, derived, field != FIELD_IF)
                                        : derived ? expression_parse_composed(&context, derived, field != FIELD_IF)
                                                  : expression_parse_expanded(&context, field != FIELD_IF);
  if (!expression) return NULL;
  struct growing_text canonical = {0};
  expression_print(expression, &canonical);
  if (canonical.length > EXPRESSION_BYTES_MAX)
    expression_error(&context, 0, "an expression has at most %u bytes; normalised this has %zu", EXPRESSION_BYTES_MAX,
                     canonical.length);
  *text = region_copy(&builder->parsed->region, canonical.at, canonical.length);
  growing_text_free(&canonical);
  return expression;
}

static void build_within(struct builder *builder) {
  if (!field_at(builder, FIELD_WITHIN)) return;
  const struct expression_context context = context_of(builder, FIELD_WITHIN);
  if (builder->on_known && context.on != RULE_ON_TRACE)
    complain(builder, FIELD_WITHIN, 0, "`within` goes with `when` and `always` or `never`");
  else
    trace_within_read(&context, &builder->parsed->definition.within_ns);
  if (builder->parsed->when && !trace_has_anchor(builder->parsed->when))
    complain(builder, FIELD_WITHIN, 0, "`within` counts from a span that met `when`, and all selectors of that are negated");
}

static void build_message(struct builder *builder) {
  struct parsed_rule *parsed = builder->parsed;
  const struct source_scalar *message = field_at(builder, FIELD_MESSAGE);
  if (!message) {
    if (!parsed->definition.name) return;
    struct message_part *part = region_take(&parsed->region, sizeof *part);
    char *text = parsed->definition.title ? parsed->definition.title : parsed->definition.name;
    part->literal = (struct image_text){.at = text, .length = (uint32_t)strlen(text)};
    parsed->definition.message = text;
    parsed->message = part;
    parsed->message_parts = 1;
    return;
  }
  if (message->length == 0 || message->length > TEXT_BYTES_MAX) {
    complain(builder, FIELD_MESSAGE, 0, "a message has 1 to 4096 bytes");
    return;
  }
  struct expression_context context = context_of(builder, FIELD_MESSAGE);
  context.window = parsed->window;
  parsed->definition.message = region_copy(&parsed->region, message->value, message->length);
  parsed->has_message = true;
  message_parse(&context, &parsed->message, &parsed->message_parts);
}

static void build_rest(struct builder *builder) {
  struct rule_definition *definition = &builder->parsed->definition;
  struct region *region = &builder->parsed->region;
  const struct source_scalar *enabled = field_at(builder, FIELD_ENABLED), *version = field_at(builder, FIELD_VERSION),
                             *description = field_at(builder, FIELD_DESCRIPTION);
  definition->enabled = true;
  if (enabled) {
    definition->enabled = strcmp(enabled->value, "false") != 0;
    if (enabled->style != SCALAR_PLAIN || (definition->enabled && strcmp(enabled->value, "true") != 0))
      complain(builder, FIELD_ENABLED, 0, "`enabled` is true or false");
  }
  if (version) {
    char *end = NULL;
    const unsigned long number = version->value[0] >= '1' && version->value[0] <= '9' ? strtoul(version->value, &end, 10) : 0;
    if (version->style != SCALAR_PLAIN || version->length > 10 || number == 0 || number > UINT32_MAX || *end)
      complain(builder, FIELD_VERSION, 0, "`version` is a positive integer");
    else
      definition->version = (uint32_t)number;
  }
  if (description) {
    if (description->length > TEXT_BYTES_MAX) complain(builder, FIELD_DESCRIPTION, 0, "a description has at most 4096 bytes");
    definition->description = region_copy(region, description->value, description->length);
  }
}

static bool has_tag(const struct rule_definition *definition, const char *tag) {
  for (size_t i = 0; i < definition->tag_count; i++)
    if (strcmp(definition->tags[i], tag) == 0) return true;
  return false;
}

/* The frameworks that a rule is about are tags like others. */
static void build_tags(struct builder *builder) {
  const struct raw_rule *raw = builder->raw;
  struct rule_definition *definition = &builder->parsed->definition;
  struct region *region = &builder->parsed->region;
  definition->tags = region_take(region, (raw->tag_count + raw->framework_count + 1) * sizeof *definition->tags);
  for (size_t i = 0; i < raw->tag_count; i++)
    definition->tags[definition->tag_count++] = region_copy(region, raw->tags[i].value, raw->tags[i].length);
  for (size_t i = 0; i < raw->framework_count; i++)
    if (!has_tag(definition, raw->frameworks[i].value))
      definition->tags[definition->tag_count++] = region_copy(region, raw->frameworks[i].value, raw->frameworks[i].length);
  if (definition->tag_count > RULE_TAGS_MAX) complain_whole(builder, "a rule has at most 64 tags, frameworks among them");
}

static bool has_no_scalar(int field) {
  return field == FIELD_TAGS || field == FIELD_FRAMEWORKS || field == FIELD_EXCEPTIONS || field == FIELD_EXAMPLE ||
         field == FIELD_SUPPRESS || field == FIELD_THRESHOLD;
}

struct parsed_rule *rule_build(const struct raw_rule *raw, struct rule_source *source, struct shared_names *shared,
                               struct rule_errors *errors) {
  const size_t before = rule_errors_total(errors);
  struct region kept = {0};
  struct parsed_rule *parsed = region_take(&kept, sizeof *parsed);
  parsed->region = kept;
  atomic_init(&parsed->holders, 1);
  struct builder builder = {.raw = raw, .source = source, .errors = errors, .shared = shared, .parsed = parsed};
  build_name(&builder);
  build_title(&builder);
  build_severity(&builder);
  build_mode(&builder);
  read_expression(&builder);
  build_on(&builder);
  check_shape(&builder);
  exceptions_read(raw, source, errors, &builder.exceptions);
  build_timezone(&builder);
  struct rule_definition *definition = &parsed->definition;
  parsed->condition = build_expression(&builder, FIELD_IF, &definition->condition_text);
  parsed->when = build_expression(&builder, FIELD_WHEN, &definition->when_text);
  parsed->always = build_expression(&builder, FIELD_ALWAYS, &definition->always_text);
  parsed->never = build_expression(&builder, FIELD_NEVER, &definition->never_text);
  build_within(&builder);
  exceptions_free(&builder.exceptions);
  const struct expression_context context = context_of(&builder, FIELD_WINDOW);
  window_build(raw, &context, parsed);
  betrace_rule_free(&builder.betrace);
  build_message(&builder);
  build_rest(&builder);
  build_tags(&builder);
  if (raw->example)
    parsed->example_text = rule_example_build(raw->example, source, errors, &parsed->region, &definition->example);
  definition->line = raw->line;
  definition->file = region_copy(&parsed->region, source->name, strlen(source->name));
  bool good = rule_errors_total(errors) == before && (!raw->present[FIELD_EXCEPTIONS] || raw->exceptions) &&
              (!raw->present[FIELD_EXAMPLE] || raw->example) && (!raw->present[FIELD_SUPPRESS] || raw->suppress) &&
              (!raw->present[FIELD_THRESHOLD] || raw->threshold);
  for (int field = 0; field < RULE_FIELDS && good; field++)
    good = !raw->present[field] || has_no_scalar(field) || raw->fields[field].value;
  if (good) {
    struct growing_text content = {0};
    rule_text_print(parsed, &content);
    parsed->content = region_image_text(&parsed->region, content.at, content.length);
    growing_text_free(&content);
  }
  if (good) return parsed;
  parsed_rule_release(parsed);
  return NULL;
}
