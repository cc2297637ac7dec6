#include "always_assert.h"
#include "rule_ledger_internal.h"
#include "text_print.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *rule_action_word(enum rule_action action) {
  static const char *const words[RULE_ACTIONS] = {
      [RULE_ACTION_CREATE] = "create",     [RULE_ACTION_UPDATE] = "update",
      [RULE_ACTION_ENABLE] = "enable",     [RULE_ACTION_DISABLE] = "disable",
      [RULE_ACTION_DELETE] = "delete",     [RULE_ACTION_IMPORT] = "import",
      [RULE_ACTION_APPLY] = "apply",       [RULE_ACTION_MERGE] = "merge",
      [RULE_ACTION_ROLLBACK] = "rollback", [RULE_ACTION_ROLLBACK_SET] = "rollback_set",
      [RULE_ACTION_RELOAD] = "reload",     [RULE_ACTION_START] = "start",
      [RULE_ACTION_FORMER] = "former",     [RULE_ACTION_SEVERAL] = "several"};
  return action < RULE_ACTIONS && words[action] ? words[action] : "?";
}

void *ledger_allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  ALWAYS_ASSERT(memory != NULL);
  return memory;
}

void ledger_copy_text(char *into, size_t room, const char *text) {
  const size_t length = strnlen(text, room - 1);
  memcpy(into, text, length);
  into[length] = '\0';
}

static struct rule_record **bucket_of(const struct rule_ledger *ledger, const char *name) {
  return &ledger->buckets[text_print_of(name, (uint32_t)strlen(name)).hash & (ledger->bucket_count - 1)];
}

struct rule_ledger *rule_ledger_create(size_t history_bytes_max) {
  struct rule_ledger *ledger = ledger_allocate(sizeof *ledger);
  ledger->bucket_count = 1024;
  ledger->buckets = ledger_allocate(ledger->bucket_count * sizeof *ledger->buckets);
  ledger->history_bytes_max = history_bytes_max;
  return ledger;
}

static void free_record(struct rule_record *record) {
  for (uint32_t i = 0; i < record->version_count; i++) free(record->versions[i]);
  free(record->versions);
  free(record);
}

void rule_ledger_destroy(struct rule_ledger *ledger) {
  if (!ledger) return;
  for (size_t i = 0; i < ledger->bucket_count; i++)
    for (struct rule_record *record = ledger->buckets[i], *next; record; record = next) {
      next = record->next;
      free_record(record);
    }
  free(ledger->buckets);
  free(ledger);
}

struct rule_record *rule_ledger_find(const struct rule_ledger *ledger, const char *name) {
  struct rule_record *record = *bucket_of(ledger, name);
  while (record && strcmp(record->name, name) != 0) record = record->next;
  return record;
}

static void grow(struct rule_ledger *ledger) {
  struct rule_ledger larger = {.bucket_count = 2 * ledger->bucket_count};
  larger.buckets = ledger_allocate(larger.bucket_count * sizeof *larger.buckets);
  for (size_t i = 0; i < ledger->bucket_count; i++)
    for (struct rule_record *record = ledger->buckets[i], *next; record; record = next) {
      struct rule_record **bucket = bucket_of(&larger, record->name);
      next = record->next;
      record->next = *bucket;
      *bucket = record;
    }
  free(ledger->buckets);
  ledger->buckets = larger.buckets;
  ledger->bucket_count = larger.bucket_count;
}

struct rule_record *rule_ledger_take(struct rule_ledger *ledger, const char *name) {
  struct rule_record *record = rule_ledger_find(ledger, name);
  if (record) return record;
  if (ledger->names >= ledger->bucket_count) grow(ledger);
  const size_t bytes = strlen(name) + 1;
  record = ledger_allocate(sizeof *record + bytes);
  record->name = memcpy(record->bytes, name, bytes);
  struct rule_record **bucket = bucket_of(ledger, name);
  record->next = *bucket;
  *bucket = record;
  ledger->names++;
  return record;
}

void rule_ledger_tidy(struct rule_ledger *ledger, struct rule_record *record) {
  if (record->version_count > 0 || record->machine.state != RULE_NONEXISTENT) return;
  struct rule_record **link = bucket_of(ledger, record->name);
  while (*link != record) link = &(*link)->next;
  *link = record->next;
  free_record(record);
  ledger->names--;
}

void rule_ledger_visit(const struct rule_ledger *ledger, void (*visit)(void *context, struct rule_record *record),
                       void *context) {
  for (size_t i = 0; i < ledger->bucket_count; i++)
    for (struct rule_record *record = ledger->buckets[i]; record; record = record->next) visit(context, record);
}

/* Every item must be what the change was made for, before any is done. */
static bool fits(const struct rule_ledger *ledger, const struct rule_change *change) {
  if (change->from_generation != ledger->generation || change->to_generation <= change->from_generation) return false;
  for (size_t i = 0; i < change->count; i++) {
    const struct rule_change_item *item = &change->items[i];
    const struct rule_record *record = rule_ledger_find(ledger, item->name);
    const struct rule_version *current = record ? rule_record_current(record) : NULL;
    if ((current ? current->version : 0) != item->expected_version || (!item->text && !current)) return false;
    if (item->version < (record ? rule_record_next_version(record) : 1)) return false;
  }
  return true;
}

static void take_item(struct rule_ledger *ledger, const struct rule_change *change, const struct rule_change_item *item,
                      struct rule_generation *told) {
  struct rule_record *record = rule_ledger_take(ledger, item->name);
  struct rule_version *before = record->version_count ? record->versions[record->version_count - 1] : NULL;
  const bool was = before && before->text;
  const struct rule_version fields = {.generation = change->to_generation,
                                      .wall_ns = change->wall_ns,
                                      .version = item->version,
                                      .action = item->action ? item->action : change->action,
                                      .text_bytes = item->text_bytes,
                                      .text = item->text,
                                      .who = item->action ? item->who : change->who};
  struct rule_version *made = ledger_add_version(ledger, record, &fields);
  if (was) ledger_supersede(ledger, before);
  if (!item->text) ledger_supersede(ledger, made);
  ledger_shorten(ledger, record);
  if (item->text && !was) {
    record->created_ns = change->wall_ns;
    ledger_copy_text(record->created_by, sizeof record->created_by, made->who);
  }
  told->removed += !item->text;
  told->changed += item->text && was;
  told->added += item->text && !was;
  ledger->in_force += (size_t)(item->text != NULL) - (size_t)was;
}

int rule_ledger_apply(struct rule_ledger *ledger, const struct rule_change *change) {
  if (!fits(ledger, change)) return -ESTALE;
  struct rule_generation told = {.generation = change->to_generation, .wall_ns = change->wall_ns, .action = change->action};
  for (size_t i = 0; i < change->count; i++) take_item(ledger, change, &change->items[i], &told);
  told.rules = (uint32_t)ledger->in_force;
  memcpy(told.sha256, change->sha256, sizeof told.sha256);
  ledger_copy_text(told.who, sizeof told.who, change->who);
  if (ledger->oldest_whole == 0) ledger->oldest_whole = change->to_generation;
  ledger->generation = change->to_generation;
  ledger_add_generation(ledger, &told);
  ledger_keep_within_bounds(ledger);
  return 0;
}

uint64_t rule_ledger_generation(const struct rule_ledger *ledger) { return ledger->generation; }
size_t rule_ledger_in_force(const struct rule_ledger *ledger) { return ledger->in_force; }
uint64_t rule_ledger_oldest_whole(const struct rule_ledger *ledger) { return ledger->oldest_whole; }

const struct rule_generation *rule_ledger_generation_at(const struct rule_ledger *ledger, size_t index) {
  const uint64_t kept = ledger->generation_count < RULE_GENERATIONS_MAX ? ledger->generation_count : RULE_GENERATIONS_MAX;
  return index < kept ? &ledger->generations[(ledger->generation_count - 1 - index) % RULE_GENERATIONS_MAX] : NULL;
}
