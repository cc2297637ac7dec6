#include "always_assert.h"
#include "image_keys_internal.h"
#include <stdlib.h>

static int order_of(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int order_of_constants(const struct key_entry *a, const struct key_entry *b) {
  switch ((enum key_sort)a->sort) {
  case KEY_STRING:
    return order_of(a->interned, b->interned);
  case KEY_NUMBER:
    if (a->constant.type != b->constant.type) return order_of(a->constant.type, b->constant.type);
    return order_of((uint64_t)a->constant.integer, (uint64_t)b->constant.integer);
  case KEY_ABOVE:
    return value_compare(&a->constant, &b->constant);
  case KEY_PATTERN:
  case KEY_LITERAL:
    return order_of(a->predicate, b->predicate);
  case KEY_PRESENT:
    return 0;
  case KEY_BELOW:
  case KEY_SORTS:
    break;
  }
  return value_compare(&b->constant, &a->constant);
}

static int compare_entries(const void *left, const void *right) {
  const struct key_entry *a = left, *b = right;
  if (a->column != b->column) return order_of(a->column, b->column);
  if (a->sort != b->sort) return order_of(a->sort, b->sort);
  const int order = order_of_constants(a, b);
  return order ? order : order_of(a->program, b->program);
}

/* The entries of one column, in order, by sort. */
struct column_entries {
  const struct key_entry *of[KEY_SORTS];
  uint32_t count[KEY_SORTS];
};

static const uint32_t *equalities_of(struct image_builder *builder, const struct image_kind *kind, uint16_t column) {
  const uint32_t constants = kind->columns[column].constants;
  uint32_t *equals = region_take(builder->region, constants * sizeof *equals);
  for (uint32_t i = 0; i < constants; i++) equals[i] = PREDICATE_NONE;
  for (uint32_t i = 0; i < kind->predicate_count; i++) {
    const struct image_predicate *predicate = &kind->predicates[i];
    if (predicate->operation == PREDICATE_EQUAL && predicate->column == column && predicate->interned)
      equals[predicate->interned - 1] = i;
  }
  return equals;
}

static void index_strings(struct image_builder *builder, const struct image_kind *kind, const struct column_entries *entries,
                          struct image_key *key) {
  const uint32_t constants = kind->columns[key->column].constants;
  if (entries->count[KEY_STRING] == 0) return;
  uint32_t *first = region_take(builder->region, ((size_t)constants + 1) * sizeof *first);
  uint32_t at = 0;
  for (uint32_t id = 1; id <= constants; id++) {
    while (at < entries->count[KEY_STRING] && entries->of[KEY_STRING][at].interned == id) at++;
    first[id] = at;
  }
  ALWAYS_ASSERT(at == entries->count[KEY_STRING]);
  key->constants = constants;
  key->first = first;
  key->equals = equalities_of(builder, kind, key->column);
}

static void index_numbers(struct image_builder *builder, const struct column_entries *entries, struct image_key *key) {
  const struct key_entry *of = entries->of[KEY_NUMBER];
  const uint32_t count = entries->count[KEY_NUMBER], before = entries->count[KEY_STRING];
  if (count == 0) return;
  const uint32_t slots = image_slots_for(count);
  struct image_number *numbers = region_take(builder->region, slots * sizeof *numbers);
  for (uint32_t start = 0, end; start < count; start = end) {
    for (end = start + 1; end < count && order_of_constants(&of[start], &of[end]) == 0;) end++;
    uint32_t at = image_number_hash(of[start].constant.integer) & (slots - 1);
    while (numbers[at].constant.type != VALUE_NULL) at = (at + 1) & (slots - 1);
    numbers[at] = (struct image_number){.constant = of[start].constant, .first = before + start, .end = before + end};
  }
  key->numbers = numbers;
  key->number_slots = slots;
}

static const struct image_limit *index_limits(struct image_builder *builder, const struct key_entry *of, uint32_t count) {
  struct image_limit *limits = region_take(builder->region, count * sizeof *limits);
  for (uint32_t i = 0; i < count; i++) limits[i] = (struct image_limit){.constant = of[i].constant, .program = of[i].program};
  return limits;
}

static const uint32_t *programs_of(struct image_builder *builder, const struct key_entry *entries, uint32_t count) {
  uint32_t *programs = region_take(builder->region, count * sizeof *programs);
  for (uint32_t i = 0; i < count; i++) programs[i] = entries[i].program;
  return programs;
}

static struct image_key index_column(struct image_builder *builder, const struct image_kind *kind,
                                     const struct column_entries *entries, uint16_t column) {
  const uint32_t programs_count = entries->count[KEY_STRING] + entries->count[KEY_NUMBER];
  struct image_key key = {.column = column, .program_count = programs_count};
  /* Strings come before numbers, in the entries too. */
  const struct key_entry *equalities = entries->count[KEY_STRING] ? entries->of[KEY_STRING] : entries->of[KEY_NUMBER];
  key.programs = programs_of(builder, equalities, programs_count);
  index_strings(builder, kind, entries, &key);
  index_numbers(builder, entries, &key);
  key.above = index_limits(builder, entries->of[KEY_ABOVE], entries->count[KEY_ABOVE]);
  key.above_count = entries->count[KEY_ABOVE];
  key.below = index_limits(builder, entries->of[KEY_BELOW], entries->count[KEY_BELOW]);
  key.below_count = entries->count[KEY_BELOW];
  key.present = programs_of(builder, entries->of[KEY_PRESENT], entries->count[KEY_PRESENT]);
  key.present_count = entries->count[KEY_PRESENT];
  key.patterns = entries->count[KEY_PATTERN] > 0;
  key.literals = entries->count[KEY_LITERAL] > 0;
  return key;
}

static bool is_match(const struct key_entry *entry) { return entry->sort == KEY_PATTERN || entry->sort == KEY_LITERAL; }

/* By predicate, over all columns. */
static void index_matches(struct image_builder *builder, const struct image_kind *kind, const struct key_entry *entries,
                          size_t entry_count, struct image_candidates *candidates) {
  uint32_t count = 0;
  for (size_t i = 0; i < entry_count; i++) count += is_match(&entries[i]);
  if (count == 0) return;
  uint32_t *first = region_take(builder->region, ((size_t)kind->predicate_count + 2) * sizeof *first);
  uint32_t *programs = region_take(builder->region, count * sizeof *programs);
  /* first[p + 2] counts p's programs, then first[p + 1] is where the next of p goes; at the end that is where p + 1 begins. */
  for (size_t i = 0; i < entry_count; i++)
    if (is_match(&entries[i])) first[entries[i].predicate + 2]++;
  for (uint32_t p = 0; p < kind->predicate_count; p++) first[p + 2] += first[p + 1];
  for (size_t i = 0; i < entry_count; i++)
    if (is_match(&entries[i])) programs[first[entries[i].predicate + 1]++] = entries[i].program;
  candidates->first_of_match = first;
  candidates->programs_of_matches = programs;
  candidates->match_program_count = count;
}

struct image_candidates image_keys_index(struct image_builder *builder, const struct image_kind *kind, struct key_entry *entries,
                                         size_t entry_count) {
  qsort(entries, entry_count, sizeof *entries, compare_entries);
  uint32_t columns = 0;
  for (size_t i = 0; i < entry_count; i++) columns += i == 0 || entries[i].column != entries[i - 1].column;
  struct image_key *keys = region_take(builder->region, columns * sizeof *keys);
  uint32_t made = 0;
  for (size_t at = 0; at < entry_count; made++) {
    struct column_entries of_column = {.count = {0}};
    const uint16_t column = entries[at].column;
    for (; at < entry_count && entries[at].column == column; at++) {
      const uint8_t sort = entries[at].sort;
      if (of_column.count[sort]++ == 0) of_column.of[sort] = &entries[at];
    }
    keys[made] = index_column(builder, kind, &of_column, column);
  }
  struct image_candidates candidates = {.keys = keys, .key_count = made};
  index_matches(builder, kind, entries, entry_count, &candidates);
  return candidates;
}
