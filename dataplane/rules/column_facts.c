#include "rules_internal.h"

void column_facts_begin(struct evaluation *evaluation, uint16_t column) {
  struct column_facts *facts = &evaluation->columns[column];
  facts->stamp = evaluation->stamp;
  facts->present = evaluation->batch->present[column];
  facts->integers = facts->patterns_seen = facts->patterns_scanned = facts->literals_seen = 0;
  facts->has_integers = facts->has_ids = false;
  facts->passes = 0;
}

struct column_facts *column_facts_of(struct evaluation *evaluation, uint16_t column) {
  ALWAYS_ASSERT(column < evaluation->kind->column_count);
  struct column_facts *facts = &evaluation->columns[column];
  if (facts->stamp == evaluation->stamp) return facts;
  if (evaluation->kind->columns[column].computation)
    column_compute(evaluation, column);
  else
    column_facts_begin(evaluation, column);
  return facts;
}

const struct column_facts *column_integers(struct evaluation *evaluation, uint16_t column) {
  struct column_facts *facts = column_facts_of(evaluation, column);
  const struct value *values = evaluation->batch->columns + (size_t)column * EVENT_BATCH_ROWS;
  uint64_t integers = 0;
  if (facts->has_integers) return facts;
  facts->has_integers = true;
  memset(facts->values, 0, sizeof facts->values);
  for (uint64_t left = facts->present; left; left &= left - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(left);
    const bool integer = values[row].type == VALUE_INTEGER;
    facts->values[row] = integer ? values[row].integer : 0;
    integers |= (uint64_t)integer << row;
  }
  facts->integers = integers;
  return facts;
}

static uint32_t slot_of(uint32_t id) { return id * 0x9e3779b1u >> 25; }
_Static_assert(COLUMN_ID_SLOTS == 1u << (32 - 25), "slot_of keeps as many bits as there are slots");

static void add_id(struct column_facts *facts, uint32_t id, uint64_t rows) {
  uint32_t slot = slot_of(id);
  while (facts->ids[slot] != 0 && facts->ids[slot] != id) slot = (slot + 1) % COLUMN_ID_SLOTS;
  if (facts->ids[slot] == 0) {
    facts->ids[slot] = id;
    facts->id_rows[slot] = 0;
    facts->distinct[facts->distinct_count++] = (uint8_t)slot;
  }
  facts->id_rows[slot] |= rows;
}

/* Values that are no constant are the commonest, then columns of few different ones: those go by whole masks. */
#define IDS_BY_MASK 3
#define IDS_ONE_BY_ONE 8

const struct column_facts *column_ids(struct evaluation *evaluation, uint16_t column) {
  struct column_facts *facts = column_facts_of(evaluation, column);
  const uint32_t *interned = evaluation->batch->interned + (size_t)column * EVENT_BATCH_ROWS;
  if (facts->has_ids) return facts;
  facts->has_ids = true;
  facts->distinct_count = 0;
  memset(facts->ids, 0, sizeof facts->ids);
  uint64_t left = facts->present & ~rows_equal(interned, 0);
  for (unsigned i = 0; i < IDS_BY_MASK && __builtin_popcountll(left) > IDS_ONE_BY_ONE; i++) {
    const uint32_t id = interned[__builtin_ctzll(left)];
    const uint64_t rows = left & rows_equal(interned, id);
    add_id(facts, id, rows);
    left &= ~rows;
  }
  for (; left; left &= left - 1) add_id(facts, interned[__builtin_ctzll(left)], left & -left);
  return facts;
}

uint64_t column_rows_of_id(const struct column_facts *facts, uint32_t id) {
  uint32_t slot = slot_of(id);
  while (facts->ids[slot] != 0 && facts->ids[slot] != id) slot = (slot + 1) % COLUMN_ID_SLOTS;
  return facts->ids[slot] == id ? facts->id_rows[slot] : 0;
}
