#include "cmocka_test.h"
#include "rules_internal.h"
#include <stdlib.h>

static struct violation example(void) {
  struct violation violation = {
      .wall_ns = 5,
      .shard = 3,
      .fixed = {.rule_version = 2, .severity = 4, .source = 1, .has_trace = 1, .span_count = 2, .count = 7},
      .rule = {"a-rule", 6},
      .message = {"text", 4},
      .service = {NULL, 0},
      .attribute_count = 4};
  violation.attributes[0] = (struct violation_attribute){{"span.b", 6}, {.boolean = true, .type = VALUE_BOOL}};
  violation.attributes[1] = (struct violation_attribute){{"span.i", 6}, {.integer = -9, .type = VALUE_INTEGER}};
  violation.attributes[2] = (struct violation_attribute){{"span.d", 6}, {.real = 0.5, .type = VALUE_DOUBLE}};
  violation.attributes[3] =
      (struct violation_attribute){{"span.s", 6}, {.text = "\xc3\xa9t\xc3\xa9", .length = 5, .type = VALUE_STRING}};
  return violation;
}

static void test_round_trip(void **state) {
  const struct violation before = example();
  struct violation after;
  (void)state;
  const uint32_t bytes = violation_encoded_bytes(&before);
  uint8_t *record = malloc(bytes); /* exactly: a write beyond is seen */
  violation_encode(&before, record);
  assert_true(violation_decode(record, bytes, &after));
  assert_memory_equal(&before.fixed, &after.fixed, sizeof before.fixed);
  assert_int_equal(after.wall_ns, 5);
  assert_int_equal(after.shard, 3);
  assert_null(after.service.at);
  assert_int_equal(after.attribute_count, 4);
  assert_true(after.attributes[0].value.boolean);
  assert_int_equal(after.attributes[1].value.integer, -9);
  assert_true(after.attributes[2].value.real == 0.5);
  assert_memory_equal(after.attributes[3].value.text, "\xc3\xa9t\xc3\xa9", 5);
  free(record);
}

static void test_every_cut_is_refused(void **state) {
  const struct violation before = example();
  const uint32_t bytes = violation_encoded_bytes(&before);
  uint8_t *record = malloc(bytes);
  struct violation after;
  (void)state;
  violation_encode(&before, record);
  for (uint32_t cut = 0; cut < bytes; cut++) {
    uint8_t *shorter = malloc(cut ? cut : 1);
    memcpy(shorter, record, cut);
    assert_false(violation_decode(shorter, cut, &after));
    free(shorter);
  }
  free(record);
}

static void test_long_text_is_cut_to_the_bound(void **state) {
  struct violation violation = example();
  char *large = malloc(100000);
  (void)state;
  memset(large, 'x', 100000);
  violation.message = (struct event_text){large, 100000};
  violation.attribute_count = VIOLATION_ATTRIBUTES_MAX;
  for (unsigned i = 0; i < VIOLATION_ATTRIBUTES_MAX; i++)
    violation.attributes[i] = (struct violation_attribute){{large, 300}, {.text = large, .length = 100000, .type = VALUE_STRING}};
  assert_true(violation_encoded_bytes(&violation) <= VIOLATION_BYTES_MAX);
  free(large);
}

static void check_value(struct value value, bool duration, const char *expected) {
  char out[64];
  const uint32_t length = message_value(&value, duration, out, sizeof out - 1);
  out[length] = '\0';
  assert_string_equal(out, expected);
}

static void test_values_in_messages(void **state) {
  (void)state;
  check_value((struct value){.integer = INT64_MIN, .type = VALUE_INTEGER}, false, "-9223372036854775808");
  check_value((struct value){.integer = 2400000000, .type = VALUE_INTEGER}, true, "2.4s");
  check_value((struct value){.integer = 812345678, .type = VALUE_INTEGER}, true, "812.345ms");
  check_value((struct value){.integer = 7, .type = VALUE_INTEGER}, true, "7ns");
  check_value((struct value){.real = 1.25, .type = VALUE_DOUBLE}, false, "1.25");
  check_value((struct value){.real = -3, .type = VALUE_DOUBLE}, false, "-3");
  check_value((struct value){.real = 1e300, .type = VALUE_DOUBLE}, false, "1e300");
  check_value((struct value){.text = "a\xff"
                                     "b",
                             .length = 3,
                             .type = VALUE_STRING},
              false,
              "a\xef\xbf\xbd"
              "b");
  check_value((struct value){.type = VALUE_NULL}, false, "");
}

static void test_numbers_compare_exactly(void **state) {
  const struct value largest = {.integer = INT64_MAX, .type = VALUE_INTEGER},
                     rounded = {.real = 9223372036854775807.0, .type = VALUE_DOUBLE};
  const struct value two53 = {.integer = 9007199254740993, .type = VALUE_INTEGER},
                     near53 = {.real = 9007199254740992.0, .type = VALUE_DOUBLE};
  const struct value half = {.real = -0.5, .type = VALUE_DOUBLE}, zero = {.integer = 0, .type = VALUE_INTEGER};
  const struct value nan = {.real = __builtin_nan(""), .type = VALUE_DOUBLE},
                     text = {.text = "0", .length = 1, .type = VALUE_STRING};
  (void)state;
  assert_int_equal(value_compare(&largest, &rounded), -1);
  assert_int_equal(value_compare(&two53, &near53), 1);
  assert_int_equal(value_compare(&near53, &two53), -1);
  assert_int_equal(value_compare(&half, &zero), -1);
  assert_int_equal(value_compare(&zero, &nan), 2);
  assert_int_equal(value_compare(&zero, &text), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_every_cut_is_refused),
      cmocka_unit_test(test_long_text_is_cut_to_the_bound),
      cmocka_unit_test(test_values_in_messages),
      cmocka_unit_test(test_numbers_compare_exactly),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
