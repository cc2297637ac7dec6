#pragma once
/* One load: its files are all read before the first rule is built, as macros, lists and exceptions may come from any of them.
 * Threads: one owner. */
#include "macro_internal.h"
#include "rule_set_internal.h"

#define LOAD_BYTES_MAX (256u << 20)
#define LOAD_VALUES_MAX 1000000u /* of lists, exceptions and examples */

struct packed_rule {
  struct packed_rule *next; /* of the file */
  struct raw_rule *head;    /* as far as `present` */
  struct rule_file *file;
  uint32_t field_count;
  struct packed_field {
    enum rule_field field;
    struct source_scalar scalar;
  } fields[];
};

struct rule_file {
  struct rule_source source;
  char *text; /* owned; NULL: the caller's */
  struct region region;
  struct packed_rule *first, **end;
};

struct rule_load {
  struct rule_set *set;
  struct rule_errors *errors;
  size_t errors_before, errors_kept_before;
  struct rule_file **files;
  size_t file_count, file_capacity, bytes;
  struct shared_names shared;
  size_t rule_count, value_count;
  struct packed_rule *appended, **appended_end;
};

void rule_load_begin(struct rule_load *load, struct rule_errors *errors);
/* `name` and `text` live as long as the load; `owned` is freed with it. */
void rule_load_add(struct rule_load *load, const char *name, const char *text, size_t length, char *owned);
/* Builds the rules and frees all else. NULL when errors were added, unless `keep_good`: then what is good. */
struct rule_set *rule_load_finish(struct rule_load *load, bool keep_good);

/* Reads one file's YAML: its rules as written, its macros and lists. */
void rule_yaml_read(struct rule_load *load, struct rule_file *file);
/* Keeps a rule for building. */
void rule_load_keep(struct rule_load *load, struct rule_file *file, const struct raw_rule *raw);
