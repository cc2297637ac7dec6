#include "cursor_table.h"
#include "cursor_table_internal.h"
#include <stdlib.h>
#include <string.h>

struct cursor_table *cursor_table_create(const struct cursor_journal *journal) {
  struct cursor_table *table = calloc(1, sizeof *table);
  if (!table) return NULL;
  table->journal = *journal;
  pthread_mutex_init(&table->lock, NULL);
  return table;
}

void cursor_table_destroy(struct cursor_table *table) {
  if (!table) return;
  pthread_mutex_destroy(&table->lock);
  free(table);
}

/* What has become durable of it since the last look. */
static void refresh(struct cursor_table *table, struct named_cursor *cursor) {
  if (!cursor->used || !table->journal.is_durable(table->journal.context, cursor->written_position)) return;
  cursor->durable_lsn = cursor->written_lsn;
  if (cursor->deleted) cursor->used = false;
}

struct named_cursor *cursor_find(struct cursor_table *table, const char *name) {
  for (uint32_t i = 0; i < CURSORS_MAX; i++) {
    struct named_cursor *cursor = &table->cursors[i];
    if (!cursor->used || cursor->deleted || strcmp(cursor->entry.name, name) != 0) continue;
    refresh(table, cursor);
    return cursor;
  }
  return NULL;
}

struct named_cursor *cursor_make(struct cursor_table *table) {
  for (uint32_t i = 0; i < CURSORS_MAX; i++) {
    struct named_cursor *cursor = &table->cursors[i];
    refresh(table, cursor);
    if (cursor->used) continue;
    *cursor = (struct named_cursor){.used = true, .id = ++table->last_id};
    return cursor;
  }
  return NULL;
}

static void recover_one(struct cursor_table *table, const struct cursor_entry *entry) {
  struct named_cursor *cursor = cursor_find(table, entry->name);
  if (!cursor) cursor = cursor_make(table);
  if (!cursor) {
    table->bad_records++;
    return;
  }
  cursor->entry = *entry;
  cursor->written_lsn = cursor->durable_lsn = entry->lsn;
}

static void recover_several(struct cursor_table *table, const struct cursors_record *record) {
  if (record->event == CURSORS_EVENT_DELETED) {
    struct named_cursor *cursor = cursor_find(table, record->cursors[0].name);
    if (cursor) cursor->used = false;
    return;
  }
  memset(table->cursors, 0, sizeof table->cursors);
  for (uint32_t i = 0; i < record->count; i++) recover_one(table, &record->cursors[i]);
}

void cursor_table_see(struct cursor_table *table, uint64_t lsn, const struct record_header *record) {
  uint32_t count;
  if (record->type != RECORD_CURSOR && record->type != RECORD_CURSORS) return;
  pthread_mutex_lock(&table->lock);
  const struct cursor_entry *entries = cursor_record_entries(record, lsn, &count);
  if (!entries)
    table->bad_records++;
  else if (record->type == RECORD_CURSOR)
    recover_one(table, entries);
  else
    recover_several(table, (const struct cursors_record *)record);
  pthread_mutex_unlock(&table->lock);
}

uint64_t cursor_table_recovered(struct cursor_table *table, uint64_t oldest_lsn) {
  pthread_mutex_lock(&table->lock);
  table->oldest_lsn = oldest_lsn;
  const uint64_t bad = table->bad_records;
  pthread_mutex_unlock(&table->lock);
  return bad;
}

struct cursor_view cursor_view_of(struct cursor_table *table, struct named_cursor *cursor) {
  const uint64_t durable_lsn = table->journal.durable_lsn(table->journal.context);
  refresh(table, cursor);
  struct cursor_view view = {.cursor = cursor->entry, .durable_lsn = cursor->durable_lsn};
  if (durable_lsn > cursor->entry.lsn) view.lag_records = durable_lsn - cursor->entry.lsn;
  if (cursor->entry.lsn + 1 < table->oldest_lsn) {
    view.gap_from = cursor->entry.lsn + 1;
    view.gap_to = table->oldest_lsn - 1;
  }
  return view;
}

bool cursor_table_find(struct cursor_table *table, const char *name, struct cursor_view *view) {
  pthread_mutex_lock(&table->lock);
  struct named_cursor *cursor = cursor_find(table, name);
  if (cursor) *view = cursor_view_of(table, cursor);
  pthread_mutex_unlock(&table->lock);
  return cursor != NULL;
}

static int by_name(const void *left, const void *right) {
  const struct cursor_view *a = left, *b = right;
  return strcmp(a->cursor.name, b->cursor.name);
}

uint32_t cursor_table_list(struct cursor_table *table, struct cursor_view views[CURSORS_MAX]) {
  uint32_t count = 0;
  pthread_mutex_lock(&table->lock);
  for (uint32_t i = 0; i < CURSORS_MAX; i++)
    if (table->cursors[i].used && !table->cursors[i].deleted) views[count++] = cursor_view_of(table, &table->cursors[i]);
  pthread_mutex_unlock(&table->lock);
  qsort(views, count, sizeof *views, by_name);
  return count;
}

struct cursor_counters cursor_table_counters(struct cursor_table *table) {
  pthread_mutex_lock(&table->lock);
  const struct cursor_counters counters = table->counters;
  pthread_mutex_unlock(&table->lock);
  return counters;
}

uint64_t cursors_needed_lsn(struct cursor_table *table) {
  uint64_t needed_lsn = UINT64_MAX;
  for (uint32_t i = 0; i < CURSORS_MAX; i++) {
    struct named_cursor *cursor = &table->cursors[i];
    refresh(table, cursor);
    if (cursor->used && cursor->entry.holds && cursor_needed_lsn(cursor) < needed_lsn) needed_lsn = cursor_needed_lsn(cursor);
  }
  return needed_lsn;
}

uint64_t cursor_table_needed_lsn(struct cursor_table *table) {
  pthread_mutex_lock(&table->lock);
  const uint64_t needed_lsn = cursors_needed_lsn(table);
  pthread_mutex_unlock(&table->lock);
  return needed_lsn;
}
