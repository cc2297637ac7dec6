/* Random trace rules and random traffic on 1 to 4 shards against the slow judge: every way to be complete, spans sent again, late
 * ones, reloads in between; and with pools that run full, where what is said must still be true. */
#include "slow_judge.h"
#include <stdio.h>
#include <stdlib.h>

#define TRACES 24
#define RULES 40
#define IDLE_NS (3 * RIG_SECOND)
#define TEXT_BYTES (4u << 20)

static const struct rig_limits roomy = {4u << 20, 1u << 14, 64, 4096};

struct sent {
  struct rig_span span;
  uint32_t engine;
};

struct play {
  struct engine_rig rig;
  struct rig_traces traces;
  struct slow_rules rules;
  unsigned random, fillers;
  int64_t constants;
  struct slow_trace slow[TRACES];
  uint32_t found[TRACES][RULES];
  struct sent sent[64];
  unsigned sent_count;
  uint64_t completed[TRACE_COMPLETIONS];
  uint64_t next_span;
  char *text;
};

static unsigned pick(struct play *play, unsigned below) { return (unsigned)rand_r(&play->random) % below; }

/* The rules that are judged, among others that come and go. */
static const char *rules_text(struct play *play) {
  struct slow_rules others;
  const bool others_first = pick(play, 2);
  char *end = play->text + sprintf(play->text, "rules:\n");
  slow_rules_make(&others, 5, play->constants, &play->random);
  if (others_first) end = slow_rules_print(&others, 'o', end);
  end = slow_rules_print(&play->rules, 'r', end);
  if (!others_first) end = slow_rules_print(&others, 'o', end);
  for (unsigned i = 0; i < play->fillers; i++)
    end += sprintf(end, "  - {name: f%u, when: '{span.amount = %u} && {root}', always: '{name = \"n%u\"}'}\n", i, 1000000 + i, i);
  slow_rules_free(&others);
  return play->text;
}

static void find(void *context, const struct violation *violation) {
  struct play *play = context;
  char name[32];
  uint64_t trace;
  assert_true(violation->rule.length < sizeof name);
  memcpy(name, violation->rule.at, violation->rule.length);
  name[violation->rule.length] = '\0';
  assert_true(name[0] != 'f');
  if (name[0] != 'r') return;
  memcpy(&trace, violation->fixed.trace_id, sizeof trace);
  assert_true(trace >= 1 && trace <= TRACES);
  const unsigned rule = (unsigned)atoi(name + 1);
  assert_true(rule < RULES);
  play->found[trace - 1][rule]++;
}

static void open_play(struct play *play, unsigned seed, uint32_t engines, const struct rig_limits *limits) {
  play->random = seed;
  play->text = malloc(TEXT_BYTES);
  play->constants = 2 + pick(play, 60);
  slow_rules_make(&play->rules, RULES, play->constants, &play->random);
  for (unsigned i = 0; i < TRACES; i++) slow_trace_open(&play->slow[i], &play->rules);
  rig_open_traces(&play->rig, engines, limits, &play->traces, rules_text(play));
}

static void close_play(struct play *play) {
  for (unsigned i = 0; i < TRACES; i++) slow_trace_close(&play->slow[i]);
  slow_rules_free(&play->rules);
  rig_close(&play->rig);
  free(play->text);
}

static void count(struct play *play, enum trace_completion reason) {
  if (reason != TRACE_COMPLETIONS) play->completed[reason]++;
}

/* In the order in which the rings are emptied. */
static void deliver(struct play *play) {
  for (uint32_t from = 0; from < play->rig.engines; from++)
    for (unsigned i = 0; i < play->sent_count; i++) {
      const struct sent *sent = &play->sent[i];
      struct slow_trace *trace = &play->slow[sent->span.trace - 1];
      if (sent->engine != from) continue;
      count(play, slow_trace_pass(trace, &play->rules, &play->traces.limits, IDLE_NS, play->rig.now_ns));
      count(play, slow_trace_add(trace, &play->rules, &sent->span, &play->traces.limits, play->rig.now_ns));
    }
  play->sent_count = 0;
  rig_deliver(&play->rig);
  rig_check_laws(&play->rig);
}

static void pass(struct play *play, uint64_t ns) {
  deliver(play);
  if (pick(play, 4) == 0) { /* the wheel is late */
    play->rig.now_ns += ns;
    return;
  }
  rig_pass(&play->rig, ns);
  for (unsigned i = 0; i < TRACES; i++) {
    slow_trace_forget(&play->slow[i], play->rig.now_ns);
    count(play, slow_trace_pass(&play->slow[i], &play->rules, &play->traces.limits, IDLE_NS, play->rig.now_ns));
  }
  rig_check_laws(&play->rig);
}

static void send(struct play *play) {
  static const char *const names[] = {"charge", "check", "audit", "login", "other"};
  const struct rig_span span = {.trace = 1 + pick(play, TRACES),
                                .span = ++play->next_span | (pick(play, 3) ? RIG_CHILD : 0),
                                .name = names[pick(play, 5)],
                                .service = "s",
                                .amount = (int64_t)pick(play, (unsigned)play->constants + 4) - 2,
                                .error = pick(play, 3) == 0};
  for (unsigned times = pick(play, 6) == 0 ? 2 : 1; times > 0; times--) {
    const struct sent sent = {.span = span, .engine = pick(play, play->rig.engines)};
    if (play->sent_count == 64) deliver(play);
    assert_true(rig_send(&play->rig, sent.engine, &span));
    play->sent[play->sent_count++] = sent;
  }
  if (pick(play, 3) == 0) deliver(play);
}

static void run(struct play *play, unsigned spans) {
  static const uint64_t steps_ns[] = {1000, 17000, 300000, 40000000, RIG_SECOND / 2, RIG_SECOND, 2 * RIG_SECOND, 20 * RIG_SECOND};
  for (unsigned i = 0; i < spans; i++) {
    send(play);
    if (pick(play, 6) == 0) pass(play, steps_ns[pick(play, 8)] + pick(play, 1000));
    if (pick(play, 25) == 0) {
      deliver(play);
      rig_apply(&play->rig, rules_text(play));
    }
    rig_violations(&play->rig, find, play);
  }
  deliver(play);
  for (unsigned i = 0; i < 5; i++) pass(play, 40 * RIG_SECOND);
  rig_violations(&play->rig, find, play);
  rig_check_laws(&play->rig);
}

static uint64_t completed_by_engines(const struct play *play, enum trace_completion reason) {
  uint64_t completed = 0;
  for (uint32_t i = 0; i < play->rig.engines; i++) completed += engine_counters(play->rig.engine[i])->traces_completed[reason];
  return completed;
}

static struct trace_limits limits_of(unsigned seed) {
  return (struct trace_limits){.root_grace_ns = seed & 1 ? RIG_SECOND : 0,
                               .max_age_ns = seed & 2 ? 4 * RIG_SECOND : 0,
                               .max_spans = seed & 4 ? 3 + seed % 5 : 0};
}

static void test_the_slow_judge_agrees(void **state) {
  uint64_t completed[TRACE_COMPLETIONS] = {0}, late = 0, violations = 0;
  (void)state;
  for (unsigned seed = 1; seed <= 64; seed++)
    for (uint32_t engines = 1; engines <= RIG_ENGINES_MAX; engines++) {
      struct play play = {.traces = {.limits = limits_of(seed), .spills = 1u << 14}, .fillers = seed % 16 == 0 ? 1500 : 0};
      open_play(&play, seed * 8 + engines, engines, &roomy);
      run(&play, 200);
      for (unsigned t = 0; t < TRACES; t++)
        for (unsigned r = 0; r < RULES; r++) {
          if (play.found[t][r] != play.slow[t].expected[r])
            fail_msg("seed %u, %u engines: trace %u, rule r%u: %u, expected %u", seed, engines, t + 1, r, play.found[t][r],
                     play.slow[t].expected[r]);
          violations += play.found[t][r];
        }
      for (unsigned reason = 0; reason < TRACE_COMPLETE_DRAINED; reason++) {
        assert_int_equal(completed_by_engines(&play, (enum trace_completion)reason), play.completed[reason]);
        completed[reason] += play.completed[reason];
      }
      for (uint32_t i = 0; i < engines; i++) {
        const struct engine_counters *counters = engine_counters(play.rig.engine[i]);
        assert_int_equal(counters->spills_exhausted + counters->captures_exhausted + counters->traces_evicted, 0);
        late += counters->spans_late;
        assert_int_equal(counters->late_ns.count, counters->spans_late);
      }
      close_play(&play);
    }
  for (unsigned reason = 0; reason < TRACE_COMPLETE_DRAINED; reason++) assert_true(completed[reason] > 100);
  assert_true(late > 1000 && violations > 10000);
}

/* With hardly any room nothing is said that is not so, or twice. */
static void test_pools_that_run_full(void **state) {
  static const struct rig_limits tight = {16384, 256, 64, 8};
  uint64_t exhausted = 0, withheld = 0, captures = 0, retried = 0, found = 0, expected = 0;
  (void)state;
  for (unsigned seed = 1; seed <= 40; seed++) {
    struct play play = {.traces = {.limits = limits_of(seed), .spills = 1 + seed * 3}};
    const uint32_t engines = 1 + seed % RIG_ENGINES_MAX;
    open_play(&play, seed, engines, &tight);
    run(&play, 150);
    for (unsigned t = 0; t < TRACES; t++)
      for (unsigned r = 0; r < RULES; r++) {
        if (play.found[t][r] > play.slow[t].expected[r])
          fail_msg("seed %u: trace %u, rule r%u: %u, expected at most %u", seed, t + 1, r, play.found[t][r],
                   play.slow[t].expected[r]);
        found += play.found[t][r];
        expected += play.slow[t].expected[r];
      }
    for (uint32_t i = 0; i < engines; i++) {
      const struct engine_counters *counters = engine_counters(play.rig.engine[i]);
      exhausted += counters->spills_exhausted;
      withheld += counters->verdicts_withheld;
      captures += counters->captures_exhausted;
      retried += counters->violations_retried;
      assert_int_equal(counters->traces_evicted, 0);
    }
    close_play(&play);
  }
  assert_true(exhausted > 100 && withheld > 10 && captures > 10);
  assert_true(found * 2 > expected && found < expected);
  (void)retried;
}

/* A table that is much too small: what is evicted and forgotten adds up. */
static void test_a_table_that_is_too_small(void **state) {
  static const struct rig_limits tiny = {4096, 256, 5, 4};
  uint64_t evicted = 0, retried = 0;
  (void)state;
  for (unsigned seed = 1; seed <= 40; seed++) {
    struct play play = {.traces = {.limits = limits_of(seed), .spills = 64}};
    const uint32_t engines = 1 + seed % RIG_ENGINES_MAX;
    open_play(&play, seed, engines, &tiny);
    run(&play, 150);
    for (uint32_t i = 0; i < engines; i++) {
      while (engine_drain(play.rig.engine[i], play.rig.now_ns, play.rig.now_ns, 1) > 0) rig_violations(&play.rig, find, &play);
      const struct engine_counters *counters = engine_counters(play.rig.engine[i]);
      evicted += counters->traces_evicted;
      retried += counters->violations_retried;
      assert_int_equal(counters->traces_live, 0);
    }
    rig_check_laws(&play.rig);
    close_play(&play);
  }
  assert_true(evicted > 100 && retried > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_slow_judge_agrees),
      cmocka_unit_test(test_pools_that_run_full),
      cmocka_unit_test(test_a_table_that_is_too_small),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
