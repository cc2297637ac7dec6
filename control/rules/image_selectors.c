#include "always_assert.h"
#include "image_builder_internal.h"
#include <string.h>

void image_selectors_collect(struct image_builder *builder, const struct expression *expression) {
  if (!expression) return;
  if (expression->node != NODE_SELECTOR) {
    for (const struct expression *operand = expression->first; operand; operand = operand->next)
      image_selectors_collect(builder, operand);
    return;
  }
  if (text_index_find(&builder->selector_by_text, expression->selector_identity) != TEXT_INDEX_NONE) return;
  if (builder->selector_count == IMAGE_SELECTORS_MAX)
    RULE_COMPLAIN(builder, "rule `%s`: the trace rules have more than %u different selectors", builder->rule->definition.name,
                  IMAGE_SELECTORS_MAX);
  builder->selectors =
      growing_list_reserve(builder->selectors, builder->selector_count, &builder->selector_capacity, sizeof *builder->selectors);
  struct selector_builder *made = &builder->selectors[builder->selector_count];
  *made = (struct selector_builder){.condition = expression->first, .rule = builder->rule};
  made->text = region_image_text(builder->region, expression->selector_identity.at, expression->selector_identity.length);
  text_index_add(&builder->selector_by_text, made->text, (uint32_t)builder->selector_count);
  builder->selector_count++;
}

/* A selector that the previous generation has keeps its bit: traces opened then go on being judged by it. */
void image_selectors_assign(struct image_builder *builder, const struct compiled_image *previous) {
  bool used[IMAGE_SELECTORS_MAX] = {false}, kept[IMAGE_SELECTORS_MAX] = {false};
  for (uint32_t i = 0; previous && i < previous->image.selector_count; i++) {
    const uint32_t at = text_index_find(&builder->selector_by_text, previous->selector_texts[i]);
    if (at == TEXT_INDEX_NONE) continue;
    const struct image_selector *before = &previous->image.selectors[i];
    builder->selectors[at].selector.bit = before->bit;
    builder->selectors[at].selector.since_generation = before->since_generation;
    used[before->bit] = kept[at] = true;
  }
  uint32_t bit = 0;
  for (size_t i = 0; i < builder->selector_count; i++) {
    struct image_selector *selector = &builder->selectors[i].selector;
    if (!kept[i]) {
      while (used[bit]) bit++;
      selector->bit = bit++;
      selector->since_generation = builder->compiled->image.generation;
    }
    builder->rule = builder->selectors[i].rule;
    selector->condition = image_program_of(builder, EVENT_SPAN, builder->selectors[i].condition);
  }
}

const struct image_selector *image_selector_of(const struct image_builder *builder, const struct expression *selector) {
  const uint32_t at = text_index_find(&builder->selector_by_text, selector->selector_identity);
  ALWAYS_ASSERT(at < builder->selector_count);
  return &builder->selectors[at].selector;
}
