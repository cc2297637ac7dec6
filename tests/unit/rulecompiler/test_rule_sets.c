/* Whole rule sets on the real engine: from one rule to more than a thousand over few references, batches of every size, one
 * engine through many generations. Which rule is violated by which span, and in which order, must be what the plain judge of
 * random_rules.h says. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "random_rules.h"
#include "rule_text_support.h"
#include "violation.h"

#define RULES_MOST 1200u
#define BATCHES 6u

static struct random_rule rules[RULES_MOST];

struct world {
  struct heap_arena *heap;
  struct record_ring *records;
  struct engine *engine;
  struct rule_image *image;
  uint64_t generation;
};

static void open_world(struct world *world) {
  *world = (struct world){.heap = heap_arena_create()};
  struct arena *arena = heap_arena_arena(world->heap);
  struct engine_config config = {
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = world->records = record_ring_create(arena, 64u << 20);
  config.digests_to[0] = line_ring_create(arena, 1024);
  world->engine = engine_create(arena, &config, 1);
  assert_non_null(world->engine);
  random_rules_open();
}

static void close_world(struct world *world) {
  random_rules_close();
  rule_image_free(world->image);
  heap_arena_destroy(world->heap);
}

static char *make_rules(unsigned count, unsigned depth, unsigned constants) {
  char *text = malloc(64 + count * 17000ull), *end = text + sprintf(text, "rules:\n");
  random_rules_renew();
  for (unsigned i = 0; i < count; i++) {
    end += sprintf(end, "  - name: r%u\n    on: span\n    if: |\n      ", i);
    end = random_rule_make(&rules[i], depth, constants, end);
    end += sprintf(end, "\n");
  }
  return text;
}

static void adopt(struct world *world, const char *text) {
  struct rule_set *set = parse_good(text);
  struct rule_image *image = compile_good(set, ++world->generation, world->image, 1);
  rule_set_free(set);
  assert_true(engine_image_fits(image, RULE_COLUMNS_MAX));
  engine_adopt(world->engine, image);
  rule_image_free(world->image);
  world->image = image;
}

static void add_span(struct event_batch *batch, const struct random_row *row) {
  const uint32_t at = event_batch_add(batch);
  struct event_fields *fields = &batch->fields[at];
  fields->span_id[0] = (uint8_t)(at + 1);
  fields->name = (struct event_text){row->values[RANDOM_NAME].text, row->values[RANDOM_NAME].length};
  if (row->values[RANDOM_SERVICE].type == VALUE_STRING)
    fields->service = (struct event_text){row->values[RANDOM_SERVICE].text, row->values[RANDOM_SERVICE].length};
  const char kind = row->values[RANDOM_KIND].text[0];
  fields->kind = kind == 'i'   ? SPAN_KIND_INTERNAL
                 : kind == 's' ? SPAN_KIND_SERVER
                 : kind == 'c' ? SPAN_KIND_CLIENT
                               : SPAN_KIND_PRODUCER;
  fields->end_ns = (uint64_t)row->values[RANDOM_DURATION].integer;
  fields->has_parent = !row->values[RANDOM_ROOT].boolean;
  for (unsigned i = 0; i < RANDOM_ATTRIBUTES; i++) {
    char key[8];
    const int slot = event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, key, (uint32_t)sprintf(key, "a%u", i));
    /* As a decoder does: what is not there is mostly never said; what comes twice, the last counts. */
    if (row->values[i].type == VALUE_NULL && random() % 4) continue;
    if (random() % 8 == 0) event_batch_set(batch, at, slot, &row->values[(i + 1) % RANDOM_ATTRIBUTES]);
    event_batch_set(batch, at, slot, &row->values[i]);
  }
}

static void fail_at(unsigned rule, unsigned row, bool expected, const char *text) {
  char start[32];
  snprintf(start, sizeof start, "name: r%u\n", rule);
  fail_msg("row %u: not %s: %.1000s", row, expected ? "true" : "false", strstr(text, start));
}

/* Violations come rule by rule, row by row. */
static void check_violations(struct world *world, unsigned count, const struct random_row *rows, unsigned row_count,
                             const char *text) {
  uint32_t bytes;
  for (unsigned r = 0; r < count; r++)
    for (unsigned row = 0; row < row_count; row++) {
      struct violation violation;
      const void *record = record_ring_peek(world->records, &bytes);
      bool raised = false;
      if (record) {
        assert_true(violation_decode(record, bytes, &violation));
        raised = (unsigned)atoi(violation.rule.at + 1) == r && violation.fixed.span_ids[0][0] == row + 1;
      }
      if (raised) record_ring_advance(world->records);
      const bool expected = random_rule_holds(&rules[r], &rows[row]);
      if (raised != expected) fail_at(r, row, expected, text);
    }
  assert_null(record_ring_peek(world->records, &bytes));
}

static void check_set(struct world *world, unsigned count, unsigned depth, unsigned constants) {
  char *text = make_rules(count, depth, constants);
  struct random_row rows[EVENT_BATCH_ROWS];
  adopt(world, text);
  for (unsigned b = 0; b < BATCHES; b++) {
    const unsigned row_count = b == 0 ? 64 : b == 1 ? 1 : 1 + (unsigned)random() % 64;
    struct event_batch *batch = engine_batch(world->engine, EVENT_SPAN);
    for (unsigned row = 0; row < row_count; row++) {
      /* Rejected rows leave nothing behind; some values run through many rows. */
      random_row_make(&rows[row]);
      add_span(batch, &rows[row]);
      if (random() % 8 == 0) {
        event_batch_remove_last(batch);
        if (row > 0) rows[row] = rows[row - 1];
        add_span(batch, &rows[row]);
      }
    }
    assert_true(engine_evaluate(world->engine, batch, 2, 3));
    engine_commit(world->engine);
    check_violations(world, count, rows, row_count, text);
  }
  free(text);
}

static void test_few_rules(void **state) {
  (void)state;
  struct world world;
  srandom(17);
  open_world(&world);
  for (int round = 0; round < 150; round++)
    check_set(&world, 1 + (unsigned)random() % 12, (unsigned)random() % 6, 2 + (unsigned)random() % 14);
  close_world(&world);
}

static void test_many_rules(void **state) {
  (void)state;
  struct world world;
  srandom(18);
  open_world(&world);
  for (int round = 0; round < 25; round++)
    check_set(&world, 50 + (unsigned)random() % 250, 1 + (unsigned)random() % 4, 2 + (unsigned)random() % 14);
  for (unsigned depth = 0; depth < 4; depth++) check_set(&world, RULES_MOST, depth, 16);
  close_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_few_rules),
      cmocka_unit_test(test_many_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
