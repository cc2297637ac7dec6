#include "engine_rig.h"
#include <stdio.h>
#include <stdlib.h>

static void open_with(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, const struct rig_traces *traces,
                      uint32_t keys, uint32_t blocks, const char *rules) {
  *rig = (struct engine_rig){.heap = heap_arena_create(), .engines = engines, .now_ns = RIG_SECOND};
  struct arena *arena = heap_arena_arena(rig->heap);
  for (uint32_t i = 0; i < engines; i++) rig->records[i] = record_ring_create(arena, limits->record_bytes);
  for (uint32_t from = 0; from < engines; from++)
    for (uint32_t to = 0; to < engines; to++) rig->digests[from][to] = line_ring_create(arena, limits->digest_lines);
  for (uint32_t i = 0; i < engines; i++) {
    struct engine_config config = {.shard = (uint16_t)i,
                                   .shards = (uint16_t)engines,
                                   .trace_key = {7, 9},
                                   .uuids = {.key = {1, i}, .origin = i},
                                   .records = rig->records[i],
                                   .column_capacity = 64,
                                   .traces_max = limits->traces,
                                   .captures_max = limits->captures,
                                   .spills_max = traces->spills,
                                   .limits = traces->limits,
                                   .window_keys_max = keys,
                                   .window_blocks_max = blocks,
                                   .story_lines = traces->story_lines,
                                   .story_steps_max = traces->story_steps,
                                   .idle_ns = 3 * RIG_SECOND};
    for (uint32_t to = 0; to < engines; to++) config.digests_to[to] = rig->digests[i][to];
    rig->engine[i] = engine_create(arena, &config, rig->now_ns);
    assert_non_null(rig->engine[i]);
  }
  rig_apply(rig, rules);
}

void rig_open(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, const char *rules) {
  rig_open_windows(rig, engines, limits, 64, 128, rules);
}

void rig_open_traces(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, const struct rig_traces *traces,
                     const char *rules) {
  open_with(rig, engines, limits, traces, 64, 128, rules);
}

void rig_open_windows(struct engine_rig *rig, uint32_t engines, const struct rig_limits *limits, uint32_t keys, uint32_t blocks,
                      const char *rules) {
  const struct rig_traces traces = {.spills = 0};
  open_with(rig, engines, limits, &traces, keys, blocks, rules);
}

void rig_apply(struct engine_rig *rig, const char *rules) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("rig.yaml", rules, strlen(rules), &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  assert_non_null(set);
  rule_set_adopt_versions(set, rig->set);
  struct rule_image *image = rule_image_compile(set, ++rig->generation, rig->image, rig->engines, &errors);
  assert_non_null(image);
  assert_true(engine_image_fits(image, 64));
  for (uint32_t i = 0; i < rig->engines; i++) engine_adopt(rig->engine[i], image);
  if (rig->image) rule_image_free(rig->image);
  if (rig->set) rule_set_free(rig->set);
  rig->image = image;
  rig->set = set;
  rule_errors_free(&errors);
}

void rig_close(struct engine_rig *rig) {
  rule_image_free(rig->image);
  rule_set_free(rig->set);
  heap_arena_destroy(rig->heap);
}

static struct event_text text(const char *string) { return (struct event_text){string, string ? (uint32_t)strlen(string) : 0}; }

bool rig_evaluate(struct engine_rig *rig, uint32_t engine, const struct rig_span *span) {
  struct event_batch *batch = engine_batch(rig->engine[engine], EVENT_SPAN);
  const uint32_t row = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[row];
  memcpy(fields->trace_id, &span->trace, sizeof span->trace);
  memcpy(fields->span_id, &span->span, sizeof span->span);
  fields->has_parent = (span->span & RIG_CHILD) != 0;
  fields->name = text(span->name);
  fields->service = text(span->service);
  fields->status = span->error ? SPAN_STATUS_ERROR : SPAN_STATUS_UNSET;
  fields->start_ns = 1000 + (span->span & ~RIG_CHILD);
  fields->end_ns = 2000 + (span->span & ~RIG_CHILD);
  const struct value amount = {.integer = span->amount, .type = VALUE_INTEGER};
  const int slot = event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, "amount", 6);
  if (span->amount >= 0 && slot >= 0) event_batch_set(batch, row, slot, &amount);
  if (rig->start_ns) {
    fields->has_parent = rig->parent != 0;
    memcpy(fields->parent_id, &rig->parent, sizeof rig->parent);
    fields->start_ns = rig->start_ns;
    fields->end_ns = rig->start_ns + 10;
  }
  return engine_evaluate(rig->engine[engine], batch, rig->now_ns, rig->now_ns);
}

bool rig_send(struct engine_rig *rig, uint32_t engine, const struct rig_span *span) {
  if (!rig_evaluate(rig, engine, span)) {
    engine_rollback(rig->engine[engine]);
    return false;
  }
  engine_commit(rig->engine[engine]);
  return true;
}

void rig_deliver(struct engine_rig *rig) {
  for (uint32_t from = 0; from < rig->engines; from++)
    for (uint32_t to = 0; to < rig->engines; to++)
      for (const void *message; (message = line_ring_peek(rig->digests[from][to]));) {
        if (((const struct line_header *)message)->type == LINE_WINDOW_DIGEST)
          engine_apply_window(rig->engine[to], message, rig->now_ns, rig->now_ns);
        else
          engine_apply_digest(rig->engine[to], message, rig->now_ns, rig->now_ns);
        line_ring_consume(rig->digests[from][to]);
      }
}

void rig_pass(struct engine_rig *rig, uint64_t ns) {
  rig->now_ns += ns;
  for (uint32_t i = 0; i < rig->engines; i++)
    while (engine_expire(rig->engine[i], rig->now_ns, rig->now_ns, 16) == 16) continue;
}

uint32_t rig_violations(struct engine_rig *rig, void (*each)(void *context, const struct violation *violation), void *context) {
  uint32_t count = 0, bytes;
  for (uint32_t i = 0; i < rig->engines; i++)
    for (const void *record; (record = record_ring_peek(rig->records[i], &bytes)); count++) {
      struct violation *violation = malloc(sizeof *violation);
      assert_true(violation_decode(record, bytes, violation));
      if (each) each(context, violation);
      free(violation);
      record_ring_advance(rig->records[i]);
    }
  return count;
}

void rig_check_laws(struct engine_rig *rig) {
  uint64_t sent = 0, applied = 0, waiting = 0, opened = 0, ended = 0;
  for (uint32_t i = 0; i < rig->engines; i++) {
    const struct engine_counters *counters = engine_counters(rig->engine[i]);
    sent += counters->digests_sent;
    applied += counters->digests_applied;
    opened += counters->traces_opened;
    ended += counters->traces_evicted + counters->traces_live;
    for (unsigned reason = 0; reason < TRACE_COMPLETIONS; reason++) ended += counters->traces_completed[reason];
    for (uint32_t to = 0; to < rig->engines; to++) {
      const struct line_ring_counters ring = line_ring_read_counters(rig->digests[i][to]);
      waiting += ring.published - ring.consumed;
    }
  }
  assert_int_equal(sent, applied + waiting);
  assert_int_equal(opened, ended);
  for (uint32_t i = 0; i < rig->engines; i++) {
    const struct engine_counters *counters = engine_counters(rig->engine[i]);
    assert_int_equal(counters->window_keys_opened, counters->window_keys_expired + counters->window_keys_evicted +
                                                       counters->window_keys_dropped + counters->window_keys_live);
  }
}
