#include "window_model.h"
#include "cmocka_test.h"
#include <math.h>
#include <stdlib.h>

struct span_of_time {
  uint64_t first, end; /* steps, `end` not in it */
};

static int ascending(const void *a, const void *b) {
  const double left = *(const double *)a, right = *(const double *)b;
  return left < right ? -1 : left > right;
}

static uint32_t collect(const struct model *model, uint32_t key, uint64_t now_ns, struct span_of_time steps, double *values) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < model->event_count; i++) {
    const struct model_event *event = &model->events[i];
    const uint64_t step = event->arrival_ns / model->window->step_ns;
    const bool counts = model->window->value_column == IMAGE_WINDOW_NO_COLUMN || event->has_value;
    if (event->key == key && event->arrival_ns <= now_ns && step >= steps.first && step < steps.end && counts)
      values[count++] = event->value;
  }
  return count;
}

static uint32_t distinct(double *values, uint32_t count) {
  uint32_t different = 0;
  qsort(values, count, sizeof *values, ascending);
  for (uint32_t i = 0; i < count; i++) different += i == 0 || values[i] != values[i - 1];
  return different;
}

/* NaN: null. */
static double measure(const struct model *model, double *values, uint32_t count) {
  double total = 0;
  for (uint32_t i = 0; i < count; i++) total += values[i];
  qsort(values, count, sizeof *values, ascending);
  switch (model->window->function) {
  case WINDOW_COUNT:
    return count;
  case WINDOW_RATE:
    return count * 1e9 / (double)model->window->over_ns;
  case WINDOW_SUM:
    return total;
  case WINDOW_AVERAGE:
    return count ? total / count : NAN;
  case WINDOW_MINIMUM:
    return count ? values[0] : NAN;
  case WINDOW_MAXIMUM:
    return count ? values[count - 1] : NAN;
  case WINDOW_QUANTILE: {
    const uint32_t rank = (uint32_t)ceil(model->window->quantile * count);
    return count ? values[(rank ? rank : 1) - 1] : NAN;
  }
  case WINDOW_DISTINCT:
    return distinct(values, count);
  default:
    fail_msg("the model has no such function");
    return NAN;
  }
}

static struct span_of_time back(uint64_t end, uint64_t steps) {
  return (struct span_of_time){.first = end > steps ? end - steps : 0, .end = end};
}

static double value_at(const struct model *model, uint32_t key, uint64_t now_ns, uint64_t step, uint32_t *events) {
  static double values[MODEL_EVENTS_MAX];
  const uint64_t steps = model->window->steps;
  *events = collect(model, key, now_ns, back(step + 1, steps), values);
  const double now = measure(model, values, *events);
  if (!model->window->change) return now;
  if (step + 1 < steps) return NAN;
  const uint32_t before = collect(model, key, now_ns, back(step + 1 - steps, steps), values);
  const double old = measure(model, values, before);
  return before == 0 || old == 0 ? NAN : now / old;
}

static double limit_of(const struct image_window *window) {
  return window->limit.type == VALUE_INTEGER ? (double)window->limit.integer : window->limit.real;
}

static bool compare(const struct image_window *window, double value) {
  const double limit = limit_of(window);
  switch (window->comparison) {
  case PREDICATE_EQUAL:
    return value == limit;
  case PREDICATE_NOT_EQUAL:
    return value < limit || value > limit;
  case PREDICATE_LESS:
    return value < limit;
  case PREDICATE_LESS_OR_EQUAL:
    return value <= limit;
  case PREDICATE_GREATER:
    return value > limit;
  default:
    return value >= limit;
  }
}

struct history {
  bool known, holds, fired;
  uint64_t since_ns, silent_until_ns;
  double value;
  uint32_t events;
};

static void check(struct model *model, uint32_t key, struct history *history, uint64_t upto_ns) {
  const struct image_window *window = model->window;
  while (history->holds) {
    uint64_t due_ns = history->since_ns + window->for_ns;
    if (window->repeat_after_ns == 0 && history->fired) return;
    if (window->repeat_after_ns && history->silent_until_ns > due_ns) due_ns = history->silent_until_ns;
    if (due_ns > upto_ns) return;
    history->fired = true;
    history->silent_until_ns = due_ns + window->repeat_after_ns;
    assert_true(model->firing_count < MODEL_FIRINGS_MAX);
    model->firings[model->firing_count++] =
        (struct model_firing){.at_ns = due_ns, .key = key, .events = history->events, .value = history->value};
  }
}

static void judge(struct model *model, uint32_t key, struct history *history, uint64_t now_ns) {
  history->value = value_at(model, key, now_ns, now_ns / model->window->step_ns, &history->events);
  const double limit = limit_of(model->window);
  const double distance = fabs(history->value - limit) / (fabs(limit) > 1e-9 ? fabs(limit) : 1);
  if (distance < model->nearest) model->nearest = distance;
  const bool holds = compare(model->window, history->value);
  if (holds && !history->holds) {
    history->since_ns = now_ns;
    history->fired = false;
  }
  history->holds = holds;
  check(model, key, history, now_ns);
}

static int by_time(const void *a, const void *b) {
  const struct model_firing *left = a, *right = b;
  if (left->at_ns != right->at_ns) return left->at_ns < right->at_ns ? -1 : 1;
  return left->key < right->key ? -1 : left->key > right->key;
}

/* An event that comes at one instant with others is seen after those before it, as if a moment had passed. */
static void run_key(struct model *model, uint32_t key, uint64_t end_ns) {
  struct history history = {.known = false};
  const uint64_t step_ns = model->window->step_ns;
  const uint32_t all = model->event_count;
  uint64_t boundary_ns = 0;
  for (uint32_t next = 0; boundary_ns <= end_ns || next < all;) {
    const bool event = next < all && model->events[next].arrival_ns < boundary_ns;
    if (!event && boundary_ns > end_ns) break;
    const uint64_t now_ns = event ? model->events[next].arrival_ns : boundary_ns;
    if (history.known) check(model, key, &history, now_ns);
    if (event) {
      const struct model_event *at = &model->events[next++];
      model->event_count = next;
      if (at->key != key || (model->window->value_column != IMAGE_WINDOW_NO_COLUMN && !at->has_value)) continue;
      history.known = true;
      judge(model, key, &history, now_ns);
    } else {
      model->event_count = next;
      if (history.known) judge(model, key, &history, now_ns);
      boundary_ns += step_ns;
    }
  }
  model->event_count = all;
  if (history.known) check(model, key, &history, end_ns);
}

void model_run(struct model *model, uint64_t end_ns) {
  model->firing_count = 0;
  model->nearest = INFINITY;
  for (uint32_t key = 0; key < MODEL_KEYS; key++) run_key(model, key, end_ns);
  qsort(model->firings, model->firing_count, sizeof *model->firings, by_time);
}
