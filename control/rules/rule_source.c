#include "always_assert.h"
#include "rule_source_internal.h"
#include <stdlib.h>
#include <string.h>

/* YAML 1.1 line breaks, as libyaml counts them: CR, LF, CR LF, NEL, LS, PS. Returns its bytes, 0 for no break. */
static size_t line_break(const char *text, size_t left) {
  if (left == 0) return 0;
  if (text[0] == '\n') return 1;
  if (text[0] == '\r') return left > 1 && text[1] == '\n' ? 2 : 1;
  if (left > 1 && memcmp(text, "\xc2\x85", 2) == 0) return 2;
  if (left > 2 && (memcmp(text, "\xe2\x80\xa8", 3) == 0 || memcmp(text, "\xe2\x80\xa9", 3) == 0)) return 3;
  return 0;
}

static bool blank(char character) { return character == ' ' || character == '\t'; }

static size_t character_bytes(const char *text, size_t left) {
  size_t bytes = 1;
  while (bytes < left && ((unsigned char)text[bytes] & 0xc0) == 0x80) bytes++;
  return bytes;
}

static void index_lines(struct rule_source *source) {
  if (source->line_starts) return;
  for (unsigned pass = 0; pass < 2; pass++) {
    uint32_t lines = 0;
    if (pass) source->line_starts[0] = 0;
    for (size_t at = 0; at < source->length;) {
      const size_t bytes = line_break(source->text + at, source->length - at);
      at += bytes ? bytes : 1;
      if (!bytes) continue;
      lines++;
      if (pass) source->line_starts[lines] = at;
    }
    source->line_count = lines + 1;
    if (pass == 0) {
      source->line_starts = calloc(source->line_count, sizeof *source->line_starts);
      ALWAYS_ASSERT(source->line_starts != NULL);
    }
  }
}

void rule_source_free(struct rule_source *source) {
  free(source->line_starts);
  source->line_starts = NULL;
}

struct source_place rule_source_place_of_byte(struct rule_source *source, size_t offset) {
  index_lines(source);
  if (offset > source->length) offset = source->length;
  uint32_t low = 0, high = source->line_count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (source->line_starts[middle] <= offset)
      low = middle;
    else
      high = middle;
  }
  uint32_t column = 1;
  for (size_t at = source->line_starts[low]; at < offset; column++) at += character_bytes(source->text + at, offset - at);
  return (struct source_place){.line = low + 1, .column = column};
}

static size_t scalar_start(struct rule_source *source, const struct source_scalar *scalar) {
  index_lines(source);
  if (scalar->line >= source->line_count) return source->length;
  size_t at = source->line_starts[scalar->line];
  for (uint32_t column = 0; column < scalar->column && at < source->length; column++)
    at += character_bytes(source->text + at, source->length - at);
  return at;
}

/* Bytes that a double-quoted escape takes, and whether it stands for a character that is not blank. */
static size_t escape_bytes(const char *at, size_t left, bool *visible) {
  *visible = true;
  const char letter = left > 1 ? at[1] : 0;
  if (letter == 'x') return 4;
  if (letter == 'u') return 6;
  if (letter == 'U') return 10;
  *visible = strchr(" \tntr\n\r", letter) == NULL;
  return 2;
}

/* Folding and indentation only touch blanks and line breaks, so the n-th visible character of the value is the n-th visible
 * one of the source, whatever the style. */
static size_t visible_before(const char *value, size_t offset) {
  size_t visible = 0;
  for (size_t at = 0; at < offset; at++) {
    const unsigned char byte = (unsigned char)value[at];
    visible += byte > ' ' && (byte & 0xc0) != 0x80;
  }
  return visible;
}

struct source_place rule_source_place(struct rule_source *source, const struct source_scalar *scalar, size_t offset) {
  size_t at = scalar_start(source, scalar);
  const bool at_end = offset >= scalar->length || (unsigned char)scalar->value[offset] <= ' ';
  size_t left = visible_before(scalar->value, offset < scalar->length ? offset : scalar->length);
  if (scalar->style == SCALAR_BLOCK) {
    while (at < source->length && line_break(source->text + at, source->length - at) == 0) at++;
  } else if (scalar->style != SCALAR_PLAIN && at < source->length) {
    at++;
  }
  size_t behind = at;
  while (at < source->length) {
    const size_t breaks = line_break(source->text + at, source->length - at);
    bool visible = !breaks && !blank(source->text[at]);
    size_t bytes = breaks ? breaks : character_bytes(source->text + at, source->length - at);
    if (visible && scalar->style == SCALAR_DOUBLE_QUOTED && source->text[at] == '\\')
      bytes = escape_bytes(source->text + at, source->length - at, &visible);
    else if (visible && scalar->style == SCALAR_SINGLE_QUOTED && source->text[at] == '\'')
      bytes = 2;
    if (visible && left == 0) break;
    at += bytes;
    if (visible) {
      left--;
      behind = at;
    }
    if (left == 0 && at_end) break;
  }
  return rule_source_place_of_byte(source, at_end ? behind : at);
}
