/* A compiled trace rule in BeTrace's notation, as far as that can say it: selectors are a span's name and where its attributes
 * stand; no durations, kinds, structure, order or windows. */
#include "explain_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a selector, or a part of one. */
struct part {
  char *name;  /* the operation; NULL: not said here */
  char *where; /* NULL: nothing but the name */
  uint32_t loosest;
  bool impossible;
};

static void print_text(FILE *out, const char *at, size_t length) {
  json_t *json = json_stringn(at, length);
  char *text = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
  fputs(text ? text : "\"\"", out);
  free(text);
  json_decref(json);
}

static bool print_value(FILE *out, const struct value *value) {
  switch (value->type) {
  case VALUE_BOOL:
    fputs(value->boolean ? "true" : "false", out);
    return true;
  case VALUE_INTEGER:
    fprintf(out, "%" PRId64, value->integer);
    return true;
  case VALUE_DOUBLE:
    fprintf(out, "%.17g", value->real);
    return true;
  case VALUE_STRING:
    print_text(out, value->text, value->length);
    return true;
  case VALUE_NULL:
  case VALUE_OTHER:
    break;
  }
  return false;
}

static bool print_list(FILE *out, const struct image_predicate *predicate) {
  bool good = true;
  for (uint32_t i = 0; i < predicate->list_count; i++) {
    fputs(i ? ", " : " in [", out);
    good = print_value(out, &predicate->list[i]) && good;
  }
  fputc(']', out);
  return good && predicate->list_count > 0;
}

static bool print_predicate(FILE *out, const struct image_kind *kind, const struct image_predicate *predicate) {
  static const char *const operators[] = {
      [PREDICATE_EQUAL] = "==",         [PREDICATE_NOT_EQUAL] = "!=",     [PREDICATE_LESS] = "<",
      [PREDICATE_LESS_OR_EQUAL] = "<=", [PREDICATE_GREATER] = ">",        [PREDICATE_GREATER_OR_EQUAL] = ">=",
      [PREDICATE_MATCHES] = "matches",  [PREDICATE_CONTAINS] = "contains"};
  if (predicate->operation == PREDICATE_CONSTANT || predicate->between) return false;
  const struct image_column *column = &kind->columns[predicate->column];
  if (column->scope == SCOPE_SPAN)
    print_text(out, column->key.at, column->key.length);
  else if (column->scope == SCOPE_INTRINSIC && column->intrinsic == INTRINSIC_SERVICE)
    fputs("\"service.name\"", out);
  else
    return false;
  if (predicate->operation == PREDICATE_TRUE) return true;
  if (predicate->operation == PREDICATE_IN) return print_list(out, predicate);
  if (predicate->operation >= sizeof operators / sizeof *operators || !operators[predicate->operation]) return false;
  fprintf(out, " %s ", operators[predicate->operation]);
  return print_value(out, &predicate->constant);
}

static struct part part_of(const struct image_kind *kind, const struct image_predicate *predicate) {
  struct part part = {0};
  const struct image_column *column = &kind->columns[predicate->column];
  if (predicate->operation == PREDICATE_EQUAL && !predicate->between && column->scope == SCOPE_INTRINSIC &&
      column->intrinsic == INTRINSIC_NAME && predicate->constant.type == VALUE_STRING) {
    part.name = strndup(predicate->constant.text, predicate->constant.length);
    part.impossible = !part.name;
    return part;
  }
  size_t length = 0;
  FILE *out = open_memstream(&part.where, &length);
  part.impossible = !out || !print_predicate(out, kind, predicate);
  if (out) fclose(out);
  return part;
}

static char *joined(const struct part *left, uint32_t operation, const struct part *right) {
  char *text = NULL;
  if (!left->where || !right->where) {
    const char *one = left->where ? left->where : right->where;
    return one ? strdup(one) : NULL;
  }
  const bool loose_left = operation == PROGRAM_AND && left->loosest == PROGRAM_OR;
  const bool loose_right = operation == PROGRAM_AND && right->loosest == PROGRAM_OR;
  if (asprintf(&text, "%s%s%s %s %s%s%s", loose_left ? "(" : "", left->where, loose_left ? ")" : "",
               operation == PROGRAM_AND ? "and" : "or", loose_right ? "(" : "", right->where, loose_right ? ")" : "") < 0)
    return NULL;
  return text;
}

static void free_part(struct part *part) {
  free(part->name);
  free(part->where);
}

/* Takes both. A name stands beside what else must hold, never under `or` and `not`. */
static struct part join(struct part left, uint32_t operation, struct part right) {
  struct part both = {.where = joined(&left, operation, &right), .loosest = operation};
  both.impossible = left.impossible || right.impossible || (left.name && right.name) ||
                    (operation == PROGRAM_OR && (left.name || right.name)) || (!both.where && (left.where || right.where));
  if (operation == PROGRAM_AND && (!left.where || !right.where)) both.loosest = left.where ? left.loosest : right.loosest;
  if (!both.impossible && (left.name || right.name)) both.name = strdup(left.name ? left.name : right.name);
  free_part(&left);
  free_part(&right);
  return both;
}

static struct part negate(struct part of) {
  struct part part = {.impossible = of.impossible || of.name || !of.where};
  if (!part.impossible && asprintf(&part.where, "not (%s)", of.where) < 0) part.where = NULL;
  part.impossible = part.impossible || !part.where;
  free_part(&of);
  return part;
}

static bool is_plain(const char *name) {
  return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")] == '\0' &&
         *name != '.' && name[strlen(name) - 1] != '.' && !strstr(name, "..");
}

/* Words of the notation itself are quoted. */
static bool is_reserved(const char *name) {
  static const char *const words[] = {"where", "count", "and",    "or",    "not",  "in",   "matches", "contains",
                                      "true",  "false", "always", "never", "when", "span", "trace"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const size_t length = strlen(words[i]);
    for (const char *at = name; (at = strstr(at, words[i])); at += length)
      if ((at == name || at[-1] == '.') && (at[length] == '\0' || at[length] == '.')) return true;
  }
  return false;
}

static char *operation_text(const struct part *part) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = part->impossible || !part->name ? NULL : open_memstream(&text, &length);
  if (!out) return NULL;
  if (is_plain(part->name) && !is_reserved(part->name))
    fputs(part->name, out);
  else
    print_text(out, part->name, strlen(part->name));
  if (part->where) fprintf(out, ".where(%s)", part->where);
  fclose(out);
  return text;
}

static char *selector_text(const struct explain_rule *rule, uint32_t bit) {
  const struct image_selector *selector = explain_selector(rule->image, bit);
  struct part stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  for (uint32_t i = 0; selector && i < selector->condition.count; i++) {
    const uint32_t operation = selector->condition.operations[i];
    if (operation == PROGRAM_NOT && depth >= 1) {
      stack[depth - 1] = negate(stack[depth - 1]);
    } else if ((operation == PROGRAM_AND || operation == PROGRAM_OR) && depth >= 2) {
      depth--;
      stack[depth - 1] = join(stack[depth - 1], operation, stack[depth]);
    } else if (operation < PROGRAM_AND && depth < IMAGE_PROGRAM_DEPTH_MAX) {
      stack[depth++] = part_of(rule->kind, &rule->kind->predicates[operation]);
    }
  }
  char *text = depth == 1 ? operation_text(&stack[0]) : NULL;
  for (uint32_t i = 0; i < depth; i++) free_part(&stack[i]);
  return text;
}

struct outer {
  const struct explain_rule *rule;
  bool impossible;
};

static bool print_measure(FILE *out, const struct explain_rule *rule, const struct image_measure *measure) {
  char *selector = measure->kind == MEASURE_COUNT ? selector_text(rule, measure->bit) : NULL;
  if (selector) fprintf(out, "count(%s)", selector);
  const bool good = selector || (measure->kind == MEASURE_CONSTANT && print_value(out, &measure->constant));
  free(selector);
  return good;
}

/* It counts; order and structure it has not. */
static char *comparison_text(const struct explain_rule *rule, const struct image_fact *fact) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = fact->sort == FACT_COMPARISON ? open_memstream(&text, &length) : NULL;
  if (!out) return NULL;
  const bool left = print_measure(out, rule, &fact->left);
  fprintf(out, " %s ", fact->operation == PREDICATE_EQUAL ? "==" : rule_operation_word(fact->operation));
  const bool good = print_measure(out, rule, &fact->right) && left;
  fclose(out);
  if (good) return text;
  free(text);
  return NULL;
}

static char *outer_operand(void *context, uint32_t operand) {
  struct outer *outer = context;
  const struct image_fact *fact = explain_fact(outer->rule->image, operand);
  char *text = fact ? comparison_text(outer->rule, fact) : selector_text(outer->rule, operand);
  if (text) return text;
  outer->impossible = true;
  return strdup("?");
}

static bool print_part(FILE *out, struct outer *outer, const char *word, const struct image_program *program) {
  if (program->count == 0) return true;
  char *text = explain_program_text(program, outer, outer_operand);
  if (text) fprintf(out, "%s%s { %s }", strcmp(word, "when") == 0 ? "" : " ", word, text);
  free(text);
  return text && !outer->impossible;
}

char *explain_betrace_text(const struct explain_rule *rule) {
  struct outer outer = {.rule = rule};
  char *text = NULL;
  size_t length = 0;
  if (rule->rule->on != RULE_ON_TRACE || rule->rule->window) return NULL;
  FILE *out = open_memstream(&text, &length);
  if (!out) return NULL;
  const bool good = print_part(out, &outer, "when", &rule->rule->when) &&
                    print_part(out, &outer, "always", &rule->rule->always) &&
                    print_part(out, &outer, "never", &rule->rule->never);
  fclose(out);
  if (good) return text;
  free(text);
  return NULL;
}
