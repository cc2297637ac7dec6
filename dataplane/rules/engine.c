#include "rules_internal.h"

static bool create_batches(struct engine *engine, struct arena *arena) {
  const uint32_t cells = engine->config.column_capacity * EVENT_BATCH_ROWS;
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    struct event_batch *batch = &engine->batches[kind];
    batch->kind = (enum event_kind)kind;
    batch->column_capacity = engine->config.column_capacity;
    batch->present = ARENA_ARRAY(arena, uint64_t, batch->column_capacity);
    batch->columns = ARENA_ARRAY(arena, struct value, cells);
    batch->interned = ARENA_ARRAY(arena, uint32_t, cells);
    if (!batch->present || !batch->columns || !batch->interned) return false;
    if (kind != EVENT_WEBHOOK) continue;
    batch->elements = ARENA_ARRAY(arena, struct event_element, BATCH_ELEMENTS_MAX);
    batch->last_element = ARENA_ARRAY(arena, uint32_t, batch->column_capacity);
    if (!batch->elements || !batch->last_element) return false;
  }
  return true;
}

struct engine *engine_create(struct arena *arena, const struct engine_config *config, uint64_t now_ns) {
  struct engine *engine = ARENA_NEW(arena, struct engine);
  if (!engine) return NULL;
  engine->config = *config;
  engine->trace_hasher = trace_hasher_of(&config->trace_key);
  engine->digest_rows = ARENA_NEW(arena, struct digest_rows);
  engine->judge = ARENA_NEW(arena, struct trace_judge);
  if (!engine->digest_rows || !engine->judge) return NULL;
  if (!match_counts_create(&engine->matches, arena)) return NULL;
  if (!evaluation_create(&engine->evaluation, arena, config->column_capacity, config->batch_steps_max) ||
      !create_batches(engine, arena))
    return NULL;
  const struct trace_table_sizes sizes = {.traces = config->traces_max,
                                          .captures = config->captures_max,
                                          .spills = config->spills_max ? config->spills_max : config->captures_max,
                                          .idle_ns = config->idle_ns};
  const uint32_t spans_max = config->limits.max_spans ? config->limits.max_spans : STORY_SPANS_DEFAULT;
  const struct story_sizes story = {.traces = config->traces_max,
                                    .lines = config->story_lines ? config->story_lines : config->captures_max,
                                    .spans_max = spans_max + spans_max / 4, /* some of them late */
                                    .steps_max = config->story_steps_max ? config->story_steps_max : STORY_STEPS_DEFAULT,
                                    .tolerance_ns = config->limits.clock_tolerance_ns,
                                    .key = config->trace_key};
  if (!trace_story_create(&engine->story, arena, &story, &engine->counters.story)) return NULL;
  if (!trace_table_create(&engine->traces, arena, &sizes, now_ns)) return NULL;
  if (!window_table_create(&engine->windows, arena, config->window_keys_max, config->window_blocks_max, now_ns)) return NULL;
  return engine;
}

bool engine_image_fits(const struct rule_image *image, uint32_t column_capacity) {
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++)
    if (image->kinds[kind].column_count > column_capacity || image->kinds[kind].column_count > ENGINE_COLUMNS_MAX ||
        image->kinds[kind].predicate_count > ENGINE_PREDICATES_MAX || image->kinds[kind].rule_count > ENGINE_PROGRAMS_MAX)
      return false;
  return image_is_sound(image);
}

void engine_adopt(struct engine *engine, const struct rule_image *image) {
  ALWAYS_ASSERT(record_ring_reserved_count(engine->config.records) == 0);
  engine->image = image;
  windows_adopt(engine);
  trace_story_adopt(&engine->story, image);
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    engine->batches[kind].image = image;
    engine->batches[kind].count = 0;
  }
}

uint64_t engine_generation(const struct engine *engine) { return engine->image ? engine->image->generation : 0; }

struct event_batch *engine_batch(struct engine *engine, enum event_kind kind) {
  return &engine->batches[kind];
}

struct row_values {
  const struct event_batch *batch;
  uint32_t row;
};

static const struct value *value_of(void *context, uint32_t slot) {
  const struct row_values *values = context;
  return event_batch_value(values->batch, values->row, slot);
}

static void fill_attributes(struct violation *violation, const struct image_rule *rule, const struct image_column *columns,
                            struct row_values *values) {
  for (uint32_t a = 0; a < rule->attribute_count && violation->attribute_count < VIOLATION_ATTRIBUTES_MAX; a++) {
    const struct value *value = value_of(values, rule->attributes[a]);
    const struct image_text reference = columns[rule->attributes[a]].reference;
    if (value->type == VALUE_NULL) continue;
    violation->attributes[violation->attribute_count++] =
        (struct violation_attribute){.key = {reference.at, reference.length}, .value = *value};
  }
}

void engine_fill_violation(struct engine *engine, const struct event_batch *batch, uint32_t row, const struct image_rule *rule,
                           uint64_t wall_ns) {
  const struct image_column *columns = engine->image->kinds[batch->kind].columns;
  const struct event_fields *fields = &batch->fields[row];
  struct violation *violation = &engine->violation;
  struct row_values values = {.batch = batch, .row = row};
  const uint64_t last_ns = fields->end_ns > fields->start_ns ? fields->end_ns : fields->start_ns;
  memset(violation, 0, offsetof(struct violation, attributes)); /* those count as far as attribute_count */
  violation->wall_ns = wall_ns;
  violation->shard = engine->config.shard;
  violation->fixed = (struct violation_fixed){.rule_version = rule->version,
                                              .severity = (uint8_t)rule->severity,
                                              .source = (uint8_t)rule->on,
                                              .first_seen_ns = fields->start_ns,
                                              .last_seen_ns = last_ns,
                                              .count = 1};
  violation->service = fields->service;
  if (batch->kind == EVENT_SPAN) {
    violation->fixed.has_trace = 1;
    violation->fixed.span_count = 1;
    memcpy(violation->fixed.trace_id, fields->trace_id, sizeof fields->trace_id);
    memcpy(violation->fixed.span_ids[0], fields->span_id, sizeof fields->span_id);
  } else if (engine->transaction.correlated) {
    memcpy(violation->fixed.trace_id, engine->transaction.correlation_id, sizeof violation->fixed.trace_id);
  }
  uuid7_next(&engine->config.uuids, wall_ns, violation->fixed.id);
  violation->rule = (struct event_text){rule->name.at, rule->name.length};
  violation->message = (struct event_text){engine->message, message_render(rule, columns, value_of, &values, engine->message)};
  fill_attributes(violation, rule, columns, &values);
}

void engine_leave_unjudged(struct engine *engine, uint32_t from, uint32_t count) {
  engine->counters.batches_over_steps++;
  engine->transaction.unjudged = true;
  engine->counters.programs_unjudged += candidates_left(&engine->evaluation, from, count);
}

static bool raise(struct engine *engine, const struct event_batch *batch, const struct image_rule *rule, uint64_t rows,
                  uint64_t wall_ns) {
  for (; rows; rows &= rows - 1) {
    match_count_pending(&engine->matches, rule->match_slot);
    if (rule->shadow) {
      engine->transaction.shadow_matches++;
      continue;
    }
    engine_fill_violation(engine, batch, (uint32_t)__builtin_ctzll(rows), rule, wall_ns);
    if (engine->transaction.violations < ENGINE_RAISED_IDS)
      memcpy(engine->raised_ids[engine->transaction.violations], engine->violation.fixed.id, sizeof engine->violation.fixed.id);
    if (!engine_reserve_violation(engine)) return false;
  }
  return true;
}

static bool judge(struct engine *engine, const struct event_batch *batch, uint64_t now_ns, uint64_t wall_ns) {
  const struct image_kind *kind = &engine->image->kinds[batch->kind];
  const uint64_t rows = event_batch_rows(batch);
  struct evaluation *evaluation = &engine->evaluation;
  candidates_find(evaluation, &kind->candidates, kind->rule_count);
  for (uint32_t r = 0; (r = candidates_next(evaluation, r, kind->rule_count)) < kind->rule_count; r++) {
    if (evaluation_is_over(evaluation)) {
      engine_leave_unjudged(engine, r, kind->rule_count);
      break;
    }
    const struct image_rule *rule = &kind->rules[r];
    const uint64_t met = program_run(&rule->condition, evaluation, rows);
    if (!met) continue;
    if (rule->window) engine->transaction.window_matches += (uint32_t)__builtin_popcountll(met);
    const bool room =
        rule->window ? window_send_rows(engine, batch, rule, met, now_ns, wall_ns) : raise(engine, batch, rule, met, wall_ns);
    if (!room) return false;
  }
  return batch->kind != EVENT_SPAN || engine->image->trace_rule_count == 0 || engine_send_digests(engine, batch);
}

bool engine_evaluate(struct engine *engine, struct event_batch *batch, uint64_t now_ns, uint64_t wall_ns) {
  ALWAYS_ASSERT(!engine->transaction.no_room);
  engine->transaction.events[batch->kind] += batch->count;
  if (engine->image && batch->count) {
    intrinsics_fill(batch, &engine->intrinsic_text);
    evaluation_begin(&engine->evaluation, batch, engine->image->scratch[engine->config.shard]);
    engine->transaction.no_room = !judge(engine, batch, now_ns, wall_ns);
    engine->counters.elements_unjudged += batch->elements_left_out;
    engine->transaction.unjudged = engine->transaction.unjudged || batch->elements_left_out;
  }
  batch->elements_left_out = 0;
  batch->count = 0;
  return !engine->transaction.no_room;
}

enum engine_room engine_room(const struct engine *engine) {
  if (!engine->transaction.no_room) return ENGINE_ROOM_OK;
  const uint32_t lines = line_ring_capacity(engine->config.digests_to[engine->config.shard]);
  const bool never = engine->transaction.record_bytes > record_ring_capacity(engine->config.records) / 2 ||
                     engine->transaction.digest_lines > lines / 2;
  return never ? ENGINE_ROOM_NEVER : ENGINE_ROOM_FULL_NOW;
}

void engine_set_correlation(struct engine *engine, const uint8_t correlation_id[16]) {
  memcpy(engine->transaction.correlation_id, correlation_id, sizeof engine->transaction.correlation_id);
  engine->transaction.correlated = true;
}

struct engine_verdict engine_verdict(const struct engine *engine) {
  const uint64_t violations = engine->transaction.violations;
  return (struct engine_verdict){
      .generation = engine_generation(engine),
      .violations = (uint32_t)violations,
      .shadow_matches = engine->transaction.shadow_matches,
      .window_matches = engine->transaction.window_matches,
      .partial = engine->transaction.unjudged,
      .raised_id_count = violations < ENGINE_RAISED_IDS ? (uint32_t)violations : ENGINE_RAISED_IDS,
      .raised_ids = engine->raised_ids,
  };
}

bool engine_could_hold(const struct engine *engine, uint32_t record_bytes) {
  return engine->transaction.record_bytes + record_bytes <= record_ring_capacity(engine->config.records) / 2;
}

static void end_transaction(struct engine *engine, uint64_t counted[EVENT_KINDS]) {
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    counted[kind] += engine->transaction.events[kind];
    engine->batches[kind].count = 0;
  }
  memset(&engine->transaction, 0, sizeof engine->transaction);
}

uint64_t engine_commit(struct engine *engine) {
  ALWAYS_ASSERT(!engine->transaction.no_room);
  if (engine->transaction.digests)
    for (uint16_t to = 0; to < engine->config.shards; to++) line_ring_publish(engine->config.digests_to[to]);
  engine->counters.violations_emitted += engine->transaction.violations;
  engine->counters.digests_sent += engine->transaction.digests;
  engine->counters.window_digests_sent += engine->transaction.window_digests;
  match_counts_commit(&engine->matches);
  end_transaction(engine, engine->counters.events_evaluated);
  return record_ring_publish(engine->config.records);
}

void engine_rollback(struct engine *engine) {
  for (uint16_t to = 0; to < engine->config.shards; to++) line_ring_rollback(engine->config.digests_to[to]);
  record_ring_rollback(engine->config.records);
  engine->counters.violations_rolled_back += engine->transaction.violations;
  match_counts_rollback(&engine->matches);
  end_transaction(engine, engine->counters.events_rolled_back);
}

const struct engine_counters *engine_counters(const struct engine *engine) { return &engine->counters; }
