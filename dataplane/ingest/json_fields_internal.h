#pragma once
/* Members of a JSON object as the span formats read them. False once the reader failed. Threads: any, one owner. */
#include "event_text_internal.h"
#include "json.h"

/* null is the same as an absent member. */
static inline bool json_read_absent(struct json_reader *reader) {
  return json_peek(reader) == JSON_NULL && json_read_null(reader);
}

/* Leaves `*text` alone when the member is null. */
static inline bool json_read_optional_text(struct json_reader *reader, struct event_text *text) {
  return json_read_absent(reader) || json_read_string(reader, text);
}

/* 64-bit integers come as numbers or, from whoever has no such numbers, as strings. */
static inline bool json_read_digits(struct json_reader *reader, struct event_text *text) {
  return json_peek(reader) == JSON_STRING ? json_read_string(reader, text) : json_read_number_text(reader, text);
}

static inline bool json_read_optional_unsigned(struct json_reader *reader, uint64_t *number) {
  struct event_text text;
  if (json_read_absent(reader)) return true;
  if (!json_read_digits(reader, &text)) return false;
  return json_text_to_uint64(text.at, text.length, number) || json_fail(reader, "not an unsigned 64-bit integer");
}
