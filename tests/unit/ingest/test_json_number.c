/* Numbers against the C library's own conversions, which are an independent implementation. */
#include "cmocka_test.h"
#include "json.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct value number(const char *text) {
  struct json_reader reader;
  struct value value = {.type = VALUE_NULL};
  json_begin(&reader, text, (uint32_t)strlen(text), NULL, 0);
  assert_true(json_read_number(&reader, &value));
  assert_true(json_finish(&reader));
  return value;
}

static void assert_same_double(const char *text) {
  const double expected = strtod(text, NULL);
  double got;
  assert_true(json_text_to_double(text, (uint32_t)strlen(text), &got));
  if (memcmp(&got, &expected, sizeof got) != 0) print_error("%s: %a, not %a\n", text, got, expected);
  assert_memory_equal(&got, &expected, sizeof got);
}

static void known_hard_doubles_round_correctly(void **state) {
  (void)state;
  static const char *const texts[] = {
      "0.0",
      "-0.0",
      "1.5",
      "0.1",
      "0.30000000000000004",
      "9007199254740993",
      "9007199254740992.5",
      "9007199254740993.0000000000001",
      "9007199254740991e22",
      "1e22",
      "1e23",
      "8.5e22",
      "123456789012345678",
      "2.2250738585072011e-308",
      "2.2250738585072012e-308",
      "2.2250738585072014e-308",
      "4.9406564584124654e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "5e-324",
      "3e-324",
      "2e-324",
      "1e-400",
      "1.7976931348623157e308",
      "1.7976931348623158e308",
      "1.7976931348623159e308",
      "1e308",
      "1e309",
      "1e400",
      "-1e400",
      "7.2057594037927933e16",
      "6.631236846766476e-316",
      "3.2378839133029012895883524125015321748630094884060e-319",
      "1090544144181609348835077142190",
      "6.9294956446009195e15",
      "0.000000000000000000000000000000000000001e39",
      "100000000000000000000000000000000000000000e-40",
      "1e10000000000000000000000",
      "1e-10000000000000000000000",
      "0e99999",
      "2.47032822920623272088284396434110686182e-324",
      "2.47032822920623272088284396434110686183e-324",
      "18446744073709551616.5",
      "18446744073709551615",
      "18446744073709551617",
      "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633028641669288791094"
      "65555478519404026306574886715058206819089020007083836762738548458177115317644757302700698555713669596228429148198608349364"
      "75292719074168444365510704342711559699508093042880.0",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) assert_same_double(texts[i]);
}

static void random_doubles_round_correctly(void **state) {
  (void)state;
  unsigned seed = 11;
  char text[2048];
  for (unsigned round = 0; round < 60000; round++) {
    uint64_t bits = (uint64_t)rand_r(&seed) << 42 ^ (uint64_t)rand_r(&seed) << 21 ^ (uint64_t)rand_r(&seed);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value)) continue;
    snprintf(text, sizeof text, "%.*e", rand_r(&seed) % 25, value);
    assert_same_double(text);
  }
}

/* The exact middle of two neighbours, and a hair to either side, far behind the point: up to about 770 digits. */
static void midpoints_of_neighbours_round_to_even(void **state) {
  (void)state;
  unsigned seed = 12;
  static char text[2048];
  for (unsigned round = 0; round < 2000; round++) {
    const uint64_t bits =
        ((uint64_t)(rand_r(&seed) % 1000) + 1) << 52 | ((uint64_t)rand_r(&seed) << 21 ^ (uint64_t)rand_r(&seed));
    const uint64_t next_bits = bits + 1;
    double low, high;
    memcpy(&low, &bits, sizeof low);
    memcpy(&high, &next_bits, sizeof high);
    if (low > 1e300) continue;
    /* 53 bits of a double and one more fit a long double exactly, and glibc prints it exactly. */
    const long double middle = ((long double)low + (long double)high) / 2;
    int length = snprintf(text, sizeof text, "%.1200Le", middle);
    assert_true(length > 0 && (size_t)length < sizeof text - 8);
    assert_same_double(text);
    char *last = strchr(text, 'e') - 1;
    *last = '1';
    assert_same_double(text);
  }
}

static void many_digits_matter_and_more_do_not(void **state) {
  (void)state;
  static char text[5000];
  memset(text, '0', sizeof text - 1);
  memcpy(text, "9007199254740993.", 17);
  assert_same_double(text);
  text[4990] = '1';
  assert_same_double(text);
  memset(text, '9', sizeof text - 1);
  memcpy(text + 4990, "e-4900", 7);
  assert_same_double(text);
  memset(text, '0', sizeof text - 1);
  text[1] = '.';
  memcpy(text + 4980, "123e4980", 9);
  assert_same_double(text);
}

static void integers_keep_all_their_bits(void **state) {
  (void)state;
  assert_int_equal(number("9223372036854775807").type, VALUE_INTEGER);
  assert_true(number("9223372036854775807").integer == INT64_MAX);
  assert_int_equal(number("-9223372036854775808").type, VALUE_INTEGER);
  assert_true(number("-9223372036854775808").integer == INT64_MIN);
  assert_int_equal(number("9223372036854775808").type, VALUE_DOUBLE);
  assert_int_equal(number("-9223372036854775809").type, VALUE_DOUBLE);
  assert_int_equal(number("-0").type, VALUE_INTEGER);
  assert_int_equal(number("1.0").type, VALUE_DOUBLE);
  assert_int_equal(number("1e2").type, VALUE_DOUBLE);
  assert_true(number("1e2").real == 100.0);
  assert_true(isinf(number("1e400").real));
}

static bool int64_is(const char *text, int64_t expected) {
  int64_t value;
  return json_text_to_int64(text, (uint32_t)strlen(text), &value) && value == expected;
}

static bool uint64_is(const char *text, uint64_t expected) {
  uint64_t value;
  return json_text_to_uint64(text, (uint32_t)strlen(text), &value) && value == expected;
}

static void text_becomes_an_integer_when_it_is_one(void **state) {
  (void)state;
  int64_t signed_value;
  uint64_t value;
  assert_true(uint64_is("18446744073709551615", UINT64_MAX));
  assert_true(uint64_is("1844674407370955161.5e1", UINT64_MAX));
  assert_true(uint64_is("1e19", 10000000000000000000u));
  assert_true(uint64_is("-0", 0));
  assert_true(uint64_is("0e99999999999999999999999", 0));
  assert_true(uint64_is("500000000000000000000000000e-26", 5));
  assert_true(int64_is("-9223372036854775808", INT64_MIN));
  assert_true(int64_is("9223372036854775807", INT64_MAX));
  assert_true(int64_is("1e3", 1000));
  assert_true(int64_is("-5.0", -5));
  static const char *const not_unsigned[] = {"18446744073709551616",
                                             "1e20",
                                             "-1",
                                             "1.5",
                                             "1e-1",
                                             "",
                                             " 1",
                                             "1 ",
                                             "+1",
                                             "0x1",
                                             "01",
                                             "1e",
                                             "a",
                                             "184467440737095516150",
                                             "99999999999999999999999999999999999.9"};
  for (size_t i = 0; i < sizeof not_unsigned / sizeof *not_unsigned; i++)
    assert_false(json_text_to_uint64(not_unsigned[i], (uint32_t)strlen(not_unsigned[i]), &value));
  static const char *const not_signed[] = {"9223372036854775808", "-9223372036854775809", "0.1", "-", "NaN"};
  for (size_t i = 0; i < sizeof not_signed / sizeof *not_signed; i++)
    assert_false(json_text_to_int64(not_signed[i], (uint32_t)strlen(not_signed[i]), &signed_value));
}

static void random_integers_come_back(void **state) {
  (void)state;
  unsigned seed = 13;
  for (unsigned round = 0; round < 20000; round++) {
    const uint64_t bits =
        ((uint64_t)rand_r(&seed) << 42 ^ (uint64_t)rand_r(&seed) << 21 ^ (uint64_t)rand_r(&seed)) >> rand_r(&seed) % 64;
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, bits);
    assert_true(uint64_is(text, bits));
    snprintf(text, sizeof text, "%" PRId64, (int64_t)bits);
    assert_true(int64_is(text, (int64_t)bits));
  }
}

int main(void) {
  const struct CMUnitTest json_number[] = {
      cmocka_unit_test(known_hard_doubles_round_correctly),
      cmocka_unit_test(random_doubles_round_correctly),
      cmocka_unit_test(midpoints_of_neighbours_round_to_even),
      cmocka_unit_test(many_digits_matter_and_more_do_not),
      cmocka_unit_test(integers_keep_all_their_bits),
      cmocka_unit_test(text_becomes_an_integer_when_it_is_one),
      cmocka_unit_test(random_integers_come_back),
  };
  return cmocka_run_group_tests(json_number, NULL, NULL);
}
