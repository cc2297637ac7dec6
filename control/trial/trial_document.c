#include "trial_document_internal.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TEST_FILE_BYTES_MAX (16u << 20)
#define TEST_DEPTH_MAX 64

char *trial_read_file(const char *path, size_t most, size_t *length) {
  FILE *file = fopen(path, "re");
  char *text = NULL;
  size_t room = 0;
  struct stat status;
  *length = 0;
  if (!file) return NULL;
  int error = fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode) ? EISDIR : 0;
  while (!error && !feof(file)) {
    if (*length + 1 >= room) {
      room = room ? 2 * room : 65536;
      char *larger = realloc(text, room);
      if (!larger) error = ENOMEM;
      if (error) break;
      text = larger;
    }
    *length += fread(text + *length, 1, room - *length - 1, file);
    if (ferror(file)) error = EIO;
    if (*length > most) error = EFBIG;
  }
  fclose(file);
  if (error) {
    free(text);
    errno = error;
    return NULL;
  }
  text[*length] = '\0';
  return text;
}

static struct rule_error *add(struct rule_errors *errors, const char *path) {
  if (errors->count >= 100) {
    errors->dropped++;
    return NULL;
  }
  if (errors->count == errors->capacity) {
    const size_t capacity = errors->capacity ? 2 * errors->capacity : 16;
    struct rule_error *items = realloc(errors->items, capacity * sizeof *items);
    if (!items) {
      errors->dropped++;
      return NULL;
    }
    errors->items = items;
    errors->capacity = capacity;
  }
  struct rule_error *error = &errors->items[errors->count++];
  *error = (struct rule_error){0};
  snprintf(error->file, sizeof error->file, "%s", path);
  return error;
}

void trial_error_file(struct rule_errors *errors, const char *path, const char *format, ...) {
  struct rule_error *error = add(errors, path);
  va_list arguments;
  if (!error) return;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof error->message, format, arguments);
  va_end(arguments);
}

/* The line itself, when it is short enough to be read. */
static void quote_line(struct rule_error *error, const struct trial_document *document) {
  const char *at = document->text, *end = document->text + document->length;
  for (uint32_t line = 1; line < error->line && at < end; line++) {
    const char *next = memchr(at, '\n', (size_t)(end - at));
    at = next ? next + 1 : end;
  }
  const size_t length = strcspn(at, "\r\n");
  if (at >= end || length >= sizeof error->excerpt) return;
  memcpy(error->excerpt, at, length);
  error->excerpt_column = error->column;
}

static void add_placed(struct trial_document *document, yaml_mark_t mark, const char *format, va_list arguments) {
  struct rule_error *error = add(document->errors, document->path);
  if (!error) return;
  error->line = (uint32_t)mark.line + 1;
  error->column = (uint32_t)mark.column + 1;
  vsnprintf(error->message, sizeof error->message, format, arguments);
  quote_line(error, document);
}

void trial_error(struct trial_document *document, const yaml_node_t *node, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  add_placed(document, node->start_mark, format, arguments);
  va_end(arguments);
}

__attribute__((format(printf, 3, 4))) static void error_at(struct trial_document *document, yaml_mark_t mark, const char *format,
                                                           ...) {
  va_list arguments;
  va_start(arguments, format);
  add_placed(document, mark, format, arguments);
  va_end(arguments);
}

static bool refuses(struct trial_document *document, const yaml_event_t *event, int *depth) {
  const yaml_char_t *anchor = NULL, *tag = NULL;
  switch (event->type) {
  case YAML_ALIAS_EVENT:
    error_at(document, event->start_mark, "aliases are not allowed");
    return true;
  case YAML_SCALAR_EVENT:
    anchor = event->data.scalar.anchor;
    tag = event->data.scalar.tag;
    break;
  case YAML_SEQUENCE_START_EVENT:
    anchor = event->data.sequence_start.anchor;
    tag = event->data.sequence_start.tag;
    ++*depth;
    break;
  case YAML_MAPPING_START_EVENT:
    anchor = event->data.mapping_start.anchor;
    tag = event->data.mapping_start.tag;
    ++*depth;
    break;
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    --*depth;
    break;
  default:
    break;
  }
  if (anchor || tag) error_at(document, event->start_mark, "%s are not allowed", anchor ? "anchors" : "tags");
  if (*depth > TEST_DEPTH_MAX) error_at(document, event->start_mark, "nested more than %d deep", TEST_DEPTH_MAX);
  return anchor || tag || *depth > TEST_DEPTH_MAX;
}

static void parser_error(struct trial_document *document, const yaml_parser_t *parser) {
  const yaml_mark_t mark = parser->problem_mark.line || parser->problem_mark.column ? parser->problem_mark : parser->mark;
  error_at(document, mark, "not YAML: %s", parser->problem ? parser->problem : "it cannot be read");
}

/* What the tree would hide: aliases, anchors, tags, a second document; and a depth that recursion can bear. */
static bool check_events(struct trial_document *document) {
  yaml_parser_t parser;
  int depth = 0, documents = 0;
  bool good = true, end = false;
  if (!yaml_parser_initialize(&parser)) return false;
  yaml_parser_set_input_string(&parser, (const unsigned char *)document->text, document->length);
  while (good && !end) {
    yaml_event_t event;
    if (!yaml_parser_parse(&parser, &event)) {
      parser_error(document, &parser);
      good = false;
      break;
    }
    end = event.type == YAML_STREAM_END_EVENT;
    if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1) {
      error_at(document, event.start_mark, "one document a file");
      good = false;
    }
    if (refuses(document, &event, &depth)) good = false;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return good;
}

bool trial_document_load(struct trial_document *document, const char *path, struct rule_errors *errors) {
  *document = (struct trial_document){.path = path, .errors = errors};
  yaml_parser_t parser;
  document->text = trial_read_file(path, TEST_FILE_BYTES_MAX, &document->length);
  if (!document->text) {
    trial_error_file(errors, path, "cannot be read: %s", strerror(errno));
    return false;
  }
  if (!check_events(document) || !yaml_parser_initialize(&parser)) return false;
  yaml_parser_set_input_string(&parser, (const unsigned char *)document->text, document->length);
  document->loaded = yaml_parser_load(&parser, &document->yaml);
  if (!document->loaded) parser_error(document, &parser);
  yaml_parser_delete(&parser);
  if (!document->loaded) return false;
  if (!trial_document_root(document)) trial_error_file(errors, path, "is empty");
  return trial_document_root(document) != NULL;
}

void trial_document_free(struct trial_document *document) {
  if (document->loaded) yaml_document_delete(&document->yaml);
  free(document->text);
  *document = (struct trial_document){0};
}

yaml_node_t *trial_document_root(struct trial_document *document) { return yaml_document_get_root_node(&document->yaml); }
