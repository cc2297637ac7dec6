/* Rules on whole traces: the order and place in which spans come, how long their digests take, what comes late or twice, when
 * rules change and when time passes are drawn from the seed; what each trace is found guilty of, and at which step, must be what
 * the reference says. */
#include "line_ring.h"
#include "rule_spelling.h"
#include "shrinker.h"
#include "trace_run.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define STEPS_MAX 100000u

static void adopt(struct trace_run *run, unsigned shard) {
  if (run->shard_generation[shard] == run->generation) return;
  side_adopt(&run->side, shard);
  run->shard_generation[shard] = run->generation;
}

static void load(struct trace_run *run) {
  struct spelling text = {0};
  for (unsigned i = 0; i < run->plan->shards && run->generation > 0; i++) adopt(run, i);
  side_forget_older(&run->side);
  if (run->side.generation > 0) run->generation++;
  trace_plan_spell(run->plan, run->generation, &text);
  if (run->loud) printf("t=%" PRIu64 "ms rules of generation %u:\n%s", run->now_ns / 1000000, run->generation, text.text);
  if (!side_load(&run->side, text.text, text.length)) {
    printf("seed %" PRIu64 ": the loader refused\n%s", run->plan->seed, text.text);
    abort();
  }
  spelling_free(&text);
}

static bool evaluate(struct trace_run *run, unsigned shard, const unsigned *samples, unsigned count) {
  struct engine *engine = run->side.engines[shard];
  struct event_batch *batch = engine_batch(engine, EVENT_SPAN);
  for (unsigned i = 0; i < count; i++) {
    side_add(batch, &run->plan->story.samples[samples[i]], &run->random);
    if (event_batch_full(batch) || random_below(&run->random, 6) == 0)
      if (!engine_evaluate(engine, batch, run->now_ns, run->now_ns)) return false;
  }
  return batch->count == 0 || engine_evaluate(engine, batch, run->now_ns, run->now_ns);
}

static void deliver(struct trace_run *run, unsigned from, unsigned to, unsigned most);

static void send(struct trace_run *run) {
  const unsigned shard = random_below(&run->random, run->plan->shards);
  struct engine *engine = run->side.engines[shard];
  unsigned count = 1 + random_below(&run->random, random_below(&run->random, 4) ? 4 : 100);
  if (count > run->queued - run->taken) count = run->queued - run->taken;
  const unsigned *samples = run->queue + run->taken;
  bool committed = evaluate(run, shard, samples, count);
  if (!committed || random_below(&run->random, 10) == 0) {
    /* The client sends it again, perhaps elsewhere. */
    engine_rollback(engine);
    *(committed ? &run->totals->rolled_back : &run->totals->refused) += 1;
    if (!committed)
      for (unsigned to = 0; to < run->plan->shards; to++) deliver(run, shard, to, UINT32_MAX);
    return;
  }
  engine_commit(engine);
  for (unsigned i = 0; i < count; i++) {
    struct flight *flight = &run->flights[shard][run->flight_count[shard]++];
    *flight = (struct flight){.sample = samples[i], .generation = run->shard_generation[shard]};
    if (run->loud) {
      printf("t=%" PRIu64 "ms shard %u sends:\n", run->now_ns / 1000000, shard);
      sample_print(&run->plan->story.samples[samples[i]]);
    }
  }
  run->taken += count;
}

static struct flight *flight_of(struct trace_run *run, unsigned from, const struct span_digest *digest) {
  const uint64_t trace = side_number_of_id(digest->trace_id, 16), span = side_number_of_id(digest->span_id, 8);
  for (unsigned i = 0; i < run->flight_count[from]; i++) {
    struct flight *flight = &run->flights[from][i];
    const struct sample *sample = &run->plan->story.samples[flight->sample];
    if (flight->landed || sample->trace != trace) continue;
    if (sample->span == span) return flight;
    trace_run_differ(run, "a digest has overtaken another", "?", trace);
  }
  printf("a digest of no span\n");
  abort();
}

static void deliver(struct trace_run *run, unsigned from, unsigned to, unsigned most) {
  struct line_ring *ring = run->side.digests[from][to];
  for (const struct span_digest *digest; most > 0 && (digest = line_ring_peek(ring)); most--) {
    if (digest->header.type == LINE_WINDOW_DIGEST) {
      engine_apply_window(run->side.engines[to], (const struct window_digest *)(const void *)digest, run->now_ns, run->now_ns);
      line_ring_consume(ring);
      continue;
    }
    run->now_ns += run->plan->story.table > 0; /* no two traces would be complete at one moment */
    struct flight *flight = flight_of(run, from, digest);
    flight->landed = true;
    /* A shard looks for newer rules before it reads what others send. */
    if (flight->generation > run->shard_generation[to]) adopt(run, to);
    engine_apply_digest(run->side.engines[to], digest, run->now_ns, run->now_ns);
    if (run->loud)
      printf("t=%" PRIu64 "ms shard %u takes span %" PRIu64 " of trace %" PRIu64 "\n", run->now_ns / 1000000, to,
             run->plan->story.samples[flight->sample].span, run->plan->story.samples[flight->sample].trace);
    trace_judge_arrive(&run->judge, to, flight->sample, flight->generation, run->shard_generation[to], run->now_ns);
    line_ring_consume(ring);
    trace_run_check(run, false);
  }
}

static void expire(struct trace_run *run, unsigned shard) {
  while (engine_expire(run->side.engines[shard], run->now_ns, run->now_ns, 7) == 7) continue;
  trace_judge_pass(&run->judge, shard, run->shard_generation[shard], run->now_ns);
  trace_run_check(run, false);
}

/* Where traces make room for others the order in which they are complete matters. */
static void wait_until(struct trace_run *run, uint64_t until_ns) {
  for (uint64_t due_ns; run->plan->story.table && (due_ns = trace_judge_next_due(&run->judge)) <= until_ns;) {
    if (due_ns > run->now_ns) run->now_ns = due_ns;
    for (unsigned shard = 0; shard < run->plan->shards; shard++) expire(run, shard);
  }
  run->now_ns = until_ns;
}

static void pass(struct trace_run *run) {
  /* A trace is remembered for a minute; what comes after that opens another. */
  uint64_t until_ns = run->now_ns;
  if (until_ns < 50 * SECOND) until_ns += random_below(&run->random, 12) * (SECOND / 10);
  if (until_ns < 50 * SECOND && random_below(&run->random, 12) == 0) until_ns += 3 * SECOND;
  wait_until(run, until_ns);
  for (unsigned shard = 0; shard < run->plan->shards; shard++)
    if (random_below(&run->random, 2)) expire(run, shard);
}

static bool digests_wait(const struct trace_run *run) {
  for (unsigned from = 0; from < run->plan->shards; from++)
    for (unsigned to = 0; to < run->plan->shards; to++)
      if (line_ring_peek(run->side.digests[from][to])) return true;
  return false;
}

/* Verdicts are on their way to the shards that own their keys: all of one moment are looked at together, as the order in which
 * they come is open. */
static void settle(struct trace_run *run, bool end) {
  if (!run->plan->silences || (!run->judge.verdicts && !end)) return;
  while (digests_wait(run))
    for (unsigned from = 0; from < run->plan->shards; from++)
      for (unsigned to = 0; to < run->plan->shards; to++) deliver(run, from, to, UINT32_MAX);
  trace_run_check(run, true);
}

static void step(struct trace_run *run) {
  const unsigned pick = random_below(&run->random, 20), shards = run->plan->shards;
  if (pick < 8 && run->taken < run->queued) {
    send(run);
  } else if (pick < 15) {
    deliver(run, random_below(&run->random, shards), random_below(&run->random, shards), 1 + random_below(&run->random, 40));
  } else if (pick < 18) {
    pass(run);
  } else if (pick == 18 && run->generation + 1 < run->plan->generations) {
    load(run);
  } else {
    adopt(run, random_below(&run->random, shards));
  }
  settle(run, false);
}

/* All is delivered, all completes. Verdicts that found no room come with the calls that follow. */
static void finish(struct trace_run *run) {
  for (unsigned from = 0; from < run->plan->shards; from++)
    for (unsigned to = 0; to < run->plan->shards; to++) deliver(run, from, to, UINT32_MAX);
  settle(run, true);
  wait_until(run, run->now_ns + run->plan->story.idle_ns + (run->plan->story.waits ? 12 : 1) * SECOND);
  for (unsigned again = 0; again < 50; again++)
    for (unsigned shard = 0; shard < run->plan->shards; shard++) {
      expire(run, shard);
      if (run->plan->tight) trace_run_drain(run);
    }
  settle(run, true);
  trace_run_check(run, true);
}

static void check_laws(struct trace_run *run) {
  uint64_t sent = 0, applied = 0, opened = 0, completed = 0, evicted = 0;
  for (unsigned i = 0; i < run->plan->shards; i++) {
    const struct engine_counters *counters = engine_counters(run->side.engines[i]);
    sent += counters->digests_sent;
    applied += counters->digests_applied;
    opened += counters->traces_opened;
    evicted += counters->traces_evicted;
    for (unsigned reason = 0; reason < TRACE_COMPLETIONS; reason++) completed += counters->traces_completed[reason];
  }
  if (sent != applied || opened != completed + evicted || evicted != run->judge.evicted)
    trace_run_differ(run, "conservation", "?", 0);
}

static void open_run(struct trace_run *run, const struct trace_plan *plan) {
  const struct side_limits limits = {.record_bytes = plan->tight ? 8192 : 1u << 20,
                                     .digest_lines = plan->tight ? 64 : 1u << 14,
                                     .traces = plan->story.table ? plan->story.table : 256,
                                     .captures = 4096,
                                     .window_keys = plan->silences ? 512 : 0,
                                     .idle_ns = plan->story.idle_ns,
                                     .trace = {.root_grace_ns = plan->story.root_grace_ns,
                                               .max_age_ns = plan->story.max_age_ns,
                                               .max_spans = plan->story.max_spans,
                                               .clock_tolerance_ns = plan->story.clock_tolerance_ns}};
  run->yard = yard_open();
  run->queue = YARD_ARRAY(run->yard, unsigned, plan->story.sample_count);
  for (unsigned i = 0; i < plan->story.sample_count; i++)
    if (!plan->sample_dropped[i]) run->queue[run->queued++] = i;
  for (unsigned i = 0; i < plan->shards; i++) run->flights[i] = YARD_ARRAY(run->yard, struct flight, plan->story.sample_count);
  side_open(&run->side, plan->shards, &limits, run->now_ns);
  trace_judge_open(&run->judge, &plan->story, run->yard, yard_open());
  run->judge.judge.timezone = plan->timezone;
  load(run);
  for (unsigned i = 0; i < plan->shards; i++) side_adopt(&run->side, i);
}

static bool run_plan(const struct trace_plan *plan, struct case_totals *totals, bool quiet, bool loud) {
  struct trace_run *run = calloc(1, sizeof *run);
  *run = (struct trace_run){
      .plan = plan, .random = {.state = plan->seed ^ 0x5eed}, .totals = totals, .quiet = quiet, .loud = loud, .now_ns = SECOND};
  open_run(run, plan);
  for (unsigned steps = 0; steps < STEPS_MAX && (run->taken < run->queued || digests_wait(run)); steps++) step(run);
  finish(run);
  check_laws(run);
  totals->cases += run->judge.judged;
  totals->matches += run->judge.fired;
  const bool differs = run->differs;
  side_close(&run->side);
  yard_close(run->judge.judge.yard);
  yard_close(run->yard);
  free(run);
  return !differs;
}

static bool still_differs(void *context) {
  struct case_totals totals = {0};
  return !run_plan(context, &totals, true, false);
}

static bool run_seed(uint64_t seed, enum story_kind kind, struct yard *yard, struct case_totals *totals) {
  struct trace_plan plan;
  yard_clear(yard);
  trace_plan_make(&plan, seed, kind, yard);
  totals->seeds++;
  if (run_plan(&plan, totals, false, false)) return true;
  shrink(plan.rule_dropped, plan.story.rule_count, still_differs, &plan);
  shrink(plan.sample_dropped, plan.story.sample_count, still_differs, &plan);
  printf("seed %" PRIu64 ", %u shards, %u generations%s, smallest form:\n", seed, plan.shards, plan.generations,
         plan.tight ? ", small rings" : "");
  struct case_totals again = {0};
  run_plan(&plan, &again, false, true);
  return false;
}

bool trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_SELECTORS, yard, totals);
}

bool story_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_FACTS, yard, totals);
}

bool wait_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_WAITS, yard, totals);
}

bool excepted_trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_EXCEPTIONS, yard, totals);
}

bool betrace_trace_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_BETRACE, yard, totals);
}

bool silence_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_SILENCES, yard, totals);
}

bool eviction_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, STORY_OF_EVICTIONS, yard, totals);
}
