#include "cli_internal.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

static void emit(yaml_emitter_t *emitter, yaml_event_t *event) { yaml_emitter_emit(emitter, event); }

static void emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted) {
  yaml_event_t event;
  yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)strlen(text), 1, 1,
                               quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
  emit(emitter, &event);
}

/* YAML 1.1 reads these as something else than text, also as a key. */
static bool ambiguous(const char *text) {
  static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasecmp(text, words[i]) == 0) return true;
  return false;
}

/* The daemon's answers nest a handful of levels. */
static void emit_json(yaml_emitter_t *emitter, json_t *json) {
  yaml_event_t event;
  const char *key;
  size_t index;
  json_t *value;
  if (json_is_object(json)) {
    yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
    emit(emitter, &event);
    json_object_foreach(json, key, value) {
      emit_scalar(emitter, key, ambiguous(key));
      emit_json(emitter, value);
    }
    yaml_mapping_end_event_initialize(&event);
    emit(emitter, &event);
  } else if (json_is_array(json)) {
    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE);
    emit(emitter, &event);
    json_array_foreach(json, index, value) emit_json(emitter, value);
    yaml_sequence_end_event_initialize(&event);
    emit(emitter, &event);
  } else if (json_is_string(json)) {
    emit_scalar(emitter, json_string_value(json), true);
  } else {
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    emit_scalar(emitter, text ? text : "null", false);
    free(text);
  }
}

void cli_print_yaml(json_t *json) {
  yaml_emitter_t emitter;
  yaml_event_t event;
  if (!yaml_emitter_initialize(&emitter)) return;
  yaml_emitter_set_output_file(&emitter, stdout);
  yaml_emitter_set_unicode(&emitter, 1);
  yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
  emit(&emitter, &event);
  yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1);
  emit(&emitter, &event);
  emit_json(&emitter, json);
  yaml_document_end_event_initialize(&event, 1);
  emit(&emitter, &event);
  yaml_stream_end_event_initialize(&event);
  emit(&emitter, &event);
  yaml_emitter_delete(&emitter);
}

/* Control characters of a sender's text must not reach a terminal. */
static char *cell_of(json_t *value) {
  char *text = NULL;
  if (json_is_string(value)) {
    text = strdup(json_string_value(value));
  } else if (!value || json_is_null(value)) {
    text = strdup("-");
  } else {
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  }
  for (char *c = text; c && *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
  return text ? text : strdup("");
}

static void print_row(char **cells, const size_t *widths, size_t columns) {
  for (size_t i = 0; i < columns; i++) {
    if (i + 1 < columns) {
      printf("%-*s  ", (int)widths[i], cells[i]);
    } else {
      printf("%s\n", cells[i]);
    }
  }
}

static void print_table(json_t *list, const struct cli_column *columns) {
  size_t count = 0, widths[16], index;
  char *titles[16];
  json_t *item;
  while (columns[count].key) count++;
  char **cells = calloc((json_array_size(list) + 1) * count, sizeof *cells);
  if (!cells) return;
  for (size_t i = 0; i < count; i++) {
    titles[i] = (char *)(uintptr_t)columns[i].title;
    widths[i] = strlen(columns[i].title);
  }
  json_array_foreach(list, index, item) {
    for (size_t i = 0; i < count; i++) {
      char *cell = cells[index * count + i] = cell_of(json_object_get(item, columns[i].key));
      if (cell && strlen(cell) > widths[i]) widths[i] = strlen(cell);
    }
  }
  print_row(titles, widths, count);
  for (size_t row = 0; row < json_array_size(list); row++) print_row(&cells[row * count], widths, count);
  for (size_t i = 0; i < json_array_size(list) * count; i++) free(cells[i]);
  free(cells);
}

void cli_print(const struct cli *cli, json_t *whole, json_t *list, const struct cli_column *columns) {
  if (cli->output == OUTPUT_TABLE) {
    print_table(list, columns);
  } else if (cli->output == OUTPUT_YAML) {
    cli_print_yaml(whole);
  } else {
    json_dumpf(whole, stdout, JSON_INDENT(2));
    putchar('\n');
  }
}
