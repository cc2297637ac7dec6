#include "random_rules.h"
#include <arpa/inet.h>
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
                                      "true",
                                      "10.1.2.3",
                                      "192.168.0.1",
                                      "::ffff:10.1.2.3",
                                      "fd00::1",
                                      "10.1.2"};
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
static const char *const networks[] = {"10.0.0.0/8", "10.1.2.3",  "192.168.0.0/31", "fd00::/8",
                                       "::/0",       "0.0.0.0/0", "10.1.2.0/30"};
static const char *const names[RANDOM_REFERENCES] = {"span.a0", "span.a1", "span.a2", "span.a3", "span.a4",  "span.a5", "span.a6",
                                                     "span.a7", "name",    "service", "kind",    "duration", "root"};
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static regex_t compiled[COUNT(patterns)];
static char strangers[200][8]; /* no rule's constants, but some contain one */

enum operation {
  EQUAL,
  NOT_EQUAL,
  LESS,
  LESS_EQUAL,
  GREATER,
  GREATER_EQUAL,
  IN,
  NOT_IN,
  CONTAINS,
  STARTS_WITH,
  ENDS_WITH,
  MATCHES,
  NOT_MATCHES,
  IN_NETWORKS,
  NOT_IN_NETWORKS,
  EXISTS,
  IS_NULL,
  BARE,
  CONSTANT
};

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
  static const uint8_t of_text[] = {EQUAL,    EQUAL,       EQUAL,       NOT_EQUAL,      IN,        NOT_IN,
                                    CONTAINS, MATCHES,     NOT_MATCHES, STARTS_WITH,    ENDS_WITH, EXISTS,
                                    IS_NULL,  IN_NETWORKS, IN_NETWORKS, NOT_IN_NETWORKS};
  static const uint8_t of_number[] = {EQUAL, NOT_EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, IN, NOT_IN, EXISTS, IS_NULL};
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

static unsigned numeric_reference(void) { return below(9) == 0 ? (unsigned)RANDOM_DURATION : below(RANDOM_ATTRIBUTES); }

/* A number that every operation takes. */
static char *write_step_constant(struct random_step *step, char *text) {
  if (step->operation != '%') return write_number(&step->value, COUNT(doubles), text);
  const char *const written = integers[below(COUNT(integers))];
  step->value = (struct value){.integer = strtoll(written, NULL, 10), .type = VALUE_INTEGER};
  return text + sprintf(text, "%s", written);
}

/* Fully in parentheses, so that the text says how it is read. */
static char *make_arithmetic(struct random_value *value, char *text) {
  static const char operations[] = "+-*/%";
  value->reference = (uint8_t)numeric_reference();
  value->negated = below(4) == 0;
  value->steps = (uint8_t)(value->negated ? below(3) : 1 + below(2));
  for (unsigned i = 0; i < value->steps; i++) text += sprintf(text, "(");
  text += sprintf(text, "%s%s", value->negated ? "-" : "", names[value->reference]);
  for (unsigned i = 0; i < value->steps; i++) {
    struct random_step *step = &value->step[i];
    step->operation = operations[below(5)];
    step->constant = below(2);
    step->reference = (uint8_t)numeric_reference();
    text += sprintf(text, " %c ", step->operation);
    text = step->constant ? write_step_constant(step, text) : text + sprintf(text, "%s", names[step->reference]);
    text += sprintf(text, ")");
  }
  return text;
}

/* A set may read only so many values. */
static struct {
  struct random_value value;
  char text[256];
} calculations[48];

void random_rules_renew(void) {
  for (size_t i = 0; i < COUNT(calculations); i++) {
    calculations[i].value = (struct random_value){.reference = 0};
    make_arithmetic(&calculations[i].value, calculations[i].text);
  }
}

static char *write_arithmetic(struct random_value *value, char *text) {
  const unsigned pick = below(COUNT(calculations));
  *value = calculations[pick].value;
  return text + sprintf(text, "%s", calculations[pick].text);
}

static char *write_value(struct random_value *value, unsigned reference, char *text) {
  *value = (struct random_value){.reference = (uint8_t)reference};
  return text + sprintf(text, "%s", names[reference]);
}

/* The right side is a value too. */
static char *write_between(struct random_node *leaf, char *text) {
  static const char *const spelled[] = {"=", "!=", "<", "<=", ">", ">="};
  static const char *const textual[] = {[CONTAINS] = "contains", [STARTS_WITH] = "startsWith", [ENDS_WITH] = "endsWith"};
  leaf->between = true;
  if (below(4) == 0) {
    leaf->operation = (uint8_t)(CONTAINS + below(3));
    text = write_value(&leaf->left, below(3) ? below(RANDOM_ATTRIBUTES) : (unsigned)RANDOM_NAME, text);
    text += sprintf(text, " %s ", textual[leaf->operation]);
    return write_value(&leaf->right, below(3) ? below(RANDOM_ATTRIBUTES) : (unsigned)RANDOM_SERVICE, text);
  }
  leaf->operation = (uint8_t)below(6);
  text = below(2) ? write_arithmetic(&leaf->left, text) : write_value(&leaf->left, numeric_reference(), text);
  text += sprintf(text, " %s ", spelled[leaf->operation]);
  return below(2) ? write_arithmetic(&leaf->right, text) : write_value(&leaf->right, numeric_reference(), text);
}

static char *write_networks(struct random_node *leaf, char *text) {
  leaf->constant_count = (uint8_t)(1 + below(3));
  for (unsigned i = 0; i < leaf->constant_count; i++) {
    leaf->constants[i] = text_value(networks[below(COUNT(networks))]);
    text += sprintf(text, "%s\"%s\"", i ? ", " : "[", leaf->constants[i].text);
  }
  return text + sprintf(text, "]");
}

static char *write_leaf(struct random_node *leaf, unsigned constants, char *text) {
  static const char *const spelled[] = {"=",        "!=",         "<",        "<=", ">",  ">=",      "in",         "not in",
                                        "contains", "startsWith", "endsWith", "=~", "!~", "in cidr", "not in cidr"};
  leaf->node = RANDOM_LEAF;
  if (below(60) == 0) {
    leaf->operation = CONSTANT;
    leaf->constants[0].boolean = below(2);
    return text + sprintf(text, "%s", leaf->constants[0].boolean ? "true" : "false");
  }
  const unsigned form = below(8);
  if (form == 0) return write_between(leaf, text);
  if (form == 1) {
    leaf->operation = (uint8_t)below(6);
    text = write_arithmetic(&leaf->left, text);
    leaf->constant_count = 1;
    return write_number(&leaf->constants[0], constants, text + sprintf(text, " %s ", spelled[leaf->operation]));
  }
  const unsigned reference = below(RANDOM_REFERENCES);
  leaf->operation = (uint8_t)pick_operation(reference);
  const bool exists_before = leaf->operation == EXISTS && below(2);
  if (exists_before) text += sprintf(text, "exists ");
  text = write_value(&leaf->left, reference, text);
  if (leaf->operation == BARE || exists_before) return text;
  if (leaf->operation == EXISTS || leaf->operation == IS_NULL)
    return text + sprintf(text, leaf->operation == EXISTS ? " != null" : " = nil");
  text += sprintf(text, " %s ", spelled[leaf->operation]);
  leaf->constant_count = 1;
  switch (leaf->operation) {
  case MATCHES:
  case NOT_MATCHES:
    leaf->pattern = (uint8_t)below(COUNT(patterns));
    return text + sprintf(text, "\"%s\"", patterns[leaf->pattern]);
  case CONTAINS:
  case STARTS_WITH:
  case ENDS_WITH:
    return write_string(&leaf->constants[0], constants, text);
  case IN_NETWORKS:
  case NOT_IN_NETWORKS:
    return write_networks(leaf, text);
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
      text = write_constant(&leaf->constants[i], reference, constants, text);
    }
    return text + sprintf(text, "]");
  default:
    return write_constant(&leaf->constants[0], reference, constants, text);
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
    node->first = (uint8_t)left;
    return text + sprintf(text, ")");
  }
  node->node = pick < 5 ? RANDOM_AND : RANDOM_OR;
  text += sprintf(text, "(");
  text = write_node(rule, &left, depth - 1, constants, text);
  text += sprintf(text, pick < 5 ? " && " : " || ");
  text = write_node(rule, &right, depth - 1, constants, text);
  node->first = (uint8_t)left;
  node->second = (uint8_t)right;
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

static struct value integer_value(__int128 number) {
  if (number > INT64_MAX || number < INT64_MIN) return (struct value){.type = VALUE_NULL};
  return (struct value){.integer = (int64_t)number, .type = VALUE_INTEGER};
}

static struct value take_step(char operation, const struct value *left, const struct value *right) {
  const struct value null = {.type = VALUE_NULL};
  if (!is_number(left) || !is_number(right)) return null;
  const bool integers_both = left->type == VALUE_INTEGER && right->type == VALUE_INTEGER;
  const double a = (double)number_of(left), b = (double)number_of(right);
  if (operation == '/') return b == 0 ? null : (struct value){.real = a / b, .type = VALUE_DOUBLE};
  if (operation == '%')
    return !integers_both || right->integer == 0 ? null : integer_value((__int128)left->integer % right->integer);
  if (!integers_both)
    return (struct value){.real = operation == '+' ? a + b : operation == '-' ? a - b : a * b, .type = VALUE_DOUBLE};
  const __int128 x = left->integer, y = right->integer;
  return integer_value(operation == '+' ? x + y : operation == '-' ? x - y : x * y);
}

static struct value value_of(const struct random_value *written, const struct random_row *row) {
  const struct value zero = {.integer = 0, .type = VALUE_INTEGER};
  struct value value = row->values[written->reference];
  if (written->negated && value.type == VALUE_DOUBLE)
    value.real = -value.real;
  else if (written->negated)
    value = take_step('-', &zero, &value);
  for (unsigned i = 0; i < written->steps; i++) {
    const struct random_step *step = &written->step[i];
    value = take_step(step->operation, &value, step->constant ? &step->value : &row->values[step->reference]);
  }
  return value;
}

struct address {
  int family;
  uint8_t bytes[16];
};

static struct address address_of(const char *text, size_t length) {
  struct address address = {.family = 0};
  char copy[64] = "";
  if (length >= sizeof copy) return address;
  memcpy(copy, text, length);
  if (inet_pton(AF_INET, copy, address.bytes) == 1) {
    address.family = AF_INET;
  } else if (inet_pton(AF_INET6, copy, address.bytes) == 1) {
    address.family = AF_INET6;
    if (memcmp(address.bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) != 0) return address;
    address.family = AF_INET;
    memmove(address.bytes, address.bytes + 12, 4);
  }
  return address;
}

static bool inside(const struct address *address, const char *network) {
  const char *slash = strchr(network, '/');
  const struct address base = address_of(network, slash ? (size_t)(slash - network) : strlen(network));
  const unsigned bits = slash ? (unsigned)atoi(slash + 1) : base.family == AF_INET ? 32 : 128;
  if (address->family == 0 || address->family != base.family) return false;
  for (unsigned bit = 0; bit < bits; bit++)
    if ((address->bytes[bit / 8] ^ base.bytes[bit / 8]) >> (7 - bit % 8) & 1) return false;
  return true;
}

static bool in_networks(const struct random_node *leaf, const struct value *value) {
  if (value->type != VALUE_STRING) return false;
  const struct address address = address_of(value->text, value->length);
  for (unsigned i = 0; i < leaf->constant_count; i++)
    if (inside(&address, leaf->constants[i].text)) return true;
  return false;
}

static bool text_holds(unsigned operation, const struct value *whole, const struct value *part) {
  if (whole->type != VALUE_STRING || part->type != VALUE_STRING || part->length > whole->length) return false;
  const uint32_t last = whole->length - part->length;
  for (uint32_t at = 0; at <= last; at++) {
    if ((operation == STARTS_WITH && at > 0) || (operation == ENDS_WITH && at < last)) continue;
    if (strncmp(whole->text + at, part->text, part->length) == 0) return true;
  }
  return false;
}

static bool leaf_holds(const struct random_node *leaf, const struct random_row *row) {
  if (leaf->operation == CONSTANT) return leaf->constants[0].boolean;
  const struct value left = value_of(&leaf->left, row), right = leaf->between ? value_of(&leaf->right, row) : leaf->constants[0];
  const struct value *value = &left, *constant = &right;
  bool in = false;
  for (unsigned i = 0; i < leaf->constant_count; i++) in |= equal(value, &leaf->constants[i]);
  if (leaf->operation == NOT_IN) return !in;
  if (leaf->operation == NOT_IN_NETWORKS) return !in_networks(leaf, value);
  if (leaf->operation == IS_NULL) return value->type == VALUE_NULL;
  if (value->type == VALUE_NULL || (leaf->between && constant->type == VALUE_NULL)) return false;
  const bool numbers = is_number(value) && is_number(constant);
  switch ((enum operation)leaf->operation) {
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
  case STARTS_WITH:
  case ENDS_WITH:
    return text_holds(leaf->operation, value, constant);
  case MATCHES:
    return is_text(value) && found(value, leaf->pattern);
  case NOT_MATCHES:
    return is_text(value) && !found(value, leaf->pattern);
  case IN_NETWORKS:
    return in_networks(leaf, value);
  case EXISTS:
    return true;
  default:
    return value->type == VALUE_BOOL && value->boolean;
  }
}

static bool holds(const struct random_rule *rule, unsigned at, const struct random_row *row) {
  const struct random_node *node = &rule->nodes[at];
  switch (node->node) {
  case RANDOM_AND:
    return holds(rule, node->first, row) && holds(rule, node->second, row);
  case RANDOM_OR:
    return holds(rule, node->first, row) || holds(rule, node->second, row);
  case RANDOM_NOT:
    return !holds(rule, node->first, row);
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
