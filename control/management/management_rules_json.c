#include "management_rules_internal.h"
#include "text_buffer_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 32u

json_t *json_sha256(const uint8_t sha256[32]) {
  char text[65];
  for (unsigned i = 0; i < 32; i++) snprintf(text + 2 * i, 3, "%02x", sha256[i]);
  return json_string(text);
}

json_t *json_expression(const char *condition, const char *when, const char *always, const char *never) {
  struct text_buffer out = {0};
  if (condition) return json_string(condition);
  if (!when) return NULL;
  text_append(&out, "when { %s }", when);
  if (always) text_append(&out, " always { %s }", always);
  if (never) text_append(&out, " never { %s }", never);
  json_t *json = out.failed ? NULL : json_string(out.text);
  free(out.text);
  return json;
}

/* `matches` is null for a rule that is not judged. */
static void add_matches(const struct appliance *appliance, const struct rule_definition *rule, json_t *json) {
  uint64_t matches;
  bool own_series;
  const bool judged = appliance->rule_matches(appliance->context, rule, &matches, &own_series);
  json_object_set_new(json, "mode", json_string(rule->mode == RULE_SHADOW ? "shadow" : "enforce"));
  json_object_set_new(json, "matches", judged ? json_integer((json_int_t)matches) : json_null());
}

json_t *json_rule(const struct appliance *appliance, const struct rule_view *view, size_t index) {
  const struct rule_definition *rule = rule_set_at(view->set, index);
  const struct rule_record *record = rule_ledger_find(view->ledger, rule->name);
  const struct rule_version *version = record ? rule_record_current(record) : NULL;
  json_t *tags = json_array();
  for (size_t i = 0; i < rule->tag_count; i++) json_array_append_new(tags, json_string(rule->tags[i]));
  json_t *expression = json_expression(rule->condition_text, rule->when_text, rule->always_text, rule->never_text);
  json_t *json = json_pack("{s:s, s:s, s:s?, s:s, s:s, s:b, s:I, s:o, s:o, s:s?}", "id", rule->name, "name", rule->name,
                           "description", rule->description, "severity", severity_word(rule->severity), "on",
                           rule_on_word(rule->on), "enabled", rule->enabled, "version", (json_int_t)rule->version, "tags", tags,
                           "expression", expression ? expression : json_null(), "message", rule->message);
  if (!json || !record || !version) return json;
  add_matches(appliance, rule, json);
  json_object_set_new(json, "state", json_string(rule_state_word(record->machine.state)));
  json_object_set_new(json, "created_at", json_time(record->created_ns));
  json_object_set_new(json, "created_by", json_string(record->created_by));
  json_object_set_new(json, "updated_at", json_time(version->wall_ns));
  json_object_set_new(json, "updated_by", json_string(version->who));
  return json;
}

static json_t *scalar_of(const yaml_event_t *event) {
  const char *text = (const char *)event->data.scalar.value;
  if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return json_stringn(text, event->data.scalar.length);
  if (strcmp(text, "true") == 0) return json_true();
  if (strcmp(text, "false") == 0) return json_false();
  json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
  if (json_is_number(number)) return number;
  json_decref(number);
  return json_string(text);
}

/* The text is our own, so its depth is bounded; the limit is for the day when it is not. */
static json_t *node_of(yaml_parser_t *parser, yaml_event_t *event, unsigned depth) {
  const yaml_event_type_t type = event->type;
  if (type == YAML_SCALAR_EVENT) return scalar_of(event);
  if ((type != YAML_MAPPING_START_EVENT && type != YAML_SEQUENCE_START_EVENT) || depth > DEPTH_MAX) return NULL;
  json_t *json = type == YAML_MAPPING_START_EVENT ? json_object() : json_array();
  for (;;) {
    yaml_event_t next, value;
    if (!yaml_parser_parse(parser, &next)) return json;
    if (next.type == YAML_MAPPING_END_EVENT || next.type == YAML_SEQUENCE_END_EVENT) {
      yaml_event_delete(&next);
      return json;
    }
    if (type == YAML_SEQUENCE_START_EVENT) {
      json_array_append_new(json, node_of(parser, &next, depth + 1));
    } else if (next.type == YAML_SCALAR_EVENT && yaml_parser_parse(parser, &value)) {
      json_object_set_new(json, (const char *)next.data.scalar.value, node_of(parser, &value, depth + 1));
      yaml_event_delete(&value);
    }
    yaml_event_delete(&next);
  }
}

json_t *json_of_rule_text(const char *text, size_t length) {
  yaml_parser_t parser;
  yaml_event_t event;
  json_t *json = NULL;
  if (!yaml_parser_initialize(&parser)) return NULL;
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
  while (!json && yaml_parser_parse(&parser, &event)) {
    const bool ended = event.type == YAML_STREAM_END_EVENT;
    if (event.type == YAML_MAPPING_START_EVENT) json = node_of(&parser, &event, 0);
    yaml_event_delete(&event);
    if (ended) break;
  }
  yaml_parser_delete(&parser);
  return json;
}

json_t *json_rule_named(const struct appliance *appliance, const struct rule_view *view, const char *name) {
  static const char *const conditions[] = {"if", "when", "always", "never"};
  const size_t index = view->set ? rule_set_index(view->set, name) : RULE_SET_NONE;
  if (index == RULE_SET_NONE) return NULL;
  json_t *json = json_rule(appliance, view, index), *value;
  const char *key;
  size_t length;
  const char *text = rule_set_rule_text(view->set, index, &length);
  json_t *keys = json_of_rule_text(text, length);
  json_object_foreach(keys, key, value) {
    if (!json_object_get(json, key)) json_object_set(json, key, value);
  }
  json_decref(keys);
  for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
    if (!json_object_get(json, conditions[i])) json_object_set_new(json, conditions[i], json_null());
  return json;
}
