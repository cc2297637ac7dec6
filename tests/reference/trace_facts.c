#include "trace_facts.h"

struct spans { /* of a trace, each once */
  struct trace_judge *judge;
  const struct judged_trace *trace;
  unsigned generation;
};

static const struct sample *span_at(const struct spans *spans, unsigned at) {
  const struct arrival *arrival = &spans->trace->arrivals[at];
  return arrival->again ? NULL : &spans->judge->story->samples[arrival->sample];
}

static bool meets(const struct spans *spans, const struct condition *selector, unsigned at) {
  return trace_judge_met(spans->judge, selector->selector, &spans->trace->arrivals[at], spans->generation);
}

static uint64_t end_of(const struct sample *span) { return span->end_ns > span->start_ns ? span->end_ns : span->start_ns; }

static struct plain duration_of(const struct spans *spans) {
  uint64_t first = UINT64_MAX, last = 0;
  for (unsigned i = 0; i < spans->trace->arrival_count; i++) {
    const struct sample *span = span_at(spans, i);
    if (span && span->start_ns < first) first = span->start_ns;
    if (span && end_of(span) > last) last = end_of(span);
  }
  return plain_integer((int64_t)(last - first));
}

static struct plain measure_values(const struct spans *spans, const struct measure *measure) {
  struct plain sum = plain_integer(0), least = plain_null(), most = plain_null();
  unsigned count = 0;
  for (unsigned i = 0; i < spans->trace->arrival_count; i++) {
    const struct sample *span = span_at(spans, i);
    if (!span || !meets(spans, measure->selector, i)) continue;
    const struct plain value = judge_term(&spans->judge->judge, measure->value, span);
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

static struct plain measure_of(const struct spans *spans, const struct measure *measure) {
  unsigned count = 0;
  switch (measure->kind) {
  case MEASURED_CONSTANT:
    return measure->constant;
  case MEASURED_DURATION:
    return duration_of(spans);
  case MEASURED_COUNT:
  case MEASURED_SPANS:
    for (unsigned i = 0; i < spans->trace->arrival_count; i++)
      count += span_at(spans, i) && (measure->kind == MEASURED_SPANS || meets(spans, measure->selector, i));
    return plain_integer(count);
  default:
    return measure_values(spans, measure);
  }
}

static bool measures_compare(const struct spans *spans, const struct condition *condition) {
  const struct plain a = measure_of(spans, condition->measures[0]), b = measure_of(spans, condition->measures[1]);
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

static bool follows(const struct spans *spans, const struct condition *condition, unsigned before, unsigned after) {
  const struct sample *a = span_at(spans, before), *b = span_at(spans, after);
  const uint64_t tolerance = spans->judge->story->clock_tolerance_ns;
  if (!a || !b || before == after || !meets(spans, condition->right, after)) return false;
  if (b->start_ns + tolerance < a->start_ns) return false;
  return condition->within_ns == 0 || b->start_ns <= a->start_ns + condition->within_ns + tolerance;
}

/* `then`: some a has such a b. `not followed by`: some a has none. */
static bool order_holds(const struct spans *spans, const struct condition *condition) {
  for (unsigned i = 0; i < spans->trace->arrival_count; i++) {
    if (!span_at(spans, i) || !meets(spans, condition->left, i)) continue;
    bool followed = false;
    for (unsigned j = 0; j < spans->trace->arrival_count && !followed; j++) followed = follows(spans, condition, i, j);
    if (followed != condition->negative) return true;
  }
  return false;
}

static bool is_parent(const struct spans *spans, unsigned parent, unsigned child) {
  const struct sample *a = span_at(spans, parent), *b = span_at(spans, child);
  return a && b && b->has_parent && b->parent == a->span;
}

static bool is_ancestor(const struct spans *spans, unsigned ancestor, unsigned of) {
  unsigned at = of;
  for (unsigned steps = 0; steps < spans->trace->arrival_count; steps++) {
    unsigned parent = 0;
    while (parent < spans->trace->arrival_count && !is_parent(spans, parent, at)) parent++;
    if (parent == spans->trace->arrival_count) return false;
    if (parent == ancestor) return true;
    at = parent;
  }
  return false;
}

static bool is_related(const struct spans *spans, enum relation relation, unsigned left, unsigned right) {
  const struct sample *a = span_at(spans, left), *b = span_at(spans, right);
  if (!a || !b) return false;
  switch (relation) {
  case RELATED_CHILD:
    return is_parent(spans, left, right);
  case RELATED_DESCENDANT:
    return is_ancestor(spans, left, right);
  case RELATED_PARENT:
    return is_parent(spans, right, left);
  case RELATED_ANCESTOR:
    return is_ancestor(spans, right, left);
  default:
    return left != right && a->has_parent && b->has_parent && a->parent == b->parent;
  }
}

/* Some right span has such a left one; negated: has none. */
static bool relation_holds(const struct spans *spans, const struct condition *condition) {
  for (unsigned right = 0; right < spans->trace->arrival_count; right++) {
    if (!span_at(spans, right) || !meets(spans, condition->right, right)) continue;
    bool related = false;
    for (unsigned left = 0; left < spans->trace->arrival_count && !related; left++)
      related =
          span_at(spans, left) && meets(spans, condition->left, left) && is_related(spans, condition->relation, left, right);
    if (related != condition->negative) return true;
  }
  return false;
}

bool trace_fact_holds(struct trace_judge *judge, const struct condition *condition, const struct judged_trace *trace,
                      unsigned generation) {
  const struct spans spans = {.judge = judge, .trace = trace, .generation = generation};
  if (condition->kind == CONDITION_MEASURES) return measures_compare(&spans, condition);
  return condition->kind == CONDITION_THEN ? order_holds(&spans, condition) : relation_holds(&spans, condition);
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
