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
/* VALUE_INTEGER when it is written without fraction and exponent and fits int64, else VALUE_DOUBLE, correctly rounded: infinity
 * beyond its range, so that whether a document is accepted does not depend on who reads the number. */
bool json_read_number(struct json_reader *reader, struct value *value);
/* The number as it is written: for whoever needs more than 63 bits of it. */
bool json_read_number_text(struct json_reader *reader, struct event_text *text);
bool json_read_bool(struct json_reader *reader, bool *value);
bool json_read_null(struct json_reader *reader);
/* Any scalar; arrays and objects are skipped and give VALUE_OTHER. */
bool json_read_value(struct json_reader *reader, struct value *value);
bool json_skip(struct json_reader *reader);
/* After the top value: nothing but white space is left. */
bool json_finish(struct json_reader *reader);
bool json_fail(struct json_reader *reader, const char *error);

/* Text that is a JSON number from its first to its last byte, such as the string of an int64 or a double in protobuf JSON; false
 * when it is not one, and for integers also when it has a fraction (5.0 and 1e3 have none) or is out of range. */
bool json_text_to_int64(const char *text, uint32_t length, int64_t *value);
bool json_text_to_uint64(const char *text, uint32_t length, uint64_t *value);
bool json_text_to_double(const char *text, uint32_t length, double *value);
