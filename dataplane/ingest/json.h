#pragma once
/* A strict, bounded JSON pull reader (RFC 8259) over a contiguous body: no allocation, no recursion of its own. Strings without
 * escapes are views into the body; others are unescaped into the caller's scratch. Invalid UTF-8, lone surrogates, control bytes,
 * bad numbers, trailing bytes and nesting beyond the limit are errors. Duplicate members are passed on as they come.
 * Once an error is set every call returns false and nothing moves. Threads: any, one owner. */
#include "event.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT, JSON_END, JSON_BAD };

struct json_reader {
  const uint8_t *start, *at, *end;
  char *scratch, *scratch_end; /* unescaped text; grows up, never reset by the reader */
  uint32_t depth;
  uint8_t first[JSON_DEPTH_MAX]; /* no element seen yet at this depth */
  const char *error;             /* NULL: none */
  uint32_t error_offset;
};

/* Scratch of at least the body's length always suffices. */
void json_begin(struct json_reader *reader, const void *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes);
/* The type of the value that comes next. */
enum json_type json_peek(struct json_reader *reader);
bool json_enter_object(struct json_reader *reader);
/* The next member's key, ready to read its value; false at the end of the object (which is then left) or on error. */
bool json_next_member(struct json_reader *reader, struct event_text *key);
bool json_enter_array(struct json_reader *reader);
/* Ready to read the next element; false at the end of the array (which is then left) or on error. */
bool json_next_element(struct json_reader *reader);
bool json_read_string(struct json_reader *reader, struct event_text *text);
/* VALUE_INTEGER when it is written without fraction and exponent and fits int64, else VALUE_DOUBLE. */
bool json_read_number(struct json_reader *reader, struct value *value);
bool json_read_bool(struct json_reader *reader, bool *value);
bool json_read_null(struct json_reader *reader);
/* Any scalar; arrays and objects are skipped and give VALUE_OTHER. */
bool json_read_value(struct json_reader *reader, struct value *value);
bool json_skip(struct json_reader *reader);
/* After the top value: nothing but white space is left. */
bool json_finish(struct json_reader *reader);
bool json_fail(struct json_reader *reader, const char *error);
