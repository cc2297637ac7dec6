#include "rule_spelling.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void spelling_free(struct spelling *spelling) {
  free(spelling->text);
  *spelling = (struct spelling){0};
}

void spell(struct spelling *spelling, const char *format, ...) {
  for (;;) {
    va_list arguments;
    va_start(arguments, format);
    const size_t room = spelling->capacity - spelling->length;
    const int length = vsnprintf(room ? spelling->text + spelling->length : NULL, room, format, arguments);
    va_end(arguments);
    if (length < 0) abort();
    if ((size_t)length < room) {
      spelling->length += (size_t)length;
      return;
    }
    spelling->capacity = 2 * (spelling->length + (size_t)length) + 256;
    spelling->text = realloc(spelling->text, spelling->capacity);
    if (!spelling->text) abort();
  }
}

void spell_string(struct spelling *spelling, const char *text, uint32_t length, unsigned style) {
  spell(spelling, "\"");
  for (uint32_t at = 0; at < length; at++) {
    const unsigned char byte = (unsigned char)text[at];
    if (byte == '"' || byte == '\\') {
      spell(spelling, "\\%c", byte);
    } else if (byte == '\n') {
      spell(spelling, "\\n");
    } else if (byte == '\t') {
      spell(spelling, "\\t");
    } else if (byte < ' ' || (byte < 0x7f && style % 16 == 5)) {
      spell(spelling, style % 2 ? "\\u%04x" : "\\u%04X", byte);
    } else if (byte == '/' && style % 4 == 1) {
      spell(spelling, "\\/");
    } else {
      spell(spelling, "%c", byte);
    }
  }
  spell(spelling, "\"");
}

static void spell_integer(struct spelling *spelling, int64_t integer, unsigned style) {
  static const struct {
    const char *name;
    int64_t ns;
  } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000}};
  const unsigned unit = style / 4 % 6;
  if (style % 4 == 3 && integer % units[unit].ns == 0 && integer != INT64_MIN) {
    spell(spelling, "%lld%s", (long long)(integer / units[unit].ns), units[unit].name);
  } else if (style % 4 == 2 && integer >= 0 && integer % 1000000 == 0) {
    spell(spelling, "%lld.%03llds", (long long)(integer / 1000000000), (long long)(integer % 1000000000 / 1000000));
  } else {
    spell(spelling, "%lld", (long long)integer);
  }
}

static void spell_real(struct spelling *spelling, double real) {
  char text[40];
  snprintf(text, sizeof text, "%.17g", real);
  spell(spelling, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

void spell_plain(struct spelling *spelling, const struct plain *value, unsigned style) {
  switch (value->type) {
  case PLAIN_BOOLEAN:
    spell(spelling, "%s", value->boolean ? "true" : "false");
    break;
  case PLAIN_INTEGER:
    spell_integer(spelling, value->integer, style);
    break;
  case PLAIN_REAL:
    spell_real(spelling, value->real);
    break;
  case PLAIN_TEXT:
    spell_string(spelling, value->text, value->length, style);
    break;
  case PLAIN_NULL:
  case PLAIN_OTHER:
    abort();
  }
}

void spell_duration(struct spelling *spelling, uint64_t ns) {
  if (ns % 1000000000 == 0) {
    spell(spelling, "%llus", (unsigned long long)(ns / 1000000000));
  } else {
    spell(spelling, "%llums", (unsigned long long)(ns / 1000000));
  }
}
