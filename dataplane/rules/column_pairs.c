#include "rules_internal.h"

static bool is_number(const struct value *value) { return value->type == VALUE_INTEGER || value->type == VALUE_DOUBLE; }

static bool texts(const struct value *left, const struct value *right) {
  return left->type == VALUE_STRING && right->type == VALUE_STRING && right->length <= left->length;
}

bool pair_holds(enum predicate_operation operation, const struct value *left, const struct value *right) {
  const bool ordered = is_number(left) && is_number(right);
  switch (operation) {
  case PREDICATE_EQUAL:
    return value_compare(left, right) == 0;
  case PREDICATE_NOT_EQUAL:
    return value_compare(left, right) != 0;
  case PREDICATE_LESS:
    return ordered && value_compare(left, right) == -1;
  case PREDICATE_LESS_OR_EQUAL:
    return ordered && (value_compare(left, right) == -1 || value_compare(left, right) == 0);
  case PREDICATE_GREATER:
    return ordered && value_compare(left, right) == 1;
  case PREDICATE_GREATER_OR_EQUAL:
    return ordered && (value_compare(left, right) == 1 || value_compare(left, right) == 0);
  case PREDICATE_CONTAINS:
    return texts(left, right) && (right->length == 0 || memmem(left->text, left->length, right->text, right->length));
  case PREDICATE_STARTS_WITH:
    return texts(left, right) && (right->length == 0 || memcmp(left->text, right->text, right->length) == 0);
  case PREDICATE_ENDS_WITH:
    return texts(left, right) &&
           (right->length == 0 || memcmp(left->text + (left->length - right->length), right->text, right->length) == 0);
  default:
    return false;
  }
}

static uint64_t compare_integers(enum predicate_operation operation, const int64_t *left, const int64_t *right) {
  switch (operation) {
  case PREDICATE_EQUAL:
    return rows_equal_each(left, right);
  case PREDICATE_NOT_EQUAL:
    return ~rows_equal_each(left, right);
  case PREDICATE_LESS:
    return rows_above_each(right, left);
  case PREDICATE_LESS_OR_EQUAL:
    return ~rows_above_each(left, right);
  case PREDICATE_GREATER:
    return rows_above_each(left, right);
  case PREDICATE_GREATER_OR_EQUAL:
    return ~rows_above_each(right, left);
  default:
    return 0;
  }
}

uint64_t column_pairs_compared(struct evaluation *evaluation, const struct image_predicate *predicate, uint64_t wanted) {
  const enum predicate_operation operation = (enum predicate_operation)predicate->operation;
  const struct column_facts *left = column_integers(evaluation, predicate->column);
  const struct column_facts *right = column_integers(evaluation, predicate->other);
  const struct value *left_values = evaluation->batch->columns + (size_t)predicate->column * EVENT_BATCH_ROWS;
  const struct value *right_values = evaluation->batch->columns + (size_t)predicate->other * EVENT_BATCH_ROWS;
  const uint64_t integers = left->integers & right->integers;
  evaluation->steps += EVENT_BATCH_ROWS;
  uint64_t mask = integers & wanted ? integers & compare_integers(operation, left->values, right->values) : 0;
  for (uint64_t rest = wanted & left->present & right->present & ~integers; rest; rest &= rest - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(rest);
    if (operation == PREDICATE_CONTAINS && left_values[row].type == VALUE_STRING)
      evaluation->steps += left_values[row].length / STEP_BYTES;
    mask |= (uint64_t)pair_holds(operation, &left_values[row], &right_values[row]) << row;
  }
  return mask & wanted;
}
