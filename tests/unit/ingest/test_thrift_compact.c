/* Thrift's compact protocol byte by byte: numbers, field heads, containers, and what bounds them. */
#include "cmocka_test.h"
#include "guard_page.h"
#include "thrift_compact_internal.h"
#include <math.h>
#include <string.h>

static struct guarded guarded;

static struct thrift_reader over(const void *bytes, size_t length) {
  guarded = guarded_copy(bytes, length);
  return (struct thrift_reader){.start = guarded.bytes, .at = guarded.bytes, .end = guarded.bytes + length};
}

#define OVER(literal) over(literal, sizeof(literal) - 1)

static int teardown(void **state) {
  (void)state;
  if (guarded.mapping) guarded_free(&guarded);
  guarded.mapping = NULL;
  return 0;
}

static void done(void) { assert_int_equal(teardown(NULL), 0); }

static void integers_are_zigzag_varints(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t length;
    int64_t value;
  } cases[] = {{"\0", 1, 0},
               {"\1", 1, -1},
               {"\2", 1, 1},
               {"\x7f", 1, -64},
               {"\x80\x01", 2, 64},
               {"\x80\x00", 2, 0},
               {"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, INT64_MAX},
               {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, INT64_MIN}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct thrift_reader reader = over(cases[i].bytes, cases[i].length);
    int64_t value;
    assert_true(thrift_read_integer(&reader, &value));
    assert_true(value == cases[i].value && reader.at == reader.end);
    done();
    reader = over(cases[i].bytes, cases[i].length - 1);
    assert_false(thrift_read_integer(&reader, &value));
    assert_non_null(reader.error);
    done();
  }
}

static void an_integer_has_at_most_64_bits(void **state) {
  (void)state;
  int64_t value;
  struct thrift_reader reader = OVER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  assert_false(thrift_read_integer(&reader, &value));
  done();
  reader = OVER("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
  assert_false(thrift_read_integer(&reader, &value));
  assert_false(thrift_read_integer(&reader, &value)); /* and nothing moves any more */
  assert_int_equal(reader.at - reader.start, 10);
}

static void doubles_are_little_endian(void **state) {
  (void)state;
  double value;
  struct thrift_reader reader = OVER("\0\0\0\0\0\0\xf8\x3f");
  assert_true(thrift_read_double(&reader, &value));
  assert_true(value == 1.5);
  done();
  reader = OVER("\0\0\0\0\0\0\xf8");
  assert_false(thrift_read_double(&reader, &value));
}

static void a_binary_ends_within_the_bytes(void **state) {
  (void)state;
  struct event_text text;
  struct thrift_reader reader = OVER("\3abc");
  assert_true(thrift_read_binary(&reader, &text));
  assert_int_equal(text.length, 3);
  assert_memory_equal(text.at, "abc", 3);
  done();
  static const char *const lies[] = {"\4abc",
                                     "\xff\xff\xff\xff\x0f"
                                     "abc",
                                     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                                     "abc"};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    reader = over(lies[i], strlen(lies[i]));
    assert_false(thrift_read_binary(&reader, &text));
    assert_non_null(reader.error);
    done();
  }
}

static void field_ids_are_differences_or_whole(void **state) {
  (void)state;
  struct thrift_field field = {.id = 0};
  /* 1, then 16 (15 on), then 5 written whole, then -1, then the end. */
  struct thrift_reader reader = OVER("\x16\xf8\x05\x0a\x01\x01\x00");
  assert_true(thrift_next_field(&reader, &field));
  assert_int_equal(field.id, 1);
  assert_int_equal(field.type, THRIFT_I64);
  assert_true(thrift_next_field(&reader, &field));
  assert_int_equal(field.id, 16);
  assert_true(thrift_next_field(&reader, &field));
  assert_int_equal(field.id, 5);
  assert_true(thrift_next_field(&reader, &field));
  assert_int_equal(field.id, -1);
  assert_int_equal(field.type, THRIFT_TRUE);
  assert_false(thrift_next_field(&reader, &field));
  assert_null(reader.error);
}

static void field_heads_that_cannot_be_are_errors(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t length;
  } cases[] = {{"", 0},
               {"\x10", 1}, /* type 0 with a difference */
               {"\x1e", 1},
               {"\x1f", 1}, /* types 14 and 15 */
               {"\x06", 1}, /* the whole id is missing */
               {"\x06\x80\x80\x04", 4} /* 32,768 */};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct thrift_reader reader = over(cases[i].bytes, cases[i].length);
    struct thrift_field field = {.id = 0};
    assert_false(thrift_next_field(&reader, &field));
    assert_non_null(reader.error);
    done();
  }
  struct thrift_reader reader = OVER("\x16");
  struct thrift_field field = {.id = INT16_MAX};
  assert_false(thrift_next_field(&reader, &field));
  assert_non_null(reader.error);
}

static void a_list_is_no_longer_than_its_bytes(void **state) {
  (void)state;
  struct thrift_list list;
  struct thrift_reader reader = OVER("\x2c\0\0");
  assert_true(thrift_enter_list(&reader, &list));
  assert_int_equal(list.count, 2);
  assert_int_equal(list.type, THRIFT_STRUCT);
  done();
  reader = OVER("\xf1\x0f"
                "123456789012345");
  assert_true(thrift_enter_list(&reader, &list));
  assert_int_equal(list.count, 15);
  assert_int_equal(list.type, THRIFT_BYTE);
  done();
  reader = OVER("\x3c\0\0");
  assert_false(thrift_enter_list(&reader, &list));
  done();
  reader = OVER("\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0");
  assert_false(thrift_enter_list(&reader, &list));
  done();
  reader = OVER("\x10\0");
  assert_false(thrift_enter_list(&reader, &list));
}

static void skipped(const char *bytes, size_t length, uint8_t type, bool good) {
  struct thrift_reader reader = over(bytes, length);
  assert_int_equal(thrift_skip(&reader, type), good);
  assert_int_equal(reader.error == NULL, good);
  if (good) assert_ptr_equal(reader.at, reader.end);
  done();
  for (size_t cut = 0; good && cut < length; cut++) {
    reader = over(bytes, cut);
    assert_false(thrift_skip(&reader, type));
    assert_non_null(reader.error);
    done();
  }
}

#define SKIPPED(literal, type, good) skipped(literal, sizeof(literal) - 1, type, good)

static void every_type_is_passed_over_to_its_end(void **state) {
  (void)state;
  SKIPPED("", THRIFT_TRUE, true);
  SKIPPED("", THRIFT_FALSE, true);
  SKIPPED("\xff", THRIFT_BYTE, true);
  SKIPPED("\xff\x01", THRIFT_I16, true);
  SKIPPED("\xff\xff\xff\xff\x0f", THRIFT_I32, true);
  SKIPPED("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", THRIFT_I64, true);
  SKIPPED("12345678", THRIFT_DOUBLE, true);
  SKIPPED("\3abc", THRIFT_BINARY, true);
  SKIPPED("1234567890123456", THRIFT_UUID, true);
  SKIPPED("\x21\1\2", THRIFT_LIST, true); /* two bools */
  SKIPPED("\x28\1a\2bc", THRIFT_SET, true);
  SKIPPED("\x05", THRIFT_LIST, true);
  SKIPPED("\0", THRIFT_MAP, true);
  SKIPPED("\2\x85\1a\2\0\4", THRIFT_MAP, true); /* "a": 1, "": 2 */
  SKIPPED("\1\x12\1\2", THRIFT_MAP, true);      /* bool to bool */
  SKIPPED("\x11\x12\x15\x08\x1c\x18\1x\0\x19\x2c\0\x11\0\0", THRIFT_STRUCT, true);
  SKIPPED("\1\xb9\1\x88\1k\1v\x10\0", THRIFT_MAP, false); /* a list of no type within */
  SKIPPED("\1\x08\0", THRIFT_MAP, false);
  SKIPPED("\x7f\x55\0", THRIFT_MAP, false);
  SKIPPED("", THRIFT_STOP, false);
  SKIPPED("\0", 14, false);
}

static void nesting_is_bounded(void **state) {
  (void)state;
  static char nested[THRIFT_DEPTH_MAX + 2];
  memset(nested, 0x19, sizeof nested); /* a list of one list */
  nested[THRIFT_DEPTH_MAX - 1] = 0x09; /* of no lists */
  skipped(nested, THRIFT_DEPTH_MAX, THRIFT_LIST, true);
  nested[THRIFT_DEPTH_MAX - 1] = 0x19;
  nested[THRIFT_DEPTH_MAX] = 0x09;
  skipped(nested, THRIFT_DEPTH_MAX + 1, THRIFT_LIST, false);
  static char deep[65000];
  memset(deep, 0x1c, sizeof deep); /* a struct in a struct, and so on */
  skipped(deep, sizeof deep, THRIFT_STRUCT, false);
}

int main(void) {
  const struct CMUnitTest thrift_compact[] = {
      cmocka_unit_test_teardown(integers_are_zigzag_varints, teardown),
      cmocka_unit_test_teardown(an_integer_has_at_most_64_bits, teardown),
      cmocka_unit_test_teardown(doubles_are_little_endian, teardown),
      cmocka_unit_test_teardown(a_binary_ends_within_the_bytes, teardown),
      cmocka_unit_test_teardown(field_ids_are_differences_or_whole, teardown),
      cmocka_unit_test_teardown(field_heads_that_cannot_be_are_errors, teardown),
      cmocka_unit_test_teardown(a_list_is_no_longer_than_its_bytes, teardown),
      cmocka_unit_test_teardown(every_type_is_passed_over_to_its_end, teardown),
      cmocka_unit_test_teardown(nesting_is_bounded, teardown),
  };
  return cmocka_run_group_tests(thrift_compact, NULL, NULL);
}
