#include "rules_internal.h"

const char *window_silence_name(enum window_silence silence) {
  static const char *const names[WINDOW_SILENCES] = {
      [WINDOW_SILENCE_SUPPRESS] = "suppress", [WINDOW_SILENCE_REPEAT] = "repeat_after", [WINDOW_SILENCE_WAITING] = "waiting"};
  return (unsigned)silence < WINDOW_SILENCES ? names[silence] : "unknown";
}

static const struct image_rule *rule_of(const struct rule_image *image, const struct image_window *window) {
  return window->of_trace ? &image->trace_rules[window->rule] : &image->kinds[window->kind].rules[window->rule];
}

struct verdict_values {
  const struct image_window *window;
  const struct window_key *key;
  const struct window_verdict *verdict;
  const struct image_column *columns;
  char text[64];
  struct value value;
};

static const struct value *measured(struct verdict_values *values) {
  const struct image_window *window = values->window;
  const struct image_column *column =
      window->value_column == IMAGE_WINDOW_NO_COLUMN ? NULL : &values->columns[window->value_column];
  const bool duration = column && column->scope == SCOPE_INTRINSIC && column->intrinsic == INTRINSIC_DURATION &&
                        window->function != WINDOW_DISTINCT && !window->change;
  const double real = values->verdict->value.real;
  values->value = values->verdict->value;
  if (!duration || values->value.type != VALUE_DOUBLE || !(real >= 0 && real < 9e18)) return &values->value;
  const struct value whole = {.type = VALUE_INTEGER, .integer = (int64_t)real};
  values->value = (struct value){.type = VALUE_STRING, .text = values->text};
  values->value.length = message_value(&whole, true, values->text, sizeof values->text);
  return &values->value;
}

/* A message reads the key's references, and what the window gave. */
static const struct value *value_of(void *context, uint32_t slot) {
  struct verdict_values *values = context;
  if (slot == (uint32_t)IMAGE_MESSAGE_VALUE) return measured(values);
  values->value = (struct value){.type = VALUE_NULL};
  if (slot == (uint32_t)IMAGE_MESSAGE_COUNT)
    values->value = (struct value){.type = VALUE_INTEGER, .integer = (int64_t)values->verdict->events};
  for (uint32_t i = 0; i < values->window->key_count; i++)
    if (values->window->key_columns[i] == slot) values->value = window_key_value(values->key->key, values->key->key_bytes, i);
  return &values->value;
}

static void add_attribute(struct violation *violation, struct event_text key, struct value value) {
  if (violation->attribute_count == VIOLATION_ATTRIBUTES_MAX || value.type == VALUE_NULL) return;
  violation->attributes[violation->attribute_count++] = (struct violation_attribute){.key = key, .value = value};
}

static void add_key(struct violation *violation, const struct verdict_values *values) {
  for (uint32_t i = 0; i < values->window->key_count; i++) {
    const struct image_column *column = &values->columns[values->window->key_columns[i]];
    const struct value value = window_key_value(values->key->key, values->key->key_bytes, i);
    add_attribute(violation, (struct event_text){column->reference.at, column->reference.length}, value);
    if (column->scope == SCOPE_INTRINSIC && column->intrinsic == INTRINSIC_SERVICE && value.type == VALUE_STRING)
      violation->service = (struct event_text){value.text, value.length};
  }
}

static uint32_t count_of(uint64_t events) { return events > UINT32_MAX ? UINT32_MAX : (uint32_t)events; }

/* Of a key that has never had an event, and of one that was quiet, the times are those of what there was last. */
static void set_times(struct violation *violation, const struct image_window *window, const struct window_verdict *verdict,
                      uint64_t wall_ns) {
  const uint64_t last_ns = verdict->last_ns ? verdict->last_ns : wall_ns;
  uint64_t first_ns = verdict->first_ns < last_ns ? verdict->first_ns : last_ns;
  if (last_ns - first_ns > window->over_ns) first_ns = last_ns - window->over_ns;
  violation->fixed.first_seen_ns = window->function == WINDOW_ABSENT ? last_ns : first_ns;
  violation->fixed.last_seen_ns = last_ns;
}

static void fill(struct engine *engine, const struct image_window *window, const struct window_key *key,
                 const struct window_verdict *verdict) {
  const struct image_rule *rule = rule_of(engine->image, window);
  const uint64_t wall_ns = engine->windows.wall_ns;
  struct violation *violation = &engine->violation;
  struct verdict_values values = {
      .window = window, .key = key, .verdict = verdict, .columns = engine->image->kinds[window->kind].columns};
  memset(violation, 0, offsetof(struct violation, attributes));
  violation->wall_ns = wall_ns;
  violation->shard = engine->config.shard;
  violation->fixed = (struct violation_fixed){.rule_version = rule->version,
                                              .severity = (uint8_t)rule->severity,
                                              .source = (uint8_t)rule->on,
                                              .count = count_of(verdict->events)};
  set_times(violation, window, verdict, wall_ns);
  uuid7_next(&engine->config.uuids, wall_ns, violation->fixed.id);
  violation->rule = (struct event_text){rule->name.at, rule->name.length};
  violation->message =
      (struct event_text){engine->message, message_render(rule, values.columns, value_of, &values, engine->message)};
  add_key(violation, &values);
  add_attribute(violation, (struct event_text){"value", 5}, verdict->value);
}

/* The violation that came with its event, or one about the key. */
static bool raise(struct engine *engine, const struct image_window *window, const struct window_key *key,
                  const struct window_verdict *verdict, const uint8_t *record) {
  struct violation *violation = &engine->violation;
  if (record) {
    const bool good = violation_decode(record, verdict->record_bytes, violation);
    ALWAYS_ASSERT(good);
    violation->wall_ns = engine->windows.wall_ns;
    if (window->function != WINDOW_EACH) violation->fixed.count = count_of(verdict->events);
  } else {
    fill(engine, window, key, verdict);
  }
  if (verdict->suppressed)
    add_attribute(violation, (struct event_text){"suppressed", 10},
                  (struct value){.type = VALUE_INTEGER, .integer = (int64_t)verdict->suppressed});
  ALWAYS_ASSERT(record_ring_reserved_count(engine->config.records) == 0); /* a verdict is its own transaction */
  void *room = record_ring_reserve(engine->config.records, violation_encoded_bytes(violation));
  if (!room) {
    engine->counters.records_no_room++;
    return false;
  }
  violation_encode(violation, room);
  record_ring_publish(engine->config.records);
  engine->counters.violations_emitted++;
  return true;
}

/* Keeps the record in blocks; without enough of them the verdict will be about the key alone. */
static void keep_record(struct engine *engine, const struct window_key *key, struct window_verdict *verdict,
                        const uint8_t *record) {
  uint32_t *link = &verdict->record;
  for (uint32_t at = 0; at < verdict->record_bytes; at += WINDOW_BYTES_A_BLOCK) {
    const uint32_t left = verdict->record_bytes - at;
    *link = window_block_take(engine, key);
    if (*link == WINDOW_NONE) {
      window_blocks_give(engine, &verdict->record);
      verdict->record_bytes = 0;
      engine->counters.window_events_cut++;
      return;
    }
    struct window_block *block = window_block_at(&engine->windows, *link);
    memcpy(block->bytes, record + at, left < WINDOW_BYTES_A_BLOCK ? left : WINDOW_BYTES_A_BLOCK);
    link = &block->next;
  }
}

static const uint8_t *kept_record(struct engine *engine, const struct window_verdict *verdict, uint8_t out[VIOLATION_BYTES_MAX]) {
  uint32_t index = verdict->record;
  if (verdict->record_bytes == 0) return NULL;
  ALWAYS_ASSERT(verdict->record_bytes <= VIOLATION_BYTES_MAX);
  for (uint32_t at = 0; at < verdict->record_bytes; at += WINDOW_BYTES_A_BLOCK) {
    const struct window_block *block = window_block_at(&engine->windows, index);
    const uint32_t left = verdict->record_bytes - at;
    memcpy(out + at, block->bytes, left < WINDOW_BYTES_A_BLOCK ? left : WINDOW_BYTES_A_BLOCK);
    index = block->next;
  }
  return out;
}

void window_fire(struct engine *engine, const struct image_window *window, struct window_key *key, const uint8_t *record,
                 uint32_t record_bytes) {
  struct window_table *table = &engine->windows;
  if (key->on_retry) {
    engine->counters.window_suppressed[WINDOW_SILENCE_WAITING]++;
    key->suppressed++;
    return;
  }
  const struct image_rule *rule = rule_of(engine->image, window);
  match_count_now(&engine->matches, rule->match_slot);
  if (rule->shadow) return;
  struct window_verdict verdict = {.value = window_value(engine, window, key),
                                   .events = key->events,
                                   .first_ns = key->first_ns,
                                   .last_ns = key->last_ns,
                                   .suppressed = key->suppressed,
                                   .record = WINDOW_NONE,
                                   .record_bytes = record_bytes};
  key->suppressed = 0;
  if (raise(engine, window, key, &verdict, record)) return;
  engine->counters.violations_retried++;
  key->on_retry = true;
  keep_record(engine, key, &verdict, record);
  key->due = verdict;
  key->retry = table->retry;
  table->retry = window_key_index(table, key);
}

void windows_retry(struct engine *engine, uint32_t most) {
  struct window_table *table = &engine->windows;
  uint8_t bytes[VIOLATION_BYTES_MAX];
  for (uint32_t i = 0; i < most && table->retry != WINDOW_NONE; i++) {
    struct window_key *key = &table->keys[table->retry];
    const struct image_window *window = window_find(engine->image, key->identity);
    if (window && !raise(engine, window, key, &key->due, kept_record(engine, &key->due, bytes))) return;
    table->retry = key->retry;
    key->retry = WINDOW_NONE;
    key->on_retry = false;
    window_blocks_give(engine, &key->due.record);
    if (!window) {
      engine->counters.window_keys_dropped++;
      window_key_forget(engine, key);
    } else if (!timer_armed(&key->timer)) {
      timer_arm(table->wheel, &key->timer, table->now_ns); /* it may have served its turn meanwhile */
    }
  }
}
