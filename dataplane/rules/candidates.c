#include "rules_internal.h"

static void add_programs(struct evaluation *evaluation, const struct image_key *key, uint32_t first, uint32_t end) {
  for (uint32_t at = first; at < end; at++) bit_set(evaluation->candidates, key->programs[at]);
}

/* The rows of an id are the answer of the equality with it, which the programs are about to ask for. */
static void add_id(struct evaluation *evaluation, const struct image_key *key, uint32_t id, uint64_t rows) {
  const uint32_t predicate = key->equals[id - 1];
  if (predicate != PREDICATE_NONE) {
    struct predicate_state *state = predicate_state_of(evaluation, predicate);
    state->known = ~0ull;
    state->rows = rows;
  }
  add_programs(evaluation, key, key->first[id - 1], key->first[id]);
}

/* Whether to look for each constant in all rows, or for all constants row by row. */
static bool by_constant(uint32_t constants, uint64_t present) {
  return constants <= 4 || (constants <= IMAGE_FEW_CONSTANTS && __builtin_popcountll(present) > 16);
}

static void add_by_id(struct evaluation *evaluation, const struct image_key *key) {
  const uint64_t present = evaluation->batch->present[key->column];
  if (by_constant(key->constants, present)) {
    const uint32_t *interned = evaluation->batch->interned + (size_t)key->column * EVENT_BATCH_ROWS;
    for (uint32_t id = 1; id <= key->constants; id++) {
      const uint64_t rows = present & rows_equal(interned, id);
      if (rows) add_id(evaluation, key, id, rows);
    }
    return;
  }
  const struct column_facts *facts = column_ids(evaluation, key->column);
  for (uint32_t i = 0; i < facts->distinct_count; i++) {
    const uint32_t slot = facts->distinct[i], id = facts->ids[slot];
    ALWAYS_ASSERT(id <= key->constants);
    add_id(evaluation, key, id, facts->id_rows[slot]);
  }
}

static void add_number(struct evaluation *evaluation, const struct image_key *key, const struct value *identity) {
  const uint32_t last = key->number_slots - 1;
  uint32_t at = image_number_hash(identity->integer) & last;
  for (uint32_t probes = 0; probes <= last; probes++, at = (at + 1) & last) {
    const struct image_number *number = &key->numbers[at];
    if (number->constant.type == VALUE_NULL) return;
    if (number->constant.type != identity->type || number->constant.integer != identity->integer) continue;
    add_programs(evaluation, key, number->first, number->end);
    return;
  }
}

/* The bits of a double are read as an integer: one of them is the identity. */
static void add_by_number(struct evaluation *evaluation, const struct image_key *key) {
  const struct value *values = evaluation->batch->columns + (size_t)key->column * EVENT_BATCH_ROWS;
  struct value before = {.type = VALUE_NULL}, identity;
  for (uint64_t left = evaluation->batch->present[key->column]; left; left &= left - 1) {
    if (!value_identity(&values[__builtin_ctzll(left)], &identity)) continue;
    if (identity.type != before.type || identity.integer != before.integer) add_number(evaluation, key, &identity);
    before = identity;
  }
}

/* The lowest and highest number of a column. VALUE_NULL: there is none. */
struct extent {
  struct value lowest, highest;
};

static struct extent extent_of(struct evaluation *evaluation, uint16_t column) {
  const struct value *values = evaluation->batch->columns + (size_t)column * EVENT_BATCH_ROWS;
  const struct column_facts *facts = column_integers(evaluation, column);
  struct extent extent = {.lowest = {.type = VALUE_NULL}, .highest = {.type = VALUE_NULL}};
  if (facts->integers) {
    int64_t lowest = INT64_MAX, highest = INT64_MIN;
    for (uint64_t left = facts->integers; left; left &= left - 1) {
      const int64_t integer = facts->values[__builtin_ctzll(left)];
      lowest = integer < lowest ? integer : lowest;
      highest = integer > highest ? integer : highest;
    }
    extent.lowest = (struct value){.integer = lowest, .type = VALUE_INTEGER};
    extent.highest = (struct value){.integer = highest, .type = VALUE_INTEGER};
  }
  for (uint64_t left = facts->present & ~facts->integers; left; left &= left - 1) {
    const struct value *value = &values[__builtin_ctzll(left)];
    if (value->type != VALUE_DOUBLE || value->real != value->real) continue;
    if (extent.lowest.type == VALUE_NULL || value_compare(value, &extent.lowest) == -1) extent.lowest = *value;
    if (extent.highest.type == VALUE_NULL || value_compare(value, &extent.highest) == 1) extent.highest = *value;
  }
  return extent;
}

static bool reaches(const struct value *end, const struct image_limit *limit, int side) {
  const int order = value_compare(end, &limit->constant);
  return order == side || order == 0;
}

/* The limits are in order: the first that no value reaches ends the search. */
static void add_by_limit(struct evaluation *evaluation, const struct image_key *key) {
  const struct extent extent = extent_of(evaluation, key->column);
  for (uint32_t i = 0; i < key->above_count && reaches(&extent.highest, &key->above[i], 1); i++)
    bit_set(evaluation->candidates, key->above[i].program);
  for (uint32_t i = 0; i < key->below_count && reaches(&extent.lowest, &key->below[i], -1); i++)
    bit_set(evaluation->candidates, key->below[i].program);
}

/* What matched without being a key stands for no program. */
static void add_by_match(struct evaluation *evaluation, const struct image_candidates *index) {
  for (uint32_t i = 0; i < evaluation->matched_count; i++) {
    const uint32_t predicate = evaluation->matched[i];
    for (uint32_t at = index->first_of_match[predicate]; at < index->first_of_match[predicate + 1]; at++)
      bit_set(evaluation->candidates, index->programs_of_matches[at]);
  }
}

void candidates_find(struct evaluation *evaluation, const struct image_candidates *index, uint32_t count) {
  const uint32_t words = (count + 63) / 64;
  ALWAYS_ASSERT(count <= ENGINE_PROGRAMS_MAX);
  if (!index->always) {
    memset(evaluation->candidates, 0xff, words * sizeof *evaluation->candidates);
    return;
  }
  memcpy(evaluation->candidates, index->always, words * sizeof *evaluation->candidates);
  for (uint32_t i = 0; i < index->key_count; i++) {
    const struct image_key *key = &index->keys[i];
    if (evaluation->batch->present[key->column] == 0) continue;
    for (uint32_t p = 0; p < key->present_count; p++) bit_set(evaluation->candidates, key->present[p]);
    if (key->constants) add_by_id(evaluation, key);
    if (key->number_slots) add_by_number(evaluation, key);
    if (key->above_count + key->below_count) add_by_limit(evaluation, key);
    if (key->patterns) column_scan_patterns(evaluation, key->column, ~0ull);
    if (key->literals) column_scan_literals(evaluation, key->column, ~0ull);
  }
  if (index->first_of_match) add_by_match(evaluation, index);
}

uint32_t candidates_left(const struct evaluation *evaluation, uint32_t at, uint32_t count) {
  uint32_t left = 0;
  for (; (at = candidates_next(evaluation, at, count)) < count; at++) left++;
  return left;
}

uint32_t candidates_next(const struct evaluation *evaluation, uint32_t at, uint32_t count) {
  while (at < count) {
    const uint64_t left = evaluation->candidates[at / 64] >> at % 64;
    if (left) {
      at += (uint32_t)__builtin_ctzll(left);
      return at < count ? at : count;
    }
    at = (at / 64 + 1) * 64;
  }
  return count;
}
