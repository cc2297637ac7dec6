#pragma once
/* A rule file's YAML, event by event. */
#include "rule_load_internal.h"
#include <yaml.h>

struct loader {
  yaml_parser_t parser;
  yaml_event_t event; /* the one at hand */
  bool stopped;       /* no further event can be had */
  bool excused;       /* what libyaml says next follows from an error already given */
  struct rule_source *source;
  struct rule_errors *errors;
  struct rule_load *load;
  struct rule_file *file;
};

static inline struct source_place yaml_place_of(yaml_mark_t mark) {
  return (struct source_place){.line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

#define COMPLAIN(loader, ...)                                                                                                    \
  rule_errors_add((loader)->errors, (loader)->source, yaml_place_of((loader)->event.start_mark), __VA_ARGS__)

bool yaml_next(struct loader *loader);
/* From the first event of a node to its last. */
void yaml_skip_node(struct loader *loader);
struct source_scalar yaml_scalar_of(const yaml_event_t *event, struct region *region);
/* A text without NUL, or false and an error. */
bool yaml_read_text(struct loader *loader, const char *what, struct region *region, struct source_scalar *text);
void yaml_unknown_key(struct loader *loader, const char *const *words, const char *where);

/* rule_yaml_nodes.c: a whole value; NULL when an error was added. */
struct raw_node *yaml_read_node(struct loader *loader, struct region *region);
/* The mapping of `macros:` or `lists:`. */
void yaml_read_shared(struct loader *loader, bool lists);
