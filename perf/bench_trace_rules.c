/* Trace rules: what a span costs over the whole life of its trace, from the batch to the verdict, among 10, 1,000 and 8,000
 * trace rules. Each trace has eight spans, of which two meet selectors of one rule, so what is met is the same however many rules
 * there are; the floor is the same traffic among ten. Oracle: one trace in a hundred lacks its check, and is a violation. */
#include "bench.h"
#include "engine.h"
#include "rule_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TRACES 2048u /* a round */
#define SPANS_A_TRACE 8u
#define SPANS (TRACES * SPANS_A_TRACE)
#define ROUNDS 21
#define RULES_MOST 8000u
#define RULE_BYTES 128u
#define IDLE_NS 1000000ull

struct judge {
  struct rule_image *image;
  struct engine *engine;
  struct line_ring *ring;
  struct record_ring *records;
  uint64_t traces, missing, violations, now_ns;
  uint32_t rules;
};

static struct judge judges[4];
static char names[2 * RULES_MOST][16];

static void *take(void *context, size_t bytes, size_t alignment) {
  (void)context, (void)alignment;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bench_check(memory != MAP_FAILED, "memory");
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

static void judge_create(struct judge *judge, uint32_t rules) {
  static struct arena arena = {.take = take};
  struct rule_errors errors = {0};
  char *text = malloc((rules + 1u) * RULE_BYTES), *end = text + sprintf(text, "rules:\n");
  for (uint32_t i = 0; i < rules; i++)
    end += sprintf(end, "  - {name: r%u, when: '{name = \"op%u\"} && {root}', always: '{name = \"check%u\"}'}\n", i, i, i);
  struct rule_set *set = rule_set_parse("bench", text, (size_t)(end - text), &errors);
  free(text);
  bench_check(set != NULL, "the rules do not parse");
  *judge = (struct judge){.rules = rules, .image = rule_image_compile(set, 1, NULL, 1, &errors)};
  rule_set_free(set);
  judge->ring = line_ring_create(&arena, 1u << 16);
  judge->records = record_ring_create(&arena, 1u << 20);
  struct engine_config config = {.shards = 1,
                                 .trace_key = {1, 2},
                                 .column_capacity = 64,
                                 .traces_max = 1u << 16,
                                 .captures_max = 1u << 14,
                                 .spills_max = 1u << 18,
                                 .idle_ns = IDLE_NS,
                                 .records = judge->records};
  config.digests_to[0] = judge->ring;
  judge->engine = engine_create(&arena, &config, 0);
  bench_check(judge->image && judge->engine, "no engine");
  engine_adopt(judge->engine, judge->image);
}

static void add_span(struct judge *judge, struct event_batch *batch, uint64_t trace, uint32_t span) {
  struct event_fields *fields = &batch->fields[event_batch_add(batch)];
  const uint64_t words[2] = {trace * 0x9e3779b97f4a7c15u, ~trace}, id = trace * SPANS_A_TRACE + span;
  const uint32_t rule = (uint32_t)(trace * 7 % judge->rules);
  const bool missing = trace % 100 == 99;
  const char *name = span == 0 ? names[2 * rule] : span == 1 && !missing ? names[2 * rule + 1] : "GET /products/{id}";
  fields->name = (struct event_text){name, (uint32_t)strlen(name)};
  fields->has_parent = span != 0;
  memcpy(fields->trace_id, words, sizeof words);
  memcpy(fields->span_id, &id, sizeof id);
  fields->start_ns = judge->now_ns;
  fields->end_ns = judge->now_ns + 1000000;
}

static void receive(struct judge *judge) {
  for (const void *digest; (digest = line_ring_peek(judge->ring)); line_ring_consume(judge->ring))
    engine_apply_digest(judge->engine, digest, judge->now_ns, judge->now_ns);
}

static double round_life(void *context) {
  struct judge *judge = context;
  uint32_t bytes;
  const uint64_t start_ns = bench_now_ns(), last = judge->traces + TRACES;
  judge->now_ns += 100000;
  while (judge->traces < last) {
    struct event_batch *batch = engine_batch(judge->engine, EVENT_SPAN);
    for (uint32_t t = 0; t < EVENT_BATCH_ROWS / SPANS_A_TRACE; t++, judge->traces++) {
      judge->missing += judge->traces % 100 == 99;
      for (uint32_t span = 0; span < SPANS_A_TRACE; span++) add_span(judge, batch, judge->traces, span);
    }
    bench_check(engine_evaluate(judge->engine, batch, judge->now_ns, judge->now_ns), "no room for the digests");
    engine_commit(judge->engine);
    receive(judge);
  }
  judge->now_ns += IDLE_NS;
  while (engine_expire(judge->engine, judge->now_ns, judge->now_ns, 64) > 0) continue;
  const double ns = (double)(bench_now_ns() - start_ns) / SPANS;
  for (; record_ring_peek(judge->records, &bytes); judge->violations++) record_ring_advance(judge->records);
  return ns;
}

static double round_ten(void *context) {
  (void)context;
  return round_life(&judges[0]);
}

int main(void) {
  static const uint32_t counts[] = {10, 1000, RULES_MOST};
  bench_pin(bench_core_count() - 1);
  bench_header();
  for (uint32_t i = 0; i < RULES_MOST; i++) {
    snprintf(names[2 * i], sizeof names[0], "op%u", i);
    snprintf(names[2 * i + 1], sizeof names[0], "check%u", i);
  }
  judge_create(&judges[0], counts[0]);
  for (unsigned i = 0; i < 3; i++) {
    char name[64];
    judge_create(&judges[i + 1], counts[i]);
    snprintf(name, sizeof name, "a span of a trace, %u trace rules", counts[i]);
    const struct bench bench = {name, round_life, round_ten, "ten trace rules", &judges[i + 1], ROUNDS};
    bench_run(&bench);
  }
  for (unsigned i = 0; i < 4; i++) {
    const struct engine_counters *counters = engine_counters(judges[i].engine);
    bench_check(judges[i].violations == judges[i].missing, "the violations are not those of the traces without a check");
    bench_check(counters->traces_completed[TRACE_COMPLETE_IDLE] == judges[i].traces && counters->spills_exhausted == 0,
                "not every trace was judged");
    rule_image_free(judges[i].image);
  }
  return 0;
}
