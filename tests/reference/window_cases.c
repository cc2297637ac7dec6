/* Rules on many events together: which shard an event came to, how batches are cut, how long digests are on their way and how
 * time passes must not matter beyond what the reference says. */
#include "cases.h"
#include "judge_window.h"
#include "line_ring.h"
#include "report_check.h"
#include "rule_spelling.h"
#include "shrinker.h"
#include "window_maker.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define TICK (SECOND / 100)
#define START (1000 * SECOND)
#define STEPS_MAX 100000u

struct sent {
  unsigned sample;
  uint64_t arrival_ns;
};

struct window_run {
  const struct window_plan *plan;
  struct engine_side side;
  struct window_judge judge;
  struct test_random random;
  struct case_totals *totals;
  struct yard *yard;
  struct sent *sent[SIDE_SHARDS_MAX];
  unsigned sent_count[SIDE_SHARDS_MAX], applied_count[SIDE_SHARDS_MAX];
  unsigned *queue, queued, taken;
  uint64_t now_ns;
  struct expected_report report;
  bool differs, quiet, loud;
};

static void tell(const struct window_run *run, const char *what, const char *rule) {
  printf("t=%" PRIu64 "ms: %s: rule %s\n", (run->now_ns - START) / 1000000, what, rule);
}

static void differ(struct window_run *run, const char *what, const char *rule) {
  run->differs = true;
  run->totals->differences++;
  if (!run->quiet) tell(run, what, rule);
}

static const struct plain *attribute_of(const struct violation *violation, const char *key, struct plain *value) {
  for (uint32_t i = 0; i < violation->attribute_count; i++) {
    const struct event_text text = violation->attributes[i].key;
    if (text.length != strlen(key) || memcmp(text.at, key, text.length) != 0) continue;
    *value = side_plain(&violation->attributes[i].value);
    return value;
  }
  *value = plain_null();
  return value;
}

static bool is_of_key(const struct window_run *run, const struct violation *violation, const struct window_key *key) {
  const struct window_shape *window = run->plan->rules[key->rule]->window;
  for (unsigned i = 0; i < window->by_count; i++) {
    struct plain value;
    attribute_of(violation, reference_facts[window->by[i]].spelling, &value);
    if (!plain_equal(&value, &key->by[i]) && !plain_identical(&value, &key->by[i])) return false;
  }
  return true;
}

static bool is_near(const struct plain *value, const struct plain *expected, double tolerance) {
  if (!plain_is_number(value) || !plain_is_number(expected)) return value->type == expected->type;
  const double a = value->type == PLAIN_INTEGER ? (double)value->integer : value->real;
  const double b = expected->type == PLAIN_INTEGER ? (double)expected->integer : expected->real;
  return fabs(a - b) <= tolerance * fabs(b);
}

static const char *key_difference(const struct window_run *run, const struct window_verdict *verdict,
                                  const struct violation *violation) {
  const struct shape_rule *rule = run->plan->rules[verdict->rule];
  struct plain value;
  char message[64];
  attribute_of(violation, "value", &value);
  if (!is_near(&value, &verdict->value, rule->window->measure == WINDOWED_QUANTILE ? 0.033 : 1e-12)) return "value";
  if (violation->fixed.count != verdict->count) return "count";
  if (violation->fixed.has_trace || violation->fixed.span_count) return "trace";
  if (!rule->has_message) return NULL;
  const size_t length = (size_t)snprintf(message, sizeof message, "n=%u ", verdict->count);
  return violation->message.length >= length && memcmp(violation->message.at, message, length) == 0 ? NULL : "message";
}

static const char *event_difference(struct window_run *run, const struct window_verdict *verdict, struct violation *violation) {
  const struct shape_rule *rule = run->plan->rules[verdict->rule];
  struct plain suppressed;
  if (violation->fixed.count != verdict->count) return "count";
  if (attribute_of(violation, "suppressed", &suppressed)->type != PLAIN_NULL) violation->attribute_count--;
  run->judge.judge.timezone = rule->timezone;
  expected_report_make(&run->report, &run->judge.judge, rule, verdict->sample);
  const char *what = report_difference(&run->report, &run->judge.judge, rule, verdict->sample, violation);
  yard_clear(run->judge.judge.yard);
  return what;
}

static bool is_of_sample(const struct violation *violation, const struct sample *sample) {
  if (sample->subject == SUBJECT_SPAN) return side_number_of_id(violation->fixed.span_ids[0], 8) == sample->span;
  return violation->fixed.first_seen_ns == sample->start_ns;
}

static void take_violation(struct window_run *run, struct violation *violation) {
  char name[32];
  snprintf(name, sizeof name, "%.*s", (int)violation->rule.length, violation->rule.at);
  struct window_verdict *oldest = NULL;
  for (struct window_verdict *verdict = run->judge.verdicts; verdict; verdict = verdict->next) {
    if (verdict->matched || strcmp(run->plan->rules[verdict->rule]->name, name) != 0) continue;
    if (verdict->sample ? is_of_sample(violation, verdict->sample) : is_of_key(run, violation, verdict->key)) oldest = verdict;
  }
  if (!oldest) {
    differ(run, "the engine fires", name);
    return;
  }
  oldest->matched = true;
  if (run->plan->tight) return; /* which of several of a key it is, is open */
  const char *what = oldest->sample ? event_difference(run, oldest, violation) : key_difference(run, oldest, violation);
  if (!what && violation->wall_ns != run->now_ns) what = "time";
  if (what) differ(run, what, name);
}

/* While one verdict of a key waits for room others are only counted. */
static bool may_be_silent(const struct window_run *run, const struct window_verdict *silent) {
  for (const struct window_verdict *other = run->judge.verdicts; other && run->plan->tight; other = other->next)
    if (other->matched && other->key == silent->key) return true;
  return false;
}

static void check_step(struct window_run *run, bool end) {
  struct violation violation;
  if (run->plan->tight && !end && random_below(&run->random, 5)) return;
  for (unsigned shard = 0; shard < run->plan->shards; shard++)
    for (bool advance = false; side_next_violation(&run->side, shard, &violation, &advance);) take_violation(run, &violation);
  if (run->plan->tight && !end) return;
  for (struct window_verdict *verdict = run->judge.verdicts; verdict; verdict = verdict->next)
    if (!verdict->matched && !may_be_silent(run, verdict))
      differ(run, "the engine is silent", run->plan->rules[verdict->rule]->name);
  run->judge.verdicts = NULL;
}

static void load(struct window_run *run) {
  const struct shape_rule *rules[64];
  struct spelling text = {0};
  unsigned count = 0;
  for (unsigned r = 0; r < run->plan->rule_count; r++)
    if (!run->plan->rule_dropped[r]) rules[count++] = run->plan->rules[r];
  spell_rules(&text, rules, count);
  if (run->loud && run->side.generation == 0) printf("%s", text.text);
  if (!side_load(&run->side, text.text, text.length)) {
    printf("seed %" PRIu64 ": the loader refused\n%s", run->plan->seed, text.text);
    abort();
  }
  spelling_free(&text);
  for (unsigned i = 0; i < run->plan->shards; i++) side_adopt(&run->side, i);
  side_forget_older(&run->side);
}

static bool evaluate(struct window_run *run, unsigned shard, const unsigned *samples, unsigned count) {
  struct engine *engine = run->side.engines[shard];
  for (unsigned i = 0; i < count; i++) {
    const struct sample *sample = &run->plan->samples[samples[i]];
    struct event_batch *batch = engine_batch(engine, side_kind(sample->subject));
    side_add(batch, sample, &run->random);
    if (event_batch_full(batch) || random_below(&run->random, 6) == 0)
      if (!engine_evaluate(engine, batch, run->now_ns, run->now_ns)) return false;
  }
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    struct event_batch *batch = engine_batch(engine, (enum event_kind)kind);
    if (batch->count && !engine_evaluate(engine, batch, run->now_ns, run->now_ns)) return false;
  }
  return true;
}

/* Those of one shard come in the order in which it sent them. */
static void deliver(struct window_run *run, unsigned from) {
  for (unsigned to = 0; to < run->plan->shards; to++) {
    struct line_ring *ring = run->side.digests[from][to];
    for (const struct line_header *header; (header = line_ring_peek(ring)); line_ring_consume(ring)) {
      if (header->type != LINE_WINDOW_DIGEST) abort();
      engine_apply_window(run->side.engines[to], (const struct window_digest *)(const void *)header, run->now_ns, run->now_ns);
    }
  }
  while (run->applied_count[from] < run->sent_count[from]) {
    const struct sent *sent = &run->sent[from][run->applied_count[from]++];
    const struct sample *sample = &run->plan->samples[sent->sample];
    for (unsigned r = 0; r < run->plan->rule_count; r++) {
      const struct shape_rule *rule = run->plan->rules[r];
      run->judge.judge.timezone = rule->timezone;
      if (run->plan->rule_dropped[r] || rule_subject_of(rule) != sample->subject) continue;
      if (judge_condition(&run->judge.judge, rule->condition, sample))
        window_judge_event(&run->judge, r, sample, sent->arrival_ns);
      yard_clear(run->judge.judge.yard);
    }
  }
  check_step(run, false);
}

static void send(struct window_run *run) {
  const unsigned shard = random_below(&run->random, run->plan->shards);
  struct engine *engine = run->side.engines[shard];
  unsigned count = 1 + random_below(&run->random, random_below(&run->random, 6) ? 4 : 60);
  if (count > run->queued - run->taken) count = run->queued - run->taken;
  const unsigned *samples = run->queue + run->taken;
  const bool fits = evaluate(run, shard, samples, count);
  if (!fits || random_below(&run->random, 10) == 0) {
    engine_rollback(engine);
    *(fits ? &run->totals->rolled_back : &run->totals->refused) += 1;
    if (!fits) deliver(run, shard);
    return;
  }
  engine_commit(engine);
  for (unsigned i = 0; i < count; i++) {
    run->sent[shard][run->sent_count[shard]++] = (struct sent){.sample = samples[i], .arrival_ns = run->now_ns};
    if (!run->loud) continue;
    printf("t=%" PRIu64 "ms shard %u sends:\n", (run->now_ns - START) / 1000000, shard);
    sample_print(&run->plan->samples[samples[i]]);
  }
  run->taken += count;
}

/* Timers are late by up to a millisecond: what is due at a hundredth of a second has come half a hundredth later. */
static void tick(struct window_run *run) {
  run->now_ns += TICK / 2;
  for (unsigned shard = 0; shard < run->plan->shards; shard++)
    while (engine_expire(run->side.engines[shard], run->now_ns, run->now_ns, 64) == 64) continue;
  window_judge_tick(&run->judge, run->now_ns);
  check_step(run, false);
  run->now_ns += TICK / 2;
}

/* Shards look at the clock and at their rings all the time. A digest that waits for long may meet a window that has moved on. */
static void pass(struct window_run *run) {
  const unsigned shards = run->plan->shards, first = random_below(&run->random, shards);
  for (unsigned i = 0; i < shards; i++) deliver(run, (first + i) % shards);
  for (unsigned ticks = 1 + random_below(&run->random, random_below(&run->random, 8) ? 20 : 400); ticks > 0; ticks--) {
    run->now_ns += TICK * random_below(&run->random, 5);
    tick(run);
  }
}

static bool digests_wait(const struct window_run *run) {
  for (unsigned from = 0; from < run->plan->shards; from++)
    if (run->applied_count[from] < run->sent_count[from]) return true;
  return false;
}

static void step(struct window_run *run) {
  const unsigned pick = random_below(&run->random, 20);
  if (pick < 8 && run->taken < run->queued) {
    send(run);
  } else if (pick < 14) {
    deliver(run, random_below(&run->random, run->plan->shards));
  } else if (pick == 19 && run->side.generation < 4) {
    load(run); /* the same rules again: keys go on */
  } else {
    pass(run);
  }
}

static void finish(struct window_run *run) {
  for (unsigned from = 0; from < run->plan->shards; from++) deliver(run, from);
  for (unsigned again = 0; again < 400; again++) {
    run->now_ns += 5 * TICK;
    tick(run);
  }
  /* What found no room comes when there is. */
  for (unsigned again = 0; again < 100 && run->plan->tight; again++) {
    struct violation violation;
    for (unsigned shard = 0; shard < run->plan->shards; shard++) {
      for (bool advance = false; side_next_violation(&run->side, shard, &violation, &advance);) take_violation(run, &violation);
      engine_expire(run->side.engines[shard], run->now_ns, run->now_ns, 64);
    }
  }
  check_step(run, true);
}

static bool run_plan(const struct window_plan *plan, struct case_totals *totals, bool quiet, bool loud) {
  const struct side_limits limits = {.record_bytes = plan->tight ? 8192 : 1u << 20,
                                     .digest_lines = plan->tight ? 256 : 1u << 14,
                                     .traces = 16,
                                     .captures = 16,
                                     .window_keys = 512,
                                     .idle_ns = SECOND};
  struct window_run *run = calloc(1, sizeof *run);
  *run = (struct window_run){
      .plan = plan, .random = {.state = plan->seed ^ 0x5eed}, .totals = totals, .quiet = quiet, .loud = loud, .now_ns = START};
  run->yard = yard_open();
  run->judge = (struct window_judge){.judge = {.yard = yard_open()},
                                     .yard = run->yard,
                                     .rules = plan->rules,
                                     .rule_count = plan->rule_count,
                                     .dropped = plan->rule_dropped};
  run->queue = YARD_ARRAY(run->yard, unsigned, plan->sample_count);
  for (unsigned i = 0; i < plan->sample_count; i++)
    if (!plan->sample_dropped[i]) run->queue[run->queued++] = i;
  for (unsigned i = 0; i < plan->shards; i++) run->sent[i] = YARD_ARRAY(run->yard, struct sent, plan->sample_count);
  side_open(&run->side, plan->shards, &limits, run->now_ns);
  load(run);
  window_judge_start(&run->judge, run->now_ns);
  for (unsigned i = 0; i < plan->shards; i++) engine_expire(run->side.engines[i], run->now_ns, run->now_ns, 64);
  for (unsigned steps = 0; steps < STEPS_MAX && (run->taken < run->queued || digests_wait(run)); steps++) step(run);
  finish(run);
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

bool window_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  struct window_plan plan;
  yard_clear(yard);
  window_plan_make(&plan, seed, yard);
  totals->seeds++;
  if (run_plan(&plan, totals, false, false)) return true;
  shrink(plan.rule_dropped, plan.rule_count, still_differs, &plan);
  shrink(plan.sample_dropped, plan.sample_count, still_differs, &plan);
  printf("seed %" PRIu64 ", %u shards%s, smallest form:\n", seed, plan.shards, plan.tight ? ", small rings" : "");
  struct case_totals again = {0};
  run_plan(&plan, &again, false, true);
  return false;
}
