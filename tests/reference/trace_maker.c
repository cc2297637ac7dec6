#include "trace_maker.h"
#include "betrace_maker.h"
#include "exception_maker.h"
#include "judge_window.h"
#include <stdio.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

struct trace_maker {
  struct rule_maker rules;
  struct trace_plan *plan;
  const struct condition **selectors;
  bool excepts, betrace;
};

static uint32_t below(struct trace_maker *maker, uint32_t bound) { return random_below(maker->rules.random, bound); }

static struct condition *node(struct trace_maker *maker, enum condition_kind kind, const struct condition *left,
                              const struct condition *right) {
  struct condition *made = YARD_NEW(maker->rules.yard, struct condition);
  *made = (struct condition){.kind = kind, .left = left, .right = right, .style = (uint8_t)below(maker, 256)};
  return made;
}

/* Two selectors that mean the same might be one to the loader: what each says of `span.flag`, which is always true, tells them
 * apart. */
static const struct condition *make_selector(struct trace_maker *maker, unsigned number) {
  if (maker->betrace) return make_betrace_selector(&maker->rules);
  char *mark = yard_take(maker->rules.yard, 24);
  snprintf(mark, 24, "selector-%u", number);
  struct term *flag = YARD_NEW(maker->rules.yard, struct term), *constant = YARD_NEW(maker->rules.yard, struct term);
  *flag = (struct term){.kind = TERM_REFERENCE, .reference = REF_INTRINSICS + 3};
  *constant = (struct term){.kind = TERM_CONSTANT, .constant = plain_text(mark)};
  struct condition *equal = node(maker, CONDITION_COMPARE, NULL, NULL);
  equal->a = flag;
  equal->b = constant;
  const struct condition *inner = make_condition(&maker->rules, SUBJECT_SPAN, below(maker, 3));
  return node(maker, CONDITION_AND, node(maker, CONDITION_NOT, equal, NULL), inner);
}

/* A number that spans of a story mostly have. */
static const struct term *make_fact_value(struct rule_maker *maker) {
  struct term *reference = YARD_NEW(maker->yard, struct term);
  *reference = (struct term){.kind = TERM_REFERENCE, .reference = REF_INTRINSICS + 1};
  return reference;
}

static const struct condition *pick_selector(struct trace_maker *maker) {
  const unsigned number = below(maker, maker->plan->story.selector_count);
  struct condition *made = node(maker, CONDITION_SELECTOR, maker->selectors[number], NULL);
  made->selector = number;
  return made;
}

static const struct measure *make_measure(struct trace_maker *maker, bool constant) {
  struct measure *measure = YARD_NEW(maker->rules.yard, struct measure);
  measure->kind = constant ? MEASURED_CONSTANT : (enum measure_kind)(MEASURED_COUNT + below(maker, 7));
  if (constant) {
    measure->constant = below(maker, 3) ? plain_integer(below(maker, 6)) : plain_real((double)below(maker, 40) / 4 - 2);
  } else if (measure->kind < MEASURED_DURATION) {
    measure->selector = pick_selector(maker);
    if (measure->kind != MEASURED_COUNT) measure->value = make_fact_value(&maker->rules);
  }
  return measure;
}

static const struct condition *make_measures(struct trace_maker *maker) {
  struct condition *made = node(maker, CONDITION_MEASURES, NULL, NULL);
  const struct measure *left = make_measure(maker, false);
  const bool duration = left->kind == MEASURED_DURATION;
  const struct measure *right = make_measure(maker, duration || below(maker, 4));
  if (duration) ((struct measure *)(uintptr_t)right)->constant = plain_integer(below(maker, 30) * INT64_C(50000000));
  made->measures[0] = left;
  made->measures[1] = right;
  made->comparison = (enum comparison)below(maker, COMPARE_ORDERS);
  return made;
}

static const struct condition *make_counts(struct trace_maker *maker) {
  struct condition *made = node(maker, CONDITION_MEASURES, NULL, NULL);
  for (unsigned side = 0; side < 2; side++) {
    struct measure *measure = YARD_NEW(maker->rules.yard, struct measure);
    *measure = (struct measure){.kind = MEASURED_CONSTANT, .constant = plain_integer(below(maker, 6))};
    if (side == 0 || below(maker, 3) == 0) *measure = (struct measure){.kind = MEASURED_COUNT, .selector = pick_selector(maker)};
    made->measures[side] = measure;
  }
  made->comparison = (enum comparison)below(maker, COMPARE_ORDERS);
  return made;
}

static const struct condition *make_fact(struct trace_maker *maker) {
  if (maker->betrace) return make_counts(maker);
  if (below(maker, 3) == 0) return make_measures(maker);
  struct condition *made =
      node(maker, below(maker, 3) ? CONDITION_RELATED : CONDITION_THEN, pick_selector(maker), pick_selector(maker));
  made->negative = made->kind == CONDITION_RELATED && below(maker, 3) == 0;
  made->relation = (enum relation)below(maker, RELATIONS);
  if (made->kind == CONDITION_THEN && maker->plan->story.waits) {
    made->negative = below(maker, 2);
    if (made->negative || below(maker, 2)) made->within_ns = (1 + below(maker, 80)) * (SECOND / 10);
    return made;
  }
  if (made->kind == CONDITION_THEN && below(maker, 2)) made->within_ns = (1 + below(maker, 20)) * UINT64_C(50000000);
  return made;
}

static const struct condition *make_formula(struct trace_maker *maker, unsigned depth) {
  const unsigned pick = below(maker, 10);
  if (depth == 0 || pick >= 6) {
    if (maker->plan->story.facts && below(maker, 2)) return make_fact(maker);
    return pick_selector(maker);
  }
  if (pick == 5) return node(maker, CONDITION_NOT, make_formula(maker, depth - 1), NULL);
  const enum condition_kind kind = pick < 2 ? CONDITION_AND : CONDITION_OR;
  const struct condition *left = make_formula(maker, depth - 1);
  return node(maker, kind, left, make_formula(maker, depth - 1));
}

/* A span that its time is counted from. */
static bool has_anchor(const struct trace_maker *maker, const struct condition *condition) {
  if (condition->kind == CONDITION_NOT) return condition->left->kind == CONDITION_NOT && has_anchor(maker, condition->left->left);
  if (condition->kind == CONDITION_AND || condition->kind == CONDITION_OR)
    return has_anchor(maker, condition->left) || has_anchor(maker, condition->right);
  for (unsigned s = 0; s < maker->plan->story.selector_count; s++)
    if (trace_judge_mentions(condition, s)) return true;
  return false;
}

/* A tuple is a selector of its own. */
static const struct condition *select_tuple(void *context, const struct condition *tuple) {
  struct trace_maker *maker = context;
  struct condition *made = node(maker, CONDITION_SELECTOR, tuple, NULL);
  made->selector = maker->plan->story.selector_count++;
  maker->selectors[made->selector] = tuple;
  return made;
}

static void except(struct trace_maker *maker, struct shape_rule *shape) {
  struct exceptions_shape *exceptions = make_exceptions(&maker->rules, SUBJECT_SPAN);
  exceptions->written = shape->when;
  shape->exceptions = exceptions;
  shape->when = make_excepted(&maker->rules, exceptions, select_tuple, maker);
}

static const unsigned silence_keys[] = {REF_SERVICE, REF_INTRINSICS, REF_INTRINSICS + 6};

static const struct window_shape *make_suppress(struct trace_maker *maker) {
  struct window_shape *window = YARD_NEW(maker->rules.yard, struct window_shape);
  *window = (struct window_shape){.measure = WINDOWED_SUPPRESS, .over_ns = (2 + below(maker, 60)) * (SECOND / 10)};
  window->by_count = below(maker, 4);
  for (unsigned i = 0; i < window->by_count; i++) window->by[i] = silence_keys[i];
  return window;
}

/* Few values, so that verdicts have the same keys. */
static void set_keys(struct trace_maker *maker, struct sample *sample) {
  for (unsigned i = 0; i < 3; i++) {
    static const char *const texts[] = {"a", "b"};
    const struct plain values[] = {plain_null(), plain_text(texts[below(maker, 2)]), plain_integer(1), plain_real(1)};
    const struct plain value = values[below(maker, silence_keys[i] == REF_SERVICE ? 2 : 4)];
    *(silence_keys[i] == REF_SERVICE ? &sample->service : &sample->values[silence_keys[i]]) = value;
  }
}

static void make_rule(struct trace_maker *maker, struct story_rule *rule, unsigned name, const char *severity) {
  struct shape_rule *shape = YARD_NEW(maker->rules.yard, struct shape_rule);
  const unsigned parts = below(maker, 4);
  *shape = (struct shape_rule){
      .on = ON_TRACE, .severity = severity, .timezone = maker->plan->timezone, .when = make_formula(maker, below(maker, 3))};
  snprintf(shape->name, sizeof shape->name, "t%u", name);
  if (parts != 0) shape->never = make_formula(maker, below(maker, 3));
  if (parts != 1) shape->always = make_formula(maker, below(maker, 3));
  if (parts == 2) shape->never = NULL;
  if (maker->plan->story.waits && below(maker, 2) && has_anchor(maker, shape->when))
    shape->within_ns = (1 + below(maker, 60)) * (SECOND / 10);
  if (below(maker, 3) == 0) make_message(&maker->rules, shape);
  if (maker->betrace) shape->betrace = (uint8_t)below(maker, 6);
  if (maker->betrace && below(maker, 4) == 0) {
    shape->never = shape->when; /* what is violated by meeting it */
    shape->always = NULL;
  }
  if (maker->plan->silences && below(maker, 4)) shape->window = make_suppress(maker);
  if (maker->excepts && maker->plan->story.selector_count < STORY_SELECTORS_MAX - EXCEPTIONS_MOST * EXCEPTION_TUPLES_MOST &&
      below(maker, 3))
    except(maker, shape);
  rule->shape = shape;
}

/* Each name has its content changed at most once, and may come later or go. */
static void make_rules(struct trace_maker *maker) {
  struct story *story = &maker->plan->story;
  const unsigned last = maker->plan->generations - 1, most = 1 + below(maker, below(maker, 4) ? 5 : 30);
  struct story_rule *rules = YARD_ARRAY(maker->rules.yard, struct story_rule, STORY_RULES_MAX);
  for (unsigned name = 0; name < most; name++) {
    struct story_rule *rule = &rules[story->rule_count++];
    *rule = (struct story_rule){.from = 0, .to = last};
    make_rule(maker, rule, name, NULL);
    if (name == 0 || last == 0 || below(maker, 2)) continue;
    const unsigned at = 1 + below(maker, last);
    if (below(maker, 3) == 0) {
      rule->from = at;
      continue;
    }
    rule->to = at - 1;
    if (below(maker, 2)) continue;
    struct story_rule *changed = &rules[story->rule_count++];
    *changed = (struct story_rule){.from = at, .to = last};
    make_rule(maker, changed, name, "high");
  }
  story->rules = rules;
}

/* Near in time, and mostly in a tree with the others, in which something may be wrong. Those sent again stay the same. */
static void relate(struct trace_maker *maker, struct sample *samples, unsigned at) {
  struct sample *sample = &samples[at];
  if (sample->span != at + 1) {
    *sample = samples[sample->span - 1];
    return;
  }
  sample->start_ns = POOL_TIME + below(maker, 30) * UINT64_C(50000000);
  if (maker->plan->story.waits) sample->start_ns = POOL_TIME + below(maker, 40) * (SECOND / 5);
  sample->end_ns = sample->start_ns + below(maker, 4) * UINT64_C(50000000);
  sample->values[REF_INTRINSICS + 1] = below(maker, 5) ? plain_integer(below(maker, 5)) : plain_null();
  if (below(maker, 4) == 0) sample->values[REF_INTRINSICS + 1] = plain_real((double)below(maker, 20) / 4);
  const unsigned parent = below(maker, maker->plan->story.sample_count);
  if (sample->has_parent && samples[parent].trace == sample->trace) sample->parent = samples[parent].span;
}

static void make_samples(struct trace_maker *maker) {
  struct story *story = &maker->plan->story;
  const unsigned traces = maker->plan->silences || story->table ? 40 : 1 + below(maker, story->facts ? 4 : 8);
  story->sample_count = 1 + below(maker, below(maker, 4) ? 60 : 300);
  struct sample *samples = YARD_ARRAY(maker->rules.yard, struct sample, story->sample_count);
  for (unsigned i = 0; i < story->sample_count; i++) {
    if (i > 0 && below(maker, 8) == 0) {
      samples[i] = samples[below(maker, i)]; /* sent again */
      continue;
    }
    sample_make(&samples[i], SUBJECT_SPAN, maker->rules.random);
    if (maker->betrace && below(maker, 8)) samples[i].name = pool_operation(maker->rules.random);
    if (maker->plan->silences) set_keys(maker, &samples[i]);
    samples[i].trace = 1 + below(maker, traces);
    samples[i].span = i + 1;
    /* Of this trace or not, before or after, itself too. */
    if (samples[i].has_parent) samples[i].parent = 1 + below(maker, story->sample_count);
  }
  if (story->facts)
    for (unsigned i = 0; i < story->sample_count; i++) relate(maker, samples, i);
  story->samples = samples;
}

void trace_plan_make(struct trace_plan *plan, uint64_t seed, enum story_kind kind, struct yard *yard) {
  const bool facts = kind == STORY_OF_FACTS || kind == STORY_OF_WAITS || kind == STORY_OF_BETRACE;
  struct test_random random = {.state = seed * 0x9e3779b97f4a7c15 + 1};
  struct trace_maker maker = {.rules = {.yard = yard, .random = &random}, .plan = plan};
  *plan = (struct trace_plan){.seed = seed, .shards = 1 + random_below(&random, SIDE_SHARDS_MAX)};
  plan->generations = random_below(&random, 2) ? 1 : 1 + random_below(&random, STORY_GENERATIONS_MAX);
  plan->tight = plan->generations == 1 && random_below(&random, 5) == 0;
  plan->story.facts = facts;
  plan->story.waits = kind == STORY_OF_WAITS;
  if (plan->story.waits) plan->tight = false;
  if (kind != STORY_OF_SELECTORS) plan->generations = 1;
  plan->silences = kind == STORY_OF_SILENCES;
  if (kind == STORY_OF_EVICTIONS) plan->story.table = 1 + random_below(&random, 8);
  if (plan->silences || plan->story.table) plan->tight = false;
  maker.excepts = kind == STORY_OF_EXCEPTIONS;
  maker.betrace = kind == STORY_OF_BETRACE;
  if (facts && random_below(&random, 3) == 0) plan->story.clock_tolerance_ns = random_below(&random, 4) * UINT64_C(50000000);
  if (plan->story.waits && random_below(&random, 2)) plan->story.clock_tolerance_ns = random_below(&random, 6) * (SECOND / 10);
  plan->story.idle_ns = 3 * SECOND;
  if (random_below(&random, 4) == 0) plan->story.root_grace_ns = (1 + random_below(&random, 25)) * (SECOND / 10);
  if (random_below(&random, 3)) plan->story.max_age_ns = (1 + random_below(&random, 20)) * SECOND;
  /* Whether a span that comes again counts depends on whether spans are kept. */
  if (!facts && random_below(&random, 3) == 0) plan->story.max_spans = 1 + random_below(&random, 30);
  plan->story.selector_count = 1 + random_below(&random, random_below(&random, 4) ? 8 : STORY_SELECTORS_MAX);
  plan->timezone = make_timezone(&maker.rules);
  maker.selectors = YARD_ARRAY(yard, const struct condition *, STORY_SELECTORS_MAX);
  for (unsigned i = 0; i < plan->story.selector_count; i++) maker.selectors[i] = make_selector(&maker, i);
  plan->story.selectors = maker.selectors;
  make_rules(&maker);
  make_samples(&maker);
  plan->rule_dropped = yard_take(yard, plan->story.rule_count);
  plan->sample_dropped = yard_take(yard, plan->story.sample_count);
  plan->story.rule_dropped = plan->rule_dropped;
  plan->event_rule_count = random_below(&random, 2);
  for (unsigned i = 0; i < plan->event_rule_count; i++) plan->event_rules[i] = make_event_rule(&maker.rules, SUBJECT_SPAN, i);
}

void trace_plan_spell(const struct trace_plan *plan, unsigned generation, struct spelling *text) {
  const struct shape_rule *rules[STORY_RULES_MAX + 4];
  unsigned count = 0;
  for (unsigned r = 0; r < plan->story.rule_count; r++)
    if (story_has_rule(&plan->story, r, generation)) rules[count++] = plan->story.rules[r].shape;
  for (unsigned i = 0; i < plan->event_rule_count; i++) rules[count++] = plan->event_rules[i];
  spell_rules(text, rules, count);
}
