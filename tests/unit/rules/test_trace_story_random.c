/* Random stories and random conditions, told in random order with duplicates, against a judge that goes through all spans for
 * each question. */
#include "story_rig.h"
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 400u
#define STORIES 12u
#define SPANS 9u
#define RULES 8u
#define NO_LIMIT UINT64_MAX

enum sort { SELECTOR, COUNT, EXTREME, TOTAL, SPAN_COUNT, DURATION, ORDERED, RELATED, BOTH, EITHER, OPPOSITE, SORTS };

struct condition {
  enum sort sort;
  unsigned letter, other, operation, variant; /* of EXTREME and TOTAL which; of RELATED the relation */
  bool negated;
  int64_t number;
  struct condition *first, *second;
};

static unsigned below(unsigned limit) { return (unsigned)random() % limit; }

static struct condition *make(unsigned depth) {
  struct condition *made = calloc(1, sizeof *made);
  made->sort = (enum sort)(depth ? below(SORTS) : below(BOTH));
  made->letter = below(3);
  made->other = below(3);
  made->operation = below(6);
  made->variant = below(made->sort == RELATED ? 5 : 2);
  made->negated = below(2);
  made->number = made->sort == ORDERED || made->sort == DURATION ? 1 + (int64_t)below(30) : (int64_t)below(6);
  if (made->sort >= BOTH) made->first = make(depth - 1);
  if (made->sort == BOTH || made->sort == EITHER) made->second = make(depth - 1);
  return made;
}

static void destroy(struct condition *condition) {
  if (!condition) return;
  destroy(condition->first);
  destroy(condition->second);
  free(condition);
}

static char *write_condition(char *end, const struct condition *condition) {
  static const char *const operations[] = {"=", "!=", "<", "<=", ">", ">="}, *const extremes[] = {"min", "max"},
                           *const totals[] = {"sum", "avg"}, *const relations[] = {">", ">>", "<", "<<", "~"};
  const int letter = 'a' + (int)condition->letter, other = 'a' + (int)condition->other;
  const char *operation = operations[condition->operation];
  const int number = (int)condition->number;
  switch (condition->sort) {
  case SELECTOR:
    return end + sprintf(end, "{name = \"%c\"}", letter);
  case COUNT:
    if (condition->negated)
      return end + sprintf(end, "count({name = \"%c\"}) %s count({name = \"%c\"})", letter, operation, other);
    return end + sprintf(end, "count({name = \"%c\"}) %s %d", letter, operation, number);
  case EXTREME:
    return end + sprintf(end, "%s({name = \"%c\"}, span.v) %s %d", extremes[condition->variant], letter, operation, number);
  case TOTAL:
    return end + sprintf(end, "%s({name = \"%c\"}, span.v) %s %d", totals[condition->variant], letter, operation, number);
  case SPAN_COUNT:
    return end + sprintf(end, "trace.span_count %s %d", operation, number);
  case DURATION:
    return end + sprintf(end, "trace.duration %s %dns", operation, number);
  case ORDERED:
    if (condition->negated)
      return end + sprintf(end, "{name = \"%c\"} not followed by {name = \"%c\"} within %dns", letter, other, number);
    if (condition->variant) return end + sprintf(end, "{name = \"%c\"} then {name = \"%c\"}", letter, other);
    return end + sprintf(end, "{name = \"%c\"} then {name = \"%c\"} within %dns", letter, other, number);
  case RELATED:
    return end + sprintf(end, "{name = \"%c\"} %s%s {name = \"%c\"}", letter, condition->negated ? "!" : "",
                         relations[condition->variant], other);
  case OPPOSITE:
    end = write_condition(stpcpy(end, "!("), condition->first);
    return stpcpy(end, ")");
  default:
    end = write_condition(stpcpy(end, "("), condition->first);
    end = write_condition(stpcpy(end, condition->sort == BOTH ? " && " : " || "), condition->second);
    return stpcpy(end, ")");
  }
}

/* The slow judge. */
struct view {
  const struct tale_span *spans; /* distinct */
  uint32_t count;
  uint64_t tolerance_ns, limit_ns;
};

static bool seen(const struct view *view, uint32_t i) { return view->spans[i].start_ns <= view->limit_ns; }
static bool has(const struct view *view, uint32_t i, unsigned letter) {
  return seen(view, i) && view->spans[i].letters >> letter & 1;
}

static bool is_parent(const struct view *view, uint32_t upper, uint32_t lower) {
  return seen(view, upper) && seen(view, lower) && view->spans[lower].parent != 0 &&
         view->spans[lower].parent == view->spans[upper].id;
}

static bool is_ancestor(const struct view *view, uint32_t upper, uint32_t lower) {
  for (uint32_t steps = 0; steps <= view->count; steps++) {
    uint32_t parent = 0;
    while (parent < view->count && !is_parent(view, parent, lower)) parent++;
    if (parent == view->count) return false;
    if (parent == upper) return true;
    lower = parent;
  }
  return false;
}

static bool is_related(const struct view *view, unsigned relation, uint32_t left, uint32_t right) {
  switch (relation) {
  case 0:
    return is_parent(view, left, right);
  case 1:
    return is_ancestor(view, left, right);
  case 2:
    return is_parent(view, right, left);
  case 3:
    return is_ancestor(view, right, left);
  default:
    return left != right && view->spans[left].parent && view->spans[left].parent == view->spans[right].parent;
  }
}

static bool related(const struct view *view, const struct condition *condition) {
  for (uint32_t right = 0; right < view->count; right++) {
    bool any = false;
    if (!has(view, right, condition->other)) continue;
    for (uint32_t left = 0; left < view->count; left++)
      any |= has(view, left, condition->letter) && is_related(view, condition->variant, left, right);
    if (any != condition->negated) return true;
  }
  return false;
}

static bool ordered(const struct view *view, const struct condition *condition) {
  const bool bounded = condition->negated || !condition->variant;
  for (uint32_t left = 0; left < view->count; left++) {
    bool followed = false;
    if (!has(view, left, condition->letter)) continue;
    for (uint32_t right = 0; right < view->count; right++) {
      if (right == left || !has(view, right, condition->other)) continue;
      const uint64_t a = view->spans[left].start_ns, b = view->spans[right].start_ns;
      followed |= b + view->tolerance_ns >= a && (!bounded || b <= a + (uint64_t)condition->number + view->tolerance_ns);
    }
    if (followed != condition->negated) return true;
  }
  return false;
}

static bool compare(double left, unsigned operation, double right) {
  const bool truths[] = {left == right, left != right, left<right, left <= right, left> right, left >= right};
  return truths[operation];
}

static double count_of(const struct view *view, unsigned letter) {
  double count = 0;
  for (uint32_t i = 0; i < view->count; i++) count += has(view, i, letter);
  return count;
}

static bool measured(const struct view *view, const struct condition *condition) {
  double least = 0, most = 0, sum = 0, count = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    if (!has(view, i, condition->letter) || !view->spans[i].has_value) continue;
    const struct value *value = &view->spans[i].value;
    const double number = value->type == VALUE_INTEGER ? (double)value->integer : value->real;
    least = count > 0 && least < number ? least : number;
    most = count > 0 && most > number ? most : number;
    sum += number;
    count++;
  }
  const double constant = (double)condition->number;
  if (condition->sort == TOTAL && condition->variant == 0) return compare(sum, condition->operation, constant);
  if (count == 0) return false;
  if (condition->sort == TOTAL) return compare(sum / count, condition->operation, constant);
  return compare(condition->variant ? most : least, condition->operation, constant);
}

static double duration_of(const struct view *view) {
  uint64_t first = UINT64_MAX, last = 0;
  for (uint32_t i = 0; i < view->count; i++) {
    first = view->spans[i].start_ns < first ? view->spans[i].start_ns : first;
    last = view->spans[i].end_ns > last ? view->spans[i].end_ns : last;
  }
  return (double)(last - first);
}

static bool truth(const struct view *view, const struct condition *condition) {
  double spans = 0;
  switch (condition->sort) {
  case SELECTOR:
    return count_of(view, condition->letter) > 0;
  case COUNT:
    return compare(count_of(view, condition->letter), condition->operation,
                   condition->negated ? count_of(view, condition->other) : (double)condition->number);
  case EXTREME:
  case TOTAL:
    return measured(view, condition);
  case SPAN_COUNT:
    for (uint32_t i = 0; i < view->count; i++) spans += seen(view, i);
    return compare(spans, condition->operation, (double)condition->number);
  case DURATION:
    return compare(duration_of(view), condition->operation, (double)condition->number);
  case ORDERED:
    return ordered(view, condition);
  case RELATED:
    return related(view, condition);
  case OPPOSITE:
    return !truth(view, condition->first);
  case BOTH:
    return truth(view, condition->first) && truth(view, condition->second);
  default:
    return truth(view, condition->first) || truth(view, condition->second);
  }
}

/* One rule: the anchor of its `within`, if it has one, is the first span with letter a, in `when` beside the condition. */
struct rule {
  struct condition *when, *always, *never;
  uint64_t within_ns;
};

static bool is_broken(const struct rule *rule, const struct tale_span *spans, uint32_t count, uint64_t tolerance_ns, bool alone) {
  struct view view = {spans, count, tolerance_ns, NO_LIMIT};
  const struct condition letter = {.sort = SELECTOR};
  if (rule->within_ns ? !truth(&view, &letter) : !truth(&view, rule->when)) return false;
  if (rule->within_ns) {
    uint64_t first = UINT64_MAX;
    for (uint32_t i = 0; i < count; i++)
      if (has(&view, i, 0) && spans[i].start_ns < first) first = spans[i].start_ns;
    view.limit_ns = first + rule->within_ns + tolerance_ns;
  }
  return (rule->never && truth(&view, rule->never)) || (!alone && rule->always && !truth(&view, rule->always));
}

static char *write_rules(const struct rule *rules) {
  char *text = malloc(1 << 16), *end = text;
  for (unsigned r = 0; r < RULES; r++) {
    end += sprintf(end, "  - name: r%u\n    when: |\n      ", r);
    end = rules[r].within_ns ? stpcpy(end, "{name = \"a\"}") : write_condition(end, rules[r].when);
    if (rules[r].always) end = write_condition(stpcpy(end, "\n    always: |\n      "), rules[r].always);
    if (rules[r].never) end = write_condition(stpcpy(end, "\n    never: |\n      "), rules[r].never);
    if (rules[r].within_ns) end += sprintf(end, "\n    within: %uns", (unsigned)rules[r].within_ns);
    end = stpcpy(end, "\n");
  }
  return text;
}

static uint32_t make_spans(struct tale_span *spans) {
  const uint32_t count = 1 + below(SPANS);
  const bool tight = below(2);
  for (uint32_t i = 0; i < count; i++) {
    spans[i] = (struct tale_span){.letters = (uint8_t)(below(3) ? 1u << below(4) : below(8)), .id = i + 1};
    if (below(4)) spans[i].parent = 1 + below(count + 1);
    spans[i].start_ns = 100 + below(tight ? 12 : 60);
    spans[i].end_ns = spans[i].start_ns + below(30);
    spans[i].has_value = below(4) > 0;
    if (spans[i].has_value && below(2))
      spans[i].value = (struct value){.type = VALUE_DOUBLE, .real = (double)below(16) / 4};
    else if (spans[i].has_value)
      spans[i].value = (struct value){.type = VALUE_INTEGER, .integer = below(6)};
  }
  return count;
}

static void fail_story(const struct tale *tale, const char *rules, unsigned rule, const char *what, const struct tale_span *spans,
                       uint32_t count) {
  fprintf(stderr, "%s\n", rules);
  for (uint32_t i = 0; i < count; i++)
    fprintf(stderr, "span %u letters %x parent %u start %u\n", (unsigned)spans[i].id, spans[i].letters, (unsigned)spans[i].parent,
            (unsigned)spans[i].start_ns);
  fail_msg("r%u: %s, tolerance %u", rule, what, (unsigned)tale->story->sizes.tolerance_ns);
}

/* Judged after each span, as far as the rule can be, and at the end. */
static void check_story(struct tale *tale, const struct rule *rules, const char *text) {
  const uint64_t tolerance_ns = tale->story->sizes.tolerance_ns;
  struct tale_span spans[SPANS + 1];
  const uint32_t count = make_spans(spans);
  for (uint32_t i = count; i-- > 1;) {
    const uint32_t with = below(i + 1);
    const struct tale_span kept = spans[i];
    spans[i] = spans[with];
    spans[with] = kept;
  }
  for (uint32_t told = 0; told < count; told++) {
    assert_true(tale_tell(tale, &spans[told]));
    const uint32_t again = below(told + 1);
    tale_tell(tale, &spans[again]);
    for (unsigned r = 0; r < RULES; r++) {
      const bool late = is_broken(&rules[r], spans, told + 1, tolerance_ns, true);
      if (tale_rule(tale, r)->monotone_never && tale_breaks(tale, STORY_SPAN, r) != late)
        fail_story(tale, text, r, "early", spans, told + 1);
      if (rules[r].never && tale_rule(tale, r)->needs_story && tale_breaks(tale, STORY_LATE, r) != late)
        fail_story(tale, text, r, "late", spans, told + 1);
    }
  }
  for (unsigned r = 0; r < RULES; r++)
    if (tale_rule(tale, r)->needs_story &&
        tale_breaks(tale, STORY_COMPLETE, r) != is_broken(&rules[r], spans, count, tolerance_ns, false))
      fail_story(tale, text, r, "complete", spans, count);
  tale_restart(tale);
}

static void test_random_stories(void **state) {
  (void)state;
  srandom(20261121);
  unsigned early = 0;
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct rule rules[RULES] = {0};
    struct tale tale;
    for (unsigned r = 0; r < RULES; r++) {
      const bool shallow = r < RULES / 2; /* those are more often judged early */
      rules[r].when = make(shallow ? 0 : 1);
      rules[r].never = below(3) ? make(shallow ? 0 : 2) : NULL;
      rules[r].always = rules[r].never && below(2) ? NULL : make(2);
      if (r >= 6) rules[r].within_ns = 1 + below(40);
    }
    char *text = write_rules(rules);
    tale_open(&tale, text, round % 2 ? below(8) : 0, 4096, 1u << 30);
    for (unsigned r = 0; r < RULES; r++) early += tale_rule(&tale, r)->monotone_never;
    for (unsigned i = 0; i < STORIES; i++) check_story(&tale, rules, text);
    tale_close(&tale);
    for (unsigned r = 0; r < RULES; r++) {
      destroy(rules[r].when);
      destroy(rules[r].always);
      destroy(rules[r].never);
    }
    free(text);
  }
  assert_true(early > ROUNDS / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_stories)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
