#pragma once
/* Inside explain: a rule of an image, and the predicates and columns that it and others have. */
#include "trial_internal.h"

struct explain_rule {
  const struct rule_image *image;
  const struct image_rule *rule;
  const struct image_kind *kind; /* that it reads; of a trace rule EVENT_SPAN */
  enum event_kind event;
  uint32_t index; /* in the kind's rules, or among trace rules */
};

/* False: it is not in the image. */
bool explain_find(const struct rule_image *image, const char *name, struct explain_rule *found);
/* Calls `use` with every predicate of a rule, several times when it stands there several times. */
void explain_each_predicate(const struct rule_image *image, const struct image_rule *rule, void *context,
                            void (*use)(void *context, uint32_t predicate));
/* Those of one selector in a trace rule's `when`. */
void explain_each_of_when(const struct rule_image *image, const struct image_rule *rule, void *context,
                          void (*use)(void *context, uint32_t predicate));
const struct image_selector *explain_selector(const struct rule_image *image, uint32_t bit);

/* explain_text.c: malloc'd */
char *explain_predicate_text(const struct image_kind *kind, uint32_t predicate);
/* A program in infix; `operand` names one. */
char *explain_program_text(const struct image_program *program, void *context, char *(*operand)(void *context, uint32_t operand));
char *explain_condition_text(const struct explain_rule *rule, const struct image_program *program);

/* explain_facts.c: NULL when the operand of a trace program is no fact; the text malloc'd */
const struct image_fact *explain_fact(const struct rule_image *image, uint32_t operand);
char *explain_fact_text(const struct explain_rule *rule, uint32_t operand);

/* explain_betrace.c: a trace rule in BeTrace's notation, malloc'd; NULL where that cannot say it */
char *explain_betrace_text(const struct explain_rule *rule);

/* explain_lookup.c: {always_run, keys: [..]} */
json_t *explain_lookup(const struct explain_rule *rule);
/* explain_estimate.c */
json_t *explain_estimate(const struct rule_set *alone, const char *name, uint64_t measure_ns, struct rule_errors *errors);
