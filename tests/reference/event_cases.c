/* Rules on single events: how events are cut into batches and requests, which shard judges them, what is taken back, and rules
 * that change in between must not matter. */
#include "betrace_maker.h"
#include "cases.h"
#include "exception_maker.h"
#include "report_check.h"
#include "rule_maker.h"
#include "rule_spelling.h"
#include "shrinker.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define GENERATIONS_MAX 3u

enum event_plan_kind {
  EVENTS_PLAIN,
  EVENTS_WITH_ELEMENTS, /* webhooks only, whose bodies have arrays */
  EVENTS_EXCEPTED,      /* rules with exceptions */
  EVENTS_BETRACE,       /* spans, and rules in BeTrace's notation */
};

struct event_plan {
  uint64_t seed;
  unsigned shards, generations;
  enum event_plan_kind kind;
  uint32_t record_bytes;
  unsigned rule_count, sample_count;
  const struct shape_rule **rules;
  uint8_t *rule_generations; /* bits: the generations that have it */
  struct sample *samples;    /* in order; as many of them in each generation */
  bool *rule_dropped, *sample_dropped;
};

struct event_run {
  const struct event_plan *plan;
  struct engine_side side;
  struct judge judge;
  struct test_random random;
  struct case_totals *totals;
  unsigned shard_generation[SIDE_SHARDS_MAX];
  uint8_t *expected, *seen; /* [sample][rule] */
  struct expected_report report;
  bool differs, loud;
};

static void differ(struct event_run *run, unsigned rule, unsigned sample, const char *what) {
  run->differs = true;
  run->totals->differences++;
  if (!run->loud) return;
  printf("difference (%s) of rule %s on:\n", what, run->plan->rules[rule]->name);
  sample_print(&run->plan->samples[sample]);
}

static unsigned generation_of(const struct event_plan *plan, unsigned sample) {
  return sample * plan->generations / plan->sample_count;
}

static bool rule_is_in(const struct event_plan *plan, unsigned rule, unsigned generation) {
  return !plan->rule_dropped[rule] && plan->rule_generations[rule] >> generation & 1;
}

static unsigned sample_of(const struct event_plan *plan, const struct violation *violation) {
  const uint64_t number = violation->fixed.source == RULE_ON_SPAN ? side_number_of_id(violation->fixed.span_ids[0], 8) - 1
                                                                  : (violation->fixed.first_seen_ns - POOL_TIME) / POOL_TIME_STEP;
  return number < plan->sample_count ? (unsigned)number : UINT32_MAX;
}

static const char *fields_difference(const struct sample *sample, const struct shape_rule *rule,
                                     const struct violation *violation) {
  static const uint8_t sources[] = {
      [ON_SPAN] = RULE_ON_SPAN, [ON_WEBHOOK] = RULE_ON_WEBHOOK, [ON_ALERT] = RULE_ON_ALERT, [ON_TRACE] = RULE_ON_TRACE};
  const bool span = rule->on == ON_SPAN;
  if (violation->fixed.source != sources[rule->on]) return "source";
  if (violation->fixed.count != 1) return "count";
  if (violation->fixed.has_trace != span || violation->fixed.span_count != span) return "trace and span";
  if (span && side_number_of_id(violation->fixed.trace_id, 16) != sample->trace) return "trace";
  if (violation->fixed.first_seen_ns != sample->start_ns) return "first seen";
  const uint64_t end = sample->end_ns > sample->start_ns ? sample->end_ns : sample->start_ns;
  return violation->fixed.last_seen_ns == end ? NULL : "last seen";
}

static unsigned rule_of(const struct violation *violation) {
  unsigned number = 0;
  for (uint32_t i = 1; i < violation->rule.length; i++) number = number * 10 + (unsigned)(violation->rule.at[i] - '0');
  return number;
}

static void note_violation(struct event_run *run, const struct violation *violation) {
  const struct event_plan *plan = run->plan;
  const unsigned rule = rule_of(violation), sample = sample_of(plan, violation);
  if (rule >= plan->rule_count || sample == UINT32_MAX) {
    printf("a violation of nothing: %.*s\n", (int)violation->rule.length, violation->rule.at);
    run->differs = true;
    return;
  }
  const size_t at = (size_t)sample * plan->rule_count + rule;
  run->seen[at]++;
  if (!run->expected[at]) return;
  run->judge.timezone = plan->rules[rule]->timezone;
  expected_report_make(&run->report, &run->judge, plan->rules[rule], &plan->samples[sample]);
  const char *what = report_difference(&run->report, &run->judge, plan->rules[rule], &plan->samples[sample], violation);
  if (!what) what = fields_difference(&plan->samples[sample], plan->rules[rule], violation);
  if (what) differ(run, rule, sample, what);
  yard_clear(run->judge.yard);
}

static void drain(struct event_run *run, unsigned shard) {
  struct violation violation;
  for (bool advance = false; side_next_violation(&run->side, shard, &violation, &advance);) note_violation(run, &violation);
}

/* Into batches that end where they are full or anywhere before. */
static bool evaluate(struct event_run *run, unsigned shard, const unsigned *samples, unsigned count) {
  struct engine *engine = run->side.engines[shard];
  const unsigned rows_most = 1 + random_below(&run->random, EVENT_BATCH_ROWS);
  for (unsigned i = 0; i < count; i++) {
    const struct sample *sample = &run->plan->samples[samples[i]];
    struct event_batch *batch = engine_batch(engine, side_kind(sample->subject));
    side_add(batch, sample, &run->random);
    const bool large = sample->body && body_size(sample->body) > 200; /* a batch holds so many elements */
    if (large || event_batch_full(batch) || batch->count >= rows_most || random_below(&run->random, 40) == 0)
      if (!engine_evaluate(engine, batch, SECOND, SECOND)) return false;
  }
  for (unsigned kind = 0; kind < EVENT_KINDS; kind++) {
    struct event_batch *batch = engine_batch(engine, (enum event_kind)kind);
    if (batch->count && !engine_evaluate(engine, batch, SECOND, SECOND)) return false;
  }
  return true;
}

static void expect(struct event_run *run, unsigned shard, unsigned sample) {
  const struct event_plan *plan = run->plan;
  const struct sample *event = &plan->samples[sample];
  for (unsigned r = 0; r < plan->rule_count; r++) {
    const struct shape_rule *rule = plan->rules[r];
    if (!rule_is_in(plan, r, run->shard_generation[shard]) || rule->disabled || rule_subject_of(rule) != event->subject) continue;
    run->judge.timezone = rule->timezone;
    const bool holds = judge_condition(&run->judge, rule->condition, event);
    if (!rule->shadow) run->expected[(size_t)sample * plan->rule_count + r] += holds;
    run->totals->cases++;
    run->totals->matches += holds;
    yard_clear(run->judge.yard);
  }
}

/* What found no room is taken back, and sent again in halves where the ring could never take it. False: nothing of it is open. */
static void submit(struct event_run *run, unsigned shard, const unsigned *samples, unsigned count);
static bool refused(struct event_run *run, unsigned shard, const unsigned *samples, unsigned count) {
  const enum engine_room room = engine_room(run->side.engines[shard]);
  engine_rollback(run->side.engines[shard]);
  run->totals->refused++;
  drain(run, shard);
  if (room != ENGINE_ROOM_NEVER) return true;
  if (count == 1) return false;
  submit(run, shard, samples, count / 2);
  submit(run, shard, samples + count / 2, count - count / 2);
  return false;
}

static void submit(struct event_run *run, unsigned shard, const unsigned *samples, unsigned count) {
  struct engine *engine = run->side.engines[shard];
  bool take_back = random_below(&run->random, 12) == 0;
  for (;;) {
    if (!evaluate(run, shard, samples, count)) {
      if (!refused(run, shard, samples, count)) return;
      continue;
    }
    if (!take_back) break;
    take_back = false;
    engine_rollback(engine);
    run->totals->rolled_back++;
  }
  for (unsigned i = 0; i < count; i++) expect(run, shard, samples[i]);
  engine_commit(engine);
  if (random_below(&run->random, 3)) drain(run, shard);
}

static void load(struct event_run *run, unsigned generation) {
  const struct event_plan *plan = run->plan;
  const struct shape_rule *rules[4096];
  unsigned count = 0;
  struct spelling text = {0};
  for (unsigned r = 0; r < plan->rule_count; r++)
    if (rule_is_in(plan, r, generation)) rules[count++] = plan->rules[r];
  spell_rules(&text, rules, count);
  if (run->loud) printf("rules of generation %u:\n%s", generation, text.text);
  if (!side_load(&run->side, text.text, text.length)) {
    printf("seed %" PRIu64 ": the loader refused\n%s", plan->seed, text.text);
    abort();
  }
  spelling_free(&text);
}

/* A shard moves on when it likes; all have by the end of a generation. */
static void adopt(struct event_run *run, unsigned shard, unsigned generation) {
  drain(run, shard);
  side_adopt(&run->side, shard);
  run->shard_generation[shard] = generation;
}

static void run_generation(struct event_run *run, unsigned generation, unsigned *next) {
  const struct event_plan *plan = run->plan;
  unsigned request[256], count = 0, most = 1 + random_below(&run->random, 200);
  load(run, generation);
  if (generation == 0)
    for (unsigned i = 0; i < plan->shards; i++) adopt(run, i, 0);
  for (; *next < plan->sample_count && generation_of(plan, *next) == generation; (*next)++) {
    if (plan->sample_dropped[*next]) continue;
    request[count++] = *next;
    if (count < most) continue;
    const unsigned shard = random_below(&run->random, plan->shards);
    if (random_below(&run->random, 2)) adopt(run, shard, generation);
    submit(run, shard, request, count);
    count = 0;
    most = 1 + random_below(&run->random, random_below(&run->random, 2) ? 8 : 200);
  }
  for (unsigned i = 0; i < plan->shards; i++) adopt(run, i, generation);
  side_forget_older(&run->side);
  if (count) submit(run, random_below(&run->random, plan->shards), request, count);
}

static bool run_plan(const struct event_plan *plan, struct case_totals *totals, bool loud) {
  const struct side_limits limits = {
      .record_bytes = plan->record_bytes, .digest_lines = 64, .traces = 16, .captures = 16, .idle_ns = SECOND};
  struct event_run *run = calloc(1, sizeof *run);
  const size_t cells = (size_t)plan->sample_count * plan->rule_count;
  *run = (struct event_run){.plan = plan, .random = {.state = plan->seed ^ 0x5eed}, .totals = totals, .loud = loud};
  run->judge.yard = yard_open();
  run->expected = calloc(cells + 1, 1);
  run->seen = calloc(cells + 1, 1);
  side_open(&run->side, plan->shards, &limits, SECOND);
  unsigned next = 0;
  for (unsigned generation = 0; generation < plan->generations; generation++) run_generation(run, generation, &next);
  for (unsigned i = 0; i < plan->shards; i++) drain(run, i);
  for (size_t at = 0; at < cells; at++)
    if (run->expected[at] != run->seen[at])
      differ(run, (unsigned)(at % plan->rule_count), (unsigned)(at / plan->rule_count),
             run->expected[at] ? "the engine is silent" : "the engine fires");
  const bool differs = run->differs;
  side_close(&run->side);
  free(run->expected);
  free(run->seen);
  yard_close(run->judge.yard);
  free(run);
  return !differs;
}

static unsigned pick_rule_count(struct test_random *random) {
  const unsigned pick = random_below(random, 20);
  return pick == 0 ? 300 : pick < 8 ? 20 + random_below(random, 100) : 1 + random_below(random, 20);
}

static void except(struct rule_maker *maker, struct shape_rule *rule) {
  struct exceptions_shape *exceptions = make_exceptions(maker, rule_subject_of(rule));
  exceptions->written = rule->condition;
  rule->exceptions = exceptions;
  rule->condition = make_excepted(maker, exceptions, NULL, NULL);
}

static void make_plan(struct event_plan *plan, uint64_t seed, enum event_plan_kind kind, struct yard *yard) {
  const bool elements = kind == EVENTS_WITH_ELEMENTS;
  struct test_random random = {.state = seed * 0x9e3779b97f4a7c15};
  struct rule_maker maker = {.yard = yard, .random = &random, .elements = elements};
  *plan = (struct event_plan){.seed = seed,
                              .kind = kind,
                              .shards = 1 + random_below(&random, SIDE_SHARDS_MAX),
                              .generations = 1 + random_below(&random, GENERATIONS_MAX),
                              .record_bytes = random_below(&random, 3) ? 1u << 22 : 1u << 16,
                              .rule_count = pick_rule_count(&random),
                              .sample_count = 100 + random_below(&random, 800)};
  plan->rules = YARD_ARRAY(yard, const struct shape_rule *, plan->rule_count);
  plan->rule_generations = yard_take(yard, plan->rule_count);
  plan->samples = YARD_ARRAY(yard, struct sample, plan->sample_count);
  plan->rule_dropped = yard_take(yard, plan->rule_count);
  plan->sample_dropped = yard_take(yard, plan->sample_count);
  /* Most sets are about one kind of event, as most of what is asked of an event is asked of spans. */
  const unsigned subjects = elements || kind == EVENTS_BETRACE || random_below(&random, 3) ? 1 : SUBJECTS;
  const unsigned first = elements ? SUBJECT_WEBHOOK : SUBJECT_SPAN;
  for (unsigned i = 0; i < plan->rule_count; i++) {
    struct shape_rule *rule = make_event_rule(&maker, (enum subject)(first + random_below(&random, subjects)), i);
    if (kind == EVENTS_EXCEPTED && random_below(&random, 4)) except(&maker, rule);
    if (kind == EVENTS_BETRACE) {
      rule->condition = make_betrace_condition(&maker, random_below(&random, 4));
      rule->betrace = (uint8_t)random_below(&random, 4);
    }
    plan->rules[i] = rule;
    plan->rule_generations[i] = (uint8_t)(random_below(&random, 3) ? 7 : 1 + random_below(&random, 7));
  }
  for (unsigned i = 0; i < plan->sample_count; i++) {
    struct sample *sample = &plan->samples[i];
    sample_make(sample, (enum subject)(first + random_below(&random, subjects)), &random);
    if (elements) sample->body = body_make(&random, yard);
    sample->span = i + 1;
    if (sample->subject == SUBJECT_SPAN) continue;
    sample->start_ns = POOL_TIME + i * POOL_TIME_STEP;
    sample->end_ns = sample->start_ns;
  }
}

static bool still_differs(void *context) {
  struct case_totals totals = {0};
  return !run_plan(context, &totals, false);
}

static bool run_seed(uint64_t seed, enum event_plan_kind kind, struct yard *yard, struct case_totals *totals) {
  struct event_plan plan;
  yard_clear(yard);
  make_plan(&plan, seed, kind, yard);
  totals->seeds++;
  if (run_plan(&plan, totals, false)) return true;
  shrink(plan.rule_dropped, plan.rule_count, still_differs, &plan);
  shrink(plan.sample_dropped, plan.sample_count, still_differs, &plan);
  printf("seed %" PRIu64 ", %u shards, %u generations, smallest form:\n", seed, plan.shards, plan.generations);
  struct case_totals again = {0};
  run_plan(&plan, &again, true);
  return false;
}

bool event_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, EVENTS_PLAIN, yard, totals);
}

bool element_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, EVENTS_WITH_ELEMENTS, yard, totals);
}

bool exception_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, EVENTS_EXCEPTED, yard, totals);
}

bool betrace_event_cases_run(uint64_t seed, struct yard *yard, struct case_totals *totals) {
  return run_seed(seed, EVENTS_BETRACE, yard, totals);
}
