/* Each violation that the engine raises on a trace, beside the verdict that the reference gave. */
#include "report_check.h"
#include "trace_run.h"
#include <inttypes.h>
#include <string.h>

static void tell(const struct trace_run *run, const char *what, const char *rule, uint64_t trace) {
  if (!run->quiet)
    printf("t=%" PRIu64 "ms generation %u: %s: rule %s, trace %" PRIu64 "\n", run->now_ns / 1000000, run->generation, what, rule,
           trace);
}

void trace_run_differ(struct trace_run *run, const char *what, const char *rule, uint64_t trace) {
  run->differs = true;
  run->totals->differences++;
  tell(run, what, rule, trace);
}

static bool has_name(const struct shape_rule *shape, const struct violation *violation) {
  return strlen(shape->name) == violation->rule.length && memcmp(shape->name, violation->rule.at, violation->rule.length) == 0;
}

/* Rules of one name are its versions, in order. */
static unsigned rule_of(const struct trace_run *run, const struct violation *violation) {
  const struct story *story = &run->plan->story;
  uint32_t version = 0;
  for (unsigned r = 0; r < story->rule_count; r++) {
    if (story->rule_dropped[r] || !has_name(story->rules[r].shape, violation)) continue;
    if (++version == violation->fixed.rule_version) return r;
  }
  return UINT32_MAX;
}

static const char *verdict_difference(struct trace_run *run, const struct trace_verdict *verdict,
                                      const struct violation *violation) {
  const struct story_rule *rule = &run->plan->story.rules[verdict->rule];
  if (violation->fixed.source != RULE_ON_TRACE || !violation->fixed.has_trace) return "source";
  if (violation->wall_ns != run->now_ns) return "time";
  /* What came before the rule did is not told of; of a trace 64 spans are kept to tell of. */
  if (verdict->trace->arrival_count > 64) return NULL;
  if (rule->from > verdict->trace->opened || run->plan->tight) return NULL;
  /* Beyond the ids that are kept a span sent again may count again. */
  if (verdict->span_count < STORY_SPAN_IDS_MAX && violation->fixed.count != verdict->count) return "count";
  if (violation->fixed.span_count != verdict->span_count) return "number of spans";
  for (unsigned i = 0; i < verdict->span_count; i++)
    if (side_number_of_id(violation->fixed.span_ids[i], 8) != verdict->spans[i]) return "spans";
  if (violation->fixed.first_seen_ns != verdict->first_ns) return "first seen";
  if (violation->fixed.last_seen_ns != verdict->last_ns) return "last seen";
  expected_report_make(&run->report, &run->judge.judge, rule->shape, verdict->first);
  const char *what = report_difference(&run->report, &run->judge.judge, rule->shape, verdict->first, violation);
  yard_clear(run->judge.judge.yard);
  return what;
}

/* Behind the others there is an attribute that tells how many were kept silent. */
static const char *silence_difference(struct trace_run *run, const struct trace_verdict *verdict, struct violation *violation) {
  const struct window_shape *window = run->plan->story.rules[verdict->rule].shape->window;
  struct silence *silence = silence_of(&run->silences, &run->judge, verdict);
  const struct violation_attribute *last = &violation->attributes[violation->attribute_count - 1];
  int64_t told = 0;
  if (violation->attribute_count > 0 && last->key.length == 10 && memcmp(last->key.at, "suppressed", 10) == 0) {
    told = last->value.integer;
    violation->attribute_count--;
  }
  if (silence_holds(silence, run->now_ns)) return "the engine fires in the silence";
  const int64_t suppressed = silence_break(silence, window, run->now_ns);
  return suppressed >= 0 && told != suppressed ? "how many were suppressed" : NULL;
}

static void take_violation(struct trace_run *run, unsigned shard, const struct violation *violation) {
  if (violation->fixed.source == RULE_ON_SPAN) return; /* event_cases looks at those */
  const unsigned rule = rule_of(run, violation);
  const uint64_t trace = side_number_of_id(violation->fixed.trace_id, 16);
  if (rule == UINT32_MAX) {
    trace_run_differ(run, "an unknown rule", "?", trace);
    return;
  }
  const char *name = run->plan->story.rules[rule].shape->name;
  for (struct trace_verdict *verdict = run->judge.verdicts; verdict; verdict = verdict->next) {
    if (verdict->matched || verdict->rule != rule || verdict->trace->trace != trace) continue;
    verdict->matched = true;
    struct violation shown = *violation;
    const char *what = run->plan->story.rules[rule].shape->window ? silence_difference(run, verdict, &shown) : NULL;
    if (!what && !run->plan->tight) what = verdict_difference(run, verdict, &shown);
    if (what) trace_run_differ(run, what, name, trace);
    return;
  }
  struct judged_trace *judged = trace_judge_find(&run->judge, trace);
  if (judged && trace_judge_ripens(&run->judge, judged, rule, run->shard_generation[shard], run->now_ns)) return;
  if (judged && trace_judge_may_raise(&run->judge, judged, rule, run->shard_generation[shard])) return;
  trace_run_differ(run, "the engine fires", name, trace);
}

void trace_run_drain(struct trace_run *run) {
  struct violation violation;
  for (unsigned shard = 0; shard < run->plan->shards; shard++)
    for (bool advance = false; side_next_violation(&run->side, shard, &violation, &advance);)
      take_violation(run, shard, &violation);
}

static bool is_silenced(struct trace_run *run, const struct trace_verdict *verdict) {
  if (!run->plan->story.rules[verdict->rule].shape->window) return false;
  struct silence *silence = silence_of(&run->silences, &run->judge, verdict);
  if (!silence_holds(silence, run->now_ns)) return false;
  silence->suppressed++;
  return true;
}

void trace_run_check(struct trace_run *run, bool end) {
  if (run->plan->silences && !end) return;
  if (run->plan->tight && !end && random_below(&run->random, 6)) return;
  trace_run_drain(run);
  if (run->plan->tight && !end) return;
  for (struct trace_verdict *verdict = run->judge.verdicts; verdict; verdict = verdict->next)
    if (!verdict->matched && !is_silenced(run, verdict))
      trace_run_differ(run, "the engine is silent", run->plan->story.rules[verdict->rule].shape->name, verdict->trace->trace);
  run->judge.verdicts = NULL;
}
