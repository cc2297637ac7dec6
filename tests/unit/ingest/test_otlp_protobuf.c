/* The wire, byte by byte: what an encoder of ours would never write. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include "otlp_model.h"
#include <string.h>

static const struct fixture_column columns[] = {
    {SCOPE_SPAN, "k"}, {SCOPE_SPAN, "other"}, {SCOPE_RESOURCE, "zone"}, {SCOPE_RESOURCE, "service.name"}};
static struct image_fixture *fixture;

static int setup(void **state) {
  (void)state;
  fixture = image_fixture_create(EVENT_SPAN, columns, sizeof columns / sizeof *columns);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  image_fixture_destroy(fixture);
  return 0;
}

#define IDS                                                                                                                      \
  "\x0a\x10"                                                                                                                     \
  "0123456789abcdef"                                                                                                             \
  "\x12\x08"                                                                                                                     \
  "spanspan"
#define LITERAL(text) text, sizeof(text) - 1

/* ExportTraceServiceRequest{ResourceSpans{`resource_level`, ScopeSpans{Span{`span`}}}} */
static void decode_nested(struct captured_rows *captured, const void *resource_level, size_t resource_bytes, const void *span,
                          size_t span_bytes) {
  struct model_bytes scope = {0}, resource = {0}, request = {0};
  model_put_field(&scope, 2, span, span_bytes);
  model_put_field(&resource, 2, scope.at, scope.length);
  model_put(&resource, resource_level, resource_bytes);
  model_put_field(&request, 1, resource.at, resource.length);
  captured_decode(captured, fixture, OTLP_PROTOBUF, request.at, request.length, UINT32_MAX);
  model_free(&scope);
  model_free(&resource);
  model_free(&request);
}

static enum span_outcome outcome_of_span(const void *span, size_t bytes) {
  struct captured_rows captured;
  decode_nested(&captured, "", 0, span, bytes);
  const enum span_outcome outcome = captured.result.outcome;
  captured_free(&captured);
  return outcome;
}

static enum span_outcome outcome_of(const void *body, size_t bytes) {
  struct captured_rows captured;
  captured_decode(&captured, fixture, OTLP_PROTOBUF, body, bytes, UINT32_MAX);
  const enum span_outcome outcome = captured.result.outcome;
  captured_free(&captured);
  return outcome;
}

static void an_empty_body_is_an_empty_request(void **state) {
  (void)state;
  struct captured_rows captured;
  captured_decode(&captured, fixture, OTLP_PROTOBUF, "", 0, UINT32_MAX);
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_int_equal(captured.batches, 0);
  captured_free(&captured);
  assert_int_equal(outcome_of(LITERAL("\x0a\x00")), SPANS_DECODED);
  assert_int_equal(outcome_of(LITERAL("\x0a\x02\x12\x00")), SPANS_DECODED);
}

/* A span as the Go SDK writes it, bytes written by hand from trace.proto. */
static void a_golden_request_decodes(void **state) {
  (void)state;
  static const uint8_t request[] =
      "\x0a\x70"                                                 /* resource_spans */
      "\x0a\x18\x0a\x16\x0a\x0cservice.name\x12\x06\x0a\x04shop" /* resource{attributes{service.name = shop}} */
      "\x12\x54\x0a\x04\x0a\x02go"                               /* scope_spans{scope{name} */
      "\x12\x4c"                                                 /* spans */
      IDS "\x22\x08parentid"                                     /* parent_span_id */
      "\x2a\x02hi\x30\x02"                                       /* name, kind = server */
      "\x39\x01\x02\x00\x00\x00\x00\x00\x00"                     /* start */
      "\x41\xff\x00\x00\x00\x00\x00\x00\x80"                     /* end */
      "\x4a\x08\x0a\x01k\x12\x03\x18\xac\x02"                    /* k = 300 */
      "\x7a\x02\x18\x02";                                        /* status{error} */
  struct captured_rows captured;
  captured_decode(&captured, fixture, OTLP_PROTOBUF, request, sizeof request - 1, UINT32_MAX);
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_int_equal(captured.count, 1);
  const struct event_fields *fields = &captured.rows[0].fields;
  assert_memory_equal(fields->trace_id, "0123456789abcdef", 16);
  assert_memory_equal(fields->span_id, "spanspan", 8);
  assert_true(fields->has_parent);
  assert_memory_equal(fields->parent_id, "parentid", 8);
  assert_string_equal(fields->name.at, "hi");
  assert_string_equal(fields->service.at, "shop");
  assert_int_equal(fields->kind, SPAN_KIND_SERVER);
  assert_int_equal(fields->status, SPAN_STATUS_ERROR);
  assert_true(fields->start_ns == 0x201 && fields->end_ns == 0x80000000000000ffu);
  assert_int_equal(captured.rows[0].columns[0].type, VALUE_INTEGER);
  assert_int_equal(captured.rows[0].columns[0].integer, 300);
  captured_free(&captured);
}

static void broken_framing_is_malformed(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t length;
  } bodies[] = {
      {LITERAL("\x0a")},                                             /* no length */
      {LITERAL("\x0a\x01")},                                         /* shorter than said */
      {LITERAL("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")},     /* length 2^64 - 1 */
      {LITERAL("\x0a\xff\xff\xff\xff\x0f")},                         /* length 2^32 - 1 */
      {LITERAL("\x0a\x80\x80\x80\x80\x10")},                         /* length 2^32 */
      {LITERAL("\x00\x00")},                                         /* field 0 */
      {LITERAL("\x07")},                                             /* wire type 7 */
      {LITERAL("\x06")},                                             /* field 0, wire type 6 */
      {LITERAL("\x80")},                                             /* half a tag */
      {LITERAL("\x80\x80\x80\x80\x10\x00")},                         /* field number 2^29 */
      {LITERAL("\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")},     /* 65 bits */
      {LITERAL("\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00")}, /* eleven bytes */
      {LITERAL("\x50\x80")},                                         /* half a varint */
      {LITERAL("\x51\x00\x00\x00\x00\x00\x00\x00")},                 /* half a fixed64 */
      {LITERAL("\x55\x00\x00\x00")},                                 /* half a fixed32 */
      {LITERAL("\x0c")},                                             /* end of a group that never began */
      {LITERAL("\x53")},                                             /* group without end */
      {LITERAL("\x53\x5c")},                                         /* ended by another number */
      {LITERAL("\x53\x0a\x7f\x54")},                                 /* field beyond the group */
      {LITERAL("\x0b\x0c")},                                         /* resource_spans as a group */
      {LITERAL("\x08\x00")},                                         /* resource_spans as a varint */
      {LITERAL("\x0a\x02\x08\x00")},                                 /* resource as a varint */
      {LITERAL("\x0a\x02\x10\x00")},                                 /* scope_spans as a varint */
      {LITERAL("\x0a\x04\x0a\x02\x08\x00")},                         /* attributes as a varint */
      {LITERAL("\x0a\x04\x12\x02\x10\x00")},                         /* spans as a varint */
      {LITERAL("\x0a\x03\x12\x02\x00")},                             /* child longer than its parent */
      {LITERAL("\x0a\x08\x0a\x06\x0a\x04\x0a\x00\x10\x00")},         /* attribute value as a varint, in the resource */
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    if (outcome_of(bodies[i].bytes, bodies[i].length) != SPANS_MALFORMED) print_error("case %zu\n", i);
    assert_int_equal(outcome_of(bodies[i].bytes, bodies[i].length), SPANS_MALFORMED);
  }
  assert_int_equal(outcome_of(LITERAL("\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), SPANS_DECODED);
  assert_int_equal(outcome_of(LITERAL("\xf8\xff\xff\xff\x0f\x00")), SPANS_DECODED);
  assert_int_equal(outcome_of(LITERAL("\x53\x08\x01\x53\x54\x54")), SPANS_DECODED);
}

static void known_fields_of_another_wire_type_are_malformed(void **state) {
  (void)state;
  static const uint8_t numbers[] = {1, 2, 4, 5, 6, 7, 8, 9, 15};
  static const char payload[] = "\x02\x08\x00\x00\x00\x00\x00\x00";
  static const uint8_t good_wire[16] = {[1] = 2, [2] = 2, [4] = 2, [5] = 2, [6] = 0, [7] = 1, [8] = 1, [9] = 2, [15] = 2};
  for (size_t i = 0; i < sizeof numbers; i++) {
    for (uint8_t wire = 0; wire <= 5; wire++) {
      if (wire == 3 || wire == 4 || wire == good_wire[numbers[i]]) continue;
      struct model_bytes span = {0};
      static const uint8_t lengths[] = {1, 8, 3, 0, 0, 4};
      model_put(&span, LITERAL(IDS));
      model_put_varint(&span, (uint64_t)numbers[i] << 3 | wire);
      model_put(&span, payload, lengths[wire]);
      assert_int_equal(outcome_of_span(span.at, span.length), SPANS_MALFORMED);
      model_free(&span);
    }
  }
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x7a\x02\x1a\x00")), SPANS_MALFORMED);                  /* status code as bytes */
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x4a\x07\x0a\x01k\x12\x02\x08\x00")), SPANS_MALFORMED); /* string as varint */
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x4a\x07\x0a\x01k\x12\x02\x22\x00")), SPANS_MALFORMED); /* double as bytes */
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x4a\x05\x0a\x01k\x10\x00")), SPANS_MALFORMED);         /* value as varint */
  for (uint8_t number = 1; number <= 7; number++) { /* every member of the oneof as a fixed32 */
    char span[] = IDS "\x4a\x0a\x0a\x01k\x12\x05\x05zzzz";
    span[sizeof span - 6] = (char)(number << 3 | 5);
    assert_int_equal(outcome_of_span(span, sizeof span - 1), SPANS_MALFORMED);
  }
  /* What is not read may be of any type. */
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x18\x01\x50\x07\x5a\x01z\x60\x01\x68\x02\x85\x01\x01\x00\x00\x00")),
                   SPANS_DECODED);
}

static void groups_are_bounded_in_depth(void **state) {
  (void)state;
  uint8_t body[200];
  for (unsigned depth = 1; depth <= 64; depth++) {
    memset(body, 0x53, depth);
    memset(body + depth, 0x54, depth);
    assert_int_equal(outcome_of(body, 2 * depth), depth <= 32 ? SPANS_DECODED : SPANS_MALFORMED);
  }
}

static void of_repeated_single_fields_the_last_counts(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_nested(&captured,
                LITERAL("\x0a\x10\x0a\x0e\x0a\x04zone\x12\x06\x0a\x04west"
                        "\x0a\x1c\x0a\x1a\x0a\x0cservice.name\x12\x0a\x0a\x08"
                        "checkout"),
                LITERAL("\x0a\x01x" IDS "\x2a\x01"
                        "a\x2a\x01"
                        "b\x30\x01\x30\x03\x22\x03"
                        "bad\x22\x08parentid\x7a\x02\x18\x02\x7a\x03\x12\x01m"
                        "\x4a\x09\x0a\x01k\x12\x04\x18\x01\x18\x02\x4a\x0b\x0a\x01x\x12\x02\x10\x01\x12\x00\x0a\x00"
                        "\x4a\x07\x12\x02\x10\x01\x0a\x01k"));
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_int_equal(captured.count, 1);
  const struct captured_row *row = &captured.rows[0];
  assert_string_equal(row->fields.name.at, "b");
  assert_int_equal(row->fields.kind, SPAN_KIND_CLIENT);
  assert_true(row->fields.has_parent);
  assert_int_equal(row->fields.status, SPAN_STATUS_ERROR); /* messages merge */
  assert_int_equal(row->columns[0].type, VALUE_BOOL);      /* k again, value before key */
  assert_true(row->columns[0].boolean);
  assert_int_equal(row->columns[2].type, VALUE_STRING); /* two resource fields merge */
  assert_string_equal(row->columns[2].text, "west");
  assert_string_equal(row->fields.service.at, "checkout");
  assert_string_equal(row->columns[3].text, "checkout");
  captured_free(&captured);
}

static void enums_are_32_bits_and_open(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_nested(&captured, "", 0, LITERAL(IDS "\x30\x82\x80\x80\x80\x10\x7a\x06\x18\x81\x80\x80\x80\x10"));
  assert_int_equal(captured.rows[0].fields.kind, 2);
  assert_int_equal(captured.rows[0].fields.status, 1);
  captured_free(&captured);
  decode_nested(&captured, "", 0, LITERAL(IDS "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x7a\x02\x18\x03"));
  assert_int_equal(captured.rows[0].fields.kind, SPAN_KIND_UNSPECIFIED);
  assert_int_equal(captured.rows[0].fields.status, SPAN_STATUS_UNSET);
  captured_free(&captured);
}

static void a_service_name_that_is_no_text_is_no_service(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_nested(&captured, LITERAL("\x0a\x14\x0a\x12\x0a\x0cservice.name\x12\x02\x18\x07"), LITERAL(IDS));
  assert_int_equal(captured.count, 1);
  assert_null(captured.rows[0].fields.service.at);
  assert_int_equal(captured.rows[0].columns[3].type, VALUE_INTEGER);
  captured_free(&captured);
  decode_nested(&captured, LITERAL("\x0a\x14\x0a\x12\x0a\x0cservice.name\x12\x02\x0a\x00"), LITERAL(IDS));
  assert_non_null(captured.rows[0].fields.service.at);
  assert_int_equal(captured.rows[0].fields.service.length, 0);
  captured_free(&captured);
}

static void the_offset_names_the_field(void **state) {
  (void)state;
  struct captured_rows captured;
  captured_decode(&captured, fixture, OTLP_PROTOBUF, LITERAL("\x0a\x00\x0a\x04\x12\x02\x10\x00"), UINT32_MAX);
  assert_int_equal(captured.result.outcome, SPANS_MALFORMED);
  assert_int_equal(captured.result.error_offset, 6);
  captured_free(&captured);
}

/* Attributes that no rule reads are passed over by length; those read are checked to their end. */
static void every_cut_inside_an_attribute_is_found(void **state) {
  (void)state;
  static const char attribute[] = "\x0a\x01k\x12\x0b\x0a\x09some text";
  for (size_t length = 0; length < sizeof attribute - 1; length++) {
    struct model_bytes span = {0};
    model_put(&span, LITERAL(IDS));
    model_put_field(&span, 9, attribute, length);
    const bool whole_fields = length == 0 || length == 3;
    assert_int_equal(outcome_of_span(span.at, span.length), whole_fields ? SPANS_DECODED : SPANS_MALFORMED);
    model_free(&span);
  }
}

static enum value_type type_of_k(const void *span, size_t bytes) {
  struct captured_rows captured;
  decode_nested(&captured, "", 0, span, bytes);
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_int_equal(captured.count, 1);
  const enum value_type type = captured.rows[0].columns[0].type;
  captured_free(&captured);
  return type;
}

/* The shortest form has a short cut: whatever follows a value inside its attribute must still be seen. */
static void what_follows_a_value_counts(void **state) {
  (void)state;
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x08\x0a\x01k\x12\x03\x0a\x01v")), VALUE_STRING);
  /* In the AnyValue: another member of the oneof, an unknown field, rubbish. */
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x0a\x0a\x01k\x12\x05\x0a\x01v\x18\x05")), VALUE_INTEGER);
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x0a\x0a\x01k\x12\x05\x0a\x01v\x50\x05")), VALUE_STRING);
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x4a\x09\x0a\x01k\x12\x04\x0a\x01v\x18")), SPANS_MALFORMED);
  /* In the KeyValue: a second value, another key, rubbish. */
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x0c\x0a\x01k\x12\x03\x0a\x01v\x12\x02\x10\x01")), VALUE_BOOL);
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x0b\x0a\x01k\x12\x03\x0a\x01v\x0a\x01z")), VALUE_NULL);
  assert_int_equal(type_of_k(LITERAL(IDS "\x4a\x0b\x0a\x01z\x12\x03\x0a\x01v\x0a\x01k")), VALUE_STRING);
  assert_int_equal(outcome_of_span(LITERAL(IDS "\x4a\x09\x0a\x01k\x12\x03\x0a\x01v\x12")), SPANS_MALFORMED);
}

/* Lengths that reach one to three bytes too far at every level, into bytes that do exist behind. */
static void no_length_reaches_beyond_its_parent(void **state) {
  (void)state;
  static const struct {
    const char *span;
    size_t bytes, at;
    bool inside_attribute; /* seen only when a rule reads it */
  } cases[] = {
      {LITERAL(IDS "\x4a\x08\x0a\x01k\x12\x03\x0a\x01v"), 29, false}, /* attribute */
      {LITERAL(IDS "\x4a\x08\x0a\x01k\x12\x03\x0a\x01v"), 34, true},  /* value */
      {LITERAL(IDS "\x4a\x08\x0a\x01k\x12\x03\x0a\x01v"), 36, true},  /* string */
      {LITERAL(IDS "\x4a\x05\x0a\x03key"), 31, true},                 /* key */
      {LITERAL(IDS "\x4a\x05\x0a\x03not"), 31, true},
      {LITERAL(IDS "\x7a\x02\x18\x01"), 29, false},
      {LITERAL(IDS "\x2a\x02hi"), 29, false},
      {LITERAL("\x12\x08spanspan\x0a\x10"
               "0123456789abcdef"),
       11, false},
      {LITERAL(IDS), 19, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (char more = 1; more <= 3; more++) {
      /* The span, and behind it a span that the overlap would read into. */
      struct model_bytes span = {0}, scope = {0}, resource = {0}, request = {0};
      model_put(&span, cases[i].span, cases[i].bytes);
      model_put_field(&scope, 2, span.at, span.length);
      const size_t prefix = scope.length - span.length;
      scope.at[prefix + cases[i].at] = (uint8_t)(scope.at[prefix + cases[i].at] + more);
      model_put_field(&scope, 2, LITERAL(IDS));
      model_put_field(&resource, 2, scope.at, scope.length);
      model_put_field(&request, 1, resource.at, resource.length);
      if (outcome_of(request.at, request.length) != SPANS_MALFORMED) print_error("case %zu by %d\n", i, more);
      assert_int_equal(outcome_of(request.at, request.length), SPANS_MALFORMED);
      struct image_fixture *reading = fixture;
      fixture = image_fixture_create(EVENT_SPAN, NULL, 0);
      if (!cases[i].inside_attribute) assert_int_equal(outcome_of(request.at, request.length), SPANS_MALFORMED);
      image_fixture_destroy(fixture);
      fixture = reading;
      model_free(&span);
      model_free(&scope);
      model_free(&resource);
      model_free(&request);
    }
  }
}

static bool check_wide_batch(void *context, struct event_batch *batch) {
  (void)context;
  uint32_t present = 0;
  for (uint32_t slot = 0; slot < batch->column_capacity; slot++)
    present += event_batch_value(batch, 0, slot)->type == VALUE_INTEGER;
  assert_int_equal(present, SPAN_RESOURCE_COLUMNS_MAX);
  batch->count = 0;
  return true;
}

static void more_resource_columns_than_kept_are_counted(void **state) {
  (void)state;
  enum { MANY = SPAN_RESOURCE_COLUMNS_MAX + 3 };
  static char names[MANY][8];
  static struct fixture_column many[MANY];
  struct model_bytes resource = {0}, request = {0}, whole = {0};
  for (unsigned i = 0; i < MANY; i++) {
    struct model_bytes pair = {0};
    names[i][0] = 'r';
    names[i][1] = (char)('a' + i / 26);
    names[i][2] = (char)('a' + i % 26);
    many[i] = (struct fixture_column){SCOPE_RESOURCE, names[i]};
    model_put_field(&pair, 1, names[i], 3);
    model_put_field(&pair, 2, "\x18\x07", 2);
    model_put_field(&resource, 1, pair.at, pair.length);
    model_free(&pair);
  }
  model_put_field(&whole, 1, resource.at, resource.length);
  model_put_field(&whole, 2, LITERAL("\x12\x1c" IDS));
  model_put_field(&request, 1, whole.at, whole.length);
  struct image_fixture *wide = image_fixture_create(EVENT_SPAN, many, MANY);
  const struct event_sink sink = {.context = wide, .evaluate = check_wide_batch};
  struct span_result result;
  otlp_decode_protobuf(request.at, (uint32_t)request.length, &wide->batch, &sink, &result);
  assert_int_equal(result.outcome, SPANS_DECODED);
  assert_int_equal(result.spans, 1);
  assert_int_equal(result.resource_values_dropped, 3);
  model_free(&resource);
  model_free(&whole);
  model_free(&request);
  image_fixture_destroy(wide);
}

int main(void) {
  const struct CMUnitTest otlp_protobuf[] = {
      cmocka_unit_test(an_empty_body_is_an_empty_request),
      cmocka_unit_test(a_golden_request_decodes),
      cmocka_unit_test(broken_framing_is_malformed),
      cmocka_unit_test(known_fields_of_another_wire_type_are_malformed),
      cmocka_unit_test(groups_are_bounded_in_depth),
      cmocka_unit_test(of_repeated_single_fields_the_last_counts),
      cmocka_unit_test(enums_are_32_bits_and_open),
      cmocka_unit_test(a_service_name_that_is_no_text_is_no_service),
      cmocka_unit_test(the_offset_names_the_field),
      cmocka_unit_test(every_cut_inside_an_attribute_is_found),
      cmocka_unit_test(what_follows_a_value_counts),
      cmocka_unit_test(no_length_reaches_beyond_its_parent),
      cmocka_unit_test(more_resource_columns_than_kept_are_counted),
  };
  return cmocka_run_group_tests(otlp_protobuf, setup, teardown);
}
