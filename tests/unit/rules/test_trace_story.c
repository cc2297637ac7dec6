/* Each construct of trace conditions by stories: holds, does not hold, and so in whatever order the spans arrive and however
 * often they are told. `never` conditions that cannot become false again are judged after every span as well. */
#include "story_rig.h"
#include <stdio.h>
#include <stdlib.h>

#define ROOMY 65536u
#define STEPS 100000000u

struct story_case {
  const char *condition; /* of `never`, beside a `when` that holds; or with `rule`, of the whole */
  const char *spans;
  bool holds;
};

#define A "{name = \"a\"}"
#define B "{name = \"b\"}"
#define C "{name = \"c\"}"

static const struct story_case cases[] = {
    /* Counting: duplicates once, letters apart. */
    {"count(" A ") > 2", "a1 a2 a3", true},
    {"count(" A ") > 2", "a1 a2 b3", false},
    {"count(" A ") >= 1", "b1", false},
    {"count(" A ") < 1", "b1", true},
    {"count(" A ") = 0", "b1", true},
    {"count(" A ") != 2", "a1 ab2", false},
    {"count(" A ") = count(" B ")", "a1 ab2 b3", true},
    {"count(" A ") != count(" B ")", "a1 ab2 b3", false},
    {"2 < count(" A ")", "a1 a2 a3", true},
    /* Values: those that are no numbers are left out; of none there is neither least nor mean, but a sum. */
    {"sum(" A ", span.v) = 6", "a1=1 a2=2 a3=3 b4=9", true},
    {"sum(" A ", span.v) = 0", "a1 b2=5", true},
    {"sum(" A ", span.v) > 9223372036854775807", "a1=9223372036854775807 a2=9223372036854775807", true},
    {"sum(" A ", span.v) = 9223372036854775807", "a1=9223372036854775807 a2=9223372036854775807 a3=-9223372036854775807", true},
    {"sum(" A ", span.v) = 2.5", "a1=1 a2=1.5", true},
    {"min(" A ", span.v) < 2", "a1=5 a2=1", true},
    {"min(" A ", span.v) < 2", "a1=5 b2=1", false},
    {"min(" A ", span.v) != 7", "a1", false},
    {"max(" A ", span.v) > 4.5", "a1=5 a2=1", true},
    {"max(" A ", span.v) > 5", "a1=5 a2=1", false},
    {"max(" A ", span.v) <= 5", "a1=5 a2=1.25", true},
    {"avg(" A ", span.v) = 2.5", "a1=2 a2=3 b3=100", true},
    {"avg(" A ", span.v) >= 0", "b1=1", false},
    {"max(" A ", span.v) > avg(" B ", span.v)", "a1=3 b2=1 b3=4", true},
    /* The trace itself; `-` is a span that meets nothing. */
    {"trace.span_count > 3", "a1 -2 -3 -4", true},
    {"trace.span_count > 3", "a1 -2 -3", false},
    {"trace.span_count = 3", "a1 -2 -3", true},
    {"trace.span_count != count(" A ")", "a1 a2", false},
    {"trace.duration >= 60ns", "a1@100 -2@150", true},
    {"trace.duration > 60ns", "a1@100 -2@150", false},
    /* Order. */
    {A " then " B, "a1@10 b2@20", true},
    {A " then " B, "a1@20 b2@10", false},
    {A " then " B, "a1@10 b2@10", true},
    {A " then " A, "a1@10", false},
    {A " then " A, "a1@10 a2@15", true},
    {A " then " B, "ab1@10", false},
    {A " then " B, "ab1@10 b2@11", true},
    {A " then " B " within 50ns", "a1@10 b2@60", true},
    {A " then " B " within 50ns", "a1@10 b2@61", false},
    {A " then " B " within 50ns", "a1@10 b2@61 a3@30", true},
    {A " then " B " within 50ns", "a1@10 b2@9", false},
    {A " not followed by " B " within 50ns", "a1@10 b2@60", false},
    {A " not followed by " B " within 50ns", "a1@10 b2@61", true},
    {A " not followed by " B " within 50ns", "a1@10 b2@20 a3@21", true},
    {A " not followed by " B " within 50ns", "b2@20", false},
    {A " not followed by " A " within 50ns", "a1@10 a2@20", true},
    {A " not followed by " B " within 50ns", "ab1@10", true},
    /* Parent and child; orphans have no parent here, whoever names himself is his own. */
    {A " > " B, "a1 b2<1", true},
    {A " > " B, "a1 c3<1 b2<3", false},
    {A " > " B, "a1 b2<9", false},
    {A " > " B, "a1 b2", false},
    {A " > " B, "ab1<1", true},
    {A " < " B, "b1 a2<1", true},
    {A " < " B, "a1 b2<1", false},
    {A " !> " B, "a1 b2<1", false},
    {A " !> " B, "a1 b2<1 b3", true},
    {A " !> " B, "a1 b2<9", true},
    {A " !> " B, "a1 c2<1", false},
    {A " !< " B, "b1 a2<1", false},
    {A " !< " B, "b1 a2<1 b3", true},
    /* Ancestors: through spans that meet nothing, not through a gap; round a cycle each is above each. */
    {A " >> " B, "a1 -3<1 -4<3 b2<4", true},
    {A " >> " B, "a1 b2<1", true},
    {A " >> " B, "a1 -4<3 b2<4", false},
    {A " >> " B, "b1 a2<1", false},
    {A " >> " B, "a1<3 -3<2 b2<1", true},
    {A " >> " B, "ab1<2 -2<1", true},
    {A " >> " B, "ab1", false},
    {A " >> " B, "c1<2 -2<1 b3<1 a4", false},
    {A " << " B, "b1 -2<1 a3<2", true},
    {A " << " B, "a1 -2<1 b3<2", false},
    {A " !>> " B, "a1 -2<1 b3<2", false},
    {A " !>> " B, "a1 -2<1 b3<2 b4<7", true},
    {A " !>> " B, "a1 -2<3 -3<2 b4<3", true},
    {A " !>> " B, "a1 c2<1", false},
    {A " !<< " B, "b1 -2<1 a3<2", false},
    {A " !<< " B, "b1 -2<1 a3<2 b4<1", true},
    /* Siblings name the same parent, here or not. */
    {A " ~ " B, "-1 a2<1 b3<1", true},
    {A " ~ " B, "a2<9 b3<9", true},
    {A " ~ " B, "a2 b3", false},
    {A " ~ " B, "-1 ab2<1", false},
    {A " ~ " A, "-1 a2<1 a3<1", true},
    {A " !~ " B, "-1 a2<1 b3<1", false},
    {A " !~ " B, "-1 a2<1 b3<1 b4<2", true},
    {A " !~ " B, "-1 ab2<1", true},
    /* Joined with one another and with selectors. */
    {A " > " B " && count(" C ") > 1", "a1 b2<1 c3 c4", true},
    {A " > " B " && count(" C ") > 1", "a1 b2<1 c3", false},
    {"!(" A " > " B ") || " C, "a1 b2<1", false},
    {C " && (" A " then " B " || count(" A ") > 1)", "c1 a2 a3", true},
};

static char *rule_of(const char *condition) {
  char *text = malloc(4 * strlen(condition) + 1024);
  sprintf(
      text,
      "  - name: r0\n    when: '{name = \"a\"} || {name = \"b\"} || {name = \"c\"} || !{name = \"a\"}'\n    never: |\n      %s\n"
      "  - name: r1\n    when: |\n      %s\n    never: '!{name = \"h\"}'\n"
      "  - name: r2\n    when: '!{name = \"h\"}'\n    always: |\n      %s\n"
      "  - name: r3\n    when: '{name = \"a\"} || {name = \"b\"} || {name = \"c\"}'\n    never: |\n      %s\n",
      condition, condition, condition, condition);
  return text;
}

static void swap(uint32_t *a, uint32_t *b) {
  const uint32_t kept = *a;
  *a = *b;
  *b = kept;
}

/* In this order, each told `times` times. A rule that can be judged early is asked after every span: it must be right at the end,
 * and never go back. */
static void tell(struct tale *tale, const struct story_case *told, const struct tale_span *spans, const uint32_t *order,
                 uint32_t count, uint32_t times) {
  bool early = false;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t time = 0; time < times; time++) {
      assert_true(tale_tell(tale, &spans[order[i]]) || time > 0);
      if (!tale_rule(tale, 3)->monotone_never) continue;
      const bool now = tale_breaks(tale, STORY_SPAN, 3);
      if (early && !now) fail_msg("%s of %s was true", told->condition, told->spans);
      early = now;
    }
  const bool found[] = {tale_breaks(tale, STORY_COMPLETE, 0), tale_breaks(tale, STORY_COMPLETE, 1),
                        !tale_breaks(tale, STORY_COMPLETE, 2), tale_breaks(tale, STORY_LATE, 0)};
  for (unsigned i = 0; i < 4; i++)
    if (found[i] != told->holds)
      fail_msg("%s of %s is not %s (%u)", told->condition, told->spans, told->holds ? "true" : "false", i);
  if (tale_rule(tale, 3)->monotone_never && early != told->holds)
    fail_msg("%s of %s early is not %s", told->condition, told->spans, told->holds ? "true" : "false");
  tale_restart(tale);
}

static void permute(struct tale *tale, const struct story_case *told, const struct tale_span *spans, uint32_t *order,
                    uint32_t count, uint32_t fixed) {
  if (fixed == count) {
    tell(tale, told, spans, order, count, 1);
    tell(tale, told, spans, order, count, 2);
  }
  for (uint32_t i = fixed; i < count; i++) {
    swap(&order[fixed], &order[i]);
    permute(tale, told, spans, order, count, fixed + 1);
    swap(&order[fixed], &order[i]);
  }
}

static void test_every_construct_in_every_order(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tale tale;
    struct tale_span spans[TALE_SPANS_MAX];
    uint32_t order[TALE_SPANS_MAX];
    char *rules = rule_of(cases[i].condition);
    tale_open(&tale, rules, 0, ROOMY, STEPS);
    const uint32_t count = tale_read(cases[i].spans, spans);
    for (uint32_t s = 0; s < count; s++) order[s] = s;
    permute(&tale, &cases[i], spans, order, count, 0);
    tale_close(&tale);
    free(rules);
  }
}

static void tell_all(struct tale *tale, const char *text) {
  struct tale_span spans[TALE_SPANS_MAX];
  const uint32_t count = tale_read(text, spans);
  for (uint32_t i = 0; i < count; i++) tale_tell(tale, &spans[i]);
}

/* The clocks of two senders may differ by 5. */
static void test_tolerance(void **state) {
  static const struct {
    const char *condition, *spans;
    bool holds;
  } wide[] = {
      {A " then " B, "a1@20 b2@15", true},
      {A " then " B, "a1@20 b2@14", false},
      {A " then " B " within 50ns", "a1@20 b2@75", true},
      {A " then " B " within 50ns", "a1@20 b2@76", false},
      {A " not followed by " B " within 50ns", "a1@20 b2@15", false},
      {A " not followed by " B " within 50ns", "a1@20 b2@14", true},
      {A " not followed by " B " within 50ns", "a1@20 b2@75", false},
      {A " then " B " within 50ns", "a1@3 b2@0", true},
  };
  (void)state;
  for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
    struct tale tale;
    struct tale_span spans[TALE_SPANS_MAX];
    const struct story_case told = {wide[i].condition, wide[i].spans, wide[i].holds};
    uint32_t order[] = {0, 1};
    char *rules = rule_of(wide[i].condition);
    tale_open(&tale, rules, 5, ROOMY, STEPS);
    tale_read(wide[i].spans, spans);
    permute(&tale, &told, spans, order, 2, 0);
    tale_close(&tale);
    free(rules);
  }
}

static void test_deadlines(void **state) {
  static const char rules[] =
      "  - {name: r0, when: '{name = \"a\"}', never: '{name = \"a\"} not followed by {name = \"b\"} within "
      "100ns'}\n"
      "  - {name: r1, when: '{name = \"a\"}', always: '{name = \"c\"}', within: 300ns}\n"
      "  - {name: r2, when: '{name = \"d\"}', always: '{name = \"d\"} then {name = \"e\"} within 900ns'}\n";
  struct tale tale;
  (void)state;
  tale_open(&tale, rules, 7, ROOMY, STEPS);
  tell_all(&tale, "f1@10");
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 0);
  assert_true(trace_story_wake_ns(tale.story, TALE_TRACE) == STORY_NEVER);
  tell_all(&tale, "a2@10");
  assert_int_equal(trace_story_wake_ns(tale.story, TALE_TRACE), 1107);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 1307);
  tale.now_ns = 1106;
  assert_int_equal(tale_mature(&tale), 0);
  tell_all(&tale, "a3@50"); /* arrives at 1106 */
  tale.now_ns = 1107;
  assert_int_equal(tale_mature(&tale), 1);
  tell_all(&tale, "b4@60"); /* follows the second, by its start the first as well */
  tale.now_ns = 1306;
  assert_int_equal(tale_mature(&tale), 0);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 1307);
  tale.now_ns = 1307;
  assert_int_equal(tale_mature(&tale), 2);
  tell_all(&tale, "c5@317"); /* in time by its start */
  assert_int_equal(tale_mature(&tale), 0);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 0);
  tell_all(&tale, "d6@400");
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 1307 + 907);
  assert_int_equal(tale_mature(&tale), 0);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 1307 + 907);
  tell_all(&tale, "e7@400");
  assert_int_equal(tale_mature(&tale), 0);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 0);
  tell_all(&tale, "d8@5000");
  trace_story_remember(tale.story, TALE_TRACE);
  assert_int_equal(trace_story_hold_ns(tale.story, TALE_TRACE), 0);
  tale_close(&tale);
}

#define MANY 10000u

/* One chain, one family, or all apart: nothing may cost the square of the spans. The steps are those of the default. */
static struct tale_span one_of_many(unsigned shape, uint32_t i) {
  struct tale_span span = {.letters = 0, .id = i + 1, .start_ns = 1000 + i * 7919 % MANY};
  if (shape == 0) span.parent = i;
  if (shape == 1) span.parent = i ? 1 : 0;
  if (shape == 3) span.parent = i ? i : MANY; /* a ring */
  span.letters = (uint8_t)(i == 0 ? 1 : i == MANY - 1 && shape != 2 ? 0 : 4);
  return span;
}

static void test_ten_thousand_spans(void **state) {
  static const char rules[] =
      "  - {name: r0, when: '{name = \"c\"}', never: '{name = \"b\"} >> {name = \"c\"} || {name = \"c\"} << {name = \"b\"}'}\n"
      "  - {name: r1, when: '{name = \"c\"}', never: '{name = \"c\"} then {name = \"b\"} within 20ns || {name = \"b\"} ~ {name = "
      "\"c\"}'}\n"
      "  - {name: r2, when: '{name = \"c\"}', never: '{name = \"a\"} >> {name = \"b\"} || count({name = \"c\"}) > 9999'}\n"
      "  - {name: r3, when: '{name = \"c\"}', never: '{name = \"c\"} not followed by {name = \"c\"} within 50us'}\n"
      "  - {name: r4, when: '{name = \"c\"}', always: '{name = \"a\"} !>> {name = \"c\"} || {name = \"c\"} !<< {name = \"c\"} || "
      "{name = \"c\"} !~ {name = \"c\"}'}\n";
  (void)state;
  for (unsigned shape = 0; shape < 4; shape++)
    for (unsigned backwards = 0; backwards < 2; backwards++) {
      struct tale tale;
      tale_open(&tale, rules, 0, 1u << 17, STORY_STEPS_DEFAULT);
      for (uint32_t i = 0; i < MANY; i++) {
        const struct tale_span span = one_of_many(shape, backwards ? MANY - 1 - i : i);
        assert_true(tale_tell(&tale, &span));
        assert_false(tale_breaks(&tale, STORY_SPAN, 0) || tale_breaks(&tale, STORY_SPAN, 1) || tale_breaks(&tale, STORY_SPAN, 2));
      }
      for (unsigned rule = 0; rule < 3; rule++) assert_false(tale_breaks(&tale, STORY_COMPLETE, rule));
      assert_true(tale_breaks(&tale, STORY_COMPLETE, 3)); /* the last */
      tale_breaks(&tale, STORY_COMPLETE, 4);
      assert_int_equal(tale.counters.partial_steps + tale.counters.partial_full + tale.counters.partial_large, 0);
      tale_close(&tale);
    }
}

static void test_a_trace_has_too_many_spans(void **state) {
  struct tale tale;
  (void)state;
  tale_open(&tale, "  - {name: r0, when: '{name = \"a\"}', never: 'count({name = \"a\"}) > 20000'}\n", 0, ROOMY, STEPS);
  for (uint32_t i = 0; i < 10000; i++) tale_tell(&tale, &(struct tale_span){.letters = 1, .id = i + 1});
  assert_int_equal(tale.counters.partial_large, 0);
  tale_tell(&tale, &(struct tale_span){.letters = 1, .id = 20000});
  assert_int_equal(tale.counters.partial_large, 1);
  assert_int_equal(tale.counters.lines_used, 0);
  tale_tell(&tale, &(struct tale_span){.letters = 1, .id = 20001});
  assert_int_equal(tale.counters.partial_large, 1);
  assert_false(tale_breaks(&tale, STORY_COMPLETE, 0));
  assert_int_equal(tale.counters.rules_unjudged, 1);
  tale_close(&tale);
}

/* More selectors than a node has room for, and a span that is told in parts. */
static void test_a_span_with_many_selectors(void **state) {
  static const char rules[] =
      "  - {name: r0, when: '{name = \"a\"}', never: 'count({name = \"g\"}) = 1 && {name = \"h\"} > {name = "
      "\"f\"} && sum({name = \"e\"}, span.v) = 5'}\n"
      "  - {name: r1, when: '{name = \"a\"}', never: '{name = \"b\"} then {name = \"c\"}'}\n"
      "  - {name: r2, when: '{name = \"a\"}', never: 'count({name = \"d\"}) > 1'}\n";
  struct tale tale;
  (void)state;
  tale_open(&tale, rules, 0, ROOMY, STEPS);
  tell_all(&tale, "abdefgh1<1=5");
  assert_true(tale_breaks(&tale, STORY_COMPLETE, 0));
  const uint16_t rest = tale.bits[2];
  const struct story_span more = {
      .span_id = 1, .parent_id = 1, .has_parent = true, .continued = true, .bits = &rest, .bit_count = 1};
  assert_true(trace_story_add(tale.story, TALE_TRACE, &more));
  tale.met |= 4;
  assert_false(tale_breaks(&tale, STORY_SPAN, 1)); /* it is one span, and does not follow itself */
  assert_false(tale_breaks(&tale, STORY_COMPLETE, 1));
  assert_false(tale_breaks(&tale, STORY_COMPLETE, 2));
  tale_close(&tale);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_construct_in_every_order),
      cmocka_unit_test(test_tolerance),
      cmocka_unit_test(test_deadlines),
      cmocka_unit_test(test_ten_thousand_spans),
      cmocka_unit_test(test_a_trace_has_too_many_spans),
      cmocka_unit_test(test_a_span_with_many_selectors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
