#include "image_run.h"
#include "always_assert.h"
#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_set.h"
#include "test_random.h"
#include "violation.h"
#include <string.h>

#define SECOND UINT64_C(1000000000)

static struct {
  struct heap_arena *heap; /* until the end of the run */
  struct engine_config config;
  struct engine *engine;
  uint64_t now_ns;
} rig;

static void open_rig(void) {
  rig.heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(rig.heap);
  rig.now_ns = 1000 * SECOND;
  rig.config = (struct engine_config){.shards = 1,
                                      .column_capacity = RULE_COLUMNS_MAX,
                                      .traces_max = 64,
                                      .captures_max = 64,
                                      .window_keys_max = 64,
                                      .window_blocks_max = 512,
                                      .idle_ns = 3 * SECOND};
  rig.config.records = record_ring_create(arena, 1u << 20);
  rig.config.digests_to[0] = line_ring_create(arena, 1u << 12);
  rig.engine = engine_create(arena, &rig.config, rig.now_ns);
  ALWAYS_ASSERT(rig.engine != NULL);
}

static struct value any_value(struct test_random *random) {
  static const char *const texts[] = {"x", "y", "z", "v", "one two", "10.1.2.3", "k", ""};
  const char *text = texts[random_below(random, 8)];
  switch (random_below(random, 5)) {
  case 0:
    return (struct value){.type = VALUE_NULL};
  case 1:
    return (struct value){.type = VALUE_DOUBLE, .real = random_below(random, 20) / 4.0};
  case 2:
    return (struct value){.type = VALUE_INTEGER, .integer = random_below(random, 9)};
  default:
    return (struct value){.type = VALUE_STRING, .text = text, .length = (uint32_t)strlen(text)};
  }
}

static void add_row(struct event_batch *batch, struct test_random *random) {
  static const char keys[] = "abcde";
  static const enum column_scope scopes[] = {SCOPE_SPAN, SCOPE_RESOURCE, SCOPE_LABEL, SCOPE_ANNOTATION};
  const uint32_t row = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[row];
  fields->name = (struct event_text){"operation", 9};
  fields->trace_id[0] = (uint8_t)random_below(random, 4);
  fields->span_id[0] = (uint8_t)random_below(random, 30);
  fields->parent_id[0] = (uint8_t)random_below(random, 30);
  fields->has_parent = random_below(random, 4);
  fields->kind = (uint8_t)random_below(random, 7);
  fields->start_ns = random_below(random, 5) * SECOND;
  fields->end_ns = fields->start_ns + random_below(random, 4);
  for (unsigned key = 0; key < 5; key++)
    for (unsigned scope = 0; scope < 4; scope++) {
      const int slot = event_column_find(batch->image, batch->kind, scopes[scope], &keys[key], 1);
      const struct value value = any_value(random);
      event_batch_set(batch, row, slot, &value);
    }
}

static void deliver(void) {
  struct line_ring *ring = rig.config.digests_to[0];
  for (const struct line_header *header; (header = line_ring_peek(ring)); line_ring_consume(ring)) {
    const void *message = header;
    if (header->type == LINE_WINDOW_DIGEST) {
      engine_apply_window(rig.engine, message, rig.now_ns, rig.now_ns);
    } else {
      engine_apply_digest(rig.engine, message, rig.now_ns, rig.now_ns);
    }
  }
}

static void pass(uint64_t ns) {
  rig.now_ns += ns;
  for (unsigned i = 0; i < 20 && engine_expire(rig.engine, rig.now_ns, rig.now_ns, 64) > 0; i++) continue;
}

static void read_violations(void) {
  uint32_t bytes;
  struct violation violation;
  for (const void *record; (record = record_ring_peek(rig.config.records, &bytes)); record_ring_advance(rig.config.records))
    ALWAYS_ASSERT(violation_decode(record, bytes, &violation));
}

void image_run(const struct rule_image *image, uint64_t seed) {
  if (!rig.engine) open_rig();
  struct test_random random = {.state = seed};
  engine_adopt(rig.engine, image);
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
      struct event_batch *batch = engine_batch(rig.engine, (enum event_kind)kind);
      for (unsigned rows = 1 + random_below(&random, 20); rows > 0; rows--) add_row(batch, &random);
      if (!engine_evaluate(rig.engine, batch, rig.now_ns, rig.now_ns)) {
        engine_rollback(rig.engine);
        read_violations();
      }
    }
    engine_commit(rig.engine);
    deliver();
    pass(random_below(&random, 4) * SECOND);
    read_violations();
  }
  pass(4 * SECOND);
  for (unsigned i = 0; i < 20 && engine_drain(rig.engine, rig.now_ns, rig.now_ns, 64) > 0; i++) read_violations();
  pass(100 * SECOND);
  read_violations();
  engine_adopt(rig.engine, NULL);
}
