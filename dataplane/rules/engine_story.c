#include "rules_internal.h"

/* Where the trace table meets the stories of its traces. */

struct told_values {
  const struct span_digest *digest;
};

static bool value_of(const void *context, uint32_t identity, struct value *value) {
  const struct span_digest *digest = ((const struct told_values *)context)->digest;
  return digest_value(digest_payload(digest), digest->payload_bytes, digest->service_length, digest->value_count, identity,
                      value);
}

static bool met_by_trace(const void *context, uint32_t bit) {
  const struct trace_judge *judge = context;
  return bit < IMAGE_SELECTORS_MAX && bit_get(judge->met, bit);
}

static struct story_question question_of(const struct engine *engine, const struct trace *trace, enum story_moment moment,
                                         uint64_t now_ns) {
  return (struct story_question){.trace = trace_number(&engine->traces, trace),
                                 .moment = moment,
                                 .now_ns = now_ns,
                                 .opened_generation = trace->opened_generation,
                                 .met = met_by_trace,
                                 .context = engine->judge};
}

/* The table is told of the story's times. What was said when a span came is generous: it is settled when idleness would end the
 * trace. */
static void take_times(struct engine *engine, struct trace *trace, bool settled) {
  struct trace_table *table = &engine->traces;
  struct trace_links *links = &table->links[trace_number(table, trace)];
  const uint64_t before_ns = trace_look_ns(table, trace);
  links->hold_ns = trace_story_hold_ns(&engine->story, trace_number(table, trace));
  links->wake_ns = trace_story_wake_ns(&engine->story, trace_number(table, trace));
  trace->flags &= (uint8_t) ~(TRACE_HELD | TRACE_UNSETTLED);
  if (links->hold_ns || links->wake_ns != STORY_NEVER) trace->flags |= TRACE_HELD;
  if (links->hold_ns && !settled) trace->flags |= TRACE_UNSETTLED;
  if (settled || trace_look_ns(table, trace) >= before_ns) return;
  trace_disarm(table, trace);
  trace_arm(table, trace);
}

bool engine_story_tell(struct engine *engine, struct trace *trace, const struct span_digest *digest, uint64_t now_ns) {
  if (!engine->image->story.needed) return true;
  uint16_t bits[DIGEST_SELECTORS_MAX];
  const uint32_t number = trace_number(&engine->traces, trace);
  const struct told_values values = {digest};
  struct story_span span = {.has_parent = digest_parent(digest) != NULL,
                            .continued = digest->flags & DIGEST_CONTINUED,
                            .start_ns = digest->start_ns,
                            .end_ns = digest->end_ns,
                            .arrival_ns = now_ns,
                            .bits = bits,
                            .bit_count = engine_digest_meaning(engine, digest, bits),
                            .value = value_of,
                            .context = &values};
  memcpy(&span.span_id, digest->span_id, sizeof span.span_id);
  if (span.has_parent) memcpy(&span.parent_id, digest_parent(digest), sizeof span.parent_id);
  const bool told = trace_story_add(&engine->story, number, &span);
  if (trace->state == TRACE_LIVE) take_times(engine, trace, false);
  return told;
}

static void begin_met(struct engine *engine, const struct trace *trace) {
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) bit_set(engine->judge->met, walk.met->bit);
}

static void end_met(struct engine *engine, const struct trace *trace) {
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) bit_clear(engine->judge->met, walk.met->bit);
}

bool engine_story_breaks(struct engine *engine, const struct trace *trace, const struct image_rule *rule,
                         enum story_moment moment) {
  const struct story_question question = question_of(engine, trace, moment, 0);
  return trace_story_breaks(&engine->story, &question, rule);
}

bool engine_story_may_raise(struct engine *engine, const struct trace *trace, const struct image_rule *rule) {
  return !(trace->flags & TRACE_MARKS_LOST) && !trace_mark_of(&engine->traces, trace, rule->identity);
}

static void judge_fresh(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  const struct image_story *asked = &engine->image->story;
  for (uint32_t i = 0; i < engine->story.fresh_count; i++) {
    const uint16_t fact = engine->story.fresh[i];
    for (uint32_t at = asked->rules.first[fact]; at < asked->rules.first[fact + 1]; at++) {
      const struct image_rule *rule = &engine->image->trace_rules[asked->rules.numbers[at]];
      if (rule->monotone_never && engine_story_may_raise(engine, trace, rule) &&
          engine_story_breaks(engine, trace, rule, STORY_SPAN))
        engine_give_verdict(engine, trace, rule, wall_ns);
    }
  }
}

void engine_story_judge(struct engine *engine, struct trace *trace, bool late, uint64_t wall_ns) {
  if (!late && engine->story.fresh_count == 0) return;
  begin_met(engine, trace);
  if (late) {
    engine_judge_late_story(engine, trace, wall_ns);
  } else {
    judge_fresh(engine, trace, wall_ns);
  }
  end_met(engine, trace);
}

void engine_story_settle(struct engine *engine, struct trace *trace, uint64_t now_ns, uint64_t wall_ns) {
  if (!(trace->flags & TRACE_HELD) || now_ns < trace_look_ns(&engine->traces, trace)) return;
  if (!engine->image) {
    trace->flags &= (uint8_t) ~(TRACE_HELD | TRACE_UNSETTLED);
    return;
  }
  begin_met(engine, trace);
  const struct story_question question = question_of(engine, trace, STORY_DEADLINE, now_ns);
  const uint32_t count = trace_story_mature(&engine->story, &question);
  for (uint32_t i = 0; i < count && !(trace->flags & TRACE_INCOMPLETE); i++) {
    const struct image_rule *rule = &engine->image->trace_rules[engine->story.broken[i]];
    if (engine_story_may_raise(engine, trace, rule)) engine_give_verdict(engine, trace, rule, wall_ns);
  }
  end_met(engine, trace);
  take_times(engine, trace, true);
}
