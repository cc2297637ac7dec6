#include "always_assert.h"
#include "rule_set_internal.h"
#include <stdlib.h>
#include <string.h>

struct rule_set *rule_set_create(void) {
  struct rule_set *set = calloc(1, sizeof *set);
  ALWAYS_ASSERT(set != NULL);
  return set;
}

void parsed_rule_release(struct parsed_rule *parsed) {
  if (atomic_fetch_sub_explicit(&parsed->holders, 1, memory_order_acq_rel) != 1) return;
  struct region region = parsed->region;
  region_free(&region);
}

void rule_set_free(struct rule_set *set) {
  if (!set) return;
  for (size_t i = 0; i < set->count; i++) parsed_rule_release(set->entries[i].parsed);
  free(set->entries);
  text_index_free(&set->by_name);
  free(set);
}

static struct image_text name_of(const char *name) { return (struct image_text){.at = name, .length = (uint32_t)strlen(name)}; }

void rule_set_append(struct rule_set *set, struct parsed_rule *parsed, uint32_t version) {
  set->entries = growing_list_reserve(set->entries, set->count, &set->capacity, sizeof *set->entries);
  struct rule_entry *entry = &set->entries[set->count];
  *entry = (struct rule_entry){.definition = parsed->definition, .parsed = parsed};
  entry->definition.version = version;
  text_index_add(&set->by_name, name_of(parsed->definition.name), (uint32_t)set->count);
  set->count++;
}

const struct rule_entry *rule_set_entry(const struct rule_set *set, const char *name) {
  const uint32_t at = text_index_find(&set->by_name, name_of(name));
  return at == TEXT_INDEX_NONE ? NULL : &set->entries[at];
}

size_t rule_set_count(const struct rule_set *set) { return set->count; }

const struct rule_definition *rule_set_at(const struct rule_set *set, size_t index) {
  return index < set->count ? &set->entries[index].definition : NULL;
}

const struct rule_definition *rule_set_find(const struct rule_set *set, const char *name) {
  const struct rule_entry *entry = rule_set_entry(set, name);
  return entry ? &entry->definition : NULL;
}

static void hold(struct rule_set *set, const struct rule_entry *entry) {
  atomic_fetch_add_explicit(&entry->parsed->holders, 1, memory_order_relaxed);
  rule_set_append(set, entry->parsed, entry->definition.version);
}

struct rule_set *rule_set_merge(const struct rule_set *base, const struct rule_set *addition) {
  struct rule_set *merged = rule_set_create();
  for (size_t i = 0; base && i < base->count; i++) {
    const struct rule_entry *replacement = rule_set_entry(addition, base->entries[i].definition.name);
    hold(merged, replacement ? replacement : &base->entries[i]);
  }
  for (size_t i = 0; i < addition->count; i++)
    if (!base || !rule_set_entry(base, addition->entries[i].definition.name)) hold(merged, &addition->entries[i]);
  return merged;
}

struct rule_set *rule_set_select(const struct rule_set *set, const char *name) {
  const struct rule_entry *entry = rule_set_entry(set, name);
  struct rule_set *selected = entry ? rule_set_create() : NULL;
  if (selected) hold(selected, entry);
  return selected;
}

static bool same_content(const struct rule_entry *a, const struct rule_entry *b) {
  const struct image_text left = a->parsed->content, right = b->parsed->content;
  return left.length == right.length && memcmp(left.at, right.at, left.length) == 0;
}

void rule_set_adopt_versions(struct rule_set *set, const struct rule_set *previous) {
  for (size_t i = 0; i < set->count; i++) {
    struct rule_entry *entry = &set->entries[i];
    const struct rule_entry *before = previous ? rule_set_entry(previous, entry->definition.name) : NULL;
    const uint32_t version = before ? before->definition.version : 0;
    if (!before)
      entry->definition.version = 1;
    else if (same_content(entry, before))
      entry->definition.version = version ? version : 1;
    else
      entry->definition.version = version < UINT32_MAX ? version + 1 : version;
  }
}

bool rule_set_same_rule(const struct rule_set *set, const struct rule_set *other, const char *name) {
  const struct rule_entry *a = rule_set_entry(set, name), *b = rule_set_entry(other, name);
  return a && b && same_content(a, b);
}

struct rule_set_difference rule_set_compare(const struct rule_set *set, const struct rule_set *previous) {
  struct rule_set_difference difference = {0};
  for (size_t i = 0; i < set->count; i++) {
    const struct rule_entry *before = previous ? rule_set_entry(previous, set->entries[i].definition.name) : NULL;
    if (!before)
      difference.added++;
    else if (same_content(&set->entries[i], before))
      difference.unchanged++;
    else
      difference.changed++;
  }
  for (size_t i = 0; previous && i < previous->count; i++)
    if (!rule_set_entry(set, previous->entries[i].definition.name)) difference.removed++;
  return difference;
}
