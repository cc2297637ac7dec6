/* Facts about the spans of a trace - order, structure, aggregates - as text. */
#include "explain_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct image_fact *explain_fact(const struct rule_image *image, uint32_t operand) {
  const uint32_t index = operand - PROGRAM_FACT;
  return operand >= PROGRAM_FACT && operand < PROGRAM_AND && index < image->story.fact_count ? &image->story.facts[index] : NULL;
}

static void print_selector(FILE *out, const struct explain_rule *rule, uint16_t bit) {
  const uint32_t operations[] = {bit};
  const struct image_program program = {.operations = operations, .count = 1};
  char *text = explain_condition_text(rule, &program);
  fputs(text ? text : "{}", out);
  free(text);
}

static void print_constant(FILE *out, const struct value *value) {
  if (value->type == VALUE_INTEGER)
    fprintf(out, "%" PRId64, value->integer);
  else
    fprintf(out, "%.17g", value->real);
}

static void print_measure(FILE *out, const struct explain_rule *rule, const struct image_measure *measure) {
  static const char *const words[] = {[MEASURE_COUNT] = "count",
                                      [MEASURE_SUM] = "sum",
                                      [MEASURE_MINIMUM] = "min",
                                      [MEASURE_MAXIMUM] = "max",
                                      [MEASURE_AVERAGE] = "avg",
                                      [MEASURE_DURATION] = "trace.duration",
                                      [MEASURE_SPAN_COUNT] = "trace.span_count"};
  if (measure->kind == MEASURE_CONSTANT) {
    print_constant(out, &measure->constant);
    return;
  }
  fputs(measure->kind < sizeof words / sizeof *words ? words[measure->kind] : "?", out);
  if (measure->kind == MEASURE_DURATION || measure->kind == MEASURE_SPAN_COUNT) return;
  fputc('(', out);
  print_selector(out, rule, measure->bit);
  if (measure->kind != MEASURE_COUNT && measure->column < rule->kind->column_count) {
    const struct image_text reference = rule->kind->columns[measure->column].reference;
    fprintf(out, ", %.*s", (int)reference.length, reference.at);
  }
  fputc(')', out);
}

static const char *relation_of(const struct image_fact *fact) {
  static const char *const words[] = {[RELATION_CHILD] = ">",
                                      [RELATION_DESCENDANT] = ">>",
                                      [RELATION_PARENT] = "<",
                                      [RELATION_ANCESTOR] = "<<",
                                      [RELATION_SIBLING] = "~"};
  return fact->relation < sizeof words / sizeof *words ? words[fact->relation] : "?";
}

static void print_within(FILE *out, uint64_t within_ns) {
  if (within_ns) fprintf(out, " within %" PRIu64 "ns", within_ns);
}

static void print_fact(FILE *out, const struct explain_rule *rule, const struct image_fact *fact) {
  switch ((enum fact_sort)fact->sort) {
  case FACT_COMPARISON:
    print_measure(out, rule, &fact->left);
    fprintf(out, " %s ", rule_operation_word(fact->operation));
    print_measure(out, rule, &fact->right);
    return;
  case FACT_ORDERED:
    print_selector(out, rule, fact->left_bit);
    fputs(fact->negated ? " not followed by " : " then ", out);
    break;
  case FACT_RELATED:
    print_selector(out, rule, fact->left_bit);
    fprintf(out, " %s%s ", fact->negated ? "!" : "", relation_of(fact));
    break;
  }
  print_selector(out, rule, fact->right_bit);
  if (fact->sort == FACT_ORDERED) print_within(out, fact->within_ns);
}

char *explain_fact_text(const struct explain_rule *rule, uint32_t operand) {
  const struct image_fact *fact = explain_fact(rule->image, operand);
  char *text = NULL;
  size_t length = 0;
  FILE *out = fact ? open_memstream(&text, &length) : NULL;
  if (!out) return NULL;
  print_fact(out, rule, fact);
  fclose(out);
  return text;
}
