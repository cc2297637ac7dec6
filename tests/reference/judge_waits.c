#include "judge_waits.h"

/* A span that met a selector of `when` which is not negated. */
static bool is_anchor(struct trace_judge *judge, const struct condition *condition, const struct arrival *arrival,
                      unsigned generation) {
  switch (condition->kind) {
  case CONDITION_NOT:
    return condition->left->kind == CONDITION_NOT && is_anchor(judge, condition->left->left, arrival, generation);
  case CONDITION_AND:
  case CONDITION_OR:
    return is_anchor(judge, condition->left, arrival, generation) || is_anchor(judge, condition->right, arrival, generation);
  default:
    for (unsigned s = 0; s < judge->story->selector_count; s++)
      if (trace_judge_mentions(condition, s) && trace_judge_met(judge, s, arrival, generation)) return true;
    return false;
  }
}

static const struct sample *sample_of(const struct trace_judge *judge, const struct arrival *arrival) {
  return &judge->story->samples[arrival->sample];
}

uint64_t trace_waits_limit(struct trace_judge *judge, const struct judged_trace *trace, const struct shape_rule *shape,
                           unsigned generation) {
  uint64_t first_ns = UINT64_MAX;
  for (unsigned i = 0; i < trace->arrival_count; i++) {
    const struct arrival *arrival = &trace->arrivals[i];
    if (sample_of(judge, arrival)->start_ns < first_ns && is_anchor(judge, shape->when, arrival, generation))
      first_ns = sample_of(judge, arrival)->start_ns;
  }
  const uint64_t more_ns = shape->within_ns + judge->story->clock_tolerance_ns;
  return first_ns > UINT64_MAX - more_ns ? UINT64_MAX : first_ns + more_ns;
}

/* When a rule with `within:` is judged; UINT64_MAX: no span for its `when` has come. */
static uint64_t rule_ends(struct trace_judge *judge, const struct judged_trace *trace, const struct shape_rule *shape,
                          unsigned generation) {
  for (unsigned i = 0; i < trace->arrival_count; i++)
    if (is_anchor(judge, shape->when, &trace->arrivals[i], generation))
      return trace->arrivals[i].at_ns + shape->within_ns + judge->story->clock_tolerance_ns;
  return UINT64_MAX;
}

struct question {
  struct trace_judge *judge;
  const struct judged_trace *trace;
  unsigned generation;
  uint64_t since_ns, now_ns;
};

static struct trace_view view_of(const struct question *question) {
  return (struct trace_view){.judge = question->judge,
                             .trace = question->trace,
                             .generation = question->generation,
                             .limit_ns = UINT64_MAX,
                             .matured_ns = question->now_ns};
}

/* Some left span of an order with a time is not followed, and its time ends after `since_ns` and by `now_ns`; `ahead`: after
 * `now_ns`. */
static bool order_waits(const struct question *question, const struct condition *order, bool ahead) {
  const struct trace_view view = view_of(question);
  for (unsigned i = 0; i < question->trace->arrival_count; i++) {
    const uint64_t end_ns = question->trace->arrivals[i].at_ns + order->within_ns + question->judge->story->clock_tolerance_ns;
    if (!trace_fact_is_open(&view, order, i)) continue;
    if (ahead ? end_ns > question->now_ns : end_ns > question->since_ns && end_ns <= question->now_ns) return true;
  }
  return false;
}

/* A `then` that holds already waits for nothing. */
static bool condition_waits(const struct question *question, const struct condition *condition, bool ahead) {
  if (!condition) return false;
  if (condition->kind == CONDITION_THEN) {
    const struct trace_view view = view_of(question);
    if (!condition->within_ns) return false;
    if (!condition->negative && (!ahead || trace_fact_holds(&view, condition))) return false;
    return order_waits(question, condition, ahead);
  }
  if (condition->kind > CONDITION_NOT) return false;
  return condition_waits(question, condition->left, ahead) || condition_waits(question, condition->right, ahead);
}

/* `always` may be met, and what `never` counts may come. */
static bool rule_waits(const struct question *question, const struct shape_rule *shape) {
  struct trace_view view = view_of(question);
  const uint64_t end_ns = rule_ends(question->judge, question->trace, shape, question->generation);
  if (!shape->within_ns || end_ns == UINT64_MAX || end_ns <= question->now_ns) return false;
  if (!trace_judge_holds(&view, shape->when)) return false;
  view.limit_ns = trace_waits_limit(question->judge, question->trace, shape, question->generation);
  return shape->never || !trace_judge_holds(&view, shape->always);
}

bool trace_waits(struct trace_judge *judge, const struct judged_trace *trace, unsigned generation, uint64_t now_ns) {
  const struct question question = {judge, trace, generation, 0, now_ns};
  for (unsigned r = 0; r < judge->story->rule_count; r++) {
    const struct shape_rule *shape = judge->story->rules[r].shape;
    if (!story_has_rule(judge->story, r, generation)) continue;
    if (rule_waits(&question, shape) || condition_waits(&question, shape->when, true) ||
        condition_waits(&question, shape->always, true) || condition_waits(&question, shape->never, true))
      return true;
  }
  return false;
}

bool trace_waits_are_over(struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation,
                          uint64_t since_ns, uint64_t now_ns) {
  const struct shape_rule *shape = judge->story->rules[rule].shape;
  const struct question question = {judge, trace, generation, since_ns, now_ns};
  if (shape->within_ns) {
    const uint64_t end_ns = rule_ends(judge, trace, shape, generation);
    return end_ns > since_ns && end_ns <= now_ns;
  }
  if (!shape->never || !trace_judge_stays(shape->when, true) || !trace_judge_stays(shape->never, true)) return false;
  return condition_waits(&question, shape->when, false) || condition_waits(&question, shape->never, false);
}
