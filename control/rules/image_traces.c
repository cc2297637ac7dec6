#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

#define KEY_NONE UINT64_MAX

struct growing_mentions {
  struct image_mention *items;
  size_t count, capacity;
};

/* Notes the selectors of a condition; true when there is a negation in it. */
static bool note_selectors(const struct image_builder *builder, const struct expression *expression, uint8_t in,
                           struct growing_mentions *mentions, uint64_t *since) {
  if (!expression) return false;
  if (expression->node == NODE_SELECTOR) {
    const struct image_selector *selector = image_selector_of(builder, expression);
    mentions->items = growing_list_reserve(mentions->items, mentions->count, &mentions->capacity, sizeof *mentions->items);
    mentions->items[mentions->count++] = (struct image_mention){.bit = (uint16_t)selector->bit, .in = in};
    if (selector->since_generation > *since) *since = selector->since_generation;
    return false;
  }
  bool negated = expression->node != NODE_AND && expression->node != NODE_OR;
  for (const struct expression *operand = expression->first; operand; operand = operand->next)
    negated |= note_selectors(builder, operand, in, mentions, since);
  return negated;
}

static int by_bit(const void *a, const void *b) {
  const struct image_mention *left = a, *right = b;
  return (left->bit > right->bit) - (left->bit < right->bit);
}

static void set_selectors(struct image_builder *builder, struct image_rule *rule, struct growing_mentions *mentions) {
  size_t kept = 0;
  if (mentions->count) qsort(mentions->items, mentions->count, sizeof *mentions->items, by_bit);
  for (size_t i = 0; i < mentions->count; i++) {
    if (kept && mentions->items[kept - 1].bit == mentions->items[i].bit) {
      mentions->items[kept - 1].in |= mentions->items[i].in;
    } else {
      mentions->items[kept++] = mentions->items[i];
    }
  }
  struct image_mention *selectors = region_take(builder->region, kept * sizeof *selectors);
  if (kept) memcpy(selectors, mentions->items, kept * sizeof *selectors);
  rule->selectors = selectors;
  rule->selector_count = (uint32_t)kept;
}

/* What a trace remembers of a rule holds as long as the rule is the same. */
static uint32_t identity_of(struct image_builder *builder, const struct image_rule *rule) {
  const uint32_t at = text_index_find(&builder->previous_trace_rules, rule->name);
  if (at != TEXT_INDEX_NONE && builder->previous->image.trace_rules[at].version == rule->version)
    return builder->previous->image.trace_rules[at].identity;
  return builder->compiled->next_rule_identity++;
}

void image_trace_rule_add(struct image_builder *builder, struct image_rule made) {
  const struct parsed_rule *parsed = builder->rule->parsed;
  struct growing_mentions mentions = {0};
  if (builder->previous && builder->trace_rule_count == 0)
    for (uint32_t i = 0; i < builder->previous->image.trace_rule_count; i++)
      text_index_add(&builder->previous_trace_rules, builder->previous->image.trace_rules[i].name, i);
  const bool when_negated = note_selectors(builder, parsed->when, MENTION_WHEN, &mentions, &made.since_generation);
  const bool never_negated = note_selectors(builder, parsed->never, MENTION_NEVER, &mentions, &made.since_generation);
  note_selectors(builder, parsed->always, MENTION_ALWAYS, &mentions, &made.since_generation);
  set_selectors(builder, &made, &mentions);
  free(mentions.items);
  made.monotone_never = parsed->never && !when_negated && !never_negated;
  made.trace_rule = (uint32_t)builder->trace_rule_count;
  image_rule_facts(builder, parsed, &made);
  made.identity = identity_of(builder, &made);
  builder->trace_rules = growing_list_reserve(builder->trace_rules, builder->trace_rule_count, &builder->trace_rule_capacity,
                                              sizeof *builder->trace_rules);
  builder->trace_parsed = growing_list_reserve(builder->trace_parsed, builder->trace_rule_count, &builder->trace_parsed_capacity,
                                               sizeof *builder->trace_parsed);
  builder->trace_parsed[builder->trace_rule_count] = parsed;
  builder->trace_rules[builder->trace_rule_count++] = made;
}

/* While the index is made. */
struct bit_pair {
  uint16_t bit, number;
};

struct bit_pairs {
  struct bit_pair *items;
  size_t count, capacity;
};

struct index_builder {
  struct image_builder *builder;
  uint32_t bits;
  uint32_t *popularity; /* by bit: rules that mention it */
};

static void pair(struct bit_pairs *pairs, uint32_t bit, uint32_t number) {
  pairs->items = growing_list_reserve(pairs->items, pairs->count, &pairs->capacity, sizeof *pairs->items);
  pairs->items[pairs->count++] = (struct bit_pair){.bit = (uint16_t)bit, .number = (uint16_t)number};
}

/* Sorted by bit, otherwise as they came; a pair that follows its like is left out. */
static struct image_bit_list list_of(const struct index_builder *index, struct bit_pairs *pairs) {
  uint32_t *first = region_take(index->builder->region, (index->bits + 1) * sizeof *first);
  uint16_t *numbers = region_take(index->builder->region, pairs->count * sizeof *numbers);
  uint32_t *last = calloc(index->bits + 1u, sizeof *last), *next = calloc(index->bits + 1u, sizeof *next);
  ALWAYS_ASSERT(last && next && pairs->count < UINT32_MAX);
  size_t kept = 0;
  for (size_t i = 0; i < pairs->count; i++) {
    const struct bit_pair item = pairs->items[i];
    if (last[item.bit] == item.number + 1u) continue;
    last[item.bit] = item.number + 1u;
    first[item.bit + 1]++;
    pairs->items[kept++] = item;
  }
  for (uint32_t bit = 0; bit < index->bits; bit++) {
    first[bit + 1] += first[bit];
    next[bit] = first[bit];
  }
  for (size_t i = 0; i < kept; i++) numbers[next[pairs->items[i].bit]++] = pairs->items[i].number;
  free(last);
  free(next);
  free(pairs->items);
  return (struct image_bit_list){.first = first, .numbers = numbers, .count = (uint32_t)kept};
}

/* How many rules the cheapest key of a condition would share it with. */
static uint64_t key_cost(const struct index_builder *index, const struct expression *expression) {
  uint64_t cost = expression->node == NODE_AND ? KEY_NONE : 0;
  if (expression_is_fact(expression)) {
    const struct expression *selector = trace_fact_key(expression);
    return selector ? key_cost(index, selector) : KEY_NONE;
  }
  if (expression->node == NODE_SELECTOR) return index->popularity[image_selector_of(index->builder, expression)->bit];
  if (expression->node != NODE_AND && expression->node != NODE_OR) return KEY_NONE;
  for (const struct expression *operand = expression->first; operand; operand = operand->next) {
    const uint64_t of_operand = key_cost(index, operand);
    if (expression->node == NODE_AND) {
      if (of_operand < cost) cost = of_operand;
    } else {
      if (of_operand == KEY_NONE) return KEY_NONE;
      cost += of_operand;
    }
  }
  return cost;
}

static void add_key(const struct index_builder *index, const struct expression *expression, uint32_t rule,
                    struct bit_pairs *pairs) {
  if (expression->node == NODE_SELECTOR) {
    pair(pairs, image_selector_of(index->builder, expression)->bit, rule);
    return;
  }
  if (expression_is_fact(expression)) {
    add_key(index, trace_fact_key(expression), rule, pairs);
    return;
  }
  const struct expression *chosen = expression->first;
  for (const struct expression *operand = expression->first; operand; operand = operand->next) {
    if (expression->node == NODE_OR) add_key(index, operand, rule, pairs);
    if (key_cost(index, operand) < key_cost(index, chosen)) chosen = operand;
  }
  if (expression->node == NODE_AND) add_key(index, chosen, rule, pairs);
}

struct rule_keys {
  struct bit_pairs keyed;
  uint16_t *rules; /* without a key */
  uint32_t count;
};

/* Both conditions hold of what is looked for; `second` may be absent. */
static void key_rule(const struct index_builder *index, const struct expression *first, const struct expression *second,
                     uint32_t rule, struct rule_keys *keys) {
  const uint64_t one = key_cost(index, first), two = second ? key_cost(index, second) : KEY_NONE;
  if (one == KEY_NONE && two == KEY_NONE) {
    keys->rules[keys->count++] = (uint16_t)rule;
  } else {
    add_key(index, two < one ? second : first, rule, &keys->keyed);
  }
}

static void index_keys(const struct index_builder *index, struct image_trace_index *made) {
  const struct image_builder *builder = index->builder;
  struct rule_keys complete = {.rules = region_take(builder->region, builder->trace_rule_count * sizeof(uint16_t))};
  struct rule_keys never = {.rules = region_take(builder->region, builder->trace_rule_count * sizeof(uint16_t))};
  for (uint32_t r = 0; r < builder->trace_rule_count; r++) {
    const struct parsed_rule *parsed = builder->trace_parsed[r];
    key_rule(index, parsed->when, parsed->always ? NULL : parsed->never, r, &complete);
    if (parsed->never) key_rule(index, parsed->when, parsed->never, r, &never);
  }
  made->complete = list_of(index, &complete.keyed);
  made->complete_always = (struct image_rule_list){complete.rules, complete.count};
  made->never = list_of(index, &never.keyed);
  made->never_always = (struct image_rule_list){never.rules, never.count};
}

static void index_mentions(const struct index_builder *index, struct image_trace_index *made) {
  const struct image_builder *builder = index->builder;
  uint8_t *in = region_take(builder->region, index->bits);
  uint64_t(*seen)[RULE_COLUMNS_MAX / 64] = calloc(index->bits + 1u, sizeof *seen);
  struct bit_pairs mentions = {0}, columns = {0};
  ALWAYS_ASSERT(seen);
  for (uint32_t r = 0; r < builder->trace_rule_count; r++) {
    const struct image_rule *rule = &builder->trace_rules[r];
    for (uint32_t i = 0; i < rule->selector_count; i++) {
      const uint32_t bit = rule->selectors[i].bit;
      in[bit] |= rule->selectors[i].in;
      if (rule->selectors[i].in & (MENTION_WHEN | MENTION_NEVER)) pair(&mentions, bit, r);
      for (uint32_t a = 0; rule->selectors[i].in & MENTION_WHEN && a < rule->attribute_count; a++) {
        const uint16_t column = rule->attributes[a];
        if (seen[bit][column / 64] >> column % 64 & 1) continue;
        seen[bit][column / 64] |= 1ull << column % 64;
        pair(&columns, bit, column);
      }
    }
  }
  free(seen);
  made->in = in;
  made->mentions = list_of(index, &mentions);
  made->columns = list_of(index, &columns);
}

struct identified {
  uint32_t identity;
  uint16_t rule;
};

static int by_identity(const void *a, const void *b) {
  const struct identified *left = a, *right = b;
  return (left->identity > right->identity) - (left->identity < right->identity);
}

static const uint16_t *sort_identities(struct image_builder *builder) {
  const size_t count = builder->trace_rule_count;
  uint16_t *sorted = region_take(builder->region, count * sizeof *sorted);
  struct identified *identified = calloc(count + 1, sizeof *identified);
  ALWAYS_ASSERT(identified);
  for (size_t r = 0; r < count; r++)
    identified[r] = (struct identified){.identity = builder->trace_rules[r].identity, .rule = (uint16_t)r};
  qsort(identified, count, sizeof *identified, by_identity);
  for (size_t r = 0; r < count; r++) sorted[r] = identified[r].rule;
  free(identified);
  return sorted;
}

static const uint64_t *since_by_bit(struct image_builder *builder, uint32_t bits) {
  uint64_t *since = region_take(builder->region, bits * sizeof *since);
  for (uint32_t bit = 0; bit < bits; bit++) since[bit] = UINT64_MAX;
  for (size_t i = 0; i < builder->selector_count; i++)
    since[builder->selectors[i].selector.bit] = builder->selectors[i].selector.since_generation;
  return since;
}

void image_traces_finish(struct image_builder *builder) {
  struct rule_image *image = &builder->compiled->image;
  struct index_builder index = {.builder = builder};
  image_story_finish(builder);
  for (size_t i = 0; i < builder->selector_count; i++)
    if (builder->selectors[i].selector.bit >= index.bits) index.bits = builder->selectors[i].selector.bit + 1;
  index.popularity = calloc(index.bits + 1u, sizeof *index.popularity);
  ALWAYS_ASSERT(index.popularity);
  for (uint32_t r = 0; r < builder->trace_rule_count; r++)
    for (uint32_t i = 0; i < builder->trace_rules[r].selector_count; i++)
      index.popularity[builder->trace_rules[r].selectors[i].bit]++;
  struct image_trace_index *made = &image->traces;
  made->bits = index.bits;
  made->since = since_by_bit(builder, index.bits);
  made->by_identity = sort_identities(builder);
  index_mentions(&index, made);
  index_keys(&index, made);
  free(index.popularity);
  struct image_rule *rules = region_take(builder->region, builder->trace_rule_count * sizeof *rules);
  if (builder->trace_rule_count) memcpy(rules, builder->trace_rules, builder->trace_rule_count * sizeof *rules);
  image->trace_rules = rules;
  image->trace_rule_count = (uint32_t)builder->trace_rule_count;
}
