#include "rule_set_internal.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLE_SPANS_MAX 1000u
#define EXAMPLE_ATTRIBUTES_MAX 128u

struct example_builder {
  struct rule_source *source;
  struct rule_errors *errors;
  struct region *region;
  struct growing_text text;
};

static bool complain(struct example_builder *builder, const struct raw_node *node, const char *message) {
  const struct source_place place = {.line = node->scalar.line + 1, .column = node->scalar.column + 1};
  rule_errors_add(builder->errors, builder->source, place, "%s", message);
  return false;
}

static bool one_of(const char *text, const char *const *words) {
  for (; *words; words++)
    if (strcmp(text, *words) == 0) return true;
  return false;
}

static struct value text_value(const struct source_scalar *scalar) {
  return (struct value){.type = VALUE_STRING, .text = scalar->value, .length = (uint32_t)scalar->length};
}

/* As YAML has it: what is not quoted may be a number, true, false or null. */
static struct value value_of(const struct source_scalar *scalar) {
  static const char *const yes[] = {"true", "True", "TRUE", NULL}, *const no[] = {"false", "False", "FALSE", NULL},
                           *const null[] = {"", "~", "null", "Null", "NULL", NULL};
  const char *text = scalar->value, *const digits = text + (*text == '-' || *text == '+');
  char *end;
  if (scalar->style != SCALAR_PLAIN) return text_value(scalar);
  if (one_of(text, null)) return (struct value){.type = VALUE_NULL};
  if (one_of(text, yes) || one_of(text, no)) return (struct value){.type = VALUE_BOOL, .boolean = one_of(text, yes)};
  if (*digits < '0' || *digits > '9' || strspn(digits, "0123456789.eE+-") != strlen(digits)) return text_value(scalar);
  errno = 0;
  const long long integer = strtoll(text, &end, 10);
  if (*end == '\0' && errno == 0) return (struct value){.type = VALUE_INTEGER, .integer = integer};
  const double real = strtod(text, &end);
  return *end == '\0' && isfinite(real) ? (struct value){.type = VALUE_DOUBLE, .real = real} : text_value(scalar);
}

static void print_scalar(struct example_builder *builder, const struct source_scalar *scalar) {
  if (value_of(scalar).type == VALUE_STRING)
    rule_text_print_scalar(scalar->value, &builder->text);
  else
    growing_text_append_string(&builder->text, *scalar->value ? scalar->value : "null");
}

static bool add_attribute(struct example_builder *builder, const struct raw_node *node, struct rule_example_span *span) {
  struct rule_example_attribute *attribute = &span->attributes[span->attribute_count++];
  if (node->key.length == 0 || node->key.length > REFERENCE_KEY_BYTES_MAX)
    return complain(builder, node, "the key of an attribute has 1 to 256 bytes");
  attribute->key = region_copy(builder->region, node->key.value, node->key.length);
  if (span->attribute_count > 1) growing_text_append_string(&builder->text, ", ");
  rule_text_print_scalar(attribute->key, &builder->text);
  growing_text_append_string(&builder->text, ": ");
  if (node->kind == RAW_MAPPING)
    return complain(builder, node, "an attribute is a text, a number, true, false, or a list of them");
  if (node->kind == RAW_SCALAR) {
    attribute->value = value_of(&node->scalar);
    if (attribute->value.type == VALUE_STRING)
      attribute->value.text = region_copy(builder->region, node->scalar.value, node->scalar.length);
    print_scalar(builder, &node->scalar);
    return true;
  }
  attribute->value = (struct value){.type = VALUE_OTHER};
  growing_text_append_string(&builder->text, "[");
  for (const struct raw_node *item = node->first; item; item = item->next) {
    if (item->kind != RAW_SCALAR) return complain(builder, item, "a list in an attribute holds texts, numbers, true and false");
    if (item != node->first) growing_text_append_string(&builder->text, ", ");
    print_scalar(builder, &item->scalar);
  }
  growing_text_append_string(&builder->text, "]");
  return true;
}

static bool add_attributes(struct example_builder *builder, const struct raw_node *node, struct rule_example_span *span) {
  if (node->kind != RAW_MAPPING || node->count > EXAMPLE_ATTRIBUTES_MAX)
    return complain(builder, node, "`attributes` is a mapping of at most 128 keys");
  span->attributes = region_take(builder->region, node->count * sizeof *span->attributes);
  growing_text_append_string(&builder->text, "          attributes: {");
  for (const struct raw_node *attribute = node->first; attribute; attribute = attribute->next)
    if (!add_attribute(builder, attribute, span)) return false;
  growing_text_append_string(&builder->text, "}\n");
  return true;
}

static const struct raw_node *member(const struct raw_node *mapping, const char *key) {
  for (const struct raw_node *node = mapping->first; node; node = node->next)
    if (strcmp(node->key.value, key) == 0) return node;
  return NULL;
}

/* No other keys, none twice. */
static bool check_keys(struct example_builder *builder, const struct raw_node *mapping, const char *const *words) {
  for (const struct raw_node *node = mapping->first; node; node = node->next) {
    if (!one_of(node->key.value, words)) return complain(builder, node, "unknown key in an example");
    if (member(mapping, node->key.value) != node) return complain(builder, node, "this key is given twice");
  }
  return true;
}

static bool add_span(struct example_builder *builder, const struct raw_node *node, struct rule_example *example) {
  static const char *const words[] = {"span", "attributes", NULL};
  if (node->kind != RAW_MAPPING) return complain(builder, node, "a span of an example is a mapping with `span` and `attributes`");
  const struct raw_node *name = member(node, "span"), *attributes = member(node, "attributes");
  struct rule_example_span *span = &example->spans[example->span_count++];
  if (!check_keys(builder, node, words)) return false;
  if (!name || name->kind != RAW_SCALAR || name->scalar.length == 0)
    return complain(builder, node, "a span of an example has its name in `span`");
  span->name = region_copy(builder->region, name->scalar.value, name->scalar.length);
  growing_text_append_string(&builder->text, "        - span: ");
  rule_text_print_scalar(span->name, &builder->text);
  growing_text_append_string(&builder->text, "\n");
  return !attributes || add_attributes(builder, attributes, span);
}

static bool add_example(struct example_builder *builder, const struct raw_node *node, struct rule_example *example) {
  static const char *const words[] = {"description", "trace", NULL};
  if (node->kind != RAW_MAPPING)
    return complain(builder, node, "`example_violation` is a mapping with `description` and `trace`");
  const struct raw_node *description = member(node, "description"), *trace = member(node, "trace");
  if (!check_keys(builder, node, words)) return false;
  if (!trace || trace->kind != RAW_LIST || trace->count == 0 || trace->count > EXAMPLE_SPANS_MAX)
    return complain(builder, trace ? trace : node, "an example has a `trace`, a list of 1 to 1,000 spans");
  growing_text_append_string(&builder->text, "    example_violation:\n");
  if (description) {
    if (description->kind != RAW_SCALAR) return complain(builder, description, "`description` must be a text");
    example->description = region_copy(builder->region, description->scalar.value, description->scalar.length);
    growing_text_append_string(&builder->text, "      description: ");
    rule_text_print_scalar(example->description, &builder->text);
    growing_text_append_string(&builder->text, "\n");
  }
  growing_text_append_string(&builder->text, "      trace:\n");
  example->spans = region_take(builder->region, trace->count * sizeof *example->spans);
  for (const struct raw_node *span = trace->first; span; span = span->next)
    if (!add_span(builder, span, example)) return false;
  return true;
}

struct image_text rule_example_build(const struct raw_node *node, struct rule_source *source, struct rule_errors *errors,
                                     struct region *region, const struct rule_example **example) {
  struct example_builder builder = {.source = source, .errors = errors, .region = region};
  struct rule_example *made = region_take(region, sizeof *made);
  struct image_text text = {0};
  if (add_example(&builder, node, made)) {
    text = region_image_text(region, builder.text.at, builder.text.length);
    *example = made;
  }
  growing_text_free(&builder.text);
  return text;
}
