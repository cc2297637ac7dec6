#pragma once
/* Macros and lists: conditions and constants with a name, for all files of one load. Rules are built with their text in the place
 * of the name; nothing of them is left in a rule. Threads: one owner. */
#include "composed_text_internal.h"
#include "expression_internal.h"
#include "text_index_internal.h"

#define SHARED_NAMES_MAX 10000u
#define SHARED_DEPTH_MAX 32u /* macros in macros, lists in lists */
/* All that macros and lists become in one load: without it a few short ones could fill the memory. */
#define SHARED_EXPANSION_BYTES_MAX (16u << 20)

struct shared_name {
  bool is_list;
  struct image_text name;
  struct rule_source *source;
  struct source_scalar key;
  struct source_scalar text; /* of a macro */
  struct source_scalar *items;
  size_t item_count;
  bool used, open /* being expanded */, complained;
};

struct shared_names {
  struct shared_name *items; /* moves until all files are read */
  size_t count, capacity;
  struct text_index by_name;
  const char **words; /* of all, NULL-terminated; made for the first suggestion */
  size_t expanded_bytes;
  struct region region;
};

static inline const char *shared_kind_word(const struct shared_name *shared) { return shared->is_list ? "list" : "macro"; }
struct source_place shared_name_place(const struct shared_name *shared);
/* NULL, and an error, when the name is no good. What it is made of is the caller's to fill in. */
struct shared_name *shared_names_add(struct shared_names *names, struct rule_source *source, const struct source_scalar *key,
                                     bool is_list, struct rule_errors *errors);
struct shared_name *shared_names_find(const struct shared_names *names, struct image_text name);
/* The name of a macro or list that `word` is most likely a slip of, or NULL. */
const char *shared_names_suggest(struct shared_names *names, struct image_text word);
void shared_names_free(struct shared_names *names);

/* Appends `scalar` (of `context`) with macros and lists in their places. False when an error was added. */
bool macro_expand(const struct expression_context *context, struct composed_text *out);
/* The same for a list of one constant after the other, as `in` takes them. `items` may name lists. */
bool macro_expand_constants(const struct expression_context *context, const struct source_scalar *items, size_t item_count,
                            struct composed_text *out);
/* Macros that no rule uses are read too: an error in one is not found first when it is needed. */
void macro_check_unused(struct shared_names *names, struct rule_errors *errors);
