/* A change and a snapshot as bytes: little-endian, texts with their length before them and a NUL behind them. */
#include "always_assert.h"
#include "cursor.h"
#include "rule_ledger_internal.h"
#include "rule_records.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENCODING_VERSION 1u

struct output {
  uint8_t *bytes;
  size_t length, capacity;
};

static void put(struct output *out, const void *bytes, size_t length) {
  if (out->length + length > out->capacity) {
    out->capacity = 2 * (out->length + length) + 4096;
    out->bytes = realloc(out->bytes, out->capacity);
    ALWAYS_ASSERT(out->bytes != NULL);
  }
  memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
}

static void put_u32(struct output *out, uint32_t value) { put(out, &value, sizeof value); }
static void put_u64(struct output *out, uint64_t value) { put(out, &value, sizeof value); }

static void put_text(struct output *out, const char *text, size_t length) {
  put_u32(out, (uint32_t)length);
  put(out, text, length);
  put(out, "", 1);
}

static void put_string(struct output *out, const char *text) { put_text(out, text, strlen(text)); }

/* NULL and `failed` unless it is one with its NUL and none inside. */
static const char *take_text(struct cursor *in, uint32_t *length) {
  *length = cursor_le32(in);
  const char *text = (const char *)cursor_bytes(in, (size_t)*length + 1);
  if (!text || strnlen(text, (size_t)*length + 1) != *length) in->failed = true;
  return in->failed ? NULL : text;
}

static void put_head(struct output *out, enum rule_action action) { put_u32(out, ENCODING_VERSION | (uint32_t)action << 16); }

static enum rule_action take_head(struct cursor *in) {
  const uint32_t head = cursor_le32(in);
  if ((head & 0xffff) != ENCODING_VERSION || head >> 16 >= RULE_ACTIONS) in->failed = true;
  return (enum rule_action)(head >> 16);
}

void *rule_change_encode(const struct rule_change *change, size_t *length) {
  struct output out = {0};
  put_head(&out, change->action);
  put_u32(&out, (uint32_t)change->count);
  put_u64(&out, change->from_generation);
  put_u64(&out, change->to_generation);
  put_u64(&out, change->wall_ns);
  put(&out, change->sha256, sizeof change->sha256);
  put_string(&out, change->who);
  for (size_t i = 0; i < change->count; i++) {
    const struct rule_change_item *item = &change->items[i];
    put_u32(&out, item->expected_version);
    put_u32(&out, item->version);
    put_u32(&out, item->action);
    if (item->action) put_string(&out, item->who);
    put_string(&out, item->name);
    put_text(&out, item->text ? item->text : "", item->text ? item->text_bytes : 0); /* no rule's text is empty */
  }
  *length = out.length;
  return out.bytes;
}

int rule_change_decode(const void *bytes, size_t length, struct rule_change *change) {
  struct cursor in = cursor_over(bytes, length);
  uint32_t who_bytes, name_bytes;
  *change = (struct rule_change){.action = take_head(&in)};
  const uint32_t count = cursor_le32(&in);
  change->from_generation = cursor_le64(&in);
  change->to_generation = cursor_le64(&in);
  change->wall_ns = cursor_le64(&in);
  const uint8_t *sha256 = cursor_bytes(&in, sizeof change->sha256);
  if (sha256) memcpy(change->sha256, sha256, sizeof change->sha256);
  change->who = take_text(&in, &who_bytes);
  if (in.failed || count > cursor_left(&in) / 22) return -EBADMSG; /* the least that an item takes */
  change->items = ledger_allocate((count + 1u) * sizeof *change->items);
  for (; change->count < count && !in.failed; change->count++) {
    struct rule_change_item *item = &change->items[change->count];
    item->expected_version = cursor_le32(&in);
    item->version = cursor_le32(&in);
    const uint32_t action = cursor_le32(&in);
    item->action = action < RULE_ACTIONS ? (enum rule_action)action : RULE_ACTION_SEVERAL;
    if (action) item->who = take_text(&in, &who_bytes);
    item->name = take_text(&in, &name_bytes);
    item->text = take_text(&in, &item->text_bytes);
    if (item->text && item->text_bytes == 0) item->text = NULL;
  }
  if (!in.failed && cursor_left(&in) == 0) return 0;
  free(change->items);
  change->items = NULL;
  return -EBADMSG;
}

static void put_generation(struct output *out, const struct rule_generation *generation) {
  put_u64(out, generation->generation);
  put_u64(out, generation->wall_ns);
  put_u32(out, generation->action);
  put_u32(out, generation->added);
  put_u32(out, generation->changed);
  put_u32(out, generation->removed);
  put_u32(out, generation->rules);
  put(out, generation->sha256, sizeof generation->sha256);
  put_string(out, generation->who);
}

static void take_generation(struct cursor *in, struct rule_ledger *ledger) {
  uint32_t length;
  struct rule_generation generation = {.generation = cursor_le64(in)};
  generation.wall_ns = cursor_le64(in);
  const uint32_t action = cursor_le32(in);
  generation.action = action < RULE_ACTIONS ? (enum rule_action)action : 0;
  generation.added = cursor_le32(in);
  generation.changed = cursor_le32(in);
  generation.removed = cursor_le32(in);
  generation.rules = cursor_le32(in);
  const uint8_t *sha256 = cursor_bytes(in, sizeof generation.sha256);
  if (sha256) memcpy(generation.sha256, sha256, sizeof generation.sha256);
  const char *who = take_text(in, &length);
  if (!who) return;
  ledger_copy_text(generation.who, sizeof generation.who, who);
  ledger_add_generation(ledger, &generation);
}

static void put_version(struct output *out, const struct rule_version *version) {
  put_u32(out, version->version);
  put_u32(out, version->action);
  put_u64(out, version->generation);
  put_u64(out, version->wall_ns);
  put_string(out, version->who);
  put_text(out, version->text ? version->text : "", version->text ? version->text_bytes : 0);
}

static bool take_version(struct cursor *in, struct rule_version *version) {
  uint32_t who_bytes;
  *version = (struct rule_version){.version = cursor_le32(in)};
  const uint32_t action = cursor_le32(in);
  version->action = action < RULE_ACTIONS ? (enum rule_action)action : 0;
  version->generation = cursor_le64(in);
  version->wall_ns = cursor_le64(in);
  version->who = take_text(in, &who_bytes);
  version->text = take_text(in, &version->text_bytes);
  if (version->text && version->text_bytes == 0) version->text = NULL;
  return !in->failed;
}

/* Names without any version are being created: they are not there yet. */
static void put_record(void *context, struct rule_record *record) {
  struct output *out = context;
  if (record->version_count == 0) return;
  put_string(out, record->name);
  put_u64(out, record->created_ns);
  put_string(out, record->created_by);
  put_u32(out, record->shortened);
  put_u32(out, record->version_count);
  for (uint32_t i = 0; i < record->version_count; i++) put_version(out, record->versions[i]);
}

static void take_record(struct cursor *in, struct rule_ledger *ledger) {
  uint32_t length;
  const char *name = take_text(in, &length);
  const uint64_t created_ns = cursor_le64(in);
  const char *created_by = take_text(in, &length);
  const uint32_t shortened = cursor_le32(in), count = cursor_le32(in);
  if (in->failed || rule_ledger_find(ledger, name)) {
    in->failed = true;
    return;
  }
  struct rule_record *record = rule_ledger_take(ledger, name);
  record->created_ns = created_ns;
  ledger_copy_text(record->created_by, sizeof record->created_by, created_by);
  record->shortened = shortened != 0;
  for (uint32_t i = 0; i < count && !in->failed; i++) {
    struct rule_version version;
    if (!take_version(in, &version)) return;
    ledger_add_version(ledger, record, &version);
  }
  if (record->version_count == 0) return;
  record->machine.in_force = rule_record_current(record) != NULL;
  record->machine.state = record->machine.in_force ? RULE_PERSISTED : RULE_NONEXISTENT;
  ledger->in_force += record->machine.in_force;
}

/* A version no longer in force, and the generation in which it ceased to be. */
struct superseded {
  struct rule_version *version;
  uint64_t until;
};

struct superseding {
  struct superseded *list;
  size_t count;
};

static void gather(void *context, struct rule_record *record) {
  struct superseding *all = context;
  for (uint32_t i = 0; i < record->version_count; i++) {
    struct rule_version *version = record->versions[i];
    const bool last = i + 1 == record->version_count;
    if (last && version->text) continue;
    all->list[all->count++] = (struct superseded){version, last ? version->generation : record->versions[i + 1]->generation};
  }
}

/* In one generation a deletion and what it deletes both cease to be: their numbers tell them apart. */
static int by_end(const void *left, const void *right) {
  const struct superseded *a = left, *b = right;
  if (a->until != b->until) return a->until < b->until ? -1 : 1;
  return a->version->version < b->version->version ? -1 : a->version->version > b->version->version;
}

static void supersede_in_order(struct rule_ledger *ledger) {
  struct superseding all = {.list = ledger_allocate((ledger->versions + 1) * sizeof *all.list)};
  rule_ledger_visit(ledger, gather, &all);
  qsort(all.list, all.count, sizeof *all.list, by_end);
  for (size_t i = 0; i < all.count; i++) ledger_supersede(ledger, all.list[i].version);
  free(all.list);
  ledger_keep_within_bounds(ledger);
}

static void count_remembered(void *context, struct rule_record *record) { *(uint32_t *)context += record->version_count > 0; }

void *rule_ledger_encode(const struct rule_ledger *ledger, size_t *length) {
  struct output out = {0};
  uint32_t generations = 0, names = 0;
  while (rule_ledger_generation_at(ledger, generations)) generations++;
  rule_ledger_visit(ledger, count_remembered, &names);
  put_head(&out, 0);
  put_u64(&out, ledger->generation);
  put_u64(&out, ledger->oldest_whole);
  put_u32(&out, generations);
  put_u32(&out, names);
  for (uint32_t i = generations; i > 0; i--) put_generation(&out, rule_ledger_generation_at(ledger, i - 1));
  rule_ledger_visit(ledger, put_record, &out);
  *length = out.length;
  return out.bytes;
}

struct rule_ledger *rule_ledger_decode(const void *bytes, size_t length, size_t history_bytes_max) {
  struct cursor in = cursor_over(bytes, length);
  struct rule_ledger *ledger = rule_ledger_create(history_bytes_max);
  take_head(&in);
  ledger->generation = cursor_le64(&in);
  ledger->oldest_whole = cursor_le64(&in);
  const uint32_t generations = cursor_le32(&in), names = cursor_le32(&in);
  if (generations > RULE_GENERATIONS_MAX) in.failed = true;
  for (uint32_t i = 0; i < generations && !in.failed; i++) take_generation(&in, ledger);
  for (uint32_t i = 0; i < names && !in.failed; i++) take_record(&in, ledger);
  if (in.failed || cursor_left(&in) > 0) {
    rule_ledger_destroy(ledger);
    return NULL;
  }
  supersede_in_order(ledger);
  return ledger;
}
