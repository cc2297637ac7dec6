/* A sound image with some of its numbers changed: the verifier refuses it, or an engine runs it on events of every kind without
 * leaving its bounds. Input: for each change 2 bytes for the place, 1 for how, and 8 of a value. */
#include "always_assert.h"
#include "engine.h"
#include "heap_arena.h"
#include "image_cells.h"
#include "line_ring.h"
#include "rule_set.h"
#include "test_random.h"
#include "violation.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

#define CHANGES_MAX 4u
#define CHANGE_BYTES 11u
#define SECOND UINT64_C(1000000000)

static const char rules[] =
    "rules:\n"
    "  - {name: s0, on: span, if: 'span.a = \"x\" && duration > 1', message: '${span.b} ${name}'}\n"
    "  - {name: s1, on: span, if: 'span.a = \"y\" && duration > 2'}\n"
    "  - {name: s2, on: span, if: 'span.a in [\"x\", \"z\"] || span.a = 7'}\n"
    "  - {name: s3, on: span, if: 'span.a = \"v\" || kind = server && status != ok'}\n"
    "  - {name: n0, on: span, if: 'span.b = 1'}\n"
    "  - {name: n1, on: span, if: 'span.b = 2'}\n"
    "  - {name: n2, on: span, if: 'span.b in [3, 4.5]'}\n"
    "  - {name: n3, on: span, if: 'span.b = 5'}\n"
    "  - {name: l0, on: span, if: 'span.c > 1 && !span.d'}\n"
    "  - {name: l1, on: span, if: 'span.c > 2'}\n"
    "  - {name: l2, on: span, if: 'span.c >= 2.5'}\n"
    "  - {name: l3, on: span, if: 'span.c < 9'}\n"
    "  - {name: p0, on: span, if: 'name =~ \"^op\" || name !~ \"x\" || name contains \"q\"'}\n"
    "  - {name: c0, on: span, if: 'span.e contains \"one\"'}\n"
    "  - {name: c1, on: span, if: 'span.e contains \"two\"'}\n"
    "  - {name: c2, on: span, if: 'span.e contains \"x\" || span.e =~ \"^t\"'}\n"
    "  - {name: c3, on: span, if: 'span.e contains \"y\" || span.e =~ \"r$\"'}\n"
    "  - {name: a0, on: span, if: '(span.c + span.b) * 2 > span.c - 1 || -span.b < span.d'}\n"
    "  - {name: a1, on: span, timezone: Europe/Berlin, if: 'time_of_day > 12:00 || weekday = monday'}\n"
    "  - {name: a2, on: span, if: 'span.a in cidr [\"10.0.0.0/8\"] && span.a startsWith span.e || exists span.d'}\n"
    "  - {name: w0, on: webhook, if: 'body.a.b = 1 && body.a.c = \"k\"'}\n"
    "  - {name: w1, on: webhook, if: 'body.i[*].s = \"k\" || body.i[0].s > body.a.b || body.i[*].s =~ \"x\"'}\n"
    "  - {name: k0, on: alert, if: 'label.a = \"x\" && status = firing'}\n"
    "  - {name: t0, when: '{span.a = \"x\"} && !{root}', always: '{span.b = 1} || {span.c > 4}', never: '{span.a = \"y\"}'}\n"
    "  - {name: t1, when: '{span.a = \"z\"}', never: '{span.a = \"v\"}', message: '${span.e}'}\n"
    "  - {name: t2, when: '!{span.a = \"z\"}', never: '!{span.a = \"v\"}'}\n"
    "  - {name: f0, when: '{span.a = \"x\"}', never: 'count({span.b = 1}) > 2 || sum({root}, span.c) > avg({span.b = 2}, "
    "span.b)'}\n"
    "  - {name: f1, when: '{span.a = \"x\"}', never: '{span.b = 1} >> {span.b = 2} || {root} !~ {span.b = 3}'}\n"
    "  - {name: f2, when: '{span.a = \"x\"} then {span.a = \"y\"} within 5s', always: 'trace.duration < 1s'}\n"
    "  - {name: f3, when: '{root}', never: '{span.a = \"x\"} not followed by {span.b = 1} within 2s'}\n"
    "  - {name: f4, when: '{root}', always: '{span.b = 5}', within: 3s}\n"
    "  - {name: g0, on: span, if: 'span.b > 0', window: 'count by (span.a) over 60s > 3', for: 1s}\n"
    "  - {name: g1, on: span, if: 'span.b > 0', window: 'p99(span.c) over 60s > 3', repeat_after: 2s}\n"
    "  - {name: g2, on: span, if: 'span.b > 0', window: 'change(sum(span.c)) by (span.a, name) over 6s > 1'}\n"
    "  - {name: g3, on: span, if: 'span.b > 7', window: 'absent by (span.a) for 2s'}\n"
    "  - {name: g4, on: webhook, if: 'body.a.b > 0', window: 'distinct(body.a.c) over 6s > 1'}\n"
    "  - {name: g5, on: span, if: 'span.b > 0', threshold: {count: 2, over: 5s, by: [span.a]}}\n"
    "  - {name: g6, on: span, if: 'span.b > 0', suppress: {by: [span.a], for: 5s}}\n";

static struct {
  struct heap_arena *heap; /* until the end of the run */
  struct rule_image *image;
  struct image_cells cells;
  struct engine_config config;
  struct engine *engine;
  uint64_t now_ns;
} rig;

static void open_rig(void) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("fuzz.yaml", rules, sizeof rules - 1, &errors);
  if (!set) rule_errors_print(&errors, stderr);
  ALWAYS_ASSERT(set != NULL);
  rig.image = rule_image_compile(set, 1, NULL, 1, &errors);
  ALWAYS_ASSERT(rig.image && engine_image_fits(rig.image, RULE_COLUMNS_MAX));
  rule_set_free(set);
  image_cells_collect(&rig.cells, rig.image);
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

/* Nothing of it is left for the next. */
static void run(uint64_t seed) {
  struct test_random random = {.state = seed};
  engine_adopt(rig.engine, rig.image);
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

static uint64_t changed(uint8_t how, uint64_t before, uint64_t value) {
  switch (how % 5) {
  case 0:
    return value % 40;
  case 1:
    return UINT64_MAX - value % 4;
  case 2:
    return before + 1;
  case 3:
    return before - 1;
  default:
    return value;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  const struct image_cell *cells[CHANGES_MAX];
  uint64_t before[CHANGES_MAX], seed = 1;
  unsigned changes = 0;
  if (!rig.image) open_rig();
  for (; changes < CHANGES_MAX && length >= CHANGE_BYTES; bytes += CHANGE_BYTES, length -= CHANGE_BYTES, changes++) {
    uint64_t value;
    memcpy(&value, bytes + 3, sizeof value);
    seed = seed * 31 + value;
    cells[changes] = &rig.cells.items[((size_t)bytes[0] << 8 | bytes[1]) % rig.cells.count];
    before[changes] = image_cell_read(cells[changes]);
    image_cell_write(cells[changes], changed(bytes[2], before[changes], value));
  }
  if (engine_image_fits(rig.image, RULE_COLUMNS_MAX)) run(seed);
  while (changes-- > 0) image_cell_write(cells[changes], before[changes]);
  return 0;
}
