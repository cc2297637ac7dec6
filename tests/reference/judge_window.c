#include "judge_window.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static unsigned steps_of(const struct window_shape *window) { return window->measure == WINDOWED_QUANTILE ? 12 : 60; }
static uint64_t step_ns_of(const struct window_shape *window) { return window->over_ns / steps_of(window); }
static const struct window_shape *shape_of(const struct window_judge *judge, const struct window_key *key) {
  return judge->rules[key->rule]->window;
}

struct measured {
  unsigned count;
  struct plain value;
};

static int by_number(const void *a, const void *b) {
  const double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

static double number_of(const struct plain *value) { return value->type == PLAIN_INTEGER ? (double)value->integer : value->real; }

/* NaN is one value, though it equals nothing. */
static bool same_value(const struct plain *a, const struct plain *b) { return plain_equal(a, b) || plain_identical(a, b); }

static unsigned count_distinct(const struct window_event *const *events, unsigned count) {
  unsigned distinct = 0;
  for (unsigned i = 0; i < count; i++) {
    bool first = true;
    for (unsigned j = 0; j < i && first; j++) first = !same_value(&events[i]->value, &events[j]->value);
    distinct += first;
  }
  return distinct;
}

static double quantile_of(const struct window_shape *window, double *numbers, unsigned count) {
  const double digits = strtod(window->quantile + 1, NULL), part = digits / pow(10, (double)strlen(window->quantile + 1));
  const unsigned rank = (unsigned)ceil(part * count - 1e-9);
  qsort(numbers, count, sizeof *numbers, by_number);
  return numbers[(rank ? rank : 1) - 1];
}

static struct plain measure_numbers(const struct window_shape *window, double *numbers, unsigned count) {
  double sum = 0, least = INFINITY, most = -INFINITY;
  for (unsigned i = 0; i < count; i++) {
    sum += numbers[i];
    least = numbers[i] < least ? numbers[i] : least;
    most = numbers[i] > most ? numbers[i] : most;
  }
  if (window->measure == WINDOWED_SUM) return plain_real(sum);
  if (count == 0) return plain_null();
  switch (window->measure) {
  case WINDOWED_AVERAGE:
    return plain_real(sum / count);
  case WINDOWED_LEAST:
    return plain_real(least);
  case WINDOWED_MOST:
    return plain_real(most);
  default:
    return plain_real(quantile_of(window, numbers, count));
  }
}

/* What the steps from `first` up to, without, `end` hold. */
static struct measured measure_steps(const struct window_shape *window, const struct window_key *key, uint64_t first,
                                     uint64_t end) {
  const struct window_event **events = malloc((key->event_count + 1) * sizeof *events);
  double *numbers = malloc((key->event_count + 1) * sizeof *numbers);
  struct measured measured = {.count = 0};
  for (unsigned i = 0; i < key->event_count; i++) {
    if (key->events[i].step < first || key->events[i].step >= end) continue;
    numbers[measured.count] = number_of(&key->events[i].value);
    events[measured.count++] = &key->events[i];
  }
  switch (window->measure) {
  case WINDOWED_COUNT:
  case WINDOWED_THRESHOLD:
    measured.value = plain_integer(measured.count);
    break;
  case WINDOWED_RATE:
    measured.value = plain_real(measured.count / ((double)window->over_ns / 1e9));
    break;
  case WINDOWED_DISTINCT:
    measured.value = plain_integer(count_distinct(events, measured.count));
    break;
  default:
    measured.value = measure_numbers(window, numbers, measured.count);
    break;
  }
  free(events);
  free(numbers);
  return measured;
}

static struct measured measure_key(const struct window_judge *judge, const struct window_key *key) {
  const struct window_shape *window = shape_of(judge, key);
  const uint64_t end = key->now_ns / step_ns_of(window) + 1, steps = steps_of(window);
  struct measured now = measure_steps(window, key, end - steps, end);
  if (!window->change) return now;
  const struct measured before = measure_steps(window, key, end - 2 * steps, end - steps);
  const bool known = before.count > 0 && before.value.type != PLAIN_NULL && number_of(&before.value) != 0;
  if (!known || now.value.type == PLAIN_NULL) {
    now.value = plain_null();
  } else {
    now.value = plain_real(number_of(&now.value) / number_of(&before.value));
  }
  return now;
}

static bool compares(enum comparison comparison, const struct plain *value, const struct plain *limit) {
  if (value->type == PLAIN_NULL) return false;
  switch (comparison) {
  case COMPARE_EQUAL:
    return plain_equal(value, limit);
  case COMPARE_NOT_EQUAL:
    return !plain_equal(value, limit);
  case COMPARE_LESS:
    return plain_less(value, limit);
  case COMPARE_LESS_EQUAL:
    return !plain_less(limit, value);
  case COMPARE_GREATER:
    return plain_less(limit, value);
  default:
    return !plain_less(value, limit);
  }
}

static void fire(struct window_judge *judge, struct window_key *key, const struct sample *sample) {
  const struct window_shape *window = shape_of(judge, key);
  struct window_verdict *verdict = YARD_NEW(judge->yard, struct window_verdict);
  *verdict = (struct window_verdict){.next = judge->verdicts, .rule = key->rule, .key = key, .sample = sample};
  if (window->measure == WINDOWED_SUPPRESS) {
    verdict->count = 1;
  } else if (window->measure != WINDOWED_ABSENT) {
    const struct measured measured = measure_key(judge, key);
    verdict->count = measured.count;
    verdict->value = measured.value;
  }
  judge->verdicts = verdict;
  judge->fired++;
}

/* Has it held for long enough, and is the key not silent? */
static void check(struct window_judge *judge, struct window_key *key, uint64_t upto_ns, const struct sample *sample) {
  const struct window_shape *window = shape_of(judge, key);
  uint64_t due_ns = key->since_ns + window->for_ns;
  if (!key->holds || (window->measure == WINDOWED_THRESHOLD && !sample) || due_ns > upto_ns) return;
  if (window->repeat_ns == 0) {
    if (key->fired) return;
  } else {
    if (key->silent_until_ns > upto_ns) return;
    if (key->silent_until_ns > due_ns) due_ns = key->silent_until_ns;
  }
  key->fired = true;
  key->silent_until_ns = due_ns + window->repeat_ns;
  fire(judge, key, sample);
}

static void look(struct window_judge *judge, struct window_key *key, uint64_t now_ns, const struct sample *sample) {
  const struct window_shape *window = shape_of(judge, key);
  const struct measured measured = measure_key(judge, key);
  judge->judged++;
  const bool holds = compares(window->comparison, &measured.value, &window->limit);
  if (holds && !key->holds) {
    key->since_ns = now_ns;
    key->fired = false;
  }
  key->holds = holds;
  check(judge, key, now_ns, sample);
}

/* No event is looked at again once the window and the one before have passed it. */
static void forget(const struct window_judge *judge, struct window_key *key) {
  const struct window_shape *window = shape_of(judge, key);
  const uint64_t step = key->now_ns / step_ns_of(window);
  unsigned kept = 0;
  for (unsigned i = 0; i < key->event_count; i++)
    if (key->events[i].step + 2 * steps_of(window) > step) key->events[kept++] = key->events[i];
  key->event_count = kept;
}

static void advance(struct window_judge *judge, struct window_key *key, uint64_t now_ns) {
  const struct window_shape *window = shape_of(judge, key);
  if (now_ns <= key->now_ns) return;
  if (window->measure == WINDOWED_SUPPRESS) return;
  if (window->measure == WINDOWED_ABSENT) {
    judge->judged++;
    if (!key->holds && now_ns - key->arrival_ns >= window->over_ns) {
      key->holds = true;
      key->fired = false;
      key->since_ns = key->arrival_ns + window->over_ns;
    }
  } else {
    const uint64_t step_ns = step_ns_of(window);
    for (uint64_t step = key->now_ns / step_ns + 1; step <= now_ns / step_ns; step++) {
      check(judge, key, step * step_ns, NULL);
      key->now_ns = step * step_ns;
      look(judge, key, step * step_ns, NULL);
    }
    forget(judge, key);
  }
  key->now_ns = now_ns;
  check(judge, key, now_ns, NULL);
}

static struct window_key *key_of(struct window_judge *judge, unsigned rule, const struct plain by[WINDOW_KEYS_MAX],
                                 uint64_t arrival_ns) {
  for (struct window_key *key = judge->keys; key; key = key->next) {
    bool same = key->rule == rule;
    for (unsigned i = 0; i < WINDOW_KEYS_MAX && same; i++) same = same_value(&key->by[i], &by[i]);
    if (same) return key;
  }
  struct window_key *key = YARD_NEW(judge->yard, struct window_key);
  *key = (struct window_key){.next = judge->keys, .rule = rule, .now_ns = arrival_ns, .arrival_ns = arrival_ns};
  memcpy(key->by, by, sizeof key->by);
  judge->keys = key;
  return key;
}

void window_judge_start(struct window_judge *judge, uint64_t now_ns) {
  const struct plain none[WINDOW_KEYS_MAX] = {{.type = PLAIN_NULL}};
  for (unsigned r = 0; r < judge->rule_count; r++) {
    const struct window_shape *window = judge->rules[r]->window;
    if (!judge->dropped[r] && window->measure == WINDOWED_ABSENT && window->by_count == 0) key_of(judge, r, none, now_ns);
  }
}

static void keep(struct window_judge *judge, struct window_key *key, struct window_event event) {
  if (key->event_count == key->event_capacity) {
    struct window_event *more = YARD_ARRAY(judge->yard, struct window_event, 2 * key->event_capacity + 16);
    if (key->event_count) memcpy(more, key->events, key->event_count * sizeof *more);
    key->events = more;
    key->event_capacity = 2 * key->event_capacity + 16;
  }
  key->events[key->event_count++] = event;
}

static void take_suppressed(struct window_judge *judge, struct window_key *key, const struct sample *sample,
                            uint64_t arrival_ns) {
  judge->judged++;
  if (arrival_ns < key->silent_until_ns) return;
  key->silent_until_ns = arrival_ns + shape_of(judge, key)->over_ns;
  fire(judge, key, sample);
}

void window_judge_event(struct window_judge *judge, unsigned rule, const struct sample *sample, uint64_t arrival_ns) {
  const struct window_shape *window = judge->rules[rule]->window;
  struct plain by[WINDOW_KEYS_MAX] = {{.type = PLAIN_NULL}}, value = plain_null();
  for (unsigned i = 0; i < window->by_count; i++) by[i] = judge_read(&judge->judge, sample, window->by[i]);
  if (window->value) {
    value = judge_term(&judge->judge, window->value, sample);
    const bool number = plain_is_number(&value) && !(value.type == PLAIN_REAL && isnan(value.real));
    if (window->measure == WINDOWED_DISTINCT ? value.type == PLAIN_NULL : !number) return;
  }
  struct window_key *key = key_of(judge, rule, by, arrival_ns);
  if (window->measure == WINDOWED_SUPPRESS) {
    take_suppressed(judge, key, sample, arrival_ns);
    return;
  }
  advance(judge, key, arrival_ns);
  if (arrival_ns > key->arrival_ns) key->arrival_ns = arrival_ns;
  if (window->measure == WINDOWED_ABSENT) {
    key->holds = false;
    return;
  }
  const uint64_t step = arrival_ns / step_ns_of(window);
  const unsigned held = steps_of(window) * (window->change ? 2 : 1);
  if (step + held <= key->now_ns / step_ns_of(window)) return; /* its window has passed */
  keep(judge, key, (struct window_event){.step = step, .value = value});
  look(judge, key, key->now_ns, window->measure == WINDOWED_THRESHOLD ? sample : NULL);
}

void window_judge_tick(struct window_judge *judge, uint64_t now_ns) {
  for (struct window_key *key = judge->keys; key; key = key->next) advance(judge, key, now_ns);
}
