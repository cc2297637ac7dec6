#pragma once
/* The inside of a rule set. A parsed rule is immutable and shared between the sets that hold it (merge copies no tree); what may
 * differ between sets, its version, lies in the entry. */
#include "expression_internal.h"
#include "growing_internal.h"
#include "text_index_internal.h"
#include <stdatomic.h>

#define RULES_MAX IMAGE_RULES_MAX
#define RULE_TAGS_MAX 64u
#define RULE_FILE_BYTES_MAX (64u << 20)

struct parsed_rule {
  atomic_uint holders;
  struct region region;
  struct rule_definition definition; /* version as written, 0 when not */
  const struct expression *condition, *when, *always, *never;
  const struct message_part *message;
  uint32_t message_parts;
  const struct rule_window *window; /* NULL: none */
  bool has_message;                 /* else it is the title, or the name */
  struct image_text example_text;   /* canonical YAML of the example; empty: none */
  struct image_text content;        /* canonical YAML without the version: equal content = same rule */
};

struct rule_entry {
  struct rule_definition definition;
  struct parsed_rule *parsed;
};

struct rule_set {
  struct rule_entry *entries;
  size_t count, capacity;
  struct text_index by_name;
};

struct rule_set *rule_set_create(void);
/* Takes over one hold of `parsed`. The name must be new to the set. */
void rule_set_append(struct rule_set *set, struct parsed_rule *parsed, uint32_t version);
const struct rule_entry *rule_set_entry(const struct rule_set *set, const char *name);
void parsed_rule_release(struct parsed_rule *parsed);

enum rule_field {
  FIELD_NAME,
  FIELD_SEVERITY,
  FIELD_ON,
  FIELD_IF,
  FIELD_WHEN,
  FIELD_ALWAYS,
  FIELD_NEVER,
  FIELD_WITHIN,
  FIELD_MESSAGE,
  FIELD_ENABLED,
  FIELD_DESCRIPTION,
  FIELD_VERSION,
  FIELD_MODE,
  FIELD_EXPRESSION,
  FIELD_CONDITION, /* BeTrace's other name of it */
  FIELD_ID,
  FIELD_TITLE,
  FIELD_APPEND,
  FIELD_EXCEPTIONS,
  FIELD_EXAMPLE,
  FIELD_FRAMEWORKS,
  FIELD_TIMEZONE,
  FIELD_TAGS,
  FIELD_WINDOW,
  FIELD_FOR,
  FIELD_REPEAT_AFTER,
  FIELD_SUPPRESS,
  FIELD_THRESHOLD,
  RULE_FIELDS,
};

/* A value that is more than a text, as written. */
struct raw_node {
  enum { RAW_SCALAR, RAW_LIST, RAW_MAPPING } kind;
  struct source_scalar key;    /* of a member of a mapping */
  struct source_scalar scalar; /* of the others only its place */
  struct raw_node *first, *next;
  uint32_t count; /* of its members */
};

/* Values of a key, perhaps from several places. */
struct raw_nodes {
  const struct raw_node *node;
  struct rule_source *source;
  const struct raw_nodes *next;
};

/* One mapping of the list `rules:` as written. What stands before `present` is kept as it is from reading to building, of the two
 * below only what is there. */
struct raw_rule {
  struct region *region;
  struct source_scalar *tags, *frameworks;
  size_t tag_count, framework_count;
  const struct raw_node *exceptions, *example, *suppress, *threshold; /* NULL: absent or already complained about */
  const struct raw_nodes *appended;                                   /* exceptions, from other places */
  uint32_t line, column;                                              /* 1-based */
  bool present[RULE_FIELDS];                                          /* also when its value was of a wrong type */
  struct source_scalar fields[RULE_FIELDS];                           /* value NULL: absent or already complained about */
};

/* Where the name of the rule is written; NULL when it has none. */
const struct source_scalar *rule_name_scalar(const struct raw_rule *raw);
/* NULL when errors were added. Keeps nothing of `raw`. */
struct parsed_rule *rule_build(const struct raw_rule *raw, struct rule_source *source, struct shared_names *shared,
                               struct rule_errors *errors);
/* Its canonical YAML, and what it says; empty when an error was added. All in the region. */
struct image_text rule_example_build(const struct raw_node *node, struct rule_source *source, struct rule_errors *errors,
                                     struct region *region, const struct rule_example **example);
/* A YAML scalar that reads back as this text, whatever is in it. */
void rule_text_print_scalar(const char *text, struct growing_text *out);
/* The canonical YAML of one rule, without its version. */
void rule_text_print(const struct parsed_rule *parsed, struct growing_text *out);

void rule_text_print_scalar(const char *text, struct growing_text *out);
/* What its keys about windows say, into `parsed`. `context` is that of the rule; its scalar is set here. */
void window_build(const struct raw_rule *raw, const struct expression_context *context, struct parsed_rule *parsed);
/* The canonical YAML lines of them. */
void window_print_keys(const struct parsed_rule *parsed, struct growing_text *out);

extern const char *const rule_severity_words[]; /* by enum severity */
extern const char *const rule_mode_words[];     /* by enum rule_mode */
extern const char *const rule_on_words[];       /* by enum rule_on */
