/* An image is looked through before a shard runs it: what is wrong in it is refused, and what is let through does no harm. The
 * lengths of its arrays are taken as true; everything in them is not. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"

static const char *const text =
    "rules:\n"
    "  - {name: s0, on: span, if: 'span.a = \"x\" && duration > 1', message: '${span.b}'}\n"
    "  - {name: s1, on: span, if: 'span.a = \"y\" && duration > 2'}\n"
    "  - {name: s2, on: span, if: 'span.a in [\"x\", \"z\"] || span.a = 7'}\n"
    "  - {name: s3, on: span, if: 'span.a = \"v\"'}\n"
    "  - {name: n0, on: span, if: 'span.b = 1'}\n"
    "  - {name: n1, on: span, if: 'span.b = 2'}\n"
    "  - {name: n2, on: span, if: 'span.b in [3, 4.5]'}\n"
    "  - {name: n3, on: span, if: 'span.b = 5'}\n"
    "  - {name: l0, on: span, if: 'span.c > 1 && !span.d'}\n"
    "  - {name: l1, on: span, if: 'span.c > 2'}\n"
    "  - {name: l2, on: span, if: 'span.c >= 2.5'}\n"
    "  - {name: l3, on: span, if: 'span.c > 9'}\n"
    "  - {name: b0, on: span, if: 'span.c < 1'}\n"
    "  - {name: b1, on: span, if: 'span.c < 2'}\n"
    "  - {name: b2, on: span, if: 'span.c <= 3'}\n"
    "  - {name: b3, on: span, if: 'span.c < 0'}\n"
    "  - {name: p, on: span, if: 'name =~ \"^op\" || name !~ \"x\" || name contains \"q\"'}\n"
    "  - {name: c0, on: span, if: 'span.e contains \"one\"'}\n"
    "  - {name: c1, on: span, if: 'span.e contains \"two\"'}\n"
    "  - {name: c2, on: span, if: 'span.e contains \"x\" || span.e =~ \"^t\"'}\n"
    "  - {name: c3, on: span, if: 'span.e contains \"y\" || span.e =~ \"r$\"'}\n"
    "  - {name: m0, on: span, if: 'span.e =~ \"o.*r\"'}\n"
    "  - {name: m1, on: span, if: 'span.e =~ \"z\"'}\n"
    "  - {name: w, on: webhook, if: 'body.a.b = 1 && body.a.c = \"k\"'}\n"
    "  - {name: v, on: webhook, if: 'body.i[*].s = \"k\" || body.i[0].s > body.a.b || body.i[*].s =~ \"x\"'}\n"
    "  - {name: a0, on: span, if: '(span.c + span.b) * 2 > span.c - 1 || -span.b < span.d'}\n"
    "  - {name: a1, on: span, timezone: Europe/Berlin, if: 'time_of_day > 12:00 || weekday = monday'}\n"
    "  - {name: a2, on: span, if: 'span.a in cidr [\"10.0.0.0/8\", \"fd00::/8\"] && span.a startsWith span.e'}\n"
    "  - {name: e0, on: span, if: 'exists span.f'}\n"
    "  - {name: e1, on: span, if: 'span.f startsWith \"x\"'}\n"
    "  - {name: e2, on: span, if: 'span.f endsWith \"x\"'}\n"
    "  - {name: e3, on: span, if: 'span.f'}\n"
    "  - {name: t0, when: '{span.a = \"x\"} && !{root}', always: '{span.b = 1} || {span.c > 4}', never: '{span.a = \"y\"}'}\n"
    "  - {name: t1, when: '{span.a = \"z\"}', never: '{span.a = \"v\"}'}\n"
    "  - {name: t2, when: '!{span.a = \"z\"}', never: '!{span.a = \"v\"}'}\n"
    "  - {name: f0, when: '{span.a = \"x\"}', never: 'count({span.a = \"y\"}) > 3 || max({span.a = \"z\"}, span.b * 2) > 9'}\n"
    "  - {name: f1, when: '{span.a = \"x\"}', never: '{span.a = \"x\"} >> {span.b = 1} && {span.b = 2} then {span.b = 1} within "
    "3s'}\n"
    "  - {name: f2, when: '{span.a = \"x\"} !~ {root}', always: 'sum({root}, span.c) <= avg({span.b = 1}, duration)'}\n"
    "  - {name: f3, when: '{span.a = \"x\"}', never: '{span.a = \"x\"} not followed by {span.b = 2} within 1ns'}\n"
    "  - {name: f4, when: '{span.a = \"x\"}', always: '{span.b = 77}', never: 'trace.span_count > 500', within: 1ns}\n"
    "  - {name: f5, when: '{span.a = \"x\"}', never: 'trace.duration > 500ms && {root} !< {span.b = 1}'}\n";

#define WRITABLE(pointer) ((void *)(uintptr_t)(pointer))

struct words {
  uint32_t *at;
  size_t count;
};

#define WORDS_MAX 384
static struct words all_words[WORDS_MAX];
static unsigned all_count;

static void add_words(const void *at, size_t bytes) {
  const size_t skipped = -(uintptr_t)at % sizeof(uint32_t); /* lists of 16 bits may begin in the middle of a word */
  if (bytes < skipped + sizeof(uint32_t)) return;
  assert_true(all_count < WORDS_MAX);
  all_words[all_count++] = (struct words){.at = WRITABLE((uintptr_t)at + skipped), .count = (bytes - skipped) / sizeof(uint32_t)};
}

static void add_program(const struct image_program *program) { add_words(program->operations, program->count * 4ull); }

static void add_candidates(const struct image_kind *kind, const struct image_candidates *candidates) {
  if (candidates->first_of_match) {
    add_words(candidates->first_of_match, (kind->predicate_count + 1) * 4ull);
    add_words(candidates->programs_of_matches, candidates->match_program_count * 4ull);
  }
  for (uint32_t i = 0; i < candidates->key_count; i++) {
    const struct image_key *key = &candidates->keys[i];
    if (key->constants) add_words(key->first, (key->constants + 1) * 4ull);
    if (key->constants) add_words(key->equals, key->constants * 4ull);
    add_words(key->programs, key->program_count * 4ull);
    for (uint32_t n = 0; n < key->number_slots; n++) add_words(&key->numbers[n].first, 8);
    for (uint32_t l = 0; l < key->above_count; l++) add_words(&key->above[l].program, 4);
    for (uint32_t l = 0; l < key->below_count; l++) add_words(&key->below[l].constant.integer, 8);
  }
}

static void add_bit_list(const struct image_trace_index *index, const struct image_bit_list *list) {
  add_words(list->first, (index->bits + 1) * 4ull);
  add_words(list->numbers, list->count * 2ull);
}

static void add_trace_index(const struct rule_image *image) {
  const struct image_trace_index *index = &image->traces;
  add_bit_list(index, &index->mentions);
  add_bit_list(index, &index->columns);
  add_bit_list(index, &index->complete);
  add_bit_list(index, &index->never);
  add_words(index->complete_always.rules, index->complete_always.count * 2ull);
  add_words(index->never_always.rules, index->never_always.count * 2ull);
  add_words(index->by_identity, image->trace_rule_count * 2ull);
  for (uint32_t i = 0; i < image->trace_rule_count; i++) {
    add_words(&image->trace_rules[i].identity, 4);
    add_words(image->trace_rules[i].selectors, image->trace_rules[i].selector_count * sizeof *image->trace_rules[i].selectors);
  }
}

static void add_fact_list(const struct image_fact_list *list, uint32_t keys) {
  add_words(list->first, (keys + 1) * 4ull);
  add_words(list->numbers, list->count * 2ull);
}

static void add_story(const struct rule_image *image) {
  const struct image_story *story = &image->story;
  add_fact_list(&story->early, story->bits);
  add_fact_list(&story->timed, story->bits);
  add_fact_list(&story->measured, story->bits);
  add_fact_list(&story->within, story->bits);
  add_fact_list(&story->rules, story->fact_count);
  add_words(story->early_of_all, story->early_of_all_count * 2ull);
  add_words(story->kept, (story->bits + 63) / 64 * 8ull);
  for (uint32_t i = 0; i < story->fact_count; i++) {
    add_words(&story->facts[i], offsetof(struct image_fact, left.constant));
    add_words(&story->facts[i].right, offsetof(struct image_measure, constant));
    add_words(&story->facts[i].within_ns, 12);
  }
  for (uint32_t i = 0; i < image->trace_rule_count; i++)
    add_words(image->trace_rules[i].anchors, image->trace_rules[i].anchor_count * 2ull);
}

static void collect(const struct rule_image *image) {
  const struct image_kind *spans = &image->kinds[EVENT_SPAN], *webhooks = &image->kinds[EVENT_WEBHOOK];
  all_count = 0;
  for (uint32_t i = 0; i < spans->rule_count; i++) add_program(&spans->rules[i].condition);
  for (uint32_t i = 0; i < image->selector_count; i++) {
    add_program(&image->selectors[i].condition);
    add_words(&image->selectors[i].bit, 4);
  }
  for (uint32_t i = 0; i < image->trace_rule_count; i++) {
    add_program(&image->trace_rules[i].when);
    add_program(&image->trace_rules[i].always);
    add_program(&image->trace_rules[i].never);
  }
  for (uint32_t i = 0; i < spans->column_count; i++)
    for (uint32_t d = 0; d < spans->columns[i].dictionary_slots; d++) add_words(&spans->columns[i].dictionary[d].id, 4);
  for (uint32_t i = 0; i < spans->predicate_count; i++) add_words(&spans->predicates[i].interned, 4);
  for (uint32_t i = 0; i < spans->predicate_count; i++)
    if (spans->predicates[i].list_interned) add_words(spans->predicates[i].list_interned, spans->predicates[i].list_count * 4ull);
  for (uint32_t i = 0; i < spans->predicate_count; i++)
    if (spans->predicates[i].between) add_words(&spans->predicates[i].column, 4);
  for (uint32_t i = 0; i < spans->column_count; i++)
    if (spans->columns[i].computation) {
      add_words(spans->columns[i].computation, 4);
      add_words(&spans->columns[i].computation->left, sizeof(struct image_operand));
      add_words(&spans->columns[i].computation->right, sizeof(struct image_operand));
    }
  for (uint32_t i = 0; i < image->zone_count; i++)
    add_words(image->zones[i].changes, image->zones[i].change_count * sizeof(struct image_zone_change));
  add_words(spans->lookup, spans->lookup_slots * 2ull);
  for (uint32_t i = 0; i < webhooks->path_count; i++) add_words(&webhooks->paths[i], sizeof webhooks->paths[i]);
  for (uint32_t i = 0; i < webhooks->path_edge_count; i++) add_words(&webhooks->path_edges[i].node, 4);
  add_words(webhooks->path_slots, webhooks->path_slot_count / 2 * 4);
  add_candidates(spans, &spans->candidates);
  add_candidates(spans, &image->selector_candidates);
  add_trace_index(image);
  add_story(image);
}

struct world {
  struct heap_arena *heap;
  struct engine_config config;
  struct engine *engine;
  struct rule_image *image;
};

static void open_world(struct world *world) {
  *world = (struct world){.heap = heap_arena_create(), .image = compile_text(text)};
  struct arena *arena = heap_arena_arena(world->heap);
  world->config = (struct engine_config){
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  world->config.records = record_ring_create(arena, 1u << 20);
  world->config.digests_to[0] = line_ring_create(arena, 1u << 12);
  world->engine = engine_create(arena, &world->config, 1);
  assert_non_null(world->engine);
  assert_int_equal(world->image->kinds[EVENT_SPAN].candidates.key_count, 5);
  assert_int_equal(world->image->kinds[EVENT_SPAN].candidates.match_program_count, 8);
}

static void close_world(struct world *world) {
  rule_image_free(world->image);
  heap_arena_destroy(world->heap);
}

static void run(struct world *world) {
  static const char *const texts[] = {"x", "y", "z", "v", "other"};
  engine_adopt(world->engine, world->image);
  struct event_batch *batch = engine_batch(world->engine, EVENT_SPAN);
  for (unsigned row = 0; row < 20; row++) {
    const uint32_t at = event_batch_add(batch);
    batch->fields[at].name = (struct event_text){"operation", 9};
    batch->fields[at].end_ns = 3;
    batch->fields[at].trace_id[0] = 1;
    batch->fields[at].span_id[0] = (uint8_t)(row / 2 + 1);
    batch->fields[at].has_parent = row % 3 > 0;
    batch->fields[at].parent_id[0] = (uint8_t)(row / 4 + 1);
    for (unsigned key = 0; key < 5; key++) {
      const char name = (char)('a' + key);
      const int slot = event_column_find(world->image, EVENT_SPAN, SCOPE_SPAN, &name, 1);
      const struct value value =
          key == 0 || key == 4
              ? (struct value){.text = texts[row % 5], .length = (uint32_t)strlen(texts[row % 5]), .type = VALUE_STRING}
              : (struct value){.integer = row % 7, .type = VALUE_INTEGER};
      event_batch_set(batch, at, slot, &value);
    }
  }
  assert_true(engine_evaluate(world->engine, batch, 2, 3));
  engine_commit(world->engine);
  for (const void *digest; (digest = line_ring_peek(world->config.digests_to[0])); line_ring_consume(world->config.digests_to[0]))
    engine_apply_digest(world->engine, digest, 3, 4);
  while (engine_expire(world->engine, 5, 6, 100) > 0) continue;
  engine_drain(world->engine, 5, 6, 100);
  uint32_t bytes;
  while (record_ring_peek(world->config.records, &bytes)) record_ring_advance(world->config.records);
}

static void test_any_damage(void **state) {
  (void)state;
  struct world world;
  srandom(3);
  open_world(&world);
  collect(world.image);
  unsigned refused = 0, run_well = 0;
  for (int round = 0; round < 40000; round++) {
    const struct words *words = &all_words[(size_t)random() % all_count];
    uint32_t *word = &words->at[(size_t)random() % words->count];
    const uint32_t before = *word;
    const long pick = random() % 4;
    *word = pick == 0   ? (uint32_t)random() % 40
            : pick == 1 ? (uint32_t)-1 - (uint32_t)(random() % 4)
            : pick == 2 ? before + 1
                        : (uint32_t)random();
    if (engine_image_fits(world.image, RULE_COLUMNS_MAX)) {
      run_well++;
      run(&world);
    } else {
      refused++;
    }
    *word = before;
  }
  assert_true(engine_image_fits(world.image, RULE_COLUMNS_MAX));
  run(&world);
  assert_true(refused > 10000 && run_well > 1000);
  close_world(&world);
}

/* A word that must not have this value. */
static void check_refused_at(int line, struct rule_image *image, const void *at, size_t bytes, uint32_t value) {
  uint8_t before[4];
  memcpy(before, at, bytes);
  assert_memory_not_equal(before, &value, bytes);
  memcpy(WRITABLE(at), &value, bytes);
  if (engine_image_fits(image, RULE_COLUMNS_MAX)) fail_msg("the damage of line %d is let through", line);
  memcpy(WRITABLE(at), before, bytes);
  assert_true(engine_image_fits(image, RULE_COLUMNS_MAX));
}

#define check_refused(...) check_refused_at(__LINE__, __VA_ARGS__)

/* Facts between the spans of a trace. */
static void check_story(struct rule_image *image) {
  const struct image_story *story = &image->story;
  const struct image_fact_list *lists[] = {&story->early, &story->timed, &story->measured, &story->within, &story->rules};
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
    const uint32_t keys = i == 4 ? story->fact_count : story->bits;
    assert_true(lists[i]->count > 0);
    check_refused(image, &lists[i]->first[0], 4, 1);
    check_refused(image, &lists[i]->first[keys], 4, lists[i]->count + 1);
    check_refused(image, &lists[i]->numbers[0], 2, 0xffff);
  }
  uint32_t count = 0, ordered = 0, negated = 0;
  for (uint32_t i = 0; i < story->fact_count; i++) {
    if (story->facts[i].left.kind == MEASURE_COUNT) count = i;
    if (story->facts[i].sort == FACT_ORDERED && !story->facts[i].negated) ordered = i;
    if (story->facts[i].sort == FACT_ORDERED && story->facts[i].negated) negated = i;
  }
  check_refused(image, &story->bits, 4, story->bits - 1);
  check_refused(image, &story->fact_count, 4, IMAGE_FACTS_MAX + 1);
  check_refused(image, &story->facts[count].sort, 1, FACT_RELATED + 1);
  check_refused(image, &story->facts[count].operation, 1, PREDICATE_MATCHES);
  check_refused(image, &story->facts[count].operation, 1, PREDICATE_LESS); /* early, but it could become false again */
  check_refused(image, &story->facts[count].monotone, 1, false);
  check_refused(image, &story->facts[count].left.kind, 1, MEASURE_SPAN_COUNT + 1);
  check_refused(image, &story->facts[count].left.kind, 1, MEASURE_SUM);
  check_refused(image, &story->facts[count].left.bit, 2, (uint16_t)story->bits);
  check_refused(image, &story->facts[count].right.constant.type, 4, VALUE_STRING);
  check_refused(image, &story->facts[ordered].left_bit, 2, (uint16_t)story->bits);
  check_refused(image, &story->facts[ordered].right_bit, 2, (uint16_t)story->bits);
  check_refused(image, &story->facts[ordered].early, 1, false);
  check_refused(image, &story->facts[ordered].negated, 1, true);
  check_refused(image, &story->facts[ordered].identity, 4, 0);
  check_refused(image, &story->facts[negated].sort, 1, FACT_RELATED);
  check_refused(image, &story->early_of_all[0], 2, story->fact_count);
  check_refused(image, &story->early_of_all[0], 2, negated);
  check_refused(image, &image->trace_rules[3].needs_story, 1, false);
}

/* Computed columns, comparisons of two, networks, time zones, presence. */
static void check_values(struct rule_image *image, const struct image_kind *spans) {
  const struct image_computation *sum = NULL, *product = NULL;
  uint32_t product_at = 0, calendar_at = 0, pair_at = 0, networks_at = 0;
  for (uint32_t i = 0; i < spans->column_count; i++) {
    const struct image_computation *computation = spans->columns[i].computation;
    if (computation && computation->computation == COMPUTE_ADD) sum = computation;
    if (computation && computation->computation == COMPUTE_MULTIPLY) {
      product = computation;
      product_at = i;
    }
    if (spans->columns[i].intrinsic == INTRINSIC_WEEKDAY && spans->columns[i].scope == SCOPE_INTRINSIC) calendar_at = i;
  }
  for (uint32_t i = 0; i < spans->predicate_count; i++) {
    if (spans->predicates[i].between) pair_at = i;
    if (spans->predicates[i].operation == PREDICATE_IN_NETWORKS) networks_at = i;
  }
  assert_true(sum && product && calendar_at && pair_at && networks_at);
  check_refused(image, &product->left.column, 2, product_at); /* of itself */
  check_refused(image, &product->left.column, 2, product_at + 1);
  check_refused(image, &sum->right.column, 2, product_at); /* of what is made of it */
  check_refused(image, &sum->computation, 4, COMPUTE_NEGATE + 1);
  check_refused(image, &product->right.constant.type, 4, VALUE_STRING);
  check_refused(image, &spans->columns[product_at].scope, 4, SCOPE_SPAN);
  check_refused(image, &spans->columns[0].scope, 4, SCOPE_COMPUTED);
  check_refused(image, &spans->columns[0].every, 1, true);
  check_refused(image, &spans->columns[calendar_at].zone, 2, image->zone_count);
  check_refused(image, &spans->columns[calendar_at].intrinsic, 4, INTRINSICS);
  check_refused(image, &image->zones[0].change_count, 4, 0);
  check_refused(image, &image->zones[0].changes[0].from_s, 4, 1);
  check_refused(image, &image->zones[0].changes[1].offset_s, 4, ZONE_OFFSET_MAX_S + 1);
  check_refused(image, &image->zone_count, 4, 0);
  check_refused(image, &spans->predicates[pair_at].other, 2, spans->column_count);
  check_refused(image, &spans->predicates[pair_at].operation, 1, PREDICATE_IN);
  check_refused(image, &spans->predicates[pair_at].operation, 1, PREDICATE_NOT_MATCHES);
  check_refused(image, &spans->predicates[pair_at].scanned, 1, true);
  check_refused(image, &spans->predicates[networks_at].networks[0].prefix_bits, 1, 129);
  const struct image_candidates *candidates = &spans->candidates;
  bool present = false;
  for (uint32_t i = 0; i < candidates->key_count; i++) {
    const struct image_key *key = &candidates->keys[i];
    if (!key->present_count) continue;
    present = true;
    check_refused(image, &key->present[0], 4, spans->rule_count);
    if (i + 1 == candidates->key_count) check_refused(image, &key->column, 2, product_at);
  }
  assert_true(present);
}

static void test_each_damage(void **state) {
  (void)state;
  struct world world;
  open_world(&world);
  struct rule_image *image = world.image;
  const struct image_kind *spans = &image->kinds[EVENT_SPAN], *webhooks = &image->kinds[EVENT_WEBHOOK];
  const struct image_program *program = &spans->rules[0].condition;
  assert_true(program->conjunction);
  assert_false(engine_image_fits(image, spans->column_count - 1));
  check_refused(image, &program->operations[0], 4, spans->predicate_count);
  check_refused(image, &program->operations[0], 4, PROGRAM_NOT);
  check_refused(image, &program->operations[1], 4, PROGRAM_AND);
  check_refused(image, &program->operations[2], 4, PROGRAM_OR);
  check_refused(image, &program->operations[2], 4, 0);
  check_refused(image, &spans->predicates[0].column, 2, spans->column_count);
  check_refused(image, &spans->predicates[0].operation, 1, PREDICATE_CONSTANT + 1);
  check_refused(image, &spans->predicates[0].operation, 1, PREDICATE_MATCHES);
  check_refused(image, &spans->predicates[0].interned, 4, 1000);
  check_refused(image, &spans->rules[0].attributes[0], 2, spans->column_count);
  check_refused(image, &spans->rules[0].message[0].slot, 4, spans->column_count);
  check_refused(image, &spans->lookup[0], 2, spans->column_count);
  check_refused(image, &spans->lookup_slots, 4, spans->lookup_slots - 1);
  check_values(image, spans);
  check_refused(image, &webhooks->paths[0].first_member, 4, webhooks->path_edge_count + 1);
  check_refused(image, &webhooks->paths[0].member_count, 4, webhooks->path_edge_count + 1);
  check_refused(image, &webhooks->paths[1].every, 4, 1);
  check_refused(image, &webhooks->paths[1].slot_count, 4, webhooks->path_slot_count + 1);
  check_refused(image, &webhooks->path_edges[0].node, 4, 0);
  check_refused(image, &webhooks->path_edges[0].node, 4, webhooks->path_count);
  check_refused(image, &webhooks->path_slots[0], 2, webhooks->column_count);
  const struct image_trace_index *traces = &image->traces;
  check_refused(image, &image->selectors[0].bit, 4, traces->bits);
  check_refused(image, &traces->bits, 4, IMAGE_SELECTORS_MAX + 1);
  check_refused(image, &traces->by_identity[0], 2, image->trace_rule_count);
  check_refused(image, &traces->by_identity[1], 2, traces->by_identity[0]);
  check_refused(image, &image->trace_rules[0].identity, 4, 0);
  check_refused(image, &image->trace_rules[0].selectors[0].bit, 2, (uint16_t)traces->bits);
  const struct image_bit_list *lists[] = {&traces->mentions, &traces->columns, &traces->complete, &traces->never};
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
    assert_true(lists[i]->count > 0);
    check_refused(image, &lists[i]->first[traces->bits], 4, lists[i]->count + 1);
    check_refused(image, &lists[i]->first[0], 4, lists[i]->count + 1);
    check_refused(image, &lists[i]->numbers[0], 2, i == 1 ? spans->column_count : image->trace_rule_count);
  }
  assert_true(traces->complete_always.count > 0 && traces->never_always.count > 0);
  check_refused(image, &traces->complete_always.rules[0], 2, image->trace_rule_count);
  check_refused(image, &traces->never_always.rules[0], 2, image->trace_rule_count);
  check_refused(image, &traces->complete_always.count, 4, image->trace_rule_count + 1);
  check_refused(image, &traces->never_always.count, 4, image->trace_rule_count + 1);
  check_refused(image, &image->trace_rules[1].trace_rule, 4, 0);
  check_story(image);
  check_refused(image, &image->trace_rules[0].when.operations[0], 4, IMAGE_SELECTORS_MAX);
  const struct image_candidates *candidates = &spans->candidates;
  const struct image_key *strings = NULL, *numbers = NULL, *limits = NULL, *searches = NULL;
  for (uint32_t i = 0; i < candidates->key_count; i++) {
    if (candidates->keys[i].literals) searches = &candidates->keys[i];
    if (candidates->keys[i].constants) strings = &candidates->keys[i];
    if (candidates->keys[i].number_slots && !candidates->keys[i].constants) numbers = &candidates->keys[i];
    if (candidates->keys[i].above_count) limits = &candidates->keys[i];
  }
  assert_true(strings && numbers && limits && searches && searches->patterns);
  check_refused(image, &candidates->keys[1].column, 2, candidates->keys[0].column);
  check_refused(image, &candidates->keys[2].column, 2, spans->column_count);
  check_refused(image, &strings->patterns, 1, true);
  check_refused(image, &strings->literals, 1, true);
  check_refused(image, &searches->column, 2, limits->column);
  check_refused(image, &candidates->first_of_match[1], 4, 1000);
  check_refused(image, &candidates->first_of_match[spans->predicate_count], 4, candidates->match_program_count + 1);
  check_refused(image, &candidates->programs_of_matches[0], 4, spans->rule_count);
  check_refused(image, &spans->predicates[0].scanned, 1, true);
  check_refused(image, &strings->constants, 4, strings->constants - 1);
  check_refused(image, &strings->first[strings->constants], 4, strings->program_count + 1);
  check_refused(image, &strings->first[0], 4, 1000);
  check_refused(image, &strings->equals[0], 4, spans->predicate_count);
  check_refused(image, &strings->equals[0], 4, strings->equals[1]);
  check_refused(image, &strings->programs[0], 4, spans->rule_count);
  check_refused(image, &limits->above[0].program, 4, spans->rule_count);
  check_refused(image, &limits->above[0].constant.integer, 4, 100);
  check_refused(image, &limits->below[0].constant.integer, 4, 0);
  check_refused(image, &limits->above[0].constant.type, 4, VALUE_STRING);
  for (uint32_t i = 0; i < numbers->number_slots; i++)
    if (numbers->numbers[i].constant.type != VALUE_NULL) {
      check_refused(image, &numbers->numbers[i].end, 4, numbers->program_count + 1);
      check_refused(image, &numbers->numbers[i].first, 4, numbers->program_count + 1);
    }
  check_refused(image, &numbers->number_slots, 4, numbers->number_slots - 1);
  close_world(&world);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_damage),
      cmocka_unit_test(test_any_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
