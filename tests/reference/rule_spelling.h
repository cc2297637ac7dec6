#pragma once
/* Shapes as rule text. What may be spelled in several ways is spelled by the shape's `style`, so that a seed always gives the
 * same text. */
#include "judge_window.h"
#include "rule_shape.h"

/* Text that grows. */
struct spelling {
  char *text;
  size_t length, capacity;
  struct spelling *macros, *lists; /* where parts of it may be written under a name; NULL: they may not */
  unsigned *names;
};
void spelling_free(struct spelling *spelling);
void spell(struct spelling *spelling, const char *format, ...) __attribute__((format(printf, 2, 3)));
void spell_string(struct spelling *spelling, const char *text, uint32_t length, unsigned style);
void spell_duration(struct spelling *spelling, uint64_t ns);
void spell_plain(struct spelling *spelling, const struct plain *value, unsigned style);
/* As beside a reference of that sort. */
void spell_constant(struct spelling *spelling, const struct plain *value, unsigned sort, unsigned style);
unsigned spelling_sort_of(const struct term *term);
void spell_term(struct spelling *spelling, const struct term *term, unsigned sort, unsigned style);
const char *spelling_of_comparison(enum comparison comparison, unsigned style);
extern const char *const spelling_mirrored[]; /* the comparisons of numbers with their sides changed */
void spell_condition(struct spelling *spelling, const struct condition *condition);
/* What a trace is asked beside selectors. */
void spell_fact(struct spelling *spelling, const struct condition *condition);
/* The keys of a rule that judge many events together. */
void spell_window(struct spelling *spelling, const struct window_shape *window);
/* The whole condition of a rule. */
void spell_betrace(struct spelling *spelling, const struct shape_rule *rule);
/* Those of the rule itself, or those appended to it. */
void spell_exceptions(struct spelling *spelling, const struct exceptions_shape *exceptions, bool appended);
/* A whole file. */
void spell_rules(struct spelling *spelling, const struct shape_rule *const *rules, unsigned count);
