/* OTLP/JSON strictness: what is accepted, what spoils one span, what spoils the request. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct fixture_column columns[] = {{SCOPE_SPAN, "k"}, {SCOPE_RESOURCE, "zone"}};
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

#define IDS "\"traceId\":\"5B8EFFF798038103d269b633813fc60c\",\"spanId\":\"EEE19B7EC3C1b174\""

static void decode(struct captured_rows *captured, const char *body) {
  captured_decode(captured, fixture, OTLP_JSON, body, strlen(body), UINT32_MAX);
}

static void decode_span(struct captured_rows *captured, const char *members) {
  static char body[100000];
  snprintf(body, sizeof body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}", members);
  decode(captured, body);
}

static void assert_outcome(const char *body, enum span_outcome expected, bool as_span) {
  struct captured_rows captured;
  if (as_span) {
    decode_span(&captured, body);
  } else {
    decode(&captured, body);
  }
  if (captured.result.outcome != expected) print_error("%s\n", body);
  assert_int_equal(captured.result.outcome, expected);
  captured_free(&captured);
}

static void requests_without_spans_succeed(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "{}",
      " { } ",
      "{\"resourceSpans\":[]}",
      "{\"resourceSpans\":null}",
      "{\"resourceSpans\":[{}]}",
      "{\"resourceSpans\":[{\"resource\":null,\"scopeSpans\":null}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":null}]}]}",
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":null},\"scopeSpans\":[{}]}],\"more\":[1,{}]}",
      "{\"resource_spans\":7,\"RESOURCESPANS\":\"x\"}",
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) assert_outcome(bodies[i], SPANS_DECODED, false);
}

static void other_bodies_are_malformed(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "",
      "null",
      "[]",
      "7",
      "\"{}\"",
      "{} x",
      "{}{}",
      "{\"resourceSpans\":{}}",
      "{\"resourceSpans\":[null]}",
      "{\"resourceSpans\":[[]]}",
      "{\"resourceSpans\":[{\"resource\":[]}]}",
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":{}}}]}",
      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[1]}}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":{}}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[[]]}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":{}}]}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[7]}]}]}",
      "{\"unknown\":[1,}",
      "{\"resourceSpans\":[{\"x\":\"\\ud800\"}]}",
      "{\"resourceSpans\":[{\"resource\":{},\"resource\":{}}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[],\"scopeSpans\":[]}]}",
      "{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[],\"resource\":{}}]}",
      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"kind\":\"x\"}]}],\"resource\":{}}]}",
  };
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) assert_outcome(bodies[i], SPANS_MALFORMED, false);
}

static void members_of_a_wrong_type_are_malformed(void **state) {
  (void)state;
  static const char *const spans[] = {
      "\"traceId\":7",
      "\"spanId\":[]",
      "\"parentSpanId\":true",
      "\"name\":7",
      "\"name\":{}",
      "\"kind\":\"SPAN_KIND_SERVER\"",
      "\"kind\":\"2\"",
      "\"kind\":1.5",
      "\"kind\":2147483648",
      "\"kind\":{}",
      "\"status\":2",
      "\"status\":{\"code\":\"STATUS_CODE_ERROR\"}",
      "\"status\":{\"code\":[]}",
      "\"startTimeUnixNano\":-1",
      "\"startTimeUnixNano\":\"-1\"",
      "\"startTimeUnixNano\":1.5",
      "\"startTimeUnixNano\":\"\"",
      "\"startTimeUnixNano\":\" 1\"",
      "\"startTimeUnixNano\":\"0x1\"",
      "\"startTimeUnixNano\":18446744073709551616",
      "\"endTimeUnixNano\":\"18446744073709551616\"",
      "\"endTimeUnixNano\":true",
      "\"endTimeUnixNano\":[1]",
      "\"attributes\":{}",
      "\"attributes\":[null]",
      "\"attributes\":[{\"key\":1}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":\"bare\"}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"stringValue\":7}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":\"true\"}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":1}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":1.5}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":9223372036854775808}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":\"-9223372036854775809\"}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":\"NaN\"}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"doubleValue\":\"nan\"}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"doubleValue\":\"1.5x\"}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"doubleValue\":true}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"arrayValue\":[]}}]",
      "\"attributes\":[{\"key\":\"k\",\"value\":{\"bytesValue\":[]}}]",
      "\"attributes\":[{\"key\":\"not.read\",\"value\":{\"stringValue\":7}}]",
      "\"events\":[01]",
  };
  for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
    char members[400];
    snprintf(members, sizeof members, IDS ",%s", spans[i]);
    assert_outcome(members, SPANS_MALFORMED, true);
  }
}

static void a_bad_id_spoils_its_span_alone(void **state) {
  (void)state;
  static const struct {
    const char *members;
    enum span_reject reject;
  } cases[] = {
      {"", SPAN_REJECT_TRACE_ID},
      {"\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":null,\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"00000000000000000000000000000000\",\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\",\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60\",\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60g\",\"spanId\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60c\"", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"0000000000000000\"", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b17 \"", SPAN_REJECT_SPAN_ID},
      {IDS ",\"parentSpanId\":\"abc\"", SPAN_REJECT_PARENT_ID},
      {IDS ",\"parentSpanId\":\"zzzzzzzzzzzzzzzz\"", SPAN_REJECT_PARENT_ID},
      {"\"traceId\":\"\",\"spanId\":\"\",\"parentSpanId\":\"x\"", SPAN_REJECT_TRACE_ID},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    char members[600];
    snprintf(members, sizeof members, "%s},{" IDS, cases[i].members);
    decode_span(&captured, members);
    assert_int_equal(captured.result.outcome, SPANS_DECODED);
    assert_int_equal(captured.result.spans, 2);
    assert_int_equal(captured.count, 1);
    assert_int_equal(captured.result.rejected[cases[i].reject], 1);
    captured_free(&captured);
  }
}

static void ids_are_hexadecimal_of_either_case(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured, IDS ",\"parentSpanId\":\"00aAbBcCdDeEfF09\"");
  assert_int_equal(captured.count, 1);
  assert_memory_equal(captured.rows[0].fields.trace_id, "\x5b\x8e\xff\xf7\x98\x03\x81\x03\xd2\x69\xb6\x33\x81\x3f\xc6\x0c", 16);
  assert_memory_equal(captured.rows[0].fields.span_id, "\xee\xe1\x9b\x7e\xc3\xc1\xb1\x74", 8);
  assert_true(captured.rows[0].fields.has_parent);
  assert_memory_equal(captured.rows[0].fields.parent_id, "\x00\xaa\xbb\xcc\xdd\xee\xff\x09", 8);
  captured_free(&captured);
  static const char *const roots[] = {"", "null", "0000000000000000"};
  for (size_t i = 0; i < 3; i++) {
    char members[200];
    snprintf(members, sizeof members, i == 1 ? IDS ",\"parentSpanId\":%s" : IDS ",\"parentSpanId\":\"%s\"", roots[i]);
    decode_span(&captured, members);
    assert_int_equal(captured.count, 1);
    assert_false(captured.rows[0].fields.has_parent);
    captured_free(&captured);
  }
}

static void times_are_any_unsigned_64_bits(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured, IDS ",\"startTimeUnixNano\":18446744073709551615,\"endTimeUnixNano\":\"18446744073709551614\"");
  assert_true(captured.rows[0].fields.start_ns == UINT64_MAX && captured.rows[0].fields.end_ns == UINT64_MAX - 1);
  captured_free(&captured);
  decode_span(&captured, IDS ",\"startTimeUnixNano\":1.5447126603e+18,\"endTimeUnixNano\":null");
  assert_true(captured.rows[0].fields.start_ns == 1544712660300000000u && captured.rows[0].fields.end_ns == 0);
  captured_free(&captured);
}

static struct value value_of(const char *any_value) {
  static char kept[64];
  char members[400];
  struct captured_rows captured;
  snprintf(members, sizeof members, IDS ",\"attributes\":[{\"key\":\"k\",\"value\":%s}]", any_value);
  decode_span(&captured, members);
  assert_int_equal(captured.count, 1);
  struct value value = captured.rows[0].columns[0];
  if (value.type == VALUE_STRING) value.text = strncpy(kept, value.text, sizeof kept - 1);
  captured_free(&captured);
  return value;
}

static void attribute_values_keep_type_and_bits(void **state) {
  (void)state;
  assert_true(value_of("{\"intValue\":\"9223372036854775807\"}").integer == INT64_MAX);
  assert_true(value_of("{\"intValue\":-9223372036854775808}").integer == INT64_MIN);
  assert_int_equal(value_of("{\"intValue\":1e3}").integer, 1000);
  assert_int_equal(value_of("{\"doubleValue\":5}").type, VALUE_DOUBLE);
  assert_true(value_of("{\"doubleValue\":0.1}").real == 0.1);
  assert_true(value_of("{\"doubleValue\":\"1e-7\"}").real == 1e-7);
  assert_true(isnan(value_of("{\"doubleValue\":\"NaN\"}").real));
  assert_true(value_of("{\"doubleValue\":\"Infinity\"}").real == (double)INFINITY);
  assert_true(value_of("{\"doubleValue\":\"-Infinity\"}").real == -(double)INFINITY);
  assert_true(value_of("{\"boolValue\":true}").boolean);
  assert_string_equal(value_of("{\"stringValue\":\"t\\u00e9xt\"}").text, "t\xc3\xa9xt");
  assert_int_equal(value_of("{\"stringValue\":\"\"}").type, VALUE_STRING);
  assert_int_equal(value_of("{}").type, VALUE_NULL);
  assert_int_equal(value_of("null").type, VALUE_NULL);
  assert_int_equal(value_of("{\"string_value\":\"x\"}").type, VALUE_NULL);
  assert_int_equal(value_of("{\"arrayValue\":{\"values\":[]}}").type, VALUE_OTHER);
  assert_int_equal(value_of("{\"kvlistValue\":{}}").type, VALUE_OTHER);
  assert_int_equal(value_of("{\"bytesValue\":\"AA==\"}").type, VALUE_OTHER);
  assert_int_equal(value_of("{\"intValue\":1,\"boolValue\":true,\"stringValue\":null}").type, VALUE_BOOL);
}

static void a_resource_behind_its_spans_counts_for_them(void **state) {
  (void)state;
  struct captured_rows captured;
  decode(&captured, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" IDS ",\"name\":\"a\\u0062\"},{" IDS
                    "}]}],\"resource\":{\"attributes\":["
                    "{\"key\":\"zon\\u0065\",\"value\":{\"stringValue\":\"we\\u0073t\"}},"
                    "{\"value\":{\"stringValue\":\"sh\\u006fp\"},\"key\":\"service.name\"}]},\"schemaUrl\":\"x\"},"
                    "{\"scopeSpans\":[{\"spans\":[{" IDS "}]}]}]}");
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_int_equal(captured.count, 3);
  assert_string_equal(captured.rows[0].fields.name.at, "ab");
  for (int i = 0; i < 2; i++) {
    assert_string_equal(captured.rows[i].fields.service.at, "shop");
    assert_string_equal(captured.rows[i].columns[1].text, "west");
  }
  assert_null(captured.rows[2].fields.service.at);
  assert_int_equal(captured.rows[2].columns[1].type, VALUE_NULL);
  captured_free(&captured);
}

static void only_lower_camel_case_is_known(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured,
              IDS ",\"start_time_unix_nano\":5,\"Name\":7,\"parent_span_id\":[],\"KIND\":\"x\",\"endTimeUnixNano \":-1");
  assert_int_equal(captured.result.outcome, SPANS_DECODED);
  assert_true(captured.rows[0].fields.start_ns == 0);
  captured_free(&captured);
}

static void an_error_has_its_offset(void **state) {
  (void)state;
  struct captured_rows captured;
  decode(&captured, "{\"resourceSpans\": 7}");
  assert_int_equal(captured.result.error_offset, 18);
  captured_free(&captured);
}

int main(void) {
  const struct CMUnitTest otlp_json[] = {
      cmocka_unit_test(requests_without_spans_succeed),        cmocka_unit_test(other_bodies_are_malformed),
      cmocka_unit_test(members_of_a_wrong_type_are_malformed), cmocka_unit_test(a_bad_id_spoils_its_span_alone),
      cmocka_unit_test(ids_are_hexadecimal_of_either_case),    cmocka_unit_test(times_are_any_unsigned_64_bits),
      cmocka_unit_test(attribute_values_keep_type_and_bits),   cmocka_unit_test(a_resource_behind_its_spans_counts_for_them),
      cmocka_unit_test(only_lower_camel_case_is_known),        cmocka_unit_test(an_error_has_its_offset),
  };
  return cmocka_run_group_tests(otlp_json, setup, teardown);
}
