#include "rules_internal.h"

#define COLUMN_WORDS (ENGINE_COLUMNS_MAX / 64)

/* A constant stands in every row. */
struct side {
  const struct column_facts *facts; /* NULL: a constant */
  const struct value *values;
  const int64_t *integers;
  uint64_t integer_rows, present;
};

struct constant {
  struct value value;
  int64_t integers[EVENT_BATCH_ROWS];
};

static struct side side_of(struct evaluation *evaluation, const struct image_operand *operand, struct constant *constant) {
  if (operand->column != IMAGE_NO_COLUMN) {
    const struct column_facts *facts = column_integers(evaluation, operand->column);
    return (struct side){.facts = facts,
                         .values = evaluation->batch->columns + (size_t)operand->column * EVENT_BATCH_ROWS,
                         .integers = facts->values,
                         .integer_rows = facts->integers,
                         .present = facts->present};
  }
  const bool integer = operand->constant.type == VALUE_INTEGER;
  constant->value = operand->constant;
  for (unsigned row = 0; row < EVENT_BATCH_ROWS; row++) constant->integers[row] = integer ? operand->constant.integer : 0;
  return (struct side){
      .values = &constant->value, .integers = constant->integers, .integer_rows = integer ? ~0ull : 0, .present = ~0ull};
}

/* Sums and differences wrap; the rows that did are told by the signs. */
static uint64_t add_rows(const int64_t *left, const int64_t *right, bool subtract, int64_t sums[EVENT_BATCH_ROWS]) {
  int64_t wrapped[EVENT_BATCH_ROWS];
  for (unsigned row = 0; row < EVENT_BATCH_ROWS; row++) {
    const uint64_t a = (uint64_t)left[row], b = (uint64_t)right[row], sum = subtract ? a - b : a + b;
    sums[row] = (int64_t)sum;
    wrapped[row] = (int64_t)((a ^ sum) & (subtract ? a ^ b : ~(a ^ b)));
  }
  static const int64_t zeros[EVENT_BATCH_ROWS];
  return rows_above_each(zeros, wrapped);
}

static uint64_t multiply_rows(const int64_t *left, const int64_t *right, int64_t products[EVENT_BATCH_ROWS]) {
  uint64_t wrapped = 0;
  for (unsigned row = 0; row < EVENT_BATCH_ROWS; row++)
    wrapped |= (uint64_t)__builtin_mul_overflow(left[row], right[row], &products[row]) << row;
  return wrapped;
}

/* Of the rows in which both are integers, as many as need no look at each; returns those done. */
static uint64_t compute_integers(const struct image_computation *computation, const struct side *left, const struct side *right,
                                 struct column_facts *facts) {
  static const int64_t zeros[EVENT_BATCH_ROWS];
  const bool negate = computation->computation == COMPUTE_NEGATE;
  const uint64_t rows = (negate ? ~0ull : left->integer_rows) & right->integer_rows;
  uint64_t wrapped;
  switch (computation->computation) {
  case COMPUTE_ADD:
  case COMPUTE_SUBTRACT:
    wrapped = add_rows(left->integers, right->integers, computation->computation == COMPUTE_SUBTRACT, facts->values);
    break;
  case COMPUTE_NEGATE:
    wrapped = add_rows(zeros, right->integers, true, facts->values);
    break;
  case COMPUTE_MULTIPLY:
    wrapped = multiply_rows(left->integers, right->integers, facts->values);
    break;
  default:
    return 0;
  }
  facts->integers = rows & ~wrapped;
  return rows;
}

static void compute(struct evaluation *evaluation, uint16_t column) {
  const struct image_computation *computation = evaluation->kind->columns[column].computation;
  const struct event_batch *batch = evaluation->batch;
  struct value *values = batch->columns + (size_t)column * EVENT_BATCH_ROWS;
  uint32_t *interned = batch->interned + (size_t)column * EVENT_BATCH_ROWS;
  struct column_facts *facts = &evaluation->columns[column];
  struct constant constants[2];
  const bool negate = computation->computation == COMPUTE_NEGATE;
  const struct side right = side_of(evaluation, &computation->right, &constants[1]);
  const struct side left = negate ? right : side_of(evaluation, &computation->left, &constants[0]);
  batch->present[column] = 0;
  column_facts_begin(evaluation, column);
  memset(facts->values, 0, sizeof facts->values);
  const uint64_t rows = event_batch_rows(batch), done = rows & compute_integers(computation, &left, &right, facts);
  facts->integers &= rows;
  for (uint64_t rest = facts->integers; rest; rest &= rest - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(rest);
    values[row] = (struct value){.integer = facts->values[row], .type = VALUE_INTEGER};
  }
  uint64_t present = facts->integers;
  for (uint64_t rest = rows & left.present & right.present & ~done; rest; rest &= rest - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(rest);
    values[row] =
        value_compute(computation->computation, &left.values[left.facts ? row : 0], &right.values[right.facts ? row : 0]);
    const bool integer = values[row].type == VALUE_INTEGER;
    facts->values[row] = integer ? values[row].integer : 0;
    facts->integers |= (uint64_t)integer << row;
    present |= (uint64_t)(values[row].type != VALUE_NULL) << row;
  }
  memset(interned, 0, EVENT_BATCH_ROWS * sizeof *interned);
  facts->has_integers = true;
  facts->present = batch->present[column] = present;
}

static void need(const struct evaluation *evaluation, const struct image_operand *operand, uint64_t needed[COLUMN_WORDS]) {
  if (operand->column != IMAGE_NO_COLUMN && evaluation->kind->columns[operand->column].computation &&
      evaluation->columns[operand->column].stamp != evaluation->stamp)
    bit_set(needed, operand->column);
}

/* Operands stand before what is made of them: first down, to see what is needed, then up. */
void column_compute(struct evaluation *evaluation, uint16_t column) {
  uint64_t needed[COLUMN_WORDS] = {0};
  uint32_t lowest = column;
  ALWAYS_ASSERT(column < ENGINE_COLUMNS_MAX);
  bit_set(needed, column);
  for (uint32_t at = column + 1u; at-- > 0;) {
    if (!bit_get(needed, at)) continue;
    const struct image_computation *computation = evaluation->kind->columns[at].computation;
    lowest = at;
    if (computation->computation != COMPUTE_NEGATE) need(evaluation, &computation->left, needed);
    need(evaluation, &computation->right, needed);
  }
  for (uint32_t at = lowest; at <= column; at++)
    if (bit_get(needed, at)) {
      evaluation->steps += EVENT_BATCH_ROWS;
      compute(evaluation, (uint16_t)at);
    }
}
