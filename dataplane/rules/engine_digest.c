#include "rules_internal.h"
#include "utf8.h"

#define DIGEST_BYTES_MAX (DIGEST_LINES_MAX * LINE_BYTES)

struct digest_buffer {
  _Alignas(LINE_BYTES) uint8_t bytes[DIGEST_BYTES_MAX];
};
_Static_assert(sizeof(struct span_digest) + 8 + 2 * DIGEST_SELECTORS_MAX + DIGEST_PAYLOAD_BYTES_MAX <= DIGEST_BYTES_MAX, "fits");

static bool put(struct span_digest *digest, const void *bytes, uint32_t length) {
  if (digest->payload_bytes + length > DIGEST_PAYLOAD_BYTES_MAX) return false;
  if (length) memcpy(digest->rest + digest_payload_at(digest) + digest->payload_bytes, bytes, length);
  digest->payload_bytes = (uint16_t)(digest->payload_bytes + length);
  return true;
}

static bool put_text(struct span_digest *digest, const char *text, uint32_t length) {
  static const uint8_t zeros[4];
  return put(digest, text, length) && put(digest, zeros, (4 - length % 4) % 4);
}

static void put_value(struct span_digest *digest, uint32_t identity, const struct value *value) {
  const uint16_t before = digest->payload_bytes;
  const uint32_t head[2] = {identity, value->type};
  bool fits = put(digest, head, sizeof head);
  if (value->type == VALUE_STRING) {
    const uint32_t left = DIGEST_PAYLOAD_BYTES_MAX - digest->payload_bytes;
    uint32_t length = (uint32_t)utf8_truncate(value->text, value->length, VIOLATION_VALUE_BYTES_MAX);
    if (left < 8) fits = false;
    if (fits && length > left - 8) length = (uint32_t)utf8_truncate(value->text, value->length, left - 8);
    fits = fits && put(digest, &length, sizeof length) && put_text(digest, value->text, length);
  } else {
    fits = fits && put(digest, &value->integer, sizeof value->integer);
  }
  if (fits) {
    digest->value_count++;
  } else {
    digest->payload_bytes = before;
  }
}

static void put_service(struct span_digest *digest, struct event_text service) {
  if (!service.at) return;
  const uint32_t length = (uint32_t)utf8_truncate(service.at, service.length, VIOLATION_VALUE_BYTES_MAX);
  digest->service_length = (uint16_t)length;
  put_text(digest, service.at, length);
}

static void put_column(const struct engine *engine, const struct event_batch *batch, uint32_t row, uint16_t slot,
                       uint64_t done[ENGINE_COLUMNS_MAX / 64], struct span_digest *digest) {
  const struct value *value = event_batch_value(batch, row, slot);
  if (value->type == VALUE_NULL || bit_get(done, slot)) return;
  bit_set(done, slot);
  put_value(digest, engine->image->kinds[EVENT_SPAN].columns[slot].identity, value);
}

/* Before what is read for messages: a verdict hangs on it. */
static void put_measured(const struct engine *engine, const struct event_batch *batch, uint32_t row,
                         uint64_t done[ENGINE_COLUMNS_MAX / 64], struct span_digest *digest) {
  const struct image_story *story = &engine->image->story;
  const uint16_t *bits = digest_selectors(digest);
  for (uint32_t i = 0; i < digest->selector_count && story->needed; i++)
    for (uint32_t c = story->measured.first[bits[i]]; c < story->measured.first[bits[i] + 1]; c++) {
      const enum value_type type = event_batch_value(batch, row, story->measured.numbers[c])->type;
      if (type == VALUE_INTEGER || type == VALUE_DOUBLE) put_column(engine, batch, row, story->measured.numbers[c], done, digest);
    }
}

/* What messages and attributes of the rules read, of a span that may be the first to meet a `when`. */
static void put_payload(const struct engine *engine, const struct event_batch *batch, uint32_t row, struct span_digest *digest) {
  const struct rule_image *image = engine->image;
  const struct image_trace_index *index = &image->traces;
  const uint16_t *bits = digest_selectors(digest);
  uint64_t done[ENGINE_COLUMNS_MAX / 64] = {0};
  bool when = false;
  for (uint32_t i = 0; i < digest->selector_count; i++) when |= (index->in[bits[i]] & MENTION_WHEN) != 0;
  if (when) put_service(digest, batch->fields[row].service);
  put_measured(engine, batch, row, done, digest);
  for (uint32_t i = 0; i < digest->selector_count; i++)
    for (uint32_t c = index->columns.first[bits[i]]; c < index->columns.first[bits[i] + 1]; c++)
      put_column(engine, batch, row, index->columns.numbers[c], done, digest);
}

/* Only stories ask for it: a span that is of no interest to them needs no second line. */
static bool sends_parent(const struct engine *engine, const struct event_fields *fields, uint32_t selector_count) {
  const struct image_story *story = &engine->image->story;
  return story->needed && fields->has_parent && (story->every_span || selector_count > 0);
}

static void fill(const struct engine *engine, const struct event_batch *batch, uint32_t row, uint32_t hash,
                 struct span_digest *digest) {
  const struct event_fields *fields = &batch->fields[row];
  const struct digest_rows *rows = engine->digest_rows;
  *digest = (struct span_digest){.header = {.type = LINE_SPAN_DIGEST, .reserved = hash},
                                 .start_ns = fields->start_ns,
                                 .end_ns = fields->end_ns > fields->start_ns ? fields->end_ns : fields->start_ns,
                                 .generation = (uint32_t)engine->image->generation,
                                 .flags = (uint16_t)((fields->has_parent ? 0 : DIGEST_ROOT) |
                                                     (rows->begun[row] ? DIGEST_CONTINUED : 0) |
                                                     (rows->unjudged ? DIGEST_UNJUDGED : 0)),
                                 .selector_count = rows->counts[row],
                                 .service_length = DIGEST_SERVICE_NULL};
  memcpy(digest->trace_id, fields->trace_id, sizeof digest->trace_id);
  memcpy(digest->span_id, fields->span_id, sizeof digest->span_id);
}

static struct span_digest *reserve(struct engine *engine, uint32_t hash, uint32_t lines) {
  struct span_digest *message = line_ring_reserve(engine->config.digests_to[trace_owner(hash, engine->config.shards)], lines);
  if (!message) {
    engine->counters.digests_no_room++;
    return NULL;
  }
  engine->transaction.digests++;
  engine->transaction.digest_lines += lines;
  return message;
}

/* Of a span that met something: how long it gets is not known before it is made. */
static bool send_met(struct engine *engine, const struct event_batch *batch, uint32_t row, uint32_t hash) {
  struct digest_buffer buffer;
  struct span_digest *digest = (struct span_digest *)(void *)buffer.bytes;
  const struct digest_rows *rows = engine->digest_rows;
  const struct event_fields *fields = &batch->fields[row];
  fill(engine, batch, row, hash, digest);
  if (sends_parent(engine, fields, rows->counts[row])) {
    digest->flags |= DIGEST_PARENT;
    memcpy(digest->rest, fields->parent_id, sizeof fields->parent_id);
  }
  memcpy(digest->rest + digest_selectors_at(digest), rows->bits[row], rows->counts[row] * sizeof(uint16_t));
  put_payload(engine, batch, row, digest);
  const uint32_t bytes = (uint32_t)sizeof *digest + digest_payload_at(digest) + digest->payload_bytes;
  struct span_digest *message = reserve(engine, hash, (bytes + LINE_BYTES - 1) / LINE_BYTES);
  if (!message) return false;
  digest->header.lines = message->header.lines; /* the ring's own */
  memcpy(message, buffer.bytes, bytes);
  return true;
}

static bool send_row(struct engine *engine, const struct event_batch *batch, uint32_t row) {
  struct digest_rows *rows = engine->digest_rows;
  const uint32_t hash = trace_hash(&engine->trace_hasher, batch->fields[row].trace_id);
  if (rows->counts[row] || sends_parent(engine, &batch->fields[row], 0)) {
    if (!send_met(engine, batch, row, hash)) return false;
  } else {
    struct span_digest *message = reserve(engine, hash, 1);
    if (!message) return false;
    fill(engine, batch, row, hash, message); /* the ring seals its header */
  }
  rows->begun[row] = true;
  rows->counts[row] = 0;
  return true;
}

/* Which selectors each row met: the masks, turned over. */
static bool collect(struct engine *engine, const struct event_batch *batch) {
  const struct rule_image *image = engine->image;
  struct digest_rows *rows = engine->digest_rows;
  struct evaluation *evaluation = &engine->evaluation;
  const uint64_t all = event_batch_rows(batch);
  memset(rows->counts, 0, sizeof rows->counts);
  memset(rows->begun, 0, sizeof rows->begun);
  rows->unjudged = false;
  candidates_find(evaluation, &image->selector_candidates, image->selector_count);
  for (uint32_t i = 0; (i = candidates_next(evaluation, i, image->selector_count)) < image->selector_count; i++) {
    const struct image_selector *selector = &image->selectors[i];
    if (evaluation_is_over(evaluation)) {
      engine_leave_unjudged(engine, i, image->selector_count);
      rows->unjudged = true;
      return true;
    }
    for (uint64_t mask = program_run(&selector->condition, evaluation, all); mask; mask &= mask - 1) {
      const uint32_t row = (uint32_t)__builtin_ctzll(mask);
      if (rows->counts[row] == DIGEST_SELECTORS_MAX && !send_row(engine, batch, row)) return false;
      rows->bits[row][rows->counts[row]++] = (uint16_t)selector->bit;
    }
  }
  return true;
}

bool engine_send_digests(struct engine *engine, const struct event_batch *batch) {
  const struct digest_rows *rows = engine->digest_rows;
  const struct image_story *story = &engine->image->story;
  for (uint32_t i = 0; story->bits && i < story->measured.first[story->bits]; i++)
    column_facts_of(&engine->evaluation, story->measured.numbers[i]); /* makes those that are computed */
  if (!collect(engine, batch)) return false;
  for (uint32_t row = 0; row < batch->count; row++)
    if ((rows->counts[row] || !rows->begun[row]) && !send_row(engine, batch, row)) return false;
  return true;
}

bool digest_value(const uint8_t *payload, uint32_t payload_bytes, uint16_t service_length, uint16_t value_count,
                  uint32_t identity, struct value *value) {
  uint32_t at = service_length == DIGEST_SERVICE_NULL ? 0 : (service_length + 3u) & ~3u;
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
