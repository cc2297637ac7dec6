/* OTLP protobuf beside a decoder that was generated from the schema: both take the request or neither, and each span is the same
 * row. No comparison are attributes with something wrong in them (ours does not look into those that no rule reads), groups (the
 * other does not know them), varints beyond 64 bits, field number 0 and booleans of another wire type (only ours refuses them).
 */
#include "always_assert.h"
#include "image_fixture.h"
#include "otlp.h"
#include "trace.pb-c.h"
#include <stdlib.h>
#include <string.h>

#define SPANS_MAX 2048u
#define COLUMNS 5u
#define SPAN_COLUMNS 3u

static const struct fixture_column columns[COLUMNS] = {{SCOPE_SPAN, "k"},
                                                       {SCOPE_SPAN, "http.request.method"},
                                                       {SCOPE_SPAN, ""},
                                                       {SCOPE_RESOURCE, "service.name"},
                                                       {SCOPE_RESOURCE, "k"}};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

struct expected {
  const Trace__Span *span;
  const Trace__Resource *resource;
};

struct comparison {
  uint32_t expected_count, rejected, seen;
  bool vague; /* an attribute is malformed, or there are too many spans */
  struct expected expected[SPANS_MAX];
};

static bool bytes_equal(ProtobufCBinaryData a, const void *at, size_t length) {
  return a.len == length && (length == 0 || memcmp(a.data, at, length) == 0);
}

static bool all_zero(ProtobufCBinaryData data) {
  for (size_t i = 0; i < data.len; i++)
    if (data.data[i]) return false;
  return true;
}

static bool acceptable(const Trace__Span *span) {
  return span->trace_id.len == 16 && !all_zero(span->trace_id) && span->span_id.len == 8 && !all_zero(span->span_id) &&
         (span->parent_span_id.len == 0 || span->parent_span_id.len == 8);
}

static bool value_equal(const Trace__AnyValue *expected, const struct value *value) {
  if (!expected) return value->type == VALUE_NULL;
  switch (expected->value_case) {
  case TRACE__ANY_VALUE__VALUE_STRING_VALUE:
    return value->type == VALUE_STRING && bytes_equal(expected->string_value, value->text, value->length);
  case TRACE__ANY_VALUE__VALUE_BOOL_VALUE:
    return value->type == VALUE_BOOL && value->boolean == (expected->bool_value != 0);
  case TRACE__ANY_VALUE__VALUE_INT_VALUE:
    return value->type == VALUE_INTEGER && value->integer == expected->int_value;
  case TRACE__ANY_VALUE__VALUE_DOUBLE_VALUE:
    return value->type == VALUE_DOUBLE && memcmp(&value->real, &expected->double_value, sizeof value->real) == 0;
  case TRACE__ANY_VALUE__VALUE__NOT_SET:
    return value->type == VALUE_NULL;
  default:
    return value->type == VALUE_OTHER;
  }
}

/* The last attribute of that key counts. */
static bool span_column_equal(const Trace__Span *span, const char *key, const struct value *value) {
  for (size_t i = span->n_attributes; i-- > 0;) {
    Trace__KeyValue *attribute = trace__key_value__unpack(NULL, span->attributes[i].len, span->attributes[i].data);
    const bool found = bytes_equal(attribute->key, key, strlen(key));
    const bool equal = found && value_equal(attribute->value, value);
    trace__key_value__free_unpacked(attribute, NULL);
    if (found) return equal;
  }
  return value->type == VALUE_NULL;
}

static const Trace__AnyValue *resource_value(const Trace__Resource *resource, const char *key) {
  for (size_t i = resource ? resource->n_attributes : 0; i-- > 0;)
    if (bytes_equal(resource->attributes[i]->key, key, strlen(key))) return resource->attributes[i]->value;
  return NULL;
}

static bool service_equal(const Trace__Resource *resource, const struct event_text *service) {
  const Trace__AnyValue *value = resource_value(resource, "service.name");
  if (!value || value->value_case != TRACE__ANY_VALUE__VALUE_STRING_VALUE) return service->at == NULL;
  return service->at != NULL && bytes_equal(value->string_value, service->at, service->length);
}

static void compare_fields(const Trace__Span *span, const struct event_fields *fields) {
  const bool parent = !all_zero(span->parent_span_id);
  const int32_t kind = span->kind >= 0 && span->kind <= 5 ? span->kind : 0;
  const int32_t status = span->status && span->status->code >= 0 && span->status->code <= 2 ? span->status->code : 0;
  ALWAYS_ASSERT(bytes_equal(span->trace_id, fields->trace_id, 16) && bytes_equal(span->span_id, fields->span_id, 8));
  ALWAYS_ASSERT(fields->has_parent == parent && (!parent || bytes_equal(span->parent_span_id, fields->parent_id, 8)));
  ALWAYS_ASSERT(bytes_equal(span->name, fields->name.at, fields->name.length));
  ALWAYS_ASSERT(fields->kind == kind && fields->status == status);
  ALWAYS_ASSERT(fields->start_ns == span->start_time_unix_nano && fields->end_ns == span->end_time_unix_nano);
}

static bool compare_batch(void *context, struct event_batch *batch) {
  struct comparison *comparison = context;
  for (uint32_t row = 0; row < batch->count; row++) {
    if (comparison->seen == comparison->expected_count) break; /* counted below */
    const struct expected *expected = &comparison->expected[comparison->seen++];
    const struct event_fields *fields = &batch->fields[row];
    compare_fields(expected->span, fields);
    ALWAYS_ASSERT(service_equal(expected->resource, &fields->service));
    for (uint32_t slot = 0; slot < COLUMNS; slot++) {
      const struct value *value = event_batch_value(batch, row, slot);
      ALWAYS_ASSERT(slot < SPAN_COLUMNS ? span_column_equal(expected->span, columns[slot].key, value)
                                        : value_equal(resource_value(expected->resource, columns[slot].key), value));
    }
  }
  batch->count = 0;
  return true;
}

static void expect_span(struct comparison *comparison, const Trace__Span *span, const Trace__Resource *resource) {
  for (size_t i = 0; i < span->n_attributes; i++) {
    Trace__KeyValue *attribute = trace__key_value__unpack(NULL, span->attributes[i].len, span->attributes[i].data);
    if (!attribute) comparison->vague = true;
    trace__key_value__free_unpacked(attribute, NULL);
  }
  if (!acceptable(span)) {
    comparison->rejected++;
  } else if (comparison->expected_count == SPANS_MAX) {
    comparison->vague = true;
  } else {
    comparison->expected[comparison->expected_count++] = (struct expected){span, resource};
  }
}

static void expect_request(struct comparison *comparison, const Trace__Request *request) {
  for (size_t i = 0; i < request->n_resource_spans; i++) {
    const Trace__ResourceSpans *resource_spans = request->resource_spans[i];
    for (size_t j = 0; j < resource_spans->n_scope_spans; j++)
      for (size_t k = 0; k < resource_spans->scope_spans[j]->n_spans; k++)
        expect_span(comparison, resource_spans->scope_spans[j]->spans[k], resource_spans->resource);
  }
}

/* False when it is cut off, or has bits beyond the 64th. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
    const uint8_t byte = *(*at)++;
    if (shift == 63 && byte > 1) return false;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/* Whether the two may differ: a group, a varint or a field number that is none. Level 0 is the request, 5 an AnyValue or a
 * Status. */
static bool ambiguous(const uint8_t *at, const uint8_t *end, unsigned level) {
  static const uint32_t inner[6] = {1u << 1, 1u << 1 | 1u << 2, 1u << 1 | 1u << 2, 1u << 9 | 1u << 15 | 1u << 2, 1u << 2, 0};
  /* The other merges a message with one that came before, but not always. */
  static const uint32_t once[6] = {0, 1u << 1, 0, 1u << 2 | 1u << 15, 1u << 2, 0};
  uint32_t seen = 0;
  while (at < end) {
    uint64_t tag, value;
    const uint8_t *start = at;
    if (!read_varint(&at, end, &tag) || at - start > 5 || tag < 8 || tag > UINT32_MAX || (tag & 7) == 3) return true;
    const uint32_t field = tag >> 3 < 32 ? 1u << (tag >> 3) : 0;
    if (seen & field & once[level]) return true;
    seen |= field;
    if (level == 5 && tag >> 3 == 2 && (tag & 7) != 0) return true;
    if ((tag & 7) == 1) at += end - at < 8 ? end - at : 8;
    if ((tag & 7) == 5) at += end - at < 4 ? end - at : 4;
    if ((tag & 7) != 0 && (tag & 7) != 2) continue;
    if (!read_varint(&at, end, &value)) return true;
    if ((tag & 7) == 0) continue;
    if (value > (uint64_t)(end - at)) return false;
    if (level < 5 && (inner[level] & field) && ambiguous(at, at + value, level + 1)) return true;
    at += value;
  }
  return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct image_fixture *fixture;
  static struct comparison comparison;
  if (!fixture) fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  comparison.expected_count = comparison.rejected = comparison.seen = 0;
  comparison.vague = false;
  Trace__Request *request = trace__request__unpack(NULL, length, bytes);
  if (request) expect_request(&comparison, request);
  /* A copy of its own size: one byte beyond it is found. */
  uint8_t *body = malloc(length ? length : 1);
  if (!body) abort();
  if (length) memcpy(body, bytes, length);
  const struct event_sink sink = {.context = &comparison, .evaluate = compare_batch};
  struct span_result result;
  if (ambiguous(bytes, bytes + length, 0)) comparison.vague = true;
  if (request && !comparison.vague) {
    otlp_decode_protobuf(body, (uint32_t)length, &fixture->batch, &sink, &result);
    ALWAYS_ASSERT(result.outcome == SPANS_DECODED && comparison.seen == comparison.expected_count);
    ALWAYS_ASSERT(result.spans == (uint64_t)comparison.expected_count + comparison.rejected);
  } else if (!comparison.vague) {
    otlp_decode_protobuf(body, (uint32_t)length, &fixture->batch, &sink, &result);
    ALWAYS_ASSERT(result.outcome == SPANS_MALFORMED);
  }
  free(body);
  trace__request__free_unpacked(request, NULL);
  return 0;
}
