/* Both decoders against a model: the same random requests, encoded either way, must give exactly the model's rows. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include "otlp_model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "http.request.method"},
    {SCOPE_SPAN, "amount"},
    {SCOPE_SPAN, ""},
    {SCOPE_RESOURCE, "deployment.zone"},
    {SCOPE_RESOURCE, "service.name"},
    {SCOPE_RESOURCE, "amount"},
    {SCOPE_SPAN, "\xe2\x82\xac\"\\\x01"},
    /* Same length, middle and end as the first: keys that a cheap mark cannot tell apart. */
    {SCOPE_SPAN, "xttp.request.method"},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static const char *const keys[] = {"http.request.method",
                                   "amount",
                                   "",
                                   "deployment.zone",
                                   "service.name",
                                   "\xe2\x82\xac\"\\\x01",
                                   "not.read",
                                   "http.request.methoc",
                                   "xttp.request.method",
                                   "yttp.request.method"};
static const char *const texts[] = {"",
                                    "GET",
                                    "a longer text with \"quotes\", a \\ and \n a line",
                                    "\xe2\x82\xac\xf0\x9f\x98\x80",
                                    "checkout",
                                    "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901"
                                    "23456789012345678901234567890123456"
                                    "789 more than 127 bytes"};
static const double reals[] = {0.0, -0.0, 1.5, 0.1, 1e300, 5e-324, 1.7976931348623157e308, -123456.789, 9007199254740993.0};
static const int64_t integers[] = {0, 1, -1, 127, 128, INT64_MAX, INT64_MIN, 9007199254740993};
static const uint64_t times[] = {0, 1, 1544712660300000000u, INT64_MAX, UINT64_MAX};

#define PICK(list, seed) (list)[(size_t)rand_r(seed) % (sizeof(list) / sizeof *(list))]

static struct value random_value(unsigned *seed) {
  struct value value = {.type = (enum value_type)(rand_r(seed) % (VALUE_OTHER + 1))};
  switch (value.type) {
  case VALUE_BOOL:
    value.boolean = rand_r(seed) & 1;
    break;
  case VALUE_INTEGER:
    value.integer = PICK(integers, seed);
    break;
  case VALUE_DOUBLE:
    value.real = rand_r(seed) % 8 ? PICK(reals, seed) : rand_r(seed) & 1 ? (double)INFINITY : -(double)INFINITY;
    break;
  case VALUE_STRING:
    value.text = PICK(texts, seed);
    value.length = (uint32_t)strlen(value.text);
    break;
  default:
    break;
  }
  return value;
}

static uint32_t random_attributes(struct model_attribute *attributes, unsigned *seed) {
  const uint32_t count = (uint32_t)rand_r(seed) % (MODEL_ATTRIBUTES_MAX + 1);
  for (uint32_t i = 0; i < count; i++) {
    const char *key = PICK(keys, seed);
    attributes[i] = (struct model_attribute){.key = {.at = key, .length = (uint32_t)strlen(key)}, .value = random_value(seed)};
  }
  return count;
}

static uint32_t random_id(uint8_t *id, uint32_t bytes, bool optional, unsigned *seed) {
  for (uint32_t i = 0; i < bytes + 4; i++) id[i] = (uint8_t)rand_r(seed);
  if (optional && rand_r(seed) % 2) return 0;
  switch (rand_r(seed) % 24) {
  case 0:
    return 0;
  case 1:
    return bytes - 1;
  case 2:
    return bytes + 1;
  case 3:
    memset(id, 0, bytes);
    return bytes;
  default:
    return bytes;
  }
}

static void random_span(struct model_span *span, unsigned *seed) {
  span->trace_id_bytes = random_id(span->trace_id, 16, false, seed);
  span->span_id_bytes = random_id(span->span_id, 8, false, seed);
  span->parent_id_bytes = random_id(span->parent_id, 8, true, seed);
  span->name.at = PICK(texts, seed);
  span->name.length = (uint32_t)strlen(span->name.at);
  span->kind = rand_r(seed) % 8 - 1;
  span->status = rand_r(seed) % 5 - 1;
  span->start_ns = PICK(times, seed);
  span->end_ns = PICK(times, seed);
  span->attribute_count = random_attributes(span->attributes, seed);
}

static bool all_zero(const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (bytes[i]) return false;
  return true;
}

/* What is wrong with the span, or SPAN_REJECTS. */
static enum span_reject verdict(const struct model_span *span) {
  if (span->trace_id_bytes != 16 || all_zero(span->trace_id, 16)) return SPAN_REJECT_TRACE_ID;
  if (span->span_id_bytes != 8 || all_zero(span->span_id, 8)) return SPAN_REJECT_SPAN_ID;
  if (span->parent_id_bytes != 0 && span->parent_id_bytes != 8) return SPAN_REJECT_PARENT_ID;
  return SPAN_REJECTS;
}

static const struct value *last_of(const struct model_attribute *attributes, uint32_t count, const char *key) {
  for (uint32_t i = count; i-- > 0;)
    if (attributes[i].key.length == strlen(key) && memcmp(attributes[i].key.at, key, strlen(key)) == 0)
      return &attributes[i].value;
  return NULL;
}

static void assert_same_value(const struct value *got, const struct value *expected) {
  static const struct value null = {.type = VALUE_NULL};
  if (!expected) expected = &null;
  assert_int_equal(got->type, expected->type);
  switch (expected->type) {
  case VALUE_BOOL:
    assert_int_equal(got->boolean, expected->boolean);
    break;
  case VALUE_INTEGER:
  case VALUE_DOUBLE:
    assert_memory_equal(&got->integer, &expected->integer, sizeof got->integer);
    break;
  case VALUE_STRING:
    assert_int_equal(got->length, expected->length);
    assert_memory_equal(got->text, expected->text, expected->length);
    break;
  default:
    break;
  }
}

static void assert_same_row(const struct captured_row *row, const struct model_resource *resource,
                            const struct model_span *span) {
  const struct event_fields *fields = &row->fields;
  assert_memory_equal(fields->trace_id, span->trace_id, 16);
  assert_memory_equal(fields->span_id, span->span_id, 8);
  assert_int_equal(fields->has_parent, span->parent_id_bytes == 8 && !all_zero(span->parent_id, 8));
  if (fields->has_parent) assert_memory_equal(fields->parent_id, span->parent_id, 8);
  assert_int_equal(fields->kind, span->kind >= 0 && span->kind <= 5 ? span->kind : 0);
  assert_int_equal(fields->status, span->status >= 0 && span->status <= 2 ? span->status : 0);
  assert_int_equal(fields->name.length, span->name.length);
  assert_memory_equal(fields->name.at, span->name.at, span->name.length);
  assert_true(fields->start_ns == span->start_ns && fields->end_ns == span->end_ns);
  const struct value *service = last_of(resource->attributes, resource->attribute_count, "service.name");
  assert_int_equal(fields->service.at != NULL, service && service->type == VALUE_STRING);
  if (fields->service.at) {
    assert_int_equal(fields->service.length, service->length);
    assert_memory_equal(fields->service.at, service->text, service->length);
  }
  for (size_t slot = 0; slot < COLUMNS; slot++) {
    const bool of_span = columns[slot].scope == SCOPE_SPAN;
    assert_same_value(&row->columns[slot],
                      last_of(of_span ? span->attributes : resource->attributes,
                              of_span ? span->attribute_count : resource->attribute_count, columns[slot].key));
  }
}

static void assert_rows_are_the_models(const struct captured_rows *captured, const struct model_resource *resources,
                                       uint32_t count) {
  uint32_t row = 0;
  uint64_t spans = 0, rejected[SPAN_REJECTS + 1] = {0};
  assert_int_equal(captured->result.outcome, SPANS_DECODED);
  for (uint32_t r = 0; r < count; r++) {
    for (uint32_t i = 0; i < resources[r].span_count; i++, spans++) {
      const enum span_reject reject = verdict(&resources[r].spans[i]);
      rejected[reject]++;
      if (reject != SPAN_REJECTS) continue;
      assert_in_range(row + 1, 1, captured->count);
      assert_same_row(&captured->rows[row++], &resources[r], &resources[r].spans[i]);
    }
  }
  assert_int_equal(row, captured->count);
  assert_int_equal(captured->result.spans, spans);
  for (int reject = 0; reject < SPAN_REJECTS; reject++) assert_int_equal(captured->result.rejected[reject], rejected[reject]);
}

#define RESOURCES_MAX 4
#define SPANS_MAX 200

struct request {
  struct model_resource resources[RESOURCES_MAX];
  struct model_span spans[RESOURCES_MAX * SPANS_MAX];
  uint32_t count;
};

static void random_request(struct request *request, uint32_t spans_most, unsigned *seed) {
  request->count = (uint32_t)rand_r(seed) % (RESOURCES_MAX + 1);
  for (uint32_t r = 0; r < request->count; r++) {
    struct model_resource *resource = &request->resources[r];
    resource->attribute_count = random_attributes(resource->attributes, seed);
    resource->span_count = (uint32_t)rand_r(seed) % (spans_most + 1);
    resource->spans = request->spans + r * SPANS_MAX;
    for (uint32_t i = 0; i < resource->span_count; i++) random_span(&resource->spans[i], seed);
  }
}

static void encode(const struct request *request, enum otlp_encoding encoding, unsigned *seed, struct model_bytes *body) {
  if (encoding == OTLP_JSON) {
    model_encode_json(request->resources, request->count, seed, body);
  } else {
    model_encode_protobuf(request->resources, request->count, seed, body);
  }
}

static void check(const struct request *request, struct image_fixture *fixture, unsigned *seed) {
  for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
    struct model_bytes body = {0};
    struct captured_rows captured;
    encode(request, (enum otlp_encoding)encoding, seed, &body);
    captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, body.length, UINT32_MAX);
    if (captured.result.error)
      print_error("%s at %u of %zu: %.*s\n", captured.result.error, captured.result.error_offset, body.length,
                  encoding == OTLP_JSON ? (int)body.length : 0, (const char *)body.at);
    assert_rows_are_the_models(&captured, request->resources, request->count);
    captured_free(&captured);
    model_free(&body);
  }
}

static struct request request;

static void random_requests_decode_to_the_models_rows(void **state) {
  (void)state;
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  unsigned seed = 1;
  for (unsigned round = 0; round < 4000; round++) {
    random_request(&request, 4, &seed);
    check(&request, fixture, round % 8 ? &seed : NULL);
  }
  image_fixture_destroy(fixture);
}

static void long_requests_cross_batches(void **state) {
  (void)state;
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  unsigned seed = 2;
  for (unsigned round = 0; round < 60; round++) {
    random_request(&request, SPANS_MAX, &seed);
    check(&request, fixture, round % 2 ? &seed : NULL);
  }
  image_fixture_destroy(fixture);
}

static void one_good_resource(uint32_t spans, unsigned *seed) {
  request.count = 1;
  request.resources[0] = (struct model_resource){.span_count = spans, .spans = request.spans};
  for (uint32_t i = 0; i < spans; i++) {
    do {
      random_span(&request.spans[i], seed);
    } while (verdict(&request.spans[i]) != SPAN_REJECTS);
  }
}

static void batches_are_full_but_for_the_last(void **state) {
  (void)state;
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  static const uint32_t spans[] = {0, 1, 63, 64, 65, 128, 129};
  unsigned seed = 3;
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
      struct model_bytes body = {0};
      struct captured_rows captured;
      one_good_resource(spans[i], &seed);
      encode(&request, (enum otlp_encoding)encoding, NULL, &body);
      captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, body.length, UINT32_MAX);
      assert_int_equal(captured.count, spans[i]);
      assert_int_equal(captured.batches, (spans[i] + 63) / 64);
      captured_free(&captured);
      model_free(&body);
    }
  }
  image_fixture_destroy(fixture);
}

static void a_sink_without_room_stops_decoding(void **state) {
  (void)state;
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  unsigned seed = 4;
  one_good_resource(150, &seed);
  for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
    struct model_bytes body = {0};
    encode(&request, (enum otlp_encoding)encoding, NULL, &body);
    for (uint32_t refuse_after = 0; refuse_after < 4; refuse_after++) {
      struct captured_rows captured;
      captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, body.length, refuse_after);
      assert_int_equal(captured.result.outcome, refuse_after < 3 ? SPANS_NO_ROOM : SPANS_DECODED);
      assert_int_equal(captured.batches, refuse_after < 3 ? refuse_after + 1 : 3);
      assert_int_equal(captured.result.spans, refuse_after < 2 ? 64 * (refuse_after + 1) : 150);
      captured_free(&captured);
    }
    model_free(&body);
  }
  image_fixture_destroy(fixture);
}

static void without_columns_or_image_only_fields_are_filled(void **state) {
  (void)state;
  unsigned seed = 5;
  one_good_resource(3, &seed);
  for (int with_image = 0; with_image < 2; with_image++) {
    struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, NULL, 0);
    if (!with_image) fixture->batch.image = NULL;
    for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
      struct model_bytes body = {0};
      struct captured_rows captured;
      encode(&request, (enum otlp_encoding)encoding, &seed, &body);
      captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, body.length, UINT32_MAX);
      assert_int_equal(captured.result.outcome, SPANS_DECODED);
      assert_int_equal(captured.count, 3);
      assert_memory_equal(captured.rows[2].fields.trace_id, request.spans[2].trace_id, 16);
      captured_free(&captured);
      model_free(&body);
    }
    image_fixture_destroy(fixture);
  }
}

/* Cut or changed anywhere: an answer, no over-read, and never more rows than spans. */
static void damaged_bodies_are_survived(void **state) {
  (void)state;
  struct image_fixture *fixture = image_fixture_create(EVENT_SPAN, columns, COLUMNS);
  unsigned seed = 6;
  unsigned malformed = 0;
  for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
    for (unsigned round = 0; round < 6; round++) {
      struct model_bytes body = {0};
      struct captured_rows captured;
      one_good_resource(3, &seed);
      encode(&request, (enum otlp_encoding)encoding, &seed, &body);
      for (size_t length = 0; length < body.length; length++) {
        captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, length, UINT32_MAX);
        if (encoding == OTLP_JSON) assert_int_equal(captured.result.outcome, SPANS_MALFORMED);
        malformed += captured.result.outcome == SPANS_MALFORMED;
        captured_free(&captured);
      }
      for (unsigned change = 0; change < 2000; change++) {
        const size_t at = (size_t)rand_r(&seed) % body.length;
        const uint8_t before = body.at[at];
        body.at[at] = (uint8_t)rand_r(&seed);
        captured_decode(&captured, fixture, (enum otlp_encoding)encoding, body.at, body.length, UINT32_MAX);
        uint64_t rejected = 0;
        for (int reject = 0; reject < SPAN_REJECTS; reject++) rejected += captured.result.rejected[reject];
        if (captured.result.outcome == SPANS_DECODED) assert_int_equal(captured.result.spans, captured.count + rejected);
        captured_free(&captured);
        body.at[at] = before;
      }
      model_free(&body);
    }
  }
  assert_in_range(malformed, 1000, UINT32_MAX);
  image_fixture_destroy(fixture);
}

int main(void) {
  const struct CMUnitTest otlp_decode[] = {
      cmocka_unit_test(random_requests_decode_to_the_models_rows),
      cmocka_unit_test(long_requests_cross_batches),
      cmocka_unit_test(batches_are_full_but_for_the_last),
      cmocka_unit_test(a_sink_without_room_stops_decoding),
      cmocka_unit_test(without_columns_or_image_only_fields_are_filled),
      cmocka_unit_test(damaged_bodies_are_survived),
  };
  return cmocka_run_group_tests(otlp_decode, NULL, NULL);
}
