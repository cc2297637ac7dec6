#include "exception_internal.h"
#include <string.h>

static const struct comparison {
  const char *written, *meant;
  bool list;
} comparisons[] = {
    {"=", "=", false},
    {"in", "in", true}, /* these two by default */
    {"==", "=", false},
    {"!=", "!=", false},
    {"<", "<", false},
    {"<=", "<=", false},
    {">", ">", false},
    {">=", ">=", false},
    {"=~", "=~", false},
    {"!~", "!~", false},
    {"matches", "=~", false},
    {"contains", "contains", false},
    {"startsWith", "startsWith", false},
    {"startswith", "startsWith", false},
    {"endsWith", "endsWith", false},
    {"endswith", "endsWith", false},
    {"not in", "not in", true},
    {"in cidr", "in cidr", true},
    {"not in cidr", "not in cidr", true},
};

struct composing {
  const struct expression_context *context;
  const struct exception *exception;
  struct rule_source *source; /* of the values at hand */
  struct composed_text *out;
};

static bool complain(struct composing *composing, struct rule_source *source, const struct raw_node *node, const char *message) {
  const struct source_place place = {.line = node->scalar.line + 1, .column = node->scalar.column + 1};
  rule_errors_add(composing->context->errors, source, place, "%s", message);
  return false;
}

/* `node` NULL: of a field by itself `in`, of several `=`. NULL when an error was added. */
static const struct comparison *comparison_of(struct composing *composing, const struct raw_node *node) {
  if (!node) return &comparisons[composing->exception->fields->kind == RAW_SCALAR];
  for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++)
    if (strcmp(node->scalar.value, comparisons[i].written) == 0) return &comparisons[i];
  complain(composing, composing->exception->source, node,
           "no comparison of exceptions (= != < <= > >= =~ !~ contains startsWith endsWith in `not in` `in cidr` `not in cidr`)");
  return NULL;
}

static void put(struct composing *composing, struct rule_source *source, const struct raw_node *from, const char *text,
                bool along) {
  const struct text_piece piece = {.source = source, .scalar = &from->scalar, .along = along};
  composed_text_from(composing->out, &piece);
  growing_text_append_string(&composing->out->text, text);
}

static bool put_constants(struct composing *composing, const struct raw_node *value) {
  struct expression_context context = *composing->context;
  const struct raw_node *const first = value->kind == RAW_LIST ? value->first : value;
  context.source = composing->source;
  for (const struct raw_node *item = first; item; item = value->kind == RAW_LIST ? item->next : NULL) {
    if (item->kind != RAW_SCALAR) return complain(composing, composing->source, item, "a constant is wanted here");
    if (item != first) growing_text_append_string(&composing->out->text, ", ");
    if (!macro_expand_constants(&context, &item->scalar, 1, composing->out)) return false;
  }
  return true;
}

/* `(field) comparison value`: the parentheses keep a field from being more than a value. */
static bool put_comparison(struct composing *composing, const struct raw_node *field, const struct raw_node *node,
                           const struct raw_node *value) {
  const struct comparison *comparison = comparison_of(composing, node);
  if (!comparison) return false;
  if (value->kind == RAW_MAPPING || (value->kind == RAW_LIST && (!comparison->list || value->count == 0)))
    return complain(composing, composing->source, value,
                    comparison->list ? "a list of constants is wanted here"
                                     : "one constant is wanted here: a list goes with the comparison `in`");
  put(composing, composing->exception->source, field, "(", false);
  put(composing, composing->exception->source, field, field->scalar.value, true);
  put(composing, composing->exception->source, node ? node : field, ") ", false);
  growing_text_append_string(&composing->out->text, comparison->meant);
  growing_text_append_string(&composing->out->text, comparison->list ? " [" : " ");
  if (!put_constants(composing, value)) return false;
  put(composing, composing->source, value, comparison->list ? "]" : "", false);
  return true;
}

static bool put_tuple(struct composing *composing, const struct raw_node *tuple) {
  const struct exception *exception = composing->exception;
  if (tuple->kind != RAW_LIST || tuple->count != exception->fields->count)
    return complain(composing, composing->source, tuple, "a tuple of values has one for each of `fields`");
  const struct raw_node *field = exception->fields->first;
  const struct raw_node *comparison = exception->comparisons ? exception->comparisons->first : NULL;
  for (const struct raw_node *value = tuple->first; value; value = value->next, field = field->next) {
    if (value != tuple->first) put(composing, composing->source, value, " && ", false);
    if (!put_comparison(composing, field, comparison, value)) return false;
    if (comparison) comparison = comparison->next;
  }
  return true;
}

/* The values of one field: with `in` all at once, else each by itself. */
static bool put_single(struct composing *composing, const struct raw_node *values, const char *opening, const char *closing) {
  const struct exception *exception = composing->exception;
  const struct comparison *comparison = comparison_of(composing, exception->comparisons);
  if (!comparison) return false;
  for (const struct raw_node *value = comparison->list ? values : values->first; value; value = value->next) {
    put(composing, composing->source, value, value == values->first || value == values ? "" : " || ", false);
    growing_text_append_string(&composing->out->text, opening);
    if (!put_comparison(composing, exception->fields, exception->comparisons, value)) return false;
    put(composing, composing->source, value, closing, false);
    if (value == values) break;
  }
  return true;
}

static bool put_values(struct composing *composing, const struct raw_node *values, const char *opening, const char *closing) {
  if (composing->exception->fields->kind == RAW_SCALAR) return put_single(composing, values, opening, closing);
  for (const struct raw_node *tuple = values->first; tuple; tuple = tuple->next) {
    put(composing, composing->source, tuple, tuple == values->first ? "" : " || ", false);
    growing_text_append_string(&composing->out->text, opening);
    if (!put_tuple(composing, tuple)) return false;
    put(composing, composing->source, tuple, closing, false);
  }
  return true;
}

bool exceptions_compose(const struct expression_context *context, const struct exceptions *exceptions, bool of_trace,
                        struct composed_text *out) {
  const char *joint = " && !(";
  struct composing composing = {.context = context, .out = out};
  for (size_t i = 0; i < exceptions->count; i++) {
    composing.exception = &exceptions->items[i];
    for (const struct raw_nodes *values = composing.exception->values; values; values = values->next) {
      if (values->node->count == 0) continue;
      composing.source = values->source;
      put(&composing, values->source, values->node, joint, false);
      joint = " || ";
      if (!put_values(&composing, values->node, of_trace ? "{" : "(", of_trace ? "}" : ")")) return false;
    }
  }
  growing_text_append_string(&out->text, ")");
  return true;
}
