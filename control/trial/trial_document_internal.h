#pragma once
/* A test file as a tree of YAML nodes, each with the place it was written at. */
#include "rule_set.h"
#include <jansson.h>
#include <yaml.h>

struct trial_document {
  const char *path; /* the caller's */
  char *text;
  size_t length;
  yaml_document_t yaml;
  bool loaded;
  struct rule_errors *errors;
};

/* A whole file, malloc'd and NUL-terminated; NULL and errno (EFBIG beyond `most` bytes). */
char *trial_read_file(const char *path, size_t most, size_t *length);

/* False with errors. Free in any case. */
bool trial_document_load(struct trial_document *document, const char *path, struct rule_errors *errors);
void trial_document_free(struct trial_document *document);
yaml_node_t *trial_document_root(struct trial_document *document);
void trial_error(struct trial_document *document, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* About a file as a whole, or no file at all. */
void trial_error_file(struct rule_errors *errors, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* nodes[i] of keys[i] (NULL: absent); keys ends with NULL. False with errors: no mapping, a key that is not known or stands
 * twice. */
bool trial_read_mapping(struct trial_document *document, yaml_node_t *node, const char *what, const char *const *keys,
                        yaml_node_t **nodes);
/* The scalar's text; NULL with an error when it is none. */
const char *trial_text_of(struct trial_document *document, yaml_node_t *node);
/* `1.5s`, `-20ms`, `0s`. */
bool trial_duration_parse(const char *text, int64_t *duration_ns);
bool trial_duration_of(struct trial_document *document, yaml_node_t *node, int64_t *duration_ns);
bool trial_count_of(struct trial_document *document, yaml_node_t *node, uint64_t most, uint64_t *count);
/* What YAML calls it: null, true, 12, 1.5, text, lists, mappings. NULL with an error. */
json_t *trial_json_of(struct trial_document *document, yaml_node_t *node);

static inline size_t trial_list_count(const yaml_node_t *node) {
  return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}
static inline yaml_node_t *trial_list_at(struct trial_document *document, const yaml_node_t *node, size_t index) {
  return yaml_document_get_node(&document->yaml, node->data.sequence.items.start[index]);
}
