#pragma once
/* Rule text in, set or image out; what went wrong is printed so that a failing test shows it. */
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL and the errors when the text is bad. */
static inline struct rule_set *parse_text(const char *text, struct rule_errors *errors) {
  return rule_set_parse("test.yaml", text, strlen(text), errors);
}

static inline struct rule_set *parse_good(const char *text) {
  struct rule_errors errors = {0};
  struct rule_set *set = parse_text(text, &errors);
  if (!set) {
    rule_errors_print(&errors, stderr);
    fprintf(stderr, "in:\n%s\n", text);
    abort();
  }
  rule_errors_free(&errors);
  return set;
}

static inline struct rule_image *compile_good(const struct rule_set *set, uint64_t generation, const struct rule_image *previous,
                                              uint32_t shards) {
  struct rule_errors errors = {0};
  struct rule_image *image = rule_image_compile(set, generation, previous, shards, &errors);
  if (!image) {
    rule_errors_print(&errors, stderr);
    abort();
  }
  rule_errors_free(&errors);
  return image;
}

static inline struct rule_image *compile_text(const char *text) {
  struct rule_set *set = parse_good(text);
  struct rule_image *image = compile_good(set, 1, NULL, 1);
  rule_set_free(set);
  return image;
}

/* One rule on one kind of event; the expression stands in a block, so it is written as it is. */
static inline char *rule_with(const char *on, const char *expression) {
  const size_t room = strlen(expression) + 128;
  char *text = malloc(room);
  snprintf(text, room, "rules:\n  - name: it\n    on: %s\n    if: |\n      %s\n", on, expression);
  return text;
}
