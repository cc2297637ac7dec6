#include "rules_internal.h"

#define MENTIONS_FEW 64u

/* Only rules that could be broken by what the trace met are looked at. */
static void add_candidates(struct trace_judge *judge, const uint16_t *rules, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (bit_get(judge->candidate, rules[i])) continue;
    bit_set(judge->candidate, rules[i]);
    judge->candidates[judge->candidate_count++] = rules[i];
  }
}

static void add_candidates_of(struct engine *engine, const struct image_bit_list *list, uint16_t bit) {
  if (bit >= engine->image->traces.bits) return; /* of a selector that is no more */
  add_candidates(engine->judge, list->numbers + list->first[bit], list->first[bit + 1] - list->first[bit]);
}

static void add_candidates_by_met(struct engine *engine, const struct trace *trace, const struct image_bit_list *list,
                                  const struct image_rule_list *always) {
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) add_candidates_of(engine, list, walk.met->bit);
  add_candidates(engine->judge, always->rules, always->count);
}

static void forget_candidates(struct trace_judge *judge) {
  for (uint32_t i = 0; i < judge->candidate_count; i++) bit_clear(judge->candidate, judge->candidates[i]);
  judge->candidate_count = 0;
}

static void enqueue_retry(struct engine *engine, struct trace *trace) {
  struct trace_table *table = &engine->traces;
  engine->counters.violations_retried++;
  if (trace->flags & TRACE_ON_RETRY) return;
  trace->flags |= TRACE_ON_RETRY;
  trace_findings(table, trace)->retry = table->retry;
  table->retry = trace_number(table, trace);
}

/* While one verdict of a trace waits the others do too, so that they come in order. */
void engine_give_verdict(struct engine *engine, struct trace *trace, const struct image_rule *rule, uint64_t wall_ns) {
  const bool raised = !(trace->flags & TRACE_ON_RETRY) && engine_raise_trace(engine, trace, rule, wall_ns);
  if (trace_mark_add(&engine->traces, trace, raised ? rule->identity : rule->identity | MARK_DUE)) {
    if (!raised) enqueue_retry(engine, trace);
    return;
  }
  engine->counters.spills_exhausted++;
  trace->flags |= TRACE_MARKS_LOST;
  if (!raised) engine->counters.verdicts_lost++;
}

static const struct image_rule *rule_of_identity(const struct rule_image *image, uint32_t identity) {
  uint32_t low = 0, high = image->trace_rule_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    const struct image_rule *rule = &image->trace_rules[image->traces.by_identity[middle]];
    if (rule->identity == identity) return rule;
    if (rule->identity < identity) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return NULL;
}

/* What is due of rules that are no more is dropped with them. */
static bool raise_marks(struct engine *engine, struct trace *trace, uint32_t *marks, uint32_t count, uint64_t wall_ns) {
  for (uint32_t i = 0; i < count; i++) {
    if (!(marks[i] & MARK_DUE)) continue;
    const struct image_rule *rule = rule_of_identity(engine->image, marks[i] & ~MARK_DUE);
    if (rule && !engine_raise_trace(engine, trace, rule, wall_ns)) return false;
    marks[i] &= ~MARK_DUE;
  }
  return true;
}

static bool raise_due(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  struct trace_table *table = &engine->traces;
  struct trace_findings *findings = trace_findings(table, trace);
  const uint32_t in_place = findings->mark_count < FINDINGS_MARKS ? findings->mark_count : FINDINGS_MARKS;
  uint32_t count = trace_in_newest(findings->mark_count - in_place);
  if (!raise_marks(engine, trace, findings->marks, in_place, wall_ns)) return false;
  for (uint32_t chunk = findings->mark_spill; chunk != TRACE_NONE; chunk = table->spills[chunk].next, count = SPILL_ITEMS)
    if (!raise_marks(engine, trace, table->spills[chunk].marks, count, wall_ns)) return false;
  return true;
}

void engine_retry_due(struct engine *engine, uint64_t wall_ns, uint32_t most) {
  struct trace_table *table = &engine->traces;
  for (uint32_t i = 0; i < most && table->retry != TRACE_NONE; i++) {
    struct trace *trace = &table->traces[table->retry];
    if (!raise_due(engine, trace, wall_ns)) {
      engine->counters.violations_retried++;
      return; /* still no room */
    }
    table->retry = trace_findings(table, trace)->retry;
    trace->flags &= (uint8_t)~TRACE_ON_RETRY;
  }
}

/* A rule is not judged on a trace whose first spans it never saw. */
static bool too_young(const struct trace *trace, const struct image_rule *rule) {
  return rule->since_generation > trace->opened_generation;
}

static bool is_broken(const struct trace_judge *judge, const struct image_rule *rule) {
  if (!program_holds(&rule->when, judge->met)) return false;
  return (rule->never.count && program_holds(&rule->never, judge->met)) ||
         (rule->always.count && !program_holds(&rule->always, judge->met));
}

static bool never_is_broken(const struct trace_judge *judge, const struct image_rule *rule) {
  return program_holds(&rule->when, judge->met) && program_holds(&rule->never, judge->met);
}

/* Of a live trace whose marks were lost: whether the never was raised before the span at hand. */
static bool raised_before(struct engine *engine, const struct image_rule *rule, const uint16_t *added, uint32_t added_count) {
  struct trace_judge *judge = engine->judge;
  for (uint32_t i = 0; i < added_count; i++) bit_clear(judge->met, added[i]);
  const bool raised = never_is_broken(judge, rule);
  for (uint32_t i = 0; i < added_count; i++) bit_set(judge->met, added[i]);
  return raised;
}

/* By the spans of the trace; of one that could not keep what was raised no more is said. */
static void judge_story(struct engine *engine, struct trace *trace, const struct image_rule *rule, enum story_moment moment,
                        uint64_t wall_ns) {
  if (engine_story_may_raise(engine, trace, rule) && engine_story_breaks(engine, trace, rule, moment))
    engine_give_verdict(engine, trace, rule, wall_ns);
}

void engine_judge_never(struct engine *engine, struct trace *trace, const uint16_t *added, uint32_t added_count, bool late,
                        uint64_t wall_ns) {
  const struct image_trace_index *index = &engine->image->traces;
  struct trace_judge *judge = engine->judge;
  /* What a negation is about may be what was not kept. */
  const bool negations = late && !(trace->flags & TRACE_INCOMPLETE);
  uint32_t by_mention = 0;
  if (trace->flags & TRACE_MARKS_LOST && (late || trace->flags & TRACE_INCOMPLETE)) {
    engine->counters.verdicts_withheld++; /* it may have been raised */
    return;
  }
  for (uint32_t i = 0; i < added_count; i++) by_mention += index->mentions.first[added[i] + 1] - index->mentions.first[added[i]];
  if (by_mention > MENTIONS_FEW) { /* selectors that many rules share: rather by what else was met */
    add_candidates_by_met(engine, trace, &index->never, &index->never_always);
  } else {
    for (uint32_t i = 0; i < added_count; i++) add_candidates_of(engine, &index->mentions, added[i]);
  }
  for (uint32_t i = 0; i < judge->candidate_count; i++) {
    const struct image_rule *rule = &engine->image->trace_rules[judge->candidates[i]];
    if (rule->never.count == 0 || (!rule->monotone_never && !negations) || too_young(trace, rule)) continue;
    if (rule->needs_story) {
      judge_story(engine, trace, rule, late && negations ? STORY_LATE : STORY_SPAN, wall_ns);
      continue;
    }
    if (!never_is_broken(judge, rule) || trace_mark_of(&engine->traces, trace, rule->identity)) continue;
    if (trace->flags & TRACE_MARKS_LOST && raised_before(engine, rule, added, added_count)) continue;
    engine_give_verdict(engine, trace, rule, wall_ns);
  }
  forget_candidates(judge);
}

void engine_judge_late_story(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  const struct image_trace_index *index = &engine->image->traces;
  struct trace_judge *judge = engine->judge;
  const enum story_moment moment = trace->flags & TRACE_INCOMPLETE ? STORY_SPAN : STORY_LATE;
  add_candidates_by_met(engine, trace, &index->never, &index->never_always);
  for (uint32_t i = 0; i < judge->candidate_count; i++) {
    const struct image_rule *rule = &engine->image->trace_rules[judge->candidates[i]];
    if (rule->needs_story && rule->never.count) judge_story(engine, trace, rule, moment, wall_ns);
  }
  forget_candidates(judge);
}

void engine_judge_completed(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  const struct image_trace_index *index = &engine->image->traces;
  struct trace_judge *judge = engine->judge;
  if (trace->flags & TRACE_INCOMPLETE) {
    engine->counters.verdicts_withheld++;
    return;
  }
  if (!(trace->flags & TRACE_MET) && index->complete_always.count == 0) return;
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) bit_set(judge->met, walk.met->bit);
  add_candidates_by_met(engine, trace, &index->complete, &index->complete_always);
  for (uint32_t i = 0; i < judge->candidate_count; i++) {
    const struct image_rule *rule = &engine->image->trace_rules[judge->candidates[i]];
    if (rule->needs_story) {
      judge_story(engine, trace, rule, STORY_COMPLETE, wall_ns);
      continue;
    }
    if (!program_holds(&rule->when, judge->met)) continue;
    if (trace_mark_of(&engine->traces, trace, rule->identity)) continue;
    if (too_young(trace, rule)) {
      engine->counters.trace_rules_skipped++;
      continue;
    }
    if (!is_broken(judge, rule)) continue;
    if (trace->flags & TRACE_MARKS_LOST && rule->monotone_never && never_is_broken(judge, rule)) continue;
    engine_give_verdict(engine, trace, rule, wall_ns);
  }
  forget_candidates(judge);
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) bit_clear(judge->met, walk.met->bit);
}
