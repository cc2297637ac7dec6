#include "rules_internal.h"
#include "utf8.h"

#define DIGEST_BYTES_MAX (DIGEST_LINES_MAX * LINE_BYTES)
#define SERVICE_NULL 0xffffu

struct digest_buffer {
  _Alignas(LINE_BYTES) uint8_t bytes[DIGEST_BYTES_MAX];
};

/* Which selectors each row met: the masks, turned over. */
static void transpose(struct engine *engine, uint64_t rows, uint64_t bits[EVENT_BATCH_ROWS][ENGINE_SELECTOR_WORDS]) {
  const struct rule_image *image = engine->image;
  memset(bits, 0, sizeof(uint64_t) * EVENT_BATCH_ROWS * ENGINE_SELECTOR_WORDS);
  struct evaluation *evaluation = &engine->evaluation;
  candidates_find(evaluation, &image->selector_candidates, image->selector_count);
  for (uint32_t i = 0; (i = candidates_next(evaluation, i, image->selector_count)) < image->selector_count; i++) {
    const struct image_selector *selector = &image->selectors[i];
    uint64_t mask = program_run(&selector->condition, evaluation, rows);
    for (; mask; mask &= mask - 1) bit_set(bits[__builtin_ctzll(mask)], selector->bit);
  }
}

static bool put(struct span_digest *digest, const void *bytes, uint32_t length, uint32_t room) {
  if (digest->payload_bytes + length > room) return false;
  if (length) memcpy(digest->payload + digest->payload_bytes, bytes, length);
  digest->payload_bytes += length;
  return true;
}

static void put_value(struct span_digest *digest, uint32_t identity, const struct value *value, uint32_t room) {
  const uint32_t before = digest->payload_bytes;
  const uint32_t head[2] = {identity, value->type};
  bool fits = put(digest, head, sizeof head, room);
  if (value->type == VALUE_STRING) {
    static const uint8_t zeros[4];
    const uint32_t left = room - digest->payload_bytes;
    uint32_t length = (uint32_t)utf8_truncate(value->text, value->length, VIOLATION_VALUE_BYTES_MAX);
    if (left < 8) fits = false;
    if (fits && length > left - 8) length = (uint32_t)utf8_truncate(value->text, value->length, left - 8);
    fits = fits && put(digest, &length, sizeof length, room) && put(digest, value->text, length, room) &&
           put(digest, zeros, (4 - length % 4) % 4, room);
  } else {
    fits = fits && put(digest, &value->integer, sizeof value->integer, room);
  }
  if (fits) {
    digest->value_count++;
  } else {
    digest->payload_bytes = before;
  }
}

/* What messages and attributes of the rules read, of a span that may be the first to meet a `when`. */
static void put_values(const struct engine *engine, const struct event_batch *batch, uint32_t row, struct span_digest *digest) {
  const struct rule_image *image = engine->image;
  const uint32_t room = DIGEST_BYTES_MAX - (uint32_t)offsetof(struct span_digest, payload);
  uint64_t done[16] = {0};
  for (uint32_t r = 0; r < image->trace_rule_count; r++) {
    const struct image_rule *rule = &image->trace_rules[r];
    if (!bits_meet(digest->selector_bits, rule->when_bits)) continue;
    for (uint32_t a = 0; a < rule->attribute_count; a++) {
      const uint16_t slot = rule->attributes[a];
      const struct value *value = event_batch_value(batch, row, slot);
      if (value->type == VALUE_NULL || bit_get(done, slot)) continue;
      bit_set(done, slot);
      put_value(digest, image->kinds[EVENT_SPAN].columns[slot].identity, value, room);
    }
  }
}

static void put_service(struct span_digest *digest, struct event_text service) {
  static const uint8_t zeros[4];
  const uint32_t room = DIGEST_BYTES_MAX - (uint32_t)offsetof(struct span_digest, payload);
  if (!service.at) return;
  const uint32_t length = (uint32_t)utf8_truncate(service.at, service.length, VIOLATION_VALUE_BYTES_MAX);
  digest->service_length = (uint16_t)length;
  put(digest, service.at, length, room);
  put(digest, zeros, (4 - length % 4) % 4, room);
}

static bool send_one(struct engine *engine, const struct event_batch *batch, uint32_t row,
                     const uint64_t bits[ENGINE_SELECTOR_WORDS]) {
  struct digest_buffer buffer;
  struct span_digest *digest = (struct span_digest *)(void *)buffer.bytes;
  const struct event_fields *fields = &batch->fields[row];
  memset(digest, 0, sizeof *digest);
  digest->header.type = LINE_SPAN_DIGEST;
  digest->generation = engine->image->generation;
  memcpy(digest->trace_id, fields->trace_id, sizeof digest->trace_id);
  memcpy(digest->span_id, fields->span_id, sizeof digest->span_id);
  digest->start_ns = fields->start_ns;
  digest->end_ns = fields->end_ns > fields->start_ns ? fields->end_ns : fields->start_ns;
  memcpy(digest->selector_bits, bits, sizeof digest->selector_bits);
  digest->service_length = SERVICE_NULL;
  if (bits_meet(bits, engine->all_when_bits)) {
    put_service(digest, fields->service);
    put_values(engine, batch, row, digest);
  }
  const uint32_t bytes = (uint32_t)offsetof(struct span_digest, payload) + digest->payload_bytes;
  const uint32_t lines = (bytes + LINE_BYTES - 1) / LINE_BYTES;
  const uint64_t owner = siphash(&engine->config.trace_key, fields->trace_id, sizeof fields->trace_id) % engine->config.shards;
  struct line_header *message = line_ring_reserve(engine->config.digests_to[owner], lines);
  if (!message) {
    engine->counters.digests_no_room++;
    return false;
  }
  const uint16_t header_lines = message->lines;
  memcpy(message, buffer.bytes, bytes);
  message->lines = header_lines; /* the ring's own */
  engine->transaction.digests++;
  engine->transaction.digest_lines += lines;
  return true;
}

bool engine_send_digests(struct engine *engine, const struct event_batch *batch) {
  uint64_t bits[EVENT_BATCH_ROWS][ENGINE_SELECTOR_WORDS];
  const uint64_t rows = event_batch_rows(batch);
  transpose(engine, rows, bits);
  for (uint32_t row = 0; row < batch->count; row++)
    if (!send_one(engine, batch, row, bits[row])) return false;
  return true;
}

bool digest_value(const uint8_t *payload, uint32_t payload_bytes, uint16_t service_length, uint16_t value_count,
                  uint32_t identity, struct value *value) {
  uint32_t at = service_length == SERVICE_NULL ? 0 : (service_length + 3u) & ~3u;
  for (uint16_t i = 0; i < value_count && at + 8 <= payload_bytes; i++) {
    uint32_t head[2];
    memcpy(head, payload + at, sizeof head);
    *value = (struct value){.type = (enum value_type)head[1]};
    at += 8;
    if (value->type == VALUE_STRING) {
      memcpy(&value->length, payload + at, sizeof value->length);
      value->text = (const char *)payload + at + 4;
      at += 4 + ((value->length + 3) & ~3u);
    } else {
      memcpy(&value->integer, payload + at, sizeof value->integer);
      at += 8;
    }
    if (head[0] == identity) return true;
  }
  *value = (struct value){.type = VALUE_NULL};
  return false;
}
