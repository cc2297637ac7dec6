#pragma once
/* The body of a webhook with arrays in it, and what a path into it reads. Segments of a path are names, "[N]" or "[*]". */
#include "rule_shape.h"
#include "test_random.h"
#include "yard.h"

struct body_node {
  const char *key; /* in an object */
  struct plain value;
  bool is_array; /* of its children; otherwise they are members */
  struct body_node *children;
  unsigned child_count;
};

/* Of one path so many values are judged. */
#define BODY_VALUES_MAX 1024u

const struct body_node *body_make(struct test_random *random, struct yard *yard);
/* The values of a path in the order of the body, without nulls. */
unsigned body_values(const struct body_node *body, const struct reference_fact *fact, struct plain values[BODY_VALUES_MAX]);
unsigned body_size(const struct body_node *body);
