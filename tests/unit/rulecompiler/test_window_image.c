/* Window rules from text to image: canonical text, what a window keeps over generations, and that a damaged image is refused or
 * does no harm. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"

static const char text[] =
    "rules:\n"
    "  - {name: a, on: span, if: 'span.k = 1', window: 'count by service over 60s>3', message: '${value} ${count} ${service}'}\n"
    "  - {name: b, on: span, if: 'span.k = 1', window: sum(span.a * 2) over 6s <= -2.5, for: 2000ms, repeat_after: 3s}\n"
    "  - {name: c, on: span, if: 'span.k = 1', window: 'p99(duration) by (name, span.\"o d''d\") over 1h == 90s'}\n"
    "  - {name: d, on: span, if: 'span.k = 1', window: change(avg(span.a)) over 10m >= 1}\n"
    "  - {name: e, on: span, if: 'span.k = 1', window: absent by (service) for 90s}\n"
    "  - {name: f, on: span, if: 'span.k = 1', window: distinct(span.a) over 1m != 7}\n"
    "  - {name: g, on: span, if: 'span.k = 1', suppress: {for: 1h, by: [service, 'span.\"o d''d\"']}}\n"
    "  - {name: h, on: span, if: 'span.k = 1', threshold: {by: [span.a], count: 3, over: 1m}, repeat_after: 2m}\n"
    "  - {name: i, on: webhook, if: 'body.a = 1', window: rate by (body.b) over 1s < 2}\n"
    "  - {name: j, on: alert, if: 'status = firing', window: min(label.x) over 1s < 2}\n"
    "  - {name: k, when: '{span.k = 1}', never: '{span.a = 1}', suppress: {for: 100ms}}\n";

static void test_canonical_text_reads_back(void **state) {
  (void)state;
  struct rule_set *set = parse_good(text);
  size_t length, again_length;
  char *canonical = rule_set_text(set, &length);
  struct rule_set *again = parse_good(canonical);
  char *twice = rule_set_text(again, &again_length);
  assert_string_equal(canonical, twice);
  assert_non_null(strstr(canonical, "window: 'count by (service) over 1m > 3'\n"));
  assert_non_null(strstr(canonical, "window: 'sum(span.a * 2) over 6s <= -2.5'\n    for: 2s\n    repeat_after: 3s\n"));
  assert_non_null(strstr(canonical, "window: 'p99(duration) by (name, span.\"o d''d\") over 1h = 90s'\n"));
  assert_non_null(strstr(canonical, "suppress: {by: ['service', 'span.\"o d''d\"'], for: 1h}\n"));
  assert_non_null(strstr(canonical, "threshold: {by: ['span.a'], count: 3, over: 1m}\n    repeat_after: 2m\n"));
  assert_string_equal(rule_set_find(set, "h")->window_text, "count by (span.a) over 1m >= 3");
  const struct rule_set_difference difference = rule_set_compare(again, set);
  assert_int_equal(difference.unchanged, 11);
  free(canonical);
  free(twice);
  rule_set_free(set);
  rule_set_free(again);
}

static uint32_t identity(const struct rule_image *image, const char *name) {
  for (uint32_t i = 0; i < image->window_count; i++) {
    const struct image_window *window = &image->windows[i];
    const struct image_rule *rule =
        window->of_trace ? &image->trace_rules[window->rule] : &image->kinds[window->kind].rules[window->rule];
    assert_int_equal(rule->window, i + 1);
    if (rule->name.length == strlen(name) && memcmp(rule->name.at, name, rule->name.length) == 0) return window->identity;
  }
  return 0;
}

static struct rule_image *next(const char *rules, uint64_t generation, const struct rule_image *before) {
  struct rule_set *set = parse_good(rules);
  struct rule_image *image = compile_good(set, generation, before, 1);
  assert_true(engine_image_fits(image, RULE_COLUMNS_MAX));
  rule_set_free(set);
  return image;
}

#define BUSY(name, condition, more) "  - {name: " name ", on: span, if: '" condition "', window: count over 60s > 3" more "}\n"

static void test_identities(void **state) {
  (void)state;
  struct rule_image *one = next("rules:\n" BUSY("a", "root", "") BUSY("b", "root", "") BUSY("c", "root", ""), 1, NULL);
  struct rule_image *two = next("rules:\n" BUSY("z", "root", "") BUSY("c", "root", ", description: words, severity: low")
                                    BUSY("b", "!root", "") BUSY("a", "root", ", for: 1s"),
                                2, one);
  assert_int_equal(identity(two, "c"), identity(one, "c"));
  const uint32_t changed[] = {identity(two, "a"), identity(two, "b"), identity(two, "z")};
  for (unsigned i = 0; i < 3; i++) assert_true(changed[i] > identity(one, "c"));
  struct rule_image *three = next("rules:\n" BUSY("a", "root", "") BUSY("c", "root", ""), 3, two);
  assert_int_equal(identity(three, "c"), identity(one, "c"));
  assert_true(identity(three, "a") > changed[0] && identity(three, "a") > changed[2]); /* what it knew is gone */
  rule_image_free(one);
  rule_image_free(two);
  rule_image_free(three);
}

#define WRITABLE(pointer) ((void *)(uintptr_t)(pointer))

static void check_refused_at(int line, const struct rule_image *image, const void *at, size_t bytes, uint64_t value) {
  uint8_t before[8];
  memcpy(before, at, bytes);
  memcpy(WRITABLE(at), &value, bytes);
  if (engine_image_fits(image, RULE_COLUMNS_MAX)) fail_msg("the damage of line %d is let through", line);
  memcpy(WRITABLE(at), before, bytes);
  assert_true(engine_image_fits(image, RULE_COLUMNS_MAX));
}
#define check_refused(image, field, value) check_refused_at(__LINE__, image, &(field), sizeof(field), value)

static const struct image_window *find(const struct rule_image *image, const char *name) {
  const uint32_t wanted = identity(image, name);
  uint32_t i = 0;
  while (image->windows[i].identity != wanted) i++;
  return &image->windows[i];
}

static void test_each_damage(void **state) {
  (void)state;
  struct rule_image *image = next(text, 1, NULL);
  const struct image_window *a = find(image, "a"), *b = find(image, "b"), *c = find(image, "c"), *e = find(image, "e"),
                            *g = find(image, "g"), *h = find(image, "h"), *k = find(image, "k");
  const uint32_t columns = image->kinds[EVENT_SPAN].column_count;
  check_refused(image, image->window_count, image->window_count - 1);
  check_refused(image, b->identity, a->identity);
  check_refused(image, a->rule, image->kinds[EVENT_SPAN].rule_count);
  check_refused(image, a->rule, b->rule);
  check_refused(image, a->kind, EVENT_WEBHOOK);
  check_refused(image, a->kind, EVENT_KINDS);
  check_refused(image, a->function, WINDOW_FUNCTIONS);
  check_refused(image, a->function, WINDOW_SUM);
  check_refused(image, a->function, WINDOW_ABSENT);
  check_refused(image, a->key_count, IMAGE_WINDOW_KEYS_MAX + 1);
  check_refused(image, a->key_columns[0], columns);
  check_refused(image, a->comparison, PREDICATE_MATCHES);
  check_refused(image, a->limit.type, VALUE_STRING);
  check_refused(image, a->limit.type, VALUE_NULL);
  check_refused(image, a->steps, 0);
  check_refused(image, a->steps, 61);
  check_refused(image, a->step_ns, 0);
  check_refused(image, a->over_ns, 0);
  check_refused(image, a->over_ns, UINT64_MAX);
  check_refused(image, b->for_ns, UINT64_MAX);
  check_refused(image, b->repeat_after_ns, UINT64_MAX);
  check_refused(image, b->value_column, columns);
  check_refused(image, b->value_column, IMAGE_WINDOW_NO_COLUMN);
  check_refused(image, b->carries_event, true);
  check_refused(image, c->change, true);
  check_refused(image, c->steps, IMAGE_WINDOW_STEPS);
  check_refused(image, c->function, WINDOW_MAXIMUM);
  const double quantiles[] = {0, 1, -1, 2, 0.0 / 0.0};
  for (unsigned i = 0; i < 5; i++) {
    uint64_t bits;
    memcpy(&bits, &quantiles[i], sizeof bits);
    check_refused(image, c->quantile, bits);
  }
  check_refused(image, e->for_ns, 1);
  check_refused(image, g->repeat_after_ns, 0);
  check_refused(image, g->carries_event, false);
  check_refused(image, h->of_trace, true);
  check_refused(image, k->of_trace, false);
  const struct image_rule *rules = image->kinds[EVENT_SPAN].rules;
  check_refused(image, rules[a->rule].window, 0);
  check_refused(image, rules[a->rule].window, image->window_count + 1);
  check_refused(image, rules[a->rule].window, rules[b->rule].window);
  check_refused(image, rules[a->rule].message[0].slot, (uint32_t)-4);
  check_refused(image, rules[g->rule].message[0].slot, (uint32_t)IMAGE_MESSAGE_VALUE);
  rule_image_free(image);
}

struct world {
  struct heap_arena *heap;
  struct engine_config config;
  struct engine *engine;
  uint64_t now_ns;
};

static void open_world(struct world *world) {
  *world = (struct world){.heap = heap_arena_create(), .now_ns = 1000000000};
  struct arena *arena = heap_arena_arena(world->heap);
  world->config = (struct engine_config){.shards = 1,
                                         .column_capacity = RULE_COLUMNS_MAX,
                                         .traces_max = 16,
                                         .captures_max = 16,
                                         .idle_ns = 1,
                                         .window_keys_max = 24,
                                         .window_blocks_max = 64};
  world->config.records = record_ring_create(arena, 1u << 16);
  world->config.digests_to[0] = line_ring_create(arena, 1u << 12);
  world->engine = engine_create(arena, &world->config, world->now_ns);
  assert_non_null(world->engine);
}

static void run(struct world *world, const struct rule_image *image) {
  static const char *const services[] = {"x", "y", "z"};
  engine_adopt(world->engine, image);
  struct event_batch *batch = engine_batch(world->engine, EVENT_SPAN);
  for (unsigned row = 0; row < 12; row++) {
    const uint32_t at = event_batch_add(batch);
    batch->fields[at].service = (struct event_text){services[row % 3], 1};
    batch->fields[at].name = (struct event_text){"operation", 9};
    batch->fields[at].end_ns = row;
    const struct value one = {.integer = 1, .type = VALUE_INTEGER}, value = {.integer = row % 5, .type = VALUE_INTEGER};
    event_batch_set(batch, at, event_column_find(image, EVENT_SPAN, SCOPE_SPAN, "k", 1), &one);
    event_batch_set(batch, at, event_column_find(image, EVENT_SPAN, SCOPE_SPAN, "a", 1), &value);
  }
  world->now_ns += (uint64_t)random() % 40000000;
  assert_true(engine_evaluate(world->engine, batch, world->now_ns, world->now_ns));
  engine_commit(world->engine);
  struct line_ring *ring = world->config.digests_to[0];
  for (const void *digest; (digest = line_ring_peek(ring)); line_ring_consume(ring)) {
    if (((const struct line_header *)digest)->type == LINE_WINDOW_DIGEST)
      engine_apply_window(world->engine, digest, world->now_ns, world->now_ns);
    else
      engine_apply_digest(world->engine, digest, world->now_ns, world->now_ns);
  }
  engine_expire(world->engine, world->now_ns, world->now_ns, 100);
  uint32_t bytes;
  while (record_ring_peek(world->config.records, &bytes)) record_ring_advance(world->config.records);
}

/* The generation tells the engine that an image is another; a published one never changes. */
static void test_any_damage(void **state) {
  (void)state;
  struct world world;
  unsigned refused = 0, ran = 0;
  srandom(5);
  open_world(&world);
  struct rule_image *image = next(text, 1, NULL);
  for (unsigned round = 0; round < 20000; round++) {
    struct image_window *window = (struct image_window *)WRITABLE(&image->windows[(uint32_t)random() % image->window_count]);
    const struct image_window before = *window;
    const uint64_t wild = random() % 2 ? (uint64_t)random() % 70 : (uint64_t)random() << 33 ^ (uint64_t)random();
    void *const fields[] = {&window->identity,       &window->rule,           &window->function,       &window->limit.integer,
                            &window->quantile,       &window->key_count,      &window->over_ns,        &window->steps,
                            &window->step_ns,        &window->for_ns,         &window->kind,           &window->for_ns,
                            &window->limit.type,     &window->value_column,   &window->key_columns[0], &window->comparison,
                            &window->key_columns[7], &window->repeat_after_ns};
    static const unsigned char sizes[] = {4, 4, 4, 8, 8, 4, 8, 4, 8, 8, 4, 8, 4, 2, 2, 1, 2, 8};
    const size_t field = (size_t)random() % sizeof sizes;
    memcpy(fields[field], &wild, sizes[field]);
    image->generation++;
    if (engine_image_fits(image, RULE_COLUMNS_MAX)) {
      run(&world, image);
      ran++;
    } else {
      refused++;
    }
    *window = before;
  }
  const struct engine_counters *counters = engine_counters(world.engine);
  assert_int_equal(counters->window_keys_opened, counters->window_keys_expired + counters->window_keys_evicted +
                                                     counters->window_keys_dropped + counters->window_keys_live);
  assert_true(refused > 5000 && ran > 2000);
  rule_image_free(image);
  heap_arena_destroy(world.heap);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_canonical_text_reads_back),
      cmocka_unit_test(test_identities),
      cmocka_unit_test(test_each_damage),
      cmocka_unit_test(test_any_damage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
