#pragma once
/* The text of one rule file and the way back from a decoded YAML scalar to the line and column it was written at. */
#include "rule_set.h"

#define RULE_ERRORS_MAX 100u

struct rule_source {
  const char *name;
  const char *text;
  size_t length;
  size_t *line_starts; /* made when the first error needs it */
  uint32_t line_count;
};

enum scalar_style { SCALAR_PLAIN, SCALAR_SINGLE_QUOTED, SCALAR_DOUBLE_QUOTED, SCALAR_BLOCK };

struct source_scalar {
  const char *value; /* decoded, NUL-terminated */
  size_t length;
  uint32_t line, column; /* where the scalar starts, 0-based, in characters */
  enum scalar_style style;
};

struct source_place {
  uint32_t line, column; /* 1-based, in characters */
};

void rule_source_free(struct rule_source *source);
/* Where the character at byte `offset` of the decoded value stands in the file. */
struct source_place rule_source_place(struct rule_source *source, const struct source_scalar *scalar, size_t offset);
/* The place of byte `offset` of the file. */
struct source_place rule_source_place_of_byte(struct rule_source *source, size_t offset);

/* Keeps at most RULE_ERRORS_MAX; those beyond are counted. */
void rule_errors_add(struct rule_errors *errors, struct rule_source *source, struct source_place place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* About a file or line whose text is no longer (or never was) at hand. */
void rule_errors_add_file(struct rule_errors *errors, const char *file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline bool rule_errors_full(const struct rule_errors *errors) { return errors->count >= RULE_ERRORS_MAX; }
/* Grows with every error, kept or not. */
static inline size_t rule_errors_total(const struct rule_errors *errors) { return errors->count + errors->dropped; }
