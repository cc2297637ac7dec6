/* Rule evaluation: 0 to 10,000 rules in several mixes over a stream of decoded spans, with no span or one in a hundred that
 * matches, beside a naive loop that compares strings rule by rule. The batches are filled and emptied of their violations outside
 * the timed part, which is engine_evaluate: intrinsics and their interning, judging, violations; and the life of the traces that
 * rules about traces look at. Oracle: the violations of each pass are as many as the naive loop finds. Arguments: the mix, the
 * number of rules; else all. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "rule_mixes.h"
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSES 15
#define RULES_MOST 10000

static struct mix_rule rules[RULES_MOST];
static struct mix_span spans[MIX_SPANS];

static struct rule_image *compile(uint32_t count) {
  struct rule_errors errors = {0};
  char *text = mix_text(rules, count);
  struct rule_set *set = rule_set_parse("bench", text, strlen(text), &errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  if (!image) rule_errors_print(&errors, stderr);
  if (set) rule_set_free(set);
  free(text);
  bench_check(image != NULL, "the rules compile");
  return image;
}

struct run {
  struct heap_arena *heap;
  struct rule_image *image;
  struct record_ring *records;
  struct line_ring *digests;
  struct engine *engine;
  uint64_t now_ns;
  int slots[MIX_ATTRIBUTES];
};

static void open_run(struct run *run, uint32_t count) {
  run->heap = heap_arena_create();
  run->image = compile(count);
  struct arena *arena = heap_arena_arena(run->heap);
  struct engine_config config = {
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 4096, .captures_max = 4096, .idle_ns = 1};
  config.records = run->records = record_ring_create(arena, 1u << 22);
  config.digests_to[0] = run->digests = line_ring_create(arena, 1024);
  run->engine = engine_create(arena, &config, 0);
  engine_adopt(run->engine, run->image);
  mix_slots(run->image, run->slots);
}

/* What the spans' traces cost, from their digests to the verdicts. */
static void judge_traces(struct run *run) {
  for (const void *digest; (digest = line_ring_peek(run->digests)); line_ring_consume(run->digests))
    engine_apply_digest(run->engine, digest, run->now_ns, run->now_ns);
  run->now_ns += 1000000000;
  while (engine_expire(run->engine, run->now_ns, run->now_ns, EVENT_BATCH_ROWS) > 0) continue;
}

/* Nanoseconds a span; `fill_ns` apart. */
static double evaluate(struct run *run, double *fill_ns, uint64_t *found) {
  uint64_t spent_ns = 0, filling_ns = 0;
  *found = 0;
  for (uint32_t first = 0; first < MIX_SPANS; first += EVENT_BATCH_ROWS) {
    struct event_batch *batch = engine_batch(run->engine, EVENT_SPAN);
    const uint64_t start_ns = bench_now_ns();
    mix_fill(batch, &spans[first], run->slots);
    const uint64_t filled_ns = bench_now_ns();
    bench_check(engine_evaluate(run->engine, batch, run->now_ns, run->now_ns), "there is room");
    uint64_t judged_ns = bench_now_ns();
    filling_ns += filled_ns - start_ns;
    spent_ns += judged_ns - filled_ns;
    engine_commit(run->engine);
    if (line_ring_peek(run->digests)) {
      judged_ns = bench_now_ns();
      judge_traces(run);
      spent_ns += bench_now_ns() - judged_ns;
    }
    uint32_t bytes;
    for (; record_ring_peek(run->records, &bytes); ++*found) record_ring_advance(run->records);
  }
  *fill_ns = (double)filling_ns / MIX_SPANS;
  return (double)spent_ns / MIX_SPANS;
}

static int compare(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void measure(const struct mix *mix, uint32_t count, bool lucky) {
  struct run run;
  double ours[PASSES], filling[PASSES], peer[PASSES];
  memset(rules, 0, sizeof rules);
  memset(spans, 0, sizeof spans);
  for (uint32_t i = 0; i < count; i++) mix->make_rule(&rules[i], i, count);
  for (uint32_t s = 0; s < MIX_SPANS; s++) mix->make_span(&spans[s], s, count ? count : 1, count && lucky && s % 100 == 0);
  open_run(&run, count);
  const uint64_t wanted = mix_naive(rules, count, spans, MIX_SPANS);
  const uint32_t naive_spans = count > 100 ? 64 : MIX_SPANS;
  for (unsigned pass = 0; pass < PASSES; pass++) {
    uint64_t found;
    evaluate(&run, &filling[pass], &found); /* warms up */
    ours[pass] = evaluate(&run, &filling[pass], &found);
    bench_check(found == wanted, "as many violations as the naive loop finds");
    const uint64_t start_ns = bench_now_ns();
    bench_keep(mix_naive(rules, count, spans, naive_spans));
    peer[pass] = (double)(bench_now_ns() - start_ns) / naive_spans;
  }
  qsort(ours, PASSES, sizeof *ours, compare);
  qsort(filling, PASSES, sizeof *filling, compare);
  qsort(peer, PASSES, sizeof *peer, compare);
  printf("%-15s %5u rules, %7.4f matches a span: evaluate %7.1f ns a span [%.1f..%.1f], fill %6.1f, naive %9.1f, ratio %.4f\n",
         mix->name, count, (double)wanted / MIX_SPANS, ours[PASSES / 2], ours[0], ours[PASSES - 1], filling[PASSES / 2],
         peer[PASSES / 2], ours[PASSES / 2] / peer[PASSES / 2]);
  rule_image_free(run.image);
  heap_arena_destroy(run.heap);
}

int main(int count, char **arguments) {
  static const uint32_t sizes[] = {0, 1, 10, 100, 1000, 10000};
  const uint64_t start_ns = bench_now_ns();
  for (unsigned i = 0; i < 1000; i++) bench_keep(bench_now_ns());
  printf("two readings of the clock, in each figure: %.1f ns a span\n",
         2 * (double)(bench_now_ns() - start_ns) / 1000 / EVENT_BATCH_ROWS);
  for (unsigned m = 0; m < MIXES; m++) {
    if (count > 1 && strcmp(arguments[1], mixes[m].name) != 0) continue;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int lucky = 0; lucky < (sizes[i] ? 2 : 1); lucky++)
        if (count < 3 || sizes[i] == strtoul(arguments[2], NULL, 10)) measure(&mixes[m], sizes[i], lucky);
  }
  return 0;
}
