#include "cmocka_test.h"
#include "guard_page.h"
#include "json.h"
#include <stdlib.h>

static char scratch[1 << 16];

static struct json_reader over(const void *text, size_t length) {
  struct json_reader reader;
  json_begin(&reader, text, (uint32_t)length, scratch, sizeof scratch);
  return reader;
}

/* Reads the document by member, element and value, as a decoder does; skip must agree with it. */
static bool walk(struct json_reader *reader) {
  uint64_t objects = 0;
  struct event_text key;
  for (;;) {
    const enum json_type type = json_peek(reader);
    if (type == JSON_OBJECT || type == JSON_ARRAY) {
      if (type == JSON_OBJECT ? !json_enter_object(reader) : !json_enter_array(reader)) return false;
      objects = objects << 1 | (type == JSON_OBJECT);
    } else {
      struct value value;
      if (!json_read_value(reader, &value)) return false;
    }
    while (reader->depth > 0 && !((objects & 1) ? json_next_member(reader, &key) : json_next_element(reader))) {
      if (reader->error) return false;
      objects >>= 1;
    }
    if (reader->error) return false;
    if (reader->depth == 0) return json_finish(reader);
  }
}

static bool accepted(const char *text, size_t length) {
  struct guarded body = guarded_copy(text, length);
  struct json_reader skipped = over(body.bytes, length), walked = skipped;
  const bool skip = json_skip(&skipped) && json_finish(&skipped);
  const bool walk_result = walk(&walked);
  if (skip != walk_result) print_error("skip and walk differ: %.*s\n", (int)length, text);
  assert_int_equal(skip, walk_result);
  assert_int_equal(skip, skipped.error == NULL);
  assert_int_equal(walk_result, walked.error == NULL);
  if (!skip) {
    assert_in_range(skipped.error_offset, 0, length);
    const uint8_t *at = skipped.at;
    assert_false(json_skip(&skipped));
    assert_ptr_equal(skipped.at, at);
  }
  guarded_free(&body);
  return skip;
}

#define TEXT(literal)                                                                                                            \
  { literal, sizeof(literal) - 1 }
struct text {
  const char *at;
  size_t length;
};

static void accepts_what_the_grammar_allows(void **state) {
  (void)state;
  static const struct text good[] = {
      TEXT("0"),
      TEXT("-0"),
      TEXT(" 1 "),
      TEXT("\t\r\n[\n]\n"),
      TEXT("true"),
      TEXT("false"),
      TEXT("null"),
      TEXT("\"\""),
      TEXT("{}"),
      TEXT("[]"),
      TEXT("[[],{}]"),
      TEXT("{\"\":0}"),
      TEXT("{\"a\":1,\"a\":2}"),
      TEXT("{\"a\" : [1 , 2] , \"b\":null}"),
      TEXT("1.5"),
      TEXT("-1.5e3"),
      TEXT("1E+2"),
      TEXT("1e-2"),
      TEXT("0.0"),
      TEXT("0e0"),
      TEXT("1e400"),
      TEXT("-1e-400"),
      TEXT("123456789012345678901234567890"),
      TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
      TEXT("\"\\u0000\""),
      TEXT("\"\\uD834\\uDd1e\""),
      TEXT("\"\\uFFFF\\uD7FF\\uE000\""),
      TEXT("\"\x7f\""),
      TEXT("\"\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
      TEXT("\"long enough to fill several words, with an escape \\n at the end and more behind it\""),
      TEXT("[\"\xe2\x82\xac uro and then plain ascii text\"]"),
      TEXT("[1,\"2\",true,null,{\"k\":[{}]}]"),
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (!accepted(good[i].at, good[i].length)) print_error("refused: %.*s\n", (int)good[i].length, good[i].at);
    assert_true(accepted(good[i].at, good[i].length));
  }
}

static void refuses_everything_else(void **state) {
  (void)state;
  static const struct text bad[] = {
      TEXT(""),
      TEXT(" "),
      TEXT("\xef\xbb\xbf{}"),
      TEXT("[1]x"),
      TEXT("{}{}"),
      TEXT("[]]"),
      TEXT("}"),
      TEXT(","),
      TEXT(":"),
      TEXT("["),
      TEXT("[1"),
      TEXT("[1,"),
      TEXT("[1,]"),
      TEXT("[,1]"),
      TEXT("[1 2]"),
      TEXT("[1}"),
      TEXT("{\"a\":1]"),
      TEXT("{"),
      TEXT("{\"a\""),
      TEXT("{\"a\":"),
      TEXT("{\"a\":1"),
      TEXT("{\"a\":1,"),
      TEXT("{\"a\":1,}"),
      TEXT("{,}"),
      TEXT("{\"a\" 1}"),
      TEXT("{\"a\":,}"),
      TEXT("{a:1}"),
      TEXT("{1:1}"),
      TEXT("{null:1}"),
      TEXT("{'a':1}"),
      TEXT("{\"a\":1 \"b\":2}"),
      TEXT("{\"a\"::1}"),
      TEXT("01"),
      TEXT("-01"),
      TEXT("-"),
      TEXT("+1"),
      TEXT("1."),
      TEXT(".5"),
      TEXT("1.e1"),
      TEXT("1e"),
      TEXT("1e+"),
      TEXT("1e1.5"),
      TEXT("0x1"),
      TEXT("1_0"),
      TEXT("--1"),
      TEXT("NaN"),
      TEXT("Infinity"),
      TEXT("-Infinity"),
      TEXT("1a"),
      TEXT("[1e]"),
      TEXT("[-]"),
      TEXT("tru"),
      TEXT("True"),
      TEXT("truex"),
      TEXT("nul"),
      TEXT("nulll"),
      TEXT("falsy"),
      TEXT("undefined"),
      TEXT("'a'"),
      TEXT("\""),
      TEXT("\"a"),
      TEXT("\"\\"),
      TEXT("\"\\\""),
      TEXT("\"\\x41\""),
      TEXT("\"\\a\""),
      TEXT("\"\\u\""),
      TEXT("\"\\u12\""),
      TEXT("\"\\u123g\""),
      TEXT("\"\\u 123\""),
      TEXT("\"\\U1234\""),
      TEXT("\"\\ud800\""),
      TEXT("\"\\ud800x\""),
      TEXT("\"\\ud800\\n\""),
      TEXT("\"\\ud800\\u0041\""),
      TEXT("\"\\ud800\\ud800\""),
      TEXT("\"\\udc00\""),
      TEXT("\"\\udc00\\ud800\""),
      TEXT("\"\\ud800\\udc0\""),
      TEXT("\"a\nb\""),
      TEXT("\"a\tb\""),
      TEXT("\"\x00\""),
      TEXT("\"\x1f\""),
      TEXT("\"12345678\x01\""),
      TEXT("\"\\\n\""),
      TEXT("\"\\\x00\""),
      TEXT("\"\x80\""),
      TEXT("\"\xc0\x80\""),
      TEXT("\"\xc1\xbf\""),
      TEXT("\"\xe0\x80\x80\""),
      TEXT("\"\xed\xa0\x80\""),
      TEXT("\"\xf0\x80\x80\x80\""),
      TEXT("\"\xf4\x90\x80\x80\""),
      TEXT("\"\xf5\x80\x80\x80\""),
      TEXT("\"\xff\""),
      TEXT("\"\xe2\x82\""),
      TEXT("\"\xe2\\n\x82\xac\""),
      TEXT("\"plain ascii text first \xe2\x28\xa1\""),
      TEXT("{\"\xff\":1}"),
      TEXT("[\"a\x0b\"]"),
      TEXT("[1]\x00"),
      TEXT("\x00"),
      TEXT("[\x0c]"),
      TEXT("/**/1"),
      TEXT("[1]//"),
      TEXT("\xc2\xa0[]"),
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (accepted(bad[i].at, bad[i].length)) print_error("accepted: %.*s\n", (int)bad[i].length, bad[i].at);
    assert_false(accepted(bad[i].at, bad[i].length));
  }
}

static void a_document_cut_anywhere_is_refused_without_over_read(void **state) {
  (void)state;
  static const char document[] = "{\"a\":[1,-2.5e3,true,false,null,\"t\\u00e9\\uD834\\uDD1E \xe2\x82\xac\"],\"b\":{\"c\":{}}}";
  for (size_t length = 0; length + 1 < sizeof document; length++) assert_false(accepted(document, length));
  assert_true(accepted(document, sizeof document - 1));
}

static void nesting_is_bounded(void **state) {
  (void)state;
  char text[4 * JSON_DEPTH_MAX];
  for (unsigned depth = 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    assert_int_equal(accepted(text, 2 * depth), depth <= JSON_DEPTH_MAX);
  }
  char hostile[100000];
  memset(hostile, '[', sizeof hostile);
  assert_false(accepted(hostile, sizeof hostile));
}

static void mixed_nesting_keeps_its_brackets_apart(void **state) {
  (void)state;
  char text[8 * JSON_DEPTH_MAX];
  size_t length = 0;
  for (unsigned i = 0; i < JSON_DEPTH_MAX; i++) {
    const char *const open = i % 3 ? "[" : "{\"k\":";
    memcpy(text + length, open, strlen(open));
    length += strlen(open);
  }
  text[length++] = '1';
  const size_t middle = length;
  for (unsigned i = JSON_DEPTH_MAX; i-- > 0;) text[length++] = i % 3 ? ']' : '}';
  assert_true(accepted(text, length));
  for (size_t at = middle; at < length; at++) {
    char swapped[sizeof text];
    memcpy(swapped, text, length);
    swapped[at] = text[at] == ']' ? '}' : ']';
    assert_false(accepted(swapped, length));
  }
}

static void strings_without_escapes_are_views_of_the_body(void **state) {
  (void)state;
  static const char body[] = "{\"plain\":\"value \xe2\x82\xac\",\"e\\u0073c\":\"a\\tb\\u00e9\\u20AC\\ud83d\\ude00\\/\"}";
  struct json_reader reader = over(body, sizeof body - 1);
  struct event_text key, text;
  assert_true(json_enter_object(&reader));
  assert_true(json_next_member(&reader, &key));
  assert_ptr_equal(key.at, body + 2);
  assert_int_equal(key.length, 5);
  assert_true(json_read_string(&reader, &text));
  assert_ptr_equal(text.at, body + 10);
  assert_int_equal(text.length, 9);
  assert_ptr_equal(reader.scratch, scratch);
  assert_true(json_next_member(&reader, &key));
  assert_int_equal(key.length, 3);
  assert_memory_equal(key.at, "esc", 3);
  assert_true(json_read_string(&reader, &text));
  static const char expected[] = "a\tb\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/";
  assert_int_equal(text.length, sizeof expected - 1);
  assert_memory_equal(text.at, expected, sizeof expected - 1);
  assert_memory_equal(key.at, "esc", 3);
  assert_false(json_next_member(&reader, &key));
  assert_int_equal(reader.depth, 0);
  assert_true(json_finish(&reader));
}

static void scratch_of_the_bodys_length_suffices_and_less_is_an_error(void **state) {
  (void)state;
  static const char body[] = "[\"\\n\\n\\n\\n\",\"\\u0041\\u00e9\",\"plain\"]";
  struct event_text text;
  for (uint32_t room = 0; room < sizeof body; room++) {
    char *exact = malloc(room + 1);
    struct json_reader reader;
    json_begin(&reader, body, sizeof body - 1, exact, room);
    assert_true(json_enter_array(&reader));
    while (json_next_element(&reader) && json_read_string(&reader, &text)) {
    }
    if (room == sizeof body - 1) assert_null(reader.error);
    if (room < 8) assert_non_null(reader.error);
    free(exact);
  }
}

static void skipping_takes_no_scratch(void **state) {
  (void)state;
  static const char body[] = "{\"\\u0041\":[\"\\n\",{\"\\t\":\"\\r\"}]}";
  struct json_reader reader;
  json_begin(&reader, body, sizeof body - 1, NULL, 0);
  assert_true(json_skip(&reader));
  assert_true(json_finish(&reader));
}

static void a_saved_reader_reads_again_from_its_place(void **state) {
  (void)state;
  static const char body[] = "{\"late\":[1,2],\"early\":3}";
  struct json_reader reader = over(body, sizeof body - 1), saved;
  struct event_text key;
  struct value value;
  assert_true(json_enter_object(&reader));
  assert_true(json_next_member(&reader, &key));
  saved = reader;
  assert_true(json_skip(&reader));
  assert_true(json_next_member(&reader, &key));
  assert_true(json_read_number(&reader, &value));
  assert_int_equal(value.integer, 3);
  assert_true(json_enter_array(&saved));
  assert_true(json_next_element(&saved));
  assert_true(json_read_number(&saved, &value));
  assert_int_equal(value.integer, 1);
}

static void values_have_their_type(void **state) {
  (void)state;
  static const char body[] = "[null,true,false,7,7.0,\"s\",[1],{\"a\":2}]";
  static const enum value_type types[] = {VALUE_NULL,   VALUE_BOOL,   VALUE_BOOL,  VALUE_INTEGER,
                                          VALUE_DOUBLE, VALUE_STRING, VALUE_OTHER, VALUE_OTHER};
  struct json_reader reader = over(body, sizeof body - 1);
  assert_true(json_enter_array(&reader));
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    struct value value;
    assert_true(json_next_element(&reader));
    assert_true(json_read_value(&reader, &value));
    assert_int_equal(value.type, types[i]);
  }
  assert_false(json_next_element(&reader));
  assert_true(json_finish(&reader));
}

static void a_value_of_another_type_is_an_error(void **state) {
  (void)state;
  static const char *const bodies[] = {"1", "\"s\"", "true", "null", "[]", "{}"};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    const size_t length = strlen(bodies[i]);
    struct event_text text;
    struct value value;
    bool boolean;
    struct json_reader reader = over(bodies[i], length);
    assert_int_equal(json_read_number(&reader, &value), i == 0);
    reader = over(bodies[i], length);
    assert_int_equal(json_read_string(&reader, &text), i == 1);
    reader = over(bodies[i], length);
    assert_int_equal(json_read_bool(&reader, &boolean), i == 2);
    reader = over(bodies[i], length);
    assert_int_equal(json_read_null(&reader), i == 3);
    reader = over(bodies[i], length);
    assert_int_equal(json_enter_array(&reader), i == 4);
    reader = over(bodies[i], length);
    assert_int_equal(json_enter_object(&reader), i == 5);
  }
}

static void the_first_error_stays(void **state) {
  (void)state;
  struct json_reader reader = over("[1, x]", 6);
  assert_false(json_skip(&reader));
  const char *error = reader.error;
  assert_int_equal(reader.error_offset, 4);
  assert_false(json_fail(&reader, "another"));
  assert_ptr_equal(reader.error, error);
  assert_int_equal(json_peek(&reader), JSON_BAD);
}

static void mutated_documents_never_crash_and_agree(void **state) {
  (void)state;
  static const char document[] =
      "{\"a\":[1,-2.5e3,true,false,null,\"t\\u00e9\\uD834\\uDD1E \xe2\x82\xac\"],\"b\":{\"c\":{},\"d\":[[0],\"x\"]}}";
  static const char alphabet[] = "{}[]\",:\\u0d89aefn tr.-+\x80\xe2\x01";
  unsigned seed = 7;
  for (unsigned round = 0; round < 20000; round++) {
    char text[sizeof document];
    memcpy(text, document, sizeof text);
    for (int changes = 1 + rand_r(&seed) % 3; changes > 0; changes--)
      text[(size_t)rand_r(&seed) % (sizeof text - 1)] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
    accepted(text, sizeof text - 1);
  }
}

int main(void) {
  const struct CMUnitTest json_reader[] = {
      cmocka_unit_test(accepts_what_the_grammar_allows),
      cmocka_unit_test(refuses_everything_else),
      cmocka_unit_test(a_document_cut_anywhere_is_refused_without_over_read),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(mixed_nesting_keeps_its_brackets_apart),
      cmocka_unit_test(strings_without_escapes_are_views_of_the_body),
      cmocka_unit_test(scratch_of_the_bodys_length_suffices_and_less_is_an_error),
      cmocka_unit_test(skipping_takes_no_scratch),
      cmocka_unit_test(a_saved_reader_reads_again_from_its_place),
      cmocka_unit_test(values_have_their_type),
      cmocka_unit_test(a_value_of_another_type_is_an_error),
      cmocka_unit_test(the_first_error_stays),
      cmocka_unit_test(mutated_documents_never_crash_and_agree),
  };
  return cmocka_run_group_tests(json_reader, NULL, NULL);
}
