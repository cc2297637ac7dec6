#include "exception_maker.h"
#include <string.h>

static uint32_t below(struct rule_maker *maker, uint32_t bound) { return random_below(maker->random, bound); }

static const struct condition *join(struct rule_maker *maker, enum condition_kind kind, const struct condition *left,
                                    const struct condition *right) {
  struct condition *made = YARD_NEW(maker->yard, struct condition);
  *made = (struct condition){.kind = kind, .left = left, .right = right};
  return made;
}

static bool has_nul(const struct plain *value) {
  return value->type == PLAIN_TEXT && memchr(value->text, 0, value->length) != NULL;
}

/* YAML's texts hold no U+0000. */
static bool can_be_written(const struct condition *comparison) {
  for (unsigned i = 0; i < comparison->list_count; i++)
    if (has_nul(&comparison->list[i])) return false;
  return !comparison->b || !has_nul(&comparison->b->constant);
}

static const struct condition *make_field(struct rule_maker *maker, enum subject subject, const struct condition *like) {
  const struct condition *made = make_comparison(maker, subject, like);
  while (!can_be_written(made)) made = make_comparison(maker, subject, like);
  return made;
}

static bool takes_list(const struct condition *comparison) {
  return comparison->kind == CONDITION_IN || comparison->kind == CONDITION_IN_CIDR;
}

/* Without `comps`: `=`, of a field alone `in`. */
static bool is_default(const struct exception_shape *exception) {
  for (unsigned i = 0; i < exception->field_count; i++) {
    const struct condition *field = exception->fields[i];
    if (exception->alone ? field->kind != CONDITION_IN || field->negative
                         : field->kind != CONDITION_COMPARE || field->comparison != COMPARE_EQUAL)
      return false;
  }
  return true;
}

static void make_exception(struct rule_maker *maker, struct exception_shape *exception, enum subject subject) {
  exception->alone = below(maker, 3) == 0;
  exception->field_count = exception->alone ? 1 : 1 + below(maker, EXCEPTION_FIELDS_MOST);
  exception->later = below(maker, 4) == 0;
  for (unsigned i = 0; i < exception->field_count; i++) exception->fields[i] = make_field(maker, subject, NULL);
  exception->without_comps = is_default(exception) && below(maker, 4);
  unsigned most = EXCEPTION_TUPLES_MOST, appended = below(maker, 3);
  if (exception->alone && takes_list(exception->fields[0])) most = 2; /* the values of each place together are one list */
  exception->tuple_count = below(maker, most + 1);
  for (unsigned t = 0; t < exception->tuple_count; t++) {
    exception->appended[t] = exception->later || t + appended >= most;
    for (unsigned i = 0; i < exception->field_count; i++)
      exception->tuples[t][i] = make_field(maker, subject, exception->fields[i]);
  }
  if (most == 2 && exception->tuple_count == 2) {
    exception->appended[0] = exception->later;
    exception->appended[1] = true;
    if (exception->later) exception->tuple_count = 1;
  }
}

struct exceptions_shape *make_exceptions(struct rule_maker *maker, enum subject subject) {
  struct exceptions_shape *made = YARD_NEW(maker->yard, struct exceptions_shape);
  made->appended_first = below(maker, 3) == 0;
  made->count = 1 + below(maker, EXCEPTIONS_MOST);
  for (unsigned i = 0; i < made->count; i++) make_exception(maker, &made->items[i], subject);
  return made;
}

static const struct condition *tuple_of(struct rule_maker *maker, const struct exception_shape *exception, unsigned at) {
  const struct condition *tuple = exception->tuples[at][0];
  for (unsigned i = 1; i < exception->field_count; i++) tuple = join(maker, CONDITION_AND, tuple, exception->tuples[at][i]);
  return tuple;
}

const struct condition *make_excepted(struct rule_maker *maker, const struct exceptions_shape *exceptions,
                                      const struct condition *(*selector)(void *context, const struct condition *tuple),
                                      void *context) {
  const struct condition *any = NULL;
  for (unsigned e = 0; e < exceptions->count; e++)
    for (unsigned t = 0; t < exceptions->items[e].tuple_count; t++) {
      const struct condition *tuple = tuple_of(maker, &exceptions->items[e], t);
      if (selector) tuple = selector(context, tuple);
      any = any ? join(maker, CONDITION_OR, any, tuple) : tuple;
    }
  if (!any) return exceptions->written;
  return join(maker, CONDITION_AND, exceptions->written, join(maker, CONDITION_NOT, any, NULL));
}
