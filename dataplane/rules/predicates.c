#include "rules_internal.h"
#include "utf8.h"

#define TWO_TO_63 9223372036854775808.0

/* Exact: a double is compared with an int64 by its whole part first, never by rounding the integer. */
static int compare_integer_double(int64_t integer, double real) {
  if (real != real) return 2;
  if (real >= TWO_TO_63) return -1;
  if (real < -TWO_TO_63) return 1;
  const int64_t whole = (int64_t)real;
  if (integer != whole) return integer < whole ? -1 : 1;
  const double fraction = real - (double)whole;
  return fraction > 0 ? -1 : fraction < 0;
}

static int compare_text(const struct value *a, const struct value *b) {
  const uint32_t common = a->length < b->length ? a->length : b->length;
  const int order = common ? memcmp(a->text, b->text, common) : 0;
  if (order != 0) return order < 0 ? -1 : 1;
  return a->length < b->length ? -1 : a->length > b->length;
}

int value_compare(const struct value *a, const struct value *b) {
  if (a->type == VALUE_INTEGER && b->type == VALUE_INTEGER) return a->integer < b->integer ? -1 : a->integer > b->integer;
  if (a->type == VALUE_INTEGER && b->type == VALUE_DOUBLE) return compare_integer_double(a->integer, b->real);
  if (a->type == VALUE_DOUBLE && b->type == VALUE_INTEGER) {
    const int order = compare_integer_double(b->integer, a->real);
    return order == 2 ? 2 : -order;
  }
  if (a->type == VALUE_DOUBLE && b->type == VALUE_DOUBLE)
    return a->real != a->real || b->real != b->real ? 2 : a->real < b->real ? -1 : a->real > b->real;
  if (a->type == VALUE_STRING && b->type == VALUE_STRING) return compare_text(a, b);
  if (a->type == VALUE_BOOL && b->type == VALUE_BOOL) return a->boolean == b->boolean ? 0 : 2;
  return 2;
}

static bool equals(const struct value *value, uint32_t interned, const struct value *constant, uint32_t constant_interned) {
  if (constant->type == VALUE_STRING && constant_interned) return interned == constant_interned;
  return value_compare(value, constant) == 0;
}

static bool contains(const struct value *value, const struct value *part) {
  return value->type == VALUE_STRING &&
         (part->length == 0 || memmem(value->text, value->length, part->text, part->length) != NULL);
}

static bool in_list(const struct image_predicate *predicate, const struct value *value, uint32_t interned) {
  for (uint32_t i = 0; i < predicate->list_count; i++)
    if (equals(value, interned, &predicate->list[i], predicate->list_interned[i])) return true;
  return false;
}

static bool holds(const struct image_predicate *predicate, const struct value *value, uint32_t interned) {
  const struct value *constant = &predicate->constant;
  const int order = predicate->operation >= PREDICATE_LESS && predicate->operation <= PREDICATE_GREATER_OR_EQUAL
                        ? value_compare(value, constant)
                        : 2;
  switch ((enum predicate_operation)predicate->operation) {
  case PREDICATE_EQUAL:
    return equals(value, interned, constant, predicate->interned);
  case PREDICATE_NOT_EQUAL:
    return !equals(value, interned, constant, predicate->interned);
  case PREDICATE_LESS:
    return order == -1;
  case PREDICATE_LESS_OR_EQUAL:
    return order == -1 || order == 0;
  case PREDICATE_GREATER:
    return order == 1;
  case PREDICATE_GREATER_OR_EQUAL:
    return order == 1 || order == 0;
  case PREDICATE_IN:
    return in_list(predicate, value, interned);
  case PREDICATE_CONTAINS:
    return contains(value, constant);
  case PREDICATE_TRUE:
    return value->type == VALUE_BOOL && value->boolean;
  case PREDICATE_MATCHES:
  case PREDICATE_NOT_MATCHES:
  case PREDICATE_CONSTANT:
    break;
  }
  return false;
}

/* 64 bytes of 0 or 1 to a mask: the multiplication gathers the low bits of eight bytes without a carry. */
static uint64_t mask_of(const uint8_t hits[EVENT_BATCH_ROWS]) {
  uint64_t mask = 0;
  for (unsigned i = 0; i < EVENT_BATCH_ROWS / 8; i++) {
    uint64_t bytes;
    memcpy(&bytes, hits + 8 * i, sizeof bytes);
    mask |= (bytes * 0x0102040810204080u >> 56) << (8 * i);
  }
  return mask;
}

/* The commonest by far. All 64 rows, so that it is one vector loop: the caller keeps those that are there. */
static uint64_t equal_interned(const uint32_t *interned, uint32_t wanted) {
  uint8_t hits[EVENT_BATCH_ROWS];
  for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = interned[row] == wanted;
  return mask_of(hits);
}

/* A column's integers side by side, for the thresholds on it. */
struct integer_column {
  int64_t values[EVENT_BATCH_ROWS];
  uint64_t rows;  /* those that are integers */
  int32_t column; /* -1: none yet */
};

static void gather_integers(const struct event_batch *batch, uint16_t column, struct integer_column *integers) {
  const struct value *values = batch->columns + (size_t)column * EVENT_BATCH_ROWS;
  if (integers->column == column) return;
  integers->column = column;
  integers->rows = 0;
  for (uint32_t row = 0; row < batch->count; row++) {
    integers->values[row] = values[row].integer;
    integers->rows |= (uint64_t)(values[row].type == VALUE_INTEGER) << row;
  }
  for (uint32_t row = batch->count; row < EVENT_BATCH_ROWS; row++) integers->values[row] = 0;
}

static uint64_t order_integers(const struct integer_column *integers, enum predicate_operation operation, int64_t limit) {
  const int64_t *values = integers->values;
  uint8_t hits[EVENT_BATCH_ROWS];
  switch (operation) {
  case PREDICATE_LESS:
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] < limit;
    break;
  case PREDICATE_LESS_OR_EQUAL:
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] <= limit;
    break;
  case PREDICATE_GREATER:
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] > limit;
    break;
  default:
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) hits[row] = values[row] >= limit;
    break;
  }
  return mask_of(hits) & integers->rows;
}

static bool is_integer_order(const struct image_predicate *predicate) {
  return predicate->operation >= PREDICATE_LESS && predicate->operation <= PREDICATE_GREATER_OR_EQUAL &&
         predicate->constant.type == VALUE_INTEGER;
}

static uint64_t evaluate_one(const struct event_batch *batch, const struct image_predicate *predicate, const uint64_t *present,
                             struct integer_column *integers) {
  const size_t first = (size_t)predicate->column * EVENT_BATCH_ROWS;
  const struct value *values = batch->columns + first;
  const uint32_t *interned = batch->interned + first;
  if (predicate->operation == PREDICATE_CONSTANT) return predicate->constant.boolean ? ~0ull : 0;
  const uint64_t rows = present[predicate->column];
  if (rows == 0) return 0;
  if (predicate->operation == PREDICATE_EQUAL && predicate->interned) return rows & equal_interned(interned, predicate->interned);
  if (predicate->operation == PREDICATE_NOT_EQUAL && predicate->interned)
    return rows & ~equal_interned(interned, predicate->interned);
  uint64_t mask = 0, others = rows;
  if (is_integer_order(predicate)) {
    gather_integers(batch, predicate->column, integers);
    mask = order_integers(integers, (enum predicate_operation)predicate->operation, predicate->constant.integer);
    others &= ~integers->rows;
  }
  for (uint64_t left = others; left; left &= left - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(left);
    mask |= (uint64_t)holds(predicate, &values[row], interned[row]) << row;
  }
  return mask;
}

struct scan {
  uint64_t *masks;
  uint64_t row_bit;
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  const struct scan *scan = context;
  (void)from, (void)to, (void)flags;
  scan->masks[id] |= scan->row_bit;
  return 0;
}

/* All patterns of a column in one scan of each value. Only valid UTF-8 is text to a pattern. Returns the rows scanned. */
static uint64_t scan_column(const struct event_batch *batch, uint32_t slot, hs_database_t *patterns, hs_scratch_t *scratch,
                            uint64_t present, uint64_t *masks) {
  const struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
  uint64_t scanned = 0;
  for (uint64_t left = present; left; left &= left - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(left);
    const struct value *value = &values[row];
    struct scan scan = {.masks = masks, .row_bit = 1ull << row};
    if (value->type != VALUE_STRING || !utf8_valid(value->text, value->length)) continue;
    if (hs_scan(patterns, value->text ? value->text : "", value->length, 0, scratch, on_match, &scan) == HS_SUCCESS)
      scanned |= scan.row_bit;
  }
  return scanned;
}

void predicates_evaluate(const struct event_batch *batch, hs_scratch_t *scratch, uint64_t *masks) {
  const struct image_kind *kind = &batch->image->kinds[batch->kind];
  uint64_t present[1024], scanned[1024];
  ALWAYS_ASSERT(kind->column_count <= 1024 && kind->predicate_count <= ENGINE_PREDICATES_MAX);
  for (uint32_t slot = 0; slot < kind->column_count; slot++) {
    const struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
    present[slot] = scanned[slot] = 0;
    for (uint32_t row = 0; row < batch->count; row++) present[slot] |= (uint64_t)(values[row].type != VALUE_NULL) << row;
  }
  for (uint32_t i = 0; i < kind->predicate_count; i++) masks[i] = 0;
  for (uint32_t slot = 0; slot < kind->column_count; slot++)
    if (kind->columns[slot].patterns)
      scanned[slot] = scan_column(batch, slot, kind->columns[slot].patterns, scratch, present[slot], masks);
  struct integer_column integers = {.column = -1};
  for (uint32_t i = 0; i < kind->predicate_count; i++) {
    const struct image_predicate *predicate = &kind->predicates[i];
    if (predicate->operation == PREDICATE_MATCHES) continue;
    if (predicate->operation == PREDICATE_NOT_MATCHES) {
      masks[i] = scanned[predicate->column] & ~masks[i];
    } else {
      masks[i] = evaluate_one(batch, predicate, present, &integers);
    }
  }
}
