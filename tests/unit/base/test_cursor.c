#include "cmocka_test.h"
#include "cursor.h"
#include "guard_page.h"
#include "test_random.h"

static size_t encode_varint(uint64_t value, uint8_t *bytes) {
  size_t length = 0;
  for (; value >= 0x80; value >>= 7) bytes[length++] = (uint8_t)(value | 0x80);
  bytes[length++] = (uint8_t)value;
  return length;
}

static void test_fixed_width_reads(void **state) {
  (void)state;
  static const uint8_t bytes[] = {1,    0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x34, 0x12, 0x78, 0x56,
                                  0x34, 0x12, 8,    7,    6,    5,    4,    3,    2,    1};
  struct cursor cursor = cursor_over(bytes, sizeof bytes);
  assert_int_equal(cursor_u8(&cursor), 1);
  assert_int_equal(cursor_be16(&cursor), 0x1234);
  assert_int_equal(cursor_be32(&cursor), 0x12345678);
  assert_int_equal(cursor_le16(&cursor), 0x1234);
  assert_int_equal(cursor_le32(&cursor), 0x12345678);
  assert_int_equal(cursor_le64(&cursor), 0x0102030405060708);
  assert_int_equal(cursor_left(&cursor), 0);
  assert_false(cursor.failed);
}

/* A read past the end fails, gives zero, moves nothing and stays failed. */
static void test_past_the_end(void **state) {
  (void)state;
  static const uint8_t bytes[7] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  struct guarded guarded = guarded_copy(bytes, sizeof bytes);
  struct cursor cursor = cursor_over(guarded.bytes, sizeof bytes);
  assert_int_equal(cursor_le64(&cursor), 0);
  assert_true(cursor.failed);
  assert_int_equal(cursor_left(&cursor), 7);
  assert_int_equal(cursor_u8(&cursor), 0);
  assert_null(cursor_bytes(&cursor, 0));
  assert_int_equal(cursor_be16(&cursor) + cursor_be32(&cursor) + cursor_le16(&cursor) + cursor_le32(&cursor), 0);
  cursor = cursor_over(guarded.bytes, sizeof bytes);
  assert_null(cursor_bytes(&cursor, SIZE_MAX));
  assert_true(cursor.failed);
  guarded_free(&guarded);
}

static void test_varint_round_trip(void **state) {
  (void)state;
  struct test_random random = {7};
  for (unsigned i = 0; i < 100000; i++) {
    const uint64_t value = i < 64 ? UINT64_C(1) << i : random_next(&random) >> random_below(&random, 64);
    uint8_t bytes[10];
    const size_t length = encode_varint(value, bytes);
    struct cursor cursor = cursor_over(bytes, length);
    assert_true(cursor_varint(&cursor) == value);
    assert_false(cursor.failed);
    assert_int_equal(cursor_left(&cursor), 0);
    cursor = cursor_over(bytes, length - 1);
    assert_int_equal(cursor_varint(&cursor), 0);
    assert_true(cursor.failed);
  }
}

static void test_varint_limits(void **state) {
  (void)state;
  uint8_t bytes[11] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0};
  struct cursor cursor = cursor_over(bytes, sizeof bytes);
  assert_true(cursor_varint(&cursor) == UINT64_MAX);
  /* A 65th bit. */
  bytes[9] = 0x02;
  cursor = cursor_over(bytes, sizeof bytes);
  assert_int_equal(cursor_varint(&cursor), 0);
  assert_true(cursor.failed);
  /* An eleventh byte. */
  bytes[9] = 0x81;
  cursor = cursor_over(bytes, sizeof bytes);
  cursor_varint(&cursor);
  assert_true(cursor.failed);
  /* Longer than need be, but within ten bytes, is a varint too. */
  static const uint8_t padded[] = {0x81, 0x80, 0x00};
  cursor = cursor_over(padded, sizeof padded);
  assert_int_equal(cursor_varint(&cursor), 1);
  assert_false(cursor.failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fixed_width_reads),
      cmocka_unit_test(test_past_the_end),
      cmocka_unit_test(test_varint_round_trip),
      cmocka_unit_test(test_varint_limits),
  };
  return cmocka_run_group_tests_name("cursor", tests, NULL, NULL);
}
