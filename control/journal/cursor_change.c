/* Changes of cursors, and their records. */
#include "cursor_table_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct record_header header_of(const struct cursor_table *table, uint16_t type, size_t bytes) {
  return (struct record_header){.type = type,
                                .shard = RECORD_SHARD_CONTROL,
                                .bytes = (uint32_t)bytes,
                                .wall_ns = table->journal.wall_ns(table->journal.context)};
}

void cursor_note_written(struct cursor_table *table, struct named_cursor *cursor, uint64_t position) {
  cursor->written_changes = cursor->changes;
  cursor->written_ns = table->journal.now_ns(table->journal.context);
  cursor->written_lsn = cursor->entry.lsn;
  cursor->written_position = position;
  cursor->gives = false;
}

static bool write_one(struct cursor_table *table, struct named_cursor *cursor) {
  const struct cursor_record record = {
      .header = header_of(table, RECORD_CURSOR, sizeof record), .event = cursor->event, .cursor = cursor->entry};
  uint64_t position;
  if (!table->journal.publish(table->journal.context, &record, sizeof record, &position)) return false;
  cursor_note_written(table, cursor, position);
  table->counters.records++;
  return true;
}

bool cursor_write_several(struct cursor_table *table, enum cursors_event event, uint64_t lsn, const struct cursor_entry *entries,
                          uint32_t count, uint64_t *position, size_t *bytes) {
  *bytes = sizeof(struct cursors_record) + count * sizeof *entries;
  struct cursors_record *record = malloc(*bytes);
  if (!record) return false;
  *record =
      (struct cursors_record){.header = header_of(table, RECORD_CURSORS, *bytes), .lsn = lsn, .event = event, .count = count};
  memcpy(record->cursors, entries, count * sizeof *entries);
  const bool published = table->journal.publish(table->journal.context, record, (uint32_t)*bytes, position);
  if (published) table->counters.records++;
  free(record);
  return published;
}

static bool is_due(const struct cursor_table *table, const struct named_cursor *cursor, uint64_t *wait_ns) {
  const uint64_t now_ns = table->journal.now_ns(table->journal.context), due_ns = cursor->written_ns + CURSOR_RECORD_EVERY_NS;
  *wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
  return cursor->written_ns == 0 || *wait_ns == 0;
}

/* Gives the lock back. Until a record that tells this change is durable. */
static enum cursor_result settle(struct cursor_table *table, struct named_cursor *cursor, uint64_t change) {
  const struct cursor_journal *journal = &table->journal;
  const uint64_t id = cursor->id;
  uint64_t wait_ns;
  while (cursor->written_changes < change) {
    if (is_due(table, cursor, &wait_ns)) {
      if (write_one(table, cursor)) break;
      pthread_mutex_unlock(&table->lock);
      return CURSOR_NOT_DURABLE;
    }
    pthread_mutex_unlock(&table->lock);
    journal->pause(journal->context, wait_ns);
    pthread_mutex_lock(&table->lock);
    if (!cursor->used || cursor->deleted || cursor->id != id) {
      pthread_mutex_unlock(&table->lock);
      return CURSOR_UNKNOWN;
    }
  }
  const uint64_t position = cursor->written_position;
  pthread_mutex_unlock(&table->lock);
  return journal->wait_durable(journal->context, position) == 0 ? CURSOR_OK : CURSOR_NOT_DURABLE;
}

/* Gives the lock back. */
static enum cursor_result settle_now(struct cursor_table *table, uint64_t position) {
  pthread_mutex_unlock(&table->lock);
  return table->journal.wait_durable(table->journal.context, position) == 0 ? CURSOR_OK : CURSOR_NOT_DURABLE;
}

static enum cursor_result give_up(struct cursor_table *table, enum cursor_result result) {
  pthread_mutex_unlock(&table->lock);
  return result;
}

static void sign(struct cursor_table *table, struct cursor_entry *entry, const char *who) {
  memset(entry->who, 0, sizeof entry->who);
  snprintf(entry->who, sizeof entry->who, "%s", who ? who : "");
  entry->moved_wall_ns = table->journal.wall_ns(table->journal.context);
}

/* Where the request wants it. */
static enum cursor_result place_of(const struct cursor_table *table, const struct cursor_request *request, uint64_t now_at,
                                   uint64_t *lsn) {
  const uint64_t durable_lsn = table->journal.durable_lsn(table->journal.context);
  const uint64_t before_oldest = table->oldest_lsn ? table->oldest_lsn - 1 : 0;
  *lsn = request->lsn;
  switch (request->place) {
  case CURSOR_AT_NOW:
    *lsn = durable_lsn;
    break;
  case CURSOR_AT_OLDEST:
    *lsn = before_oldest;
    break;
  case CURSOR_STAY:
    *lsn = now_at;
    return CURSOR_OK;
  case CURSOR_AT_LSN:
    break;
  }
  if (*lsn > durable_lsn) return CURSOR_BEYOND;
  return *lsn < before_oldest ? CURSOR_REMOVED : CURSOR_OK;
}

/* Gives the lock back. */
static enum cursor_result make(struct cursor_table *table, const struct cursor_request *request, struct cursor_view *after) {
  uint64_t lsn;
  const uint64_t durable_lsn = table->journal.durable_lsn(table->journal.context);
  if (request->expected || request->action != CURSOR_SET) return give_up(table, CURSOR_UNKNOWN);
  const enum cursor_result placed = place_of(table, request, durable_lsn, &lsn);
  if (placed != CURSOR_OK) return give_up(table, placed);
  struct named_cursor *cursor = cursor_make(table);
  if (!cursor) return give_up(table, CURSOR_NO_ROOM);
  const int kind = request->kind < 0 ? CURSOR_TAIL : request->kind;
  cursor->entry = (struct cursor_entry){
      .lsn = lsn, .kind = (uint8_t)kind, .holds = request->holds < 0 ? kind == CURSOR_SINK : request->holds > 0};
  snprintf(cursor->entry.name, sizeof cursor->entry.name, "%s", request->name);
  sign(table, &cursor->entry, request->who);
  cursor->entry.created_wall_ns = cursor->entry.moved_wall_ns;
  cursor->durable_lsn = lsn;
  cursor->changes = 1;
  cursor->event = CURSOR_EVENT_CREATED;
  if (!write_one(table, cursor)) {
    cursor->used = false;
    return give_up(table, CURSOR_NOT_DURABLE);
  }
  *after = cursor_view_of(table, cursor);
  const enum cursor_result result = settle_now(table, cursor->written_position);
  return result == CURSOR_OK ? CURSOR_MADE : result;
}

/* Gives the lock back. */
static enum cursor_result drop(struct cursor_table *table, struct named_cursor *cursor, const struct cursor_request *request,
                               struct cursor_view *after) {
  uint64_t position;
  size_t bytes;
  struct cursor_entry entry = cursor->entry;
  sign(table, &entry, request->who);
  *after = cursor_view_of(table, cursor);
  if (!cursor_write_several(table, CURSORS_EVENT_DELETED, 0, &entry, 1, &position, &bytes))
    return give_up(table, CURSOR_NOT_DURABLE);
  cursor->deleted = true;
  cursor->written_position = position;
  return settle_now(table, position);
}

/* Gives the lock back. */
static enum cursor_result move(struct cursor_table *table, struct named_cursor *cursor, const struct cursor_request *request,
                               struct cursor_view *after) {
  const struct cursor_entry before = cursor->entry;
  const bool holds = request->holds < 0 ? before.holds : request->holds > 0;
  uint64_t lsn;
  const enum cursor_result placed = place_of(table, request, before.lsn, &lsn);
  const bool reset = request->action == CURSOR_RESET;
  if (request->expected && request->expected_lsn != before.lsn && before.lsn != lsn) return give_up(table, CURSOR_NOT_THERE);
  if (placed != CURSOR_OK && (reset || placed != CURSOR_REMOVED)) return give_up(table, placed);
  if (!reset && lsn < before.lsn) return give_up(table, CURSOR_BACKWARDS);
  table->counters.advances += lsn > before.lsn && !reset;
  if (lsn != before.lsn || holds != before.holds || reset) {
    sign(table, &cursor->entry, request->who);
    if (lsn == before.lsn && !reset) cursor->entry.moved_wall_ns = before.moved_wall_ns;
    cursor->entry.lsn = lsn;
    cursor->entry.holds = holds;
    cursor->changes++;
    cursor->gives = true;
    cursor->event = reset ? CURSOR_EVENT_RESET : CURSOR_EVENT_ADVANCED;
  }
  const uint64_t change = cursor->changes;
  if ((reset || holds != before.holds) && !write_one(table, cursor)) {
    cursor->entry = before;
    return give_up(table, CURSOR_NOT_DURABLE);
  }
  *after = cursor_view_of(table, cursor);
  return settle(table, cursor, change);
}

enum cursor_result cursor_table_change(struct cursor_table *table, const struct cursor_request *request,
                                       struct cursor_view *after) {
  memset(after, 0, sizeof *after);
  if (!cursor_name_is_good(request->name)) return CURSOR_BAD_NAME;
  if (table->journal.trouble(table->journal.context) != 0) return CURSOR_NOT_DURABLE;
  pthread_mutex_lock(&table->lock);
  struct named_cursor *cursor = cursor_find(table, request->name);
  const enum cursor_result result = !cursor                            ? make(table, request, after)
                                    : request->action == CURSOR_DELETE ? drop(table, cursor, request, after)
                                                                       : move(table, cursor, request, after);
  if (result == CURSOR_OK || result == CURSOR_MADE) after->durable_lsn = after->cursor.lsn;
  return result;
}

bool cursor_table_advance(struct cursor_table *table, const char *name, uint64_t lsn, bool given) {
  pthread_mutex_lock(&table->lock);
  struct named_cursor *cursor = cursor_find(table, name);
  const bool good = cursor && lsn >= cursor->entry.lsn && lsn <= table->journal.durable_lsn(table->journal.context);
  if (good && lsn > cursor->entry.lsn) {
    cursor->entry.lsn = lsn;
    cursor->entry.moved_wall_ns = table->journal.wall_ns(table->journal.context);
    cursor->changes++;
    cursor->gives = cursor->gives || given;
    cursor->event = CURSOR_EVENT_ADVANCED;
    table->counters.advances++;
  }
  pthread_mutex_unlock(&table->lock);
  return good;
}

void cursor_table_write(struct cursor_table *table, bool all, uint64_t *position) {
  uint64_t wait_ns;
  *position = 0;
  pthread_mutex_lock(&table->lock);
  for (uint32_t i = 0; i < CURSORS_MAX; i++) {
    struct named_cursor *cursor = &table->cursors[i];
    if (!cursor->used || cursor->deleted || cursor->written_changes == cursor->changes) continue;
    const bool worth = cursor->gives || cursor->entry.lsn - cursor->written_lsn >= CURSOR_PASS_RECORDS;
    if (!all && (!worth || !is_due(table, cursor, &wait_ns))) continue;
    cursor_view_of(table, cursor); /* what is durable of the record before is noted */
    if (!write_one(table, cursor)) break;
    *position = cursor->written_position;
  }
  pthread_mutex_unlock(&table->lock);
}
