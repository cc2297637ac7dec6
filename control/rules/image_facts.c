#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

static uint16_t bit_of(const struct image_builder *builder, const struct expression *selector) {
  return (uint16_t)image_selector_of(builder, selector)->bit;
}

static uint32_t identity_of(const struct image_builder *builder, uint16_t column) {
  const struct kind_builder *spans = &builder->kinds[EVENT_SPAN];
  return column < spans->column_count ? spans->columns[column].column.identity : 0; /* too many columns: an error was added */
}

static struct image_measure measure_of(struct image_builder *builder, const struct trace_measure *measure) {
  struct image_measure made = {.kind = (uint8_t)measure->kind};
  if (measure->kind == MEASURE_CONSTANT) made.constant = measure->constant.value;
  if (measure->selector) made.bit = bit_of(builder, measure->selector);
  if (measure->value) {
    made.column = image_column_of(builder, EVENT_SPAN, measure->value);
    if (builder->kinds[EVENT_SPAN].column_count) made.identity = builder->kinds[EVENT_SPAN].columns[made.column].column.identity;
  }
  return made;
}

/* Further spans only raise a count, a maximum and a duration, and only lower a minimum. */
static bool comparison_is_monotone(const struct image_fact *fact) {
  const bool above = fact->operation == PREDICATE_GREATER || fact->operation == PREDICATE_GREATER_OR_EQUAL,
             below = fact->operation == PREDICATE_LESS || fact->operation == PREDICATE_LESS_OR_EQUAL;
  if (fact->right.kind != MEASURE_CONSTANT) return false;
  switch (fact->left.kind) {
  case MEASURE_COUNT:
  case MEASURE_SPAN_COUNT:
  case MEASURE_DURATION:
  case MEASURE_MAXIMUM:
    return above;
  case MEASURE_MINIMUM:
    return below;
  default:
    return false;
  }
}

static struct image_fact fact_of(struct image_builder *builder, const struct expression *expression) {
  const struct trace_fact *fact = expression->fact;
  struct image_fact made = {.negated = fact->negated};
  if (expression->node == NODE_AGGREGATE) {
    made.sort = FACT_COMPARISON;
    made.operation = (uint8_t)expression->operation;
    made.left = measure_of(builder, &fact->left);
    made.right = measure_of(builder, &fact->right);
    made.monotone = comparison_is_monotone(&made);
    return made;
  }
  made.sort = expression->node == NODE_ORDERED ? FACT_ORDERED : FACT_RELATED;
  made.relation = (uint8_t)fact->relation;
  made.left_bit = bit_of(builder, expression->first);
  made.right_bit = bit_of(builder, expression->first->next);
  made.within_ns = (uint64_t)fact->within_ns;
  made.monotone = !fact->negated;
  return made;
}

static void key_selector(const struct image_builder *builder, const struct expression *selector, struct growing_text *key) {
  const struct image_selector *of = image_selector_of(builder, selector);
  growing_text_format(key, " %u@%llu", of->bit, (unsigned long long)of->since_generation);
}

static void key_measure(struct image_builder *builder, const struct trace_measure *measure, struct growing_text *key) {
  growing_text_format(key, " %d", (int)measure->kind);
  if (measure->kind == MEASURE_CONSTANT) literal_print(&measure->constant, NULL, key);
  if (measure->selector) key_selector(builder, measure->selector, key);
  if (measure->value) growing_text_format(key, " %u", identity_of(builder, image_column_of(builder, EVENT_SPAN, measure->value)));
}

/* Equal for equal facts of one set, and of the sets of two generations. */
static void key_of(struct image_builder *builder, const struct expression *expression, struct growing_text *key) {
  const struct trace_fact *fact = expression->fact;
  growing_text_format(key, "%d %d", (int)expression->node, fact->negated);
  if (expression->node == NODE_AGGREGATE) {
    growing_text_format(key, " %d", (int)expression->operation);
    key_measure(builder, &fact->left, key);
    key_measure(builder, &fact->right, key);
    return;
  }
  growing_text_format(key, " %d %llu", (int)fact->relation, (unsigned long long)fact->within_ns);
  key_selector(builder, expression->first, key);
  key_selector(builder, expression->first->next, key);
}

uint32_t image_fact_of(struct image_builder *builder, const struct expression *fact) {
  struct growing_text key = {0};
  key_of(builder, fact, &key);
  uint32_t index = text_index_find(&builder->fact_by_key, growing_text_view(&key));
  if (index == TEXT_INDEX_NONE && builder->fact_count == IMAGE_FACTS_MAX) {
    if (!builder->too_many_facts)
      RULE_COMPLAIN(builder, "rule `%s`: the trace rules have more than %u different aggregates, orders and relations",
                    builder->rule->definition.name, IMAGE_FACTS_MAX);
    builder->too_many_facts = true;
    index = 0;
  }
  if (index == TEXT_INDEX_NONE) {
    builder->facts = growing_list_reserve(builder->facts, builder->fact_count, &builder->fact_capacity, sizeof *builder->facts);
    index = (uint32_t)builder->fact_count++;
    struct fact_builder *made = &builder->facts[index];
    *made = (struct fact_builder){.key = region_image_text(builder->region, key.at, key.length)};
    made->fact = fact_of(builder, fact);
    text_index_add(&builder->fact_by_key, made->key, index);
  }
  growing_text_free(&key);
  return PROGRAM_FACT | index;
}

static struct image_fact *fact_at(struct image_builder *builder, const struct expression *fact) {
  return &builder->facts[image_fact_of(builder, fact) & ~PROGRAM_FACT].fact;
}

static bool has_facts(const struct expression *expression) {
  if (!expression) return false;
  if (expression_is_fact(expression)) return true;
  bool found = false;
  for (const struct expression *operand = expression->first; operand && !found; operand = operand->next)
    found = has_facts(operand);
  return found;
}

/* What can be said of a condition while spans still come: never again false once it is true; or so once the time has passed in
 * which some span could be followed. */
struct prospect {
  bool monotone, matures;
};

static struct prospect prospect_of(struct image_builder *builder, const struct expression *expression) {
  if (expression->node == NODE_NOT) return (struct prospect){false, false};
  if (expression_is_fact(expression)) {
    const struct image_fact *fact = fact_at(builder, expression);
    return (struct prospect){fact->monotone, fact->monotone || (fact->sort == FACT_ORDERED && fact->negated)};
  }
  struct prospect whole = {true, true};
  if (expression->node == NODE_SELECTOR) return whole;
  for (const struct expression *operand = expression->first; operand; operand = operand->next) {
    const struct prospect of_operand = prospect_of(builder, operand);
    whole.monotone &= of_operand.monotone;
    whole.matures &= of_operand.matures;
  }
  return whole;
}

/* The rule is judged when one of the facts becomes true, `early` or by time. */
static void wait_for_facts(struct image_builder *builder, const struct expression *expression, uint32_t rule, bool early) {
  if (expression->node == NODE_SELECTOR) return;
  if (expression_is_fact(expression)) {
    const uint32_t fact = image_fact_of(builder, expression) & ~PROGRAM_FACT;
    builder->facts[fact].fact.early |= early;
    image_pair_note(&builder->fact_rules, fact, rule);
    return;
  }
  for (const struct expression *operand = expression->first; operand; operand = operand->next)
    wait_for_facts(builder, operand, rule, early);
}

static void keep(struct image_builder *builder, uint32_t bit) { builder->kept[bit / 64] |= 1ull << bit % 64; }

static void keep_selectors(struct image_builder *builder, const struct expression *expression) {
  if (!expression) return;
  if (expression->node == NODE_SELECTOR) {
    keep(builder, bit_of(builder, expression));
    return;
  }
  for (const struct expression *operand = expression->first; operand; operand = operand->next) keep_selectors(builder, operand);
}

/* The selectors whose spans can be the first that met `when`. */
static void mark_anchors(struct image_builder *builder, const struct expression *expression, uint64_t *marks) {
  if (expression->node == NODE_NOT) return;
  if (expression->node == NODE_SELECTOR) {
    const uint32_t bit = bit_of(builder, expression);
    marks[bit / 64] |= 1ull << bit % 64;
    return;
  }
  for (const struct expression *operand = expression->first; operand; operand = operand->next)
    mark_anchors(builder, operand, marks);
}

static void set_anchors(struct image_builder *builder, const struct expression *when, struct image_rule *made) {
  uint64_t marks[IMAGE_SELECTORS_MAX / 64] = {0};
  mark_anchors(builder, when, marks);
  for (uint32_t word = 0; word < IMAGE_SELECTORS_MAX / 64; word++)
    made->anchor_count += (uint32_t)__builtin_popcountll(marks[word]);
  uint16_t *anchors = region_take(builder->region, made->anchor_count * sizeof *anchors);
  made->anchors = anchors;
  for (uint32_t word = 0; word < IMAGE_SELECTORS_MAX / 64; word++)
    for (uint64_t left = marks[word]; left; left &= left - 1) {
      *anchors = (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(left));
      image_pair_note(&builder->within_rules, *anchors++, made->trace_rule);
    }
}

void image_rule_facts(struct image_builder *builder, const struct parsed_rule *parsed, struct image_rule *made) {
  made->within_ns = (uint64_t)parsed->definition.within_ns;
  made->needs_story = made->within_ns > 0 || has_facts(parsed->when) || has_facts(parsed->always) || has_facts(parsed->never);
  if (!made->needs_story || builder->too_many_facts) return;
  const struct prospect when = prospect_of(builder, parsed->when),
                        never = parsed->never ? prospect_of(builder, parsed->never) : (struct prospect){false, false};
  made->monotone_never = made->within_ns == 0 && when.monotone && never.monotone;
  made->matures = made->within_ns == 0 && !made->monotone_never && when.matures && never.matures;
  if (made->monotone_never || made->matures) {
    wait_for_facts(builder, parsed->when, made->trace_rule, made->monotone_never);
    wait_for_facts(builder, parsed->never, made->trace_rule, made->monotone_never);
  }
  if (made->within_ns == 0) return;
  set_anchors(builder, parsed->when, made);
  keep_selectors(builder, parsed->when);
  keep_selectors(builder, parsed->always);
  keep_selectors(builder, parsed->never);
}
