#include "growing_internal.h"
#include "rule_source_internal.h"
#include "utf8.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Characters of a long line that stand before the caret at most. */
#define EXCERPT_BEFORE 120u

/* Rule text may be hostile and the message goes to a terminal, a log line or JSON. */
static void defuse(char *text) {
  const bool valid = utf8_valid(text, strlen(text));
  for (; *text; text++) {
    const unsigned char byte = (unsigned char)*text;
    if ((byte < ' ' && byte != '\t') || byte == 0x7f || (byte > 0x7f && !valid)) *text = '?';
  }
}

static void cut(char *into, size_t room, const char *text, size_t length) {
  const size_t kept = utf8_truncate(text, length, room - 1);
  memcpy(into, text, kept);
  into[kept] = '\0';
  defuse(into);
}

static struct rule_error *add(struct rule_errors *errors, const char *file, uint32_t line, uint32_t column, const char *format,
                              va_list arguments) {
  if (rule_errors_full(errors)) {
    errors->dropped++;
    return NULL;
  }
  errors->items = growing_list_reserve(errors->items, errors->count, &errors->capacity, sizeof *errors->items);
  struct rule_error *error = &errors->items[errors->count++];
  *error = (struct rule_error){.line = line, .column = column};
  cut(error->file, sizeof error->file, file, strlen(file));
  char message[1024];
  const int length = vsnprintf(message, sizeof message, format, arguments);
  cut(error->message, sizeof error->message, message,
      length < 0                        ? 0
      : (size_t)length < sizeof message ? (size_t)length
                                        : sizeof message - 1);
  return error;
}

static void take_excerpt(struct rule_error *error, struct rule_source *source, struct source_place place) {
  if (place.line == 0 || place.line > source->line_count) return;
  const char *line = source->text + source->line_starts[place.line - 1];
  const char *end = source->text + source->length;
  size_t length = 0;
  while (line + length < end && line[length] != '\n' && line[length] != '\r' && line[length] != '\0') length++;
  uint32_t skipped = 0;
  while (place.column - skipped > EXCERPT_BEFORE && length > 0) {
    do {
      line++;
      length--;
    } while (length > 0 && ((unsigned char)*line & 0xc0) == 0x80);
    skipped++;
  }
  cut(error->excerpt, sizeof error->excerpt, line, length);
  error->excerpt_column = place.column - skipped;
}

void rule_errors_add(struct rule_errors *errors, struct rule_source *source, struct source_place place, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  struct rule_error *error = add(errors, source->name, place.line, place.column, format, arguments);
  va_end(arguments);
  if (!error) return;
  rule_source_place_of_byte(source, 0);
  take_excerpt(error, source, place);
}

void rule_errors_add_file(struct rule_errors *errors, const char *file, uint32_t line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  add(errors, file, line, 0, format, arguments);
  va_end(arguments);
}

void rule_errors_free(struct rule_errors *errors) {
  free(errors->items);
  *errors = (struct rule_errors){0};
}

static void print_caret(const struct rule_error *error, FILE *out) {
  fprintf(out, "  %s\n  ", error->excerpt);
  const char *at = error->excerpt;
  for (uint32_t column = 1; column < error->excerpt_column; column++) {
    /* A tab is repeated so that the caret stands under it whatever the tab width. */
    fputc(*at == '\t' ? '\t' : ' ', out);
    if (*at) at++;
    while (((unsigned char)*at & 0xc0) == 0x80) at++;
  }
  fputs("^\n", out);
}

void rule_errors_print(const struct rule_errors *errors, FILE *out) {
  for (size_t i = 0; i < errors->count; i++) {
    const struct rule_error *error = &errors->items[i];
    fputs(error->file, out);
    if (error->line) fprintf(out, ":%u", error->line);
    if (error->line && error->column) fprintf(out, ":%u", error->column);
    fprintf(out, "%s%s\n", error->file[0] ? ": " : "", error->message);
    if (error->excerpt_column) print_caret(error, out);
  }
  if (errors->dropped) fprintf(out, "more than %u errors: the rest is not shown\n", RULE_ERRORS_MAX);
}
