#include "zipkin.h"
#include "hexadecimal.h"
#include "json_fields_internal.h"
#include "span_rows_internal.h"
#include "span_tags_internal.h"

/* Every function returns false once the reader failed or the sink had no room. */
struct decoder {
  struct span_rows rows;
  struct json_reader reader;
  int service_slot, peer_slot; /* of the attributes that endpoints give, or -1 */
};

/* What may come in any order and makes sense only together. */
struct span_parts {
  struct span_ids ids;
  struct span_status_tags status;
  struct event_text peer;
  uint64_t timestamp_us, duration_us;
  bool shared;
};

/* Text that is no id makes a bad id, not a bad request. */
static bool read_id(struct json_reader *reader, uint8_t *id, uint32_t id_bytes, uint32_t *length) {
  struct event_text text = {.at = "", .length = 0};
  char digits[32];
  if (!json_read_optional_text(reader, &text)) return false;
  *length = 0;
  if (text.length == 0) return true;
  *length = SPAN_ID_BAD;
  if (text.length > 2 * id_bytes) return true;
  memset(digits, '0', sizeof digits);
  memcpy(digits + 2 * id_bytes - text.length, text.at, text.length);
  if (hex_decode(digits, id_bytes, id)) *length = id_bytes;
  return true;
}

static bool read_kind(struct json_reader *reader, uint8_t *kind) {
  static const struct {
    const char *name;
    enum span_kind kind;
  } kinds[] = {{"CLIENT", SPAN_KIND_CLIENT},
               {"SERVER", SPAN_KIND_SERVER},
               {"PRODUCER", SPAN_KIND_PRODUCER},
               {"CONSUMER", SPAN_KIND_CONSUMER}};
  struct event_text text = {.at = "", .length = 0};
  if (!json_read_optional_text(reader, &text)) return false;
  *kind = SPAN_KIND_UNSPECIFIED;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (event_text_is(&text, kinds[i].name)) *kind = (uint8_t)kinds[i].kind;
  return true;
}

/* The name of the service there; null when there is none. */
static bool read_endpoint(struct json_reader *reader, struct event_text *service) {
  struct event_text name;
  *service = (struct event_text){.at = NULL};
  if (json_read_absent(reader)) return true;
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &name)) {
    if (event_text_is(&name, "serviceName") ? !json_read_optional_text(reader, service) : !json_skip(reader)) return false;
  }
  if (service->length == 0) service->at = NULL;
  return !reader->error;
}

/* The value of a tag as text: a string's content, else the bytes as they are written. */
static bool read_tag_text(struct json_reader *reader, struct event_text *text) {
  const enum json_type type = json_peek(reader);
  if (type == JSON_STRING) return json_read_string(reader, text);
  if (type == JSON_NUMBER) return json_read_number_text(reader, text);
  if (type != JSON_BOOL) return json_fail(reader, "a tag is text");
  bool ignored;
  text->at = (const char *)reader->at;
  if (!json_read_bool(reader, &ignored)) return false;
  text->length = (uint32_t)((const char *)reader->at - text->at);
  return true;
}

static void set_text(struct decoder *decoder, uint32_t row, int slot, const struct event_text *text) {
  const struct value value = {.text = text->at, .length = text->length, .type = VALUE_STRING};
  event_batch_set(decoder->rows.batch, row, slot, &value);
}

static bool read_tags(struct decoder *decoder, uint32_t row, struct span_status_tags *status) {
  struct json_reader *reader = &decoder->reader;
  struct event_text key, text;
  if (json_read_absent(reader)) return true;
  if (!json_enter_object(reader)) return false;
  while (json_next_member(reader, &key)) {
    if (json_read_absent(reader)) continue;
    if (!read_tag_text(reader, &text)) return false;
    if (event_text_is(&key, "error")) status->error = !event_text_is(&text, "false");
    if (event_text_is(&key, "otel.status_code")) span_status_tags_code(status, &text);
    set_text(decoder, row, span_row_column(&decoder->rows, key.at, key.length), &text);
  }
  return !reader->error;
}

static bool read_shared(struct json_reader *reader, bool *shared) {
  *shared = false;
  return json_read_absent(reader) || json_read_bool(reader, shared);
}

static bool read_member(struct decoder *decoder, uint32_t row, const struct event_text *name, struct span_parts *parts) {
  struct json_reader *reader = &decoder->reader;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  if (event_text_is(name, "traceId"))
    return read_id(reader, fields->trace_id, sizeof fields->trace_id, &parts->ids.trace_id_bytes);
  if (event_text_is(name, "id")) return read_id(reader, fields->span_id, sizeof fields->span_id, &parts->ids.span_id_bytes);
  if (event_text_is(name, "parentId"))
    return read_id(reader, fields->parent_id, sizeof fields->parent_id, &parts->ids.parent_id_bytes);
  if (event_text_is(name, "name")) return json_read_optional_text(reader, &fields->name);
  if (event_text_is(name, "kind")) return read_kind(reader, &fields->kind);
  if (event_text_is(name, "timestamp")) return json_read_optional_unsigned(reader, &parts->timestamp_us);
  if (event_text_is(name, "duration")) return json_read_optional_unsigned(reader, &parts->duration_us);
  if (event_text_is(name, "localEndpoint")) return read_endpoint(reader, &fields->service);
  if (event_text_is(name, "remoteEndpoint")) return read_endpoint(reader, &parts->peer);
  if (event_text_is(name, "tags")) return read_tags(decoder, row, &parts->status);
  if (event_text_is(name, "shared")) return read_shared(reader, &parts->shared);
  return json_skip(reader);
}

static void finish_span(struct decoder *decoder, uint32_t row, struct span_parts *parts) {
  const struct event_batch *batch = decoder->rows.batch;
  struct event_fields *fields = &decoder->rows.batch->fields[row];
  fields->status = span_status_of_tags(&parts->status);
  if (fields->service.at) set_text(decoder, row, decoder->service_slot, &fields->service);
  if (parts->peer.at && decoder->peer_slot >= 0 &&
      event_batch_value(batch, row, (uint32_t)decoder->peer_slot)->type == VALUE_NULL)
    set_text(decoder, row, decoder->peer_slot, &parts->peer);
  if (parts->shared && parts->ids.parent_id_bytes == 0) {
    memcpy(fields->parent_id, fields->span_id, sizeof fields->parent_id);
    parts->ids.parent_id_bytes = sizeof fields->parent_id;
  }
  span_row_end_us(&decoder->rows, row, &parts->ids, parts->timestamp_us, parts->duration_us);
}

static bool read_span(struct decoder *decoder) {
  struct json_reader *reader = &decoder->reader;
  struct event_text name;
  struct span_parts parts = {.timestamp_us = 0};
  if (!json_enter_object(reader)) return false;
  const int row = span_row_begin(&decoder->rows);
  if (row < 0) return false;
  while (json_next_member(reader, &name)) {
    if (!read_member(decoder, (uint32_t)row, &name, &parts)) return false;
  }
  if (!reader->error) finish_span(decoder, (uint32_t)row, &parts);
  return !reader->error;
}

static bool read_spans(struct decoder *decoder) {
  if (!json_enter_array(&decoder->reader)) return false;
  while (json_next_element(&decoder->reader)) {
    if (!read_span(decoder)) return false;
  }
  return json_finish(&decoder->reader);
}

void zipkin_decode_json(const uint8_t *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes, struct event_batch *batch,
                        const struct event_sink *sink, struct span_result *result) {
  static const char service_key[] = "service.name", peer_key[] = "peer.service";
  struct decoder decoder;
  json_begin(&decoder.reader, body, bytes, scratch, scratch_bytes);
  span_rows_begin(&decoder.rows, batch, sink, result);
  decoder.service_slot = event_column_find(batch->image, EVENT_SPAN, SCOPE_RESOURCE, service_key, sizeof service_key - 1);
  decoder.peer_slot = span_row_column(&decoder.rows, peer_key, sizeof peer_key - 1);
  const bool complete = read_spans(&decoder);
  span_rows_end(&decoder.rows, complete, decoder.reader.error, decoder.reader.error_offset);
  if (result->outcome == SPANS_DECODED && result->spans > 0 && span_result_rejected(result) == result->spans) {
    result->outcome = SPANS_MALFORMED;
    result->error = "no span has a traceId, an id and times that are possible";
  }
}
