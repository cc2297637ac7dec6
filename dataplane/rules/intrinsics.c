#include "hexadecimal.h"
#include "rules_internal.h"

static const char *const kind_words[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
static const char *const status_words[] = {"unset", "ok", "error"};
static const char *const firing_words[] = {"resolved", "firing"};
#define WORDS_MAX 6

static struct value text_value(const char *text, uint32_t length) {
  return (struct value){.text = text, .length = length, .type = VALUE_STRING};
}

/* Rows of one resource come one after the other and share its text. */
static void fill_text(struct event_batch *batch, int slot, bool service) {
  struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
  uint32_t *interned = batch->interned + (size_t)slot * EVENT_BATCH_ROWS;
  struct event_text before = {.at = NULL};
  uint32_t id = 0;
  uint64_t present = 0;
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_text text = service ? batch->fields[row].service : batch->fields[row].name;
    if (!text.at) continue;
    values[row] = text_value(text.at, text.length);
    if (text.at != before.at || text.length != before.length) id = event_batch_intern(batch, slot, &values[row]);
    interned[row] = id;
    present |= 1ull << row;
    before = text;
  }
  batch->present[slot] = present;
}

static unsigned word_of(const struct event_batch *batch, uint32_t row, enum intrinsic intrinsic) {
  const struct event_fields *fields = &batch->fields[row];
  if (intrinsic == INTRINSIC_KIND) return fields->kind <= SPAN_KIND_CONSUMER ? fields->kind : 0;
  if (batch->kind == EVENT_ALERT) return fields->firing;
  return fields->status <= SPAN_STATUS_ERROR ? fields->status : 0;
}

static void fill_words(struct event_batch *batch, int slot, enum intrinsic intrinsic) {
  const char *const *words = intrinsic == INTRINSIC_KIND ? kind_words : batch->kind == EVENT_ALERT ? firing_words : status_words;
  struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
  uint32_t *interned = batch->interned + (size_t)slot * EVENT_BATCH_ROWS;
  struct value known[WORDS_MAX] = {{.type = VALUE_NULL}};
  uint32_t ids[WORDS_MAX] = {0};
  for (uint32_t row = 0; row < batch->count; row++) {
    const unsigned word = word_of(batch, row, intrinsic);
    if (known[word].type == VALUE_NULL) {
      known[word] = text_value(words[word], (uint32_t)strlen(words[word]));
      ids[word] = event_batch_intern(batch, slot, &known[word]);
    }
    values[row] = known[word];
    interned[row] = ids[word];
  }
  batch->present[slot] = event_batch_rows(batch);
}

static struct value duration_of(const struct event_fields *fields) {
  const uint64_t duration = fields->end_ns > fields->start_ns ? fields->end_ns - fields->start_ns : 0;
  return (struct value){.integer = duration > INT64_MAX ? INT64_MAX : (int64_t)duration, .type = VALUE_INTEGER};
}

static struct value time_of(uint64_t ns) {
  return (struct value){.integer = (int64_t)ns, .type = ns > INT64_MAX ? VALUE_NULL : VALUE_INTEGER};
}

static void fill_times(struct event_batch *batch, int slot, enum intrinsic intrinsic) {
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_fields *fields = &batch->fields[row];
    const struct value value = time_of(intrinsic == INTRINSIC_END ? fields->end_ns : fields->start_ns);
    event_batch_set(batch, row, slot, &value);
  }
}

/* Values that are no text: nothing to intern, no row without one. */
static void fill_plain(struct event_batch *batch, int slot, enum intrinsic intrinsic) {
  struct value *values = batch->columns + (size_t)slot * EVENT_BATCH_ROWS;
  uint32_t *interned = batch->interned + (size_t)slot * EVENT_BATCH_ROWS;
  for (uint32_t row = 0; row < batch->count; row++)
    values[row] = intrinsic == INTRINSIC_DURATION ? duration_of(&batch->fields[row])
                                                  : (struct value){.boolean = !batch->fields[row].has_parent, .type = VALUE_BOOL};
  memset(interned, 0, batch->count * sizeof *interned);
  batch->present[slot] = event_batch_rows(batch);
}

static void set_identifier(struct event_batch *batch, uint32_t row, int slot, const uint8_t *bytes, uint32_t length, char *text) {
  hex_encode(bytes, length, text);
  const struct value value = text_value(text, 2 * length);
  event_batch_set(batch, row, slot, &value);
}

static void fill_identifier(struct event_batch *batch, int slot, enum intrinsic intrinsic, struct intrinsic_text *text) {
  for (uint32_t row = 0; row < batch->count; row++) {
    const struct event_fields *fields = &batch->fields[row];
    if (intrinsic == INTRINSIC_TRACE_ID) set_identifier(batch, row, slot, fields->trace_id, 16, text->trace_id[row]);
    if (intrinsic == INTRINSIC_SPAN_ID) set_identifier(batch, row, slot, fields->span_id, 8, text->span_id[row]);
    if (intrinsic == INTRINSIC_PARENT_ID && fields->has_parent)
      set_identifier(batch, row, slot, fields->parent_id, 8, text->parent_id[row]);
  }
}

static void fill(struct event_batch *batch, int slot, enum intrinsic intrinsic, struct intrinsic_text *text) {
  switch (intrinsic) {
  case INTRINSIC_NAME:
  case INTRINSIC_SERVICE:
    fill_text(batch, slot, intrinsic == INTRINSIC_SERVICE);
    break;
  case INTRINSIC_KIND:
  case INTRINSIC_STATUS:
    fill_words(batch, slot, intrinsic);
    break;
  case INTRINSIC_DURATION:
  case INTRINSIC_ROOT:
    fill_plain(batch, slot, intrinsic);
    break;
  case INTRINSIC_TRACE_ID:
  case INTRINSIC_SPAN_ID:
  case INTRINSIC_PARENT_ID:
    fill_identifier(batch, slot, intrinsic, text);
    break;
  case INTRINSIC_START:
  case INTRINSIC_END:
    fill_times(batch, slot, intrinsic);
    break;
  case INTRINSIC_TIME_OF_DAY:
  case INTRINSIC_WEEKDAY:
    calendar_fill(batch, slot);
    break;
  case INTRINSICS:
    break;
  }
}

void intrinsics_fill(struct event_batch *batch, struct intrinsic_text *text) {
  const struct image_kind *kind = &batch->image->kinds[batch->kind];
  ALWAYS_ASSERT(kind->column_count <= batch->column_capacity);
  for (uint32_t slot = 0; slot < kind->column_count; slot++) {
    if (kind->columns[slot].scope != SCOPE_INTRINSIC) continue;
    batch->present[slot] = 0;
    fill(batch, (int)slot, kind->columns[slot].intrinsic, text);
  }
}
