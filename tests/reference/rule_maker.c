#include "rule_maker.h"
#include "pattern_pool.h"
#include <stdio.h>
#include <string.h>

static uint32_t below(struct rule_maker *maker, uint32_t bound) { return random_below(maker->random, bound); }

static struct condition *condition_of(struct rule_maker *maker, enum condition_kind kind) {
  struct condition *made = YARD_NEW(maker->yard, struct condition);
  made->kind = kind;
  made->style = (uint8_t)below(maker, 256);
  return made;
}

static const struct term *term_of_constant(struct rule_maker *maker, struct plain constant) {
  struct term *term = YARD_NEW(maker->yard, struct term);
  *term = (struct term){.kind = TERM_CONSTANT, .constant = constant};
  return term;
}

static const struct term *term_of_reference(struct rule_maker *maker, unsigned reference) {
  struct term *term = YARD_NEW(maker->yard, struct term);
  *term = (struct term){.kind = TERM_REFERENCE, .reference = reference};
  return term;
}

static unsigned pick_reference(struct rule_maker *maker, enum subject subject) {
  if (maker->elements && subject == SUBJECT_WEBHOOK && below(maker, 3))
    return element_references_from + below(maker, reference_count - element_references_from);
  for (;;) {
    const unsigned reference = below(maker, element_references_from);
    if (reference_facts[reference].subjects >> subject & 1) return reference;
  }
}

enum leaf { LEAF_EQUAL, LEAF_NOT_EQUAL, LEAF_ORDER, LEAF_IN, LEAF_PART, LEAF_MATCH, LEAF_CIDR, LEAF_BARE, LEAF_EXISTS };

/* What the checker lets a reference be asked. */
static enum leaf pick_leaf(struct rule_maker *maker, enum reference_sort sort) {
  static const uint8_t of_text[] = {LEAF_EQUAL, LEAF_EQUAL, LEAF_NOT_EQUAL, LEAF_IN, LEAF_PART, LEAF_PART, LEAF_MATCH, LEAF_CIDR};
  static const uint8_t of_number[] = {LEAF_EQUAL, LEAF_NOT_EQUAL, LEAF_ORDER, LEAF_ORDER, LEAF_ORDER, LEAF_IN};
  static const uint8_t of_word[] = {LEAF_EQUAL, LEAF_NOT_EQUAL, LEAF_IN};
  if (below(maker, 16) == 0) return LEAF_EXISTS;
  switch (sort) {
  case SORT_TEXT:
  case SORT_HEXADECIMAL:
    return of_text[below(maker, 8)];
  case SORT_KIND:
  case SORT_STATUS:
  case SORT_WEEKDAY:
    return of_word[below(maker, 3)];
  case SORT_DURATION:
  case SORT_TIME:
  case SORT_TIME_OF_DAY:
    return of_number[below(maker, 6)];
  case SORT_BOOLEAN:
    return below(maker, 2) ? LEAF_BARE : of_word[below(maker, 3)];
  case SORT_ANY:
    break;
  }
  if (below(maker, 16) == 0) return LEAF_BARE;
  return below(maker, 2) ? of_text[below(maker, 8)] : of_number[below(maker, 6)];
}

static bool is_numeric(unsigned reference) {
  if (reference_facts[reference].every) return false; /* no part of arithmetic */
  const enum reference_sort sort = reference_facts[reference].sort;
  return sort == SORT_ANY || sort == SORT_DURATION || sort == SORT_TIME || sort == SORT_TIME_OF_DAY;
}

static unsigned pick_numeric(struct rule_maker *maker, enum subject subject) {
  unsigned reference = pick_reference(maker, subject);
  while (!is_numeric(reference)) reference = pick_reference(maker, subject);
  return reference;
}

/* Never of constants alone: those are worked out by the loader, which refuses what has no result. */
static const struct term *make_term(struct rule_maker *maker, enum subject subject, unsigned depth) {
  static const char operations[] = "+-*/%";
  if (depth == 0 || below(maker, 4) == 0) return term_of_reference(maker, pick_numeric(maker, subject));
  struct term *term = YARD_NEW(maker->yard, struct term);
  term->kind = TERM_MINUS;
  term->left = make_term(maker, subject, depth - 1);
  if (below(maker, 6) == 0) return term;
  term->kind = TERM_OPERATION;
  term->operation = operations[below(maker, 5)];
  const struct plain number = pool_number(maker->random);
  const bool whole = term->operation == '%' && number.type != PLAIN_INTEGER;
  term->right = below(maker, 2) || whole ? make_term(maker, subject, depth - 1) : term_of_constant(maker, number);
  if (below(maker, 4) == 0) {
    const struct term *left = term->left;
    term->left = term->right;
    term->right = left;
  }
  return term;
}

static const struct condition *make_computed(struct rule_maker *maker, enum subject subject) {
  struct condition *made = condition_of(maker, CONDITION_COMPARE);
  made->comparison = (enum comparison)below(maker, COMPARE_ORDERS);
  made->a = make_term(maker, subject, 1 + below(maker, 3));
  if (below(maker, 12) == 0) {
    made->kind = CONDITION_EXISTS;
    made->negative = below(maker, 2);
    return made;
  }
  made->b = below(maker, 2) ? term_of_constant(maker, pool_number(maker->random)) : make_term(maker, subject, below(maker, 2));
  return made;
}

/* What two references can be equal in; 0: anything. */
static unsigned comparable(unsigned reference) {
  switch (reference_facts[reference].sort) {
  case SORT_ANY:
    return 0;
  case SORT_BOOLEAN:
    return 1;
  default:
    return is_numeric(reference) ? 2 : 3;
  }
}

static bool is_word(unsigned reference) {
  const enum reference_sort sort = reference_facts[reference].sort;
  return sort == SORT_KIND || sort == SORT_STATUS || sort == SORT_WEEKDAY;
}

static const struct condition *make_pair(struct rule_maker *maker, enum subject subject) {
  struct condition *made = condition_of(maker, CONDITION_COMPARE);
  const unsigned a = pick_reference(maker, subject);
  unsigned b = pick_reference(maker, subject);
  while ((comparable(a) && comparable(b) && comparable(a) != comparable(b)) || reference_facts[b].every)
    b = pick_reference(maker, subject);
  const unsigned sort = comparable(a) ? comparable(a) : comparable(b);
  made->a = term_of_reference(maker, a);
  made->b = term_of_reference(maker, b);
  const bool orders = sort == 2 || sort == 0, parts = sort == 0 || (sort == 3 && !is_word(a) && !is_word(b));
  made->comparison = (enum comparison)below(maker, 2);
  if (below(maker, 2) && orders) made->comparison = (enum comparison)(COMPARE_LESS + below(maker, 4));
  if (below(maker, 3) == 0 && parts) made->comparison = (enum comparison)(COMPARE_CONTAINS + below(maker, 3));
  return made;
}

/* What `made` is compared with. */
static void compare_leaf(struct rule_maker *maker, struct condition *made, enum leaf leaf, enum subject subject) {
  const unsigned reference = made->a->reference;
  switch (leaf) {
  case LEAF_BARE:
    made->kind = CONDITION_BARE;
    return;
  case LEAF_EXISTS:
    made->kind = CONDITION_EXISTS;
    made->negative = below(maker, 2);
    return;
  case LEAF_CIDR:
    made->kind = CONDITION_IN_CIDR;
    make_networks(maker, made);
    return;
  case LEAF_IN:
    made->kind = CONDITION_IN;
    make_list(maker, made, reference, subject);
    return;
  case LEAF_MATCH:
    made->kind = CONDITION_MATCH;
    made->pattern = pattern_pick(maker->random);
    made->negative = below(maker, 3) == 0;
    return;
  case LEAF_PART:
    made->comparison = (enum comparison)(COMPARE_CONTAINS + below(maker, 3));
    made->b = term_of_constant(maker, pool_text(maker->random));
    return;
  case LEAF_ORDER:
    made->comparison = (enum comparison)(COMPARE_LESS + below(maker, 4));
    made->b = term_of_constant(maker, reference < REF_INTRINSICS ? make_constant(maker, reference, subject)
                                                                 : pool_number(maker->random));
    return;
  case LEAF_EQUAL:
  case LEAF_NOT_EQUAL:
    break;
  }
  made->comparison = leaf == LEAF_EQUAL ? COMPARE_EQUAL : COMPARE_NOT_EQUAL;
  made->b = term_of_constant(maker, make_constant(maker, reference, subject));
}

static const struct condition *make_leaf(struct rule_maker *maker, enum subject subject) {
  const unsigned pick = below(maker, 60);
  if (pick == 0) {
    struct condition *made = condition_of(maker, CONDITION_LITERAL);
    made->negative = below(maker, 2);
    return made;
  }
  if (pick < 6) return make_computed(maker, subject);
  if (pick < 12) return make_pair(maker, subject);
  const unsigned reference = pick_reference(maker, subject);
  const enum leaf leaf = pick_leaf(maker, reference_facts[reference].sort);
  struct condition *made = condition_of(maker, CONDITION_COMPARE);
  made->a = term_of_reference(maker, reference);
  compare_leaf(maker, made, leaf, subject);
  return made;
}

const struct condition *make_comparison(struct rule_maker *maker, enum subject subject, const struct condition *like) {
  for (;;) {
    const unsigned reference = like ? like->a->reference : pick_reference(maker, subject);
    const enum leaf leaf = pick_leaf(maker, reference_facts[reference].sort);
    if (leaf == LEAF_BARE || leaf == LEAF_EXISTS) continue;
    struct condition *made = condition_of(maker, CONDITION_COMPARE);
    made->a = term_of_reference(maker, reference);
    compare_leaf(maker, made, leaf, subject);
    if (!like || (made->kind == like->kind && made->comparison == like->comparison && made->negative == like->negative))
      return made;
  }
}

const struct condition *make_condition(struct rule_maker *maker, enum subject subject, unsigned depth) {
  const unsigned pick = below(maker, 10);
  if (depth == 0 || pick >= 8) return make_leaf(maker, subject);
  if (pick == 7) {
    struct condition *made = condition_of(maker, CONDITION_NOT);
    made->left = make_condition(maker, subject, depth - 1);
    return made;
  }
  struct condition *made = condition_of(maker, pick < 4 ? CONDITION_AND : CONDITION_OR);
  made->left = make_condition(maker, subject, depth - 1);
  made->right = make_condition(maker, subject, depth - 1);
  return made;
}

void make_message(struct rule_maker *maker, struct shape_rule *rule) {
  static const char *const literals[] = {"took ", "is ", " of ", "100% ", "\xc3\xa9", ": ", "$ ", "{x}"};
  if (below(maker, 2)) return;
  rule->has_message = true;
  rule->message_parts = 1 + below(maker, MESSAGE_PARTS_MAX);
  for (unsigned i = 0; i < rule->message_parts; i++) {
    struct message_part *part = &rule->message[i];
    if (i % 2 == 0) {
      part->literal = literals[below(maker, i ? 8 : 6)];
    } else {
      part->reference = pick_reference(maker, rule_subject_of(rule));
    }
  }
}

const char *make_timezone(struct rule_maker *maker) {
  static const char *const zones[] = {"+02:00",       "-11:30", "Europe/Berlin",      "America/New_York",
                                      "Asia/Kolkata", "+00:00", "Australia/Lord_Howe"};
  return below(maker, 2) ? NULL : zones[below(maker, 7)];
}

struct shape_rule *make_event_rule(struct rule_maker *maker, enum subject subject, unsigned number) {
  static const char *const severities[] = {"critical", "high", "medium", "low", "info", NULL};
  static const enum rule_subject on[] = {ON_SPAN, ON_WEBHOOK, ON_ALERT};
  struct shape_rule *rule = YARD_NEW(maker->yard, struct shape_rule);
  snprintf(rule->name, sizeof rule->name, "r%u", number);
  rule->on = on[subject];
  rule->severity = severities[below(maker, 6)];
  rule->timezone = make_timezone(maker);
  rule->condition = make_condition(maker, subject, below(maker, 5));
  rule->disabled = below(maker, 50) == 0;
  rule->shadow = below(maker, 50) == 0;
  make_message(maker, rule);
  return rule;
}
