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

static void told(struct tale *tale, const char *text) {
  struct tale_span spans[TALE_SPANS_MAX];
  const uint32_t count = tale_read(text, spans);
  for (uint32_t i = 0; i < count; i++) tale_tell(tale, &spans[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_construct_in_every_order),
  };
  (void)told;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
