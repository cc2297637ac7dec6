#include "expression_token_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool hexadecimal(const char *at, size_t left, uint32_t *code) {
  *code = 0;
  if (left < 4) return false;
  for (unsigned i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef";
    const char lower = at[i] >= 'A' && at[i] <= 'F' ? (char)(at[i] - 'A' + 'a') : at[i];
    const char *found = lower ? strchr(digits, lower) : NULL;
    if (!found) return false;
    *code = *code << 4 | (uint32_t)(found - digits);
  }
  return true;
}

static size_t put_utf8(char *into, uint32_t code) {
  if (code < 0x80) {
    into[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    into[0] = (char)(0xc0 | code >> 6);
    into[1] = (char)(0x80 | (code & 0x3f));
    return 2;
  }
  if (code < 0x10000) {
    into[0] = (char)(0xe0 | code >> 12);
    into[1] = (char)(0x80 | (code >> 6 & 0x3f));
    into[2] = (char)(0x80 | (code & 0x3f));
    return 3;
  }
  into[0] = (char)(0xf0 | code >> 18);
  into[1] = (char)(0x80 | (code >> 12 & 0x3f));
  into[2] = (char)(0x80 | (code >> 6 & 0x3f));
  into[3] = (char)(0x80 | (code & 0x3f));
  return 4;
}

/* At the `\` of \uXXXX, perhaps the first of a surrogate pair. Returns bytes read, 0 for an error. */
static size_t read_unicode(const char *at, size_t left, uint32_t *code) {
  if (left < 6 || !hexadecimal(at + 2, left - 2, code)) return 0;
  if (*code < 0xd800 || *code > 0xdfff) return 6;
  uint32_t low;
  if (*code > 0xdbff || left < 12 || at[6] != '\\' || at[7] != 'u' || !hexadecimal(at + 8, left - 8, &low)) return 0;
  if (low < 0xdc00 || low > 0xdfff) return 0;
  *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  return 12;
}

bool token_read_string(struct token_reader *reader, struct image_text *string) {
  const size_t start = reader->at++;
  const char *closing = reader->text + reader->at;
  const char *end = reader->text + reader->length;
  while (closing < end && *closing != '"') closing += *closing == '\\' ? 2 : 1;
  if (closing >= end) {
    expression_error(reader->context, start, "this string has no closing quote");
    return false;
  }
  /* No escape yields more bytes than it takes. */
  char *into = region_take(reader->context->region, (size_t)(closing - (reader->text + reader->at)) + 1);
  size_t length = 0;
  for (const char *at = reader->text + reader->at; at < closing;) {
    if (*at != '\\') {
      into[length++] = *at++;
      continue;
    }
    static const char letters[] = "\"\\/ntr", meanings[] = "\"\\/\n\t\r";
    const char *letter = at[1] ? strchr(letters, at[1]) : NULL;
    uint32_t code = 0;
    const size_t unicode = at[1] == 'u' ? read_unicode(at, (size_t)(closing - at), &code) : 0;
    if (letter) {
      into[length++] = meanings[letter - letters];
      at += 2;
    } else if (unicode) {
      length += put_utf8(into + length, code);
      at += unicode;
    } else {
      const size_t offset = (size_t)(at - reader->text);
      if (at[1] == 'u')
        expression_error(reader->context, offset, "`\\u` needs four hexadecimal digits that name a character");
      else if (at[1] > ' ' && at[1] < 0x7f)
        expression_error(reader->context, offset, "unknown escape `\\%c` (a backslash itself is written `\\\\`)", at[1]);
      else
        expression_error(reader->context, offset, "unknown escape (a backslash itself is written `\\\\`)");
      return false;
    }
  }
  reader->at = (size_t)(closing + 1 - reader->text);
  *string = (struct image_text){.at = into, .length = (uint32_t)length};
  return true;
}

static const struct {
  const char *unit;
  int64_t ns;
} units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};

/* Decimal text times a unit, exactly: a rule must not mean another nanosecond than it says. */
static bool duration_value(const char *text, size_t length, int64_t unit_ns, int64_t *value, const char **why) {
  const bool negative = text[0] == '-';
  size_t at = text[0] == '-' || text[0] == '+';
  const char *point = memchr(text, '.', length);
  const size_t whole_end = point ? (size_t)(point - text) : length;
  while (point && text[length - 1] == '0') length--;
  __int128 whole = 0, fraction = 0, place = 1;
  *why = "does not fit 64 bits of nanoseconds";
  for (; at < whole_end; at++) {
    whole = whole * 10 + (text[at] - '0');
    if (whole > (__int128)INT64_MAX + 1) return false;
  }
  for (at = whole_end + 1; at < length; at++) {
    fraction = fraction * 10 + (text[at] - '0');
    place *= 10;
    if (place > INT64_MAX) break;
  }
  if (fraction * unit_ns % place != 0 || at < length) {
    *why = "is finer than a nanosecond";
    return false;
  }
  const __int128 total = (whole * unit_ns + fraction * unit_ns / place) * (negative ? -1 : 1);
  if (total > INT64_MAX || total < INT64_MIN) return false;
  *value = (int64_t)total;
  return true;
}

static bool number_error(struct token_reader *reader, size_t start, const char *why) {
  const size_t length = reader->at - start;
  expression_error(reader->context, start, "`%.*s` %s", (int)(length < 64 ? length : 64), reader->text + start, why);
  return false;
}

static bool integer_value(const char *text, size_t length, int64_t *value) {
  const bool negative = text[0] == '-';
  uint64_t total = 0;
  for (size_t at = text[0] == '-' || text[0] == '+'; at < length; at++)
    if (__builtin_mul_overflow(total, 10u, &total) || __builtin_add_overflow(total, (uint64_t)(text[at] - '0'), &total))
      return false;
  if (total > (uint64_t)INT64_MAX + negative) return false;
  *value = negative ? (int64_t)(0 - total) : (int64_t)total;
  return true;
}

static size_t digits_at(const struct token_reader *reader, size_t at) {
  size_t count = 0;
  while (at + count < reader->length && reader->text[at + count] >= '0' && reader->text[at + count] <= '9') count++;
  return count;
}

/* HH:MM or HH:MM:SS, up to 24:00. */
static bool read_time(struct token_reader *reader, struct literal *literal) {
  const size_t start = reader->at;
  const char *text = reader->text + start;
  size_t length = 0;
  while (start + length < reader->length && (token_word_character(text[length]) || text[length] == ':')) length++;
  unsigned parts[3] = {0};
  bool good = length == 5 || length == 8;
  for (size_t i = 0; i < length && good; i++) {
    good = i % 3 == 2 ? text[i] == ':' : text[i] >= '0' && text[i] <= '9';
    if (i % 3 != 2) parts[i / 3] = parts[i / 3] * 10 + (unsigned)(text[i] - '0');
  }
  const int64_t seconds = (int64_t)parts[0] * 3600 + parts[1] * 60 + parts[2];
  reader->at += length;
  if (!good || parts[1] > 59 || parts[2] > 59 || seconds > 86400)
    return number_error(reader, start, "is no time of day: those are 00:00 to 24:00, HH:MM or HH:MM:SS");
  *literal = (struct literal){.value = {.type = VALUE_INTEGER, .integer = seconds * 1000000000}, .duration = true};
  return true;
}

bool token_read_number(struct token_reader *reader, struct literal *literal) {
  const char *text = reader->text;
  const size_t start = reader->at;
  size_t at = start + (text[start] == '-' || text[start] == '+');
  at += digits_at(reader, at);
  if (at < reader->length && text[at] == ':' && digits_at(reader, start)) return read_time(reader, literal);
  bool real = false, exponent = false;
  if (at < reader->length && text[at] == '.' && digits_at(reader, at + 1)) {
    real = true;
    at += 1 + digits_at(reader, at + 1);
  }
  if (at < reader->length && (text[at] == 'e' || text[at] == 'E')) {
    const size_t sign = at + 1 < reader->length && (text[at + 1] == '-' || text[at + 1] == '+');
    const size_t digits = digits_at(reader, at + 1 + sign);
    if (digits) {
      real = exponent = true;
      at += 1 + sign + digits;
    }
  }
  const size_t number_end = at;
  while (at < reader->length && token_word_character(text[at])) at++;
  reader->at = at;
  if (at > number_end) {
    const struct image_text unit = {.at = text + number_end, .length = (uint32_t)(at - number_end)};
    for (size_t i = 0; !exponent && i < sizeof units / sizeof units[0]; i++) {
      if (!image_text_is(unit, units[i].unit)) continue;
      const char *why;
      int64_t value;
      if (!duration_value(text + start, number_end - start, units[i].ns, &value, &why)) return number_error(reader, start, why);
      *literal = (struct literal){.value = {.type = VALUE_INTEGER, .integer = value}, .duration = true};
      return true;
    }
    return number_error(reader, start, "is neither a number nor a duration (units: ns us ms s m h)");
  }
  if (!real) {
    int64_t value;
    if (!integer_value(text + start, number_end - start, &value)) return number_error(reader, start, "does not fit 64 bits");
    *literal = (struct literal){.value = {.type = VALUE_INTEGER, .integer = value}};
    return true;
  }
  char *copy = region_copy(reader->context->region, text + start, number_end - start);
  const double value = strtod(copy, NULL);
  if (!isfinite(value)) return number_error(reader, start, "is too large for a number");
  *literal = (struct literal){.value = {.type = VALUE_DOUBLE, .real = value}};
  return true;
}
