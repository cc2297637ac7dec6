#include "cmocka_test.h"
#include "hexadecimal.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void test_every_byte_both_ways(void **state) {
  (void)state;
  for (unsigned byte = 0; byte < 256; byte++) {
    char expected[3], text[3] = "??";
    snprintf(expected, sizeof expected, "%02x", byte);
    const uint8_t bytes[1] = {(uint8_t)byte};
    hex_encode(bytes, 1, text);
    assert_string_equal(text, expected);
    uint8_t back = 0;
    assert_true(hex_decode(text, 1, &back));
    assert_int_equal(back, byte);
    snprintf(text, sizeof text, "%02X", byte);
    assert_true(hex_decode(text, 1, &back));
    assert_int_equal(back, byte);
  }
}

/* Every pair of characters is judged as isxdigit does. */
static void test_every_pair(void **state) {
  (void)state;
  for (int high = 0; high < 256; high++) {
    for (int low = 0; low < 256; low++) {
      const char text[2] = {(char)high, (char)low};
      uint8_t byte;
      assert_int_equal(hex_decode(text, 1, &byte), isxdigit(high) && isxdigit(low));
    }
  }
}

static void test_bad_character_anywhere(void **state) {
  (void)state;
  char text[33] = "000102030405060708090a0b0c0d0e0f";
  uint8_t bytes[16];
  assert_true(hex_decode(text, 16, bytes));
  for (unsigned i = 0; i < 16; i++) assert_int_equal(bytes[i], i);
  for (unsigned i = 0; i < 32; i++) {
    const char kept = text[i];
    text[i] = 'g';
    assert_false(hex_decode(text, 16, bytes));
    text[i] = kept;
  }
}

static void test_lengths(void **state) {
  (void)state;
  char text[] = "zz";
  hex_encode((const uint8_t *)"", 0, text);
  assert_string_equal(text, "zz");
  assert_true(hex_decode("", 0, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_byte_both_ways),
      cmocka_unit_test(test_every_pair),
      cmocka_unit_test(test_bad_character_anywhere),
      cmocka_unit_test(test_lengths),
  };
  return cmocka_run_group_tests_name("hexadecimal", tests, NULL, NULL);
}
