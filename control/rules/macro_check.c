#include "macro_internal.h"
#include <string.h>

static struct expression_context context_of(struct shared_names *names, struct shared_name *shared, struct region *region,
                                            struct rule_errors *errors) {
  return (struct expression_context){
      .region = region, .errors = errors, .source = shared->source, .scalar = &shared->text, .shared = names};
}

static bool reads(struct shared_names *names, struct shared_name *macro, bool of_trace, struct rule_errors *errors) {
  struct region region = {0};
  const struct expression_context context = context_of(names, macro, &region, errors);
  const bool good = expression_parse_expanded(&context, of_trace) != NULL;
  region_free(&region);
  return good;
}

static bool begins_like_a_trace(const struct source_scalar *text) {
  const size_t blanks = strspn(text->value, " \t\r\n(!");
  return text->value[blanks] == '{';
}

/* What it is for is not known: it is good when it reads as a condition on one event, or on a trace. */
static void check_macro(struct shared_names *names, struct shared_name *macro, struct rule_errors *errors) {
  const bool of_trace = begins_like_a_trace(&macro->text);
  struct rule_errors quiet = {.count = RULE_ERRORS_MAX};
  macro->open = true;
  if (!reads(names, macro, !of_trace, &quiet)) {
    for (size_t i = 0; i < names->count; i++) names->items[i].complained = false; /* that was for the other reading */
    macro->open = true;
    reads(names, macro, of_trace, errors);
  }
  macro->open = false;
}

static void check_list(struct shared_names *names, struct shared_name *list, struct rule_errors *errors) {
  struct composed_text composed = {0};
  const struct expression_context context = context_of(names, list, NULL, errors);
  list->open = true;
  macro_expand_constants(&context, list->items, list->item_count, &composed);
  list->open = false;
  composed_text_free(&composed);
}

void macro_check_unused(struct shared_names *names, struct rule_errors *errors) {
  for (size_t i = 0; i < names->count && !rule_errors_full(errors); i++) {
    struct shared_name *shared = &names->items[i];
    if (shared->used) continue;
    if (shared->is_list)
      check_list(names, shared, errors);
    else
      check_macro(names, shared, errors);
  }
}
