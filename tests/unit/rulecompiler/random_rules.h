#pragma once
/* Random conditions over a few shared references, as text and as a tree, and the plainest judge of that tree. Knows nothing of
 * images: numbers compare as long doubles, which hold every int64 and double, and are added up in 128 bits; strings by memcmp;
 * patterns by regexec; addresses by inet_pton. */
#include "event.h"
#include <stddef.h>

#define RANDOM_ATTRIBUTES 8u /* span.a0.. */
#define RANDOM_NODES_MAX 96u

enum random_reference {
  RANDOM_NAME = RANDOM_ATTRIBUTES,
  RANDOM_SERVICE,
  RANDOM_KIND,
  RANDOM_DURATION,
  RANDOM_ROOT,
  RANDOM_REFERENCES
};

struct random_row {
  struct value values[RANDOM_REFERENCES];
};

#define RANDOM_STEPS_MAX 2u

/* A reference, and arithmetic with it from left to right. */
struct random_value {
  uint8_t reference;
  bool negated;
  uint8_t steps;
  struct random_step {
    char operation; /* plus, minus, times, by, remainder */
    bool constant;
    uint8_t reference;
    struct value value;
  } step[RANDOM_STEPS_MAX];
};

struct random_node {
  enum { RANDOM_AND, RANDOM_OR, RANDOM_NOT, RANDOM_LEAF } node;
  uint8_t first, second;
  uint8_t operation; /* index in the generator's table */
  struct random_value left, right;
  bool between; /* the right side is `right`, not a constant */
  uint8_t pattern;
  uint8_t constant_count;
  struct value constants[4];
};

struct random_rule {
  struct random_node nodes[RANDOM_NODES_MAX];
  unsigned count, root;
};

void random_rules_open(void);
void random_rules_close(void);
/* Other arithmetic for the rules that are made from now on. */
void random_rules_renew(void);
/* Writes the condition of a rule at `text`; returns where it ended. At most 16384 bytes. `constants`: how many of the known
 * constants are used, so that few make many rules share them. */
char *random_rule_make(struct random_rule *rule, unsigned depth, unsigned constants, char *text);
bool random_rule_holds(const struct random_rule *rule, const struct random_row *row);
/* Values that meet the constants often: equal, just beside, of another type, prefixes, NaN, infinite, none. */
void random_row_make(struct random_row *row);
