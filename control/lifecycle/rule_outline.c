#include "rule_outline.h"
#include "always_assert.h"
#include "rule_set.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* Depth 1 is the document's mapping, 2 the list of rules, 3 a rule. */
struct walk {
  unsigned depth;
  bool key;            /* at depth 1 and 3: the next scalar is one */
  bool in_rules;       /* under `rules:` */
  bool is_name, is_id; /* the value to come */
};

static void add_item(struct rule_outline *outline, size_t line) {
  if (outline->count == outline->capacity) {
    outline->capacity = outline->capacity ? 2 * outline->capacity : 16;
    outline->items = reallocarray(outline->items, outline->capacity, sizeof *outline->items);
    ALWAYS_ASSERT(outline->items != NULL);
  }
  outline->items[outline->count++] = (struct rule_outline_item){.line = (uint32_t)line + 1};
}

static void see_scalar(struct walk *walk, const yaml_event_t *event, struct rule_outline *outline) {
  const char *text = (const char *)event->data.scalar.value;
  if (walk->depth == 2 && walk->in_rules) add_item(outline, event->start_mark.line); /* no mapping: still an item */
  if (walk->depth != 1 && walk->depth != 3) return;
  if (walk->key) {
    if (walk->depth == 1) walk->in_rules = strcmp(text, "rules") == 0;
    walk->is_name = walk->depth == 3 && walk->in_rules && strcmp(text, "name") == 0;
    walk->is_id = walk->depth == 3 && walk->in_rules && strcmp(text, "id") == 0;
  } else if ((walk->is_name || walk->is_id) && outline->count > 0) {
    struct rule_outline_item *item = &outline->items[outline->count - 1];
    snprintf(walk->is_name ? item->name : item->id, sizeof item->name, "%s", text);
    walk->is_name = walk->is_id = false;
  }
  walk->key = !walk->key;
}

static void see_start(struct walk *walk, const yaml_event_t *event, struct rule_outline *outline) {
  if (walk->depth == 2 && walk->in_rules) add_item(outline, event->start_mark.line);
  if (walk->depth == 1 || walk->depth == 3) walk->is_name = walk->is_id = false;
  walk->depth++;
  if (walk->depth == 1 || walk->depth == 3) walk->key = true;
}

/* What has just ended was a value. */
static void see_end(struct walk *walk) {
  walk->depth--;
  if (walk->depth == 1 || walk->depth == 3) walk->key = true;
}

void rule_outline_read(const char *text, size_t length, struct rule_outline *outline) {
  yaml_parser_t parser;
  yaml_event_t event;
  struct walk walk = {0};
  *outline = (struct rule_outline){0};
  if (!yaml_parser_initialize(&parser)) return;
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
  for (bool more = true; more && yaml_parser_parse(&parser, &event);) {
    if (event.type == YAML_SCALAR_EVENT) see_scalar(&walk, &event, outline);
    if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT) see_start(&walk, &event, outline);
    if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) see_end(&walk);
    more = event.type != YAML_STREAM_END_EVENT && event.type != YAML_DOCUMENT_END_EVENT && walk.depth < 1000;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  /* A name that is a text for people gives its place to the id. */
  for (size_t i = 0; i < outline->count; i++)
    if (outline->items[i].id[0] && !rule_name_is_good(outline->items[i].name))
      memcpy(outline->items[i].name, outline->items[i].id, sizeof outline->items[i].name);
}

size_t rule_outline_at(const struct rule_outline *outline, uint32_t line) {
  size_t low = 0, high = outline->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (outline->items[middle].line <= line)
      low = middle + 1;
    else
      high = middle;
  }
  return low == 0 ? SIZE_MAX : low - 1;
}

void rule_outline_free(struct rule_outline *outline) {
  free(outline->items);
  *outline = (struct rule_outline){0};
}
