/* All cursors in one record: for a snapshot of the state, and where retention overtakes some. */
#include "cursor_table_internal.h"
#include <errno.h>
#include <stdlib.h>

static uint32_t copy_entries(const struct cursor_table *table, struct cursor_entry *entries) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < CURSORS_MAX; i++)
    if (table->cursors[i].used && !table->cursors[i].deleted) entries[count++] = table->cursors[i].entry;
  return count;
}

/* All of them are told by this record. */
static void note_all(struct cursor_table *table, uint64_t position) {
  for (uint32_t i = 0; i < CURSORS_MAX; i++)
    if (table->cursors[i].used && !table->cursors[i].deleted) {
      cursor_view_of(table, &table->cursors[i]);
      cursor_note_written(table, &table->cursors[i], position);
    }
}

int cursor_table_snapshot(struct cursor_table *table, uint64_t covered_lsn, size_t *bytes) {
  struct cursor_entry *entries = malloc(CURSORS_MAX * sizeof *entries);
  uint64_t position;
  *bytes = 0;
  if (!entries) return -ENOMEM;
  pthread_mutex_lock(&table->lock);
  const uint32_t count = copy_entries(table, entries);
  const bool written = cursor_write_several(table, CURSORS_EVENT_SNAPSHOT, covered_lsn, entries, count, &position, bytes);
  if (written) note_all(table, position);
  pthread_mutex_unlock(&table->lock);
  free(entries);
  return written ? 0 : -EAGAIN;
}

/* How many records below `oldest_lsn` it has not had, beyond those that it was told of before. */
static uint64_t newly_lost(const struct cursor_entry *entry, uint64_t oldest_lsn) {
  const uint64_t known_lsn = entry->removed_lsn > entry->lsn ? entry->removed_lsn : entry->lsn;
  return known_lsn + 1 < oldest_lsn ? oldest_lsn - 1 - known_lsn : 0;
}

/* Under the lock. 0, or -EAGAIN and nothing has changed. */
static int mark_overtaken(struct cursor_table *table, uint64_t oldest_lsn, struct cursor_entry *entries, uint64_t *position) {
  size_t bytes;
  uint32_t losers = 0;
  const uint32_t count = copy_entries(table, entries);
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t lost = newly_lost(&entries[i], oldest_lsn);
    losers += lost > 0;
    entries[i].lost_records += lost;
    if (lost > 0) entries[i].removed_lsn = oldest_lsn - 1;
  }
  if (losers == 0) return 0;
  if (!cursor_write_several(table, CURSORS_EVENT_OVERTAKEN, oldest_lsn, entries, count, position, &bytes)) return -EAGAIN;
  return (int)losers;
}

int cursor_table_let_go(struct cursor_table *table, uint64_t oldest_lsn, bool overtake,
                        void (*overtaken)(void *context, const struct cursor_view *view), void *context, uint64_t *position) {
  struct cursor_entry *entries = malloc(CURSORS_MAX * sizeof *entries);
  struct cursor_view *losers = malloc(CURSORS_MAX * sizeof *losers);
  uint32_t told = 0;
  int result = entries && losers ? 0 : -ENOMEM;
  pthread_mutex_lock(&table->lock);
  if (result == 0 && !overtake && cursors_needed_lsn(table) < oldest_lsn) result = -EBUSY;
  if (result == 0) result = mark_overtaken(table, oldest_lsn, entries, position);
  if (result >= 0 && oldest_lsn > table->oldest_lsn) table->oldest_lsn = oldest_lsn;
  for (uint32_t i = 0; result > 0 && i < CURSORS_MAX; i++) {
    struct named_cursor *cursor = &table->cursors[i];
    const uint64_t lost = cursor->used && !cursor->deleted ? newly_lost(&cursor->entry, oldest_lsn) : 0;
    if (lost == 0) continue;
    cursor->entry.lost_records += lost;
    cursor->entry.removed_lsn = oldest_lsn - 1;
    table->counters.overtaken++;
    table->counters.lost_records += lost;
    losers[told++] = cursor_view_of(table, cursor);
  }
  if (result > 0) note_all(table, *position);
  pthread_mutex_unlock(&table->lock);
  for (uint32_t i = 0; i < told; i++) overtaken(context, &losers[i]);
  free(entries);
  free(losers);
  return result < 0 ? result : 0;
}
