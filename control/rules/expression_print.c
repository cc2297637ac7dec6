#include "expression_internal.h"
#include "growing_internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void expression_print_string(struct image_text text, struct growing_text *out) {
  growing_text_append(out, "\"", 1);
  for (uint32_t i = 0; i < text.length; i++) {
    static const char plain[] = "\"\\\n\t\r", letters[] = "\"\\ntr";
    const char character = text.at[i];
    const char *found = character ? strchr(plain, character) : NULL;
    if (found)
      growing_text_format(out, "\\%c", letters[found - plain]);
    else if ((unsigned char)character < ' ' || character == 0x7f)
      growing_text_format(out, "\\u%04x", (unsigned char)character);
    else
      growing_text_append(out, &character, 1);
  }
  growing_text_append(out, "\"", 1);
}

static void print_duration(int64_t ns, struct growing_text *out) {
  static const struct {
    const char *unit;
    int64_t ns;
  } units[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000}, {"ms", 1000000}, {"us", 1000}, {"ns", 1}};
  size_t i = ns == 0 ? 2 : 0;
  while (ns % units[i].ns != 0) i++;
  growing_text_format(out, "%" PRId64 "%s", ns / units[i].ns, units[i].unit);
}

/* The shortest text that reads back as the same number, and as a double. */
static void print_double(double real, struct growing_text *out) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, real);
    if (strtod(text, NULL) == real) break;
  }
  growing_text_append_string(out, text);
  if (!strpbrk(text, ".e")) growing_text_append_string(out, ".0");
}

/* A time of day reads best as one, where it is one. */
static void print_nanoseconds(int64_t ns, bool time_of_day, struct growing_text *out) {
  const int64_t seconds = ns / 1000000000;
  if (!time_of_day || ns < 0 || ns % 1000000000 != 0 || seconds > 86400) {
    print_duration(ns, out);
    return;
  }
  growing_text_format(out, "%02" PRId64 ":%02" PRId64, seconds / 3600, seconds / 60 % 60);
  if (seconds % 60 != 0) growing_text_format(out, ":%02" PRId64, seconds % 60);
}

void literal_print(const struct literal *literal, const struct reference *reference, struct growing_text *out) {
  const struct value *value = &literal->value;
  switch (value->type) {
  case VALUE_BOOL:
    growing_text_append_string(out, value->boolean ? "true" : "false");
    break;
  case VALUE_INTEGER:
    if (literal->duration || (reference && (reference->type == REFERENCE_DURATION || reference->type == REFERENCE_TIME_OF_DAY)))
      print_nanoseconds(value->integer, reference && reference->type == REFERENCE_TIME_OF_DAY, out);
    else
      growing_text_format(out, "%" PRId64, value->integer);
    break;
  case VALUE_DOUBLE:
    print_double(value->real, out);
    break;
  default:
    if (literal->word)
      growing_text_append(out, value->text, value->length);
    else
      expression_print_string((struct image_text){.at = value->text, .length = value->length}, out);
  }
}

static unsigned precedence_of(const struct reference *reference) {
  if (!reference || !reference->arithmetic) return 4;
  const enum column_computation computation = reference->arithmetic->computation;
  if (computation == COMPUTE_NEGATE) return 3;
  return computation == COMPUTE_ADD || computation == COMPUTE_SUBTRACT ? 1 : 2;
}

static void print_reference(const struct reference *reference, bool zoned, struct growing_text *out);

static void print_operand(const struct operand *operand, unsigned least, bool zoned, struct growing_text *out) {
  const bool grouped = precedence_of(operand->reference) < least;
  if (grouped) growing_text_append(out, "(", 1);
  if (operand->reference)
    print_reference(operand->reference, zoned, out);
  else
    literal_print(operand->literal, NULL, out);
  if (grouped) growing_text_append(out, ")", 1);
}

/* Recursion as deep as the operations of one value, which the parser bounds. Equal precedence joins from the left. */
static void print_reference(const struct reference *reference, bool zoned, struct growing_text *out) {
  static const char *const computations[] = {[COMPUTE_ADD] = " + ",    [COMPUTE_SUBTRACT] = " - ",  [COMPUTE_MULTIPLY] = " * ",
                                             [COMPUTE_DIVIDE] = " / ", [COMPUTE_REMAINDER] = " % ", [COMPUTE_NEGATE] = "-"};
  const struct arithmetic *arithmetic = reference->arithmetic;
  if (!arithmetic) {
    growing_text_append(out, reference->spelling.at, reference->spelling.length);
    if (!zoned || reference->zone.length == 0) return;
    growing_text_append(out, "@", 1);
    growing_text_append(out, reference->zone.at, reference->zone.length);
    return;
  }
  const unsigned precedence = precedence_of(reference);
  const bool prefix = arithmetic->computation == COMPUTE_NEGATE;
  if (!prefix) print_operand(&arithmetic->left, precedence, zoned, out);
  growing_text_append_string(out, computations[arithmetic->computation]);
  print_operand(&arithmetic->right, precedence + 1, zoned, out);
}

void reference_print(const struct reference *reference, struct growing_text *out) { print_reference(reference, false, out); }
void reference_print_zoned(const struct reference *reference, struct growing_text *out) { print_reference(reference, true, out); }

void operand_print(const struct operand *operand, struct growing_text *out) {
  if (operand->reference)
    reference_print(operand->reference, out);
  else
    literal_print(operand->literal, NULL, out);
}

static void print_literals(const struct expression *predicate, const char *opening, struct growing_text *out) {
  growing_text_append_string(out, opening);
  for (uint32_t i = 0; i < predicate->literal_count; i++) {
    if (i) growing_text_append_string(out, ", ");
    literal_print(&predicate->literals[i], predicate->reference, out);
  }
}

/* `before_in`: a space, or ` not `. */
static void print_predicate(const struct expression *predicate, const char *before_in, struct growing_text *out) {
  static const char *const operations[] = {[PREDICATE_EQUAL] = " = ",
                                           [PREDICATE_NOT_EQUAL] = " != ",
                                           [PREDICATE_LESS] = " < ",
                                           [PREDICATE_LESS_OR_EQUAL] = " <= ",
                                           [PREDICATE_GREATER] = " > ",
                                           [PREDICATE_GREATER_OR_EQUAL] = " >= ",
                                           [PREDICATE_MATCHES] = " =~ ",
                                           [PREDICATE_NOT_MATCHES] = " !~ ",
                                           [PREDICATE_CONTAINS] = " contains ",
                                           [PREDICATE_STARTS_WITH] = " startsWith ",
                                           [PREDICATE_ENDS_WITH] = " endsWith "};
  const struct reference *reference = predicate->reference;
  switch (predicate->operation) {
  case PREDICATE_CONSTANT:
    print_literals(predicate, "", out);
    return;
  case PREDICATE_TRUE:
    reference_print(reference, out);
    return;
  case PREDICATE_EXISTS:
    if (!reference->arithmetic) growing_text_append_string(out, "exists ");
    reference_print(reference, out);
    if (reference->arithmetic) growing_text_append_string(out, " != null");
    return;
  case PREDICATE_IN:
  case PREDICATE_IN_NETWORKS:
    reference_print(reference, out);
    growing_text_append_string(out, before_in);
    print_literals(predicate, predicate->operation == PREDICATE_IN ? "in [" : "in cidr [", out);
    growing_text_append(out, "]", 1);
    return;
  default:
    break;
  }
  reference_print(reference, out);
  if (predicate->right) {
    growing_text_append_string(out, operations[predicate->operation]);
    reference_print(predicate->right, out);
  } else {
    print_literals(predicate, operations[predicate->operation], out);
  }
}

static void print_grouped(const struct expression *expression, struct growing_text *out) {
  growing_text_append_string(out, "(");
  expression_print(expression, out);
  growing_text_append_string(out, ")");
}

static void print_not(const struct expression *operand, struct growing_text *out) {
  if (operand->node == NODE_PREDICATE && (operand->operation == PREDICATE_IN || operand->operation == PREDICATE_IN_NETWORKS)) {
    print_predicate(operand, " not ", out);
    return;
  }
  if (operand->node == NODE_PREDICATE && operand->operation == PREDICATE_EXISTS && operand->reference->arithmetic) {
    reference_print(operand->reference, out);
    growing_text_append_string(out, " = null");
    return;
  }
  growing_text_append_string(out, "!");
  const bool bare = operand->node == NODE_SELECTOR || (operand->node == NODE_PREDICATE && operand->operation >= PREDICATE_EXISTS);
  if (bare)
    expression_print(operand, out);
  else
    print_grouped(operand, out);
}

/* Recursion as deep as the tree, which the parser bounds. */
void expression_print(const struct expression *expression, struct growing_text *out) {
  switch (expression->node) {
  case NODE_PREDICATE:
    print_predicate(expression, " ", out);
    return;
  case NODE_NOT:
    print_not(expression->first, out);
    return;
  case NODE_SELECTOR:
    growing_text_append_string(out, "{");
    growing_text_append(out, expression->selector_text.at, expression->selector_text.length);
    growing_text_append_string(out, "}");
    return;
  case NODE_AGGREGATE:
  case NODE_ORDERED:
  case NODE_RELATED:
    trace_fact_print(expression, out);
    return;
  case NODE_AND:
  case NODE_OR:
    break;
  }
  for (const struct expression *operand = expression->first; operand; operand = operand->next) {
    if (operand != expression->first) growing_text_append_string(out, expression->node == NODE_AND ? " && " : " || ");
    if (expression->node == NODE_AND && operand->node == NODE_OR)
      print_grouped(operand, out);
    else
      expression_print(operand, out);
  }
}
