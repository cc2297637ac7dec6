/* Traces: what a span costs beyond its own rules once a rule is about whole traces. Encoding the digest into the ring to its
 * owner, taking it from there into the table of a million live traces, opening new traces, completing quiet ones. The floors are
 * a batch without a trace rule, and a plain chained hash of the same ids that keeps a time and an interval for each. Oracles:
 * every digest sent is applied, and as many traces are open, live and completed as the ids say. */
#include "bench.h"
#include "engine.h"
#include "rule_set.h"
#include <string.h>
#include <sys/mman.h>

#define LIVE (1u << 20)
#define CAPACITY (2 * LIVE) /* live, and completed ones that late spans are held against */
#define SPANS (1u << 15)    /* a round */
#define ROUNDS 21
#define RING_LINES (1u << 17)
#define MICROSECOND 1000ull

static const char trace_rules[] = "rules:\n"
                                  "  - name: charge-without-check\n"
                                  "    on: trace\n"
                                  "    when: '{name = \"charge\" && span.amount > 100}'\n"
                                  "    always: '{name = \"check\"}'\n";
static const char span_rules[] = "rules:\n"
                                 "  - {name: charge, on: span, if: 'name = \"charge\" && span.amount > 100'}\n"
                                 "  - {name: check, on: span, if: 'name = \"check\" && span.amount > 100'}\n";

/* The floor: chained by index, the oldest of CAPACITY makes room. */
struct plain_trace {
  uint8_t trace_id[16];
  uint64_t arrival_ns, first_ns, last_ns, bits;
  uint32_t chain;
};

struct plain {
  uint32_t buckets[CAPACITY];
  struct plain_trace traces[CAPACITY];
  uint64_t opened;
};

struct judge {
  struct rule_image *image;
  struct engine *engine;
  struct line_ring *ring;
};

static struct judge tracing, judging;
static struct plain *plain;
static uint8_t ids[SPANS][16];
static uint64_t random_state = 1, fresh_trace, now_ns;
static double apply_ns;

static uint64_t mixed(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

/* Memory as the daemon's shards have it: in huge pages where the kernel gives them. All of it lasts as long as the program. */
static void *take(void *context, size_t bytes, size_t alignment) {
  const size_t huge = 2u << 20, rounded = (bytes + huge - 1) / huge * huge;
  (void)context, (void)alignment;
  uint8_t *memory = mmap(NULL, rounded + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  bench_check(memory != MAP_FAILED, "memory");
  memory += huge - (uintptr_t)memory % huge;
  madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

static struct arena arena = {.take = take};

static void trace_id_of(uint64_t trace, uint8_t id[16]) {
  const uint64_t words[2] = {mixed(trace), mixed(~trace)};
  memcpy(id, words, sizeof words);
}

static void judge_create(struct judge *judge, const char *rules, size_t length) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_parse("bench", rules, length, &errors);
  bench_check(set != NULL, "the rules do not parse");
  judge->image = rule_image_compile(set, 1, NULL, 1, &errors);
  rule_set_free(set);
  judge->ring = line_ring_create(&arena, RING_LINES);
  struct engine_config config = {.shards = 1,
                                 .trace_key = {1, 2},
                                 .column_capacity = 64,
                                 .traces_max = CAPACITY,
                                 .captures_max = 1024,
                                 .idle_ns = LIVE * MICROSECOND,
                                 .records = record_ring_create(&arena, 1u << 20)};
  config.digests_to[0] = judge->ring;
  judge->engine = engine_create(&arena, &config, 0);
  bench_check(judge->image && judge->engine, "no engine");
  engine_adopt(judge->engine, judge->image);
}

/* A request's worth after another: batches of 64 spans of the ids in hand. */
static double evaluate(const struct judge *judge) {
  const uint64_t start_ns = bench_now_ns();
  for (uint32_t at = 0; at < SPANS; at += EVENT_BATCH_ROWS) {
    struct event_batch *batch = engine_batch(judge->engine, EVENT_SPAN);
    for (uint32_t i = 0; i < EVENT_BATCH_ROWS; i++) {
      struct event_fields *fields = &batch->fields[event_batch_add(batch)];
      fields->name = (struct event_text){"GET /products/{id}", 18};
      fields->kind = SPAN_KIND_SERVER;
      memcpy(fields->trace_id, ids[at + i], sizeof fields->trace_id);
      fields->start_ns = now_ns;
      fields->end_ns = now_ns + 1000000;
    }
    bench_check(engine_evaluate(judge->engine, batch, now_ns, now_ns), "no room for the digests");
    engine_commit(judge->engine);
  }
  return (double)(bench_now_ns() - start_ns) / SPANS;
}

/* As the shard's loop does. */
static double apply(const struct judge *judge) {
  const uint64_t start_ns = bench_now_ns();
  const struct line_header *messages[2 * ENGINE_FAR_DIGESTS];
  uint32_t count;
  while ((count = line_ring_look_ahead(judge->ring, messages, 2 * ENGINE_FAR_DIGESTS)) > 0) {
    const struct span_digest *const *digests = (const struct span_digest *const *)(const void *)messages;
    for (uint32_t i = 0; i < count && i < ENGINE_FAR_DIGESTS; i++) {
      engine_expect_digest(judge->engine, i + ENGINE_NEAR_DIGESTS < count ? digests[i + ENGINE_NEAR_DIGESTS] : NULL,
                           i + ENGINE_FAR_DIGESTS < count ? digests[i + ENGINE_FAR_DIGESTS] : NULL);
      engine_apply_digest(judge->engine, line_ring_peek(judge->ring), now_ns, now_ns);
      line_ring_consume(judge->ring);
    }
  }
  return (double)(bench_now_ns() - start_ns) / SPANS;
}

static void any_live(void) {
  const uint64_t oldest = fresh_trace - LIVE;
  for (uint32_t i = 0; i < SPANS; i++) trace_id_of(oldest + mixed(random_state++) % LIVE, ids[i]);
}

static void all_fresh(void) {
  now_ns += SPANS * MICROSECOND;
  for (uint32_t i = 0; i < SPANS; i++) trace_id_of(fresh_trace++, ids[i]);
}

static double round_send(void *context) {
  (void)context;
  any_live();
  const double ns = evaluate(&tracing);
  apply_ns = apply(&tracing);
  return ns;
}

static double round_judge_only(void *context) {
  (void)context;
  return evaluate(&judging);
}

static double round_apply(void *context) {
  round_send(context);
  return apply_ns;
}

static uint32_t *plain_bucket(const uint8_t id[16]) {
  uint32_t hash;
  memcpy(&hash, id, sizeof hash);
  return &plain->buckets[hash & (CAPACITY - 1)];
}

/* Finds or opens, then updates, as the table does. */
static void plain_put(const uint8_t id[16]) {
  uint32_t *bucket = plain_bucket(id), index = *bucket;
  while (index && memcmp(plain->traces[index - 1].trace_id, id, 16) != 0) index = plain->traces[index - 1].chain;
  if (!index) {
    index = (uint32_t)(plain->opened++ % CAPACITY) + 1;
    struct plain_trace *oldest = &plain->traces[index - 1];
    if (plain->opened > CAPACITY) {
      uint32_t *link = plain_bucket(oldest->trace_id);
      while (*link != index) link = &plain->traces[*link - 1].chain;
      *link = oldest->chain;
    }
    *oldest = (struct plain_trace){.first_ns = now_ns, .chain = *bucket};
    memcpy(oldest->trace_id, id, 16);
    *bucket = index;
  }
  struct plain_trace *trace = &plain->traces[index - 1];
  trace->arrival_ns = now_ns;
  if (now_ns < trace->first_ns) trace->first_ns = now_ns;
  if (now_ns + 1000000 > trace->last_ns) trace->last_ns = now_ns + 1000000;
}

/* Of the ids in hand: those that ours was just measured with. */
static double round_plain(void *context) {
  (void)context;
  const uint64_t start_ns = bench_now_ns();
  for (uint32_t i = 0; i < SPANS; i++) plain_put(ids[i]);
  return (double)(bench_now_ns() - start_ns) / SPANS;
}

static double complete_ns;

static double round_open(void *context) {
  (void)context;
  all_fresh();
  evaluate(&tracing);
  const double ns = apply(&tracing);
  const uint64_t start_ns = bench_now_ns();
  uint32_t completed = 0;
  for (uint32_t some; (some = engine_expire(tracing.engine, now_ns, now_ns, 64)) > 0;) completed += some;
  complete_ns = completed ? (double)(bench_now_ns() - start_ns) / completed : 0;
  return ns;
}

static double round_complete(void *context) {
  round_open(context);
  bench_check(complete_ns > 0, "nothing was quiet for long enough");
  return complete_ns;
}

int main(void) {
  bench_pin(bench_core_count() - 1);
  bench_header();
  plain = take(NULL, sizeof *plain, 1);
  judge_create(&tracing, trace_rules, sizeof trace_rules - 1);
  judge_create(&judging, span_rules, sizeof span_rules - 1);
  for (uint32_t opened = 0; opened < CAPACITY; opened += SPANS) {
    round_open(NULL);
    round_plain(NULL);
  }
  const struct bench benches[] = {
      {"fill, judge, digest into the ring", round_send, round_judge_only, "the same without a trace rule", NULL, ROUNDS},
      {"digest from the ring, 1 M live traces", round_apply, round_plain, "update in a plain hash", NULL, ROUNDS},
      {"digest from the ring, a new trace each", round_open, round_plain, "insert into a plain hash", NULL, ROUNDS},
      {"a quiet trace completed and judged", round_complete, NULL, NULL, NULL, ROUNDS},
  };
  for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) bench_run(&benches[i]);
  const struct engine_counters *counters = engine_counters(tracing.engine);
  bench_check(counters->digests_sent == counters->digests_applied && counters->digests_no_room == 0, "digests are lost");
  bench_check(counters->traces_opened == fresh_trace && counters->digests_unplaced == 0, "not every trace was opened once");
  bench_check(counters->traces_opened == counters->traces_completed[TRACE_COMPLETE_IDLE] + counters->traces_live,
              "traces are lost");
  bench_check(counters->spans_late == 0, "an id was of no live trace");
  rule_image_free(tracing.image);
  rule_image_free(judging.image);
  return 0;
}
