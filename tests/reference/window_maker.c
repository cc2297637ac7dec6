#include "window_maker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Of each kind of event one reference that numbers are read from and some that keys are made of. */
static const struct {
  const char *number, *keys[3];
} references[SUBJECTS] = {[SUBJECT_SPAN] = {"span.c", {"span.a", "resource.a", "service"}},
                          [SUBJECT_WEBHOOK] = {"body.order.amount", {"body.a", "body.\"order.amount\"", "name"}},
                          [SUBJECT_ALERT] = {"label.b", {"label.a", "annotation.a", "service"}}};

static unsigned reference_of(const char *spelling) {
  for (unsigned i = 0; i < reference_count; i++)
    if (strcmp(reference_facts[i].spelling, spelling) == 0) return i;
  abort();
}

static uint32_t below(struct rule_maker *maker, uint32_t bound) { return random_below(maker->random, bound); }

static const struct term *make_value(struct rule_maker *maker, enum subject subject) {
  struct term *reference = YARD_NEW(maker->yard, struct term);
  *reference = (struct term){.kind = TERM_REFERENCE, .reference = reference_of(references[subject].number)};
  if (below(maker, 4)) return reference;
  struct term *two = YARD_NEW(maker->yard, struct term), *product = YARD_NEW(maker->yard, struct term);
  *two = (struct term){.kind = TERM_CONSTANT, .constant = plain_integer(2)};
  *product = (struct term){.kind = TERM_OPERATION, .operation = '*', .left = reference, .right = two};
  return product;
}

static void pick_limit(struct rule_maker *maker, struct window_shape *window) {
  static const int64_t apart[] = {3, 6, 30, 300}; /* far from any value: quantiles are not exact */
  switch (window->measure) {
  case WINDOWED_QUANTILE:
    window->limit = plain_integer(apart[below(maker, 4)]);
    window->comparison = (enum comparison)(COMPARE_LESS + below(maker, 4));
    break;
  case WINDOWED_RATE:
    window->limit = plain_real((double)(1 + below(maker, 20)) / 4);
    break;
  case WINDOWED_SUM:
    window->limit = plain_integer(below(maker, 400));
    break;
  default:
    window->limit = below(maker, 3) ? plain_integer(below(maker, 8)) : plain_real((double)below(maker, 40) / 4);
    break;
  }
  if (window->change) window->limit = plain_real((double)(1 + below(maker, 12)) / 4);
}

/* Whole hundredths of a second, and whole steps of as much. */
static void make_measured(struct rule_maker *maker, struct window_shape *window, enum subject subject) {
  static const char *const quantiles[] = {"p50", "p90", "p99", "p999", "p10"};
  window->measure = (enum window_measure)below(maker, WINDOWED_DISTINCT + 1);
  window->comparison = (enum comparison)below(maker, COMPARE_ORDERS);
  const bool of_value = window->measure >= WINDOWED_SUM;
  if (of_value) window->value = make_value(maker, subject);
  if (window->measure == WINDOWED_QUANTILE) window->quantile = quantiles[below(maker, COUNT(quantiles))];
  if (window->measure == WINDOWED_COUNT || window->measure == WINDOWED_SUM || window->measure == WINDOWED_AVERAGE)
    window->change = below(maker, 4) == 0;
  pick_limit(maker, window);
  if (below(maker, 3) == 0) window->for_ns = (1 + below(maker, 40)) * (SECOND / 10);
  if (below(maker, 3) == 0) window->repeat_ns = SECOND + below(maker, 40) * (SECOND / 10);
}

static const struct window_shape *make_window(struct rule_maker *maker, enum subject subject) {
  struct window_shape *window = YARD_NEW(maker->yard, struct window_shape);
  const unsigned pick = below(maker, 10);
  window->over_ns = (1 + below(maker, below(maker, 3) ? 8 : 30)) * (SECOND / 10) * 6;
  window->by_count = below(maker, 4);
  const unsigned first = below(maker, 3);
  for (unsigned i = 0; i < window->by_count; i++) window->by[i] = reference_of(references[subject].keys[(first + i) % 3]);
  if (pick < 6) {
    make_measured(maker, window, subject);
  } else if (pick < 8) {
    window->measure = WINDOWED_ABSENT;
    if (below(maker, 2)) window->repeat_ns = SECOND + below(maker, 40) * (SECOND / 10);
  } else if (pick == 8) {
    window->measure = WINDOWED_THRESHOLD;
    window->comparison = COMPARE_GREATER_EQUAL;
    window->limit = plain_integer(1 + below(maker, 5));
  } else {
    window->measure = WINDOWED_SUPPRESS;
  }
  return window;
}

static struct shape_rule *make_rule(struct rule_maker *maker, unsigned number, unsigned subjects) {
  const enum subject subject = (enum subject)below(maker, subjects);
  struct shape_rule *rule = make_event_rule(maker, subject, number);
  rule->disabled = rule->shadow = false;
  rule->window = make_window(maker, subject);
  if (rule->window->measure < WINDOWED_THRESHOLD) {
    rule->has_message = below(maker, 2);
    rule->message_parts = 0;
    if (!rule->has_message) return rule;
    rule->message[rule->message_parts++] = (struct message_part){.literal = "n=${count} "};
    if (rule->window->by_count) rule->message[rule->message_parts++] = (struct message_part){.reference = rule->window->by[0]};
  }
  return rule;
}

/* Few values, so that events meet the same keys. */
static struct plain key_value(struct test_random *random) {
  switch (random_below(random, 6)) {
  case 0:
    return plain_null();
  case 1:
    return plain_integer(1);
  case 2:
    return plain_real(1.0);
  default:
    return plain_text(random_below(random, 2) ? "a" : "b");
  }
}

static struct plain number_value(struct test_random *random) {
  static const double values[] = {0.5, 1, 1, 4, 10, 10, 100, 1000, -4};
  if (random_below(random, 12) == 0) return pool_text(random);
  if (random_below(random, 12) == 0) return plain_null();
  if (random_below(random, 20) == 0) return plain_real(__builtin_nan(""));
  const double value = values[random_below(random, COUNT(values))];
  if (random_below(random, 2) && value != 0.5) return plain_integer((int64_t)value);
  return plain_real(value);
}

static void make_sample(struct sample *sample, unsigned number, enum subject subject, struct test_random *random) {
  sample_make(sample, subject, random);
  sample->span = number + 1;
  sample->values[reference_of(references[subject].number)] = number_value(random);
  for (unsigned i = 0; i < 3; i++) {
    const unsigned reference = reference_of(references[subject].keys[i]);
    const struct plain value = key_value(random);
    if (reference >= REF_INTRINSICS) {
      sample->values[reference] = value;
    } else if (value.type == PLAIN_TEXT || (value.type == PLAIN_NULL && reference == REF_SERVICE)) {
      *(reference == REF_NAME ? &sample->name : &sample->service) = value;
    }
  }
  if (subject == SUBJECT_SPAN) return;
  sample->start_ns = sample->end_ns = POOL_TIME + number * POOL_TIME_STEP;
}

void window_plan_make(struct window_plan *plan, uint64_t seed, struct yard *yard) {
  struct test_random random = {.state = seed * 0x9e3779b97f4a7c15 + 2};
  struct rule_maker maker = {.yard = yard, .random = &random};
  *plan = (struct window_plan){.seed = seed,
                               .shards = 1 + random_below(&random, 4),
                               .tight = random_below(&random, 6) == 0,
                               .rule_count = 1 + random_below(&random, 8),
                               .sample_count = 20 + random_below(&random, 300)};
  const unsigned subjects = random_below(&random, 3) ? 1 : SUBJECTS;
  plan->rules = YARD_ARRAY(yard, const struct shape_rule *, plan->rule_count);
  plan->samples = YARD_ARRAY(yard, struct sample, plan->sample_count);
  plan->rule_dropped = yard_take(yard, plan->rule_count);
  plan->sample_dropped = yard_take(yard, plan->sample_count);
  for (unsigned i = 0; i < plan->rule_count; i++) plan->rules[i] = make_rule(&maker, i, subjects);
  for (unsigned i = 0; i < plan->sample_count; i++)
    make_sample(&plan->samples[i], i, (enum subject)random_below(&random, subjects), &random);
}
