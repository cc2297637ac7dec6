#include "hexadecimal.h"
#include "json_fields_internal.h"
#include "otlp.h"
#include "span_rows_internal.h"
#include <string.h>

/* The offset of a reader's error is the request's. Every function returns false once the reader failed or the sink had no room.
 */
struct decoder {
  struct span_rows rows;
  struct json_reader reader;
};

static bool read_int64(struct json_reader *reader, int64_t *integer) {
  struct event_text text;
  if (!json_read_digits(reader, &text)) return false;
  return json_text_to_int64(text.at, text.length, integer) || json_fail(reader, "not a 64-bit integer");
}

/* OTLP/JSON allows enum values as numbers only. */
static bool read_enum(struct json_reader *reader, int64_t *value) {
  struct event_text text;
  if (json_read_absent(reader)) return true;
  if (json_peek(reader) == JSON_STRING) return json_fail(reader, "an enum is written as an integer");
  if (!json_read_number_text(reader, &text)) return false;
  if (!json_text_to_int64(text.at, text.length, value) || *value < INT32_MIN || *value > INT32_MAX)
    return json_fail(reader, "not a 32-bit integer");
  return true;
}

static bool read_double(struct json_reader *reader, double *real) {
  struct event_text text;
  if (!json_read_digits(reader, &text)) return false;
  if (event_text_is(&text, "NaN")) {
    *real = __builtin_nan("");
  } else if (event_text_is(&text, "Infinity")) {
    *real = __builtin_inf();
  } else if (event_text_is(&text, "-Infinity")) {
    *real = -__builtin_inf();
  } else {
    return json_text_to_double(text.at, text.length, real) || json_fail(reader, "not a number");
  }
  return true;
}

static bool read_composite(struct json_reader *reader, const struct event_text *name, struct value *value) {
  struct event_text ignored;
  if (event_text_is(name, "bytesValue")) {
    if (!json_read_string(reader, &ignored)) return false;
  } else if (json_peek(reader) != JSON_OBJECT) {
    return json_fail(reader, "an object was expected");
  } else if (!json_skip(reader)) {
    return false;
  }
  value->type = VALUE_OTHER;
  return true;
}

/* AnyValue: the last member of the oneof counts. */
static bool read_any_value(struct json_reader *reader, struct value *value) {
  struct event_text name, text = {.at = NULL};
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    struct value next = {.type = VALUE_NULL};
    bool read;
    if (json_read_absent(reader)) continue;
    if (event_text_is(&name, "stringValue")) {
      read = json_read_string(reader, &text);
      next = (struct value){.text = text.at, .length = text.length, .type = VALUE_STRING};
    } else if (event_text_is(&name, "boolValue")) {
      next.type = VALUE_BOOL;
      read = json_read_bool(reader, &next.boolean);
    } else if (event_text_is(&name, "intValue")) {
      next.type = VALUE_INTEGER;
      read = read_int64(reader, &next.integer);
    } else if (event_text_is(&name, "doubleValue")) {
      next.type = VALUE_DOUBLE;
      read = read_double(reader, &next.real);
    } else if (event_text_is(&name, "arrayValue") || event_text_is(&name, "kvlistValue") || event_text_is(&name, "bytesValue")) {
      read = read_composite(reader, &name, &next);
    } else {
      read = json_skip(reader);
    }
    if (!read) return false;
    if (next.type != VALUE_NULL) *value = next;
  }
  return !reader->error;
}

/* The list of KeyValue of a span (`row`), or of the resource (-1). */
static bool read_attributes(struct decoder *decoder, int row) {
  struct json_reader *reader = &decoder->reader;
  if (json_read_absent(reader)) return true;
  if (!json_enter_array(reader)) return false;
  while (json_next_element(reader)) {
    struct event_text name, key = {.at = "", .length = 0};
    struct value value = {.type = VALUE_NULL};
    if (!json_enter_object(reader)) return false;
    while (json_next_member(reader, &name)) {
      if (event_text_is(&name, "key")) {
        if (!json_read_optional_text(reader, &key)) return false;
      } else if (event_text_is(&name, "value")) {
        if (!json_read_absent(reader) && !read_any_value(reader, &value)) return false;
      } else if (!json_skip(reader)) {
        return false;
      }
    }
    if (reader->error) return false;
    if (row < 0) {
      span_resource_set(&decoder->rows, key.at, key.length, &value);
    } else {
      event_batch_set(decoder->rows.batch, (uint32_t)row, span_row_column(&decoder->rows, key.at, key.length), &value);
    }
  }
  return !reader->error;
}

/* Text that is no id of that length, or not hexadecimal, makes a bad id, not a bad request. */
static bool read_id(struct json_reader *reader, uint8_t *id, uint32_t id_bytes, uint32_t *length) {
  struct event_text text = {.at = NULL};
  if (!json_read_optional_text(reader, &text)) return false;
  if (text.length == 0) {
    *length = 0;
  } else {
    *length = text.length == 2 * id_bytes && hex_decode(text.at, id_bytes, id) ? id_bytes : SPAN_ID_BAD;
  }
  return true;
}

static bool read_status(struct json_reader *reader, uint8_t *status) {
  struct event_text name;
  if (json_read_absent(reader)) return true;
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    int64_t code = SPAN_STATUS_UNSET;
    if (!event_text_is(&name, "code")) {
      if (!json_skip(reader)) return false;
    } else if (read_enum(reader, &code)) {
      *status = span_status_of(code);
    } else {
      return false;
    }
  }
  return !reader->error;
}

static bool read_span_member(struct decoder *decoder, uint32_t row, const struct event_text *name, struct span_ids *ids) {
  struct json_reader *reader = &decoder->reader;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  if (event_text_is(name, "traceId")) return read_id(reader, fields->trace_id, sizeof fields->trace_id, &ids->trace_id_bytes);
  if (event_text_is(name, "spanId")) return read_id(reader, fields->span_id, sizeof fields->span_id, &ids->span_id_bytes);
  if (event_text_is(name, "parentSpanId"))
    return read_id(reader, fields->parent_id, sizeof fields->parent_id, &ids->parent_id_bytes);
  if (event_text_is(name, "name")) return json_read_optional_text(reader, &fields->name);
  if (event_text_is(name, "startTimeUnixNano")) return json_read_optional_unsigned(reader, &fields->start_ns);
  if (event_text_is(name, "endTimeUnixNano")) return json_read_optional_unsigned(reader, &fields->end_ns);
  if (event_text_is(name, "attributes")) return read_attributes(decoder, (int)row);
  if (event_text_is(name, "status")) return read_status(reader, &fields->status);
  if (!event_text_is(name, "kind")) return json_skip(reader);
  int64_t kind = SPAN_KIND_UNSPECIFIED;
  if (!read_enum(reader, &kind)) return false;
  fields->kind = span_kind_of(kind);
  return true;
}

static bool read_span(struct decoder *decoder) {
  struct event_text name;
  struct span_ids ids = {0};
  if (!json_enter_object(&decoder->reader)) return false;
  const int row = span_row_begin(&decoder->rows);
  if (row < 0) return false;
  while (json_next_member(&decoder->reader, &name)) {
    if (!read_span_member(decoder, (uint32_t)row, &name, &ids)) return false;
  }
  if (decoder->reader.error) return false;
  span_row_end(&decoder->rows, (uint32_t)row, &ids);
  return true;
}

/* A list under `name` in the object that comes next: `each` reads one element. Other members are skipped. */
static bool read_list_in_object(struct decoder *decoder, const char *list, bool (*each)(struct decoder *decoder)) {
  struct json_reader *reader = &decoder->reader;
  struct event_text name;
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    if (!event_text_is(&name, list)) {
      if (!json_skip(reader)) return false;
      continue;
    }
    if (json_read_absent(reader)) continue;
    if (!json_enter_array(reader)) return false;
    while (json_next_element(reader)) {
      if (!each(decoder)) return false;
    }
  }
  return !reader->error;
}

static bool read_scope_spans(struct decoder *decoder) { return read_list_in_object(decoder, "spans", read_span); }

static bool read_scope_spans_list(struct decoder *decoder) {
  if (!json_enter_array(&decoder->reader)) return false;
  while (json_next_element(&decoder->reader)) {
    if (!read_scope_spans(decoder)) return false;
  }
  return !decoder->reader.error;
}

static bool read_resource(struct decoder *decoder) {
  struct json_reader *reader = &decoder->reader;
  struct event_text name;
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    if (event_text_is(&name, "attributes") ? !read_attributes(decoder, -1) : !json_skip(reader)) return false;
  }
  return !reader->error;
}

/* Goes back to where `place` was. What was unescaped since stays: skipping took no scratch, so it still suffices. */
static bool read_deferred(struct decoder *decoder, const struct json_reader *place) {
  const struct json_reader ahead = decoder->reader;
  decoder->reader = *place;
  decoder->reader.scratch = ahead.scratch;
  if (!read_scope_spans_list(decoder)) return false;
  char *scratch = decoder->reader.scratch;
  decoder->reader = ahead;
  decoder->reader.scratch = scratch;
  return true;
}

/* Spans that come before their resource are skipped and read after it: every byte at most twice. */
static bool read_resource_spans(struct decoder *decoder) {
  struct json_reader *reader = &decoder->reader, deferred;
  struct event_text name;
  bool resource = false, spans = false, defer = false;
  span_resource_begin(&decoder->rows);
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    const bool is_resource = event_text_is(&name, "resource");
    if (!is_resource && !event_text_is(&name, "scopeSpans")) {
      if (!json_skip(reader)) return false;
      continue;
    }
    if (is_resource ? resource : spans) return json_fail(reader, "resource or scopeSpans twice in one object");
    *(is_resource ? &resource : &spans) = true;
    if (json_read_absent(reader)) continue;
    if (is_resource) {
      if (!read_resource(decoder)) return false;
    } else if (resource) {
      if (!read_scope_spans_list(decoder)) return false;
    } else {
      deferred = *reader;
      defer = true;
      if (!json_skip(reader)) return false;
    }
  }
  return !reader->error && (!defer || read_deferred(decoder, &deferred));
}

void otlp_decode_json(const uint8_t *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes, struct event_batch *batch,
                      const struct event_sink *sink, struct span_result *result) {
  struct decoder decoder;
  json_begin(&decoder.reader, body, bytes, scratch, scratch_bytes);
  span_rows_begin(&decoder.rows, batch, sink, result);
  const bool complete = read_list_in_object(&decoder, "resourceSpans", read_resource_spans) && json_finish(&decoder.reader);
  span_rows_end(&decoder.rows, complete, decoder.reader.error, decoder.reader.error_offset);
}
