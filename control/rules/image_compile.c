#include "always_assert.h"
#include "image_builder_internal.h"
#include "rule_window_internal.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static enum event_kind kind_of(enum rule_on on) {
  return on == RULE_ON_WEBHOOK ? EVENT_WEBHOOK : on == RULE_ON_ALERT ? EVENT_ALERT : EVENT_SPAN;
}

struct attribute_list {
  uint16_t columns[VIOLATION_ATTRIBUTES_MAX];
  uint32_t count;
};

static void add_attribute(struct attribute_list *list, uint16_t column) {
  for (uint32_t i = 0; i < list->count; i++)
    if (list->columns[i] == column) return;
  if (list->count < VIOLATION_ATTRIBUTES_MAX) list->columns[list->count++] = column;
}

/* What arithmetic reads, not what it makes. */
static void add_reference(struct image_builder *builder, enum event_kind kind, const struct reference *reference,
                          struct attribute_list *list) {
  if (!reference) return;
  if (!reference->arithmetic) {
    add_attribute(list, image_column_of(builder, kind, reference));
    return;
  }
  add_reference(builder, kind, reference->arithmetic->left.reference, list);
  add_reference(builder, kind, reference->arithmetic->right.reference, list);
}

static void add_attributes(struct image_builder *builder, enum event_kind kind, const struct expression *expression,
                           struct attribute_list *list) {
  if (!expression) return;
  if (expression->node == NODE_PREDICATE) {
    add_reference(builder, kind, expression->reference, list);
    add_reference(builder, kind, expression->right, list);
  }
  for (const struct expression *operand = expression->first; operand; operand = operand->next)
    add_attributes(builder, kind, operand, list);
}

static void set_message(struct image_builder *builder, enum event_kind kind, struct image_rule *made,
                        struct attribute_list *list) {
  const struct parsed_rule *parsed = builder->rule->parsed;
  struct image_message_part *parts = region_take(builder->region, parsed->message_parts * sizeof *parts);
  for (uint32_t i = 0; i < parsed->message_parts; i++) {
    const struct message_part *part = &parsed->message[i];
    parts[i].slot = part->of_window ? part->of_window : IMAGE_MESSAGE_LITERAL;
    if (part->reference) {
      const uint16_t column = image_column_of(builder, kind, part->reference);
      parts[i].slot = column;
      add_attribute(list, column);
    } else {
      parts[i].literal = region_image_text(builder->region, part->literal.at, part->literal.length);
    }
  }
  made->message = parts;
  made->message_parts = parsed->message_parts;
}

static struct image_rule make_rule(struct image_builder *builder, enum event_kind kind) {
  const struct rule_definition *definition = &builder->rule->definition;
  const struct parsed_rule *parsed = builder->rule->parsed;
  struct image_rule made = {
      .name = region_image_text(builder->region, definition->name, strlen(definition->name)),
      .version = definition->version,
      .severity = definition->severity,
      .on = definition->on,
      .shadow = definition->mode == RULE_SHADOW,
      .match_slot = image_match_slot_of(builder, definition),
      .condition = image_program_of(builder, kind, parsed->condition),
  };
  struct attribute_list list = {.count = 0};
  for (uint32_t i = 0; parsed->window && i < parsed->window->by_count; i++)
    add_attribute(&list, image_column_of(builder, kind, parsed->window->by[i]));
  add_attributes(builder, kind, parsed->condition, &list);
  add_attributes(builder, kind, parsed->when, &list);
  add_attributes(builder, kind, parsed->never, &list);
  set_message(builder, kind, &made, &list);
  uint16_t *attributes = region_take(builder->region, list.count * sizeof *attributes);
  memcpy(attributes, list.columns, list.count * sizeof *attributes);
  made.attributes = attributes;
  made.attribute_count = list.count;
  return made;
}

static void make_trace_rule(struct image_builder *builder) {
  const struct parsed_rule *parsed = builder->rule->parsed;
  if (builder->trace_rule_count == IMAGE_TRACE_RULES_MAX) {
    RULE_COMPLAIN(builder, "rule `%s`: more than %u trace rules", builder->rule->definition.name, IMAGE_TRACE_RULES_MAX);
    return;
  }
  struct image_rule made = make_rule(builder, EVENT_SPAN);
  made.when = image_program_of(builder, EVENT_SPAN, parsed->when);
  made.always = image_program_of(builder, EVENT_SPAN, parsed->always);
  made.never = image_program_of(builder, EVENT_SPAN, parsed->never);
  made.window = window_image_add(builder, EVENT_SPAN, (uint32_t)builder->trace_rule_count);
  image_trace_rule_add(builder, made);
}

static void make_rules(struct image_builder *builder, const struct rule_set *set) {
  for (size_t i = 0; i < set->count; i++) {
    builder->rule = &set->entries[i];
    if (!builder->rule->definition.enabled) continue;
    builder->compiled->image.rule_count++;
    if (builder->rule->definition.on == RULE_ON_TRACE) {
      make_trace_rule(builder);
      continue;
    }
    const enum event_kind kind = kind_of(builder->rule->definition.on);
    struct kind_builder *into = &builder->kinds[kind];
    struct image_rule made = make_rule(builder, kind);
    made.window = window_image_add(builder, kind, (uint32_t)into->rule_count);
    into->rules = growing_list_reserve(into->rules, into->rule_count, &into->rule_capacity, sizeof *into->rules);
    into->rules[into->rule_count++] = made;
  }
}

static void collect_selectors(struct image_builder *builder, const struct rule_set *set) {
  for (size_t i = 0; i < set->count && builder->selector_count <= IMAGE_SELECTORS_MAX; i++) {
    builder->rule = &set->entries[i];
    if (!builder->rule->definition.enabled) continue;
    image_selectors_collect(builder, builder->rule->parsed->when);
    image_selectors_collect(builder, builder->rule->parsed->always);
    image_selectors_collect(builder, builder->rule->parsed->never);
  }
}

static struct image_candidates selector_candidates(struct image_builder *builder) {
  const struct rule_image *image = &builder->compiled->image;
  const struct image_program *programs[IMAGE_SELECTORS_MAX];
  for (uint32_t i = 0; i < image->selector_count; i++) programs[i] = &image->selectors[i].condition;
  return image_candidates_of(builder, &image->kinds[EVENT_SPAN], programs, image->selector_count);
}

static void finish(struct image_builder *builder) {
  struct compiled_image *compiled = builder->compiled;
  window_image_finish(builder);
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) image_kind_finish(builder, (enum event_kind)kind);
  image_zones_finish(builder);
  struct image_selector *selectors = region_take(builder->region, builder->selector_count * sizeof *selectors);
  struct image_text *texts = region_take(builder->region, builder->selector_count * sizeof *texts);
  for (size_t i = 0; i < builder->selector_count; i++) {
    selectors[i] = builder->selectors[i].selector;
    texts[i] = builder->selectors[i].text;
  }
  compiled->selector_texts = texts;
  compiled->image.selectors = selectors;
  compiled->image.selector_count = (uint32_t)builder->selector_count;
  compiled->image.selector_candidates = selector_candidates(builder);
  image_traces_finish(builder);
}

static void builder_free(struct image_builder *builder) {
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    struct kind_builder *of_kind = &builder->kinds[kind];
    for (size_t i = 0; i < of_kind->column_count; i++) {
      text_index_free(&of_kind->columns[i].constant_ids);
      free(of_kind->columns[i].constants);
    }
    free(of_kind->columns);
    free(of_kind->predicates);
    free(of_kind->predicate_rules);
    free(of_kind->rules);
    text_index_free(&of_kind->column_by_spelling);
    text_index_free(&of_kind->predicate_by_key);
  }
  free(builder->selectors);
  free(builder->windows);
  text_index_free(&builder->window_by_text);
  free(builder->trace_rules);
  image_story_free(builder);
  free(builder->trace_parsed);
  free(builder->program);
  free(builder->zones);
  text_index_free(&builder->selector_by_text);
  text_index_free(&builder->previous_trace_rules);
}

static void sign(struct rule_image *image, const struct rule_set *set) {
  size_t length;
  char *text = rule_set_text(set, &length);
  ALWAYS_ASSERT(EVP_Digest(text, length, image->sha256, NULL, EVP_sha256(), NULL) == 1);
  free(text);
}

struct rule_image *rule_image_compile(const struct rule_set *set, uint64_t generation, const struct rule_image *previous,
                                      uint32_t shards, struct rule_errors *errors) {
  ALWAYS_ASSERT(shards <= IMAGE_SHARDS_MAX);
  const size_t before = rule_errors_total(errors);
  if (set->count > RULES_MAX) {
    rule_errors_add_file(errors, "", 0, "more than %u rules", RULES_MAX);
    return NULL;
  }
  struct region region = {0};
  struct compiled_image *compiled = region_take(&region, sizeof *compiled);
  compiled->image.generation = generation;
  compiled->region = region;
  struct image_builder builder = {
      .compiled = compiled, .region = &compiled->region, .previous = (const struct compiled_image *)previous, .errors = errors};
  compiled->next_identity = previous ? builder.previous->next_identity : 1;
  compiled->next_rule_identity = previous ? builder.previous->next_rule_identity : 1;
  compiled->next_window_identity = previous ? builder.previous->next_window_identity : 1;
  window_image_remember(&builder);
  collect_selectors(&builder, set);
  if (rule_errors_total(errors) == before) {
    image_selectors_assign(&builder, builder.previous);
    if (image_match_slots_assign(&builder, set)) {
      make_rules(&builder, set);
      finish(&builder);
    } else {
      rule_errors_add_file(errors, "", 0, "too many rules come and go at once");
    }
  }
  if (rule_errors_total(errors) == before) image_patterns_compile(&builder, shards);
  builder_free(&builder);
  if (rule_errors_total(errors) == before) {
    sign(&compiled->image, set);
    return &compiled->image;
  }
  rule_image_free(&compiled->image);
  return NULL;
}

void rule_image_free(struct rule_image *image) {
  if (!image) return;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
    for (uint32_t c = 0; c < image->kinds[kind].column_count; c++) {
      hs_free_database(image->kinds[kind].columns[c].patterns);
      hs_free_database(image->kinds[kind].columns[c].literals);
    }
  for (unsigned shard = 0; shard < IMAGE_SHARDS_MAX; shard++) hs_free_scratch(image->scratch[shard]);
  struct compiled_image *compiled = (struct compiled_image *)image;
  text_index_free(&compiled->match_slot_by_rule);
  struct region region = compiled->region;
  region_free(&region);
}
