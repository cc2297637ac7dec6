#include "rules_internal.h"
#include "utf8.h"

struct scan {
  struct evaluation *evaluation;
  uint64_t rows; /* that hold the text */
};

static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context) {
  const struct scan *scan = context;
  struct evaluation *evaluation = scan->evaluation;
  (void)from, (void)to, (void)flags;
  ALWAYS_ASSERT(id < evaluation->kind->predicate_count);
  struct predicate_state *state = predicate_state_of(evaluation, id);
  if (state->rows == 0) evaluation->matched[evaluation->matched_count++] = id;
  state->rows |= scan->rows;
  return 0;
}

/* Equal strings of a column, so that each is looked at once. */
#define GROUP_SLOTS 128u
struct groups {
  uint64_t rows[EVENT_BATCH_ROWS];
  uint8_t first[EVENT_BATCH_ROWS]; /* a row of each group */
  uint32_t count;
};

static bool same_text(const struct value *a, const struct value *b) {
  if (a->length != b->length) return false;
  return a->length == 0 || a->text == b->text || memcmp(a->text, b->text, a->length) == 0;
}

static void group(const struct value *values, uint64_t rows, struct groups *groups) {
  uint8_t slots[GROUP_SLOTS];
  memset(slots, 0xff, sizeof slots);
  groups->count = 0;
  for (uint64_t left = rows; left; left &= left - 1) {
    const unsigned row = (unsigned)__builtin_ctzll(left);
    if (values[row].type != VALUE_STRING) continue;
    uint32_t slot = text_print_of(values[row].text, values[row].length).hash % GROUP_SLOTS;
    while (slots[slot] != 0xff && !same_text(&values[groups->first[slots[slot]]], &values[row])) slot = (slot + 1) % GROUP_SLOTS;
    if (slots[slot] == 0xff) {
      slots[slot] = (uint8_t)groups->count;
      groups->first[groups->count] = (uint8_t)row;
      groups->rows[groups->count++] = 0;
    }
    groups->rows[slots[slot]] |= 1ull << row;
  }
}

/* All expressions of a database in one scan of each text. Returns the rows that were scanned. */
static uint64_t scan_rows(struct evaluation *evaluation, uint16_t column, const hs_database_t *database, uint64_t rows,
                          bool only_utf8) {
  const struct value *values = evaluation->batch->columns + (size_t)column * EVENT_BATCH_ROWS;
  struct groups groups;
  uint64_t scanned = 0;
  group(values, rows, &groups);
  for (uint32_t i = 0; i < groups.count; i++) {
    const struct value *value = &values[groups.first[i]];
    struct scan scan = {.evaluation = evaluation, .rows = groups.rows[i]};
    evaluation->steps += value->length / STEP_BYTES + 1;
    if (only_utf8 && !utf8_valid(value->text, value->length)) continue;
    if (hs_scan(database, value->text ? value->text : "", value->length, 0, evaluation->scratch, on_match, &scan) == HS_SUCCESS)
      scanned |= scan.rows;
  }
  return scanned;
}

uint64_t column_scan_patterns(struct evaluation *evaluation, uint16_t column, uint64_t wanted) {
  struct column_facts *facts = column_facts_of(evaluation, column);
  const uint64_t left = wanted & facts->present & ~facts->patterns_seen;
  if (left) {
    facts->patterns_scanned |= scan_rows(evaluation, column, evaluation->kind->columns[column].patterns, left, true);
    facts->patterns_seen |= left;
  }
  return facts->patterns_scanned;
}

uint64_t column_scan_literals(struct evaluation *evaluation, uint16_t column, uint64_t wanted) {
  struct column_facts *facts = column_facts_of(evaluation, column);
  const uint64_t left = wanted & facts->present & ~facts->literals_seen;
  if (left) {
    scan_rows(evaluation, column, evaluation->kind->columns[column].literals, left, false);
    facts->literals_seen |= left;
  }
  return facts->literals_seen;
}
