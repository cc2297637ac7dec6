/* Trace rules through real engines: every sentence of the design about when a verdict is given, and random traffic against a slow
 * judge. */
#include "engine_rig.h"
#include <stdio.h>
#include <stdlib.h>

static const struct rig_limits roomy = {1u << 20, 4096, 256, 512};

static const char rules[] =
    "rules:\n"
    "  - {name: fraud, on: trace, when: '{name = \"charge\" && span.amount > 100}', always: '{name = \"check\"}',\n"
    "     message: '${service} charged ${span.amount}'}\n"
    "  - {name: leak, on: trace, when: '{name = \"login\"}', never: '{name = \"dump\" && status = error}'}\n"
    "  - {name: both, on: trace, when: '{name = \"charge\"}', always: '{name = \"audit\"}', never: '{name = \"dump\"}'}\n";

struct tally {
  uint32_t fraud, leak, both;
  char message[256];
  struct violation_fixed last;
};

static void add(void *context, const struct violation *violation) {
  struct tally *tally = context;
  const char *rule = violation->rule.at;
  tally->fraud += violation->rule.length == 5 && memcmp(rule, "fraud", 5) == 0;
  tally->leak += violation->rule.length == 4 && memcmp(rule, "leak", 4) == 0;
  tally->both += violation->rule.length == 4 && memcmp(rule, "both", 4) == 0;
  memcpy(tally->message, violation->message.at, violation->message.length);
  tally->message[violation->message.length] = '\0';
  tally->last = violation->fixed;
}

static struct tally read_tally(struct engine_rig *rig) {
  struct tally tally = {0};
  rig_violations(rig, add, &tally);
  return tally;
}

static const struct rig_span charge = {1, 11, "charge", "shop", 250, false}, check = {1, 12, "check", "shop", -1, false},
                             audit = {1, 13, "audit", "shop", -1, false}, login = {2, 21, "login", "site", -1, false},
                             dump = {2, 22, "dump", "site", -1, true};

static void test_always_is_judged_when_idle(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  assert_true(rig_send(&rig, 0, &charge) && rig_send(&rig, 0, &audit));
  rig_deliver(&rig);
  rig_pass(&rig, 3 * RIG_SECOND - 1);
  assert_int_equal(rig_violations(&rig, NULL, NULL), 0);
  rig_pass(&rig, 1);
  const struct tally tally = read_tally(&rig);
  assert_int_equal(tally.fraud, 1);
  assert_int_equal(tally.both, 0);
  assert_string_equal(tally.message, "shop charged 250");
  assert_int_equal(tally.last.span_count, 1);
  assert_int_equal(tally.last.span_ids[0][0], 11);
  assert_int_equal(tally.last.first_seen_ns, 1011);
  assert_int_equal(tally.last.last_seen_ns, 2013);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_span_resets_the_idle_time(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  rig_send(&rig, 0, &charge);
  rig_deliver(&rig);
  rig_pass(&rig, 2 * RIG_SECOND);
  rig_send(&rig, 0, &check);
  rig_deliver(&rig);
  rig_pass(&rig, 2 * RIG_SECOND);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 1);
  rig_pass(&rig, RIG_SECOND);
  const struct tally tally = read_tally(&rig);
  assert_int_equal(tally.fraud, 0);
  assert_int_equal(tally.both, 1);
  rig_close(&rig);
}

static void test_never_fires_at_once_in_either_order_and_only_once(void **state) {
  struct engine_rig rig;
  (void)state;
  for (unsigned order = 0; order < 2; order++) {
    rig_open(&rig, 1, &roomy, rules);
    rig_send(&rig, 0, order ? &dump : &login);
    rig_send(&rig, 0, order ? &login : &dump);
    rig_deliver(&rig);
    assert_int_equal(read_tally(&rig).leak, 1);
    rig_send(&rig, 0, &dump);
    rig_deliver(&rig);
    rig_pass(&rig, 4 * RIG_SECOND);
    assert_int_equal(read_tally(&rig).leak, 0);
    rig_close(&rig);
  }
}

static void test_both_broken_is_one_violation(void **state) {
  struct engine_rig rig;
  (void)state;
  const struct rig_span dumped = {1, 14, "dump", "shop", -1, false};
  rig_open(&rig, 1, &roomy, rules);
  rig_send(&rig, 0, &charge);
  rig_send(&rig, 0, &check);
  rig_send(&rig, 0, &dumped);
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  const struct tally tally = read_tally(&rig);
  assert_int_equal(tally.both, 1);
  assert_int_equal(tally.fraud, 0);
  rig_close(&rig);
}

static void test_late_spans(void **state) {
  struct engine_rig rig;
  (void)state;
  const struct rig_span late_dump = {1, 15, "dump", "shop", -1, false};
  rig_open(&rig, 1, &roomy, rules);
  rig_send(&rig, 0, &charge);
  rig_send(&rig, 0, &audit);
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(read_tally(&rig).fraud, 1);
  rig_send(&rig, 0, &check); /* neither withdraws nor raises */
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(rig_violations(&rig, NULL, NULL), 0);
  rig_send(&rig, 0, &late_dump); /* trips a never that was not raised: once */
  rig_send(&rig, 0, &late_dump);
  rig_deliver(&rig);
  assert_int_equal(read_tally(&rig).both, 1);
  assert_int_equal(engine_counters(rig.engine[0])->spans_late, 3);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_evicted_and_drained_traces_are_not_judged_by_always(void **state) {
  const struct rig_limits small = {1u << 20, 4096, 4, 512};
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &small, rules);
  for (uint64_t trace = 1; trace <= 6; trace++) {
    const struct rig_span span = {trace, trace, "charge", "shop", 250, false};
    rig_send(&rig, 0, &span);
    rig_deliver(&rig);
    rig_check_laws(&rig);
  }
  assert_int_equal(engine_counters(rig.engine[0])->traces_evicted, 2);
  while (engine_drain(rig.engine[0], rig.now_ns, rig.now_ns, 1) > 0) continue;
  assert_int_equal(rig_violations(&rig, NULL, NULL), 0);
  assert_int_equal(engine_counters(rig.engine[0])->traces_completed[TRACE_COMPLETE_DRAINED], 4);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_verdict_without_room_waits(void **state) {
  const struct rig_limits tight = {1024, 4096, 256, 512};
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &tight, rules);
  for (uint64_t trace = 1; trace <= 12; trace++) {
    const struct rig_span span = {trace, trace, "charge", "shop", 250, false};
    rig_send(&rig, 0, &span);
  }
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  struct tally all = read_tally(&rig);
  assert_true(all.fraud + all.both < 24);
  assert_true(engine_counters(rig.engine[0])->violations_retried > 0);
  for (unsigned i = 0; i < 100; i++) {
    rig_pass(&rig, 1000000);
    const struct tally more = read_tally(&rig);
    all.fraud += more.fraud;
    all.both += more.both;
  }
  assert_int_equal(all.fraud, 12);
  assert_int_equal(all.both, 12);
  rig_close(&rig);
}

static void test_a_rollback_leaves_no_trace(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  assert_true(rig_evaluate(&rig, 0, &charge));
  engine_rollback(rig.engine[0]);
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(rig_violations(&rig, NULL, NULL), 0);
  assert_int_equal(engine_counters(rig.engine[0])->traces_opened, 0);
  assert_int_equal(engine_counters(rig.engine[0])->digests_sent, 0);
  assert_int_equal(engine_counters(rig.engine[0])->events_rolled_back[EVENT_SPAN], 1);
  rig_close(&rig);
}

static void test_full_digest_ring_refuses_the_request(void **state) {
  const struct rig_limits tight = {1u << 20, 8, 256, 512};
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &tight, rules);
  uint32_t sent = 0;
  while (rig_send(&rig, 0, &audit)) sent++;
  assert_true(sent > 0 && sent <= 8);
  assert_true(rig_evaluate(&rig, 0, &audit) == false);
  assert_int_equal(engine_room(rig.engine[0]), ENGINE_ROOM_FULL_NOW);
  engine_rollback(rig.engine[0]);
  rig_deliver(&rig);
  assert_true(rig_send(&rig, 0, &audit));
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_reload_keeps_what_stays_and_spares_old_traces_new_rules(void **state) {
  static const char more[] =
      "rules:\n"
      "  - {name: fresh, on: trace, when: '{name = \"charge\"}', always: '{name = \"never-seen\"}'}\n"
      "  - {name: fraud, on: trace, when: '{name = \"charge\" && span.amount > 100}', always: '{name = \"check\"}',\n"
      "     message: '${service} charged ${span.amount}'}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  rig_send(&rig, 0, &charge);
  rig_deliver(&rig);
  rig_apply(&rig, more);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(rig_violations(&rig, NULL, NULL), 1); /* fraud: its selectors are as old as the trace; fresh is too young */
  assert_int_equal(engine_counters(rig.engine[0])->trace_rules_skipped, 1);
  rig_close(&rig);
}

/* The slow judge: remembers all spans of a trace and looks at them when it is over. */
struct slow_trace {
  bool charge, big_charge, check, audit, login, dump, bad_dump;
};

static void slow_add(struct slow_trace *trace, const struct rig_span *span) {
  trace->charge |= strcmp(span->name, "charge") == 0;
  trace->big_charge |= strcmp(span->name, "charge") == 0 && span->amount > 100;
  trace->check |= strcmp(span->name, "check") == 0;
  trace->audit |= strcmp(span->name, "audit") == 0;
  trace->login |= strcmp(span->name, "login") == 0;
  trace->dump |= strcmp(span->name, "dump") == 0;
  trace->bad_dump |= strcmp(span->name, "dump") == 0 && span->error;
}

static void random_case(unsigned seed, uint32_t engines) {
  static const char *const names[] = {"charge", "check", "audit", "login", "dump", "other"};
  struct slow_trace slow[20] = {0};
  struct tally expected = {0};
  struct engine_rig rig;
  unsigned random = seed;
  rig_open(&rig, engines, &roomy, rules);
  for (uint64_t i = 0; i < 80; i++) {
    const uint64_t trace = (uint64_t)rand_r(&random) % 20;
    const struct rig_span span = {
        trace + 1, i + 1, names[rand_r(&random) % 6], "s", rand_r(&random) % 300 - 50, rand_r(&random) % 2 == 0};
    slow_add(&slow[trace], &span);
    assert_true(rig_send(&rig, (uint32_t)rand_r(&random) % engines, &span));
    if (rand_r(&random) % 5 == 0) rig_send(&rig, (uint32_t)rand_r(&random) % engines, &span); /* a resent span counts once */
    if (rand_r(&random) % 3 == 0) rig_deliver(&rig);
    rig_check_laws(&rig);
  }
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  for (unsigned i = 0; i < 20; i++) {
    expected.fraud += slow[i].big_charge && !slow[i].check;
    expected.leak += slow[i].login && slow[i].bad_dump;
    expected.both += slow[i].charge && (!slow[i].audit || slow[i].dump);
  }
  const struct tally found = read_tally(&rig);
  assert_int_equal(found.fraud, expected.fraud);
  assert_int_equal(found.leak, expected.leak);
  assert_int_equal(found.both, expected.both);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_random_traffic_on_any_number_of_shards(void **state) {
  (void)state;
  for (unsigned seed = 1; seed <= 100; seed++)
    for (uint32_t engines = 1; engines <= RIG_ENGINES_MAX; engines++) random_case(seed, engines);
}

static uint32_t named_spans, named_count;

static void check_one_span(void *context, const struct violation *violation) {
  (void)context;
  named_spans = violation->fixed.span_count;
  named_count = violation->fixed.count;
}

/* More selectors than go into one message, and than a trace keeps in place. */
static void test_a_span_that_meets_a_thousand_selectors(void **state) {
  enum { RULES = 1000 };
  const struct rig_traces traces = {.limits = {.max_spans = 3}, .spills = 4096};
  char *text = malloc(RULES * 96 + 64), *end = text + sprintf(text, "rules:\n");
  const struct rig_span big = {.trace = 1, .span = 11, .name = "charge", .service = "shop", .amount = 5000},
                        small = {.trace = 1, .span = 12, .name = "charge", .service = "shop", .amount = 0};
  struct engine_rig rig;
  (void)state;
  for (unsigned i = 0; i < RULES; i++)
    end += sprintf(end, "  - {name: r%u, when: '{span.amount > %u}', always: '{name = \"check\"}'}\n", i, i);
  rig_open_traces(&rig, 2, &roomy, &traces, text);
  assert_true(rig_send(&rig, 0, &big) && rig_send(&rig, 1, &big));
  rig_deliver(&rig);
  const uint64_t sent = engine_counters(rig.engine[0])->digests_sent + engine_counters(rig.engine[1])->digests_sent;
  assert_int_equal(sent, 2 * ((RULES + DIGEST_SELECTORS_MAX - 1) / DIGEST_SELECTORS_MAX));
  assert_int_equal(rig_violations(&rig, NULL, NULL), 0); /* two spans, though eight messages */
  assert_true(rig_send(&rig, 0, &small));
  rig_deliver(&rig);
  assert_int_equal(rig_violations(&rig, check_one_span, NULL), RULES);
  assert_int_equal(named_spans, 1);
  assert_int_equal(named_count, 1);
  rig_check_laws(&rig);
  rig_close(&rig);
  free(text);
}

static void test_the_first_sixteen_spans_are_named_and_all_counted(void **state) {
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  for (uint64_t i = 0; i < 20; i++) {
    const struct rig_span span = {.trace = 1, .span = 100 + i, .name = "charge", .service = "shop", .amount = 200};
    assert_true(rig_send(&rig, 0, &span));
    if (i < 10) assert_true(rig_send(&rig, 0, &span)); /* sent again: counted once */
  }
  const struct rig_span checked = {.trace = 1, .span = 1, .name = "audit", .service = "shop", .amount = -1};
  assert_true(rig_send(&rig, 0, &checked));
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(rig_violations(&rig, check_one_span, NULL), 1);
  assert_int_equal(named_spans, VIOLATION_SPAN_IDS_MAX);
  assert_int_equal(named_count, 20);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_always_is_judged_when_idle),
      cmocka_unit_test(test_a_span_resets_the_idle_time),
      cmocka_unit_test(test_never_fires_at_once_in_either_order_and_only_once),
      cmocka_unit_test(test_both_broken_is_one_violation),
      cmocka_unit_test(test_late_spans),
      cmocka_unit_test(test_evicted_and_drained_traces_are_not_judged_by_always),
      cmocka_unit_test(test_a_verdict_without_room_waits),
      cmocka_unit_test(test_a_rollback_leaves_no_trace),
      cmocka_unit_test(test_full_digest_ring_refuses_the_request),
      cmocka_unit_test(test_a_reload_keeps_what_stays_and_spares_old_traces_new_rules),
      cmocka_unit_test(test_a_span_that_meets_a_thousand_selectors),
      cmocka_unit_test(test_the_first_sixteen_spans_are_named_and_all_counted),
      cmocka_unit_test(test_random_traffic_on_any_number_of_shards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
