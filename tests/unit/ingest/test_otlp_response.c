#include "cmocka_test.h"
#include "json.h"
#include "otlp.h"
#include "utf8.h"
#include <stdlib.h>
#include <string.h>

#define ROOM 512u

static uint8_t out[ROOM];

static void assert_answer(uint32_t length, const char *expected, size_t expected_length) {
  assert_int_equal(length, expected_length);
  assert_memory_equal(out, expected, expected_length);
}

#define ASSERT_ANSWER(length, literal) assert_answer(length, literal, sizeof(literal) - 1)

static void full_success_is_an_empty_message(void **state) {
  (void)state;
  const struct span_result result = {.spans = 5};
  assert_int_equal(otlp_encode_response(OTLP_PROTOBUF, &result, out, ROOM), 0);
  ASSERT_ANSWER(otlp_encode_response(OTLP_JSON, &result, out, ROOM), "{}");
}

static void rejects_are_a_partial_success(void **state) {
  (void)state;
  struct span_result result = {.spans = 500, .rejected = {[SPAN_REJECT_SPAN_ID] = 300}};
  ASSERT_ANSWER(otlp_encode_response(OTLP_PROTOBUF, &result, out, ROOM),
                "\x0a\x30\x08\xac\x02\x12\x2brejected spans: 300 with an invalid span_id");
  ASSERT_ANSWER(
      otlp_encode_response(OTLP_JSON, &result, out, ROOM),
      "{\"partialSuccess\":{\"rejectedSpans\":\"300\",\"errorMessage\":\"rejected spans: 300 with an invalid span_id\"}}");
  result.rejected[SPAN_REJECT_TRACE_ID] = 1;
  result.rejected[SPAN_REJECT_PARENT_ID] = 7;
  ASSERT_ANSWER(otlp_encode_response(OTLP_JSON, &result, out, ROOM),
                "{\"partialSuccess\":{\"rejectedSpans\":\"308\",\"errorMessage\":\"rejected spans: 1 with an invalid trace_id, "
                "300 with an invalid span_id, 7 with an invalid parent_id\"}}");
}

static void the_largest_counts_fit_the_least_room(void **state) {
  (void)state;
  const struct span_result result = {.rejected = {UINT64_MAX / 4, UINT64_MAX / 4, UINT64_MAX / 4}};
  for (int encoding = OTLP_PROTOBUF; encoding <= OTLP_JSON; encoding++) {
    uint8_t *least = malloc(OTLP_ANSWER_BYTES_MIN);
    assert_non_null(least);
    const uint32_t length = otlp_encode_response((enum otlp_encoding)encoding, &result, least, OTLP_ANSWER_BYTES_MIN);
    assert_in_range(length, 150, OTLP_ANSWER_BYTES_MIN);
    if (encoding == OTLP_JSON) {
      struct json_reader reader;
      json_begin(&reader, least, length, NULL, 0);
      assert_true(json_skip(&reader) && json_finish(&reader));
    } else {
      /* One-byte tag, two-byte length, and that many bytes. */
      assert_int_equal(least[0], 0x0a);
      assert_int_equal(length, 3u + (least[1] & 0x7fu) + ((uint32_t)least[2] << 7));
    }
    free(least);
  }
}

static void errors_are_a_status_with_a_code(void **state) {
  (void)state;
  static const struct {
    uint16_t http_status;
    uint8_t code;
  } codes[] = {{400, 3}, {401, 16}, {403, 7}, {404, 5},  {405, 12}, {408, 4},  {411, 3}, {413, 8}, {415, 3},
               {422, 3}, {429, 8},  {431, 8}, {500, 13}, {501, 12}, {503, 14}, {504, 4}, {302, 2}};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    const uint32_t length = otlp_encode_status(OTLP_PROTOBUF, codes[i].http_status, "no", 2, out, ROOM);
    const uint8_t expected[] = {0x08, codes[i].code, 0x12, 2, 'n', 'o'};
    assert_answer(length, (const char *)expected, sizeof expected);
  }
  ASSERT_ANSWER(otlp_encode_status(OTLP_JSON, 503, "no", 2, out, ROOM), "{\"code\":14,\"message\":\"no\"}");
}

static void messages_are_escaped(void **state) {
  (void)state;
  static const char message[] = "a\"b\\c\n\x01\x7f\xe2\x82\xac\xff z\x80";
  ASSERT_ANSWER(otlp_encode_status(OTLP_JSON, 400, message, sizeof message - 1, out, ROOM),
                "{\"code\":3,\"message\":\"a\\\"b\\\\c\\u000a\\u0001\x7f\xe2\x82\xac? z?\"}");
}

static void long_messages_are_cut_at_whole_characters(void **state) {
  (void)state;
  static char message[3000];
  for (size_t i = 0; i + 3 <= sizeof message; i += 3) memcpy(message + i, "\xe2\x82\xac", 3);
  for (uint32_t room = OTLP_ANSWER_BYTES_MIN; room < OTLP_ANSWER_BYTES_MIN + 8; room++) {
    uint8_t *exact = malloc(room);
    assert_non_null(exact);
    uint32_t length = otlp_encode_status(OTLP_JSON, 400, message, sizeof message, exact, room);
    struct json_reader reader;
    json_begin(&reader, exact, length, NULL, 0);
    assert_true(json_skip(&reader) && json_finish(&reader));
    assert_in_range(length, room - 3, room);
    length = otlp_encode_status(OTLP_PROTOBUF, 400, message, sizeof message, exact, room);
    assert_in_range(length, room - 8, room);
    const uint32_t said = (exact[3] & 0x7fu) | (uint32_t)exact[4] << 7;
    assert_int_equal(length, 5 + said);
    assert_true(utf8_valid(exact + 5, said));
    free(exact);
  }
}

static void rejects_have_names(void **state) {
  (void)state;
  assert_string_equal(span_reject_name(SPAN_REJECT_TRACE_ID), "trace_id");
  assert_string_equal(span_reject_name(SPAN_REJECT_SPAN_ID), "span_id");
  assert_string_equal(span_reject_name(SPAN_REJECT_PARENT_ID), "parent_id");
}

int main(void) {
  const struct CMUnitTest otlp_response[] = {
      cmocka_unit_test(full_success_is_an_empty_message),
      cmocka_unit_test(rejects_are_a_partial_success),
      cmocka_unit_test(the_largest_counts_fit_the_least_room),
      cmocka_unit_test(errors_are_a_status_with_a_code),
      cmocka_unit_test(messages_are_escaped),
      cmocka_unit_test(long_messages_are_cut_at_whole_characters),
      cmocka_unit_test(rejects_have_names),
  };
  return cmocka_run_group_tests(otlp_response, NULL, NULL);
}
