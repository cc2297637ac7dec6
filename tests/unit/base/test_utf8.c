#include "cmocka_test.h"
#include "guard_page.h"
#include "test_random.h"
#include "utf8.h"
#include <string.h>

/* The oracle: decode by the bit patterns, then reject by the code point's value. 0: not valid. */
static size_t reference_character(const uint8_t *text, size_t length) {
  static const struct {
    uint8_t mask, value;
    uint32_t least;
  } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  for (size_t form = 0; form < 4; form++) {
    if ((text[0] & forms[form].mask) != forms[form].value) continue;
    if (form + 1 > length) return 0;
    uint32_t code = text[0] & (uint8_t)~forms[form].mask;
    for (size_t i = 1; i <= form; i++) {
      if ((text[i] & 0xc0) != 0x80) return 0;
      code = code << 6 | (text[i] & 0x3fu);
    }
    return code >= forms[form].least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? form + 1 : 0;
  }
  return 0;
}

static bool reference_valid(const uint8_t *text, size_t length) {
  for (size_t i = 0; i < length;) {
    const size_t bytes = reference_character(text + i, length - i);
    if (bytes == 0) return false;
    i += bytes;
  }
  return true;
}

static void check_bytes(const uint8_t *text, size_t length) {
  if (utf8_valid(text, length) != reference_valid(text, length))
    fail_msg("%02x %02x %02x %02x, %zu bytes", text[0], text[1], text[2], text[3], length);
}

static void test_every_short_sequence(void **state) {
  (void)state;
  for (uint32_t word = 0; word < 1u << 24; word++) {
    const uint8_t text[4] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16), 0};
    if (word < 1u << 8) check_bytes(text, 1);
    if (word < 1u << 16) check_bytes(text, 2);
    check_bytes(text, 3);
  }
}

/* All four-byte sequences whose bytes lie at or next to a boundary of RFC 3629's table. */
static void test_boundary_sequences(void **state) {
  (void)state;
  static const uint8_t edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
                                  0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfc, 0xfe, 0xff};
  const size_t count = sizeof edges;
  for (size_t i = 0; i < count * count * count * count; i++) {
    const uint8_t text[4] = {edges[i % count], edges[i / count % count], edges[i / count / count % count],
                             edges[i / count / count / count]};
    check_bytes(text, 4);
  }
}

static void test_every_code_point(void **state) {
  (void)state;
  for (uint32_t code = 0; code < 0x110000; code++) {
    uint8_t text[4];
    size_t length;
    if (code < 0x80) {
      text[0] = (uint8_t)code;
      length = 1;
    } else if (code < 0x800) {
      text[0] = (uint8_t)(0xc0 | code >> 6);
      length = 2;
    } else if (code < 0x10000) {
      text[0] = (uint8_t)(0xe0 | code >> 12);
      length = 3;
    } else {
      text[0] = (uint8_t)(0xf0 | code >> 18);
      length = 4;
    }
    for (size_t i = 1; i < length; i++) text[i] = (uint8_t)(0x80 | (code >> 6 * (length - 1 - i) & 0x3f));
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    assert_int_equal(utf8_valid(text, length), !surrogate);
    for (size_t cut = 1; cut < length; cut++) assert_false(utf8_valid(text, cut));
    if (!surrogate)
      for (size_t most = 0; most <= length; most++)
        assert_int_equal(utf8_truncate(text, length, most), most == length ? most : 0);
  }
}

/* Random text of whole characters, sometimes damaged, against the oracle, at the end of a mapping. */
static void test_random_text(void **state) {
  (void)state;
  static const char *const parts[] = {"a", "plain ascii text", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa8", "\xef\xbf\xbd",
                                      ""};
  struct test_random random = {2};
  for (unsigned round = 0; round < 5000; round++) {
    uint8_t text[256];
    size_t length = 0;
    for (uint32_t count = random_below(&random, 14); count > 0; count--) {
      const char *part = parts[random_below(&random, sizeof parts / sizeof *parts)];
      memcpy(text + length, part, strlen(part));
      length += strlen(part);
    }
    if (length && random_below(&random, 2)) text[random_below(&random, (uint32_t)length)] = (uint8_t)random_next(&random);
    if (length && random_below(&random, 4) == 0) length--;
    struct guarded guarded = guarded_copy(text, length);
    const bool valid = reference_valid(text, length);
    assert_int_equal(utf8_valid(guarded.bytes, length), valid);
    for (size_t most = 0; most <= length + 1; most++) {
      const size_t kept = utf8_truncate(guarded.bytes, length, most);
      assert_true(kept <= most && kept <= length && (kept + 4 > most || kept == length));
      if (!valid) continue;
      assert_true(utf8_valid(guarded.bytes, kept));
      /* And it is the longest. */
      for (size_t longer = kept + 1; longer <= most && longer <= length; longer++) assert_false(reference_valid(text, longer));
    }
    guarded_free(&guarded);
  }
}

static void test_truncate_of_garbage(void **state) {
  (void)state;
  assert_int_equal(utf8_truncate("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
  assert_int_equal(utf8_truncate("a\x80\x80", 3, 2), 2);
  assert_int_equal(utf8_truncate("\xff\xff", 2, 1), 1);
  assert_int_equal(utf8_truncate("", 0, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_short_sequence), cmocka_unit_test(test_boundary_sequences),
      cmocka_unit_test(test_every_code_point),     cmocka_unit_test(test_random_text),
      cmocka_unit_test(test_truncate_of_garbage),
  };
  return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
