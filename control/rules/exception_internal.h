#pragma once
/* Exceptions of a rule, as Falco has them: what they name the rule does not match. */
#include "macro_internal.h"
#include "rule_set_internal.h"

#define EXCEPTIONS_MAX 256u /* of a rule, appended ones too */
#define EXCEPTION_FIELDS_MAX 16u

struct exception {
  const struct raw_node *node; /* that defined it: its place */
  struct rule_source *source;
  const struct raw_node *name, *fields, *comparisons;
  const struct raw_nodes *values; /* from one or more places */
};

struct exceptions {
  struct exception *items;
  size_t count, capacity;
  struct region region;
  bool any_values;
};

/* Those of the rule and what was appended to it, by name. False when an error was added. */
bool exceptions_read(const struct raw_rule *raw, struct rule_source *source, struct rule_errors *errors,
                     struct exceptions *exceptions);
/* Appends ` && !(...)` of all of them, as a condition on one event or, for a trace rule, on its spans. The context is the rule's.
 */
bool exceptions_compose(const struct expression_context *context, const struct exceptions *exceptions, bool of_trace,
                        struct composed_text *out);
void exceptions_free(struct exceptions *exceptions);
