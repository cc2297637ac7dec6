/* Jaeger's compact datagrams: what each field becomes, what spoils one span, what spoils the datagram. */
#include "captured_rows.h"
#include "cmocka_test.h"
#include "jaeger.h"
#include "thrift_writer.h"
#include <string.h>

static const struct fixture_column columns[] = {{SCOPE_SPAN, "k"}, {SCOPE_RESOURCE, "k"}, {SCOPE_RESOURCE, "service.name"}};
enum { K, RESOURCE_K, SERVICE };
enum tag_type { STRING, DOUBLE, BOOL, LONG, BINARY };
enum { LIST = 9, STRUCT = 12 };
static struct image_fixture *fixture;
static struct thrift_writer writer;
static struct captured_rows captured;

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

static int forget(void **state) {
  (void)state;
  captured_free(&captured);
  captured = (struct captured_rows){.count = 0};
  return 0;
}

static enum span_outcome decode(void) {
  forget(NULL);
  captured_decode_with(&captured, fixture, captured_jaeger, writer.bytes, writer.length, UINT32_MAX);
  return captured.result.outcome;
}

/* A datagram of one span, which stays open for more fields. */
static void begin_span(int64_t trace_low, int64_t span) {
  put_batch(&writer);
  put_process(&writer, "shop");
  put_field(&writer, 2, LIST);
  put_list(&writer, STRUCT, 1);
  put_span(&writer, trace_low, span, "GET /");
}

static enum span_outcome decode_span(void) {
  put_stop(&writer);
  put_stop(&writer);
  put_stop(&writer);
  return decode();
}

static const struct captured_row *end_span(void) {
  if (decode_span() != SPANS_DECODED) print_error("%s\n", captured.result.error);
  assert_int_equal(captured.result.spans, 1);
  return captured.count ? &captured.rows[0] : NULL;
}

static void begin_tag(const char *key, enum tag_type type) {
  put_struct(&writer);
  put_string(&writer, 1, key);
  put_i32(&writer, 2, (int32_t)type);
}

static void put_text_tag(const char *key, const char *text) {
  begin_tag(key, STRING);
  put_string(&writer, 3, text);
  put_stop(&writer);
}

static void put_bool_tag(const char *key, bool value) {
  begin_tag(key, BOOL);
  put_field(&writer, 5, value ? 1 : 2);
  put_stop(&writer);
}

static void a_span_has_its_ids_times_and_process(void **state) {
  (void)state;
  put_batch(&writer);
  put_process(&writer, "shop");
  put_field(&writer, 2, LIST);
  put_list(&writer, STRUCT, 1);
  put_struct(&writer);
  put_i64(&writer, 1, 0x1112131415161718);
  put_i64(&writer, 2, -2);
  put_i64(&writer, 3, INT64_MIN);
  put_i64(&writer, 4, 5);
  put_string(&writer, 5, "GET /");
  put_i32(&writer, 7, 3);
  put_i64(&writer, 8, 1502787600000001);
  put_i64(&writer, 9, 207);
  const struct captured_row *row = end_span();
  assert_memory_equal(row->fields.trace_id, "\xff\xff\xff\xff\xff\xff\xff\xfe\x11\x12\x13\x14\x15\x16\x17\x18", 16);
  assert_memory_equal(row->fields.span_id, "\x80\0\0\0\0\0\0\0", 8);
  assert_true(row->fields.has_parent);
  assert_memory_equal(row->fields.parent_id, "\0\0\0\0\0\0\0\5", 8);
  assert_string_equal(row->fields.name.at, "GET /");
  assert_string_equal(row->fields.service.at, "shop");
  assert_string_equal(row->columns[SERVICE].text, "shop");
  assert_true(row->fields.start_ns == 1502787600000001000 && row->fields.end_ns == 1502787600000208000);
  assert_int_equal(row->fields.kind, SPAN_KIND_UNSPECIFIED);
  assert_int_equal(row->fields.status, SPAN_STATUS_UNSET);
}

static const struct value *only_tag(void) {
  put_stop(&writer);
  return &end_span()->columns[K];
}

static void begin_only_tag(enum tag_type type) {
  begin_span(1, 2);
  put_field(&writer, 10, LIST);
  put_list(&writer, STRUCT, 1);
  begin_tag("k", type);
}

static void tags_keep_their_type(void **state) {
  (void)state;
  begin_only_tag(STRING);
  put_string(&writer, 3, "v");
  assert_string_equal(only_tag()->text, "v");
  begin_only_tag(DOUBLE);
  put_field(&writer, 4, 7);
  for (unsigned i = 0; i < 8; i++) put_byte(&writer, (uint8_t) "\0\0\0\0\0\0\xf8\xbf"[i]);
  const struct value *value = only_tag();
  assert_int_equal(value->type, VALUE_DOUBLE);
  assert_true(value->real == -1.5);
  begin_only_tag(BOOL);
  put_field(&writer, 5, 1);
  value = only_tag();
  assert_int_equal(value->type, VALUE_BOOL);
  assert_true(value->boolean);
  begin_only_tag(BOOL);
  put_field(&writer, 5, 2);
  value = only_tag();
  assert_int_equal(value->type, VALUE_BOOL);
  assert_false(value->boolean);
  begin_only_tag(LONG);
  put_i64(&writer, 6, INT64_MIN);
  value = only_tag();
  assert_int_equal(value->type, VALUE_INTEGER);
  assert_true(value->integer == INT64_MIN);
  begin_only_tag(BINARY);
  put_string(&writer, 7, "\x01\xff");
  assert_int_equal(only_tag()->type, VALUE_OTHER);
}

static void a_tags_type_says_which_value_counts(void **state) {
  (void)state;
  begin_only_tag(LONG);
  put_string(&writer, 3, "text");
  put_i64(&writer, 6, 5);
  assert_int_equal(only_tag()->integer, 5);
  begin_only_tag(STRING); /* that value is not there */
  put_i64(&writer, 6, 5);
  assert_int_equal(only_tag()->type, VALUE_NULL);
  begin_only_tag((enum tag_type)9); /* a type of the future */
  put_i64(&writer, 6, 5);
  assert_int_equal(only_tag()->type, VALUE_OTHER);
  begin_only_tag(STRING);
  put_string(&writer, 3, "text");
  put_field(&writer, 40, STRUCT); /* a field of the future */
  put_struct(&writer);
  put_stop(&writer);
  assert_string_equal(only_tag()->text, "text");
}

static void kind_and_status_come_from_tags(void **state) {
  (void)state;
  static const struct {
    const char *kind;
    enum span_kind expected;
  } kinds[] = {{"server", SPAN_KIND_SERVER},     {"client", SPAN_KIND_CLIENT},     {"producer", SPAN_KIND_PRODUCER},
               {"consumer", SPAN_KIND_CONSUMER}, {"internal", SPAN_KIND_INTERNAL}, {"SERVER", SPAN_KIND_UNSPECIFIED}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    begin_span(1, 2);
    put_field(&writer, 10, LIST);
    put_list(&writer, STRUCT, 1);
    put_text_tag("span.kind", kinds[i].kind);
    assert_int_equal(end_span()->fields.kind, kinds[i].expected);
  }
  static const struct {
    const char *error, *code; /* error "+" and "-": bools */
    enum span_status expected;
  } statuses[] = {{"+", NULL, SPAN_STATUS_ERROR},        {"-", NULL, SPAN_STATUS_UNSET},    {"true", NULL, SPAN_STATUS_ERROR},
                  {"declined", NULL, SPAN_STATUS_UNSET}, {NULL, "OK", SPAN_STATUS_OK},      {NULL, "ERROR", SPAN_STATUS_ERROR},
                  {"+", "OK", SPAN_STATUS_OK},           {"-", "ERROR", SPAN_STATUS_ERROR}, {"+", "x", SPAN_STATUS_ERROR}};
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    const char *error = statuses[i].error, *code = statuses[i].code;
    begin_span(1, 2);
    put_field(&writer, 10, LIST);
    put_list(&writer, STRUCT, (uint32_t)(error != NULL) + (code != NULL));
    if (code) put_text_tag("otel.status_code", code);
    if (error && (*error == '+' || *error == '-')) {
      put_bool_tag("error", *error == '+');
    } else if (error) {
      put_text_tag("error", error);
    }
    assert_int_equal(end_span()->fields.status, statuses[i].expected);
  }
}

static void put_reference(int32_t type, int64_t trace_low, int64_t trace_high, int64_t span) {
  put_struct(&writer);
  put_i32(&writer, 1, type);
  put_i64(&writer, 2, trace_low);
  put_i64(&writer, 3, trace_high);
  put_i64(&writer, 4, span);
  put_stop(&writer);
}

static void the_parent_may_be_a_reference(void **state) {
  (void)state;
  static const struct {
    struct {
      int32_t type;
      int64_t trace_low, trace_high, span;
    } references[3];
    uint8_t parent; /* 0: a root */
  } cases[] = {
      {{{0, 1, 0, 7}, {0, 1, 0, 8}, {1, 1, 0, 9}}, 7}, /* the first CHILD_OF */
      {{{1, 1, 0, 7}, {1, 1, 0, 8}, {0, 1, 0, 9}}, 9}, /* counts for more than FOLLOWS_FROM */
      {{{1, 1, 0, 7}, {1, 1, 0, 8}, {2, 1, 0, 9}}, 7},  {{{0, 3, 0, 7}, {0, 1, 4, 8}, {1, 1, 5, 9}}, 0}, /* other traces */
      {{{-1, 1, 0, 7}, {9, 1, 0, 8}, {0, 1, 0, 0}}, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    begin_span(1, 2);
    put_field(&writer, 6, LIST);
    put_list(&writer, STRUCT, 3);
    for (unsigned r = 0; r < 3; r++)
      put_reference(cases[i].references[r].type, cases[i].references[r].trace_low, cases[i].references[r].trace_high,
                    cases[i].references[r].span);
    const struct captured_row *row = end_span();
    assert_int_equal(row->fields.has_parent, cases[i].parent != 0);
    assert_int_equal(row->fields.parent_id[7], cases[i].parent);
  }
  begin_span(1, 2);
  put_i64(&writer, 4, 6);
  put_field(&writer, 6, LIST);
  put_list(&writer, STRUCT, 1);
  put_reference(0, 1, 0, 7);
  assert_int_equal(end_span()->fields.parent_id[7], 6);
}

static void a_span_that_cannot_be_judged_is_rejected_alone(void **state) {
  (void)state;
  static const struct {
    int64_t trace_low, span, start_us;
    enum span_reject reject;
  } cases[] = {{0, 2, 1000, SPAN_REJECT_TRACE_ID},
               {1, 0, 1000, SPAN_REJECT_SPAN_ID},
               {1, 2, -1, SPAN_REJECT_TIME},
               {1, 2, INT64_MIN, SPAN_REJECT_TIME},
               {1, 2, 18446744073709552, SPAN_REJECT_TIME}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_batch(&writer);
    put_process(&writer, "shop");
    put_field(&writer, 2, LIST);
    put_list(&writer, STRUCT, 2);
    put_span(&writer, cases[i].trace_low, cases[i].span, "bad");
    put_i64(&writer, 8, cases[i].start_us);
    put_stop(&writer);
    put_span(&writer, 1, 2, "good");
    put_stop(&writer);
    put_stop(&writer);
    put_stop(&writer);
    assert_int_equal(decode(), SPANS_DECODED);
    assert_int_equal(captured.result.spans, 2);
    assert_int_equal(captured.result.rejected[cases[i].reject], 1);
    assert_int_equal(captured.count, 1);
    assert_string_equal(captured.rows[0].fields.name.at, "good");
  }
  begin_span(1, 2);
  put_i64(&writer, 9, -5);
  assert_true(end_span()->fields.end_ns == captured.rows[0].fields.start_ns);
}

static void a_process_behind_its_spans_counts_for_them(void **state) {
  (void)state;
  put_batch(&writer);
  put_field(&writer, 2, LIST);
  put_list(&writer, STRUCT, 2);
  put_span(&writer, 1, 2, "a");
  put_stop(&writer);
  put_span(&writer, 1, 3, "b");
  put_stop(&writer);
  put_field(&writer, 1, STRUCT);
  put_struct(&writer);
  put_field(&writer, 2, LIST);
  put_list(&writer, STRUCT, 2);
  put_text_tag("service.name", "of a tag");
  put_bool_tag("k", true);
  put_string(&writer, 1, "shop");
  put_stop(&writer);
  put_i64(&writer, 3, 17);
  put_stop(&writer);
  put_stop(&writer);
  assert_int_equal(decode(), SPANS_DECODED);
  assert_int_equal(captured.count, 2);
  for (unsigned i = 0; i < 2; i++) {
    assert_string_equal(captured.rows[i].fields.service.at, "shop");
    assert_true(captured.rows[i].columns[RESOURCE_K].boolean);
  }
}

static void an_empty_service_is_null(void **state) {
  (void)state;
  put_spans(&writer, "", 1);
  assert_int_equal(decode(), SPANS_DECODED);
  assert_null(captured.rows[0].fields.service.at);
  assert_int_equal(captured.rows[0].columns[SERVICE].type, VALUE_NULL);
}

static void many_spans_take_many_batches(void **state) {
  (void)state;
  put_spans(&writer, "shop", 1000);
  assert_int_equal(decode(), SPANS_DECODED);
  assert_int_equal(captured.result.spans, 1000);
  assert_int_equal(captured.count, 1000);
  forget(NULL);
  captured_decode_with(&captured, fixture, captured_jaeger, writer.bytes, writer.length, 1);
  assert_int_equal(captured.result.outcome, SPANS_NO_ROOM);
}

static void assert_malformed(const char *why) {
  assert_int_equal(decode(), SPANS_MALFORMED);
  assert_string_equal(captured.result.error, why);
  assert_int_equal(captured.count, 0);
}

static void batches_that_cannot_be_are_malformed(void **state) {
  (void)state;
  put_batch(&writer);
  put_process(&writer, "shop");
  put_stop(&writer);
  put_stop(&writer);
  assert_malformed("a batch without process or spans");
  put_batch(&writer);
  put_field(&writer, 2, LIST);
  put_list(&writer, STRUCT, 0);
  put_stop(&writer);
  put_stop(&writer);
  assert_malformed("a batch without process or spans");
  put_batch(&writer);
  put_process(&writer, "shop");
  put_process(&writer, "shop");
  assert_malformed("a batch with two processes");
  put_batch(&writer);
  for (unsigned i = 0; i < 2; i++) {
    put_field(&writer, 2, LIST);
    put_list(&writer, STRUCT, 0);
  }
  assert_malformed("a batch with two lists of spans");
  put_message(&writer, "emitBatch");
  put_struct(&writer);
  put_stop(&writer);
  assert_malformed("a call without a batch");
  put_spans(&writer, "shop", 1);
  writer.length--; /* instead of the end of the call another field 1 */
  put_byte(&writer, STRUCT);
  put_zigzag(&writer, 1);
  put_byte(&writer, 0);
  put_byte(&writer, 0);
  assert_malformed("two batches in a call");
  put_spans(&writer, "shop", 1);
  put_byte(&writer, 0);
  assert_malformed("bytes behind the message");
}

/* Each known field with a type that is not its own, in a span, a tag, a reference, a process and a batch. */
static void fields_of_another_type_are_malformed(void **state) {
  (void)state;
  static const char why[] = "a known field has another type";
  for (int16_t id = 1; id <= 11; id++) {
    begin_span(1, 2);
    put_field(&writer, id, 7);
    writer.length += 8;
    assert_int_equal(decode_span(), SPANS_MALFORMED);
    assert_string_equal(captured.result.error, why);
  }
  for (int16_t id = 1; id <= 7; id++) {
    begin_only_tag(STRING);
    put_field(&writer, id, id == 4 ? 8 : 7);
    writer.length += 8;
    put_stop(&writer);
    assert_int_equal(decode_span(), SPANS_MALFORMED);
    assert_string_equal(captured.result.error, why);
  }
  for (int16_t id = 1; id <= 4; id++) {
    begin_span(1, 2);
    put_field(&writer, 6, LIST);
    put_list(&writer, STRUCT, 1);
    put_struct(&writer);
    put_field(&writer, id, 8);
    put_text(&writer, "x");
    put_stop(&writer);
    assert_int_equal(decode_span(), SPANS_MALFORMED);
    assert_string_equal(captured.result.error, why);
  }
  for (int16_t id = 1; id <= 2; id++) {
    put_batch(&writer);
    put_field(&writer, 1, STRUCT);
    put_struct(&writer);
    put_i64(&writer, id, 1);
    assert_malformed(why);
    put_batch(&writer);
    put_i64(&writer, id, 1);
    assert_malformed(why);
  }
  put_batch(&writer);
  put_process(&writer, "shop");
  put_field(&writer, 2, LIST);
  put_list(&writer, 6, 1);
  put_zigzag(&writer, 1);
  assert_malformed(why);
}

static void the_head_tells_what_a_datagram_is(void **state) {
  (void)state;
  put_spans(&writer, "shop", 1);
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_BATCH);
  for (uint32_t cut = 0; cut < 13; cut++) assert_int_equal(jaeger_message_of(writer.bytes, cut), JAEGER_MALFORMED);
  assert_int_equal(jaeger_message_of(writer.bytes, 13), JAEGER_BATCH);
  writer.bytes[1] = 1 << 5 | 1; /* a call that wants an answer: some clients write so */
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_BATCH);
  assert_int_equal(decode(), SPANS_DECODED);
  writer.bytes[1] = 2 << 5 | 1;
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_MALFORMED);
  assert_malformed("no call of emitBatch");
  writer.bytes[1] = 4 << 5 | 2;
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_OTHER_PROTOCOL);
  assert_int_equal(jaeger_message_of((const uint8_t *)"\x80\x01\x00\x04\0\0\0\x09"
                                                      "emitBatch",
                                     17),
                   JAEGER_OTHER_PROTOCOL);
  assert_int_equal(jaeger_message_of((const uint8_t *)"{}", 2), JAEGER_OTHER_PROTOCOL);
  put_message(&writer, "emitZipkinBatch");
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_OTHER_METHOD);
  put_message(&writer, "");
  assert_int_equal(jaeger_message_of(writer.bytes, writer.length), JAEGER_OTHER_METHOD);
}

int main(void) {
  const struct CMUnitTest jaeger[] = {
      cmocka_unit_test_teardown(a_span_has_its_ids_times_and_process, forget),
      cmocka_unit_test_teardown(tags_keep_their_type, forget),
      cmocka_unit_test_teardown(a_tags_type_says_which_value_counts, forget),
      cmocka_unit_test_teardown(kind_and_status_come_from_tags, forget),
      cmocka_unit_test_teardown(the_parent_may_be_a_reference, forget),
      cmocka_unit_test_teardown(a_span_that_cannot_be_judged_is_rejected_alone, forget),
      cmocka_unit_test_teardown(a_process_behind_its_spans_counts_for_them, forget),
      cmocka_unit_test_teardown(an_empty_service_is_null, forget),
      cmocka_unit_test_teardown(many_spans_take_many_batches, forget),
      cmocka_unit_test_teardown(batches_that_cannot_be_are_malformed, forget),
      cmocka_unit_test_teardown(fields_of_another_type_are_malformed, forget),
      cmocka_unit_test_teardown(the_head_tells_what_a_datagram_is, forget),
  };
  return cmocka_run_group_tests(jaeger, setup, teardown);
}
