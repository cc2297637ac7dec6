/* What nodes of a test file say. */
#include "trial_document_internal.h"
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *text_or_null(const yaml_node_t *node) {
  return node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static int key_index(const char *const *keys, const char *key) {
  for (int i = 0; keys[i]; i++)
    if (strcmp(keys[i], key) == 0) return i;
  return -1;
}

static void unknown_key(struct trial_document *document, const yaml_node_t *node, const char *what, const char *const *keys) {
  char known[200] = "";
  for (int i = 0; keys[i]; i++) {
    const size_t length = strlen(known);
    snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", keys[i]);
  }
  const char *key = text_or_null(node);
  trial_error(document, node, "%s has no key \"%.40s\": %s", what, key ? key : "", known);
}

bool trial_read_mapping(struct trial_document *document, yaml_node_t *node, const char *what, const char *const *keys,
                        yaml_node_t **nodes) {
  bool good = true;
  for (int i = 0; keys[i]; i++) nodes[i] = NULL;
  if (node->type != YAML_MAPPING_NODE) {
    trial_error(document, node, "%s is a mapping", what);
    return false;
  }
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
    const char *text = text_or_null(key);
    const int index = text ? key_index(keys, text) : -1;
    if (index < 0) {
      unknown_key(document, key, what, keys);
    } else if (nodes[index]) {
      trial_error(document, key, "\"%s\" stands here twice", text);
    } else {
      nodes[index] = yaml_document_get_node(&document->yaml, pair->value);
      continue;
    }
    good = false;
  }
  return good;
}

const char *trial_text_of(struct trial_document *document, yaml_node_t *node) {
  const char *text = text_or_null(node);
  if (!text) trial_error(document, node, "text is wanted here");
  return text;
}

bool trial_duration_parse(const char *text, int64_t *duration_ns) {
  static const struct {
    const char *name;
    double ns;
  } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  const char *digits = *text == '-' ? text + 1 : text;
  const size_t length = strspn(digits, "0123456789.");
  char *end = NULL;
  if (*digits < '0' || *digits > '9') return false;
  const double number = strtod(text, &end);
  if (end != digits + length) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(end, units[i].name) == 0) {
      const double ns = number * units[i].ns;
      if (ns > 9e17 || ns < -9e17) return false;
      *duration_ns = (int64_t)(ns < 0 ? ns - 0.5 : ns + 0.5);
      return true;
    }
  return false;
}

bool trial_duration_of(struct trial_document *document, yaml_node_t *node, int64_t *duration_ns) {
  const char *text = trial_text_of(document, node);
  if (!text) return false;
  if (trial_duration_parse(text, duration_ns)) return true;
  trial_error(document, node, "a duration is wanted here, as 250ms or 1.5s");
  return false;
}

bool trial_count_of(struct trial_document *document, yaml_node_t *node, uint64_t most, uint64_t *count) {
  const char *text = text_or_null(node);
  char *end = NULL;
  *count = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
  if (end && *end == '\0' && *count <= most) return true;
  trial_error(document, node, "a number from 0 to %llu is wanted here", (unsigned long long)most);
  return false;
}

/* A plain scalar, by YAML's core schema. */
static json_t *plain_value(const char *text) {
  char *end;
  if (*text == '\0' || strcmp(text, "null") == 0 || strcmp(text, "~") == 0) return json_null();
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) return json_boolean(*text == 't');
  const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
  if (*digits >= '0' && *digits <= '9') {
    errno = 0;
    const long long integer = strtoll(text, &end, 10);
    if (*end == '\0' && errno == 0) return json_integer(integer);
    if (strspn(text, "+-0123456789.eE") == strlen(text)) {
      const double real = strtod(text, &end);
      if (*end == '\0') return json_real(real);
    }
  }
  return json_string(text);
}

static json_t *scalar_of(struct trial_document *document, yaml_node_t *node) {
  const char *text = (const char *)node->data.scalar.value;
  json_t *json =
      node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain_value(text) : json_stringn(text, node->data.scalar.length);
  if (!json) trial_error(document, node, "neither a number nor UTF-8 text");
  return json;
}

/* The document is at most 64 deep. */
json_t *trial_json_of(struct trial_document *document, yaml_node_t *node) {
  json_t *json = NULL;
  switch (node->type) {
  case YAML_SCALAR_NODE:
    return scalar_of(document, node);
  case YAML_SEQUENCE_NODE:
    json = json_array();
    for (size_t i = 0; json && i < trial_list_count(node); i++) {
      json_t *item = trial_json_of(document, trial_list_at(document, node, i));
      if (item && json_array_append_new(json, item) == 0) continue;
      json_decref(json);
      json = NULL;
    }
    return json;
  case YAML_MAPPING_NODE:
    json = json_object();
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; json && pair < node->data.mapping.pairs.top; pair++) {
      yaml_node_t *key = yaml_document_get_node(&document->yaml, pair->key);
      const char *name = trial_text_of(document, key);
      json_t *value = name ? trial_json_of(document, yaml_document_get_node(&document->yaml, pair->value)) : NULL;
      const bool twice = value && json_object_get(json, name);
      if (twice) trial_error(document, key, "\"%.40s\" stands here twice", name);
      if (value && !twice && json_object_set_new(json, name, value) == 0) continue;
      if (twice) json_decref(value);
      json_decref(json);
      json = NULL;
    }
    return json;
  case YAML_NO_NODE:
    break;
  }
  trial_error(document, node, "a value is wanted here");
  return NULL;
}
