/* Zipkin v2 JSON: what is accepted, what spoils one span, what spoils the request, and what each member becomes. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include <stdio.h>
#include <string.h>

static const struct fixture_column columns[] = {{SCOPE_SPAN, "k"},
                                                {SCOPE_SPAN, "error"},
                                                {SCOPE_SPAN, "peer.service"},
                                                {SCOPE_RESOURCE, "service.name"},
                                                {SCOPE_SPAN, "service.name"},
                                                {SCOPE_SPAN, "otel.status_code"}};
enum { K, ERROR, PEER, SERVICE, SERVICE_TAG };
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

#define IDS "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"id\":\"eee19b7ec3c1b174\""

static void decode(struct captured_rows *captured, const char *body) {
  captured_decode_with(captured, fixture, captured_zipkin, body, strlen(body), UINT32_MAX);
}

static void decode_span(struct captured_rows *captured, const char *members) {
  static char body[4096];
  snprintf(body, sizeof body, "[{" IDS "%s%s}]", *members ? "," : "", members);
  decode(captured, body);
  if (captured->result.outcome != SPANS_DECODED || captured->count != 1) print_error("%s: %s\n", members, captured->result.error);
  assert_int_equal(captured->count, 1);
}

static void assert_outcome(const char *body, enum span_outcome expected) {
  struct captured_rows captured;
  decode(&captured, body);
  if (captured.result.outcome != expected) print_error("%s\n", body);
  assert_int_equal(captured.result.outcome, expected);
  captured_free(&captured);
}

static void bodies_that_are_no_list_of_spans_are_malformed(void **state) {
  (void)state;
  static const char *const bodies[] = {"",
                                       "{}",
                                       "null",
                                       "7",
                                       "[",
                                       "[{}",
                                       "[null]",
                                       "[[]]",
                                       "[7]",
                                       "[{}] x",
                                       "[{}][{}]",
                                       "[{\"a\":}]",
                                       "[{\"a\"}]",
                                       "[{,}]",
                                       "[{} {}]",
                                       "[{},]",
                                       "[{\"x\":\"\\ud800\"}]",
                                       "[{\"x\":\"\x80\"}]"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) assert_outcome(bodies[i], SPANS_MALFORMED);
  assert_outcome("[]", SPANS_DECODED);
  assert_outcome(" [ ] ", SPANS_DECODED);
}

static void members_of_a_wrong_type_are_malformed(void **state) {
  (void)state;
  static const char *const members[] = {
      "\"traceId\":7",
      "\"id\":[]",
      "\"parentId\":true",
      "\"name\":7",
      "\"kind\":2",
      "\"kind\":[]",
      "\"timestamp\":-1",
      "\"timestamp\":1.5",
      "\"timestamp\":\"x\"",
      "\"timestamp\":18446744073709551616",
      "\"duration\":{}",
      "\"duration\":true",
      "\"localEndpoint\":\"shop\"",
      "\"localEndpoint\":{\"serviceName\":7}",
      "\"remoteEndpoint\":[]",
      "\"remoteEndpoint\":{\"serviceName\":[]}",
      "\"tags\":[]",
      "\"tags\":{\"k\":[]}",
      "\"tags\":{\"k\":{}}",
      "\"tags\":{\"not.read\":[]}",
      "\"shared\":\"true\"",
      "\"shared\":1",
      "\"annotations\":[01]",
  };
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    char body[400];
    snprintf(body, sizeof body, "[{" IDS ",%s}]", members[i]);
    assert_outcome(body, SPANS_MALFORMED);
  }
}

static void a_span_that_cannot_be_judged_is_rejected_alone(void **state) {
  (void)state;
  static const struct {
    const char *members;
    enum span_reject reject;
  } cases[] = {
      {"", SPAN_REJECT_TRACE_ID},
      {"\"id\":\"eee19b7ec3c1b174\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":null,\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"00000000000000000000000000000000\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"0000000000000000\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60c0\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"5b8efff798038103d269b633813fc60g\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"-1\",\"id\":\"1\"", SPAN_REJECT_TRACE_ID},
      {"\"traceId\":\"1\"", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"1\",\"id\":\"0000000000000000\"", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"1\",\"id\":\"0000000000000000\",\"shared\":true", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"1\",\"id\":\"eee19b7ec3c1b1740\"", SPAN_REJECT_SPAN_ID},
      {"\"traceId\":\"1\",\"id\":\"eee19b7ec3c1b17 \"", SPAN_REJECT_SPAN_ID},
      {IDS ",\"parentId\":\"zz\"", SPAN_REJECT_PARENT_ID},
      {IDS ",\"parentId\":\"00000000000000001\"", SPAN_REJECT_PARENT_ID},
      {IDS ",\"parentId\":\"zz\",\"shared\":true", SPAN_REJECT_PARENT_ID},
      {IDS ",\"timestamp\":18446744073709552", SPAN_REJECT_TIME},
      {IDS ",\"timestamp\":1,\"duration\":18446744073709551615", SPAN_REJECT_TIME},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    char body[600];
    snprintf(body, sizeof body, "[{%s},{" IDS "}]", cases[i].members);
    decode(&captured, body);
    if (captured.result.rejected[cases[i].reject] != 1) print_error("%s\n", cases[i].members);
    assert_int_equal(captured.result.outcome, SPANS_DECODED);
    assert_int_equal(captured.result.spans, 2);
    assert_int_equal(captured.count, 1);
    assert_int_equal(captured.result.rejected[cases[i].reject], 1);
    captured_free(&captured);
    /* Its sender can be told only when nothing else was taken. */
    snprintf(body, sizeof body, "[{%s},{}]", cases[i].members);
    decode(&captured, body);
    assert_int_equal(captured.result.outcome, SPANS_MALFORMED);
    assert_int_equal(span_result_rejected(&captured.result), captured.result.spans);
    assert_int_equal(captured.count, 0);
    captured_free(&captured);
  }
}

static void short_ids_have_zeros_before_them(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint8_t id[16];
  } cases[] = {
      {"5B8EFFF798038103d269b633813fc60c",
       {0x5b, 0x8e, 0xff, 0xf7, 0x98, 3, 0x81, 3, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 12}},
      {"d269b633813fc60c", {0, 0, 0, 0, 0, 0, 0, 0, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 12}},
      {"1d269b633813fc60c", {0, 0, 0, 0, 0, 0, 0, 1, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 12}},
      {"abc", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0xbc}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    char body[200];
    snprintf(body, sizeof body, "[{\"id\":\"f\",\"parentId\":\"e\",\"traceId\":\"%s\"}]", cases[i].text);
    decode(&captured, body);
    assert_int_equal(captured.count, 1);
    assert_memory_equal(captured.rows[0].fields.trace_id, cases[i].id, 16);
    assert_memory_equal(captured.rows[0].fields.span_id, "\0\0\0\0\0\0\0\x0f", 8);
    assert_true(captured.rows[0].fields.has_parent);
    assert_memory_equal(captured.rows[0].fields.parent_id, "\0\0\0\0\0\0\0\x0e", 8);
    captured_free(&captured);
  }
}

static void the_last_of_a_repeated_member_counts(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured,
              "\"id\":\"zz\",\"id\":\"1\",\"name\":\"a\",\"name\":\"b\",\"kind\":\"CLIENT\",\"kind\":\"SERVER\",\"timestamp\":5,"
              "\"timestamp\":6,\"tags\":{\"k\":\"1\",\"k\":\"2\"},\"tags\":{\"error\":\"x\",\"error\":\"false\"},"
              "\"localEndpoint\":{\"serviceName\":\"a\"},\"localEndpoint\":{},\"parentId\":\"7\",\"parentId\":null");
  const struct captured_row *row = &captured.rows[0];
  assert_memory_equal(row->fields.span_id, "\0\0\0\0\0\0\0\1", 8);
  assert_string_equal(row->fields.name.at, "b");
  assert_int_equal(row->fields.kind, SPAN_KIND_SERVER);
  assert_int_equal(row->fields.start_ns, 6000);
  assert_int_equal(row->fields.status, SPAN_STATUS_UNSET);
  assert_null(row->fields.service.at);
  assert_string_equal(row->columns[K].text, "2");
  assert_false(row->fields.has_parent);
  captured_free(&captured);
}

static void kinds_are_zipkins_own_words(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum span_kind kind;
  } cases[] = {{"\"kind\":\"CLIENT\"", SPAN_KIND_CLIENT},      {"\"kind\":\"SERVER\"", SPAN_KIND_SERVER},
               {"\"kind\":\"PRODUCER\"", SPAN_KIND_PRODUCER},  {"\"kind\":\"CONSUMER\"", SPAN_KIND_CONSUMER},
               {"\"kind\":\"client\"", SPAN_KIND_UNSPECIFIED}, {"\"kind\":\"\"", SPAN_KIND_UNSPECIFIED},
               {"\"kind\":null", SPAN_KIND_UNSPECIFIED},       {"", SPAN_KIND_UNSPECIFIED}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    decode_span(&captured, cases[i].text);
    assert_int_equal(captured.rows[0].fields.kind, cases[i].kind);
    captured_free(&captured);
  }
}

static void times_are_microseconds(void **state) {
  (void)state;
  static const struct {
    const char *members;
    uint64_t start_ns, end_ns;
  } cases[] = {{"", 0, 0},
               {"\"timestamp\":1502787600000001,\"duration\":207", 1502787600000001000u, 1502787600000208000u},
               {"\"timestamp\":\"1502787600000001\"", 1502787600000001000u, 1502787600000001000u},
               {"\"timestamp\":null,\"duration\":3", 0, 3000},
               {"\"duration\":551614,\"timestamp\":18446744073157937", 18446744073157937000u, 18446744073709551000u}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    decode_span(&captured, cases[i].members);
    assert_true(captured.rows[0].fields.start_ns == cases[i].start_ns && captured.rows[0].fields.end_ns == cases[i].end_ns);
    captured_free(&captured);
  }
}

static void tags_are_text(void **state) {
  (void)state;
  static const struct {
    const char *value, *text;
  } cases[] = {{"\"v\"", "v"},   {"\"\\u00e9\"", "\xc3\xa9"}, {"\"\"", ""},   {"12.50", "12.50"}, {"-0", "-0"},
               {"true", "true"}, {" false ", "false"},        {"null", NULL}, {"1e400", "1e400"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    char members[100];
    snprintf(members, sizeof members, "\"tags\":{\"k\":%s}", cases[i].value);
    decode_span(&captured, members);
    assert_int_equal(captured.rows[0].columns[K].type, cases[i].text ? VALUE_STRING : VALUE_NULL);
    if (cases[i].text) assert_string_equal(captured.rows[0].columns[K].text, cases[i].text);
    captured_free(&captured);
  }
}

static void status_comes_from_tags_in_any_order(void **state) {
  (void)state;
  static const struct {
    const char *tags;
    enum span_status status;
  } cases[] = {{"", SPAN_STATUS_UNSET},
               {"\"error\":\"\"", SPAN_STATUS_ERROR},
               {"\"error\":\"declined\"", SPAN_STATUS_ERROR},
               {"\"error\":true", SPAN_STATUS_ERROR},
               {"\"error\":\"false\"", SPAN_STATUS_UNSET},
               {"\"error\":null", SPAN_STATUS_UNSET},
               {"\"errors\":\"x\"", SPAN_STATUS_UNSET},
               {"\"otel.status_code\":\"OK\"", SPAN_STATUS_OK},
               {"\"otel.status_code\":\"ERROR\"", SPAN_STATUS_ERROR},
               {"\"otel.status_code\":\"UNSET\",\"error\":\"x\"", SPAN_STATUS_ERROR},
               {"\"otel.status_code\":\"OK\",\"error\":\"x\"", SPAN_STATUS_OK},
               {"\"error\":\"x\",\"otel.status_code\":\"OK\"", SPAN_STATUS_OK}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct captured_rows captured;
    char members[200];
    snprintf(members, sizeof members, "\"tags\":{%s}", cases[i].tags);
    decode_span(&captured, members);
    if (captured.rows[0].fields.status != cases[i].status) print_error("%s\n", cases[i].tags);
    assert_int_equal(captured.rows[0].fields.status, cases[i].status);
    captured_free(&captured);
  }
}

static void endpoints_give_services(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured, "\"localEndpoint\":{\"ipv4\":\"192.0.2.1\",\"serviceName\":\"sh\\u006fp\"},"
                         "\"remoteEndpoint\":{\"serviceName\":\"psp\",\"port\":443},\"tags\":{\"service.name\":\"tag\"}");
  assert_string_equal(captured.rows[0].fields.service.at, "shop");
  assert_string_equal(captured.rows[0].columns[SERVICE].text, "shop");
  assert_string_equal(captured.rows[0].columns[SERVICE_TAG].text, "tag");
  assert_string_equal(captured.rows[0].columns[PEER].text, "psp");
  captured_free(&captured);
  decode_span(&captured, "\"localEndpoint\":{\"serviceName\":\"\"},\"remoteEndpoint\":{\"serviceName\":\"psp\"},"
                         "\"tags\":{\"peer.service\":\"tag\"}");
  assert_null(captured.rows[0].fields.service.at);
  assert_int_equal(captured.rows[0].columns[SERVICE].type, VALUE_NULL);
  assert_string_equal(captured.rows[0].columns[PEER].text, "tag");
  captured_free(&captured);
}

static void the_servers_half_of_a_shared_span_is_no_root(void **state) {
  (void)state;
  struct captured_rows captured;
  decode_span(&captured, "\"shared\":true");
  assert_true(captured.rows[0].fields.has_parent);
  assert_memory_equal(captured.rows[0].fields.parent_id, captured.rows[0].fields.span_id, 8);
  captured_free(&captured);
  decode_span(&captured, "\"shared\":true,\"parentId\":\"3\"");
  assert_memory_equal(captured.rows[0].fields.parent_id, "\0\0\0\0\0\0\0\3", 8);
  captured_free(&captured);
  decode_span(&captured, "\"shared\":true,\"shared\":null");
  assert_false(captured.rows[0].fields.has_parent);
  captured_free(&captured);
}

/* More spans than a batch has rows, and a sink that has room for one batch only. */
static void many_spans_take_many_batches(void **state) {
  (void)state;
  static char body[100000];
  struct captured_rows captured;
  size_t at = 0;
  for (unsigned i = 0; i < 200; i++) at += (size_t)snprintf(body + at, sizeof body - at, "%c{" IDS "}", i ? ',' : '[');
  snprintf(body + at, sizeof body - at, "]");
  decode(&captured, body);
  assert_int_equal(captured.result.spans, 200);
  assert_int_equal(captured.count, 200);
  assert_int_equal(captured.batches, 4);
  captured_free(&captured);
  captured_decode_with(&captured, fixture, captured_zipkin, body, strlen(body), 1);
  assert_int_equal(captured.result.outcome, SPANS_NO_ROOM);
  captured_free(&captured);
}

int main(void) {
  const struct CMUnitTest zipkin[] = {
      cmocka_unit_test(bodies_that_are_no_list_of_spans_are_malformed),
      cmocka_unit_test(members_of_a_wrong_type_are_malformed),
      cmocka_unit_test(a_span_that_cannot_be_judged_is_rejected_alone),
      cmocka_unit_test(short_ids_have_zeros_before_them),
      cmocka_unit_test(the_last_of_a_repeated_member_counts),
      cmocka_unit_test(kinds_are_zipkins_own_words),
      cmocka_unit_test(times_are_microseconds),
      cmocka_unit_test(tags_are_text),
      cmocka_unit_test(status_comes_from_tags_in_any_order),
      cmocka_unit_test(endpoints_give_services),
      cmocka_unit_test(the_servers_half_of_a_shared_span_is_no_root),
      cmocka_unit_test(many_spans_take_many_batches),
  };
  return cmocka_run_group_tests(zipkin, setup, teardown);
}
