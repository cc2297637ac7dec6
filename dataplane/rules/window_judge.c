#include "rules_internal.h"

#define SWEPT_A_TURN 256u /* keys looked at after a reload, for each that may expire */

const struct image_window *window_find(const struct rule_image *image, uint32_t identity) {
  uint32_t low = 0, high = image ? image->window_count : 0;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (image->windows[middle].identity < identity)
      low = middle + 1;
    else
      high = middle;
  }
  return image && low < image->window_count && image->windows[low].identity == identity ? &image->windows[low] : NULL;
}

/* NULL: its rule is no more. */
static const struct image_window *window_of(const struct engine *engine, struct window_key *key) {
  const struct rule_image *image = engine->image;
  if (!image) return NULL;
  if (key->generation == image->generation) return &image->windows[key->window];
  const struct image_window *window = window_find(image, key->identity);
  if (!window || window->function != key->function || window->change != key->change || window->over_ns != key->over_ns)
    return NULL;
  key->window = (uint32_t)(window - image->windows);
  key->generation = image->generation;
  return window;
}

/* The value can only fall when events leave. */
static bool only_events_fire(const struct image_window *window) {
  const bool grows = window->function == WINDOW_COUNT || window->function == WINDOW_RATE || window->function == WINDOW_DISTINCT ||
                     window->function == WINDOW_MAXIMUM;
  return grows && !window->change &&
         (window->comparison == PREDICATE_GREATER || window->comparison == PREDICATE_GREATER_OR_EQUAL);
}

static bool comparison_holds(const struct image_window *window, const struct value *value) {
  return value->type != VALUE_NULL &&
         order_holds((enum predicate_operation)window->comparison, value_compare(value, &window->limit));
}

struct event_record { /* the violation that goes with the event at hand; NULL: none does */
  const uint8_t *at;
  uint32_t bytes;
};

/* When what holds is to fire, silence left aside. */
static uint64_t ripe_at(const struct image_window *window, const struct window_key *key) {
  return window->function == WINDOW_ABSENT ? key->since_ns : key->since_ns + window->for_ns;
}

/* Fires if that was due at or before `upto_ns`, with the window as it stands. */
static void check(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t upto_ns,
                  struct event_record record) {
  if (!key->holds || (window->carries_event && !record.at)) return;
  uint64_t due_ns = ripe_at(window, key);
  if (due_ns > upto_ns) return;
  if (window->repeat_after_ns == 0) {
    if (key->fired) return;
  } else if (key->silent_until_ns > upto_ns) {
    if (!key->silenced) {
      engine->counters.window_suppressed[WINDOW_SILENCE_REPEAT]++;
      key->suppressed++;
    }
    key->silenced = true;
    return;
  } else if (key->silent_until_ns > due_ns) {
    due_ns = key->silent_until_ns;
  }
  key->fired = key->silenced = true;
  if (window->repeat_after_ns) {
    /* Without drift, unless a whole silence was slept through. */
    const bool late = upto_ns - due_ns >= window->repeat_after_ns;
    key->silent_until_ns = (late ? upto_ns : due_ns) + window->repeat_after_ns;
  }
  window_fire(engine, window, key, record.at, record.bytes);
}

static void judge(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t now_ns,
                  struct event_record record) {
  const struct value value = window_value(engine, window, key);
  const bool holds = comparison_holds(window, &value);
  if (holds && !key->holds) {
    key->since_ns = now_ns;
    key->fired = key->silenced = false;
  }
  key->holds = holds;
  check(engine, window, key, now_ns, record);
}

/* Lives through the time up to `now_ns` as if it had been looked at in every step. */
static void advance(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t now_ns) {
  const struct event_record none = {NULL, 0};
  if (now_ns <= key->now_ns) return;
  if (window->function == WINDOW_ABSENT && !key->holds && now_ns - key->arrival_ns >= window->over_ns) {
    key->holds = true;
    key->fired = key->silenced = false;
    key->since_ns = key->arrival_ns + window->over_ns;
  }
  while (window_has_steps(window) && key->step < now_ns / window->step_ns) {
    if (window_is_empty(key)) {
      window_steps_skip(key, now_ns / window->step_ns);
      break;
    }
    const uint64_t boundary_ns = (key->step + 1) * window->step_ns;
    check(engine, window, key, boundary_ns, none);
    if (window_steps_next(engine, window, key)) judge(engine, window, key, boundary_ns, none);
  }
  if (window_has_steps(window) && window_is_empty(key)) key->first_ns = UINT64_MAX;
  key->now_ns = now_ns;
  check(engine, window, key, now_ns, none);
}

/* A key that kept silent stays a while longer, to say so if it fires again. */
static uint64_t silence_served_ns(const struct image_window *window, const struct window_key *key) {
  return key->silent_until_ns + (key->suppressed ? window->repeat_after_ns : 0);
}

/* The next instant at which something may happen to the key without an event; UINT64_MAX: never. */
static uint64_t next_ns(struct engine *engine, const struct image_window *window, const struct window_key *key) {
  uint64_t next = UINT64_MAX;
  if (key->holds && !window->carries_event) {
    const uint64_t ripe = ripe_at(window, key);
    if (window->repeat_after_ns)
      next = ripe > key->silent_until_ns ? ripe : key->silent_until_ns;
    else if (!key->fired)
      next = ripe;
  }
  if (window->function == WINDOW_ABSENT) return key->holds ? next : key->arrival_ns + window->over_ns;
  uint64_t change_ns = UINT64_MAX;
  if (window_has_steps(window) && !window_is_empty(key)) {
    const uint64_t step = only_events_fire(window) ? key->arrival_ns / window->step_ns + window_ring(window)
                                                   : window_steps_next_change(engine, window, key);
    change_ns = step * window->step_ns;
  } else if (!key->holds) {
    change_ns = silence_served_ns(window, key); /* then it has served its turn */
  }
  return change_ns < next ? change_ns : next;
}

/* Nothing is left that an event which opened it anew would not find. */
static bool has_served(const struct image_window *window, const struct window_key *key, uint64_t now_ns) {
  if (key->on_retry || (key->pinned && window->function == WINDOW_ABSENT)) return false;
  if (window->function == WINDOW_ABSENT) return key->holds && key->fired && window->repeat_after_ns == 0;
  return window_is_empty(key) && !key->holds && now_ns >= silence_served_ns(window, key);
}

static void drop(struct engine *engine, struct window_key *key) {
  engine->counters.window_keys_dropped++;
  window_key_forget(engine, key);
}

static void settle(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t now_ns) {
  if (has_served(window, key, now_ns)) {
    engine->counters.window_keys_expired++;
    window_key_forget(engine, key);
    return;
  }
  const uint64_t next = next_ns(engine, window, key);
  if (next == UINT64_MAX)
    timer_cancel(&key->timer);
  else if (!timer_armed(&key->timer) || key->timer.deadline_ns > next)
    timer_arm(engine->windows.wheel, &key->timer, next);
}

static void on_timer(struct timer *timer, void *context, uint64_t now_ns) {
  struct engine *engine = context;
  struct window_key *key = (struct window_key *)(void *)((char *)timer - offsetof(struct window_key, timer));
  const struct image_window *window = window_of(engine, key);
  if (!window) return; /* the sweep finds it */
  advance(engine, window, key, now_ns);
  settle(engine, window, key, now_ns);
}

static struct window_key *open_key(struct engine *engine, const struct image_window *window, uint64_t hash, const uint8_t *bytes,
                                   uint32_t length, uint64_t now_ns) {
  struct window_key *key = window_key_open(engine, window->identity, hash, bytes, length, window->key_count == 0);
  if (!key) return NULL;
  key->timer.fire = on_timer;
  key->window = (uint32_t)(window - engine->image->windows);
  key->generation = engine->image->generation;
  key->function = window->function;
  key->change = window->change;
  key->over_ns = window->over_ns;
  key->arrival_ns = key->now_ns = now_ns;
  key->step = window_has_steps(window) ? now_ns / window->step_ns : 0;
  if (window_steps_open(engine, window, key)) return key;
  engine->counters.window_keys_evicted++;
  window_key_forget(engine, key);
  return NULL;
}

/* `suppress`: the first event fires, those in the silence after it are counted. */
static void apply_each(struct engine *engine, const struct image_window *window, struct window_key *key, uint64_t arrival_ns,
                       struct event_record record) {
  key->events = 0;
  if (arrival_ns < key->silent_until_ns) {
    engine->counters.window_suppressed[WINDOW_SILENCE_SUPPRESS]++;
    key->suppressed++;
    return;
  }
  key->silent_until_ns = arrival_ns + window->repeat_after_ns;
  key->events = 1;
  window_fire(engine, window, key, record.at, record.bytes);
  key->events = 0;
}

static void apply_event(struct engine *engine, const struct image_window *window, struct window_key *key,
                        const struct window_digest *digest, uint32_t index, struct event_record record) {
  if (window->function == WINDOW_EACH) {
    apply_each(engine, window, key, digest->arrival_ns, record);
    return;
  }
  if (window->function == WINDOW_ABSENT) {
    key->holds = false;
    key->suppressed = 0;
    return;
  }
  uint64_t value = 0;
  if (index < digest->value_count) memcpy(&value, digest->payload + index * sizeof value, sizeof value);
  const uint64_t step = digest->arrival_ns / window->step_ns;
  if (step + window_ring(window) <= key->step) {
    engine->counters.window_events_late++;
    return;
  }
  if (!window_steps_add(engine, window, key, step, value)) {
    engine->counters.window_events_unplaced++;
    return;
  }
  judge(engine, window, key, key->now_ns, record);
}

static void apply_to(struct engine *engine, const struct image_window *window, struct window_key *key,
                     const struct window_digest *digest) {
  const uint32_t key_at = digest->value_count * (uint32_t)sizeof(uint64_t);
  const struct event_record record = {digest->record_bytes ? digest->payload + key_at + digest->key_bytes : NULL,
                                      digest->record_bytes};
  advance(engine, window, key, digest->arrival_ns);
  if (digest->arrival_ns > key->arrival_ns) key->arrival_ns = digest->arrival_ns;
  if (digest->first_ns < key->first_ns) key->first_ns = digest->first_ns;
  if (digest->last_ns > key->last_ns) key->last_ns = digest->last_ns;
  for (uint32_t i = 0; i < digest->events; i++) apply_event(engine, window, key, digest, i, record);
}

static struct window_key *key_of(struct engine *engine, const struct image_window *window, const struct window_digest *digest) {
  const uint8_t *bytes = digest->payload + digest->value_count * sizeof(uint64_t);
  struct window_key *key = window_key_find(&engine->windows, window->identity, digest->key_hash, bytes, digest->key_bytes);
  if (key && window_of(engine, key)) return key;
  if (key && key->on_retry) return NULL;
  if (key) drop(engine, key);
  return open_key(engine, window, digest->key_hash, bytes, digest->key_bytes, digest->arrival_ns);
}

void engine_apply_window(struct engine *engine, const struct window_digest *digest, uint64_t now_ns, uint64_t wall_ns) {
  struct window_table *table = &engine->windows;
  table->now_ns = now_ns;
  table->wall_ns = wall_ns;
  engine->counters.digests_applied++;
  engine->counters.window_events += digest->events;
  const struct image_window *window = window_find(engine->image, digest->window);
  if (!window) {
    engine->counters.window_digests_stale++;
    return;
  }
  struct window_key *key = key_of(engine, window, digest);
  if (!key) {
    engine->counters.window_digests_unplaced++;
    return;
  }
  window_key_touch(table, key);
  apply_to(engine, window, key, digest);
  settle(engine, window, key, key->now_ns);
}

void windows_adopt(struct engine *engine) {
  engine->windows.sweep = 0;
  engine->windows.to_open = 0;
}

static void sweep(struct engine *engine, uint32_t most) {
  struct window_table *table = &engine->windows;
  for (uint32_t i = 0; i < most && table->sweep < table->capacity; i++) {
    struct window_key *key = &table->keys[table->sweep++];
    if (!key->live || window_of(engine, key)) continue;
    if (key->on_retry) continue; /* the retry drops it */
    drop(engine, key);
  }
}

/* Absence without a key is judged from the start on. */
static void open_windows(struct engine *engine, uint32_t most) {
  struct window_table *table = &engine->windows;
  const uint32_t count = engine->image ? engine->image->window_count : 0;
  for (uint32_t i = 0; i < most && table->to_open < count; i++) {
    const struct image_window *window = &engine->image->windows[table->to_open++];
    if (window->function != WINDOW_ABSENT || window->key_count) continue;
    const uint64_t hash = window_hash(engine, window->identity, NULL, 0);
    if (window_owner(engine, hash) != engine->config.shard || window_key_find(table, window->identity, hash, NULL, 0)) continue;
    struct window_key *key = open_key(engine, window, hash, NULL, 0, table->now_ns);
    if (key) settle(engine, window, key, table->now_ns);
  }
}

uint32_t windows_expire(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  struct window_table *table = &engine->windows;
  table->now_ns = now_ns;
  table->wall_ns = wall_ns;
  windows_retry(engine, most);
  sweep(engine, most * SWEPT_A_TURN);
  open_windows(engine, most);
  return timer_wheel_advance(table->wheel, engine, now_ns, most);
}

uint32_t windows_drain(struct engine *engine, uint64_t now_ns, uint64_t wall_ns, uint32_t most) {
  struct window_table *table = &engine->windows;
  table->now_ns = now_ns;
  table->wall_ns = wall_ns;
  windows_retry(engine, most);
  if (table->sweep == table->capacity) table->sweep = 0;
  for (uint32_t i = 0; i < most * SWEPT_A_TURN && table->sweep < table->capacity; i++) {
    struct window_key *key = &table->keys[table->sweep++];
    if (key->live && !key->on_retry) drop(engine, key);
  }
  return engine->counters.window_keys_live;
}
