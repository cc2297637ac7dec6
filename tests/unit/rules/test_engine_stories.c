/* Rules about what spans have to do with one another, through real engines: when the verdict comes, what is late, what times out,
 * and what a change of rules does to traces that are open. */
#include "engine_rig.h"
#include <stdlib.h>

static const struct rig_limits roomy = {1u << 20, 4096, 256, 4096};

static uint32_t raised(struct engine_rig *rig) { return rig_violations(rig, NULL, NULL); }

struct sent {
  struct rig_span span;
  uint64_t parent, start_ns;
};

static struct sent span(uint64_t id, const char *name, uint64_t parent, uint64_t start_ns) {
  return (struct sent){{1, id, name, "shop", -1, false}, parent, start_ns};
}

static void send(struct engine_rig *rig, struct sent sent) {
  rig->parent = sent.parent;
  rig->start_ns = sent.start_ns;
  assert_true(rig_send(rig, (uint32_t)(sent.span.span % rig->engines), &sent.span));
  rig_deliver(rig);
}

static void test_a_never_comes_with_the_span_that_decides(void **state) {
  static const char rules[] =
      "rules:\n"
      "  - {name: many, when: '{name = \"a\"}', never: 'count({name = \"b\"}) > 2'}\n"
      "  - {name: under, when: '{name = \"a\"}', never: '{name = \"a\"} >> {name = \"c\"}'}\n"
      "  - {name: next, when: '{name = \"a\"}', never: '{name = \"a\"} then {name = \"d\"} within 50ns'}\n"
      "  - {name: long, when: '{name = \"a\"}', never: 'trace.duration > 5us'}\n"
      "  - {name: big, when: '{name = \"a\"}', never: 'max({name = \"e\"}, span.amount * 2) > 100'}\n";
  (void)state;
  for (uint32_t engines = 1; engines <= 4; engines++) {
    struct engine_rig rig;
    rig_open(&rig, engines, &roomy, rules);
    send(&rig, span(1, "a", 0, 1000));
    send(&rig, span(2, "b", 0, 1000));
    send(&rig, span(3, "b", 0, 1000));
    send(&rig, span(3, "b", 0, 1000)); /* again */
    assert_int_equal(raised(&rig), 0);
    send(&rig, span(4, "b", 0, 1000));
    assert_int_equal(raised(&rig), 1);
    send(&rig, span(6, "c", 5, 1000)); /* its parent is missing */
    assert_int_equal(raised(&rig), 0);
    send(&rig, span(5, "x", 1, 1000));
    assert_int_equal(raised(&rig), 1);
    send(&rig, span(7, "d", 0, 1051));
    assert_int_equal(raised(&rig), 0);
    send(&rig, span(8, "d", 0, 1050));
    assert_int_equal(raised(&rig), 1);
    send(&rig, span(9, "x", 0, 7000));
    assert_int_equal(raised(&rig), 1);
    struct sent valued = span(10, "e", 0, 1000);
    valued.span.amount = 50;
    send(&rig, valued);
    assert_int_equal(raised(&rig), 0);
    valued.span.span = 11;
    valued.span.amount = 51;
    send(&rig, valued);
    assert_int_equal(raised(&rig), 1);
    rig_pass(&rig, 4 * RIG_SECOND);
    assert_int_equal(raised(&rig), 0);
    rig_check_laws(&rig);
    rig_close(&rig);
  }
}

static void test_always_is_judged_at_the_end(void **state) {
  static const char rules[] =
      "rules:\n"
      "  - {name: pairs, when: '{name = \"a\"}', always: 'count({name = \"a\"}) = count({name = \"b\"})'}\n"
      "  - {name: child, when: '{name = \"a\"}', always: '{name = \"a\"} > {name = \"b\"}'}\n"
      "  - {name: orphan, when: '{name = \"a\"}', never: '{name = \"a\"} !>> {name = \"b\"}'}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 2, &roomy, rules);
  send(&rig, span(2, "b", 1, 1000));
  send(&rig, span(1, "a", 0, 1000));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(2, "b", 9, 1000));
  send(&rig, span(1, "a", 0, 1000));
  send(&rig, span(3, "a", 0, 1000));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 3);
  rig_close(&rig);
}

static void test_not_followed_is_known_when_the_time_has_passed(void **state) {
  static const char rules[] =
      "rules:\n"
      "  - {name: lost, when: '{name = \"a\"}', never: '{name = \"a\"} not followed by {name = \"b\"} within 5s'}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  send(&rig, span(1, "a", 0, RIG_SECOND)); /* followed: complete when idle */
  send(&rig, span(2, "b", 0, 2 * RIG_SECOND));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 0);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, RIG_SECOND)); /* held until 5 s have passed, though idle */
  rig_pass(&rig, 5 * RIG_SECOND - 1);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 1);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 1);
  assert_int_equal(raised(&rig), 1);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 0);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, RIG_SECOND)); /* others keep the trace alive: still at 5 s */
  for (unsigned i = 0; i < 4; i++) {
    rig_pass(&rig, RIG_SECOND);
    send(&rig, span(10 + i, "x", 0, RIG_SECOND));
  }
  rig_pass(&rig, RIG_SECOND - 1);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 1);
  assert_int_equal(raised(&rig), 1);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 1);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(raised(&rig), 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_rule_with_within(void **state) {
  static const char rules[] = "rules:\n"
                              "  - {name: slow, when: '{name = \"a\"}', always: '{name = \"b\"}', within: 5s}\n"
                              "  - {name: soon, when: '{name = \"a\"}', never: '{name = \"c\"}', within: 1s}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  send(&rig, span(1, "a", 0, 10 * RIG_SECOND)); /* met in time: not held for 5 s */
  send(&rig, span(2, "b", 0, 15 * RIG_SECOND));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 0);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, 10 * RIG_SECOND)); /* met too late by its start */
  send(&rig, span(2, "b", 0, 15 * RIG_SECOND + 1));
  rig_pass(&rig, 5 * RIG_SECOND - 1);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 1);
  assert_int_equal(raised(&rig), 1);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, 10 * RIG_SECOND)); /* an earlier start of `when` moves the limit */
  send(&rig, span(2, "b", 0, 15 * RIG_SECOND));
  send(&rig, span(3, "a", 0, 9 * RIG_SECOND));
  rig_pass(&rig, 5 * RIG_SECOND);
  assert_int_equal(raised(&rig), 1);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, 10 * RIG_SECOND)); /* a never counts only within the time */
  send(&rig, span(2, "b", 0, 10 * RIG_SECOND));
  send(&rig, span(3, "c", 0, 11 * RIG_SECOND + 1));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 0);
  rig_pass(&rig, 61 * RIG_SECOND);
  send(&rig, span(1, "a", 0, 10 * RIG_SECOND));
  send(&rig, span(2, "b", 0, 10 * RIG_SECOND));
  send(&rig, span(3, "c", 0, 11 * RIG_SECOND));
  rig_pass(&rig, RIG_SECOND);
  assert_int_equal(raised(&rig), 1);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(raised(&rig), 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_late_spans(void **state) {
  static const char rules[] = "rules:\n"
                              "  - {name: always, when: '{name = \"a\"}', always: '{name = \"a\"} > {name = \"b\"}'}\n"
                              "  - {name: never, when: '{name = \"a\"}', never: 'count({name = \"c\"}) = 2'}\n"
                              "  - {name: early, when: '{name = \"a\"}', never: '{name = \"a\"} > {name = \"c\"}'}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 1, &roomy, rules);
  send(&rig, span(1, "a", 0, 1000));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 1);
  send(&rig, span(2, "b", 1, 1000));
  send(&rig, span(3, "c", 0, 1000));
  send(&rig, span(3, "c", 0, 1000));
  assert_int_equal(raised(&rig), 0);
  send(&rig, span(4, "c", 9, 1000));
  assert_int_equal(raised(&rig), 1);
  send(&rig, span(5, "c", 1, 1000));
  assert_int_equal(raised(&rig), 1);
  send(&rig, span(6, "c", 1, 1000));
  assert_int_equal(raised(&rig), 0);
  rig_close(&rig);
}

static void test_a_duplicate_is_no_second_span(void **state) {
  static const char rules[] = "rules:\n  - {name: n, when: '{name = \"a\"}', never: 'trace.span_count > 3'}\n";
  const struct rig_traces limited = {.limits = {.max_spans = 3}};
  struct engine_rig rig;
  (void)state;
  rig_open_traces(&rig, 1, &roomy, &limited, rules);
  for (unsigned i = 0; i < 10; i++) send(&rig, span(1 + i % 2, "a", 0, 1000));
  assert_int_equal(engine_counters(rig.engine[0])->traces_live, 1);
  assert_int_equal(engine_counters(rig.engine[0])->story.duplicates, 8);
  send(&rig, span(3, "a", 0, 1000));
  assert_int_equal(engine_counters(rig.engine[0])->traces_completed[TRACE_COMPLETE_SPANS], 1);
  assert_int_equal(raised(&rig), 0);
  rig_close(&rig);
}

/* A fact that stays goes on counting; a new one says nothing about traces that were open. */
static void test_a_change_of_rules(void **state) {
  static const char before[] = "rules:\n"
                               "  - {name: other, when: '{name = \"z\"}', always: '{name = \"y\"}'}\n"
                               "  - {name: stays, when: '{name = \"a\"}', never: 'count({name = \"b\"}) > 2'}\n",
                    after[] = "rules:\n"
                              "  - {name: fresh, when: '{name = \"a\"}', never: 'count({name = \"c\"}) > 1'}\n"
                              "  - {name: time, when: '{name = \"a\"}', always: '{name = \"y\"}', within: 2s}\n"
                              "  - {name: stays, when: '{name = \"a\"}', never: 'count({name = \"b\"}) > 2'}\n";
  struct engine_rig rig;
  (void)state;
  rig_open(&rig, 2, &roomy, before);
  send(&rig, span(1, "a", 0, 1000));
  send(&rig, span(2, "b", 0, 1000));
  send(&rig, span(3, "b", 0, 1000));
  rig_apply(&rig, after);
  for (unsigned i = 0; i < 3; i++) send(&rig, span(10 + i, "c", 0, 1000));
  assert_int_equal(raised(&rig), 0);
  send(&rig, span(4, "b", 0, 1000));
  assert_int_equal(raised(&rig), 1);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(raised(&rig), 0);
  struct sent second = span(1, "a", 0, 1000);
  second.span.trace = 2;
  send(&rig, second);
  rig_pass(&rig, 4 * RIG_SECOND);
  assert_int_equal(raised(&rig), 1);
  rig_apply(&rig, "rules: []\n");
  send(&rig, span(20, "b", 0, 1000));
  rig_pass(&rig, 70 * RIG_SECOND);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_room_for_spans_runs_out(void **state) {
  static const char rules[] = "rules:\n"
                              "  - {name: count, when: '{name = \"a\"}', never: 'count({name = \"a\"}) > 30'}\n"
                              "  - {name: plain, when: '{name = \"a\"}', always: '{name = \"b\"}'}\n"
                              "  - {name: few, when: '{name = \"a\"}', always: 'count({name = \"a\"}) > 30'}\n";
  const struct rig_traces small = {.story_lines = 64};
  struct engine_rig rig;
  (void)state;
  rig_open_traces(&rig, 1, &roomy, &small, rules);
  for (uint64_t i = 0; i < 40; i++) { /* one finds room */
    struct sent one = span(100 + i, "a", 0, 1000);
    send(&rig, one);
  }
  assert_int_equal(raised(&rig), 1);
  for (uint64_t i = 0; i < 40; i++) { /* beside it another does not */
    struct sent other = span(200 + i, "a", 0, 1000);
    other.span.trace = 2;
    send(&rig, other);
  }
  assert_int_equal(raised(&rig), 0);
  assert_int_equal(engine_counters(rig.engine[0])->story.partial_full, 1);
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 2); /* plain, of both */
  assert_int_equal(engine_counters(rig.engine[0])->story.rules_unjudged, 2);
  for (uint64_t i = 0; i < 40; i++) { /* a judged one gives way */
    struct sent third = span(300 + i, "a", 0, 1000);
    third.span.trace = 3;
    send(&rig, third);
  }
  assert_int_equal(raised(&rig), 1);
  assert_int_equal(engine_counters(rig.engine[0])->story.reclaimed, 1);
  rig_pass(&rig, 3 * RIG_SECOND);
  rig_pass(&rig, 61 * RIG_SECOND);
  assert_int_equal(engine_counters(rig.engine[0])->story.lines_used, 0);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void test_a_trace_is_not_judged_for_ever(void **state) {
  static const char rules[] = "rules:\n"
                              "  - {name: order, when: '{name = \"a\"}', always: '{name = \"a\"} then {name = \"b\"}'}\n"
                              "  - {name: plain, when: '{name = \"a\"}', always: '{name = \"b\"}'}\n";
  const struct rig_traces few = {.story_steps = 200};
  struct engine_rig rig;
  (void)state;
  rig_open_traces(&rig, 1, &roomy, &few, rules);
  for (uint64_t i = 0; i < 30; i++) send(&rig, span(1 + i, "a", 0, 1000));
  rig_pass(&rig, 3 * RIG_SECOND);
  assert_int_equal(raised(&rig), 1);
  assert_int_equal(engine_counters(rig.engine[0])->story.partial_steps, 1);
  assert_int_equal(engine_counters(rig.engine[0])->story.rules_unjudged, 1);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_never_comes_with_the_span_that_decides),
      cmocka_unit_test(test_always_is_judged_at_the_end),
      cmocka_unit_test(test_not_followed_is_known_when_the_time_has_passed),
      cmocka_unit_test(test_a_rule_with_within),
      cmocka_unit_test(test_late_spans),
      cmocka_unit_test(test_a_duplicate_is_no_second_span),
      cmocka_unit_test(test_a_change_of_rules),
      cmocka_unit_test(test_room_for_spans_runs_out),
      cmocka_unit_test(test_a_trace_is_not_judged_for_ever),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
