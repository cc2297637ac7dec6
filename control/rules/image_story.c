#include "always_assert.h"
#include "image_builder_internal.h"
#include <stdlib.h>
#include <string.h>

static bool bit_of(const uint64_t *bits, uint32_t bit) { return bits[bit / 64] >> bit % 64 & 1; }

void image_pair_note(struct fact_pairs *pairs, uint32_t key, uint32_t number) {
  pairs->items = growing_list_reserve(pairs->items, pairs->count, &pairs->capacity, sizeof *pairs->items);
  pairs->items[pairs->count++] = (struct fact_pair){key, (uint16_t)number};
}

static int by_key(const void *a, const void *b) {
  const struct fact_pair *left = a, *right = b;
  if (left->key != right->key) return left->key < right->key ? -1 : 1;
  return (left->number > right->number) - (left->number < right->number);
}

/* Each pair once. Frees them. */
static struct image_fact_list list_of(struct image_builder *builder, struct fact_pairs *pairs, uint32_t keys) {
  uint32_t *first = region_take(builder->region, (keys + 1) * sizeof *first);
  uint16_t *numbers = region_take(builder->region, pairs->count * sizeof *numbers);
  uint32_t kept = 0;
  if (pairs->count) qsort(pairs->items, pairs->count, sizeof *pairs->items, by_key);
  for (size_t i = 0; i < pairs->count; i++) {
    if (i > 0 && by_key(&pairs->items[i], &pairs->items[i - 1]) == 0) continue;
    ALWAYS_ASSERT(pairs->items[i].key < keys);
    first[pairs->items[i].key + 1]++;
    numbers[kept++] = pairs->items[i].number;
  }
  for (uint32_t key = 0; key < keys; key++) first[key + 1] += first[key];
  free(pairs->items);
  *pairs = (struct fact_pairs){0};
  return (struct image_fact_list){.first = first, .numbers = numbers, .count = kept};
}

static bool is_measured(const struct image_measure *measure) {
  return measure->kind >= MEASURE_SUM && measure->kind <= MEASURE_AVERAGE;
}

static bool has_selector(const struct image_measure *measure) {
  return measure->kind >= MEASURE_COUNT && measure->kind <= MEASURE_AVERAGE;
}

/* Any span may change it, or link two that are far apart. */
static bool is_of_every_span(const struct image_fact *fact) {
  if (fact->sort == FACT_RELATED) return fact->relation == RELATION_DESCENDANT || fact->relation == RELATION_ANCESTOR;
  return fact->sort == FACT_COMPARISON && (fact->left.kind == MEASURE_SPAN_COUNT || fact->right.kind == MEASURE_SPAN_COUNT);
}

static bool is_of_times(const struct image_fact *fact) {
  return fact->sort == FACT_COMPARISON && (fact->left.kind == MEASURE_DURATION || fact->right.kind == MEASURE_DURATION);
}

/* `count({A}) >= 0`: true with the first span of the trace, whatever that meets. */
static bool is_true_of_none(const struct image_fact *fact) {
  const struct value none = {.type = VALUE_INTEGER, .integer = 0}, *constant = &fact->right.constant;
  if (fact->sort != FACT_COMPARISON || fact->left.kind != MEASURE_COUNT || fact->right.kind != MEASURE_CONSTANT) return false;
  const int order = value_compare(&none, constant);
  return order == 1 || (order == 0 && fact->operation == PREDICATE_GREATER_OR_EQUAL);
}

struct story_pairs {
  struct fact_pairs early, timed, measured, of_all;
};

static void note_bit(struct image_builder *builder, const struct image_fact *fact, uint32_t index, uint32_t bit,
                     struct story_pairs *pairs) {
  builder->kept[bit / 64] |= 1ull << bit % 64;
  if (fact->early) image_pair_note(&pairs->early, bit, index);
}

static void note_measure(struct image_builder *builder, const struct image_fact *fact, uint32_t index,
                         const struct image_measure *measure, struct story_pairs *pairs) {
  if (has_selector(measure)) note_bit(builder, fact, index, measure->bit, pairs);
  if (is_measured(measure)) image_pair_note(&pairs->measured, measure->bit, measure->column);
}

static void note_fact(struct image_builder *builder, uint32_t index, struct story_pairs *pairs) {
  const struct image_fact *fact = &builder->facts[index].fact;
  if (fact->sort == FACT_COMPARISON) {
    note_measure(builder, fact, index, &fact->left, pairs);
    note_measure(builder, fact, index, &fact->right, pairs);
  } else {
    note_bit(builder, fact, index, fact->left_bit, pairs);
    note_bit(builder, fact, index, fact->right_bit, pairs);
    if (fact->within_ns) image_pair_note(&pairs->timed, fact->left_bit, index);
  }
  if (fact->early && (is_of_every_span(fact) || is_of_times(fact) || is_true_of_none(fact)))
    image_pair_note(&pairs->of_all, 0, index);
}

/* A fact that the previous generation has, and asked as often, goes on: its spans were kept. */
static void identify(struct image_builder *builder, uint32_t index) {
  struct compiled_image *compiled = builder->compiled;
  struct fact_builder *made = &builder->facts[index];
  made->fact.identity = compiled->next_fact_identity;
  made->fact.since_generation = compiled->image.generation;
  const uint32_t at = text_index_find(&builder->previous_facts, made->key);
  if (at != TEXT_INDEX_NONE) {
    const struct image_fact *before = &builder->previous->image.story.facts[at];
    if (before->early || !made->fact.early) {
      made->fact.identity = before->identity;
      made->fact.since_generation = before->since_generation;
      return;
    }
  }
  compiled->next_fact_identity++;
}

static void take_facts(struct image_builder *builder) {
  struct compiled_image *compiled = builder->compiled;
  struct image_story *story = &compiled->image.story;
  const struct compiled_image *previous = builder->previous;
  compiled->next_fact_identity = previous ? previous->next_fact_identity : 1;
  for (uint32_t i = 0; previous && i < previous->image.story.fact_count; i++)
    text_index_add(&builder->previous_facts, previous->fact_keys[i], i);
  struct image_fact *facts = region_take(builder->region, builder->fact_count * sizeof *facts);
  struct image_text *keys = region_take(builder->region, builder->fact_count * sizeof *keys);
  for (uint32_t i = 0; i < builder->fact_count; i++) {
    identify(builder, i);
    facts[i] = builder->facts[i].fact;
    keys[i] = builder->facts[i].key;
    story->every_span |= is_of_every_span(&facts[i]);
  }
  compiled->fact_keys = keys;
  story->facts = facts;
  story->fact_count = (uint32_t)builder->fact_count;
}

/* The newest of what the spans are asked for: traces that were opened earlier are not judged. */
static void date_rule(const struct image_builder *builder, struct image_rule *rule) {
  const struct image_program *programs[] = {&rule->when, &rule->always, &rule->never};
  if (!rule->needs_story) return;
  for (unsigned p = 0; p < 3; p++)
    for (uint32_t i = 0; i < programs[p]->count; i++) {
      const uint32_t operand = programs[p]->operations[i];
      uint64_t since = 0;
      if (operand >= PROGRAM_AND) continue;
      if (operand & PROGRAM_FACT)
        since = builder->facts[operand & ~PROGRAM_FACT].fact.since_generation;
      else if (rule->within_ns)
        since = builder->kept_since[operand];
      if (since > rule->since_generation) rule->since_generation = since;
    }
}

/* A selector that is kept now and was in the previous generation: since then. */
static void date_kept(struct image_builder *builder) {
  const struct rule_image *image = &builder->compiled->image;
  const struct compiled_image *previous = builder->previous;
  for (uint32_t bit = 0; bit < IMAGE_SELECTORS_MAX; bit++) builder->kept_since[bit] = image->generation;
  for (uint32_t i = 0; previous && i < previous->image.selector_count; i++) {
    const struct image_selector *before = &previous->image.selectors[i];
    if (before->bit < previous->image.story.bits && bit_of(previous->image.story.kept, before->bit))
      builder->kept_since[before->bit] = previous->kept_since[before->bit];
  }
}

void image_story_finish(struct image_builder *builder) {
  struct image_story *story = &builder->compiled->image.story;
  struct story_pairs pairs = {0};
  for (size_t i = 0; i < builder->selector_count; i++)
    if (builder->selectors[i].selector.bit >= story->bits) story->bits = builder->selectors[i].selector.bit + 1;
  take_facts(builder);
  date_kept(builder);
  for (uint32_t i = 0; i < builder->fact_count; i++) note_fact(builder, i, &pairs);
  for (size_t i = 0; i < builder->trace_rule_count; i++) {
    story->needed |= builder->trace_rules[i].needs_story;
    date_rule(builder, &builder->trace_rules[i]);
  }
  const uint32_t words = (story->bits + 63) / 64;
  uint64_t *kept = region_take(builder->region, words * sizeof *kept);
  uint64_t *kept_since = region_take(builder->region, story->bits * sizeof *kept_since);
  if (words) memcpy(kept, builder->kept, words * sizeof *kept);
  if (story->bits) memcpy(kept_since, builder->kept_since, story->bits * sizeof *kept_since);
  builder->compiled->kept_since = kept_since;
  story->kept = kept;
  story->early = list_of(builder, &pairs.early, story->bits);
  story->timed = list_of(builder, &pairs.timed, story->bits);
  story->measured = list_of(builder, &pairs.measured, story->bits);
  story->within = list_of(builder, &builder->within_rules, story->bits);
  const struct image_fact_list of_all = list_of(builder, &pairs.of_all, 1);
  story->early_of_all = of_all.numbers;
  story->early_of_all_count = of_all.first[1];
  story->rules = list_of(builder, &builder->fact_rules, story->fact_count);
}

void image_story_free(struct image_builder *builder) {
  text_index_free(&builder->fact_by_key);
  text_index_free(&builder->previous_facts);
  free(builder->facts);
  free(builder->fact_rules.items);
  free(builder->within_rules.items);
}
