#include "always_assert.h"
#include "json.h"
#include "json_number_internal.h"
#include "utf8.h"
#include <string.h>

#define EVERY_BYTE 0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u

void json_begin(struct json_reader *reader, const void *body, uint32_t bytes, char *scratch, uint32_t scratch_bytes) {
  const uint8_t *start = body;
  *reader = (struct json_reader){
      .start = start, .at = start, .end = start + bytes, .scratch = scratch, .scratch_end = scratch + scratch_bytes};
}

bool json_fail(struct json_reader *reader, const char *error) {
  if (!reader->error) {
    reader->error = error;
    reader->error_offset = (uint32_t)(reader->at - reader->start);
  }
  return false;
}

static inline bool skip_space(struct json_reader *reader) {
  while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t'))
    reader->at++;
  return reader->at < reader->end;
}

enum json_type json_peek(struct json_reader *reader) {
  if (reader->error) return JSON_BAD;
  if (!skip_space(reader)) return JSON_END;
  switch (*reader->at) {
  case 'n':
    return JSON_NULL;
  case 't':
  case 'f':
    return JSON_BOOL;
  case '"':
    return JSON_STRING;
  case '[':
    return JSON_ARRAY;
  case '{':
    return JSON_OBJECT;
  case ']':
  case '}':
    return JSON_END;
  default:
    return *reader->at == '-' || (*reader->at >= '0' && *reader->at <= '9') ? JSON_NUMBER : JSON_BAD;
  }
}

static bool enter(struct json_reader *reader, uint8_t bracket, const char *expected) {
  if (reader->error) return false;
  if (!skip_space(reader) || *reader->at != bracket) return json_fail(reader, expected);
  if (reader->depth == JSON_DEPTH_MAX) return json_fail(reader, "nested too deeply");
  reader->at++;
  reader->first[reader->depth++] = 1;
  return true;
}

bool json_enter_object(struct json_reader *reader) { return enter(reader, '{', "an object was expected"); }
bool json_enter_array(struct json_reader *reader) { return enter(reader, '[', "an array was expected"); }

/* Past the comma, if one is due, to the next element; false at the end, which is then left, or on error. */
static bool advance(struct json_reader *reader, uint8_t bracket) {
  if (reader->error) return false;
  ALWAYS_ASSERT(reader->depth > 0);
  if (!skip_space(reader)) return json_fail(reader, "ends too early");
  if (*reader->at == bracket) {
    reader->at++;
    reader->depth--;
    return false;
  }
  if (reader->first[reader->depth - 1]) {
    reader->first[reader->depth - 1] = 0;
    return true;
  }
  if (*reader->at != ',') return json_fail(reader, "a comma or a closing bracket was expected");
  reader->at++;
  if (!skip_space(reader)) return json_fail(reader, "ends too early");
  return true;
}

/* Sixteen bytes as one vector, on any machine that has them. */
typedef uint8_t vector __attribute__((vector_size(16)));
typedef uint64_t halves __attribute__((vector_size(16)));

static inline bool any_bit(halves bits) { return (bits[0] | bits[1]) != 0; }

/* Leaves out whole vectors of bytes that a string carries as they are: long texts are most of a large body. */
static const uint8_t *plain_vectors(const uint8_t *at, const uint8_t *end, bool *high) {
  halves seen = {0};
  for (vector two[2]; end - at >= (ptrdiff_t)sizeof two; at += sizeof two) {
    memcpy(two, at, sizeof two);
    const vector special = (vector)((two[0] == '"') | (two[1] == '"')) | (vector)((two[0] == '\\') | (two[1] == '\\')) |
                           (vector)((two[0] < 0x20) | (two[1] < 0x20));
    if (any_bit((halves)special)) break;
    seen |= (halves)(two[0] | two[1]);
  }
  *high |= any_bit(seen & HIGH_BITS);
  return at;
}

/* The first byte that a string does not carry as it is: quote, backslash or control. Sets `*high` when a byte above 0x7f came
 * before it. Only bytes above the lowest mark can be marked falsely by a borrow, so the lowest is exact. */
static const uint8_t *plain_run(const uint8_t *at, const uint8_t *end, bool *high) {
  at = plain_vectors(at, end, high);
  for (uint64_t word; end - at >= (ptrdiff_t)sizeof word; at += sizeof word) {
    memcpy(&word, at, sizeof word);
    const uint64_t quote = word ^ EVERY_BYTE * '"', backslash = word ^ EVERY_BYTE * '\\';
    const uint64_t special =
        (((quote - EVERY_BYTE) & ~quote) | ((backslash - EVERY_BYTE) & ~backslash) | ((word - EVERY_BYTE * 0x20) & ~word)) &
        HIGH_BITS;
    if (special) {
      const unsigned bit = (unsigned)__builtin_ctzll(special);
      *high |= (word & HIGH_BITS & (((uint64_t)1 << bit) - 1)) != 0;
      return at + bit / 8;
    }
    *high |= (word & HIGH_BITS) != 0;
  }
  for (; at < end && *at != '"' && *at != '\\' && *at >= 0x20; at++) *high |= *at >= 0x80;
  return at;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end) {
  if (end - at < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; i++) {
    const uint8_t lower = at[i] | 0x20;
    if (at[i] >= '0' && at[i] <= '9') {
      value = value * 16 + (at[i] - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

/* One escape, `at` behind its backslash. Returns its length there, 0 when it is bad; `*code` is the character. */
static uint32_t read_escape(const uint8_t *at, const uint8_t *end, uint32_t *code) {
  static const char names[] = "\"\\/bfnrt", characters[] = "\"\\/\b\f\n\r\t";
  if (at == end) return 0;
  if (*at != 'u') {
    const char *name = memchr(names, *at, sizeof names - 1);
    if (!name) return 0;
    *code = (uint8_t)characters[name - names];
    return 1;
  }
  const int32_t unit = hex4(at + 1, end);
  if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000)) return 0;
  *code = (uint32_t)unit;
  if (unit < 0xd800 || unit >= 0xe000) return 5;
  if (end - at < 11 || at[5] != '\\' || at[6] != 'u') return 0;
  const int32_t low = hex4(at + 7, end);
  if (low < 0xdc00 || low >= 0xe000) return 0;
  *code = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
  return 11;
}

static char *put_utf8(char *out, uint32_t code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
    *out++ = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  } else {
    *out++ = (char)(0xf0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 0x3f));
    *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    *out++ = (char)(0x80 | (code & 0x3f));
  }
  return out;
}

/* From the opening quote to behind the closing one, all of it checked. `*text` is the raw content. */
static bool scan_string(struct json_reader *reader, struct event_text *text, bool *escaped) {
  bool high = false;
  const uint8_t *first = reader->at + 1;
  *escaped = false;
  for (const uint8_t *at = first;;) {
    at = plain_run(at, reader->end, &high);
    if (at == reader->end) return json_fail(reader, "a string does not end");
    if (*at == '"') {
      if (high && !utf8_valid(first, (size_t)(at - first))) return json_fail(reader, "a string is not valid UTF-8");
      *text = (struct event_text){.at = (const char *)first, .length = (uint32_t)(at - first)};
      reader->at = at + 1;
      return true;
    }
    uint32_t code, length;
    if (*at != '\\' || (length = read_escape(at + 1, reader->end, &code)) == 0) {
      reader->at = at;
      return json_fail(reader, *at == '\\' ? "a bad escape in a string" : "a control character in a string");
    }
    *escaped = true;
    at += 1 + length;
  }
}

/* The content is checked and never grows: the shortest escape of a character of n bytes has at least n + 1. */
static bool unescape(struct json_reader *reader, struct event_text *text) {
  const uint8_t *at = (const uint8_t *)text->at, *end = at + text->length;
  if (reader->scratch_end - reader->scratch < (ptrdiff_t)text->length) return json_fail(reader, "no room to unescape a string");
  char *out = reader->scratch;
  while (at < end) {
    const uint8_t *backslash = memchr(at, '\\', (size_t)(end - at));
    const size_t plain = (size_t)((backslash ? backslash : end) - at);
    memcpy(out, at, plain);
    out += plain;
    if (!backslash) break;
    uint32_t code = 0;
    at = backslash + 1 + read_escape(backslash + 1, end, &code);
    out = put_utf8(out, code);
  }
  *text = (struct event_text){.at = reader->scratch, .length = (uint32_t)(out - reader->scratch)};
  reader->scratch = out;
  return true;
}

bool json_read_string(struct json_reader *reader, struct event_text *text) {
  bool escaped;
  if (reader->error) return false;
  if (!skip_space(reader) || *reader->at != '"') return json_fail(reader, "a string was expected");
  return scan_string(reader, text, &escaped) && (!escaped || unescape(reader, text));
}

static bool skip_colon(struct json_reader *reader) {
  if (!skip_space(reader) || *reader->at != ':') return json_fail(reader, "a colon was expected");
  reader->at++;
  return true;
}

bool json_next_member(struct json_reader *reader, struct event_text *key) {
  if (!advance(reader, '}')) return false;
  if (*reader->at != '"') return json_fail(reader, "a member name was expected");
  return json_read_string(reader, key) && skip_colon(reader);
}

bool json_next_element(struct json_reader *reader) { return advance(reader, ']'); }

bool json_read_number_text(struct json_reader *reader, struct event_text *text) {
  if (reader->error) return false;
  skip_space(reader);
  const uint8_t *end = decimal_scan(reader->at, reader->end);
  if (!end) return json_fail(reader, "a number was expected");
  *text = (struct event_text){.at = (const char *)reader->at, .length = (uint32_t)(end - reader->at)};
  reader->at = end;
  return true;
}

static bool to_int64(const struct decimal *decimal, int64_t *value) {
  uint64_t magnitude;
  if (!decimal_to_magnitude(decimal, &magnitude) || magnitude > (uint64_t)INT64_MAX + decimal->negative) return false;
  *value = (int64_t)(decimal->negative ? 0 - magnitude : magnitude);
  return true;
}

bool json_read_number(struct json_reader *reader, struct value *value) {
  struct event_text text;
  if (!json_read_number_text(reader, &text)) return false;
  const struct decimal decimal = decimal_read(text.at, text.length);
  *value = (struct value){.type = VALUE_INTEGER};
  if (!decimal.integral || !to_int64(&decimal, &value->integer))
    *value = (struct value){.real = decimal_to_double(&decimal, text.at, text.length), .type = VALUE_DOUBLE};
  return true;
}

static bool read_word(struct json_reader *reader, const char *word, size_t length) {
  if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0)
    return json_fail(reader, "a value was expected");
  reader->at += length;
  return true;
}

bool json_read_bool(struct json_reader *reader, bool *value) {
  if (json_peek(reader) != JSON_BOOL) return json_fail(reader, "true or false was expected");
  *value = *reader->at == 't';
  return *value ? read_word(reader, "true", 4) : read_word(reader, "false", 5);
}

bool json_read_null(struct json_reader *reader) {
  if (json_peek(reader) != JSON_NULL) return json_fail(reader, "null was expected");
  return read_word(reader, "null", 4);
}

bool json_read_value(struct json_reader *reader, struct value *value) {
  struct event_text text;
  *value = (struct value){.type = VALUE_OTHER};
  switch (json_peek(reader)) {
  case JSON_NULL:
    value->type = VALUE_NULL;
    return json_read_null(reader);
  case JSON_BOOL:
    value->type = VALUE_BOOL;
    return json_read_bool(reader, &value->boolean);
  case JSON_NUMBER:
    return json_read_number(reader, value);
  case JSON_STRING:
    if (!json_read_string(reader, &text)) return false;
    *value = (struct value){.text = text.at, .length = text.length, .type = VALUE_STRING};
    return true;
  default:
    return json_skip(reader);
  }
}

/* Past one scalar, or into a container. Nothing is unescaped, so that skipping takes no scratch. */
static bool skip_step(struct json_reader *reader, uint64_t *objects) {
  struct event_text ignored;
  bool escaped;
  switch (json_peek(reader)) {
  case JSON_NULL:
    return json_read_null(reader);
  case JSON_BOOL:
    return json_read_bool(reader, &escaped);
  case JSON_NUMBER:
    return json_read_number_text(reader, &ignored);
  case JSON_STRING:
    return scan_string(reader, &ignored, &escaped);
  case JSON_ARRAY:
    *objects &= ~((uint64_t)1 << (reader->depth % JSON_DEPTH_MAX));
    return json_enter_array(reader);
  case JSON_OBJECT:
    *objects |= (uint64_t)1 << (reader->depth % JSON_DEPTH_MAX);
    return json_enter_object(reader);
  default:
    return json_fail(reader, "a value was expected");
  }
}

bool json_skip(struct json_reader *reader) {
  _Static_assert(JSON_DEPTH_MAX <= 64, "one bit a level says whether it is an object");
  const uint32_t outside = reader->depth;
  uint64_t objects = 0;
  if (!skip_step(reader, &objects)) return false;
  while (reader->depth > outside) {
    const bool object = objects >> (reader->depth - 1) & 1;
    if (!advance(reader, object ? '}' : ']')) {
      if (reader->error) return false;
      continue;
    }
    if (object) {
      struct event_text ignored;
      bool escaped;
      if (*reader->at != '"') return json_fail(reader, "a member name was expected");
      if (!scan_string(reader, &ignored, &escaped) || !skip_colon(reader)) return false;
    }
    if (!skip_step(reader, &objects)) return false;
  }
  return true;
}

bool json_finish(struct json_reader *reader) {
  if (reader->error) return false;
  return !skip_space(reader) || json_fail(reader, "something follows the end of the document");
}

static bool read_text(const char *text, uint32_t length, struct decimal *decimal) {
  const uint8_t *at = (const uint8_t *)text;
  if (length == 0 || decimal_scan(at, at + length) != at + length) return false;
  *decimal = decimal_read(text, length);
  return true;
}

bool json_text_to_int64(const char *text, uint32_t length, int64_t *value) {
  struct decimal decimal;
  return read_text(text, length, &decimal) && to_int64(&decimal, value);
}

bool json_text_to_uint64(const char *text, uint32_t length, uint64_t *value) {
  struct decimal decimal;
  uint64_t magnitude;
  if (!read_text(text, length, &decimal) || !decimal_to_magnitude(&decimal, &magnitude)) return false;
  if (decimal.negative && magnitude != 0) return false;
  *value = magnitude;
  return true;
}

bool json_text_to_double(const char *text, uint32_t length, double *value) {
  struct decimal decimal;
  if (!read_text(text, length, &decimal)) return false;
  *value = decimal_to_double(&decimal, text, length);
  return true;
}
