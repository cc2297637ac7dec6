#include "image_builder_internal.h"
#include <stdio.h>
#include <string.h>

/* A rule that goes from shadow to enforce begins anew: its key is its mode and its name. */
struct slot_key {
  char text[160];
};

static struct image_text key_of(struct slot_key *key, const char *rule, enum rule_mode mode) {
  const int length = snprintf(key->text, sizeof key->text, "%c%s", mode == RULE_SHADOW ? 's' : 'e', rule);
  return (struct image_text){.at = key->text, .length = (uint32_t)length};
}

static uint32_t find(const struct compiled_image *compiled, const struct rule_definition *rule) {
  struct slot_key key;
  return compiled ? text_index_find(&compiled->match_slot_by_rule, key_of(&key, rule->name, rule->mode)) : TEXT_INDEX_NONE;
}

static void give(struct compiled_image *compiled, uint32_t slot, const struct rule_definition *rule, bool fresh) {
  struct slot_key key;
  const struct image_text text = key_of(&key, rule->name, rule->mode);
  struct match_slot *given = &compiled->match_slots[slot];
  *given = (struct match_slot){.key = region_image_text(&compiled->region, text.at, text.length), .fresh = fresh};
  text_index_add(&compiled->match_slot_by_rule, given->key, slot);
}

bool image_match_slots_assign(struct image_builder *builder, const struct rule_set *set) {
  struct compiled_image *compiled = builder->compiled;
  const struct compiled_image *previous = builder->previous;
  const uint32_t before = previous ? previous->match_slot_count : 0;
  compiled->match_slots = region_take(&compiled->region, (before + set->count) * sizeof *compiled->match_slots);
  compiled->match_slot_count = before;
  for (size_t i = 0; i < set->count; i++) {
    const struct rule_definition *rule = &set->entries[i].definition;
    const uint32_t slot = rule->enabled ? find(previous, rule) : TEXT_INDEX_NONE;
    if (slot != TEXT_INDEX_NONE) give(compiled, slot, rule, false);
  }
  uint32_t next = 0;
  for (size_t i = 0; i < set->count; i++) {
    const struct rule_definition *rule = &set->entries[i].definition;
    if (!rule->enabled || find(previous, rule) != TEXT_INDEX_NONE) continue;
    while (next < before && (compiled->match_slots[next].key.length || previous->match_slots[next].key.length)) next++;
    if (next == IMAGE_MATCH_SLOTS) return false;
    if (next == compiled->match_slot_count) compiled->match_slot_count++;
    give(compiled, next++, rule, true);
  }
  return true;
}

uint32_t image_match_slot_of(const struct image_builder *builder, const struct rule_definition *rule) {
  return find(builder->compiled, rule);
}

uint32_t rule_image_match_slots(const struct rule_image *image) {
  return ((const struct compiled_image *)image)->match_slot_count;
}

uint32_t rule_image_match_slot(const struct rule_image *image, const struct rule_definition *rule) {
  const uint32_t slot = rule->enabled ? find((const struct compiled_image *)image, rule) : TEXT_INDEX_NONE;
  return slot == TEXT_INDEX_NONE ? RULE_MATCH_SLOT_NONE : slot;
}

bool rule_image_match_slot_used(const struct rule_image *image, uint32_t slot, enum rule_mode *mode, bool *fresh) {
  const struct compiled_image *compiled = (const struct compiled_image *)image;
  if (slot >= compiled->match_slot_count || compiled->match_slots[slot].key.length == 0) return false;
  *mode = compiled->match_slots[slot].key.at[0] == 's' ? RULE_SHADOW : RULE_ENFORCE;
  *fresh = compiled->match_slots[slot].fresh;
  return true;
}
