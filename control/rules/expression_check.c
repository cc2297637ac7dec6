#include "expression_internal.h"
#include "rule_set.h"
#include <string.h>

static const char *const operation_names[] = {[PREDICATE_EQUAL] = "=",
                                              [PREDICATE_NOT_EQUAL] = "!=",
                                              [PREDICATE_LESS] = "<",
                                              [PREDICATE_LESS_OR_EQUAL] = "<=",
                                              [PREDICATE_GREATER] = ">",
                                              [PREDICATE_GREATER_OR_EQUAL] = ">=",
                                              [PREDICATE_MATCHES] = "=~",
                                              [PREDICATE_NOT_MATCHES] = "!~",
                                              [PREDICATE_IN] = "in",
                                              [PREDICATE_CONTAINS] = "contains",
                                              [PREDICATE_STARTS_WITH] = "startsWith",
                                              [PREDICATE_ENDS_WITH] = "endsWith",
                                              [PREDICATE_IN_NETWORKS] = "in cidr"};

const char *rule_operation_word(uint8_t operation) {
  return operation < sizeof operation_names / sizeof *operation_names && operation_names[operation] ? operation_names[operation]
                                                                                                    : "?";
}

static const char *const type_names[] = {
    [REFERENCE_ANY] = "an attribute",      [REFERENCE_TEXT] = "text",       [REFERENCE_HEXADECIMAL] = "a hexadecimal id",
    [REFERENCE_KIND] = "a span kind",      [REFERENCE_STATUS] = "a status", [REFERENCE_DURATION] = "a duration",
    [REFERENCE_BOOLEAN] = "true or false", [REFERENCE_NUMBER] = "a number", [REFERENCE_TIME_OF_DAY] = "a time of day",
    [REFERENCE_WEEKDAY] = "a weekday"};

static const char *const kind_words[] = {"unspecified", "internal", "server", "client", "producer", "consumer", NULL};
static const char *const span_status_words[] = {"unset", "ok", "error", NULL};
static const char *const alert_status_words[] = {"firing", "resolved", NULL};
static const char *const weekday_words[] = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", NULL};

const char *reference_type_name(enum reference_type type) { return type_names[type]; }

bool reference_is_numeric(enum reference_type type) {
  return type == REFERENCE_DURATION || type == REFERENCE_NUMBER || type == REFERENCE_TIME_OF_DAY;
}

static bool ordered(enum predicate_operation operation) {
  return operation >= PREDICATE_LESS && operation <= PREDICATE_GREATER_OR_EQUAL;
}
static bool textual(enum predicate_operation operation) {
  return operation == PREDICATE_MATCHES || operation == PREDICATE_NOT_MATCHES || operation == PREDICATE_CONTAINS ||
         operation == PREDICATE_STARTS_WITH || operation == PREDICATE_ENDS_WITH || operation == PREDICATE_IN_NETWORKS;
}
static bool number(const struct literal *literal) {
  return literal->value.type == VALUE_INTEGER || literal->value.type == VALUE_DOUBLE;
}

const char *literal_name(const struct literal *literal) {
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
  if (operation == PREDICATE_EXISTS) return true;
  switch (type) {
  case REFERENCE_ANY:
    return true;
  case REFERENCE_TEXT:
  case REFERENCE_HEXADECIMAL:
    return !ordered(operation) && operation != PREDICATE_TRUE;
  case REFERENCE_DURATION:
  case REFERENCE_NUMBER:
  case REFERENCE_TIME_OF_DAY:
    return !textual(operation) && operation != PREDICATE_TRUE;
  case REFERENCE_BOOLEAN:
    return !textual(operation) && !ordered(operation);
  case REFERENCE_KIND:
  case REFERENCE_STATUS:
  case REFERENCE_WEEKDAY:
    return !textual(operation) && !ordered(operation) && operation != PREDICATE_TRUE;
  }
  return false;
}

/* A bare word where no kind or status is expected. */
static bool refuse_word(const struct expression_context *context, const struct literal *literal) {
  const int shown = (int)(literal->value.length < 64 ? literal->value.length : 64);
  const struct image_text word = {.at = literal->value.text, .length = literal->value.length};
  if (image_text_is(word, "null") || image_text_is(word, "nil"))
    expression_error(context, literal->offset, "null is in no list: ask `= null` or `exists`");
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
  char shown[REFERENCE_SHOWN_BYTES];
  reference_show(predicate->reference, shown);
  expression_error(context, literal->offset, "`%s` is %s and cannot be compared with %s", shown,
                   type_names[predicate->reference->type], literal_name(literal));
  return false;
}

static bool network_check(const struct expression_context *context, const struct literal *literal) {
  struct image_network network;
  const struct image_text text = {.at = literal->value.text, .length = literal->value.length};
  const char *const why = network_read(text, &network);
  if (why) expression_error(context, literal->offset, "`%.*s` %s", (int)(text.length < 64 ? text.length : 64), text.at, why);
  return why == NULL;
}

static bool literal_check(const struct expression_context *context, const struct expression *predicate, struct literal *literal) {
  const struct reference *reference = predicate->reference;
  const enum predicate_operation operation = predicate->operation;
  if (reference->type == REFERENCE_KIND) return one_of(context, literal, "kind", kind_words);
  if (reference->type == REFERENCE_WEEKDAY) return one_of(context, literal, "weekday", weekday_words);
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
  if (operation == PREDICATE_IN_NETWORKS) return network_check(context, literal);
  switch (reference->type) {
  case REFERENCE_TEXT:
    return literal->value.type == VALUE_STRING || mismatch(context, predicate, literal);
  case REFERENCE_HEXADECIMAL:
    if (literal->value.type != VALUE_STRING) return mismatch(context, predicate, literal);
    return textual(operation) || lower_hexadecimal(context, reference, literal);
  case REFERENCE_DURATION:
  case REFERENCE_NUMBER:
  case REFERENCE_TIME_OF_DAY:
    return number(literal) || mismatch(context, predicate, literal);
  case REFERENCE_BOOLEAN:
    return literal->value.type == VALUE_BOOL || mismatch(context, predicate, literal);
  default:
    return true;
  }
}

/* Types that two values can be equal in. */
enum comparable { COMPARABLE_ANY, COMPARABLE_TEXT, COMPARABLE_NUMBER, COMPARABLE_BOOLEAN };
static enum comparable comparable(enum reference_type type) {
  if (type == REFERENCE_ANY) return COMPARABLE_ANY;
  if (reference_is_numeric(type)) return COMPARABLE_NUMBER;
  return type == REFERENCE_BOOLEAN ? COMPARABLE_BOOLEAN : COMPARABLE_TEXT;
}

static bool right_check(const struct expression_context *context, const struct expression *predicate, size_t offset) {
  const struct reference *left = predicate->reference, *right = predicate->right;
  const enum predicate_operation operation = predicate->operation;
  char left_shown[REFERENCE_SHOWN_BYTES], right_shown[REFERENCE_SHOWN_BYTES];
  reference_show(left, left_shown);
  reference_show(right, right_shown);
  if (operation == PREDICATE_MATCHES || operation == PREDICATE_NOT_MATCHES) {
    expression_error(context, offset, "the regular expression of `%s` is a constant, not `%s`", operation_names[operation],
                     right_shown);
  } else if (right->every) {
    expression_error(context, offset, "`%s` has many values and stands on the left, alone", right_shown);
  } else if (!operation_allowed(right->type, operation)) {
    expression_error(context, offset, "`%s` does not apply to `%s`, which is %s", operation_names[operation], right_shown,
                     type_names[right->type]);
  } else if (comparable(left->type) && comparable(right->type) && comparable(left->type) != comparable(right->type)) {
    expression_error(context, offset, "`%s` is %s and cannot be compared with `%s`, which is %s", left_shown,
                     type_names[left->type], right_shown, type_names[right->type]);
  } else {
    return true;
  }
  return false;
}

bool predicate_check(const struct expression_context *context, struct expression *predicate, size_t operation_offset) {
  const struct reference *reference = predicate->reference;
  if (!operation_allowed(reference->type, predicate->operation)) {
    char shown[REFERENCE_SHOWN_BYTES];
    reference_show(reference, shown);
    if (predicate->operation == PREDICATE_TRUE)
      expression_error(context, operation_offset, "`%s` is %s: compare it with something", shown, type_names[reference->type]);
    else
      expression_error(context, operation_offset, "`%s` does not apply to `%s`, which is %s",
                       operation_names[predicate->operation], shown, type_names[reference->type]);
    return false;
  }
  if (predicate->right) return right_check(context, predicate, operation_offset);
  /* Literals were made for this predicate alone, in the region of its rule. */
  struct literal *literals = (struct literal *)(uintptr_t)predicate->literals;
  bool good = true;
  for (uint32_t i = 0; i < predicate->literal_count; i++) good &= literal_check(context, predicate, &literals[i]);
  return good;
}
