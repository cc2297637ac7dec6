/* Window rules through real engines, in virtual time: what each function gives, when a key fires and when it is silent, what a
 * full table, a full ring and new rules do. */
#include "engine_rig.h"
#include "window_firings.h"
#include "window_model.h"
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct rig_limits roomy = {1u << 20, 4096, 256, 512};

static const struct rig_span shop = {1, 11, "charge", "shop", 10, false}, site = {2, 21, "login", "site", 20, false};

static void send(struct engine_rig *rig, const struct rig_span *span, uint32_t times) {
  for (uint32_t i = 0; i < times; i++) assert_true(rig_send(rig, 0, span));
  rig_deliver(rig);
}

static const char busy[] = "rules:\n"
                           "  - {name: busy, on: span, if: 'name != \"\"', window: 'count by (service) over 60s > 3',\n"
                           "     message: '${service} had ${value} (${count})'}\n";

static void test_count_fires_once_each_time_it_becomes_true(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, busy);
  send(&rig, &shop, 3);
  send(&rig, &site, 3);
  assert_int_equal(read_firings(&rig).count, 0);
  send(&rig, &shop, 5);
  struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_string_equal(firings.at[0].rule, "busy");
  assert_string_equal(firings.at[0].key, "shop");
  assert_string_equal(firings.at[0].service, "shop");
  assert_string_equal(firings.at[0].message, "shop had 4 (4)");
  assert_int_equal(firings.at[0].count, 4);
  assert_true(firings.at[0].value == 4);
  assert_false(firings.at[0].has_trace);
  rig_pass(&rig, 30 * RIG_SECOND);
  send(&rig, &shop, 1); /* still more than three */
  assert_int_equal(read_firings(&rig).count, 0);
  rig_pass(&rig, 61 * RIG_SECOND); /* all are gone */
  send(&rig, &shop, 3);
  assert_int_equal(read_firings(&rig).count, 0);
  send(&rig, &shop, 1);
  assert_int_equal(read_firings(&rig).count, 1);
  rig_check_laws(&rig);
  rig_close(&rig);
}

/* Events of one instant, in one batch of one engine. */
static void feed(struct engine_rig *rig, uint32_t engine, const struct model_event *events, uint32_t count) {
  static const char *const names[MODEL_KEYS] = {"a", "b", "c", "d"};
  struct event_batch *batch = engine_batch(rig->engine[engine], EVENT_SPAN);
  const int slot = event_column_find(batch->image, EVENT_SPAN, SCOPE_SPAN, "amount", 6);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t row = event_batch_add(batch);
    const bool whole = events[i].key % 2 && events[i].value == trunc(events[i].value);
    const struct value value = whole ? (struct value){.integer = (int64_t)events[i].value, .type = VALUE_INTEGER}
                                     : (struct value){.real = events[i].value, .type = VALUE_DOUBLE};
    batch->fields[row].service = (struct event_text){names[events[i].key], 1};
    batch->fields[row].name = (struct event_text){"x", 1};
    batch->fields[row].start_ns = batch->fields[row].end_ns = rig->now_ns;
    if (events[i].has_value) event_batch_set(batch, row, slot, &value);
  }
  assert_true(engine_evaluate(rig->engine[engine], batch, rig->now_ns, rig->now_ns));
  engine_commit(rig->engine[engine]);
}

#define PASS_NS 20000000ull
static void pass_to(struct engine_rig *rig, uint64_t to_ns) {
  while (rig->now_ns < to_ns) rig_pass(rig, to_ns - rig->now_ns < PASS_NS ? to_ns - rig->now_ns : PASS_NS);
}

static double random_value(enum window_function function) {
  if (function == WINDOW_DISTINCT) return (double)(random() % 12);
  if (function == WINDOW_QUANTILE) return (double)(3 << random() % 8) * (1 + (double)(random() % 100) / 2000);
  return (double)(random() % 2000 - 500) / 4; /* sums are exact */
}

/* Bursts and quiet times; up to some windows long. */
static void make_events(struct model *model) {
  uint64_t now_ns = RIG_SECOND + (uint64_t)random() % RIG_SECOND;
  model->event_count = 0;
  while (model->event_count < 220) {
    const uint64_t over_ns = model->window->over_ns;
    const long gap = random() % 20;
    now_ns += gap == 0 ? over_ns * 2 : gap < 6 ? (uint64_t)random() % over_ns : (uint64_t)random() % (over_ns / 20);
    for (long burst = random() % 4; burst >= 0; burst--)
      model->events[model->event_count++] = (struct model_event){.arrival_ns = now_ns,
                                                                 .key = (uint32_t)random() % MODEL_KEYS,
                                                                 .has_value = random() % 8 != 0,
                                                                 .value = random_value(model->window->function)};
  }
}

static uint32_t run_engines(struct engine_rig *rig, const struct model *model, uint64_t end_ns) {
  for (uint32_t i = 0; i < model->event_count;) {
    uint32_t count = 1;
    pass_to(rig, model->events[i].arrival_ns);
    while (i + count < model->event_count && model->events[i + count].arrival_ns == model->events[i].arrival_ns) count++;
    feed(rig, (uint32_t)random() % rig->engines, &model->events[i], count);
    rig_deliver(rig);
    i += count;
  }
  pass_to(rig, end_ns);
  return model->event_count;
}

static int by_wall(const void *a, const void *b) {
  const struct firing *left = a, *right = b;
  if (left->wall_ns != right->wall_ns) return left->wall_ns < right->wall_ns ? -1 : 1;
  return strcmp(left->key, right->key);
}

/* Per key the same verdicts in the same order; a timer may be late by as much as the engines were left alone, and a tick. */
static void compare_firings(const struct model *model, const struct firings *firings, const char *rule) {
  if (firings->count != model->firing_count) print_message("%s: %u, not %u\n", rule, firings->count, model->firing_count);
  assert_int_equal(firings->count, model->firing_count);
  for (uint32_t key = 0; key < MODEL_KEYS; key++) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < model->firing_count; i++) {
      const struct model_firing *wanted = &model->firings[i];
      if (wanted->key != key) continue;
      while (at < firings->count && firings->at[at].key[0] != (char)('a' + key)) at++;
      assert_true(at < firings->count);
      const struct firing *got = &firings->at[at++];
      const double allowed = model->window->function == WINDOW_QUANTILE ? fabs(wanted->value) / 32 : fabs(wanted->value) * 1e-12;
      if (got->count != wanted->events || got->wall_ns < wanted->at_ns || got->wall_ns > wanted->at_ns + PASS_NS + 2000000 ||
          !(fabs(got->value - wanted->value) <= allowed))
        fail_msg("%s: key %u at %.3f: %u %.6f, not %llu %.6f at %.3f", rule, key, (double)got->wall_ns / 1e9, got->count,
                 got->value, (unsigned long long)wanted->events, wanted->value, (double)wanted->at_ns / 1e9);
    }
  }
}

static long random_limit(const char *function) {
  if (strncmp(function, "change", 6) == 0) return random() % 3;
  if (strncmp(function, "sum", 3) == 0) return random() % 400;
  if (function[0] == 'p') return 35 << random() % 3;
  return strncmp(function, "avg", 3) == 0 || strncmp(function, "m", 1) == 0 ? random() % 250 - 50 : random() % 9;
}

static uint32_t judge_at_random(const char *function, uint32_t engines) {
  static const char *const comparisons[] = {">", ">=", "<", "<=", "=", "!="};
  static struct model model;
  char rules[512];
  const long limit = random_limit(function);
  const long hold = random() % 3, repeat = random() % 3;
  char for_key[32] = "", repeat_key[32] = "";
  if (hold) snprintf(for_key, sizeof for_key, ", for: %ldms", hold * 700);
  if (repeat) snprintf(repeat_key, sizeof repeat_key, ", repeat_after: %ldms", repeat * 2300);
  snprintf(rules, sizeof rules,
           "rules:\n  - {name: w, on: span, if: 'name = \"x\"', window: '%s by (service) over 6s %s %ld'%s%s}\n", function,
           comparisons[random() % 6], limit, for_key, repeat_key);
  struct engine_rig rig;
  rig_open_windows(&rig, engines, &roomy, 32, 1024, rules);
  model.window = &rig.image->windows[0];
  make_events(&model);
  const uint64_t end_ns = model.events[model.event_count - 1].arrival_ns + 2 * model.window->over_ns + RIG_SECOND / 3;
  const uint64_t judged_ns = end_ns - PASS_NS - 2000000;
  model_run(&model, judged_ns);
  run_engines(&rig, &model, end_ns);
  static struct firings firings;
  firings = read_firings(&rig);
  qsort(firings.at, firings.count, sizeof *firings.at, by_wall);
  /* Those that the engines only just had the time for. */
  while (firings.count > model.firing_count && firings.at[firings.count - 1].wall_ns > judged_ns) firings.count--;
  compare_firings(&model, &firings, rules);
  rig_check_laws(&rig);
  const uint32_t firing_count = model.firing_count;
  if (model.window->function == WINDOW_QUANTILE) assert_true(model.nearest > 1.0 / 16);
  rig_close(&rig);
  return firing_count;
}

static void test_every_function_against_a_slow_judge(void **state) {
  static const char *const functions[] = {"count",
                                          "rate",
                                          "sum(span.amount)",
                                          "avg(span.amount)",
                                          "min(span.amount)",
                                          "max(span.amount)",
                                          "p50(span.amount)",
                                          "p99(span.amount)",
                                          "distinct(span.amount)",
                                          "change(count)",
                                          "change(sum(span.amount))",
                                          "change(avg(span.amount))"};
  (void)state;
  srandom(7);
  for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
    uint32_t firings = 0;
    for (uint32_t round = 0; round < 24; round++) firings += judge_at_random(functions[f], 1 + round % 4);
    print_message("# %s: %u verdicts\n", functions[f], firings);
    assert_true(firings > 20);
  }
}

static const char measured[] =
    "rules:\n"
    "  - {name: d, on: span, if: 'name = \"x\"', window: 'distinct(span.amount) over 60s >= %u', message: '${value}'}\n"
    "  - {name: q, on: span, if: 'name = \"x\"', window: 'p90(duration) over 60s > 2s', message: 'p90 ${value}'}\n";

static void feed_distinct(struct engine_rig *rig, uint32_t count) {
  for (uint32_t i = 0; i < count; i += 50) {
    struct model_event events[50];
    rig_pass(rig, RIG_SECOND / 500);
    for (uint32_t e = 0; e < 50; e++) events[e] = (struct model_event){.has_value = true, .value = 0.5 + (i + e) % count};
    feed(rig, 0, events, 50);
    rig_deliver(rig);
  }
}

/* Exact while they are few, then within the bound: five standard errors. */
static void test_distinct_of_many(void **state) {
  static const struct {
    uint32_t count;
    double error;
  } cases[] = {{100, 0}, {150, 0}, {200, 0.165}, {1000, 0.165}, {5000, 0.165}, {20000, 0.165}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct engine_rig rig;
    char rules[512];
    const uint32_t least = (uint32_t)((double)cases[i].count * (1 - cases[i].error));
    snprintf(rules, sizeof rules, measured, least);
    rig_open_windows(&rig, 1, &roomy, 8, 256, rules);
    feed_distinct(&rig, cases[i].count);
    feed_distinct(&rig, cases[i].count); /* the same again */
    const struct firings firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    rig_close(&rig);
    const uint32_t most = (uint32_t)((double)cases[i].count * (1 + cases[i].error)) + 1;
    snprintf(rules, sizeof rules, measured, most);
    rig_open_windows(&rig, 1, &roomy, 8, 256, rules);
    feed_distinct(&rig, cases[i].count);
    feed_distinct(&rig, cases[i].count);
    assert_int_equal(read_firings(&rig).count, 0);
    assert_int_equal(engine_counters(rig.engine[0])->window_events_unplaced, 0);
    pass_to(&rig, rig.now_ns + 70 * RIG_SECOND); /* a sketch empties with its window */
    assert_int_equal(engine_counters(rig.engine[0])->window_blocks_in_use, 0);
    rig_close(&rig);
  }
}

static void test_a_sketch_slides(void **state) {
  struct engine_rig rig;
  char rules[512];
  (void)state;
  snprintf(rules, sizeof rules, measured, 3000u);
  rig_open_windows(&rig, 1, &roomy, 8, 256, rules);
  feed_distinct(&rig, 2000);
  pass_to(&rig, rig.now_ns + 58 * RIG_SECOND);
  struct model_event other[50];
  for (uint32_t i = 0; i < 2000; i += 50) { /* as many others, when the first have all but left */
    for (uint32_t e = 0; e < 50; e++) other[e] = (struct model_event){.has_value = true, .value = 1e6 + i + e};
    if (i == 1000) pass_to(&rig, rig.now_ns + 3 * RIG_SECOND);
    feed(&rig, 0, other, 50);
    rig_deliver(&rig);
  }
  assert_int_equal(read_firings(&rig).count, 0);
  rig_close(&rig);
}

/* Values over many powers of two: the nearest rank within 1/32, whatever their sign and size; NaN does not count. */
static void test_quantiles_of_wild_values(void **state) {
  (void)state;
  srandom(11);
  for (unsigned round = 0; round < 200; round++) {
    static struct model model;
    struct engine_rig rig;
    rig_open_windows(
        &rig, 1, &roomy, 8, 512,
        "rules:\n  - {name: q, on: span, if: 'name = \"x\"', window: 'p75(span.amount) over 60s != 12345', for: 1s}\n");
    model.window = &rig.image->windows[0];
    model.event_count = 40;
    for (uint32_t i = 0; i < 40; i++) {
      const double value = ldexp(1 + (double)(random() % 1000) / 1000, (int)(random() % 60) - 30) * (random() % 3 ? 1 : -1);
      model.events[i] = (struct model_event){.arrival_ns = RIG_SECOND, .has_value = true, .value = random() % 9 ? value : 0};
    }
    const struct model_event nan = {.arrival_ns = RIG_SECOND, .has_value = true, .value = NAN};
    model_run(&model, 3 * RIG_SECOND);
    assert_int_equal(model.firing_count, 1);
    feed(&rig, 0, model.events, 40);
    feed(&rig, 0, &nan, 1);
    rig_deliver(&rig);
    pass_to(&rig, 3 * RIG_SECOND);
    const struct firings firings = read_firings(&rig);
    assert_int_equal(firings.count, 1);
    assert_int_equal(firings.at[0].count, 40);
    assert_true(fabs(firings.at[0].value - model.firings[0].value) <= fabs(model.firings[0].value) / 32);
    rig_close(&rig);
  }
}

static void test_a_duration_is_printed_as_one(void **state) {
  struct engine_rig rig;
  char rules[512];
  (void)state;
  snprintf(rules, sizeof rules, measured, 1000u);
  rig_open(&rig, 1, &roomy, rules);
  struct event_batch *batch = engine_batch(rig.engine[0], EVENT_SPAN);
  const uint32_t row = event_batch_add(batch);
  batch->fields[row].name = (struct event_text){"x", 1};
  batch->fields[row].end_ns = 4 * RIG_SECOND;
  assert_true(engine_evaluate(rig.engine[0], batch, rig.now_ns, rig.now_ns));
  engine_commit(rig.engine[0]);
  rig_deliver(&rig);
  const struct firings firings = read_firings(&rig);
  assert_int_equal(firings.count, 1);
  assert_memory_equal(firings.at[0].message, "p90 3.9", 7); /* in the middle of its bin */
  assert_non_null(strchr(firings.at[0].message, 's'));
  rig_close(&rig);
}

/* Everything comes from the arena, and that at the start. */
static void test_nothing_is_allocated_later(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open_windows(&rig, 2, &roomy, 16, 64, busy);
  heap_arena_limit(rig.heap, 0);
  const size_t before = mallinfo2().uordblks;
  for (uint32_t i = 0; i < 2000; i++) {
    const struct model_event event = {.key = i % MODEL_KEYS, .has_value = true, .value = i};
    rig_pass(&rig, RIG_SECOND / 50);
    feed(&rig, i % 2, &event, 1);
    rig_deliver(&rig);
  }
  assert_int_equal(mallinfo2().uordblks, before);
  rig_violations(&rig, NULL, NULL);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_count_fires_once_each_time_it_becomes_true),
      cmocka_unit_test(test_every_function_against_a_slow_judge),
      cmocka_unit_test(test_distinct_of_many),
      cmocka_unit_test(test_a_sketch_slides),
      cmocka_unit_test(test_quantiles_of_wild_values),
      cmocka_unit_test(test_a_duration_is_printed_as_one),
      cmocka_unit_test(test_nothing_is_allocated_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
