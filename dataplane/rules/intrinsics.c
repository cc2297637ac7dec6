#include "hexadecimal.h"
#include "rules_internal.h"

static struct value text_value(const char *text, uint32_t length) {
  return text ? (struct value){.text = text, .length = length, .type = VALUE_STRING} : (struct value){.type = VALUE_NULL};
}

static struct value word(const char *text) { return text_value(text, (uint32_t)strlen(text)); }

static struct value identifier(const uint8_t *bytes, uint32_t length, char *text) {
  hex_encode(bytes, length, text);
  return text_value(text, 2 * length);
}

static const char *const kind_words[] = {"unspecified", "internal", "server", "client", "producer", "consumer"};
static const char *const status_words[] = {"unset", "ok", "error"};

static struct value intrinsic_of(const struct event_batch *batch, uint32_t row, enum intrinsic intrinsic,
                                 struct intrinsic_text *text) {
  const struct event_fields *fields = &batch->fields[row];
  switch (intrinsic) {
  case INTRINSIC_NAME:
    return text_value(fields->name.at, fields->name.length);
  case INTRINSIC_SERVICE:
    return text_value(fields->service.at, fields->service.length);
  case INTRINSIC_KIND:
    return word(kind_words[fields->kind <= SPAN_KIND_CONSUMER ? fields->kind : 0]);
  case INTRINSIC_STATUS:
    if (batch->kind == EVENT_ALERT) return word(fields->firing ? "firing" : "resolved");
    return word(status_words[fields->status <= SPAN_STATUS_ERROR ? fields->status : 0]);
  case INTRINSIC_DURATION: {
    const uint64_t duration = fields->end_ns > fields->start_ns ? fields->end_ns - fields->start_ns : 0;
    return (struct value){.integer = duration > INT64_MAX ? INT64_MAX : (int64_t)duration, .type = VALUE_INTEGER};
  }
  case INTRINSIC_ROOT:
    return (struct value){.boolean = !fields->has_parent, .type = VALUE_BOOL};
  case INTRINSIC_TRACE_ID:
    return identifier(fields->trace_id, 16, text->trace_id[row]);
  case INTRINSIC_SPAN_ID:
    return identifier(fields->span_id, 8, text->span_id[row]);
  case INTRINSIC_PARENT_ID:
    return fields->has_parent ? identifier(fields->parent_id, 8, text->parent_id[row]) : (struct value){.type = VALUE_NULL};
  case INTRINSICS:
    break;
  }
  return (struct value){.type = VALUE_NULL};
}

void intrinsics_fill(struct event_batch *batch, struct intrinsic_text *text) {
  const struct image_kind *kind = &batch->image->kinds[batch->kind];
  for (uint32_t slot = 0; slot < kind->column_count; slot++) {
    if (kind->columns[slot].scope != SCOPE_INTRINSIC) continue;
    for (uint32_t row = 0; row < batch->count; row++) {
      const struct value value = intrinsic_of(batch, row, kind->columns[slot].intrinsic, text);
      event_batch_set(batch, row, (int)slot, &value);
    }
  }
}
