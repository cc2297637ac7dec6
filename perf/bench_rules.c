/* Rule evaluation: N rules over batches of 64 decoded spans, beside a naive loop that compares strings rule by rule. Oracle: both
 * find the same number of matches on a set of spans that some rules match. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SPANS 64
#define PASSES 9
#define RULES_MOST 1000

struct span {
  char name[16];
  int64_t amount;
};

static struct span spans[SPANS];
static char rule_names[RULES_MOST][16];

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static struct rule_image *compile(uint32_t rules) {
  static char text[RULES_MOST * 128];
  struct rule_errors errors = {0};
  size_t length = (size_t)sprintf(text, "rules:\n");
  for (uint32_t i = 0; i < rules; i++)
    length += (size_t)sprintf(text + length, "  - {name: r%u, on: span, if: 'name = \"%s\" && span.amount > %u'}\n", i,
                              rule_names[i], 100 + i % 10);
  struct rule_set *set = rule_set_parse("bench", text, length, &errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  if (set) rule_set_free(set);
  return image;
}

static uint64_t naive(uint32_t rules) {
  uint64_t matches = 0;
  for (uint32_t s = 0; s < SPANS; s++)
    for (uint32_t i = 0; i < rules; i++)
      matches += strcmp(spans[s].name, rule_names[i]) == 0 && spans[s].amount > 100 + (int64_t)(i % 10);
  return matches;
}

static void evaluate(struct engine *engine, int slot) {
  struct event_batch *batch = engine_batch(engine, EVENT_SPAN);
  for (uint32_t s = 0; s < SPANS; s++) {
    const struct value amount = {.integer = spans[s].amount, .type = VALUE_INTEGER};
    const uint32_t row = event_batch_add(batch);
    batch->fields[row].name = (struct event_text){spans[s].name, (uint32_t)strlen(spans[s].name)};
    event_batch_set(batch, row, slot, &amount);
  }
  engine_evaluate(engine, batch, 0, 0);
  engine_commit(engine);
}

static int compare(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static struct engine *make_engine(struct arena *arena, const struct rule_image *image, struct record_ring **records) {
  struct engine_config config = {.shards = 1, .column_capacity = 64, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = *records = record_ring_create(arena, 1u << 20);
  config.digests_to[0] = line_ring_create(arena, 1024);
  struct engine *engine = engine_create(arena, &config, 0);
  engine_adopt(engine, image);
  return engine;
}

static bool run(uint32_t rules) {
  struct heap_arena *heap = heap_arena_create();
  struct rule_image *image = compile(rules);
  struct record_ring *records;
  if (!image) return false;
  struct engine *engine = make_engine(heap_arena_arena(heap), image, &records);
  const int slot = event_column_find(image, EVENT_SPAN, SCOPE_SPAN, "amount", 6);
  for (uint32_t s = 0; s < SPANS; s++) spans[s].amount = s % 20 == 0 ? 500 : 1;
  evaluate(engine, slot);
  const uint64_t found = engine_counters(engine)->violations_emitted, wanted = naive(rules);
  for (uint32_t s = 0; s < SPANS; s++) spans[s].amount = 1;
  double ours[PASSES], floor_ns[PASSES];
  const uint32_t rounds = 400000 / (rules + 100);
  for (unsigned pass = 0; pass < PASSES; pass++) {
    uint64_t start_ns = now_ns();
    for (uint32_t i = 0; i < rounds; i++) evaluate(engine, slot);
    ours[pass] = (double)(now_ns() - start_ns) / rounds / SPANS;
    start_ns = now_ns();
    for (uint32_t i = 0; i < rounds; i++) bench_keep(naive(rules));
    floor_ns[pass] = (double)(now_ns() - start_ns) / rounds / SPANS;
  }
  qsort(ours, PASSES, sizeof *ours, compare);
  qsort(floor_ns, PASSES, sizeof *floor_ns, compare);
  printf(
      "%4u rules: fill and evaluate %7.1f ns a span (%.1f..%.1f), naive evaluation alone %8.1f, ratio %.2f; oracle %llu = %llu\n",
      rules, ours[PASSES / 2], ours[0], ours[PASSES - 1], floor_ns[PASSES / 2], ours[PASSES / 2] / floor_ns[PASSES / 2],
      (unsigned long long)found, (unsigned long long)wanted);
  rule_image_free(image);
  heap_arena_destroy(heap);
  return found == wanted && (rules < 100 || wanted > 0);
}

int main(void) {
  static const uint32_t counts[] = {1, 10, 100, 1000};
  bool good = true;
  for (uint32_t i = 0; i < RULES_MOST; i++) snprintf(rule_names[i], sizeof rule_names[i], "operation-%u", i);
  for (uint32_t s = 0; s < SPANS; s++) snprintf(spans[s].name, sizeof spans[s].name, "operation-%u", s);
  for (unsigned i = 0; i < 4; i++) good = run(counts[i]) && good;
  return good ? 0 : 1;
}
