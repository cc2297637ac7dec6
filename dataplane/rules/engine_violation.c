#include "rules_internal.h"

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
  if (!capture) {
    values->value = (struct value){.type = VALUE_NULL};
  } else {
    digest_value(capture->payload, capture->payload_bytes, capture->service_length, capture->value_count,
                 values->columns[slot].identity, &values->value);
  }
  return &values->value;
}

/* Where the rule mentions the selector; 0: nowhere. */
static uint8_t mention_of(const struct image_rule *rule, uint16_t bit) {
  uint32_t low = 0, high = rule->selector_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (rule->selectors[middle].bit == bit) return rule->selectors[middle].in;
    if (rule->selectors[middle].bit < bit) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

static void add_span_id(struct violation_fixed *fixed, const uint8_t span_id[8]) {
  for (unsigned i = 0; i < fixed->span_count; i++)
    if (memcmp(fixed->span_ids[i], span_id, 8) == 0) return;
  fixed->count++;
  if (fixed->span_count < VIOLATION_SPAN_IDS_MAX) memcpy(fixed->span_ids[fixed->span_count++], span_id, 8);
}

/* The spans that met when or never, as they came; the values are those of the first that met `when`. */
static const struct trace_capture *name_spans(const struct trace_table *table, const struct trace *trace,
                                              const struct image_rule *rule, struct violation_fixed *fixed) {
  const struct trace_capture *capture = NULL;
  uint32_t chunks[FINDINGS_RECORDS_MAX], count = 0, unnamed = 0;
  if (!(trace->flags & TRACE_MET)) {
    fixed->count = 1; /* broken by what is not there: the trace itself */
    return NULL;
  }
  for (uint32_t chunk = table->findings[trace_number(table, trace)].records; chunk != TRACE_NONE;
       chunk = table->spills[chunk].next) {
    ALWAYS_ASSERT(count < FINDINGS_RECORDS_MAX);
    chunks[count++] = chunk;
  }
  while (count-- > 0) {
    const struct trace_record *record = &table->spills[chunks[count]].record;
    uint8_t in = 0;
    for (unsigned i = 0; i < record->count; i++) in |= mention_of(rule, record->bits[i]);
    if (in & (MENTION_WHEN | MENTION_NEVER)) add_span_id(fixed, record->span_id);
    if (in & MENTION_WHEN && !capture && record->capture != TRACE_NONE) capture = &table->captures[record->capture];
  }
  for (struct met_walk walk = met_walk(table, trace); met_next(&walk);)
    if (walk.met->spans > unnamed && mention_of(rule, walk.met->bit) & (MENTION_WHEN | MENTION_NEVER)) unnamed = walk.met->spans;
  if (unnamed > FINDINGS_NAMED) fixed->count += unnamed - FINDINGS_NAMED;
  if (fixed->count == 0) fixed->count = 1;
  return capture;
}

/* Returns where its values are from; NULL: none were kept. */
static const struct trace_capture *fill(struct engine *engine, const struct trace *trace, const struct image_rule *rule,
                                        uint64_t wall_ns) {
  struct violation *violation = &engine->violation;
  const struct image_column *columns = engine->image->kinds[EVENT_SPAN].columns;
  memset(violation, 0, offsetof(struct violation, attributes)); /* those count as far as attribute_count */
  violation->wall_ns = wall_ns;
  violation->shard = engine->config.shard;
  violation->fixed = (struct violation_fixed){.rule_version = rule->version,
                                              .severity = (uint8_t)rule->severity,
                                              .source = RULE_ON_TRACE,
                                              .has_trace = 1,
                                              .first_seen_ns = trace->first_ns,
                                              .last_seen_ns = trace->last_ns};
  memcpy(violation->fixed.trace_id, trace->trace_id, sizeof trace->trace_id);
  uuid7_next(&engine->config.uuids, wall_ns, violation->fixed.id);
  struct capture_values values = {.columns = columns, .capture = name_spans(&engine->traces, trace, rule, &violation->fixed)};
  const struct trace_capture *capture = values.capture;
  violation->rule = (struct event_text){rule->name.at, rule->name.length};
  violation->message = (struct event_text){engine->message, message_render(rule, columns, value_of, &values, engine->message)};
  if (!capture) return NULL;
  if (capture->service_length != DIGEST_SERVICE_NULL)
    violation->service = (struct event_text){(const char *)capture->payload, capture->service_length};
  for (uint32_t a = 0; a < rule->attribute_count && violation->attribute_count < VIOLATION_ATTRIBUTES_MAX; a++) {
    const struct value value = *value_of(&values, rule->attributes[a]);
    const struct image_text reference = columns[rule->attributes[a]].reference;
    if (value.type == VALUE_NULL) continue;
    violation->attributes[violation->attribute_count++] =
        (struct violation_attribute){.key = {reference.at, reference.length}, .value = value};
  }
  return capture;
}

/* A rule with `suppress` leaves it to the owner of its key. */
static bool send_to_owner(struct engine *engine, const struct image_rule *rule, const struct trace_capture *capture) {
  const struct image_window *window = &engine->image->windows[rule->window - 1];
  struct capture_values values = {.columns = engine->image->kinds[EVENT_SPAN].columns, .capture = capture};
  struct value keys[IMAGE_WINDOW_KEYS_MAX];
  const struct value *key_values[IMAGE_WINDOW_KEYS_MAX];
  for (uint32_t i = 0; i < window->key_count; i++) {
    keys[i] = *value_of(&values, window->key_columns[i]);
    key_values[i] = &keys[i];
  }
  return window_send_violation(engine, rule, key_values);
}

bool engine_raise_trace(struct engine *engine, const struct trace *trace, const struct image_rule *rule, uint64_t wall_ns) {
  if (rule->shadow && !rule->window) {
    match_count_now(&engine->matches, rule->match_slot);
    return true;
  }
  const struct trace_capture *capture = fill(engine, trace, rule, wall_ns);
  if (rule->window) return send_to_owner(engine, rule, capture);
  const bool reserved = engine_reserve_violation(engine);
  memset(&engine->transaction, 0, sizeof engine->transaction);
  if (!reserved) return false;
  record_ring_publish(engine->config.records);
  engine->counters.violations_emitted++;
  match_count_now(&engine->matches, rule->match_slot);
  return true;
}
