#include "exception_shape.h"
#include "pattern_pool.h"
#include "rule_spelling.h"
#include <string.h>

/* Like a member of `lists:`. */
static void spell_value(struct spelling *spelling, const struct plain *value, unsigned sort, unsigned style) {
  const bool word = sort == SORT_KIND || sort == SORT_STATUS || sort == SORT_WEEKDAY || sort == SORT_TIME_OF_DAY;
  if (word || value->type == PLAIN_INTEGER) {
    spell_constant(spelling, value, sort, style);
  } else {
    spell_plain(spelling, value, 0);
  }
}

static void spell_compared_with(struct spelling *spelling, const struct condition *comparison) {
  const unsigned sort = spelling_sort_of(comparison->a);
  if (comparison->kind == CONDITION_MATCH) {
    const char *text = pattern_text(comparison->pattern);
    spell_string(spelling, text, (uint32_t)strlen(text), 0);
  } else if (comparison->kind == CONDITION_COMPARE) {
    spell_value(spelling, &comparison->b->constant, sort, comparison->style);
  } else {
    for (unsigned i = 0; i < comparison->list_count; i++) {
      if (i) spell(spelling, ", ");
      spell_value(spelling, &comparison->list[i], sort, comparison->style + i);
    }
  }
}

static void spell_comparison(struct spelling *spelling, const struct condition *field) {
  const char *not = field->negative ? "not " : "";
  if (field->kind == CONDITION_MATCH) {
    spell(spelling, field->negative ? "\"!~\"" : "\"=~\"");
  } else if (field->kind == CONDITION_COMPARE) {
    spell(spelling, "\"%s\"", spelling_of_comparison(field->comparison, field->style));
  } else {
    spell(spelling, field->kind == CONDITION_IN ? "%sin" : "%sin cidr", not );
  }
}

static void spell_fields(struct spelling *spelling, const struct exception_shape *exception) {
  const char *open = exception->alone ? "" : "[", *close = exception->alone ? "" : "]";
  spell(spelling, "        fields: %s", open);
  for (unsigned i = 0; i < exception->field_count; i++)
    spell(spelling, "%s%s", i ? ", " : "", reference_facts[exception->fields[i]->a->reference].spelling);
  spell(spelling, "%s\n", close);
  if (exception->without_comps) return;
  spell(spelling, "        comps: %s", open);
  for (unsigned i = 0; i < exception->field_count; i++) {
    if (i) spell(spelling, ", ");
    spell_comparison(spelling, exception->fields[i]);
  }
  spell(spelling, "%s\n", close);
}

static bool takes_list(const struct condition *comparison) {
  return comparison->kind == CONDITION_IN || comparison->kind == CONDITION_IN_CIDR;
}

static void spell_tuple(struct spelling *spelling, const struct exception_shape *exception, unsigned at) {
  const bool round = !exception->alone;
  spell(spelling, round ? "[" : "");
  for (unsigned i = 0; i < exception->field_count; i++) {
    const bool list = round && takes_list(exception->tuples[at][i]);
    spell(spelling, "%s%s", i ? ", " : "", list ? "[" : "");
    spell_compared_with(spelling, exception->tuples[at][i]);
    spell(spelling, list ? "]" : "");
  }
  spell(spelling, round ? "]" : "");
}

static unsigned tuples_in(const struct exception_shape *exception, bool appended) {
  unsigned count = 0;
  for (unsigned t = 0; t < exception->tuple_count; t++) count += exception->appended[t] == appended;
  return count;
}

static void spell_values(struct spelling *spelling, const struct exception_shape *exception, bool appended) {
  unsigned count = 0;
  if (tuples_in(exception, appended) == 0 && exception->fields[0]->style % 2) return;
  spell(spelling, "        values: [");
  for (unsigned t = 0; t < exception->tuple_count; t++) {
    if (exception->appended[t] != appended) continue;
    if (count++) spell(spelling, ", ");
    spell_tuple(spelling, exception, t);
  }
  spell(spelling, "]\n");
}

void spell_exceptions(struct spelling *spelling, const struct exceptions_shape *exceptions, bool appended) {
  unsigned count = 0;
  for (unsigned e = 0; e < exceptions->count; e++) {
    const struct exception_shape *exception = &exceptions->items[e];
    const bool has_fields = exception->later == appended;
    if (!has_fields && tuples_in(exception, appended) == 0) continue;
    if (count++ == 0) spell(spelling, "    exceptions:\n");
    spell(spelling, "      - name: e%u\n", e);
    if (has_fields) spell_fields(spelling, exception);
    spell_values(spelling, exception, appended);
  }
  if (count == 0 && appended) spell(spelling, "    exceptions: []\n");
}
