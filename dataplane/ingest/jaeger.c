#include "jaeger.h"
#include "span_rows_internal.h"
#include "span_tags_internal.h"
#include "thrift_compact_internal.h"

static const char mistyped[] = "a known field has another type";

/* Every function returns false once the reader failed or the sink had no room. */
struct decoder {
  struct span_rows rows;
  struct thrift_reader reader;
};

struct tag {
  struct event_text key;
  struct value value;
};

/* What may come in any order and makes sense only together. */
struct span_parts {
  struct span_ids ids;
  struct span_status_tags status;
  int64_t start_us, duration_us, parent_id;
  const uint8_t *references; /* NULL: none */
};

static void store_be64(uint8_t *to, int64_t value) {
  for (unsigned i = 0; i < 8; i++) to[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
}

static bool expect_type(struct thrift_reader *reader, const struct thrift_field *field, enum thrift_type type) {
  return field->type == type || thrift_fail(reader, mistyped);
}

static bool read_text(struct thrift_reader *reader, const struct thrift_field *field, struct event_text *text) {
  return expect_type(reader, field, THRIFT_BINARY) && thrift_read_binary(reader, text);
}

static bool read_integer(struct thrift_reader *reader, const struct thrift_field *field, enum thrift_type type, int64_t *value) {
  return expect_type(reader, field, type) && thrift_read_integer(reader, value);
}

static bool enter_structs(struct thrift_reader *reader, const struct thrift_field *field, uint32_t *count) {
  struct thrift_list list;
  if (!expect_type(reader, field, THRIFT_LIST) || !thrift_enter_list(reader, &list)) return false;
  *count = list.count;
  return list.count == 0 || list.type == THRIFT_STRUCT || thrift_fail(reader, mistyped);
}

/* Of a tag's five values the one that its type names; null when that one is absent. */
static bool read_tag(struct thrift_reader *reader, struct tag *tag) {
  enum { STRING, DOUBLE, BOOL, LONG, BINARY, TYPES };
  struct value values[TYPES] = {[STRING] = {.type = VALUE_NULL}};
  struct thrift_field field = {.id = 0};
  struct event_text text;
  int64_t type = -1;
  bool read = true;
  *tag = (struct tag){.key = {.at = "", .length = 0}, .value = {.type = VALUE_OTHER}};
  while (read && thrift_next_field(reader, &field)) {
    switch (field.id) {
    case 1:
      read = read_text(reader, &field, &tag->key);
      break;
    case 2:
      read = read_integer(reader, &field, THRIFT_I32, &type);
      break;
    case 3:
      read = read_text(reader, &field, &text);
      if (read) values[STRING] = (struct value){.text = text.at, .length = text.length, .type = VALUE_STRING};
      break;
    case 4:
      values[DOUBLE].type = VALUE_DOUBLE;
      read = expect_type(reader, &field, THRIFT_DOUBLE) && thrift_read_double(reader, &values[DOUBLE].real);
      break;
    case 5:
      values[BOOL] = (struct value){.boolean = field.type == THRIFT_TRUE, .type = VALUE_BOOL};
      read = field.type == THRIFT_TRUE || expect_type(reader, &field, THRIFT_FALSE);
      break;
    case 6:
      values[LONG].type = VALUE_INTEGER;
      read = read_integer(reader, &field, THRIFT_I64, &values[LONG].integer);
      break;
    case 7:
      values[BINARY].type = VALUE_OTHER;
      read = read_text(reader, &field, &text);
      break;
    default:
      read = thrift_skip(reader, field.type);
    }
  }
  if (type >= 0 && type < TYPES) tag->value = values[type];
  return read && !reader->error;
}

static uint8_t kind_named(const struct event_text *name) {
  static const char *const names[] = {
      [SPAN_KIND_UNSPECIFIED] = "",  [SPAN_KIND_INTERNAL] = "internal", [SPAN_KIND_SERVER] = "server",
      [SPAN_KIND_CLIENT] = "client", [SPAN_KIND_PRODUCER] = "producer", [SPAN_KIND_CONSUMER] = "consumer"};
  for (uint8_t kind = SPAN_KIND_INTERNAL; kind <= SPAN_KIND_CONSUMER; kind++)
    if (event_text_is(name, names[kind])) return kind;
  return SPAN_KIND_UNSPECIFIED;
}

static void note_tag(const struct tag *tag, struct event_fields *fields, struct span_status_tags *status) {
  const bool is_text = tag->value.type == VALUE_STRING;
  const struct event_text text = {.at = tag->value.text, .length = is_text ? tag->value.length : 0};
  if (event_text_is(&tag->key, "error"))
    status->error = is_text ? event_text_is(&text, "true") : tag->value.type == VALUE_BOOL && tag->value.boolean;
  if (!is_text) return;
  if (event_text_is(&tag->key, "span.kind")) fields->kind = kind_named(&text);
  if (event_text_is(&tag->key, "otel.status_code")) span_status_tags_code(status, &text);
}

static bool read_span_tags(struct decoder *decoder, const struct thrift_field *field, uint32_t row,
                           struct span_status_tags *status) {
  struct event_batch *batch = decoder->rows.batch;
  uint32_t count;
  if (!enter_structs(&decoder->reader, field, &count)) return false;
  for (struct tag tag; count > 0; count--) {
    if (!read_tag(&decoder->reader, &tag)) return false;
    note_tag(&tag, &batch->fields[row], status);
    event_batch_set(batch, row, span_row_column(&decoder->rows, tag.key.at, tag.key.length), &tag.value);
  }
  return true;
}

struct reference {
  int64_t type, trace_low, trace_high, span;
};

static bool read_reference(struct thrift_reader *reader, struct reference *reference) {
  struct thrift_field field = {.id = 0};
  bool read = true;
  *reference = (struct reference){.type = -1};
  while (read && thrift_next_field(reader, &field)) {
    if (field.id == 1) {
      read = read_integer(reader, &field, THRIFT_I32, &reference->type);
    } else if (field.id == 2) {
      read = read_integer(reader, &field, THRIFT_I64, &reference->trace_low);
    } else if (field.id == 3) {
      read = read_integer(reader, &field, THRIFT_I64, &reference->trace_high);
    } else if (field.id == 4) {
      read = read_integer(reader, &field, THRIFT_I64, &reference->span);
    } else {
      read = thrift_skip(reader, field.type);
    }
  }
  return read && !reader->error;
}

/* Both kinds of reference say what was before this span; a link to another trace does not. */
static bool find_parent(struct decoder *decoder, const struct event_fields *fields, struct span_parts *parts) {
  enum { CHILD_OF, FOLLOWS_FROM, TYPES };
  int64_t first[TYPES] = {0};
  struct thrift_reader *reader = &decoder->reader;
  const uint8_t *const after = reader->at;
  const struct thrift_field field = {.type = THRIFT_LIST};
  uint32_t count;
  reader->at = parts->references;
  if (!enter_structs(reader, &field, &count)) return false;
  for (struct reference reference; count > 0; count--) {
    uint8_t trace_id[16];
    if (!read_reference(reader, &reference)) return false;
    store_be64(trace_id, reference.trace_high);
    store_be64(trace_id + 8, reference.trace_low);
    if (reference.type < 0 || reference.type >= TYPES || memcmp(trace_id, fields->trace_id, sizeof trace_id) != 0) continue;
    if (first[reference.type] == 0) first[reference.type] = reference.span;
  }
  if (parts->parent_id == 0) parts->parent_id = first[CHILD_OF] ? first[CHILD_OF] : first[FOLLOWS_FROM];
  reader->at = after;
  return true;
}

static bool read_span_field(struct decoder *decoder, const struct thrift_field *field, uint32_t row, struct span_parts *parts) {
  struct thrift_reader *reader = &decoder->reader;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  int64_t integer;
  switch (field->id) {
  case 1:
  case 2:
    if (!read_integer(reader, field, THRIFT_I64, &integer)) return false;
    store_be64(fields->trace_id + (field->id == 1 ? 8 : 0), integer);
    return true;
  case 3:
    if (!read_integer(reader, field, THRIFT_I64, &integer)) return false;
    store_be64(fields->span_id, integer);
    return true;
  case 4:
    return read_integer(reader, field, THRIFT_I64, &parts->parent_id);
  case 5:
    return read_text(reader, field, &fields->name);
  case 6:
    parts->references = reader->at;
    return expect_type(reader, field, THRIFT_LIST) && thrift_skip(reader, THRIFT_LIST);
  case 7:
    return read_integer(reader, field, THRIFT_I32, &integer);
  case 8:
    return read_integer(reader, field, THRIFT_I64, &parts->start_us);
  case 9:
    return read_integer(reader, field, THRIFT_I64, &parts->duration_us);
  case 10:
    return read_span_tags(decoder, field, row, &parts->status);
  case 11:
    return expect_type(reader, field, THRIFT_LIST) && thrift_skip(reader, THRIFT_LIST);
  default:
    return thrift_skip(reader, field->type);
  }
}

static bool read_span(struct decoder *decoder) {
  const int row = span_row_begin(&decoder->rows);
  if (row < 0) return false;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  struct thrift_field field = {.id = 0};
  /* The ids' lengths are right whatever they are: one that is absent is 0, which is judged as such. */
  struct span_parts parts = {.ids = {sizeof fields->trace_id, sizeof fields->span_id, sizeof fields->parent_id}};
  while (thrift_next_field(&decoder->reader, &field))
    if (!read_span_field(decoder, &field, (uint32_t)row, &parts)) return false;
  if (decoder->reader.error || (parts.references && !find_parent(decoder, fields, &parts))) return false;
  store_be64(fields->parent_id, parts.parent_id);
  fields->status = span_status_of_tags(&parts.status);
  /* A start below 0 becomes one that is too large. */
  span_row_end_us(&decoder->rows, (uint32_t)row, &parts.ids, (uint64_t)parts.start_us,
                  parts.duration_us < 0 ? 0 : (uint64_t)parts.duration_us);
  return true;
}

static bool read_spans(struct decoder *decoder) {
  const struct thrift_field field = {.type = THRIFT_LIST};
  uint32_t count;
  if (!enter_structs(&decoder->reader, &field, &count)) return false;
  for (; count > 0; count--)
    if (!read_span(decoder)) return false;
  return true;
}

static bool read_process_tags(struct decoder *decoder, const struct thrift_field *field) {
  uint32_t count;
  if (!enter_structs(&decoder->reader, field, &count)) return false;
  for (struct tag tag; count > 0; count--) {
    if (!read_tag(&decoder->reader, &tag)) return false;
    span_resource_set(&decoder->rows, tag.key.at, tag.key.length, &tag.value);
  }
  return true;
}

static bool read_process(struct decoder *decoder) {
  static const char service_key[] = "service.name";
  struct thrift_reader *reader = &decoder->reader;
  struct thrift_field field = {.id = 0};
  struct event_text service = {.at = NULL};
  bool read = true;
  while (read && thrift_next_field(reader, &field)) {
    if (field.id == 1) {
      read = read_text(reader, &field, &service);
    } else if (field.id == 2) {
      read = read_process_tags(decoder, &field);
    } else {
      read = thrift_skip(reader, field.type);
    }
  }
  const struct value value = {.text = service.at, .length = service.length, .type = VALUE_STRING};
  if (service.length) span_resource_set(&decoder->rows, service_key, sizeof service_key - 1, &value);
  return read && !reader->error;
}

/* Every span needs the process, which may come behind them: then they are passed over first. */
static bool read_batch(struct decoder *decoder) {
  struct thrift_reader *reader = &decoder->reader;
  struct thrift_field field = {.id = 0};
  const uint8_t *passed_over = NULL;
  bool process = false, spans = false;
  while (thrift_next_field(reader, &field)) {
    bool read;
    if (field.id == 1) {
      if (process) return thrift_fail(reader, "a batch with two processes");
      process = true;
      read = expect_type(reader, &field, THRIFT_STRUCT) && read_process(decoder);
    } else if (field.id == 2) {
      if (spans) return thrift_fail(reader, "a batch with two lists of spans");
      spans = true;
      passed_over = process ? NULL : reader->at;
      read = expect_type(reader, &field, THRIFT_LIST) && (process ? read_spans(decoder) : thrift_skip(reader, THRIFT_LIST));
    } else {
      read = thrift_skip(reader, field.type);
    }
    if (!read) return false;
  }
  if (reader->error) return false;
  if (!process || !spans) return thrift_fail(reader, "a batch without process or spans");
  if (!passed_over) return true;
  const uint8_t *const after = reader->at;
  reader->at = passed_over;
  if (!read_spans(decoder)) return false;
  reader->at = after;
  return true;
}

static bool read_arguments(struct decoder *decoder) {
  struct thrift_reader *reader = &decoder->reader;
  struct thrift_field field = {.id = 0};
  bool batch = false;
  while (thrift_next_field(reader, &field)) {
    if (field.id != 1) {
      if (!thrift_skip(reader, field.type)) return false;
      continue;
    }
    if (batch) return thrift_fail(reader, "two batches in a call");
    batch = true;
    if (!expect_type(reader, &field, THRIFT_STRUCT) || !read_batch(decoder)) return false;
  }
  if (reader->error) return false;
  if (!batch) return thrift_fail(reader, "a call without a batch");
  return reader->at == reader->end || thrift_fail(reader, "bytes behind the message");
}

static enum jaeger_message read_head(struct thrift_reader *reader) {
  enum { PROTOCOL = 0x82, VERSION = 1, CALL = 1, ONEWAY = 4 };
  uint8_t protocol, type_and_version;
  uint64_t sequence;
  struct event_text method;
  if (!thrift_read_byte(reader, &protocol) || !thrift_read_byte(reader, &type_and_version)) return JAEGER_MALFORMED;
  if (protocol != PROTOCOL || (type_and_version & 0x1f) != VERSION) return JAEGER_OTHER_PROTOCOL;
  const uint8_t type = type_and_version >> 5;
  if (type != CALL && type != ONEWAY) return JAEGER_MALFORMED;
  if (!thrift_read_varint(reader, &sequence) || !thrift_read_binary(reader, &method)) return JAEGER_MALFORMED;
  return event_text_is(&method, "emitBatch") ? JAEGER_BATCH : JAEGER_OTHER_METHOD;
}

enum jaeger_message jaeger_message_of(const uint8_t *bytes, uint32_t length) {
  struct thrift_reader reader = {.start = bytes, .at = bytes, .end = bytes + length};
  return read_head(&reader);
}

void jaeger_decode_compact(const uint8_t *bytes, uint32_t length, struct event_batch *batch, const struct event_sink *sink,
                           struct span_result *result) {
  struct decoder decoder;
  struct thrift_reader *reader = &decoder.reader;
  *reader = (struct thrift_reader){.start = bytes, .at = bytes, .end = bytes + length};
  span_rows_begin(&decoder.rows, batch, sink, result);
  if (read_head(reader) != JAEGER_BATCH) thrift_fail(reader, "no call of emitBatch");
  const bool complete = !reader->error && read_arguments(&decoder);
  span_rows_end(&decoder.rows, complete, reader->error, (uint32_t)(reader->at - reader->start));
}
