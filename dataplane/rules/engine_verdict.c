#include "rules_internal.h"

#define SERVICE_NULL 0xffffu
#define REMEMBER_NS 60000000000ull
#define EVICTION_TRIES 64u

bool engine_reserve_violation(struct engine *engine) {
  struct violation *violation = &engine->violation;
  const uint32_t bytes = violation_encoded_bytes(violation);
  void *record = record_ring_reserve(engine->config.records, bytes);
  if (!record) {
    engine->counters.records_no_room++;
    return false;
  }
  violation_encode(violation, record);
  engine->transaction.violations++;
  engine->transaction.record_bytes += bytes;
  return true;
}

struct capture_values {
  const struct trace_capture *capture; /* NULL: none could be kept */
  const struct image_column *columns;
  struct value value;
};

static const struct value *value_of(void *context, uint32_t slot) {
  struct capture_values *values = context;
  const struct trace_capture *capture = values->capture;
  if (!capture || !capture->has_values) {
    values->value = (struct value){.type = VALUE_NULL};
  } else {
    digest_value(capture->payload, capture->payload_bytes, capture->service_length, capture->value_count,
                 values->columns[slot].identity, &values->value);
  }
  return &values->value;
}

static void fill_violation(struct engine *engine, const struct trace *trace, const struct image_rule *rule, uint64_t wall_ns) {
  struct violation *violation = &engine->violation;
  const struct image_column *columns = engine->image->kinds[EVENT_SPAN].columns;
  struct capture_values values = {
      .columns = columns,
      .capture = trace_capture_of(&engine->traces, (struct trace *)(uintptr_t)trace, (uint16_t)rule->trace_rule, false)};
  *violation = (struct violation){.wall_ns = wall_ns,
                                  .shard = engine->config.shard,
                                  .fixed = {.rule_version = rule->version,
                                            .severity = (uint8_t)rule->severity,
                                            .source = RULE_ON_TRACE,
                                            .has_trace = 1,
                                            .first_seen_ns = trace->first_ns,
                                            .last_seen_ns = trace->last_ns,
                                            .count = 1}};
  memcpy(violation->fixed.trace_id, trace->trace_id, sizeof trace->trace_id);
  uuid7_next(&engine->config.uuids, wall_ns, violation->fixed.id);
  violation->rule = (struct event_text){rule->name.at, rule->name.length};
  violation->message = (struct event_text){engine->message, message_render(rule, columns, value_of, &values, engine->message)};
  const struct trace_capture *capture = values.capture;
  if (!capture) return;
  violation->fixed.span_count = capture->span_count;
  violation->fixed.count = capture->spans_met ? capture->spans_met : 1;
  memcpy(violation->fixed.span_ids, capture->span_ids, sizeof capture->span_ids);
  if (capture->has_values && capture->service_length != SERVICE_NULL)
    violation->service = (struct event_text){(const char *)capture->payload, capture->service_length};
  for (uint32_t a = 0; a < rule->attribute_count && violation->attribute_count < VIOLATION_ATTRIBUTES_MAX; a++) {
    const struct value value = *value_of(&values, rule->attributes[a]);
    const struct image_text reference = columns[rule->attributes[a]].reference;
    if (value.type == VALUE_NULL) continue;
    violation->attributes[violation->attribute_count++] =
        (struct violation_attribute){.key = {reference.at, reference.length}, .value = value};
  }
}

/* Published at once: a verdict is its own transaction. */
static bool raise(struct engine *engine, const struct trace *trace, const struct image_rule *rule, uint64_t wall_ns) {
  if (rule->shadow) {
    match_count_now(&engine->matches, rule->match_slot);
    return true;
  }
  fill_violation(engine, trace, rule, wall_ns);
  if (!engine_reserve_violation(engine)) {
    memset(&engine->transaction, 0, sizeof engine->transaction);
    return false;
  }
  record_ring_publish(engine->config.records);
  memset(&engine->transaction, 0, sizeof engine->transaction);
  engine->counters.violations_emitted++;
  match_count_now(&engine->matches, rule->match_slot);
  return true;
}

void engine_raise_due(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  struct trace_table *table = &engine->traces;
  for (uint32_t r = 0; r < engine->image->trace_rule_count; r++) {
    const struct image_rule *rule = &engine->image->trace_rules[r];
    if (!bit_get(trace->due, rule->trace_rule)) continue;
    if (!raise(engine, trace, rule, wall_ns)) {
      engine->counters.violations_retried++;
      if (trace->on_retry) return;
      trace->on_retry = true;
      trace->retry = table->retry;
      table->retry = (uint32_t)(trace - table->traces);
      return;
    }
    bit_clear(trace->due, rule->trace_rule);
    bit_set(trace->raised, rule->trace_rule);
  }
  memset(trace->due, 0, sizeof trace->due); /* of rules that are no more */
}

static bool judged_already(const struct trace *trace, const struct image_rule *rule) {
  return bit_get(trace->raised, rule->trace_rule) || bit_get(trace->due, rule->trace_rule);
}

/* A rule is not judged on a trace whose first spans it never saw. */
static bool too_young(struct engine *engine, const struct trace *trace, const struct image_rule *rule) {
  if (rule->since_generation <= trace->opened_generation) return false;
  engine->counters.trace_rules_skipped++;
  return true;
}

static void judge_never(struct engine *engine, struct trace *trace, bool late, uint64_t wall_ns) {
  bool due = false;
  for (uint32_t r = 0; r < engine->image->trace_rule_count; r++) {
    const struct image_rule *rule = &engine->image->trace_rules[r];
    if (rule->never.count == 0 || (!rule->monotone_never && !late) || judged_already(trace, rule)) continue;
    if (rule->since_generation > trace->opened_generation) continue;
    if (!program_holds(&rule->when, trace->bits) || !program_holds(&rule->never, trace->bits)) continue;
    bit_set(trace->due, rule->trace_rule);
    due = true;
  }
  if (due) engine_raise_due(engine, trace, wall_ns);
}

static void judge_completed(struct engine *engine, struct trace *trace, uint64_t wall_ns) {
  for (uint32_t r = 0; r < engine->image->trace_rule_count; r++) {
    const struct image_rule *rule = &engine->image->trace_rules[r];
    if (judged_already(trace, rule) || !program_holds(&rule->when, trace->bits) || too_young(engine, trace, rule)) continue;
    const bool never = rule->never.count && program_holds(&rule->never, trace->bits);
    const bool always = rule->always.count && !program_holds(&rule->always, trace->bits);
    if (never || always) bit_set(trace->due, rule->trace_rule);
  }
  engine_raise_due(engine, trace, wall_ns);
}

static void complete(struct engine *engine, struct trace *trace, enum trace_completion reason, uint64_t now_ns,
                     uint64_t wall_ns) {
  if (reason == TRACE_COMPLETE_IDLE && engine->image) judge_completed(engine, trace, wall_ns);
  trace_remember(&engine->traces, trace, now_ns);
  engine->counters.traces_completed[reason]++;
  engine->counters.traces_live--;
  engine->counters.traces_remembered++;
}

/* The oldest remembered trace goes first; then the oldest live one, whose always-rules stay unjudged. */
static bool make_room(struct engine *engine) {
  struct trace_table *table = &engine->traces;
  struct trace *trace = trace_oldest(table, &table->remembered);
  if (trace && !trace->on_retry) {
    engine->counters.traces_remembered--;
    trace_forget(table, trace);
    return true;
  }
  trace = trace_oldest(table, &table->live);
  for (uint32_t tries = 0; trace && tries < EVICTION_TRIES; tries++) {
    if (!trace->on_retry) {
      engine->counters.traces_live--;
      engine->counters.traces_evicted++;
      trace_forget(table, trace);
      return true;
    }
    trace = trace->newer == TRACE_NONE ? NULL : &table->traces[trace->newer];
  }
  return false;
}

static struct trace *trace_for(struct engine *engine, const struct span_digest *digest, uint64_t now_ns) {
  struct trace_table *table = &engine->traces;
  struct trace *trace = trace_find(table, digest->trace_id);
  if (trace) return trace;
  trace = trace_open(table, digest->trace_id, now_ns);
  if (!trace && make_room(engine)) trace = trace_open(table, digest->trace_id, now_ns);
  if (!trace) {
    engine->counters.digests_unplaced++;
    return NULL;
  }
  trace->opened_generation = digest->generation;
  engine->counters.traces_opened++;
  engine->counters.traces_live++;
  return trace;
}

/* A digest of an earlier generation may carry bits that mean something else now. */
static void meaning_now(const struct engine *engine, const struct span_digest *digest, uint64_t bits[ENGINE_SELECTOR_WORDS]) {
  memset(bits, 0, sizeof(uint64_t) * ENGINE_SELECTOR_WORDS);
  for (uint32_t i = 0; i < engine->image->selector_count; i++) {
    const struct image_selector *selector = &engine->image->selectors[i];
    if (bit_get(digest->selector_bits, selector->bit) && selector->since_generation <= digest->generation)
      bit_set(bits, selector->bit);
  }
}

static void add_span_id(struct trace_capture *capture, const uint8_t span_id[8]) {
  for (unsigned i = 0; i < capture->span_count; i++)
    if (memcmp(capture->span_ids[i], span_id, 8) == 0) return;
  capture->spans_met++;
  if (capture->span_count < VIOLATION_SPAN_IDS_MAX) memcpy(capture->span_ids[capture->span_count++], span_id, 8);
}

static void capture_span(struct engine *engine, struct trace *trace, const struct span_digest *digest, const uint64_t *bits) {
  for (uint32_t r = 0; r < engine->image->trace_rule_count; r++) {
    const struct image_rule *rule = &engine->image->trace_rules[r];
    const bool when = bits_meet(bits, rule->when_bits);
    if (!when && !bits_meet(bits, rule->never_bits)) continue;
    struct trace_capture *capture = trace_capture_of(&engine->traces, trace, (uint16_t)rule->trace_rule, true);
    if (!capture) {
      engine->counters.captures_exhausted++;
      continue;
    }
    add_span_id(capture, digest->span_id);
    if (!when || capture->has_values) continue;
    if (digest->payload_bytes > CAPTURE_PAYLOAD_BYTES) continue;
    capture->has_values = true;
    capture->service_length = digest->service_length;
    capture->value_count = digest->value_count;
    capture->payload_bytes = digest->payload_bytes;
    memcpy(capture->payload, digest->payload, digest->payload_bytes);
  }
}

void engine_expect_digests(struct engine *engine, const struct span_digest *const *digests, uint32_t count) {
  const uint8_t *trace_ids[ENGINE_EXPECTED_MAX];
  ALWAYS_ASSERT(count <= ENGINE_EXPECTED_MAX);
  for (uint32_t i = 0; i < count; i++) trace_ids[i] = digests[i]->trace_id;
  trace_table_expect(&engine->traces, trace_ids, count);
}

void engine_apply_digest(struct engine *engine, const struct span_digest *digest, uint64_t now_ns, uint64_t wall_ns) {
  engine->counters.digests_applied++;
  if (!engine->image) return;
  struct trace *trace = trace_for(engine, digest, now_ns);
  if (!trace) return;
  uint64_t bits[ENGINE_SELECTOR_WORDS];
  meaning_now(engine, digest, bits);
  if (digest->generation < trace->opened_generation) trace->opened_generation = digest->generation;
  if (digest->start_ns < trace->first_ns) trace->first_ns = digest->start_ns;
  if (digest->end_ns > trace->last_ns) trace->last_ns = digest->end_ns;
  const bool late = trace->state == TRACE_REMEMBERED;
  if (late) {
    engine->counters.spans_late++;
  } else {
    trace_touch(&engine->traces, trace, now_ns);
  }
  /* Most spans meet no selector: their traces' bits stay untouched, and unread. */
  uint64_t any = 0, added = 0;
  for (unsigned i = 0; i < ENGINE_SELECTOR_WORDS; i++) any |= bits[i];
  if (!any) return;
  for (unsigned i = 0; i < ENGINE_SELECTOR_WORDS; i++) {
    added |= bits[i] & ~trace->bits[i];
    trace->bits[i] |= bits[i];
  }
  capture_span(engine, trace, digest, bits);
  if (added) judge_never(engine, trace, late, wall_ns);
}

static void retry_due(struct engine *engine, uint64_t wall_ns, uint32_t most) {
  struct trace_table *table = &engine->traces;
  for (uint32_t i = 0; i < most && table->retry != TRACE_NONE; i++) {
    struct trace *trace = &table->traces[table->retry];
    table->retry = trace->retry;
    trace->retry = TRACE_NONE;
    trace->on_retry = false;
    engine_raise_due(engine, trace, wall_ns);
    if (trace->on_retry) return; /* still no room */
  }
}

uint32_t engine_expire(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  struct trace_table *table = &engine->traces;
  uint32_t looked_at = 0;
  if (engine->image) retry_due(engine, wall_ns, most);
  for (struct trace *trace; looked_at < most && (trace = trace_oldest(table, &table->live)); looked_at++) {
    if (now_ns - trace->arrival_ns < engine->config.idle_ns) break;
    complete(engine, trace, TRACE_COMPLETE_IDLE, now_ns, wall_ns);
  }
  for (struct trace *trace; looked_at < most && (trace = trace_oldest(table, &table->remembered)); looked_at++) {
    if (now_ns - trace->arrival_ns < REMEMBER_NS || trace->on_retry) break;
    engine->counters.traces_remembered--;
    trace_forget(table, trace);
  }
  return looked_at;
}

uint32_t engine_drain(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  struct trace_table *table = &engine->traces;
  if (engine->image) retry_due(engine, wall_ns, most);
  for (struct trace *trace; most > 0 && (trace = trace_oldest(table, &table->live)); most--)
    complete(engine, trace, TRACE_COMPLETE_DRAINED, now_ns, wall_ns);
  return engine->counters.traces_live + (table->retry != TRACE_NONE);
}
