#include "always_assert.h"
#include "event.h"
#include "image.h"
#include <string.h>

static uint32_t column_count(const struct event_batch *batch) {
  const uint32_t columns = batch->image ? batch->image->kinds[batch->kind].column_count : 0;
  ALWAYS_ASSERT(columns <= batch->column_capacity);
  return columns;
}

uint32_t event_batch_add(struct event_batch *batch) {
  ALWAYS_ASSERT(batch->count < EVENT_BATCH_ROWS);
  const uint32_t row = batch->count++;
  memset(&batch->fields[row], 0, sizeof batch->fields[row]);
  if (row == 0) {
    memset(batch->present, 0, column_count(batch) * sizeof *batch->present);
    batch->element_count = 0;
  }
  return row;
}

void event_batch_remove_last(struct event_batch *batch) {
  ALWAYS_ASSERT(batch->count > 0);
  const uint64_t kept = ~(1ull << --batch->count);
  const uint32_t columns = column_count(batch);
  for (uint32_t slot = 0; slot < columns; slot++) batch->present[slot] &= kept;
  while (batch->element_count > 0 && batch->elements[batch->element_count - 1].row == batch->count) {
    const struct event_element *element = &batch->elements[--batch->element_count];
    batch->last_element[element->slot] = element->before;
  }
}

const struct value *event_batch_value(const struct event_batch *batch, uint32_t row, uint32_t slot) {
  static const struct value null = {.type = VALUE_NULL};
  ALWAYS_ASSERT(row < EVENT_BATCH_ROWS && slot < batch->column_capacity);
  return batch->present[slot] >> row & 1 ? &batch->columns[(size_t)slot * EVENT_BATCH_ROWS + row] : &null;
}

int event_column_find(const struct rule_image *image, enum event_kind kind, enum column_scope scope, const char *key,
                      uint32_t key_length) {
  if (!image) return -1;
  const struct image_kind *of_kind = &image->kinds[kind];
  const uint32_t slots = of_kind->lookup_slots;
  if (slots == 0) return -1;
  uint32_t at = image_key_hash(scope, key, key_length) & (slots - 1);
  for (uint32_t probes = 0; probes < slots; probes++, at = (at + 1) & (slots - 1)) {
    const uint16_t slot = of_kind->lookup[at];
    if (slot == 0xffff) return -1;
    const struct image_column *column = &of_kind->columns[slot];
    if (column->scope == scope && column->key.length == key_length && memcmp(column->key.at, key, key_length) == 0) return slot;
  }
  return -1;
}

static bool same_text(const struct image_constant *constant, const struct text_print *print, const char *text, uint32_t length) {
  return constant->print.low == print->low && constant->print.high == print->high && constant->text.length == length &&
         (length <= 16 || memcmp(constant->text.at, text, length) == 0);
}

static uint32_t intern(const struct image_column *column, const char *text, uint32_t length) {
  const struct text_print print = text_print_of(text, length);
  const uint32_t mark = dictionary_mark(column, print.hash), last = column->dictionary_slots - 1;
  if (!(column->marks[mark / 64] >> mark % 64 & 1)) return 0;
  uint32_t at = print.hash & last;
  for (uint32_t probes = 0; probes <= last; probes++, at = (at + 1) & last) {
    const struct image_constant *constant = &column->dictionary[at];
    if (constant->id == 0) return 0;
    if (same_text(constant, &print, text, length)) return constant->id;
  }
  return 0;
}

static inline uint32_t intern_value(const struct event_batch *batch, int slot, const struct value *value) {
  const struct image_kind *kind = &batch->image->kinds[batch->kind];
  ALWAYS_ASSERT((uint32_t)slot < kind->column_count);
  const struct image_column *column = &kind->columns[slot];
  return value->type == VALUE_STRING && column->dictionary_slots != 0 ? intern(column, value->text, value->length) : 0;
}

static inline void store(struct event_batch *batch, uint32_t row, int slot, const struct value *value, uint32_t interned) {
  ALWAYS_ASSERT(row < batch->count && (uint32_t)slot < batch->column_capacity);
  const size_t cell = (size_t)slot * EVENT_BATCH_ROWS + row;
  const uint64_t present = batch->present[slot], bit = 1ull << row;
  batch->present[slot] = value->type == VALUE_NULL ? present & ~bit : present | bit;
  batch->columns[cell] = *value;
  batch->interned[cell] = interned;
}

uint32_t event_batch_intern(const struct event_batch *batch, int slot, const struct value *value) {
  return slot < 0 ? 0 : intern_value(batch, slot, value);
}

void event_batch_set_run(struct event_batch *batch, uint32_t first_row, int slot, const struct value *value, uint32_t interned) {
  if (slot < 0) return;
  ALWAYS_ASSERT((uint32_t)slot < batch->column_capacity);
  struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
  uint32_t *ids = batch->interned + (size_t)slot * EVENT_BATCH_ROWS;
  uint64_t rows = 0;
  for (uint32_t row = first_row; row < batch->count; row++) {
    values[row] = *value;
    ids[row] = interned;
    rows |= 1ull << row;
  }
  const uint64_t present = batch->present[slot];
  batch->present[slot] = value->type == VALUE_NULL ? present & ~rows : present | rows;
}

void event_batch_set(struct event_batch *batch, uint32_t row, int slot, const struct value *value) {
  if (slot >= 0) store(batch, row, slot, value, intern_value(batch, slot, value));
}
