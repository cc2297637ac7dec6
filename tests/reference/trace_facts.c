#include "trace_facts.h"

/* Each span once. */
static const struct sample *span_at(const struct trace_view *view, unsigned at) {
  const struct arrival *arrival = &view->trace->arrivals[at];
  const struct sample *span = &view->judge->story->samples[arrival->sample];
  return arrival->again || span->start_ns > view->limit_ns ? NULL : span;
}

static bool meets(const struct trace_view *view, const struct condition *selector, unsigned at) {
  return trace_judge_met(view->judge, selector->selector, &view->trace->arrivals[at], view->generation);
}

static uint64_t end_of(const struct sample *span) { return span->end_ns > span->start_ns ? span->end_ns : span->start_ns; }

/* Of the whole trace, whatever `within:` says. */
static struct plain duration_of(const struct trace_view *view) {
  uint64_t first = UINT64_MAX, last = 0;
  for (unsigned i = 0; i < view->trace->arrival_count; i++) {
    const struct sample *span = &view->judge->story->samples[view->trace->arrivals[i].sample];
    if (span->start_ns < first) first = span->start_ns;
    if (end_of(span) > last) last = end_of(span);
  }
  return plain_integer((int64_t)(last - first));
}

static struct plain measure_values(const struct trace_view *view, const struct measure *measure) {
  struct plain sum = plain_integer(0), least = plain_null(), most = plain_null();
  unsigned count = 0;
  for (unsigned i = 0; i < view->trace->arrival_count; i++) {
    const struct sample *span = span_at(view, i);
    if (!span || !meets(view, measure->selector, i)) continue;
    const struct plain value = judge_term(&view->judge->judge, measure->value, span);
    if (!plain_is_number(&value) || (value.type == PLAIN_REAL && value.real != value.real)) continue;
    sum = plain_calculate('+', &sum, &value);
    if (count == 0 || plain_less(&value, &least)) least = value;
    if (count == 0 || plain_less(&most, &value)) most = value;
    count++;
  }
  const struct plain number = plain_integer(count);
  switch (measure->kind) {
  case MEASURED_SUM:
    return sum;
  case MEASURED_LEAST:
    return least;
  case MEASURED_MOST:
    return most;
  default:
    return plain_calculate('/', &sum, &number);
  }
}

static struct plain measure_of(const struct trace_view *view, const struct measure *measure) {
  unsigned count = 0;
  switch (measure->kind) {
  case MEASURED_CONSTANT:
    return measure->constant;
  case MEASURED_DURATION:
    return duration_of(view);
  case MEASURED_COUNT:
  case MEASURED_SPANS:
    for (unsigned i = 0; i < view->trace->arrival_count; i++)
      count += span_at(view, i) && (measure->kind == MEASURED_SPANS || meets(view, measure->selector, i));
    return plain_integer(count);
  default:
    return measure_values(view, measure);
  }
}

static bool measures_compare(const struct trace_view *view, const struct condition *condition) {
  const struct plain a = measure_of(view, condition->measures[0]), b = measure_of(view, condition->measures[1]);
  if (a.type == PLAIN_NULL || b.type == PLAIN_NULL) return false;
  switch (condition->comparison) {
  case COMPARE_EQUAL:
    return plain_equal(&a, &b);
  case COMPARE_NOT_EQUAL:
    return !plain_equal(&a, &b);
  case COMPARE_LESS:
    return plain_less(&a, &b);
  case COMPARE_LESS_EQUAL:
    return !plain_less(&b, &a);
  case COMPARE_GREATER:
    return plain_less(&b, &a);
  default:
    return !plain_less(&a, &b);
  }
}

static bool follows(const struct trace_view *view, const struct condition *condition, unsigned before, unsigned after) {
  const struct sample *a = span_at(view, before), *b = span_at(view, after);
  const uint64_t tolerance = view->judge->story->clock_tolerance_ns;
  if (!a || !b || before == after || !meets(view, condition->right, after)) return false;
  if (b->start_ns + tolerance < a->start_ns) return false;
  return condition->within_ns == 0 || b->start_ns <= a->start_ns + condition->within_ns + tolerance;
}

bool trace_fact_is_open(const struct trace_view *view, const struct condition *order, unsigned at) {
  if (!span_at(view, at) || !meets(view, order->left, at)) return false;
  for (unsigned i = 0; i < view->trace->arrival_count; i++)
    if (follows(view, order, at, i)) return false;
  return true;
}

/* `then`: some a has such a b. `not followed by`: some a, whose time is over, has none. */
static bool order_holds(const struct trace_view *view, const struct condition *condition) {
  for (unsigned i = 0; i < view->trace->arrival_count; i++) {
    if (!span_at(view, i) || !meets(view, condition->left, i)) continue;
    const uint64_t end_ns = view->trace->arrivals[i].at_ns + condition->within_ns + view->judge->story->clock_tolerance_ns;
    const bool open = trace_fact_is_open(view, condition, i);
    if (condition->negative ? open && end_ns <= view->matured_ns : !open) return true;
  }
  return false;
}

static bool is_parent(const struct trace_view *view, unsigned parent, unsigned child) {
  const struct sample *a = span_at(view, parent), *b = span_at(view, child);
  return a && b && b->has_parent && b->parent == a->span;
}

static bool is_ancestor(const struct trace_view *view, unsigned ancestor, unsigned of) {
  unsigned at = of;
  for (unsigned steps = 0; steps < view->trace->arrival_count; steps++) {
    unsigned parent = 0;
    while (parent < view->trace->arrival_count && !is_parent(view, parent, at)) parent++;
    if (parent == view->trace->arrival_count) return false;
    if (parent == ancestor) return true;
    at = parent;
  }
  return false;
}

static bool is_related(const struct trace_view *view, enum relation relation, unsigned left, unsigned right) {
  const struct sample *a = span_at(view, left), *b = span_at(view, right);
  if (!a || !b) return false;
  switch (relation) {
  case RELATED_CHILD:
    return is_parent(view, left, right);
  case RELATED_DESCENDANT:
    return is_ancestor(view, left, right);
  case RELATED_PARENT:
    return is_parent(view, right, left);
  case RELATED_ANCESTOR:
    return is_ancestor(view, right, left);
  default:
    return left != right && a->has_parent && b->has_parent && a->parent == b->parent;
  }
}

/* Some right span has such a left one; negated: has none. */
static bool relation_holds(const struct trace_view *view, const struct condition *condition) {
  for (unsigned right = 0; right < view->trace->arrival_count; right++) {
    if (!span_at(view, right) || !meets(view, condition->right, right)) continue;
    bool related = false;
    for (unsigned left = 0; left < view->trace->arrival_count && !related; left++)
      related = span_at(view, left) && meets(view, condition->left, left) && is_related(view, condition->relation, left, right);
    if (related != condition->negative) return true;
  }
  return false;
}

bool trace_fact_holds(const struct trace_view *view, const struct condition *condition) {
  if (condition->kind == CONDITION_MEASURES) return measures_compare(view, condition);
  return condition->kind == CONDITION_THEN ? order_holds(view, condition) : relation_holds(view, condition);
}

static bool grows(const struct measure *measure) {
  return measure->kind == MEASURED_COUNT || measure->kind == MEASURED_MOST || measure->kind == MEASURED_DURATION ||
         measure->kind == MEASURED_SPANS;
}

/* Of two measures the verdict is given when the trace is complete, though it may be known before. */
bool trace_fact_stays(const struct condition *condition) {
  if (condition->kind != CONDITION_MEASURES) return !condition->negative;
  const struct measure *a = condition->measures[0], *b = condition->measures[1];
  if (b->kind != MEASURED_CONSTANT) return false;
  if (condition->comparison == COMPARE_GREATER || condition->comparison == COMPARE_GREATER_EQUAL) return grows(a);
  return a->kind == MEASURED_LEAST && (condition->comparison == COMPARE_LESS || condition->comparison == COMPARE_LESS_EQUAL);
}
