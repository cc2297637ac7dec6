#include "rules_internal.h"

/* Asked again of every fact that a story relies on: an early one is true for good once it is, or its cells would lie. */
static bool measure_is_sound(const struct rule_image *image, const struct image_measure *measure) {
  const struct image_kind *spans = &image->kinds[EVENT_SPAN];
  if (measure->kind > MEASURE_SPAN_COUNT) return false;
  if (measure->kind == MEASURE_CONSTANT) return measure->constant.type == VALUE_INTEGER || measure->constant.type == VALUE_DOUBLE;
  if (measure->kind == MEASURE_DURATION || measure->kind == MEASURE_SPAN_COUNT) return true;
  if (measure->bit >= image->story.bits) return false;
  return measure->kind == MEASURE_COUNT || measure->column < spans->column_count;
}

static bool early_comparison_is_sound(const struct image_fact *fact) {
  const bool above = fact->operation == PREDICATE_GREATER || fact->operation == PREDICATE_GREATER_OR_EQUAL,
             below = fact->operation == PREDICATE_LESS || fact->operation == PREDICATE_LESS_OR_EQUAL;
  const uint8_t kind = fact->left.kind;
  if (fact->right.kind != MEASURE_CONSTANT) return false;
  if (kind == MEASURE_MINIMUM) return below;
  return above && (kind == MEASURE_COUNT || kind == MEASURE_MAXIMUM || kind == MEASURE_DURATION || kind == MEASURE_SPAN_COUNT);
}

static bool fact_is_sound(const struct rule_image *image, const struct image_fact *fact) {
  if (fact->negated > 1 || fact->monotone > 1 || fact->early > 1) return false;
  if (fact->sort > FACT_RELATED || fact->identity == 0 || (fact->early && !fact->monotone)) return false;
  if (fact->sort == FACT_COMPARISON)
    return fact->operation <= PREDICATE_GREATER_OR_EQUAL && measure_is_sound(image, &fact->left) &&
           measure_is_sound(image, &fact->right) && (!fact->early || early_comparison_is_sound(fact));
  if (fact->left_bit >= image->story.bits || fact->right_bit >= image->story.bits || (fact->early && fact->negated)) return false;
  return fact->sort == FACT_ORDERED ? !fact->negated || fact->within_ns > 0 : fact->relation <= RELATION_SIBLING;
}

static bool list_is_sound(const struct image_fact_list *list, uint32_t keys, uint32_t numbers) {
  if (keys == 0) return true;
  if (list->first[0] != 0) return false;
  for (uint32_t key = 0; key < keys; key++)
    if (list->first[key + 1] < list->first[key]) return false;
  if (list->first[keys] > list->count) return false;
  for (uint32_t i = 0; i < list->count; i++)
    if (list->numbers[i] >= numbers) return false;
  return true;
}

static bool anchors_are_sound(const struct rule_image *image) {
  for (uint32_t r = 0; r < image->trace_rule_count; r++)
    for (uint32_t i = 1; i < image->trace_rules[r].anchor_count; i++)
      if (image->trace_rules[r].anchors[i] <= image->trace_rules[r].anchors[i - 1]) return false;
  return true;
}

/* The lists by selector lead to facts and rules of the sort that their reader expects. */
static bool lists_are_of_their_sort(const struct image_story *story, const struct image_rule *rules) {
  const uint32_t early = story->bits ? story->early.first[story->bits] : 0,
                 timed = story->bits ? story->timed.first[story->bits] : 0,
                 within = story->bits ? story->within.first[story->bits] : 0;
  for (uint32_t i = 0; i < early; i++)
    if (!story->facts[story->early.numbers[i]].early) return false;
  for (uint32_t i = 0; i < timed; i++)
    if (story->facts[story->timed.numbers[i]].sort != FACT_ORDERED) return false;
  for (uint32_t i = 0; i < within; i++)
    if (rules[story->within.numbers[i]].within_ns == 0) return false;
  for (uint32_t i = 0; i < story->early_of_all_count; i++)
    if (story->early_of_all[i] >= story->fact_count || !story->facts[story->early_of_all[i]].early) return false;
  return true;
}

bool image_story_is_sound(const struct rule_image *image) {
  const struct image_story *story = &image->story;
  if (story->fact_count > IMAGE_FACTS_MAX || story->bits > IMAGE_SELECTORS_MAX) return false;
  for (uint32_t r = 0; r < image->trace_rule_count; r++)
    if (image->trace_rules[r].needs_story && !story->needed) return false;
  if (!story->needed) return true;
  if (story->bits != image->traces.bits) return false;
  for (uint32_t i = 0; i < story->fact_count; i++)
    if (!fact_is_sound(image, &story->facts[i])) return false;
  return list_is_sound(&story->early, story->bits, story->fact_count) &&
         list_is_sound(&story->timed, story->bits, story->fact_count) &&
         list_is_sound(&story->measured, story->bits, image->kinds[EVENT_SPAN].column_count) &&
         list_is_sound(&story->within, story->bits, image->trace_rule_count) &&
         list_is_sound(&story->rules, story->fact_count, image->trace_rule_count) && anchors_are_sound(image) &&
         lists_are_of_their_sort(story, image->trace_rules);
}
