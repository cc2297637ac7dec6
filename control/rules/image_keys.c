/* Chooses the key of each program. A key is read off the program itself: of an AND the more
 * selective operand's, of an OR both, of a NOT that under which its operand can fail. */
#include "always_assert.h"
#include "image_keys_internal.h"
#include <stdlib.h>
#include <string.h>

#define KEY_PREDICATES_MAX 16u
#define KEY_LIST_MAX 64u      /* a longer list is no key */
#define KEYED_PROGRAMS_MIN 4u /* of one column and sort: fewer are sooner run than looked up, but for few strings */
/* How unselective a comparison is thought to be, counted in programs that make an equality: one that many share tells less. */
#define COST_RESOURCE 4u /* a batch often is of few resources */
#define COST_LIMIT 64u
#define COST_SCAN 256u    /* a match tells much, but all texts are scanned for it */
#define COST_PRESENT 512u /* any comparison with an attribute: that it is there */
#define COST_WORD 1024u   /* kind and status: nearly every batch has each */
#define COST_NONE UINT64_MAX

/* Comparisons of which one must hold. */
struct key_choice {
  uint64_t cost; /* COST_NONE: there is no such set */
  uint32_t count;
  uint32_t predicates[KEY_PREDICATES_MAX];
};

struct key_sides {
  struct key_choice holds, fails; /* for the operand to be true, to be false */
};

struct key_builder {
  const struct image_kind *kind;
  uint32_t *uses; /* by predicate: how often a program makes it */
  struct key_entry *entries;
  size_t entry_count, entry_capacity;
  uint64_t *always;
};

static const struct key_choice no_choice = {.cost = COST_NONE};

static uint64_t equality_cost(const struct key_builder *keys, const struct image_predicate *predicate, uint32_t uses) {
  const struct image_column *column = &keys->kind->columns[predicate->column];
  if (column->scope == SCOPE_RESOURCE) return uses + COST_RESOURCE;
  if (column->scope != SCOPE_INTRINSIC) return uses;
  if (column->intrinsic == INTRINSIC_SERVICE) return uses + COST_RESOURCE;
  return column->intrinsic == INTRINSIC_KIND || column->intrinsic == INTRINSIC_STATUS ? uses + COST_WORD : uses;
}

static bool indexable(const struct value *constant, uint32_t interned) {
  struct value identity;
  return interned != 0 || value_identity(constant, &identity);
}

static uint64_t indexed_cost(const struct key_builder *keys, uint32_t index) {
  const struct image_predicate *predicate = &keys->kind->predicates[index];
  const struct image_column *column = &keys->kind->columns[predicate->column];
  if (predicate->between || column->computation || column->every) return COST_NONE;
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
    if (!indexable(&predicate->constant, predicate->interned)) return COST_NONE;
    return equality_cost(keys, predicate, keys->uses[index]);
  case PREDICATE_IN:
    if (predicate->list_count > KEY_LIST_MAX) return COST_NONE;
    for (uint32_t i = 0; i < predicate->list_count; i++)
      if (!indexable(&predicate->list[i], predicate->list_interned[i])) return COST_NONE;
    return equality_cost(keys, predicate, keys->uses[index]) * predicate->list_count;
  case PREDICATE_LESS:
  case PREDICATE_LESS_OR_EQUAL:
  case PREDICATE_GREATER:
  case PREDICATE_GREATER_OR_EQUAL:
    return indexable(&predicate->constant, 0) ? COST_LIMIT + keys->uses[index] : COST_NONE;
  case PREDICATE_MATCHES:
    return COST_SCAN + keys->uses[index];
  case PREDICATE_CONTAINS:
    return predicate->scanned ? COST_SCAN + keys->uses[index] : COST_NONE;
  default:
    return COST_NONE;
  }
}

/* No comparison holds of a null. */
static uint64_t predicate_cost(const struct key_builder *keys, uint32_t index) {
  const struct image_column *column = &keys->kind->columns[keys->kind->predicates[index].column];
  const uint64_t cost = indexed_cost(keys, index);
  if (cost != COST_NONE || column->computation || column->every || column->scope == SCOPE_INTRINSIC) return cost;
  return COST_PRESENT + keys->uses[index];
}

/* A comparison that fails may have met a null: no comparison need hold then. */
static struct key_sides of_predicate(const struct key_builder *keys, uint32_t index) {
  const struct image_predicate *predicate = &keys->kind->predicates[index];
  struct key_sides sides = {.holds = no_choice, .fails = no_choice};
  if (predicate->operation == PREDICATE_CONSTANT) {
    *(predicate->constant.boolean ? &sides.fails : &sides.holds) = (struct key_choice){.cost = 0};
  } else {
    sides.holds = (struct key_choice){.cost = predicate_cost(keys, index), .count = 1, .predicates = {index}};
  }
  return sides;
}

static struct key_choice cheaper(const struct key_choice *a, const struct key_choice *b) { return b->cost < a->cost ? *b : *a; }

static struct key_choice both(const struct key_choice *a, const struct key_choice *b) {
  if (a->cost == COST_NONE || b->cost == COST_NONE || a->count + b->count > KEY_PREDICATES_MAX) return no_choice;
  struct key_choice either = *a;
  either.cost += b->cost;
  memcpy(either.predicates + either.count, b->predicates, b->count * sizeof *b->predicates);
  either.count += b->count;
  return either;
}

static bool is_operand(uint32_t operation) {
  return operation != PROGRAM_AND && operation != PROGRAM_OR && operation != PROGRAM_NOT;
}

static struct key_choice choose(const struct key_builder *keys, const struct image_program *program) {
  struct key_sides stack[IMAGE_PROGRAM_DEPTH_MAX];
  uint32_t depth = 0;
  for (uint32_t i = 0; i < program->count; i++) {
    const uint32_t operation = program->operations[i];
    if (is_operand(operation)) {
      ALWAYS_ASSERT(depth < IMAGE_PROGRAM_DEPTH_MAX);
      stack[depth++] = of_predicate(keys, operation);
      continue;
    }
    const struct key_sides top = stack[--depth];
    if (operation == PROGRAM_NOT) {
      stack[depth++] = (struct key_sides){.holds = top.fails, .fails = top.holds};
      continue;
    }
    const struct key_sides below = stack[--depth];
    const bool and = operation == PROGRAM_AND;
    stack[depth++] = (struct key_sides){
        .holds = and? cheaper(&below.holds, &top.holds) : both(&below.holds, &top.holds),
        .fails = and? both(&below.fails, &top.fails) : cheaper(&below.fails, &top.fails),
    };
  }
  ALWAYS_ASSERT(depth == 1);
  return stack[0].holds;
}

static void add_entry(struct key_builder *keys, struct key_entry entry) {
  keys->entries = growing_list_reserve(keys->entries, keys->entry_count, &keys->entry_capacity, sizeof *keys->entries);
  keys->entries[keys->entry_count++] = entry;
}

static void add_equality(struct key_builder *keys, struct key_entry entry, const struct value *constant, uint32_t interned) {
  entry.sort = interned ? KEY_STRING : KEY_NUMBER;
  entry.interned = interned;
  if (!interned) ALWAYS_ASSERT(value_identity(constant, &entry.constant));
  add_entry(keys, entry);
}

static void add_entries(struct key_builder *keys, uint32_t program, uint32_t index) {
  const struct image_predicate *predicate = &keys->kind->predicates[index];
  struct key_entry entry = {.column = predicate->column, .program = program, .predicate = index, .constant = predicate->constant};
  if (indexed_cost(keys, index) == COST_NONE) {
    entry.sort = KEY_PRESENT;
    add_entry(keys, entry);
    return;
  }
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
    add_equality(keys, entry, &predicate->constant, predicate->interned);
    return;
  case PREDICATE_IN:
    for (uint32_t i = 0; i < predicate->list_count; i++)
      add_equality(keys, entry, &predicate->list[i], predicate->list_interned[i]);
    return;
  case PREDICATE_LESS:
  case PREDICATE_LESS_OR_EQUAL:
    entry.sort = KEY_BELOW;
    break;
  case PREDICATE_MATCHES:
    entry.sort = KEY_PATTERN;
    break;
  case PREDICATE_CONTAINS:
    entry.sort = KEY_LITERAL;
    break;
  default:
    entry.sort = KEY_ABOVE;
    break;
  }
  add_entry(keys, entry);
}

static bool pays(const struct key_builder *keys, const struct key_entry *entry, const uint32_t *counts) {
  if (entry->sort == KEY_STRING && keys->kind->columns[entry->column].constants <= IMAGE_FEW_CONSTANTS) return true;
  return counts[entry->column * KEY_SORTS + entry->sort] >= KEYED_PROGRAMS_MIN;
}

static bool is_always(const struct key_builder *keys, uint32_t program) { return keys->always[program / 64] >> program % 64 & 1; }

/* Programs whose key has a part on a column that few others are looked up by go to `always`, with all their entries. */
static void drop_small(struct key_builder *keys) {
  uint32_t *counts = calloc((size_t)keys->kind->column_count * KEY_SORTS + 1, sizeof *counts);
  ALWAYS_ASSERT(counts);
  for (size_t i = 0; i < keys->entry_count; i++) counts[keys->entries[i].column * KEY_SORTS + keys->entries[i].sort]++;
  for (size_t i = 0; i < keys->entry_count; i++) {
    const uint32_t program = keys->entries[i].program;
    if (!pays(keys, &keys->entries[i], counts)) keys->always[program / 64] |= 1ull << program % 64;
  }
  size_t kept = 0;
  for (size_t i = 0; i < keys->entry_count; i++)
    if (!is_always(keys, keys->entries[i].program)) keys->entries[kept++] = keys->entries[i];
  keys->entry_count = kept;
  free(counts);
}

static void count_uses(struct key_builder *keys, const struct image_program *program) {
  for (uint32_t i = 0; i < program->count; i++)
    if (is_operand(program->operations[i])) keys->uses[program->operations[i]]++;
}

struct image_candidates image_candidates_of(struct image_builder *builder, const struct image_kind *kind,
                                            const struct image_program *const *programs, uint32_t count) {
  const size_t words = ((size_t)count + 63) / 64;
  struct key_builder keys = {.kind = kind,
                             .uses = calloc((size_t)kind->predicate_count + 1, sizeof *keys.uses),
                             .always = region_take(builder->region, words * sizeof *keys.always)};
  ALWAYS_ASSERT(keys.uses);
  for (uint32_t i = 0; i < count; i++) count_uses(&keys, programs[i]);
  for (uint32_t i = 0; i < count; i++) {
    const struct key_choice choice = choose(&keys, programs[i]);
    if (choice.cost == COST_NONE) keys.always[i / 64] |= 1ull << i % 64;
    for (uint32_t p = 0; choice.cost != COST_NONE && p < choice.count; p++) add_entries(&keys, i, choice.predicates[p]);
  }
  drop_small(&keys);
  struct image_candidates candidates = {.keys = NULL};
  if (keys.entry_count) {
    candidates = image_keys_index(builder, kind, keys.entries, keys.entry_count);
    candidates.always = keys.always;
  }
  free(keys.uses);
  free(keys.entries);
  return candidates;
}
