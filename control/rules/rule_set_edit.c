#include "rule_set_internal.h"
#include <stdlib.h>
#include <string.h>

static int by_name(const void *left, const void *right) {
  const struct rule_entry *a = left, *b = right;
  return strcmp(a->definition.name, b->definition.name);
}

void rule_set_sort(struct rule_set *set) {
  bool sorted = true;
  for (size_t i = 1; i < set->count && sorted; i++) sorted = by_name(&set->entries[i - 1], &set->entries[i]) < 0;
  if (sorted) return;
  qsort(set->entries, set->count, sizeof *set->entries, by_name);
  text_index_free(&set->by_name);
  for (size_t i = 0; i < set->count; i++) {
    const char *name = set->entries[i].definition.name;
    text_index_add(&set->by_name, (struct image_text){.at = name, .length = (uint32_t)strlen(name)}, (uint32_t)i);
  }
}

static void hold(struct rule_set *set, const struct rule_entry *entry) {
  atomic_fetch_add_explicit(&entry->parsed->holders, 1, memory_order_relaxed);
  rule_set_append(set, entry->parsed, entry->definition.version);
}

struct rule_set *rule_set_edit(const struct rule_set *base, const struct rule_set *addition, const char *const *removed,
                               size_t removed_count) {
  struct rule_set *edited = rule_set_create();
  size_t from_base = 0, from_addition = 0, gone = 0;
  const size_t base_count = base ? base->count : 0, addition_count = addition ? addition->count : 0;
  while (from_base < base_count || from_addition < addition_count) {
    const struct rule_entry *old = from_base < base_count ? &base->entries[from_base] : NULL;
    const struct rule_entry *new = from_addition < addition_count ? &addition->entries[from_addition] : NULL;
    const int order = !old ? 1 : !new ? -1 : by_name(old, new);
    if (order >= 0) {
      hold(edited, new);
      from_addition++;
      from_base += order == 0;
      continue;
    }
    while (gone < removed_count && strcmp(removed[gone], old->definition.name) < 0) gone++;
    if (gone == removed_count || strcmp(removed[gone], old->definition.name) != 0) hold(edited, old);
    from_base++;
  }
  return edited;
}

const char *rule_set_rule_text(const struct rule_set *set, size_t index, size_t *length) {
  const struct image_text content = set->entries[index].parsed->content;
  *length = content.length;
  return content.at;
}

char *rule_set_rule_text_enabled(const struct rule_set *set, size_t index, bool enabled, size_t *length) {
  const struct parsed_rule *rule = set->entries[index].parsed;
  struct parsed_rule other;
  struct growing_text text = {0};
  memcpy(&other, rule, sizeof other);
  other.definition.enabled = enabled;
  growing_text_append_string(&text, "rules:\n");
  rule_text_print(&other, &text);
  *length = text.length;
  return text.at;
}

void rule_set_set_version(struct rule_set *set, size_t index, uint32_t version) {
  set->entries[index].definition.version = version;
}

size_t rule_set_index(const struct rule_set *set, const char *name) {
  const struct rule_entry *entry = rule_set_entry(set, name);
  return entry ? (size_t)(entry - set->entries) : RULE_SET_NONE;
}
