/* The six ingestion benchmarks of the product that this one grew from: no rules, one, ten; ten and a hundred spans a call; ten a
 * call on every core. Its spans were decoded before the clock started, and its rules are true of every span. Here the clock runs
 * from OTLP protobuf bytes, of bare spans and of real ones, to the counted match; the rules are constant too, in shadow mode
 * (matched and counted; published they would be a violation a span, which bench_violations measures). Its own figures (Apple M3
 * Pro) are printed beside ours, not compared. The floor is reading every byte once. Oracle: matches = spans x rules, and every
 * span is decoded. */
#include "bench.h"
#include "engine.h"
#include "heap_arena.h"
#include "otlp_workload.h"
#include "rule_set.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 15, CALLS = 20000, RULES_MOST = 10, CORES_MAX = 64 };

static struct otlp_workload work;

/* Requests of so many spans each. */
struct requests {
  struct model_bytes bodies[WORKLOAD_REQUESTS];
  uint32_t spans;
  double span_bytes;
};

static void make_requests(struct requests *requests, uint32_t spans, bool small) {
  uint64_t bytes = 0;
  static const uint8_t slack[WORKLOAD_SLACK];
  *requests = (struct requests){.spans = spans};
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) {
    struct model_resource resource = work.resources[r];
    struct model_span kept[WORKLOAD_SPANS];
    memcpy(kept, work.spans[r], sizeof kept);
    for (uint32_t s = 0; small && s < spans; s++) kept[s].attribute_count = 0;
    if (small) resource.attribute_count = 1;
    resource.spans = kept;
    resource.span_count = spans;
    model_encode_protobuf(&resource, 1, NULL, &requests->bodies[r]);
    bytes += requests->bodies[r].length;
    model_put(&requests->bodies[r], slack, sizeof slack);
    requests->bodies[r].length -= sizeof slack;
  }
  requests->span_bytes = (double)bytes / WORKLOAD_REQUESTS / spans;
}

static void free_requests(struct requests *requests) {
  for (unsigned r = 0; r < WORKLOAD_REQUESTS; r++) model_free(&requests->bodies[r]);
}

struct run {
  struct heap_arena *heap;
  struct rule_image *image;
  struct record_ring *records;
  struct engine *engine;
};

static void open_run(struct run *run, uint32_t rules) {
  char text[1024];
  struct rule_errors errors = {0};
  size_t length = (size_t)sprintf(text, rules ? "rules:\n" : "rules: []\n");
  for (uint32_t i = 0; i < rules; i++)
    length += (size_t)sprintf(text + length, "  - {name: r%u, on: span, mode: shadow, if: 'true'}\n", i);
  struct rule_set *set = rule_set_parse("bench", text, length, &errors);
  run->image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  if (!run->image) rule_errors_print(&errors, stderr);
  bench_check(run->image != NULL, "the rules compile");
  rule_set_free(set);
  run->heap = heap_arena_create();
  struct arena *arena = heap_arena_arena(run->heap);
  struct engine_config config = {
      .shards = 1, .column_capacity = RULE_COLUMNS_MAX, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = run->records = record_ring_create(arena, 1u << 16);
  config.digests_to[0] = line_ring_create(arena, 1024);
  run->engine = engine_create(arena, &config, 0);
  engine_adopt(run->engine, run->image);
}

static void close_run(struct run *run) {
  rule_image_free(run->image);
  heap_arena_destroy(run->heap);
}

static uint64_t matches(const struct run *run) {
  const struct image_kind *spans = &run->image->kinds[EVENT_SPAN];
  uint64_t sum = 0;
  for (uint32_t i = 0; i < spans->rule_count; i++) sum += engine_rule_matches(run->engine, spans->rules[i].match_slot);
  return sum;
}

static bool judge_batch(void *context, struct event_batch *batch) {
  const struct run *run = context;
  return engine_evaluate(run->engine, batch, 0, 0);
}

/* Nanoseconds a call. */
static double ingest(struct run *run, const struct requests *requests) {
  const struct event_sink sink = {.context = run, .evaluate = judge_batch};
  const uint64_t before = matches(run);
  const uint64_t start_ns = bench_now_ns();
  for (unsigned call = 0; call < CALLS; call++) {
    const struct model_bytes *body = &requests->bodies[call % WORKLOAD_REQUESTS];
    struct span_result result;
    otlp_decode_protobuf(body->at, (uint32_t)body->length, engine_batch(run->engine, EVENT_SPAN), &sink, &result);
    bench_check(result.outcome == SPANS_DECODED && result.spans == requests->spans, "the request is decoded");
    engine_commit(run->engine);
  }
  const double ns = (double)(bench_now_ns() - start_ns) / CALLS;
  bench_check(matches(run) - before == (uint64_t)CALLS * requests->spans * run->image->kinds[EVENT_SPAN].rule_count,
              "each rule matched each span");
  return ns;
}

static double read_bytes(const struct requests *requests) {
  const uint64_t start_ns = bench_now_ns();
  for (unsigned call = 0; call < CALLS; call++) {
    const struct model_bytes *body = &requests->bodies[call % WORKLOAD_REQUESTS];
    uint64_t sum = 0, word;
    for (size_t at = 0; at + sizeof word <= body->length; at += sizeof word) {
      memcpy(&word, body->at + at, sizeof word);
      sum += word;
    }
    bench_keep(sum);
  }
  return (double)(bench_now_ns() - start_ns) / CALLS;
}

static int compare(const void *a, const void *b) {
  return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void print_row(const char *name, const struct requests *requests, double ours[PASSES], double floor[PASSES],
                      const char *theirs) {
  qsort(ours, PASSES, sizeof *ours, compare);
  qsort(floor, PASSES, sizeof *floor, compare);
  const double ns = ours[PASSES / 2];
  printf("%-9s %4u spans of %3.0f B: %10.1f ns a call [%.1f..%.1f], %6.1f a span, %6.2f M spans/s, %7.1f MB/s; read the bytes "
         "%8.1f; ratio %4.1f; theirs, decoded before: %s\n",
         name, requests->spans, requests->span_bytes, ns, ours[0], ours[PASSES - 1], ns / requests->spans,
         1e3 * requests->spans / ns, 1e3 * requests->span_bytes * requests->spans / ns, floor[PASSES / 2], ns / floor[PASSES / 2],
         theirs);
}

static void measure(const char *name, uint32_t rules, uint32_t spans, bool small, const char *theirs) {
  struct requests requests;
  struct run run;
  double ours[PASSES], floor[PASSES];
  make_requests(&requests, spans, small);
  open_run(&run, rules);
  ingest(&run, &requests);
  for (unsigned pass = 0; pass < PASSES; pass++) {
    ours[pass] = ingest(&run, &requests);
    floor[pass] = read_bytes(&requests);
  }
  print_row(name, &requests, ours, floor, theirs);
  close_run(&run);
  free_requests(&requests);
}

struct core {
  const struct requests *requests;
  uint32_t number;
  pthread_barrier_t *start;
  double ns;
};

static void *ingest_on_core(void *argument) {
  struct core *core = argument;
  struct run run;
  open_run(&run, 0);
  bench_pin(core->number);
  ingest(&run, core->requests);
  pthread_barrier_wait(core->start);
  core->ns = ingest(&run, core->requests);
  close_run(&run);
  return NULL;
}

/* The slowest core's time, a call of all of them together. */
static double ingest_on_all(const struct requests *requests, uint32_t cores) {
  struct core at[CORES_MAX];
  pthread_t threads[CORES_MAX];
  pthread_barrier_t start;
  double slowest = 0;
  pthread_barrier_init(&start, NULL, cores);
  for (uint32_t i = 0; i < cores; i++) {
    at[i] = (struct core){.requests = requests, .number = i, .start = &start};
    bench_check(pthread_create(&threads[i], NULL, ingest_on_core, &at[i]) == 0, "a thread");
  }
  for (uint32_t i = 0; i < cores; i++) {
    pthread_join(threads[i], NULL);
    slowest = at[i].ns > slowest ? at[i].ns : slowest;
  }
  pthread_barrier_destroy(&start);
  return slowest / cores;
}

static void measure_parallel(bool small) {
  struct requests requests;
  double ours[PASSES], floor[PASSES];
  const uint32_t cores = bench_core_count() < CORES_MAX ? bench_core_count() : CORES_MAX;
  make_requests(&requests, 10, small);
  for (unsigned pass = 0; pass < PASSES; pass++) {
    ours[pass] = ingest_on_all(&requests, cores);
    floor[pass] = read_bytes(&requests) / cores;
  }
  printf("%u cores, ", cores);
  print_row("Parallel", &requests, ours, floor, "657.6 ns a call");
  free_requests(&requests);
}

int main(void) {
  workload_generate(&work);
  for (int small = 1; small >= 0; small--) {
    measure("NoRules", 0, 1, small, "66.9 ns");
    measure("OneRule", 1, 1, small, "86.8 ns");
    measure("TenRules", 10, 1, small, "308.2 ns");
    measure("Batch10", 0, 10, small, "672.2 ns");
    measure("Batch100", 0, 100, small, "6,844 ns");
    measure_parallel(small);
  }
  return 0;
}
