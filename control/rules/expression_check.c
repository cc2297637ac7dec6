#include "expression_internal.h"
#include <string.h>

static const char *const operation_names[] = {
    [PREDICATE_EQUAL] = "=",   [PREDICATE_NOT_EQUAL] = "!=",        [PREDICATE_LESS] = "<",     [PREDICATE_LESS_OR_EQUAL] = "<=",
    [PREDICATE_GREATER] = ">", [PREDICATE_GREATER_OR_EQUAL] = ">=", [PREDICATE_MATCHES] = "=~", [PREDICATE_NOT_MATCHES] = "!~",
    [PREDICATE_IN] = "in",     [PREDICATE_CONTAINS] = "contains"};

static const char *const type_names[] = {
    [REFERENCE_ANY] = "an attribute",     [REFERENCE_TEXT] = "text",       [REFERENCE_HEXADECIMAL] = "a hexadecimal id",
    [REFERENCE_KIND] = "a span kind",     [REFERENCE_STATUS] = "a status", [REFERENCE_DURATION] = "a duration",
    [REFERENCE_BOOLEAN] = "true or false"};

static const char *const kind_words[] = {"unspecified", "internal", "server", "client", "producer", "consumer", NULL};
static const char *const span_status_words[] = {"unset", "ok", "error", NULL};
static const char *const alert_status_words[] = {"firing", "resolved", NULL};

static bool ordered(enum predicate_operation operation) {
  return operation >= PREDICATE_LESS && operation <= PREDICATE_GREATER_OR_EQUAL;
}
static bool textual(enum predicate_operation operation) {
  return operation == PREDICATE_MATCHES || operation == PREDICATE_NOT_MATCHES || operation == PREDICATE_CONTAINS;
}
static bool number(const struct literal *literal) {
  return literal->value.type == VALUE_INTEGER || literal->value.type == VALUE_DOUBLE;
}

static const char *literal_name(const struct literal *literal) {
  switch (literal->value.type) {
  case VALUE_BOOL:
    return "true or false";
  case VALUE_INTEGER:
    return literal->duration ? "a duration" : "a number";
  case VALUE_DOUBLE:
    return "a number";
  default:
    return literal->word ? "a bare word" : "a string";
  }
}

static bool operation_allowed(enum reference_type type, enum predicate_operation operation) {
  switch (type) {
  case REFERENCE_ANY:
    return true;
  case REFERENCE_TEXT:
  case REFERENCE_HEXADECIMAL:
    return !ordered(operation) && operation != PREDICATE_TRUE;
  case REFERENCE_DURATION:
    return !textual(operation) && operation != PREDICATE_TRUE;
  case REFERENCE_BOOLEAN:
    return !textual(operation) && !ordered(operation);
  case REFERENCE_KIND:
  case REFERENCE_STATUS:
    return !textual(operation) && !ordered(operation) && operation != PREDICATE_TRUE;
  }
  return false;
}

/* A bare word where no kind or status is expected. */
static bool refuse_word(const struct expression_context *context, const struct literal *literal) {
  const int shown = (int)(literal->value.length < 64 ? literal->value.length : 64);
  if (literal->value.length == 4 && memcmp(literal->value.text, "null", 4) == 0)
    expression_error(context, literal->offset, "there is no null constant: a comparison with a missing value is false");
  else
    expression_error(context, literal->offset, "`%.*s` is no constant here; a string stands in double quotes: \"%.*s\"", shown,
                     literal->value.text, shown, literal->value.text);
  return false;
}

static bool one_of(const struct expression_context *context, struct literal *literal, const char *what,
                   const char *const *words) {
  if (literal->value.type != VALUE_STRING) {
    expression_error(context, literal->offset, "%s is compared with a word, not with %s", what, literal_name(literal));
    return false;
  }
  const struct image_text word = {.at = literal->value.text, .length = literal->value.length};
  for (size_t i = 0; words[i]; i++) {
    if (!image_text_is(word, words[i])) continue;
    literal->word = true;
    literal->value.text = words[i];
    return true;
  }
  char list[128] = "";
  for (size_t i = 0; words[i]; i++) {
    if (i) strcat(list, " ");
    strcat(list, words[i]);
  }
  const char *meant = suggest(word, words);
  expression_error(context, literal->offset, "unknown %s `%.*s`%s%s%s (one of: %s)", what,
                   (int)(word.length < 64 ? word.length : 64), word.at, meant ? "; did you mean `" : "", meant ? meant : "",
                   meant ? "`?" : "", list);
  return false;
}

static bool lower_hexadecimal(const struct expression_context *context, const struct reference *reference,
                              struct literal *literal) {
  const uint32_t digits = reference->intrinsic == INTRINSIC_TRACE_ID ? 32 : 16;
  char *copy = region_copy(context->region, literal->value.text, literal->value.length);
  bool good = literal->value.length == digits;
  for (uint32_t i = 0; i < literal->value.length && good; i++) {
    if (copy[i] >= 'A' && copy[i] <= 'F') copy[i] = (char)(copy[i] - 'A' + 'a');
    good = (copy[i] >= '0' && copy[i] <= '9') || (copy[i] >= 'a' && copy[i] <= 'f');
  }
  if (!good)
    expression_error(context, literal->offset, "`%.*s` has %u hexadecimal digits", (int)reference->spelling.length,
                     reference->spelling.at, digits);
  literal->value.text = copy;
  return good;
}

static bool mismatch(const struct expression_context *context, const struct expression *predicate,
                     const struct literal *literal) {
  const struct reference *reference = predicate->reference;
  expression_error(context, literal->offset, "`%.*s` is %s and cannot be compared with %s", (int)reference->spelling.length,
                   reference->spelling.at, type_names[reference->type], literal_name(literal));
  return false;
}

static bool literal_check(const struct expression_context *context, const struct expression *predicate, struct literal *literal) {
  const struct reference *reference = predicate->reference;
  const enum predicate_operation operation = predicate->operation;
  if (reference->type == REFERENCE_KIND) return one_of(context, literal, "kind", kind_words);
  if (reference->type == REFERENCE_STATUS)
    return one_of(context, literal, "status",
                  context->on_known && context->on == RULE_ON_ALERT ? alert_status_words : span_status_words);
  if (literal->word) return refuse_word(context, literal);
  if (textual(operation) && literal->value.type != VALUE_STRING) {
    expression_error(context, literal->offset, "`%s` takes a string, not %s", operation_names[operation], literal_name(literal));
    return false;
  }
  if (ordered(operation) && !number(literal)) {
    expression_error(context, literal->offset, "`%s` compares numbers and durations, not %s", operation_names[operation],
                     literal_name(literal));
    return false;
  }
  if (operation == PREDICATE_MATCHES || operation == PREDICATE_NOT_MATCHES) return pattern_check(context, literal);
  switch (reference->type) {
  case REFERENCE_TEXT:
    return literal->value.type == VALUE_STRING || mismatch(context, predicate, literal);
  case REFERENCE_HEXADECIMAL:
    if (literal->value.type != VALUE_STRING) return mismatch(context, predicate, literal);
    return operation == PREDICATE_CONTAINS || lower_hexadecimal(context, reference, literal);
  case REFERENCE_DURATION:
    return number(literal) || mismatch(context, predicate, literal);
  case REFERENCE_BOOLEAN:
    return literal->value.type == VALUE_BOOL || mismatch(context, predicate, literal);
  default:
    return true;
  }
}

bool predicate_check(const struct expression_context *context, struct expression *predicate, size_t operation_offset) {
  const struct reference *reference = predicate->reference;
  const int shown = (int)(reference->spelling.length < 64 ? reference->spelling.length : 64);
  if (!operation_allowed(reference->type, predicate->operation)) {
    if (predicate->operation == PREDICATE_TRUE)
      expression_error(context, operation_offset, "`%.*s` is %s: compare it with something", shown, reference->spelling.at,
                       type_names[reference->type]);
    else
      expression_error(context, operation_offset, "`%s` does not apply to `%.*s`, which is %s",
                       operation_names[predicate->operation], shown, reference->spelling.at, type_names[reference->type]);
    return false;
  }
  /* Literals were made for this predicate alone, in the region of its rule. */
  struct literal *literals = (struct literal *)(uintptr_t)predicate->literals;
  bool good = true;
  for (uint32_t i = 0; i < predicate->literal_count; i++) good &= literal_check(context, predicate, &literals[i]);
  return good;
}
