#include "random_rules.h"
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const strings[] = {"",
                                      "a",
                                      "ab",
                                      "abc",
                                      "abcd",
                                      "b",
                                      "ba",
                                      "x1",
                                      "x12",
                                      "/orders/00000000000000000001",
                                      "/orders/00000000000000000002",
                                      "/orders/0000000000000000000",
                                      "\xc3\xa9t\xc3\xa9",
                                      "5",
                                      "true"};
static const char not_utf8[] = "ab\xff";
static const char *const integers[] = {
    "0", "1", "-1", "2", "5", "100", "9007199254740993", "9223372036854775807", "-9223372036854775808", "9007199254740992"};
static const char *const doubles[] = {"0.0",
                                      "-0.0",
                                      "1.0",
                                      "1.5",
                                      "5.0",
                                      "4.999",
                                      "9007199254740992.0",
                                      "9223372036854775808.0",
                                      "-9223372036854775808.0",
                                      "1e300",
                                      "-1e300",
                                      "100.00000000001"};
static const char *const patterns[] = {"^ab", "b$", "", "[0-9]+", "^$", "a.*d", "000[12]$", "x"};
static const char *const names[RANDOM_REFERENCES] = {"span.a0", "span.a1", "span.a2", "span.a3", "span.a4",  "span.a5", "span.a6",
                                                     "span.a7", "name",    "service", "kind",    "duration", "root"};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static regex_t compiled[COUNT(patterns)];
static char strangers[200][8]; /* no rule's constants, but some contain one */

enum { EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, IN, NOT_IN, CONTAINS, MATCHES, NOT_MATCHES, BARE, CONSTANT };

void random_rules_open(void) {
  for (size_t i = 0; i < COUNT(strangers); i++) snprintf(strangers[i], sizeof strangers[i], "ab%zu", i);
  for (size_t i = 0; i < COUNT(patterns); i++)
    if (regcomp(&compiled[i], patterns[i], REG_EXTENDED) != 0) abort();
}

void random_rules_close(void) {
  for (size_t i = 0; i < COUNT(patterns); i++) regfree(&compiled[i]);
}

static unsigned below(unsigned limit) { return (unsigned)random() % limit; }

static struct value text_value(const char *text) {
  return (struct value){.text = text, .length = (uint32_t)strlen(text), .type = VALUE_STRING};
}

static char *write_number(struct value *value, unsigned constants, char *text) {
  if (below(2)) {
    const char *const written = integers[below(constants < COUNT(integers) ? constants : COUNT(integers))];
    *value = (struct value){.integer = strtoll(written, NULL, 10), .type = VALUE_INTEGER};
    return text + sprintf(text, "%s", written);
  }
  const char *const written = doubles[below(constants < COUNT(doubles) ? constants : COUNT(doubles))];
  *value = (struct value){.real = strtod(written, NULL), .type = VALUE_DOUBLE};
  return text + sprintf(text, "%s", written);
}

static char *write_string(struct value *value, unsigned constants, char *text) {
  *value = text_value(strings[below(constants < COUNT(strings) ? constants : COUNT(strings))]);
  return text + sprintf(text, "\"%s\"", value->text);
}

static char *write_constant(struct value *value, unsigned reference, unsigned constants, char *text) {
  static const char *const kinds[] = {"internal", "server", "client"};
  switch (reference) {
  case RANDOM_NAME:
  case RANDOM_SERVICE:
    return write_string(value, constants, text);
  case RANDOM_KIND:
    *value = text_value(kinds[below(COUNT(kinds))]);
    return text + sprintf(text, "%s", value->text);
  case RANDOM_DURATION:
    return write_number(value, constants, text);
  case RANDOM_ROOT:
    *value = (struct value){.boolean = below(2), .type = VALUE_BOOL};
    return text + sprintf(text, "%s", value->boolean ? "true" : "false");
  default:
    break;
  }
  const unsigned pick = below(8);
  if (pick == 0) {
    *value = (struct value){.boolean = below(2), .type = VALUE_BOOL};
    return text + sprintf(text, "%s", value->boolean ? "true" : "false");
  }
  return pick < 4 ? write_number(value, constants, text) : write_string(value, constants, text);
}

/* What the checker lets a reference be asked. */
static unsigned pick_operation(unsigned reference) {
  static const uint8_t of_text[] = {EQUAL, EQUAL, EQUAL, NOT_EQUAL, IN, NOT_IN, CONTAINS, MATCHES, NOT_MATCHES};
  static const uint8_t of_number[] = {EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, IN, NOT_IN};
  static const uint8_t of_word[] = {EQUAL, NOT_EQUAL, IN, NOT_IN};
  switch (reference) {
  case RANDOM_NAME:
  case RANDOM_SERVICE:
    return of_text[below(COUNT(of_text))];
  case RANDOM_KIND:
    return of_word[below(COUNT(of_word))];
  case RANDOM_DURATION:
    return of_number[below(COUNT(of_number))];
  case RANDOM_ROOT:
    return below(2) ? BARE : EQUAL;
  default:
    return below(20) == 0 ? BARE : below(2) ? of_text[below(COUNT(of_text))] : of_number[below(COUNT(of_number))];
  }
}

static char *write_leaf(struct random_node *leaf, unsigned constants, char *text) {
  static const char *const spelled[] = {"=", "!=", "<", "<=", ">", ">=", "in", "not in", "contains", "=~", "!~"};
  leaf->node = RANDOM_LEAF;
  if (below(60) == 0) {
    leaf->operation = CONSTANT;
    leaf->constants[0].boolean = below(2);
    return text + sprintf(text, "%s", leaf->constants[0].boolean ? "true" : "false");
  }
  leaf->reference = (uint8_t)below(RANDOM_REFERENCES);
  leaf->operation = (uint8_t)pick_operation(leaf->reference);
  text += sprintf(text, "%s", names[leaf->reference]);
  if (leaf->operation == BARE) return text;
  text += sprintf(text, " %s ", spelled[leaf->operation]);
  leaf->constant_count = 1;
  switch (leaf->operation) {
  case MATCHES:
  case NOT_MATCHES:
    leaf->pattern = (uint8_t)below(COUNT(patterns));
    return text + sprintf(text, "\"%s\"", patterns[leaf->pattern]);
  case CONTAINS:
    return write_string(&leaf->constants[0], constants, text);
  case LESS:
  case LESS_EQUAL:
  case GREATER:
  case GREATER_EQUAL:
    return write_number(&leaf->constants[0], constants, text);
  case IN:
  case NOT_IN:
    leaf->constant_count = (uint8_t)(1 + below(4));
    for (unsigned i = 0; i < leaf->constant_count; i++) {
      text += sprintf(text, i ? ", " : "[");
      text = write_constant(&leaf->constants[i], leaf->reference, constants, text);
    }
    return text + sprintf(text, "]");
  default:
    return write_constant(&leaf->constants[0], leaf->reference, constants, text);
  }
}

static char *write_node(struct random_rule *rule, unsigned *at, unsigned depth, unsigned constants, char *text) {
  const unsigned mine = rule->count++;
  struct random_node *node = &rule->nodes[mine];
  const unsigned pick = depth == 0 || rule->count + 2 > RANDOM_NODES_MAX / 2 ? 9 : below(10);
  *node = (struct random_node){.node = RANDOM_NOT};
  *at = mine;
  unsigned left, right;
  if (pick >= 8) return write_leaf(node, constants, text);
  if (pick == 7) {
    text += sprintf(text, "!(");
    text = write_node(rule, &left, depth - 1, constants, text);
    node->left = (uint8_t)left;
    return text + sprintf(text, ")");
  }
  node->node = pick < 5 ? RANDOM_AND : RANDOM_OR;
  text += sprintf(text, "(");
  text = write_node(rule, &left, depth - 1, constants, text);
  text += sprintf(text, pick < 5 ? " && " : " || ");
  text = write_node(rule, &right, depth - 1, constants, text);
  node->left = (uint8_t)left;
  node->right = (uint8_t)right;
  return text + sprintf(text, ")");
}

char *random_rule_make(struct random_rule *rule, unsigned depth, unsigned constants, char *text) {
  rule->count = 0;
  return write_node(rule, &rule->root, depth, constants, text);
}

static bool is_number(const struct value *value) { return value->type == VALUE_INTEGER || value->type == VALUE_DOUBLE; }

static long double number_of(const struct value *value) {
  return value->type == VALUE_INTEGER ? (long double)value->integer : (long double)value->real;
}

static bool equal(const struct value *a, const struct value *b) {
  if (is_number(a) && is_number(b)) return number_of(a) == number_of(b);
  if (a->type != b->type) return false;
  if (a->type == VALUE_BOOL) return a->boolean == b->boolean;
  return a->type == VALUE_STRING && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static bool is_text(const struct value *value) {
  return value->type == VALUE_STRING && !(value->length == 3 && memcmp(value->text, not_utf8, 3) == 0);
}

static bool found(const struct value *value, unsigned pattern) {
  regmatch_t whole = {.rm_so = 0, .rm_eo = (regoff_t)value->length};
  return regexec(&compiled[pattern], value->text, 0, &whole, REG_STARTEND) == 0;
}

static bool leaf_holds(const struct random_node *leaf, const struct random_row *row) {
  if (leaf->operation == CONSTANT) return leaf->constants[0].boolean;
  const struct value *value = &row->values[leaf->reference], *constant = &leaf->constants[0];
  bool in = false;
  for (unsigned i = 0; i < leaf->constant_count; i++) in |= equal(value, &leaf->constants[i]);
  if (leaf->operation == NOT_IN) return !in;
  if (value->type == VALUE_NULL) return false;
  const bool numbers = is_number(value) && is_number(constant);
  switch (leaf->operation) {
  case EQUAL:
    return equal(value, constant);
  case NOT_EQUAL:
    return !equal(value, constant);
  case LESS:
    return numbers && number_of(value) < number_of(constant);
  case LESS_EQUAL:
    return numbers && number_of(value) <= number_of(constant);
  case GREATER:
    return numbers && number_of(value) > number_of(constant);
  case GREATER_EQUAL:
    return numbers && number_of(value) >= number_of(constant);
  case IN:
    return in;
  case CONTAINS:
    return value->type == VALUE_STRING && memmem(value->text, value->length, constant->text, constant->length) != NULL;
  case MATCHES:
    return is_text(value) && found(value, leaf->pattern);
  case NOT_MATCHES:
    return is_text(value) && !found(value, leaf->pattern);
  default:
    return value->type == VALUE_BOOL && value->boolean;
  }
}

static bool holds(const struct random_rule *rule, unsigned at, const struct random_row *row) {
  const struct random_node *node = &rule->nodes[at];
  switch (node->node) {
  case RANDOM_AND:
    return holds(rule, node->left, row) && holds(rule, node->right, row);
  case RANDOM_OR:
    return holds(rule, node->left, row) || holds(rule, node->right, row);
  case RANDOM_NOT:
    return !holds(rule, node->left, row);
  case RANDOM_LEAF:
    break;
  }
  return leaf_holds(node, row);
}

bool random_rule_holds(const struct random_rule *rule, const struct random_row *row) { return holds(rule, rule->root, row); }

static struct value random_number(void) {
  static const double odd[] = {NAN, INFINITY, -INFINITY};
  const unsigned pick = below(12);
  if (pick == 0) return (struct value){.real = odd[below(3)], .type = VALUE_DOUBLE};
  if (pick < 5) return (struct value){.real = strtod(doubles[below(COUNT(doubles))], NULL), .type = VALUE_DOUBLE};
  int64_t integer = strtoll(integers[below(COUNT(integers))], NULL, 10);
  if (pick > 8 && integer > INT64_MIN && integer < INT64_MAX) integer += (int64_t)below(3) - 1;
  return (struct value){.integer = integer, .type = VALUE_INTEGER};
}

static struct value random_string(void) {
  const unsigned pick = below(20);
  if (pick == 0) return text_value(not_utf8);
  if (pick < 4) return text_value(strangers[below(COUNT(strangers))]);
  struct value value = text_value(strings[below(COUNT(strings))]);
  if (pick == 4 && value.length > 0 && value.text[0] != '\xc3') value.length--;
  return value;
}

static struct value random_value(unsigned kind) {
  switch (kind) {
  case 0:
    return (struct value){.type = VALUE_NULL};
  case 1:
    return (struct value){.type = VALUE_OTHER};
  case 2:
    return (struct value){.boolean = below(2), .type = VALUE_BOOL};
  case 3:
  case 4:
  case 5:
    return random_number();
  default:
    return random_string();
  }
}

void random_row_make(struct random_row *row) {
  static const char *const kinds[] = {"internal", "server", "client", "producer"};
  for (unsigned i = 0; i < RANDOM_ATTRIBUTES; i++) row->values[i] = random_value(below(10));
  row->values[RANDOM_NAME] = random_string();
  row->values[RANDOM_SERVICE] = below(4) ? random_string() : (struct value){.type = VALUE_NULL};
  row->values[RANDOM_KIND] = text_value(kinds[below(COUNT(kinds))]);
  row->values[RANDOM_DURATION] = (struct value){.integer = (int64_t)below(7), .type = VALUE_INTEGER};
  row->values[RANDOM_ROOT] = (struct value){.boolean = below(2), .type = VALUE_BOOL};
}
