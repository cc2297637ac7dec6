/* What publishing new rules costs those who judge by the old ones: latency of one batch of 64 spans while another thread compiles
 * and publishes a set of 1,000 rules again and again, beside the same without it. Windows of both kinds take turns on one core;
 * the publisher runs on another. Printed: p50 and p99 of both, and the median and spread of the difference of the p99 of each
 * pair. Oracle: in each window as many violations as spans x the share of lucky ones, whichever generation judged; every
 * generation published is adopted. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "histogram.h"
#include "rule_mixes.h"
#include "rule_set.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RULES = 1000, PAIRS = 21 };
#define WINDOW_NS 400000000ull

static struct mix_rule rules[RULES];
static struct mix_span spans[MIX_SPANS];
static uint64_t wanted; /* violations in all spans once */

static struct {
  _Atomic(struct rule_image *) image;
  _Atomic uint64_t adopted; /* generation */
  atomic_bool publishing, ended;
  _Atomic uint64_t published; /* how many */
} shared;

static struct rule_set *parse(void) {
  struct rule_errors errors = {0};
  char *text = mix_text(rules, RULES);
  struct rule_set *set = rule_set_parse("bench", text, strlen(text), &errors);
  bench_check(set != NULL, "the rules are read");
  free(text);
  return set;
}

static struct rule_image *compile(const struct rule_set *set, uint64_t generation, const struct rule_image *previous) {
  struct rule_errors errors = {0};
  struct rule_image *image = rule_image_compile(set, generation, previous, 1, &errors);
  bench_check(image != NULL, "the rules compile");
  return image;
}

/* As the daemon does: compile, check, publish, wait until it is adopted, free the one before. */
static void *publish(void *argument) {
  struct rule_set *set = argument;
  bench_pin(1);
  uint64_t generation = 1;
  while (!atomic_load(&shared.ended)) {
    if (!atomic_load(&shared.publishing)) {
      bench_pause();
      continue;
    }
    struct rule_image *before = atomic_load(&shared.image);
    struct rule_image *image = compile(set, ++generation, before);
    bench_check(engine_image_fits(image, RULE_COLUMNS_MAX), "it fits");
    atomic_store_explicit(&shared.image, image, memory_order_release);
    while (atomic_load(&shared.adopted) < generation && !atomic_load(&shared.ended)) bench_pause();
    if (atomic_load(&shared.ended)) break;
    rule_image_free(before);
    atomic_fetch_add(&shared.published, 1);
  }
  return NULL;
}

struct world {
  struct engine *engine;
  struct record_ring *records;
};

/* Latencies of adopting what is there and judging one batch. */
static void window(struct world *world, struct histogram *latency) {
  const uint64_t end_ns = bench_now_ns() + WINDOW_NS;
  memset(latency, 0, sizeof *latency);
  while (bench_now_ns() < end_ns) {
    uint64_t found = 0;
    int slots[MIX_ATTRIBUTES];
    for (uint32_t first = 0; first < MIX_SPANS; first += EVENT_BATCH_ROWS) {
      const uint64_t adopting_ns = bench_now_ns();
      struct rule_image *image = atomic_load_explicit(&shared.image, memory_order_acquire);
      if (image->generation != engine_generation(world->engine)) {
        engine_adopt(world->engine, image);
        atomic_store(&shared.adopted, image->generation);
      }
      const uint64_t filling_ns = bench_now_ns();
      struct event_batch *batch = engine_batch(world->engine, EVENT_SPAN);
      mix_slots(image, slots);
      mix_fill(batch, &spans[first], slots);
      const uint64_t judging_ns = bench_now_ns();
      bench_check(engine_evaluate(world->engine, batch, 0, 0), "there is room");
      engine_commit(world->engine);
      histogram_record(latency, bench_now_ns() - judging_ns + filling_ns - adopting_ns);
      uint32_t bytes;
      for (; record_ring_peek(world->records, &bytes); found++) record_ring_advance(world->records);
    }
    bench_check(found == wanted, "every generation finds the same");
  }
}

static int compare(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void open_world(struct world *world, struct heap_arena *heap, struct rule_image *image) {
  struct arena *arena = heap_arena_arena(heap);
  struct engine_config config = {
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = world->records = record_ring_create(arena, 1u << 22);
  config.digests_to[0] = line_ring_create(arena, 1024);
  world->engine = engine_create(arena, &config, 0);
  engine_adopt(world->engine, image);
}

int main(void) {
  static struct histogram with, without;
  struct world world;
  double difference[PAIRS], p99[2][PAIRS], p50[2][PAIRS];
  for (uint32_t i = 0; i < RULES; i++) mixes[0].make_rule(&rules[i], i, RULES);
  for (uint32_t s = 0; s < MIX_SPANS; s++) mixes[0].make_span(&spans[s], s, RULES, s % 100 == 0);
  wanted = mix_naive(rules, RULES, spans, MIX_SPANS);
  struct rule_set *set = parse();
  struct heap_arena *heap = heap_arena_create();
  shared.image = compile(set, 1, NULL);
  open_world(&world, heap, shared.image);
  bench_check(bench_core_count() > 1, "two cores");
  pthread_t publisher;
  bench_check(pthread_create(&publisher, NULL, publish, set) == 0, "a thread");
  bench_pin(0);
  for (unsigned pair = 0; pair < PAIRS; pair++) {
    for (unsigned turn = 0; turn < 2; turn++) {
      const bool publishing = (pair + turn) % 2 != 0;
      atomic_store(&shared.publishing, publishing);
      window(&world, publishing ? &with : &without);
      atomic_store(&shared.publishing, false);
    }
    p99[0][pair] = (double)histogram_quantile(&without, 0.99);
    p99[1][pair] = (double)histogram_quantile(&with, 0.99);
    p50[0][pair] = (double)histogram_quantile(&without, 0.5);
    p50[1][pair] = (double)histogram_quantile(&with, 0.5);
    difference[pair] = p99[1][pair] - p99[0][pair];
  }
  atomic_store(&shared.ended, true);
  pthread_join(publisher, NULL);
  for (unsigned i = 0; i < 2; i++) {
    qsort(p99[i], PAIRS, sizeof(double), compare);
    qsort(p50[i], PAIRS, sizeof(double), compare);
  }
  qsort(difference, PAIRS, sizeof(double), compare);
  printf("%u rules, %llu generations published in %u windows of 0.4 s: a batch of 64 spans p50 %.0f ns, p99 %.0f ns; without p50 "
         "%.0f, p99 %.0f; p99 with minus without, by pairs: median %.0f ns [%.0f..%.0f], bound 10000\n",
         RULES, (unsigned long long)shared.published, PAIRS, p50[1][PAIRS / 2], p99[1][PAIRS / 2], p50[0][PAIRS / 2],
         p99[0][PAIRS / 2], difference[PAIRS / 2], difference[0], difference[PAIRS - 1]);
  bench_check(shared.published > 0, "generations were published");
  rule_image_free(atomic_load(&shared.image));
  rule_set_free(set);
  heap_arena_destroy(heap);
  return 0;
}
