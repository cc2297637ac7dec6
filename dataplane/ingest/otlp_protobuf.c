#include "otlp.h"
#include "protobuf_internal.h"
#include "span_rows_internal.h"
#include <string.h>

static const char malformed[] = "malformed protobuf";
static const char mistyped[] = "a known field has another wire type";

struct decoder {
  struct span_rows rows;
  const char *error;
  const uint8_t *error_at;
};

static bool fail(struct decoder *decoder, const uint8_t *at, const char *error) {
  decoder->error = error;
  decoder->error_at = at;
  return false;
}

/* AnyValue. Fields already in `*value` stay unless another comes: the last member of a oneof counts. */
static bool read_any_value(struct decoder *decoder, const uint8_t *at, const uint8_t *end, struct value *value) {
  while (at < end) {
    struct protobuf_field field;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    switch (field.tag) {
    case PROTOBUF_TAG(1, PROTOBUF_BYTES):
      *value = (struct value){.text = (const char *)field.bytes, .length = field.length, .type = VALUE_STRING};
      break;
    case PROTOBUF_TAG(2, PROTOBUF_VARINT):
      *value = (struct value){.boolean = field.scalar != 0, .type = VALUE_BOOL};
      break;
    case PROTOBUF_TAG(3, PROTOBUF_VARINT):
      *value = (struct value){.integer = (int64_t)field.scalar, .type = VALUE_INTEGER};
      break;
    case PROTOBUF_TAG(4, PROTOBUF_FIXED64):
      *value = (struct value){.type = VALUE_DOUBLE};
      memcpy(&value->real, &field.scalar, sizeof value->real);
      break;
    case PROTOBUF_TAG(5, PROTOBUF_BYTES):
    case PROTOBUF_TAG(6, PROTOBUF_BYTES):
    case PROTOBUF_TAG(7, PROTOBUF_BYTES):
      *value = (struct value){.type = VALUE_OTHER};
      break;
    default:
      if (protobuf_mistyped(&field, 0xfe)) return fail(decoder, start, mistyped);
    }
  }
  return true;
}

struct attribute {
  const char *key;
  uint32_t key_length;
  struct value value;
};

/* KeyValue in any order and form. */
static bool read_key_value(struct decoder *decoder, const uint8_t *at, const uint8_t *end, struct attribute *attribute) {
  *attribute = (struct attribute){.key = "", .value = {.type = VALUE_NULL}};
  while (at < end) {
    struct protobuf_field field;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(1, PROTOBUF_BYTES)) {
      attribute->key = (const char *)field.bytes;
      attribute->key_length = field.length;
    } else if (field.tag == PROTOBUF_TAG(2, PROTOBUF_BYTES)) {
      if (!read_any_value(decoder, field.bytes, field.bytes + field.length, &attribute->value)) return false;
    } else if (protobuf_mistyped(&field, PROTOBUF_FIELD(1) | PROTOBUF_FIELD(2))) {
      return fail(decoder, start, mistyped);
    }
  }
  return true;
}

/* A short string with nothing else in its AnyValue, or the exact routine. */
static inline bool read_common_value(struct decoder *decoder, const uint8_t *at, const uint8_t *end, struct value *value) {
  if (end - at >= 2 && at[0] == PROTOBUF_TAG(1, PROTOBUF_BYTES) && at[1] < 0x80 && at[1] == end - at - 2) {
    *value = (struct value){.text = (const char *)at + 2, .length = at[1], .type = VALUE_STRING};
    return true;
  }
  value->type = VALUE_NULL;
  return read_any_value(decoder, at, end, value);
}

/* How encoders write a KeyValue: key, then a value, lengths of one byte. Anything else is read by the exact routine. */
static inline bool read_span_attribute(struct decoder *decoder, uint32_t row, const uint8_t *at, const uint8_t *end) {
  struct span_rows *rows = &decoder->rows;
  if (end - at >= 2 && at[0] == PROTOBUF_TAG(1, PROTOBUF_BYTES) && at[1] < 0x80 && at[1] + 4 <= end - at) {
    const uint32_t key_length = at[1];
    const uint8_t *value_at = at + 2 + key_length;
    if (value_at[0] == PROTOBUF_TAG(2, PROTOBUF_BYTES) && value_at[1] < 0x80 && value_at[1] == end - value_at - 2) {
      const int slot = span_row_column(rows, (const char *)at + 2, key_length);
      struct value value;
      if (slot < 0) return true;
      if (!read_common_value(decoder, value_at + 2, end, &value)) return false;
      event_batch_set(rows->batch, row, slot, &value);
      return true;
    }
  }
  struct attribute attribute;
  if (!read_key_value(decoder, at, end, &attribute)) return false;
  event_batch_set(rows->batch, row, span_row_column(rows, attribute.key, attribute.key_length), &attribute.value);
  return true;
}

static bool read_status(struct decoder *decoder, const uint8_t *at, const uint8_t *end, uint8_t *status) {
  while (at < end) {
    struct protobuf_field field;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(3, PROTOBUF_VARINT)) {
      *status = span_status_of((int32_t)(uint32_t)field.scalar);
    } else if (protobuf_mistyped(&field, PROTOBUF_FIELD(3))) {
      return fail(decoder, start, mistyped);
    }
  }
  return true;
}

/* The fields of a Span that come once. */
static bool read_span_field(struct decoder *decoder, const struct protobuf_field *field, const uint8_t *start,
                            struct event_fields *fields, struct span_ids *ids) {
  switch (field->tag) {
  case PROTOBUF_TAG(1, PROTOBUF_BYTES):
    ids->trace_id_bytes = field->length;
    if (field->length == sizeof fields->trace_id) memcpy(fields->trace_id, field->bytes, sizeof fields->trace_id);
    return true;
  case PROTOBUF_TAG(2, PROTOBUF_BYTES):
    ids->span_id_bytes = field->length;
    if (field->length == sizeof fields->span_id) memcpy(fields->span_id, field->bytes, sizeof fields->span_id);
    return true;
  case PROTOBUF_TAG(4, PROTOBUF_BYTES):
    ids->parent_id_bytes = field->length;
    if (field->length == sizeof fields->parent_id) memcpy(fields->parent_id, field->bytes, sizeof fields->parent_id);
    return true;
  case PROTOBUF_TAG(5, PROTOBUF_BYTES):
    fields->name = (struct event_text){.at = (const char *)field->bytes, .length = field->length};
    return true;
  case PROTOBUF_TAG(6, PROTOBUF_VARINT):
    fields->kind = span_kind_of((int32_t)(uint32_t)field->scalar);
    return true;
  case PROTOBUF_TAG(7, PROTOBUF_FIXED64):
    fields->start_ns = field->scalar;
    return true;
  case PROTOBUF_TAG(8, PROTOBUF_FIXED64):
    fields->end_ns = field->scalar;
    return true;
  case PROTOBUF_TAG(15, PROTOBUF_BYTES):
    return read_status(decoder, field->bytes, field->bytes + field->length, &fields->status);
  default:
    /* 1 to 2, 4 to 9 and 15 are read. */
    return protobuf_mistyped(field, 0x83f6) ? fail(decoder, start, mistyped) : true;
  }
}

/* The ids as every encoder begins a span: both of their right length, one after the other. */
static inline const uint8_t *read_leading_ids(const uint8_t *at, const uint8_t *end, struct event_fields *fields,
                                              struct span_ids *ids) {
  if (end - at < 28 || at[0] != PROTOBUF_TAG(1, PROTOBUF_BYTES) || at[1] != 16 || at[18] != PROTOBUF_TAG(2, PROTOBUF_BYTES) ||
      at[19] != 8)
    return at;
  memcpy(fields->trace_id, at + 2, sizeof fields->trace_id);
  memcpy(fields->span_id, at + 20, sizeof fields->span_id);
  ids->trace_id_bytes = 16;
  ids->span_id_bytes = 8;
  return at + 28;
}

/* A run of attributes with lengths of one byte: most of a span's bytes. NULL: one of them is malformed. */
static inline const uint8_t *read_attribute_run(struct decoder *decoder, uint32_t row, const uint8_t *at, const uint8_t *end) {
  const bool reads_attributes = decoder->rows.reads_span_attributes;
  while (end - at >= 2 && at[0] == PROTOBUF_TAG(9, PROTOBUF_BYTES) && at[1] < 0x80 && at[1] <= end - at - 2) {
    const uint8_t *attribute = at + 2;
    at = attribute + at[1];
    if (reads_attributes && !read_span_attribute(decoder, row, attribute, at)) return NULL;
  }
  return at;
}

static bool read_span(struct decoder *decoder, const uint8_t *at, const uint8_t *end) {
  const int row = span_row_begin(&decoder->rows);
  if (row < 0) return false;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  struct span_ids ids = {0};
  at = read_leading_ids(at, end, fields, &ids);
  while (at < end) {
    struct protobuf_field field;
    if (*at == PROTOBUF_TAG(9, PROTOBUF_BYTES)) {
      at = read_attribute_run(decoder, (uint32_t)row, at, end);
      if (!at) return false;
      if (at == end) break;
    }
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(9, PROTOBUF_BYTES)) {
      if (decoder->rows.reads_span_attributes &&
          !read_span_attribute(decoder, (uint32_t)row, field.bytes, field.bytes + field.length))
        return false;
    } else if (!read_span_field(decoder, &field, start, fields, &ids)) {
      return false;
    }
  }
  span_row_end(&decoder->rows, (uint32_t)row, &ids);
  return true;
}

static bool read_scope_spans(struct decoder *decoder, const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    struct protobuf_field field;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(2, PROTOBUF_BYTES)) {
      if (!read_span(decoder, field.bytes, field.bytes + field.length)) return false;
    } else if (protobuf_mistyped(&field, PROTOBUF_FIELD(2))) {
      return fail(decoder, start, mistyped);
    }
  }
  return true;
}

static bool read_resource(struct decoder *decoder, const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    struct protobuf_field field;
    struct attribute attribute;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(1, PROTOBUF_BYTES)) {
      if (!read_key_value(decoder, field.bytes, field.bytes + field.length, &attribute)) return false;
      span_resource_set(&decoder->rows, attribute.key, attribute.key_length, &attribute.value);
    } else if (protobuf_mistyped(&field, PROTOBUF_FIELD(1))) {
      return fail(decoder, start, mistyped);
    }
  }
  return true;
}

/* Twice over the few fields at this level: every span needs its resource, which may come behind it. */
static bool read_resource_spans(struct decoder *decoder, const uint8_t *first, const uint8_t *end) {
  struct protobuf_field field;
  span_resource_begin(&decoder->rows);
  for (const uint8_t *at = first; at < end;) {
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(1, PROTOBUF_BYTES)) {
      if (!read_resource(decoder, field.bytes, field.bytes + field.length)) return false;
    } else if (field.tag != PROTOBUF_TAG(2, PROTOBUF_BYTES) && protobuf_mistyped(&field, PROTOBUF_FIELD(1) | PROTOBUF_FIELD(2))) {
      return fail(decoder, start, mistyped);
    }
  }
  for (const uint8_t *at = first; at < end;) {
    at = protobuf_next(at, end, &field);
    if (field.tag == PROTOBUF_TAG(2, PROTOBUF_BYTES) && !read_scope_spans(decoder, field.bytes, field.bytes + field.length))
      return false;
  }
  return true;
}

static bool read_request(struct decoder *decoder, const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    struct protobuf_field field;
    const uint8_t *start = at;
    at = protobuf_next(at, end, &field);
    if (!at) return fail(decoder, start, malformed);
    if (field.tag == PROTOBUF_TAG(1, PROTOBUF_BYTES)) {
      if (!read_resource_spans(decoder, field.bytes, field.bytes + field.length)) return false;
    } else if (protobuf_mistyped(&field, PROTOBUF_FIELD(1))) {
      return fail(decoder, start, mistyped);
    }
  }
  return true;
}

void otlp_decode_protobuf(const uint8_t *body, uint32_t bytes, struct event_batch *batch, const struct event_sink *sink,
                          struct span_result *result) {
  struct decoder decoder;
  decoder.error = NULL;
  decoder.error_at = body;
  span_rows_begin(&decoder.rows, batch, sink, result);
  const bool complete = read_request(&decoder, body, body + bytes);
  span_rows_end(&decoder.rows, complete, decoder.error, (uint32_t)(decoder.error_at - body));
}
