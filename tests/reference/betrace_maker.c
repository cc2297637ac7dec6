#include "betrace_maker.h"
#include "pattern_pool.h"

static uint32_t below(struct rule_maker *maker, uint32_t bound) { return random_below(maker->random, bound); }

static struct condition *make_node(struct rule_maker *maker, enum condition_kind kind) {
  struct condition *made = YARD_NEW(maker->yard, struct condition);
  made->kind = kind;
  made->style = (uint8_t)below(maker, 256);
  return made;
}

static const struct term *make_term_of(struct rule_maker *maker, struct term term) {
  struct term *made = YARD_NEW(maker->yard, struct term);
  *made = term;
  return made;
}

struct plain pool_operation(struct test_random *random) {
  static const char *const operations[] = {"checkout", "payment", "payment.charge", "GET /api/v1/users", "count", "x1-y"};
  return plain_text(operations[random_below(random, 6)]);
}

static bool is_attribute(unsigned reference) {
  return reference == REF_SERVICE || reference_facts[reference].group == GROUP_SPAN;
}

static unsigned pick_attribute(struct rule_maker *maker) {
  unsigned reference = below(maker, element_references_from);
  while (!is_attribute(reference)) reference = below(maker, element_references_from);
  return reference;
}

static unsigned pick_field(struct rule_maker *maker) {
  static const unsigned fields[] = {REF_NAME, REF_STATUS, REF_DURATION, REF_KIND, REF_SPAN_ID};
  return below(maker, 2) ? pick_attribute(maker) : fields[below(maker, 5)];
}

static bool has_order(unsigned reference) {
  return reference_facts[reference].sort == SORT_ANY || reference_facts[reference].sort == SORT_DURATION;
}

static bool has_parts(unsigned reference) {
  return reference_facts[reference].sort == SORT_ANY || reference_facts[reference].sort == SORT_TEXT;
}

static const struct condition *make_order(struct rule_maker *maker, struct condition *made) {
  made->comparison = (enum comparison)(COMPARE_LESS + below(maker, 4));
  unsigned other = pick_attribute(maker);
  while (other == REF_SERVICE) other = pick_attribute(maker);
  const struct term right = below(maker, 3) ? (struct term){.kind = TERM_CONSTANT, .constant = pool_number(maker->random)}
                                            : (struct term){.kind = TERM_REFERENCE, .reference = other};
  made->b = make_term_of(maker, right);
  return made;
}

static const struct condition *make_asked(struct rule_maker *maker, unsigned reference) {
  struct condition *made = make_node(maker, CONDITION_COMPARE);
  made->a = make_term_of(maker, (struct term){.kind = TERM_REFERENCE, .reference = reference});
  const unsigned pick = below(maker, 12);
  if (pick < 2 && has_parts(reference)) {
    made->kind = CONDITION_MATCH;
    made->pattern = pattern_pick(maker->random);
    return made;
  }
  if (pick < 4 && has_parts(reference)) {
    made->comparison = COMPARE_CONTAINS;
    made->b = make_term_of(maker, (struct term){.kind = TERM_CONSTANT, .constant = pool_text(maker->random)});
    return made;
  }
  if (pick < 7 && has_order(reference)) return make_order(maker, made);
  if (pick == 7 && reference_facts[reference].sort == SORT_ANY) {
    made->kind = CONDITION_BARE;
    return made;
  }
  if (pick < 10) {
    made->kind = CONDITION_IN;
    make_list(maker, made, reference, SUBJECT_SPAN);
    return made;
  }
  made->comparison = below(maker, 2) ? COMPARE_EQUAL : COMPARE_NOT_EQUAL;
  const struct plain constant = make_constant(maker, reference, SUBJECT_SPAN);
  made->b = make_term_of(maker, (struct term){.kind = TERM_CONSTANT, .constant = constant});
  return made;
}

static const struct condition *make_tree(struct rule_maker *maker, unsigned depth, unsigned (*pick)(struct rule_maker *maker)) {
  const unsigned what = below(maker, 10);
  if (depth == 0 || what >= 7) return make_asked(maker, pick(maker));
  struct condition *made = make_node(maker, what == 0 ? CONDITION_NOT : what < 4 ? CONDITION_AND : CONDITION_OR);
  made->left = make_tree(maker, depth - 1, pick);
  if (what > 0) made->right = make_tree(maker, depth - 1, pick);
  return made;
}

const struct condition *make_betrace_condition(struct rule_maker *maker, unsigned depth) {
  return make_tree(maker, depth, pick_field);
}

const struct condition *make_betrace_selector(struct rule_maker *maker) {
  struct condition *name = make_node(maker, CONDITION_COMPARE);
  name->a = make_term_of(maker, (struct term){.kind = TERM_REFERENCE, .reference = REF_NAME});
  name->b = make_term_of(maker, (struct term){.kind = TERM_CONSTANT, .constant = pool_operation(maker->random)});
  const struct condition *whole = name;
  for (unsigned more = below(maker, 3); more > 0; more--) {
    struct condition *both = make_node(maker, CONDITION_AND);
    both->left = whole;
    both->right = make_tree(maker, below(maker, 3), pick_attribute);
    whole = both;
  }
  return whole;
}
