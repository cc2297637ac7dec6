/* A span as a test writes it, as OTLP JSON. */
#include "json_values.h"
#include "trial_test_internal.h"
#include <inttypes.h>
#include <string.h>

static json_t *otlp_value(const json_t *value) {
  json_t *list, *item;
  const char *key;
  size_t index;
  switch (json_typeof(value)) {
  case JSON_STRING:
    return json_pack("{s:O}", "stringValue", value);
  case JSON_INTEGER: {
    char text[24];
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return json_pack("{s:s}", "intValue", text);
  }
  case JSON_REAL:
    return json_pack("{s:O}", "doubleValue", value);
  case JSON_TRUE:
  case JSON_FALSE:
    return json_pack("{s:O}", "boolValue", value);
  case JSON_NULL:
    return json_object();
  case JSON_ARRAY:
    list = json_array();
    json_array_foreach(value, index, item) json_array_append_new(list, otlp_value(item));
    return json_pack("{s:{s:o}}", "arrayValue", "values", list);
  case JSON_OBJECT:
    list = json_array();
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
        json_array_append_new(list, json_pack("{s:s, s:o}", "key", key, "value", otlp_value(item)));
    return json_pack("{s:{s:o}}", "kvlistValue", "values", list);
  }
  return NULL;
}

json_t *trial_otlp_attributes(const json_t *object) {
  json_t *list = json_array(), *value;
  const char *key;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    if (!json_is_null(value)) json_array_append_new(list, json_pack("{s:s, s:o}", "key", key, "value", otlp_value(value)));
  }
  return list;
}

json_t *trial_otlp_request(json_t *span, json_t *resource_attributes) {
  return json_pack("{s:[{s:{s:o}, s:[{s:[o]}]}]}", "resourceSpans", "resource", "attributes", resource_attributes, "scopeSpans",
                   "spans", span);
}

static bool set_word(struct trial_stage *stage, yaml_node_t *node, const char *const *words, int first, json_t *json,
                     const char *key) {
  const char *text = node ? trial_text_of(stage->document, node) : NULL;
  if (!text) return !node;
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], text) == 0) {
      json_object_set_new(json, key, json_integer(first + i));
      return true;
    }
  trial_error(stage->document, node, "\"%.40s\" is no %s of a span", text, key);
  return false;
}

static bool set_id(struct trial_stage *stage, yaml_node_t *node, const char *otherwise, size_t bytes, json_t *json,
                   const char *key) {
  char id[33];
  const char *name = node ? trial_text_of(stage->document, node) : otherwise;
  if (!name) return !node;
  if (!trial_names_id(stage->names, name, bytes, id)) return false;
  json_object_set_new(json, key, json_string(id));
  return true;
}

/* `start` is a duration after the test's start, or a time; without it the span arrives as it ends. */
static bool set_times(struct trial_stage *stage, yaml_node_t *start, yaml_node_t *duration, json_t *json) {
  int64_t duration_ns = 0, after_ns = 0;
  uint64_t start_ns;
  char text[24];
  if (duration && !trial_duration_of(stage->document, duration, &duration_ns)) return false;
  if (duration_ns < 0) {
    trial_error(stage->document, duration, "a span does not end before it starts");
    return false;
  }
  if (!start) {
    start_ns = stage->now_ns - (uint64_t)duration_ns;
  } else {
    const char *said = trial_text_of(stage->document, start);
    if (!said) return false;
    if (strchr(said, 'T') && parse_time(said, 0, &start_ns)) {
    } else if (trial_duration_of(stage->document, start, &after_ns)) {
      start_ns = stage->start_ns + (uint64_t)after_ns;
    } else {
      return false;
    }
  }
  snprintf(text, sizeof text, "%" PRIu64, start_ns);
  json_object_set_new(json, "startTimeUnixNano", json_string(text));
  snprintf(text, sizeof text, "%" PRIu64, start_ns + (uint64_t)duration_ns);
  json_object_set_new(json, "endTimeUnixNano", json_string(text));
  return true;
}

static json_t *attributes_of(struct trial_stage *stage, yaml_node_t *node) {
  if (!node) return json_object();
  if (node->type == YAML_MAPPING_NODE) return trial_json_of(stage->document, node);
  trial_error(stage->document, node, "attributes are a mapping of keys to values");
  return NULL;
}

json_t *trial_span_json(struct trial_stage *stage, yaml_node_t *node) {
  enum { TRACE, ID, PARENT, NAME, SERVICE, KIND, STATUS, START, DURATION, ATTRIBUTES, RESOURCE, KEYS };
  static const char *const keys[] = {"trace",  "id",    "parent",   "name",       "service",  "kind",
                                     "status", "start", "duration", "attributes", "resource", NULL};
  static const char *const example_keys[] = {"trace",  "id",    "parent",   "span",       "service",  "kind",
                                             "status", "start", "duration", "attributes", "resource", NULL};
  static const char *const kinds[] = {"unspecified", "internal", "server", "client", "producer", "consumer", NULL};
  static const char *const statuses[] = {"unset", "ok", "error", NULL};
  yaml_node_t *nodes[KEYS];
  char number[32];
  if (!trial_read_mapping(stage->document, node, "a span", stage->example ? example_keys : keys, nodes)) return NULL;
  snprintf(number, sizeof number, "span %u", ++stage->spans);
  json_t *span = json_object(), *status = json_object();
  json_t *attributes = attributes_of(stage, nodes[ATTRIBUTES]), *resource = attributes_of(stage, nodes[RESOURCE]);
  const char *name = nodes[NAME] ? trial_text_of(stage->document, nodes[NAME]) : "";
  const char *service = nodes[SERVICE] ? trial_text_of(stage->document, nodes[SERVICE]) : NULL;
  bool good = attributes && resource && name && (service || !nodes[SERVICE]);
  good = set_id(stage, nodes[TRACE], "trace", 16, span, "traceId") && good;
  good = set_id(stage, nodes[ID], number, 8, span, "spanId") && good;
  good = set_id(stage, nodes[PARENT], NULL, 8, span, "parentSpanId") && good;
  good = set_word(stage, nodes[KIND], kinds, 0, span, "kind") && good;
  good = set_word(stage, nodes[STATUS], statuses, 0, status, "code") && good;
  good = set_times(stage, nodes[START], nodes[DURATION], span) && good;
  json_t *request = NULL;
  if (good) {
    json_object_set_new(span, "name", json_string(name));
    json_object_set(span, "status", status);
    json_object_set_new(span, "attributes", trial_otlp_attributes(attributes));
    if (service) json_object_set_new(resource, "service.name", json_string(service));
    request = trial_otlp_request(json_incref(span), trial_otlp_attributes(resource));
  }
  json_decref(span);
  json_decref(status);
  json_decref(attributes);
  json_decref(resource);
  return request;
}
