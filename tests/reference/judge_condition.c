#include "judge_condition.h"
#include "calendar.h"
#include "pattern_pool.h"
#include "plain_network.h"

struct plain judge_read(const struct judge *judge, const struct sample *sample, unsigned reference) {
  if (reference != REF_TIME_OF_DAY && reference != REF_WEEKDAY) return sample_read(sample, reference, judge->yard);
  if (sample->start_ns > INT64_MAX) return plain_null();
  return reference == REF_WEEKDAY ? plain_text(calendar_weekday(sample->start_ns, judge->timezone))
                                  : plain_integer(calendar_time_of_day(sample->start_ns, judge->timezone));
}

struct plain judge_term(const struct judge *judge, const struct term *term, const struct sample *sample) {
  switch (term->kind) {
  case TERM_CONSTANT:
    return term->constant;
  case TERM_REFERENCE:
    return judge_read(judge, sample, term->reference);
  case TERM_MINUS: {
    const struct plain zero = plain_integer(0), value = judge_term(judge, term->left, sample);
    if (value.type == PLAIN_REAL) return plain_real(-value.real);
    return plain_calculate('-', &zero, &value);
  }
  case TERM_OPERATION:
    break;
  }
  const struct plain left = judge_term(judge, term->left, sample), right = judge_term(judge, term->right, sample);
  return plain_calculate(term->operation, &left, &right);
}

/* Every comparison with null is false. */
static bool compare(enum comparison comparison, const struct plain *a, const struct plain *b) {
  if (a->type == PLAIN_NULL || b->type == PLAIN_NULL) return false;
  switch (comparison) {
  case COMPARE_EQUAL:
    return plain_equal(a, b);
  case COMPARE_NOT_EQUAL:
    return !plain_equal(a, b);
  case COMPARE_LESS:
    return plain_less(a, b);
  case COMPARE_LESS_EQUAL:
    return plain_less(a, b) || (plain_is_number(a) && plain_equal(a, b));
  case COMPARE_GREATER:
    return plain_less(b, a);
  case COMPARE_GREATER_EQUAL:
    return plain_less(b, a) || (plain_is_number(a) && plain_equal(a, b));
  case COMPARE_CONTAINS:
    return plain_contains(a, b);
  case COMPARE_STARTS_WITH:
    return plain_starts_with(a, b);
  case COMPARE_ENDS_WITH:
    return plain_ends_with(a, b);
  }
  return false;
}

static bool is_in(const struct condition *condition, const struct plain *value) {
  for (unsigned i = 0; i < condition->list_count; i++)
    if (plain_equal(value, &condition->list[i])) return true;
  return false;
}

static bool in_networks(const struct condition *condition, const struct plain *value) {
  for (unsigned i = 0; i < condition->list_count; i++)
    if (network_has(&condition->list[i], value)) return true;
  return false;
}

static bool matches(const struct condition *condition, const struct plain *value) {
  if (value->type != PLAIN_TEXT || !plain_is_utf8(value)) return false;
  return pattern_found(condition->pattern, value) != condition->negative;
}

static bool leaf_holds(const struct judge *judge, const struct condition *condition, const struct plain *value,
                       const struct sample *sample) {
  switch (condition->kind) {
  case CONDITION_BARE:
    return value->type == PLAIN_BOOLEAN && value->boolean;
  case CONDITION_IN:
    return is_in(condition, value);
  case CONDITION_MATCH:
    return matches(condition, value);
  case CONDITION_EXISTS:
    return value->type != PLAIN_NULL;
  case CONDITION_IN_CIDR:
    return in_networks(condition, value);
  default: {
    const struct plain other = judge_term(judge, condition->b, sample);
    return compare(condition->comparison, value, &other);
  }
  }
}

/* True of some value of a path with `[*]`; `not in` and `= null` are the opposite of what they deny. */
static bool judge_leaf(const struct judge *judge, const struct condition *condition, const struct sample *sample) {
  const bool opposite = condition->kind != CONDITION_MATCH && condition->negative;
  if (condition->a->kind != TERM_REFERENCE || !reference_facts[condition->a->reference].every) {
    const struct plain value = judge_term(judge, condition->a, sample);
    return leaf_holds(judge, condition, &value, sample) != opposite;
  }
  struct plain values[BODY_VALUES_MAX];
  bool holds = false;
  const unsigned count = sample_values(sample, condition->a->reference, values, judge->yard);
  for (unsigned i = 0; i < count && !holds; i++) holds = leaf_holds(judge, condition, &values[i], sample);
  return holds != opposite;
}

bool judge_condition(const struct judge *judge, const struct condition *condition, const struct sample *sample) {
  switch (condition->kind) {
  case CONDITION_AND:
    return judge_condition(judge, condition->left, sample) && judge_condition(judge, condition->right, sample);
  case CONDITION_OR:
    return judge_condition(judge, condition->left, sample) || judge_condition(judge, condition->right, sample);
  case CONDITION_NOT:
    return !judge_condition(judge, condition->left, sample);
  case CONDITION_LITERAL:
    return !condition->negative;
  case CONDITION_SELECTOR:
    return judge_condition(judge, condition->left, sample);
  default:
    return judge_leaf(judge, condition, sample);
  }
}
