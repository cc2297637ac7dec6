#include "judge_waits.h"
#include "trace_facts.h"
#include <stdlib.h>
#include <string.h>

void trace_judge_open(struct trace_judge *judge, const struct story *story, struct yard *yard, struct yard *scratch) {
  const size_t cells = (size_t)story->selector_count * story->sample_count;
  *judge = (struct trace_judge){.story = story, .judge = {.yard = scratch}, .yard = yard, .met = yard_take(yard, cells)};
  memset(judge->met, -1, cells);
}

bool story_has_rule(const struct story *story, unsigned rule, unsigned generation) {
  return !story->rule_dropped[rule] && story->rules[rule].from <= generation && generation <= story->rules[rule].to;
}

static bool measure_mentions(const struct measure *measure, unsigned selector) {
  return measure && trace_judge_mentions(measure->selector, selector);
}

bool trace_judge_mentions(const struct condition *condition, unsigned selector) {
  if (!condition) return false;
  if (measure_mentions(condition->measures[0], selector) || measure_mentions(condition->measures[1], selector)) return true;
  if (condition->kind == CONDITION_SELECTOR) return condition->selector == selector;
  return trace_judge_mentions(condition->left, selector) || trace_judge_mentions(condition->right, selector);
}

static bool rule_mentions(const struct shape_rule *rule, unsigned selector) {
  return trace_judge_mentions(rule->when, selector) || trace_judge_mentions(rule->always, selector) ||
         trace_judge_mentions(rule->never, selector);
}

static bool selector_is_in(const struct trace_judge *judge, unsigned selector, unsigned generation) {
  for (unsigned r = 0; r < judge->story->rule_count; r++)
    if (story_has_rule(judge->story, r, generation) && rule_mentions(judge->story->rules[r].shape, selector)) return true;
  return false;
}

/* The generation since which spans have been asked about it without a break. */
static unsigned selector_since(const struct trace_judge *judge, unsigned selector, unsigned generation) {
  while (generation > 0 && selector_is_in(judge, selector, generation - 1)) generation--;
  return generation;
}

static unsigned rule_since(const struct trace_judge *judge, const struct story_rule *rule, unsigned generation) {
  unsigned since = 0;
  for (unsigned s = 0; s < judge->story->selector_count; s++) {
    if (!rule_mentions(rule->shape, s)) continue;
    const unsigned of_selector = selector_since(judge, s, generation);
    if (of_selector > since) since = of_selector;
  }
  return since;
}

bool trace_judge_met(struct trace_judge *judge, unsigned selector, const struct arrival *arrival, unsigned generation) {
  if (arrival->generation < selector_since(judge, selector, generation)) return false;
  int8_t *cell = &judge->met[(size_t)selector * judge->story->sample_count + arrival->sample];
  if (*cell < 0) {
    *cell = judge_condition(&judge->judge, judge->story->selectors[selector], &judge->story->samples[arrival->sample]);
    yard_clear(judge->judge.yard);
  }
  return *cell;
}

static bool some_met(struct trace_judge *judge, unsigned selector, const struct judged_trace *trace, unsigned generation,
                     uint64_t limit_ns) {
  for (unsigned i = 0; i < trace->arrival_count; i++)
    if (judge->story->samples[trace->arrivals[i].sample].start_ns <= limit_ns &&
        trace_judge_met(judge, selector, &trace->arrivals[i], generation))
      return true;
  return false;
}

bool trace_judge_holds(const struct trace_view *view, const struct condition *condition) {
  switch (condition->kind) {
  case CONDITION_AND:
    return trace_judge_holds(view, condition->left) && trace_judge_holds(view, condition->right);
  case CONDITION_OR:
    return trace_judge_holds(view, condition->left) || trace_judge_holds(view, condition->right);
  case CONDITION_NOT:
    return !trace_judge_holds(view, condition->left);
  case CONDITION_SELECTOR:
    return some_met(view->judge, condition->selector, view->trace, view->generation, view->limit_ns);
  default:
    return trace_fact_holds(view, condition);
  }
}

bool trace_judge_breaks(struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation,
                        uint64_t matured_ns, bool never_alone) {
  const struct shape_rule *shape = judge->story->rules[rule].shape;
  struct trace_view view = {
      .judge = judge, .trace = trace, .generation = generation, .limit_ns = UINT64_MAX, .matured_ns = matured_ns};
  if (!trace_judge_holds(&view, shape->when)) return false;
  if (shape->within_ns) view.limit_ns = trace_waits_limit(judge, trace, shape, generation);
  return (shape->never && trace_judge_holds(&view, shape->never)) ||
         (!never_alone && shape->always && !trace_judge_holds(&view, shape->always));
}

bool trace_judge_stays(const struct condition *condition, bool or_matures) {
  switch (condition->kind) {
  case CONDITION_AND:
  case CONDITION_OR:
    return trace_judge_stays(condition->left, or_matures) && trace_judge_stays(condition->right, or_matures);
  case CONDITION_NOT:
    return condition->left->kind == CONDITION_NOT && trace_judge_stays(condition->left->left, or_matures);
  case CONDITION_SELECTOR:
    return true;
  default:
    return trace_fact_stays(condition) || (or_matures && condition->kind == CONDITION_THEN);
  }
}

static bool meets_some(struct trace_judge *judge, const struct condition *condition, const struct arrival *arrival,
                       unsigned generation) {
  for (unsigned s = 0; s < judge->story->selector_count; s++)
    if (trace_judge_mentions(condition, s) && trace_judge_met(judge, s, arrival, generation)) return true;
  return false;
}

static void raise(struct trace_judge *judge, struct judged_trace *trace, unsigned rule, unsigned generation) {
  const struct shape_rule *shape = judge->story->rules[rule].shape;
  struct trace_verdict *verdict = YARD_NEW(judge->yard, struct trace_verdict);
  *verdict = (struct trace_verdict){
      .next = judge->verdicts, .rule = rule, .trace = trace, .first_ns = trace->first_ns, .last_ns = trace->last_ns};
  for (unsigned i = 0; i < trace->arrival_count; i++) {
    const struct arrival *arrival = &trace->arrivals[i];
    const struct sample *sample = &judge->story->samples[arrival->sample];
    const bool when = meets_some(judge, shape->when, arrival, generation);
    if (!when && !meets_some(judge, shape->never, arrival, generation)) continue;
    if (when && !verdict->first) verdict->first = sample;
    if (arrival->again) continue;
    verdict->count++;
    if (verdict->span_count < STORY_SPAN_IDS_MAX) verdict->spans[verdict->span_count++] = sample->span;
  }
  if (verdict->count == 0) verdict->count = 1;
  judge->verdicts = verdict;
  judge->fired++;
  trace->raised[rule] = true;
}

struct judged_trace *trace_judge_find(struct trace_judge *judge, uint64_t trace) {
  for (struct judged_trace *found = judge->traces; found; found = found->next)
    if (found->trace == trace && found->state != TRACE_IS_FORGOTTEN) return found;
  return NULL;
}

static struct judged_trace *open_trace(struct trace_judge *judge, unsigned owner, uint64_t trace, unsigned generation,
                                       uint64_t now_ns) {
  struct judged_trace *opened = YARD_NEW(judge->yard, struct judged_trace);
  *opened = (struct judged_trace){.next = judge->traces,
                                  .trace = trace,
                                  .owner = owner,
                                  .opened = generation,
                                  .first_ns = UINT64_MAX,
                                  .limit_ns = UINT64_MAX};
  if (judge->story->max_age_ns) opened->limit_ns = now_ns + judge->story->max_age_ns;
  opened->arrivals = YARD_ARRAY(judge->yard, struct arrival, judge->story->sample_count);
  judge->traces = opened;
  return opened;
}

static bool can_judge(const struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation) {
  const struct story_rule *of_story = &judge->story->rules[rule];
  return story_has_rule(judge->story, rule, generation) && !trace->raised[rule] &&
         rule_since(judge, of_story, generation) <= trace->opened;
}

/* Was this the first span of the trace to meet one of the selectors? */
static bool is_news(struct trace_judge *judge, struct judged_trace *trace, const struct shape_rule *shape, unsigned generation) {
  const struct arrival *last = &trace->arrivals[trace->arrival_count - 1];
  for (unsigned s = 0; s < judge->story->selector_count; s++) {
    if (!trace_judge_mentions(shape->when, s) && !trace_judge_mentions(shape->never, s)) continue;
    if (!trace_judge_met(judge, s, last, generation)) continue;
    trace->arrival_count--;
    const bool before = some_met(judge, s, trace, generation, UINT64_MAX);
    trace->arrival_count++;
    if (!before) return true;
  }
  return false;
}

static void complete(struct trace_judge *judge, struct judged_trace *trace, unsigned now_generation) {
  for (unsigned r = 0; r < judge->story->rule_count; r++) {
    if (!can_judge(judge, trace, r, now_generation)) continue;
    judge->judged++;
    if (trace_judge_breaks(judge, trace, r, now_generation, UINT64_MAX, false)) raise(judge, trace, r, now_generation);
  }
  trace->state = TRACE_IS_REMEMBERED;
  trace->remembered = ++judge->remembered;
}

static uint64_t due_of(const struct trace_judge *judge, const struct judged_trace *trace) {
  const uint64_t idle_ns = trace->last_arrival_ns + judge->story->idle_ns;
  return idle_ns < trace->limit_ns ? idle_ns : trace->limit_ns;
}

uint64_t trace_judge_next_due(const struct trace_judge *judge) {
  uint64_t next_ns = UINT64_MAX;
  for (const struct judged_trace *trace = judge->traces; trace; trace = trace->next)
    if (trace->state == TRACE_IS_LIVE && due_of(judge, trace) < next_ns) next_ns = due_of(judge, trace);
  return next_ns;
}

static bool goes_before(const struct trace_judge *judge, const struct judged_trace *trace, const struct judged_trace *other) {
  if (trace->state != other->state) return trace->state == TRACE_IS_REMEMBERED;
  if (trace->state == TRACE_IS_REMEMBERED) return trace->remembered < other->remembered;
  return due_of(judge, trace) < due_of(judge, other);
}

/* The oldest remembered trace goes first, then the live one that would be complete next. */
static void make_room(struct trace_judge *judge, unsigned owner) {
  struct judged_trace *first = NULL;
  unsigned count = 0;
  for (struct judged_trace *trace = judge->traces; trace; trace = trace->next) {
    if (trace->owner != owner || trace->state == TRACE_IS_FORGOTTEN) continue;
    count++;
    if (!first || goes_before(judge, trace, first)) first = trace;
  }
  if (!judge->story->table || count < judge->story->table) return;
  judge->evicted += first->state == TRACE_IS_LIVE;
  first->state = TRACE_IS_FORGOTTEN;
}

static bool is_over(struct trace_judge *judge, const struct judged_trace *trace, unsigned generation, uint64_t now_ns) {
  if (trace->state != TRACE_IS_LIVE) return false;
  if (now_ns >= trace->limit_ns) return true;
  if (now_ns < trace->last_arrival_ns + judge->story->idle_ns) return false;
  return !judge->story->waits || !trace_waits(judge, trace, generation, now_ns);
}

/* Rules whose own time has passed since the trace was looked at last. */
static void mature(struct trace_judge *judge, struct judged_trace *trace, unsigned generation, uint64_t now_ns) {
  for (unsigned r = 0; r < judge->story->rule_count && trace->state == TRACE_IS_LIVE && judge->story->waits; r++) {
    if (!can_judge(judge, trace, r, generation)) continue;
    if (!trace_waits_are_over(judge, trace, r, generation, trace->looked_ns, now_ns)) continue;
    judge->judged++;
    if (trace_judge_breaks(judge, trace, r, generation, now_ns, !judge->story->rules[r].shape->within_ns))
      raise(judge, trace, r, generation);
  }
  trace->looked_ns = now_ns;
}

static bool is_ripe(struct trace_judge *judge, const struct judged_trace *trace, unsigned rule, unsigned generation,
                    uint64_t now_ns) {
  return can_judge(judge, trace, rule, generation) && trace_waits_are_over(judge, trace, rule, generation, 0, now_ns) &&
         trace_judge_breaks(judge, trace, rule, generation, now_ns, !judge->story->rules[rule].shape->within_ns);
}

bool trace_judge_ripens(struct trace_judge *judge, struct judged_trace *trace, unsigned rule, unsigned now_generation,
                        uint64_t now_ns) {
  if (!judge->story->waits || trace->raised[rule]) return false;
  if (trace->ripe[rule]) {
    trace->raised[rule] = true;
    return true;
  }
  if (trace->state != TRACE_IS_LIVE || !is_ripe(judge, trace, rule, now_generation, now_ns)) return false;
  raise(judge, trace, rule, now_generation);
  judge->verdicts->matched = true;
  return true;
}

/* Its arrival may be what completes the trace. */
static void touch(const struct trace_judge *judge, struct judged_trace *trace, const struct sample *span, uint64_t now_ns) {
  const uint64_t grace_ns = judge->story->root_grace_ns;
  trace->last_arrival_ns = now_ns;
  if (!span->has_parent && grace_ns && now_ns + grace_ns < trace->limit_ns) trace->limit_ns = now_ns + grace_ns;
}

void trace_judge_arrive(struct trace_judge *judge, unsigned owner, unsigned sample, unsigned generation, unsigned now_generation,
                        uint64_t now_ns) {
  const struct sample *span = &judge->story->samples[sample];
  struct judged_trace *trace = trace_judge_find(judge, span->trace);
  if (!trace) make_room(judge, owner);
  if (!trace) trace = open_trace(judge, owner, span->trace, generation, now_ns);
  if (trace->owner != owner) abort();
  if (trace->arrival_count > 0) {
    mature(judge, trace, now_generation, now_ns);
    for (unsigned r = 0; r < judge->story->rule_count; r++)
      trace->ripe[r] = judge->story->waits && trace->state == TRACE_IS_LIVE && is_ripe(judge, trace, r, now_generation, now_ns);
    if (is_over(judge, trace, now_generation, now_ns)) complete(judge, trace, now_generation);
  }
  const uint64_t end_ns = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
  if (generation < trace->opened) trace->opened = generation;
  if (span->start_ns < trace->first_ns) trace->first_ns = span->start_ns;
  if (end_ns > trace->last_ns) trace->last_ns = end_ns;
  struct arrival *arrival = &trace->arrivals[trace->arrival_count++];
  *arrival = (struct arrival){.sample = sample, .generation = generation, .at_ns = now_ns};
  for (struct arrival *other = trace->arrivals; other < arrival; other++)
    arrival->again |= judge->story->samples[other->sample].span == span->span;
  const bool late = trace->state == TRACE_IS_REMEMBERED;
  if (!late) touch(judge, trace, span, now_ns);
  for (unsigned r = 0; r < judge->story->rule_count; r++) {
    const struct shape_rule *shape = judge->story->rules[r].shape;
    if (!shape->never || !can_judge(judge, trace, r, now_generation)) continue;
    const bool stays = !shape->within_ns && trace_judge_stays(shape->when, false) && trace_judge_stays(shape->never, false);
    if (!late && !stays) continue;
    judge->judged++;
    if (!judge->story->facts && !is_news(judge, trace, shape, now_generation)) continue;
    if (trace_judge_breaks(judge, trace, r, now_generation, UINT64_MAX, true)) raise(judge, trace, r, now_generation);
  }
  if (!late && judge->story->max_spans && trace->arrival_count >= judge->story->max_spans) complete(judge, trace, now_generation);
}

void trace_judge_pass(struct trace_judge *judge, unsigned owner, unsigned now_generation, uint64_t now_ns) {
  for (struct judged_trace *trace = judge->traces; trace; trace = trace->next)
    if (trace->owner == owner) {
      mature(judge, trace, now_generation, now_ns);
      if (is_over(judge, trace, now_generation, now_ns)) complete(judge, trace, now_generation);
    }
}

bool trace_judge_may_raise(struct trace_judge *judge, struct judged_trace *trace, unsigned rule, unsigned now_generation) {
  const struct story_rule *of_story = &judge->story->rules[rule];
  const struct shape_rule *shape = of_story->shape;
  if (of_story->from <= trace->opened || !shape->never || !can_judge(judge, trace, rule, now_generation)) return false;
  if (!trace_judge_breaks(judge, trace, rule, now_generation, UINT64_MAX, true)) return false;
  trace->raised[rule] = true;
  return true;
}
