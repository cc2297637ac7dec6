/* Compiled predicates and programs as text. */
#include "explain_internal.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX 120u /* of one constant */
#define LIST_MAX 8u

static void print_constant(FILE *out, const struct value *value) {
  switch (value->type) {
  case VALUE_BOOL:
    fputs(value->boolean ? "true" : "false", out);
    return;
  case VALUE_INTEGER:
    fprintf(out, "%" PRId64, value->integer);
    return;
  case VALUE_DOUBLE:
    fprintf(out, "%.17g", value->real);
    return;
  case VALUE_STRING: {
    json_t *json = json_stringn(value->text, value->length < TEXT_BYTES_MAX ? value->length : TEXT_BYTES_MAX);
    char *text = json ? json_dumps(json, JSON_ENCODE_ANY) : NULL;
    fprintf(out, "%s%s", text ? text : "\"...\"", value->length > TEXT_BYTES_MAX ? "..." : "");
    free(text);
    json_decref(json);
    return;
  }
  case VALUE_NULL:
  case VALUE_OTHER:
    break;
  }
  fputs("null", out);
}

static void print_networks(FILE *out, const struct image_predicate *predicate) {
  for (uint32_t i = 0; i < predicate->list_count && i < LIST_MAX; i++) {
    const struct image_network *network = &predicate->networks[i];
    char text[INET6_ADDRSTRLEN] = "?";
    const bool ipv4 = network->prefix_bits >= 96 && memcmp(network->address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
    inet_ntop(ipv4 ? AF_INET : AF_INET6, network->address + (ipv4 ? 12 : 0), text, sizeof text);
    fprintf(out, "%s\"%s/%d\"", i ? ", " : "", text, network->prefix_bits - (ipv4 ? 96 : 0));
  }
}

static void print_list(FILE *out, const struct image_predicate *predicate) {
  for (uint32_t i = 0; i < predicate->list_count && i < LIST_MAX; i++) {
    if (i) fputs(", ", out);
    print_constant(out, &predicate->list[i]);
  }
}

static void print_reference(FILE *out, const struct image_kind *kind, uint16_t column) {
  fprintf(out, "%.*s", (int)kind->columns[column].reference.length, kind->columns[column].reference.at);
}

static void print_predicate(FILE *out, const struct image_kind *kind, const struct image_predicate *predicate) {
  if (predicate->operation == PREDICATE_CONSTANT) {
    fputs(predicate->constant.boolean ? "true" : "false", out);
    return;
  }
  if (predicate->operation == PREDICATE_EXISTS) fputs("exists ", out);
  print_reference(out, kind, predicate->column);
  if (predicate->operation == PREDICATE_EXISTS || predicate->operation == PREDICATE_TRUE) return;
  if (predicate->operation == PREDICATE_IN || predicate->operation == PREDICATE_IN_NETWORKS) {
    const bool networks = predicate->operation == PREDICATE_IN_NETWORKS;
    fputs(networks ? " in cidr [" : " in [", out);
    if (networks)
      print_networks(out, predicate);
    else
      print_list(out, predicate);
    if (predicate->list_count > LIST_MAX) fprintf(out, ", and %u more", predicate->list_count - LIST_MAX);
    fputc(']', out);
    return;
  }
  fprintf(out, " %s ", rule_operation_word(predicate->operation));
  if (predicate->between)
    print_reference(out, kind, predicate->other);
  else
    print_constant(out, &predicate->constant);
}

char *explain_predicate_text(const struct image_kind *kind, uint32_t predicate) {
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  if (!out) return NULL;
  print_predicate(out, kind, &kind->predicates[predicate]);
  fclose(out);
  return text;
}

struct piece {
  char *text;
  uint32_t operation; /* the loosest in it, 0: an operand */
};

/* Takes both. */
static char *join(struct piece left, uint32_t operation, struct piece right) {
  char *text = NULL;
  const bool loose_left = operation == PROGRAM_AND && left.operation == PROGRAM_OR;
  const bool loose_right = operation == PROGRAM_AND && right.operation == PROGRAM_OR;
  if (!left.text || !right.text ||
      asprintf(&text, "%s%s%s %s %s%s%s", loose_left ? "(" : "", left.text, loose_left ? ")" : "",
               operation == PROGRAM_AND ? "&&" : "||", loose_right ? "(" : "", right.text, loose_right ? ")" : "") < 0)
    text = NULL;
  free(left.text);
  free(right.text);
  return text;
}

static char *negate(struct piece of) {
  char *text = NULL;
  if (!of.text || asprintf(&text, "!(%s)", of.text) < 0) text = NULL;
  free(of.text);
  return text;
}

char *explain_program_text(const struct image_program *program, void *context,
                           char *(*operand)(void *context, uint32_t operand)) {
  struct piece stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    if (operation == PROGRAM_NOT && depth >= 1) {
      stack[depth - 1] = (struct piece){.text = negate(stack[depth - 1])};
    } else if ((operation == PROGRAM_AND || operation == PROGRAM_OR) && depth >= 2) {
      depth--;
      stack[depth - 1] = (struct piece){.text = join(stack[depth - 1], operation, stack[depth]), .operation = operation};
    } else if (operation < PROGRAM_AND && depth < IMAGE_PROGRAM_DEPTH_MAX) {
      stack[depth++] = (struct piece){.text = operand(context, operation)};
    }
  }
  for (uint32_t i = 1; i < depth; i++) free(stack[i].text);
  return depth ? stack[0].text : NULL;
}

static char *predicate_operand(void *context, uint32_t operand) {
  const struct explain_rule *rule = context;
  return operand < rule->kind->predicate_count ? explain_predicate_text(rule->kind, operand) : NULL;
}

static char *selector_operand(void *context, uint32_t operand) {
  const struct explain_rule *rule = context;
  if (explain_fact(rule->image, operand)) return explain_fact_text(rule, operand);
  const struct image_selector *selector = explain_selector(rule->image, operand);
  char *inner = selector ? explain_program_text(&selector->condition, context, predicate_operand) : NULL, *text = NULL;
  if (!inner || asprintf(&text, "{%s}", inner) < 0) text = NULL;
  free(inner);
  return text;
}

char *explain_condition_text(const struct explain_rule *rule, const struct image_program *program) {
  struct explain_rule copy = *rule;
  return explain_program_text(program, &copy, rule->rule->on == RULE_ON_TRACE ? selector_operand : predicate_operand);
}
