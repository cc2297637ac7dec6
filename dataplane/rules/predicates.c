#include "rules_internal.h"

#define PASSES_BEFORE_INDEX 16

static bool equals(const struct value *value, uint32_t interned, const struct value *constant, uint32_t constant_interned) {
  if (constant->type == VALUE_STRING && constant_interned) return interned == constant_interned;
  return value_compare(value, constant) == 0;
}

static bool contains(const struct value *value, const struct value *part) {
  return value->type == VALUE_STRING &&
         (part->length == 0 || memmem(value->text, value->length, part->text, part->length) != NULL);
}

static bool starts_with(const struct value *value, const struct value *part) {
  return value->type == VALUE_STRING && part->length <= value->length &&
         (part->length == 0 || memcmp(value->text, part->text, part->length) == 0);
}

static bool ends_with(const struct value *value, const struct value *part) {
  return value->type == VALUE_STRING && part->length <= value->length &&
         (part->length == 0 || memcmp(value->text + (value->length - part->length), part->text, part->length) == 0);
}

static bool in_networks(const struct image_predicate *predicate, const struct value *value) {
  uint8_t address[NETWORK_ADDRESS_BYTES];
  if (value->type != VALUE_STRING || !address_read(value->text, value->length, address)) return false;
  for (uint32_t i = 0; i < predicate->list_count; i++)
    if (network_holds(&predicate->networks[i], address)) return true;
  return false;
}

static bool in_list(const struct image_predicate *predicate, const struct value *value, uint32_t interned) {
  for (uint32_t i = 0; i < predicate->list_count; i++)
    if (equals(value, interned, &predicate->list[i], predicate->list_interned[i])) return true;
  return false;
}

bool predicate_holds(const struct image_predicate *predicate, const struct value *value, uint32_t interned) {
  const struct value *constant = &predicate->constant;
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
    return equals(value, interned, constant, predicate->interned);
  case PREDICATE_NOT_EQUAL:
    return !equals(value, interned, constant, predicate->interned);
  case PREDICATE_LESS:
  case PREDICATE_LESS_OR_EQUAL:
  case PREDICATE_GREATER:
  case PREDICATE_GREATER_OR_EQUAL:
    return order_holds((enum predicate_operation)predicate->operation, value_compare(value, constant));
  case PREDICATE_IN:
    return in_list(predicate, value, interned);
  case PREDICATE_CONTAINS:
    return contains(value, constant);
  case PREDICATE_STARTS_WITH:
    return starts_with(value, constant);
  case PREDICATE_ENDS_WITH:
    return ends_with(value, constant);
  case PREDICATE_IN_NETWORKS:
    return in_networks(predicate, value);
  case PREDICATE_EXISTS:
    return true;
  case PREDICATE_TRUE:
    return value->type == VALUE_BOOL && value->boolean;
  case PREDICATE_MATCHES:
  case PREDICATE_NOT_MATCHES:
  case PREDICATE_CONSTANT:
    break;
  }
  return false;
}

static uint64_t compare_integers(const struct column_facts *facts, enum predicate_operation operation, int64_t limit) {
  const int64_t *values = facts->values;
  switch (operation) {
  case PREDICATE_EQUAL:
    return facts->integers & rows_of_integer(values, limit);
  case PREDICATE_NOT_EQUAL:
    return facts->integers & ~rows_of_integer(values, limit);
  case PREDICATE_LESS:
    return limit == INT64_MIN ? 0 : facts->integers & ~rows_above(values, limit - 1);
  case PREDICATE_LESS_OR_EQUAL:
    return facts->integers & ~rows_above(values, limit);
  case PREDICATE_GREATER_OR_EQUAL:
    return limit == INT64_MIN ? facts->integers : facts->integers & rows_above(values, limit - 1);
  default:
    return facts->integers & rows_above(values, limit);
  }
}

static uint64_t one_by_one(struct evaluation *evaluation, const struct image_predicate *predicate, uint64_t rows) {
  const struct event_batch *batch = evaluation->batch;
  const size_t first = (size_t)predicate->column * EVENT_BATCH_ROWS;
  uint64_t mask = 0;
  evaluation->steps += (uint64_t)__builtin_popcountll(rows) * (uint64_t)(predicate->list_count + 1);
  for (uint64_t left = rows; left; left &= left - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(left);
    if (predicate->operation == PREDICATE_CONTAINS && batch->columns[first + row].type == VALUE_STRING)
      evaluation->steps += batch->columns[first + row].length / STEP_BYTES;
    mask |= (uint64_t)predicate_holds(predicate, &batch->columns[first + row], batch->interned[first + row]) << row;
  }
  return mask;
}

/* The rows whose string is the constant of this id: by one pass over the column, or from the index of its ids once that is there
 * or so many have asked that it pays. */
static uint64_t rows_of_id(struct evaluation *evaluation, struct column_facts *facts, uint16_t column, uint32_t id) {
  evaluation->steps += EVENT_BATCH_ROWS;
  if (facts->has_ids || facts->passes++ >= PASSES_BEFORE_INDEX) return column_rows_of_id(column_ids(evaluation, column), id);
  return facts->present & rows_equal(evaluation->batch->interned + (size_t)column * EVENT_BATCH_ROWS, id);
}

static bool all_interned(const struct image_predicate *predicate) {
  for (uint32_t i = 0; i < predicate->list_count; i++)
    if (!predicate->list_interned[i]) return false;
  return true;
}

static uint64_t rows_in_list(struct evaluation *evaluation, struct column_facts *facts, const struct image_predicate *predicate) {
  uint64_t mask = 0;
  for (uint32_t i = 0; i < predicate->list_count; i++)
    mask |= rows_of_id(evaluation, facts, predicate->column, predicate->list_interned[i]);
  return mask;
}

static uint64_t rows_compared(struct evaluation *evaluation, struct column_facts *facts,
                              const struct image_predicate *predicate) {
  column_integers(evaluation, predicate->column);
  return compare_integers(facts, (enum predicate_operation)predicate->operation, predicate->constant.integer) |
         one_by_one(evaluation, predicate, facts->present & ~facts->integers);
}

/* Of all rows at once, as that costs no more than of one. False: row by row. */
static bool evaluate_whole(struct evaluation *evaluation, struct column_facts *facts, const struct image_predicate *predicate,
                           uint64_t *rows) {
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
  case PREDICATE_NOT_EQUAL:
    if (predicate->interned) {
      *rows = rows_of_id(evaluation, facts, predicate->column, predicate->interned);
      if (predicate->operation == PREDICATE_NOT_EQUAL) *rows = facts->present & ~*rows;
      return true;
    }
    break;
  case PREDICATE_LESS:
  case PREDICATE_LESS_OR_EQUAL:
  case PREDICATE_GREATER:
  case PREDICATE_GREATER_OR_EQUAL:
    break;
  case PREDICATE_IN:
    if (!all_interned(predicate)) return false;
    *rows = rows_in_list(evaluation, facts, predicate);
    return true;
  default:
    return false;
  }
  if (predicate->constant.type != VALUE_INTEGER) return false;
  evaluation->steps += EVENT_BATCH_ROWS;
  *rows = rows_compared(evaluation, facts, predicate);
  return true;
}

/* Matches are kept raw; what has not been scanned of the wanted rows is scanned now. */
static uint64_t rows_matched(struct evaluation *evaluation, const struct image_predicate *predicate, uint32_t index,
                             uint64_t wanted) {
  const struct predicate_state *state = &evaluation->predicates[index];
  const bool literal = predicate->operation == PREDICATE_CONTAINS;
  const uint64_t scanned = literal ? column_scan_literals(evaluation, predicate->column, wanted)
                                   : column_scan_patterns(evaluation, predicate->column, wanted);
  const uint64_t matched = state->stamp == evaluation->stamp ? state->rows : 0;
  return predicate->operation == PREDICATE_NOT_MATCHES ? scanned & ~matched : matched;
}

uint64_t predicate_evaluate(struct evaluation *evaluation, uint32_t index, uint64_t wanted) {
  ALWAYS_ASSERT(index < evaluation->kind->predicate_count);
  const struct image_predicate *predicate = &evaluation->kind->predicates[index];
  if (predicate->operation == PREDICATE_CONSTANT) return predicate->constant.boolean ? ~0ull : 0;
  struct column_facts *facts = column_facts_of(evaluation, predicate->column);
  if ((facts->present & wanted) == 0) return 0;
  if (predicate->operation == PREDICATE_EXISTS) return facts->present;
  if (evaluation->kind->columns[predicate->column].every) {
    struct predicate_state *state = predicate_state_of(evaluation, index);
    state->known = ~0ull;
    state->rows = column_elements_hold(evaluation, index);
    return state->rows;
  }
  if (predicate_is_scanned(predicate)) return rows_matched(evaluation, predicate, index, wanted & facts->present);
  struct predicate_state *state = predicate_state_of(evaluation, index);
  uint64_t rows;
  if (predicate->between) {
    state->rows |= column_pairs_compared(evaluation, predicate, wanted & ~state->known);
    state->known |= wanted;
  } else if (evaluate_whole(evaluation, facts, predicate, &rows)) {
    state->known = ~0ull;
    state->rows = rows;
  } else {
    state->rows |= one_by_one(evaluation, predicate, facts->present & wanted & ~state->known);
    state->known |= wanted;
  }
  return state->rows;
}

bool evaluation_create(struct evaluation *evaluation, struct arena *arena, uint32_t column_capacity, uint64_t steps_max) {
  evaluation->steps_max = steps_max ? steps_max : ENGINE_BATCH_STEPS_DEFAULT;
  evaluation->predicates = ARENA_ARRAY(arena, struct predicate_state, ENGINE_PREDICATES_MAX);
  evaluation->matched = ARENA_ARRAY(arena, uint32_t, ENGINE_PREDICATES_MAX);
  evaluation->columns = ARENA_ARRAY(arena, struct column_facts, column_capacity);
  evaluation->candidates = ARENA_ARRAY(arena, uint64_t, ENGINE_PROGRAMS_MAX / 64);
  return evaluation->predicates && evaluation->matched && evaluation->columns && evaluation->candidates;
}

void evaluation_begin(struct evaluation *evaluation, const struct event_batch *batch, hs_scratch_t *scratch) {
  evaluation->batch = batch;
  evaluation->kind = &batch->image->kinds[batch->kind];
  evaluation->scratch = scratch;
  evaluation->stamp++;
  evaluation->matched_count = 0;
  evaluation->steps = 0;
}
