#include "rules_internal.h"
#include "utf8.h"

#define HASHED_TEXT_MAX 64u /* a longer one is hashed by itself first */
#define MESSAGE_BYTES_MAX (LINE_MESSAGE_LINES_MAX * LINE_BYTES)
#define RECORD_BYTES_MAX_HERE (MESSAGE_BYTES_MAX - sizeof(struct window_digest) - WINDOW_KEY_BYTES_MAX)

struct hashed {
  uint8_t bytes[8 + IMAGE_WINDOW_KEYS_MAX * (8 + HASHED_TEXT_MAX)];
  uint32_t length;
};

static void hash_more(struct hashed *hashed, const void *bytes, uint32_t length) {
  memcpy(hashed->bytes + hashed->length, bytes, length);
  hashed->length += length;
}

/* Equal values hash equally: 1 and 1.0 are one key. What equals nothing, arrays and NaN, is as good as missing. */
static void hash_value(const struct engine *engine, struct hashed *hashed, const struct value *value) {
  struct value identity;
  uint8_t type = (uint8_t)value->type;
  if (value->type == VALUE_STRING) {
    const bool apart = value->length > HASHED_TEXT_MAX;
    const uint64_t digest = apart ? siphash(&engine->config.trace_key, value->text, value->length) : 0;
    const uint32_t length = value->length;
    hash_more(hashed, &type, 1);
    hash_more(hashed, &length, sizeof length);
    if (apart) {
      hash_more(hashed, &digest, sizeof digest);
    } else if (length) {
      hash_more(hashed, value->text, length);
    }
  } else if (value->type == VALUE_BOOL) {
    const uint8_t truth = value->boolean;
    hash_more(hashed, &type, 1);
    hash_more(hashed, &truth, 1);
  } else if (value_identity(value, &identity)) {
    type = (uint8_t)identity.type;
    hash_more(hashed, &type, 1);
    hash_more(hashed, &identity.integer, sizeof identity.integer);
  } else {
    type = VALUE_NULL;
    hash_more(hashed, &type, 1);
  }
}

uint64_t window_hash(const struct engine *engine, uint32_t identity, const struct value *const *values, uint32_t count) {
  struct hashed hashed = {.length = 0};
  hash_more(&hashed, &identity, sizeof identity);
  for (uint32_t i = 0; i < count; i++) hash_value(engine, &hashed, values[i]);
  return siphash(&engine->config.trace_key, hashed.bytes, hashed.length);
}

uint16_t window_owner(const struct engine *engine, uint64_t hash) { return (uint16_t)(hash % engine->config.shards); }

/* Each value may take an equal part of what the ones before it left. */
static uint32_t put_key(const struct value *const *values, uint32_t count, uint8_t key[WINDOW_KEY_BYTES_MAX]) {
  uint32_t used = 0;
  memset(key, 0, WINDOW_KEY_BYTES_MAX);
  for (uint32_t i = 0; i < count; i++) {
    const struct value *value = values[i];
    struct value identity = {.type = VALUE_NULL};
    const uint32_t room = ((WINDOW_KEY_BYTES_MAX - used) / (count - i)) & ~3u;
    uint32_t type = value->type;
    if (type == VALUE_INTEGER || type == VALUE_DOUBLE) type = value_identity(value, &identity) ? identity.type : VALUE_NULL;
    if (type == VALUE_OTHER) type = VALUE_NULL;
    if (type == VALUE_BOOL) identity.integer = value->boolean;
    memcpy(key + used, &type, sizeof type);
    used += 4;
    if (type == VALUE_STRING) {
      const uint32_t length = (uint32_t)utf8_truncate(value->text, value->length, room - 8);
      memcpy(key + used, &length, sizeof length);
      if (length) memcpy(key + used + 4, value->text, length);
      used += 4 + ((length + 3) & ~3u);
    } else if (type != VALUE_NULL) {
      memcpy(key + used, &identity.integer, sizeof identity.integer);
      used += 8;
    }
  }
  return (used + 7) & ~7u;
}

struct value window_key_value(const uint8_t *key, uint32_t key_bytes, uint32_t index) {
  struct value value = {.type = VALUE_NULL};
  for (uint32_t at = 0, i = 0; at + 4 <= key_bytes && i <= index; i++) {
    uint32_t type;
    memcpy(&type, key + at, sizeof type);
    at += 4;
    value = (struct value){.type = (enum value_type)type};
    if (type == VALUE_STRING) {
      memcpy(&value.length, key + at, sizeof value.length);
      value.text = (const char *)key + at + 4;
      at += 4 + ((value.length + 3) & ~3u);
    } else if (type != VALUE_NULL) {
      int64_t word;
      memcpy(&word, key + at, sizeof word);
      if (type == VALUE_BOOL)
        value.boolean = word != 0;
      else
        value.integer = word;
      at += 8;
    }
  }
  return value;
}

/* What goes to the owner besides the key. */
struct parcel {
  const struct value *const *key_values;
  uint64_t values[EVENT_BATCH_ROWS];
  const struct violation *violation; /* NULL: none goes along */
  struct window_digest head;
};

/* Attributes are left out from the last on until the record fits the longest message. */
static uint32_t fit_record(struct violation *violation) {
  while (violation_encoded_bytes(violation) > RECORD_BYTES_MAX_HERE && violation->attribute_count > 0)
    violation->attribute_count--;
  return violation_encoded_bytes(violation);
}

static struct line_ring *ring_to_owner(const struct engine *engine, const struct parcel *parcel) {
  return engine->config.digests_to[window_owner(engine, parcel->head.key_hash)];
}

static uint32_t send(struct engine *engine, const struct image_window *window, struct parcel *parcel) {
  _Alignas(8) uint8_t key[WINDOW_KEY_BYTES_MAX];
  const uint32_t key_bytes = put_key(parcel->key_values, window->key_count, key);
  const uint32_t value_bytes = parcel->head.value_count * (uint32_t)sizeof parcel->values[0];
  const uint32_t bytes = (uint32_t)sizeof parcel->head + value_bytes + key_bytes + parcel->head.record_bytes;
  const uint32_t lines = (bytes + LINE_BYTES - 1) / LINE_BYTES;
  struct window_digest *digest = line_ring_reserve(ring_to_owner(engine, parcel), lines);
  if (!digest) {
    engine->counters.digests_no_room++;
    return 0;
  }
  const struct line_header header = digest->header;
  *digest = parcel->head;
  digest->header = header;
  digest->header.type = LINE_WINDOW_DIGEST;
  digest->generation = engine->image->generation;
  digest->window = window->identity;
  digest->key_bytes = (uint16_t)key_bytes;
  if (value_bytes) memcpy(digest->payload, parcel->values, value_bytes);
  if (key_bytes) memcpy(digest->payload + value_bytes, key, key_bytes);
  if (parcel->violation) violation_encode(parcel->violation, digest->payload + value_bytes + key_bytes);
  return lines;
}

static bool send_in_transaction(struct engine *engine, const struct image_window *window, struct parcel *parcel) {
  const uint32_t lines = send(engine, window, parcel);
  if (lines == 0) return false;
  engine->transaction.digests++;
  engine->transaction.window_digests++;
  engine->transaction.digest_lines += lines;
  return true;
}

/* The row's value as the digest carries it; false: the window does not count this row. */
static bool row_value(const struct engine *engine, const struct image_window *window, const struct value *value, uint64_t *word) {
  double number;
  if (window->function == WINDOW_DISTINCT) {
    *word = window_hash(engine, window->identity, &value, 1);
    return value->type != VALUE_NULL && value->type != VALUE_OTHER;
  }
  if (value->type == VALUE_INTEGER)
    number = (double)value->integer;
  else if (value->type == VALUE_DOUBLE)
    number = value->real;
  else
    return false;
  memcpy(word, &number, sizeof number);
  return number == number;
}

/* Joins the rows of one key, the first of them `row`, into one message. */
static bool send_joined(struct engine *engine, const struct event_batch *batch, const struct image_window *window, uint64_t rows,
                        const uint64_t *hashes, struct parcel *parcel, uint64_t *done) {
  const uint32_t first = (uint32_t)__builtin_ctzll(rows);
  for (; rows; rows &= rows - 1) {
    const uint32_t row = (uint32_t)__builtin_ctzll(rows);
    const struct event_fields *fields = &batch->fields[row];
    const uint64_t last_ns = fields->end_ns > fields->start_ns ? fields->end_ns : fields->start_ns;
    if (hashes[row] != hashes[first]) continue;
    *done |= 1ull << row;
    if (window->value_column != IMAGE_WINDOW_NO_COLUMN &&
        !row_value(engine, window, event_batch_value(batch, row, window->value_column),
                   &parcel->values[parcel->head.value_count]))
      continue;
    if (window->value_column != IMAGE_WINDOW_NO_COLUMN) parcel->head.value_count++;
    parcel->head.events++;
    if (fields->start_ns < parcel->head.first_ns) parcel->head.first_ns = fields->start_ns;
    if (last_ns > parcel->head.last_ns) parcel->head.last_ns = last_ns;
  }
  return parcel->head.events == 0 || send_in_transaction(engine, window, parcel);
}

static void key_values_of(const struct event_batch *batch, const struct image_window *window, uint32_t row,
                          const struct value *values[IMAGE_WINDOW_KEYS_MAX]) {
  for (uint32_t i = 0; i < window->key_count; i++) values[i] = event_batch_value(batch, row, window->key_columns[i]);
}

static bool send_event(struct engine *engine, const struct event_batch *batch, const struct image_rule *rule,
                       const struct image_window *window, uint32_t row, struct parcel *parcel, uint64_t wall_ns) {
  engine_fill_violation(engine, batch, row, rule, wall_ns);
  parcel->violation = &engine->violation;
  parcel->head.record_bytes = (uint16_t)fit_record(&engine->violation);
  parcel->head.events = 1;
  parcel->head.first_ns = engine->violation.fixed.first_seen_ns;
  parcel->head.last_ns = engine->violation.fixed.last_seen_ns;
  return send_in_transaction(engine, window, parcel);
}

bool window_send_rows(struct engine *engine, const struct event_batch *batch, const struct image_rule *rule, uint64_t rows,
                      uint64_t now_ns, uint64_t wall_ns) {
  const struct image_window *window = &engine->image->windows[rule->window - 1];
  const struct value *values[IMAGE_WINDOW_KEYS_MAX];
  uint64_t hashes[EVENT_BATCH_ROWS], done = 0;
  if (window->value_column != IMAGE_WINDOW_NO_COLUMN) column_facts_of(&engine->evaluation, window->value_column);
  for (uint64_t left = rows; left; left &= left - 1) {
    const uint32_t row = (uint32_t)__builtin_ctzll(left);
    key_values_of(batch, window, row, values);
    hashes[row] = window_hash(engine, window->identity, values, window->key_count);
  }
  for (uint64_t left = rows; left; left &= left - 1) {
    const uint32_t row = (uint32_t)__builtin_ctzll(left);
    if (done >> row & 1) continue;
    struct parcel parcel = {.head = {.arrival_ns = now_ns, .key_hash = hashes[row], .first_ns = UINT64_MAX},
                            .key_values = values};
    key_values_of(batch, window, row, values);
    const bool sent = window->carries_event ? send_event(engine, batch, rule, window, row, &parcel, wall_ns)
                                            : send_joined(engine, batch, window, left, hashes, &parcel, &done);
    if (!sent) return false;
  }
  return true;
}

bool window_send_violation(struct engine *engine, const struct image_rule *rule, const struct value *const *key_values) {
  const struct image_window *window = &engine->image->windows[rule->window - 1];
  struct parcel parcel = {.head = {.arrival_ns = engine->windows.now_ns,
                                   .key_hash = window_hash(engine, window->identity, key_values, window->key_count),
                                   .first_ns = engine->violation.fixed.first_seen_ns,
                                   .last_ns = engine->violation.fixed.last_seen_ns,
                                   .events = 1},
                          .key_values = key_values,
                          .violation = &engine->violation};
  parcel.head.record_bytes = (uint16_t)fit_record(&engine->violation);
  if (send(engine, window, &parcel) == 0) return false;
  line_ring_publish(ring_to_owner(engine, &parcel));
  engine->counters.digests_sent++;
  engine->counters.window_digests_sent++;
  return true;
}
