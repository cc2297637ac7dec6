#include "rules_internal.h"

#define REMEMBER_NS 60000000000ull
#define EVICTION_LOOKS 64u

const char *trace_completion_name(unsigned completion) {
  static const char *const names[TRACE_COMPLETIONS] = {"idle", "root", "age", "spans", "drained"};
  return names[completion];
}

/* Of a trace that was taken off the wheel. */
static void complete(struct engine *engine, struct trace *trace, enum trace_completion reason, uint64_t now_ns,
                     uint64_t wall_ns) {
  if (reason != TRACE_COMPLETE_DRAINED && engine->image) engine_judge_completed(engine, trace, wall_ns);
  trace_story_remember(&engine->story, trace_number(&engine->traces, trace));
  trace_remember(&engine->traces, trace, now_ns);
  engine->counters.traces_completed[reason]++;
  engine->counters.traces_live--;
  engine->counters.traces_remembered++;
}

static enum trace_completion reason_of(const struct trace_table *table, const struct trace *trace) {
  if (trace_due_ns(table, trace) < trace->limit_ns) return TRACE_COMPLETE_IDLE;
  return trace->flags & TRACE_LIMIT_IS_GRACE ? TRACE_COMPLETE_ROOT : TRACE_COMPLETE_AGE;
}

static void forget_remembered(struct engine *engine, struct trace *trace) {
  engine->counters.traces_remembered--;
  trace_take_remembered(&engine->traces);
  trace_story_forget(&engine->story, trace_number(&engine->traces, trace));
  trace_table_expect_oldest(&engine->traces);
  trace_forget(&engine->traces, trace);
}

/* The oldest remembered trace goes first; then the live one that would be complete next, whose always-rules stay unjudged. One
 * whose verdict waits for room stays. */
static bool make_room(struct engine *engine) {
  struct trace_table *table = &engine->traces;
  struct trace *trace = trace_oldest_remembered(table);
  if (trace && !(trace->flags & TRACE_ON_RETRY)) {
    forget_remembered(engine, trace);
    return true;
  }
  trace = trace_next_due(table, EVICTION_LOOKS);
  if (!trace) return false;
  engine->counters.traces_live--;
  engine->counters.traces_evicted++;
  trace_disarm(table, trace);
  trace_story_forget(&engine->story, trace_number(table, trace));
  trace_forget(table, trace);
  return true;
}

static struct trace *open_trace(struct engine *engine, const struct span_digest *digest, uint64_t now_ns) {
  struct trace_table *table = &engine->traces;
  struct trace *trace = trace_open(table, digest->trace_id, digest->header.reserved, now_ns);
  if (!trace && make_room(engine)) trace = trace_open(table, digest->trace_id, digest->header.reserved, now_ns);
  if (!trace) {
    engine->counters.digests_unplaced++;
    return NULL;
  }
  trace->opened_generation = digest->generation;
  if (engine->config.limits.max_age_ns) trace->limit_ns = now_ns + engine->config.limits.max_age_ns;
  trace_arm(table, trace);
  engine->counters.traces_opened++;
  engine->counters.traces_live++;
  return trace;
}

/* A trace whose time is over is complete, whether or not the wheel has come by. */
static struct trace *trace_for(struct engine *engine, const struct span_digest *digest, uint64_t now_ns, uint64_t wall_ns) {
  struct trace_table *table = &engine->traces;
  struct trace *trace = trace_find(table, digest->trace_id, digest->header.reserved);
  if (!trace) return open_trace(engine, digest, now_ns);
  if (trace->state != TRACE_LIVE || now_ns < trace_look_ns(table, trace)) return trace;
  trace_disarm(table, trace);
  engine_story_settle(engine, trace, now_ns, wall_ns);
  if (now_ns < trace_due_ns(table, trace)) {
    trace_arm(table, trace);
    return trace;
  }
  complete(engine, trace, reason_of(table, trace), now_ns, wall_ns);
  return trace;
}

uint32_t engine_digest_meaning(const struct engine *engine, const struct span_digest *digest,
                               uint16_t bits[DIGEST_SELECTORS_MAX]) {
  const struct image_trace_index *index = &engine->image->traces;
  const uint16_t *sent = digest_selectors(digest);
  uint32_t count = 0;
  for (uint32_t i = 0; i < digest->selector_count; i++)
    if (sent[i] < index->bits && index->since[sent[i]] <= digest->generation) bits[count++] = sent[i];
  return count;
}

static bool is_recorded(const struct trace_table *table, const struct trace *trace, const uint8_t span_id[8]) {
  for (uint32_t chunk = table->findings[trace_number(table, trace)].records; chunk != TRACE_NONE;
       chunk = table->spills[chunk].next)
    if (memcmp(table->spills[chunk].record.span_id, span_id, 8) == 0) return true;
  return false;
}

static void keep_values(struct engine *engine, const struct span_digest *digest, struct trace_record *record) {
  struct trace_capture *capture = trace_capture_take(&engine->traces, record);
  if (!capture) {
    engine->counters.captures_exhausted++;
    return;
  }
  capture->service_length = digest->service_length;
  capture->value_count = digest->value_count;
  capture->payload_bytes = digest->payload_bytes;
  memcpy(capture->payload, digest_payload(digest), digest->payload_bytes);
}

/* The span is one of those to be named in a violation. */
static bool record_span(struct engine *engine, struct trace *trace, const struct span_digest *digest, const uint16_t *bits,
                        uint32_t count, bool values) {
  const uint8_t *in = engine->image->traces.in;
  struct trace_record *record = NULL;
  for (uint32_t i = 0; i < count; i++) {
    if (!(in[bits[i]] & (MENTION_WHEN | MENTION_NEVER))) continue;
    if (!record || record->count == RECORD_BITS) {
      const bool first = !record;
      record = trace_record_add(&engine->traces, trace, digest->span_id);
      if (!record) return false;
      if (first && values) keep_values(engine, digest, record);
    }
    record->bits[record->count++] = bits[i];
  }
  return true;
}

struct meeting {
  const uint16_t *bits; /* what the span met, in today's meaning */
  uint32_t count;
  struct trace_met *known[DIGEST_SELECTORS_MAX]; /* of these, what the trace had met */
  uint32_t known_count;
  uint16_t added[DIGEST_SELECTORS_MAX]; /* and what it had not */
  uint32_t added_count;
};

/* What the trace has met goes into the judge's set. */
static void compare(struct engine *engine, const struct trace *trace, struct meeting *meeting) {
  struct trace_judge *judge = engine->judge;
  for (uint32_t i = 0; i < meeting->count; i++) bit_set(judge->span, meeting->bits[i]);
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) {
    bit_set(judge->met, walk.met->bit);
    if (!bit_get(judge->span, walk.met->bit)) continue;
    bit_clear(judge->span, walk.met->bit);
    meeting->known[meeting->known_count++] = walk.met;
  }
  for (uint32_t i = 0; i < meeting->count; i++) {
    if (!bit_get(judge->span, meeting->bits[i])) continue;
    bit_clear(judge->span, meeting->bits[i]);
    bit_set(judge->met, meeting->bits[i]);
    meeting->added[meeting->added_count++] = meeting->bits[i];
  }
}

/* A span that came again counts no second time; it may still have met something else. */
static void keep_meeting(struct engine *engine, struct trace *trace, const struct span_digest *digest, struct meeting *meeting) {
  const uint8_t *in = engine->image->traces.in;
  bool wanted = false, values = false, known = false;
  for (uint32_t i = 0; i < meeting->added_count; i++) {
    wanted |= (in[meeting->added[i]] & (MENTION_WHEN | MENTION_NEVER)) != 0;
    values |= (in[meeting->added[i]] & MENTION_WHEN) != 0;
  }
  for (uint32_t i = 0; i < meeting->known_count; i++) {
    known |= (in[meeting->known[i]->bit] & (MENTION_WHEN | MENTION_NEVER)) != 0;
    wanted |= meeting->known[i]->spans < FINDINGS_NAMED;
  }
  const bool again = known && is_recorded(&engine->traces, trace, digest->span_id);
  const bool recorded =
      wanted && (!again || meeting->added_count) && record_span(engine, trace, digest, meeting->bits, meeting->count, values);
  for (uint32_t i = 0; i < meeting->known_count && !again; i++) {
    struct trace_met *met = meeting->known[i];
    if (recorded) {
      met->spans = (uint16_t)(met->spans + (met->spans < FINDINGS_NAMED));
    } else if (met->spans < UINT16_MAX) {
      met->spans = met->spans < FINDINGS_NAMED ? FINDINGS_NAMED + 1 : (uint16_t)(met->spans + 1);
    }
  }
  for (uint32_t i = 0; i < meeting->added_count; i++) {
    if (trace_met_add(&engine->traces, trace, meeting->added[i], recorded || again ? 1 : FINDINGS_NAMED + 1)) continue;
    engine->counters.spills_exhausted++;
    trace->flags |= TRACE_INCOMPLETE;
  }
}

static void meet(struct engine *engine, struct trace *trace, const struct span_digest *digest, bool late, uint64_t wall_ns) {
  uint16_t bits[DIGEST_SELECTORS_MAX];
  struct trace_judge *judge = engine->judge;
  struct meeting meeting; /* large: its lists count as far as their counts */
  meeting.bits = bits;
  meeting.count = engine_digest_meaning(engine, digest, bits);
  meeting.known_count = meeting.added_count = 0;
  if (meeting.count == 0) return;
  compare(engine, trace, &meeting);
  keep_meeting(engine, trace, digest, &meeting);
  if (meeting.added_count) engine_judge_never(engine, trace, meeting.added, meeting.added_count, late, wall_ns);
  for (struct met_walk walk = met_walk(&engine->traces, trace); met_next(&walk);) bit_clear(judge->met, walk.met->bit);
  for (uint32_t i = 0; i < meeting.added_count; i++) bit_clear(judge->met, meeting.added[i]);
}

/* What is due sooner than it was is put where it belongs. */
static void see_root(struct engine *engine, struct trace *trace, uint64_t now_ns) {
  const uint64_t limit_ns = now_ns + engine->config.limits.root_grace_ns;
  if (engine->config.limits.root_grace_ns == 0 || limit_ns >= trace->limit_ns) return;
  trace_disarm(&engine->traces, trace);
  trace->limit_ns = limit_ns;
  trace->flags |= TRACE_LIMIT_IS_GRACE;
  trace_arm(&engine->traces, trace);
}

void engine_expect_digest(struct engine *engine, const struct span_digest *near, const struct span_digest *far) {
  if (far) trace_table_expect_slot(&engine->traces, far);
  if (near) trace_table_expect_trace(&engine->traces, near);
}

void engine_apply_digest(struct engine *engine, const struct span_digest *digest, uint64_t now_ns, uint64_t wall_ns) {
  const bool counted = !(digest->flags & DIGEST_CONTINUED);
  engine->counters.digests_applied++;
  engine->windows.now_ns = now_ns;
  if (!engine->image) return;
  struct trace *trace = trace_for(engine, digest, now_ns, wall_ns);
  if (!trace) return;
  if (digest->generation < trace->opened_generation) trace->opened_generation = digest->generation;
  if (digest->start_ns < trace->first_ns) trace->first_ns = digest->start_ns;
  if (digest->end_ns > trace->last_ns) trace->last_ns = digest->end_ns;
  if (digest->flags & DIGEST_UNJUDGED) trace->flags |= TRACE_INCOMPLETE;
  const bool late = trace->state == TRACE_REMEMBERED;
  if (!late) trace->arrival_ns = now_ns;
  const bool told = engine_story_tell(engine, trace, digest, now_ns);
  if (!late) {
    trace->spans += counted && told;
    if (digest->flags & DIGEST_ROOT) see_root(engine, trace, now_ns);
  } else if (counted) {
    engine->counters.spans_late++;
    histogram_record(&engine->counters.late_ns, now_ns - trace->arrival_ns);
  }
  if (digest->selector_count) meet(engine, trace, digest, late, wall_ns);
  if (told && engine->image->story.needed) engine_story_judge(engine, trace, late, wall_ns);
  if (late || engine->config.limits.max_spans == 0 || trace->spans < engine->config.limits.max_spans) return;
  trace_disarm(&engine->traces, trace);
  complete(engine, trace, TRACE_COMPLETE_SPANS, now_ns, wall_ns);
}

uint32_t engine_expire(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  engine->windows.now_ns = now_ns;
  struct trace_table *table = &engine->traces;
  uint32_t looks = most;
  if (engine->image) engine_retry_due(engine, wall_ns, most);
  for (struct trace *trace; (trace = trace_take_due(table, now_ns, &looks));) {
    engine_story_settle(engine, trace, now_ns, wall_ns);
    if (now_ns < trace_due_ns(table, trace))
      trace_arm(table, trace);
    else
      complete(engine, trace, reason_of(table, trace), now_ns, wall_ns);
  }
  for (struct trace *trace; looks > 0 && (trace = trace_oldest_remembered(table)); looks--) {
    if (now_ns - trace->arrival_ns < REMEMBER_NS || trace->flags & TRACE_ON_RETRY) break;
    forget_remembered(engine, trace);
  }
  const uint32_t looked_at = most - looks, fired = windows_expire(engine, now_ns, wall_ns, most);
  return fired > looked_at ? fired : looked_at;
}

uint32_t engine_drain(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  struct trace_table *table = &engine->traces;
  const uint32_t window_keys = windows_drain(engine, now_ns, wall_ns, most);
  if (engine->image) engine_retry_due(engine, wall_ns, most);
  for (struct trace *trace; most > 0 && (trace = trace_any_live(table)); most--) {
    trace_disarm(table, trace);
    complete(engine, trace, TRACE_COMPLETE_DRAINED, now_ns, wall_ns);
  }
  return engine->counters.traces_live + (table->retry != TRACE_NONE) + window_keys;
}
