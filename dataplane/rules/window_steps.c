#include "rules_internal.h"

static bool keeps_values(const struct image_window *window) {
  return window->function >= WINDOW_SUM && window->function <= WINDOW_MAXIMUM;
}

static uint32_t slot_of(const struct image_window *window, uint64_t step) { return (uint32_t)(step % window_ring(window)); }

static double *value_at(struct window_table *table, const struct window_key *key, uint32_t slot) {
  struct window_block *block = window_block_at(table, key->values[slot / IMAGE_WINDOW_STEPS]);
  return &block->values[slot % IMAGE_WINDOW_STEPS];
}

static double nothing(enum window_function function) {
  return function == WINDOW_MINIMUM ? __builtin_inf() : function == WINDOW_MAXIMUM ? -__builtin_inf() : 0;
}

bool window_steps_open(struct engine *engine, const struct image_window *window, struct window_key *key) {
  if (!window_has_steps(window)) return true;
  key->counts = window_block_take(engine, key);
  if (key->counts == WINDOW_NONE) return false;
  if (!keeps_values(window)) return true;
  key->rest = key->rest_before = nothing(window->function);
  for (unsigned i = 0; i < (window->change ? 2 : 1); i++) {
    key->values[i] = window_block_take(engine, key);
    if (key->values[i] == WINDOW_NONE) return false;
  }
  return true;
}

static double join(enum window_function function, double a, double b) {
  if (function == WINDOW_MINIMUM) return a < b ? a : b;
  if (function == WINDOW_MAXIMUM) return a > b ? a : b;
  return a + b;
}

/* Of the steps from `first` up to, without, `end`, oldest first: the order in which doubles are added is always the same. */
static double fold(struct window_table *table, const struct image_window *window, const struct window_key *key, uint64_t first,
                   uint64_t end) {
  const struct window_block *counts = window_block_at(table, key->counts);
  double total = nothing(window->function);
  for (uint64_t step = first; step < end; step++) {
    const uint32_t slot = slot_of(window, step);
    if (counts->counts[slot]) total = join(window->function, total, *value_at(table, key, slot));
  }
  return total;
}

/* Steps below 0 never were. */
static uint64_t back(uint64_t step, uint64_t steps) { return step >= steps ? step - steps : 0; }

static void fold_rest(struct window_table *table, const struct image_window *window, struct window_key *key) {
  if (!keeps_values(window)) return;
  const uint64_t first = back(key->step + 1, window->steps);
  key->rest = fold(table, window, key, first, key->step);
  if (window->change) key->rest_before = fold(table, window, key, back(key->step + 1, window_ring(window)), first);
}

static void drop_slot(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t leaving) {
  const uint32_t slot = slot_of(window, leaving);
  struct window_block *counts = window_block_at(&engine->windows, key->counts);
  if (counts->counts[slot] == 0) return;
  if (window->change) {
    key->events_before -= counts->counts[slot];
  } else {
    key->events -= counts->counts[slot];
  }
  if (window->function == WINDOW_QUANTILE) window_quantile_drop(engine, key, slot);
  if (window->function == WINDOW_DISTINCT) window_distinct_drop(engine, key, leaving);
  counts->counts[slot] = 0;
}

bool window_steps_next(struct engine *engine, const struct image_window *window, struct window_key *key) {
  struct window_table *table = &engine->windows;
  const struct window_block *counts = window_block_at(table, key->counts);
  const uint64_t events = key->events, events_before = key->events_before;
  const bool joins_rest = counts->counts[slot_of(window, key->step)] != 0;
  key->step++;
  if (key->step >= window_ring(window)) drop_slot(engine, window, key, key->step - window_ring(window));
  if (window->change && key->step >= window->steps) {
    const uint32_t moved = counts->counts[slot_of(window, key->step - window->steps)];
    key->events -= moved;
    key->events_before += moved;
  }
  const bool changed = events != key->events || events_before != key->events_before;
  if (changed || joins_rest) fold_rest(table, window, key);
  return changed;
}

void window_steps_skip(struct window_key *key, uint64_t step) {
  ALWAYS_ASSERT(window_is_empty(key));
  key->step = step;
}

static bool is_before(const struct image_window *window, const struct window_key *key, uint64_t step) {
  return step + window->steps <= key->step;
}

bool window_steps_add(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t step,
                      uint64_t value) {
  struct window_table *table = &engine->windows;
  const uint32_t slot = slot_of(window, step);
  double number;
  memcpy(&number, &value, sizeof number);
  uint32_t *count = &window_block_at(table, key->counts)->counts[slot];
  if (*count == UINT32_MAX || key->events == UINT32_MAX) return true; /* more are not told apart from so many */
  if (window->function == WINDOW_QUANTILE && !window_quantile_add(engine, key, slot, number)) return false;
  if (window->function == WINDOW_DISTINCT && !window_distinct_add(engine, key, step, value)) return false;
  if (keeps_values(window)) {
    double *kept = value_at(table, key, slot);
    *kept = *count ? join(window->function, *kept, number) : number;
  }
  ++*count;
  if (is_before(window, key, step)) {
    key->events_before++;
  } else {
    key->events++;
  }
  if (step != key->step) fold_rest(table, window, key);
  return true;
}

/* A window without events gives nothing, but for what is counted. */
static bool measure(struct engine *engine, const struct image_window *window, const struct window_key *key, bool before,
                    double *measure) {
  struct window_table *table = &engine->windows;
  const uint64_t events = before ? key->events_before : key->events;
  if (window->function == WINDOW_COUNT) {
    *measure = (double)events;
    return true;
  }
  double value = before ? key->rest_before : key->rest;
  const uint32_t slot = slot_of(window, key->step);
  if (!before && window_block_at(table, key->counts)->counts[slot])
    value = join(window->function, value, *value_at(table, key, slot));
  *measure = window->function == WINDOW_AVERAGE ? value / (double)events : value;
  return events != 0 || window->function == WINDOW_SUM;
}

static struct value real_value(double real) {
  return real == real ? (struct value){.type = VALUE_DOUBLE, .real = real} : (struct value){.type = VALUE_NULL};
}

struct value window_value(struct engine *engine, const struct image_window *window, const struct window_key *key) {
  double now, before;
  if (window->change) {
    const bool known = key->events_before != 0 && measure(engine, window, key, true, &before) && before != 0 &&
                       measure(engine, window, key, false, &now);
    return known ? real_value(now / before) : (struct value){.type = VALUE_NULL};
  }
  switch (window->function) {
  case WINDOW_ABSENT:
  case WINDOW_EACH:
    return (struct value){.type = VALUE_NULL};
  case WINDOW_COUNT:
    return (struct value){.type = VALUE_INTEGER, .integer = (int64_t)key->events};
  case WINDOW_RATE:
    return real_value((double)key->events * 1e9 / (double)window->over_ns);
  case WINDOW_DISTINCT:
    return (struct value){.type = VALUE_INTEGER, .integer = (int64_t)window_distinct(engine, key)};
  case WINDOW_QUANTILE:
    return key->events ? real_value(window_quantile(engine, key, window->quantile)) : (struct value){.type = VALUE_NULL};
  default:
    return measure(engine, window, key, false, &now) ? real_value(now) : (struct value){.type = VALUE_NULL};
  }
}

uint64_t window_steps_next_change(struct engine *engine, const struct image_window *window, const struct window_key *key) {
  if (window_is_empty(key)) return UINT64_MAX;
  const struct window_block *counts = window_block_at(&engine->windows, key->counts);
  uint64_t next = UINT64_MAX;
  for (uint64_t step = back(key->step + 1, window_ring(window)); step <= key->step; step++) {
    if (counts->counts[slot_of(window, step)] == 0) continue;
    const uint64_t leaves = step + (is_before(window, key, step) ? window_ring(window) : window->steps);
    if (leaves < next) next = leaves;
  }
  return next;
}
