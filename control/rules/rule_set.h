#pragma once
/* Rule text to rule set to image. Offline: needs no root, no hugepages, no daemon. Threads: control. */
#include "image.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One message about one place in one file; all of a run are kept, in order. */
struct rule_error {
  char file[256];
  uint32_t line, column; /* 1-based; 0: the whole file */
  char message[256];
  char excerpt[256];       /* the source line (of a long one the part that matters), for the caret; may be empty */
  uint32_t excerpt_column; /* where in it the caret stands, 1-based; 0: no excerpt */
};

struct rule_errors {
  struct rule_error *items;
  size_t count, capacity;
  size_t dropped; /* not 0: reading stopped after the first 100 */
};

void rule_errors_free(struct rule_errors *errors);
/* file:line:column: message, the line, and a caret under the column. */
void rule_errors_print(const struct rule_errors *errors, FILE *out);

enum rule_mode { RULE_ENFORCE, RULE_SHADOW /* matched and counted, never published */, RULE_MODES };

/* A trace that violates the rule, given with it: what `rules test` sends first. */
struct rule_example_attribute {
  const char *key;
  struct value value; /* VALUE_OTHER: a list */
};
struct rule_example_span {
  const char *name;
  struct rule_example_attribute *attributes;
  size_t attribute_count;
};
struct rule_example {
  const char *description; /* NULL: none */
  struct rule_example_span *spans;
  size_t span_count;
};

/* A parsed, checked rule: its normalised source is kept so that it can be journalled and shown. */
struct rule_definition {
  char *name, *description, *message;
  char *title;                        /* for people; NULL: none */
  const struct rule_example *example; /* NULL: none */
  enum severity severity;
  enum rule_on on;
  bool enabled;
  enum rule_mode mode;
  uint32_t version; /* set by rule_set_adopt_versions */
  char **tags;
  size_t tag_count;
  char *condition_text; /* `if:` */
  char *when_text, *always_text, *never_text;
  char *timezone;    /* NULL: UTC */
  char *window_text; /* `window:`, or what `threshold` means in its words; NULL: none (as of `suppress`) */
  int64_t within_ns; /* of `within:`; 0: without */
  const char *file;
  uint32_t line;
};

/* What a rule may be called: 1 to 128 of A-Z a-z 0-9 . _ - */
bool rule_name_is_good(const char *name);

struct rule_set;

/* How rules spell an enum predicate_operation; "?" when they have no word for it. */
const char *rule_operation_word(uint8_t operation);

/* Reads files and directories (*.yaml, *.yml, sorted) into one set. NULL when any error was found (all are reported). A name that
 * occurs twice is an error. */
struct rule_set *rule_set_load(const char *const *paths, size_t path_count, struct rule_errors *errors);
/* The same from memory; `name` stands for the file in errors. */
struct rule_set *rule_set_parse(const char *name, const char *text, size_t length, struct rule_errors *errors);
/* A text that stands for a file; `name` in errors. */
struct rule_text {
  const char *name, *text;
  size_t length;
};
/* One set of several files, read together: macros, lists and appended exceptions are shared. With `keep_good` never NULL: rules
 * with an error are left out. */
struct rule_set *rule_set_parse_texts(const struct rule_text *texts, size_t count, bool keep_good, struct rule_errors *errors);
/* `base` with the rules of `addition` added or, by name, replaced. */
struct rule_set *rule_set_merge(const struct rule_set *base, const struct rule_set *addition);
/* A set of this one rule; NULL: there is none. */
struct rule_set *rule_set_select(const struct rule_set *set, const char *name);
void rule_set_free(struct rule_set *set);

/* By name, bytewise: the order of the set in force, so that the same rules always make the same text. */
void rule_set_sort(struct rule_set *set);
/* `base` without the rules named in `removed`, and with those of `addition` added or, by name, replaced. All are sorted; base and
 * addition may be NULL. */
struct rule_set *rule_set_edit(const struct rule_set *base, const struct rule_set *addition, const char *const *removed,
                               size_t removed_count);
#define RULE_SET_NONE SIZE_MAX
size_t rule_set_index(const struct rule_set *set, const char *name);
/* The canonical YAML of one rule, an item of the list `rules:`, without its version. Lives as long as the set. */
const char *rule_set_rule_text(const struct rule_set *set, size_t index, size_t *length);
/* The same as a whole file (malloc'd), with another `enabled`. */
char *rule_set_rule_text_enabled(const struct rule_set *set, size_t index, bool enabled, size_t *length);
void rule_set_set_version(struct rule_set *set, size_t index, uint32_t version);

size_t rule_set_count(const struct rule_set *set);
const struct rule_definition *rule_set_at(const struct rule_set *set, size_t index);
const struct rule_definition *rule_set_find(const struct rule_set *set, const char *name);
/* The whole set as one canonical YAML text (malloc'd): what is journalled and what rule_set_parse reads back. Versions are in it.
 */
char *rule_set_text(const struct rule_set *set, size_t *length);
/* A rule that `previous` has with the same content keeps its version; a changed one gets the next; a new one 1. */
void rule_set_adopt_versions(struct rule_set *set, const struct rule_set *previous);
/* Names whose canonical content differs, for the answer of apply. */
struct rule_set_difference {
  size_t added, changed, removed, unchanged;
};
/* Both have the rule, with the same content. */
bool rule_set_same_rule(const struct rule_set *set, const struct rule_set *other, const char *name);
struct rule_set_difference rule_set_compare(const struct rule_set *set, const struct rule_set *previous);

/* References that the rules on one kind of event may read together. */
#define RULE_COLUMNS_MAX 512u
/* And comparisons that they may make together. */
#define RULE_PREDICATES_MAX 262144u

/* Compiles enabled rules. `previous` (may be NULL) gives stable selector bits and must come from here. `shards`
 * scratches are cloned (0: only to validate). NULL with errors. The set may be freed before the image. */
struct rule_image *rule_image_compile(const struct rule_set *set, uint64_t generation, const struct rule_image *previous,
                                      uint32_t shards, struct rule_errors *errors);
void rule_image_free(struct rule_image *image);

/* Where the engine counts a rule's matches (image_rule.match_slot). */
#define RULE_MATCH_SLOT_NONE UINT32_MAX /* not in the image: disabled, or not there */
uint32_t rule_image_match_slot(const struct rule_image *image, const struct rule_definition *rule);
/* Slots below this one have been given. */
uint32_t rule_image_match_slots(const struct rule_image *image);
/* Whether a rule has it now, and of which mode. `fresh`: it got it in this generation; what is counted there already is not its.
 */
bool rule_image_match_slot_used(const struct rule_image *image, uint32_t slot, enum rule_mode *mode, bool *fresh);
