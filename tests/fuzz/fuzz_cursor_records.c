/* Records of cursors as recovery meets them. Byte 0: the type; then its length in units of 8, then the record's bytes behind its
 * header; again until the input ends. Byte 0 with the top bit set: a good record first, with the input's bytes laid over it.
 * Whatever is seen, the table stays one that could have been made by requests, and a snapshot of it is seen as it is. */
#include "always_assert.h"
#include "cursor.h"
#include "cursor_table.h"
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static uint64_t lsn;
static struct cursor_table *again; /* sees what the first one publishes */

static bool publish(void *context, const void *record, uint32_t bytes, uint64_t *position) {
  (void)context, (void)bytes;
  uint32_t count;
  ALWAYS_ASSERT(cursor_record_entries(record, lsn + 1, &count));
  *position = 1;
  cursor_table_see(again, lsn + 1, record);
  return true;
}

static bool is_durable(void *context, uint64_t position) { return !context && position < 2; }
static int wait_durable(void *context, uint64_t position) { return context || position > 1; }
static uint64_t durable_lsn(void *context) { return context ? 0 : lsn; }
static int trouble(void *context) { return context != NULL; }
static uint64_t now_ns(void *context) { return context ? 0 : 1; }
static void pause_for(void *context, uint64_t ns) { ALWAYS_ASSERT(!context && ns > 0); }

static struct cursor_table *new_table(void) {
  const struct cursor_journal journal = {.publish = publish,
                                         .is_durable = is_durable,
                                         .wait_durable = wait_durable,
                                         .durable_lsn = durable_lsn,
                                         .trouble = trouble,
                                         .now_ns = now_ns,
                                         .wall_ns = now_ns,
                                         .pause = pause_for};
  return cursor_table_create(&journal);
}

/* A good one, for the bytes to change. */
static void fill_in(struct record_header *record) {
  struct cursor_entry entry = {.name = "a"};
  if (record->type == RECORD_CURSOR && record->bytes == sizeof(struct cursor_record)) {
    struct cursor_record *one = (struct cursor_record *)record;
    one->event = CURSOR_EVENT_ADVANCED;
    one->cursor = entry;
  } else if (record->type == RECORD_CURSORS && record->bytes >= sizeof(struct cursors_record)) {
    struct cursors_record *several = (struct cursors_record *)record;
    several->event = CURSORS_EVENT_SNAPSHOT;
    several->count = (uint32_t)((record->bytes - sizeof *several) / sizeof entry);
    for (uint32_t i = 0; i < several->count; i++, entry.name[1]++) {
      if (entry.name[1] < '0' || entry.name[1] > '9') entry.name[1] = '0';
      several->cursors[i] = entry;
    }
  }
}

static void see_next(struct cursor_table *table, struct cursor *input, uint8_t *room) {
  const uint8_t how = cursor_u8(input);
  const uint32_t bytes = (2u + cursor_le16(input) % (BYTES_MAX / 8 - 2)) * 8;
  struct record_header *record = (struct record_header *)(void *)room;
  memset(room, 0, bytes);
  *record = (struct record_header){.type = how % 16, .bytes = bytes};
  if (how & 0x80) fill_in(record);
  const size_t left = cursor_left(input), here = left < bytes - sizeof *record ? left : bytes - sizeof *record;
  const uint8_t *over = cursor_bytes(input, here);
  for (size_t i = 0; over && i < here; i++) room[sizeof *record + i] = (uint8_t)(room[sizeof *record + i] ^ over[i]);
  cursor_table_see(table, ++lsn, record);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct cursor_view views[CURSORS_MAX], seen[CURSORS_MAX];
  struct cursor input = cursor_over(bytes, length);
  uint8_t *room = malloc(BYTES_MAX);
  struct cursor_table *table = new_table();
  size_t snapshot_bytes;
  again = new_table();
  ALWAYS_ASSERT(room && table && again);
  lsn = 0;
  while (cursor_left(&input) > 0 && lsn < 64) see_next(table, &input, room);
  cursor_table_recovered(table, lsn / 2);
  const uint32_t count = cursor_table_list(table, views);
  ALWAYS_ASSERT(count <= CURSORS_MAX);
  for (uint32_t i = 0; i < count; i++) {
    ALWAYS_ASSERT(cursor_name_is_good(views[i].cursor.name) && views[i].cursor.lsn < lsn && views[i].cursor.kind < CURSOR_KINDS);
    ALWAYS_ASSERT(i == 0 || strcmp(views[i - 1].cursor.name, views[i].cursor.name) < 0);
  }
  ALWAYS_ASSERT(cursor_table_snapshot(table, lsn, &snapshot_bytes) == 0);
  ALWAYS_ASSERT(cursor_table_list(again, seen) == count);
  for (uint32_t i = 0; i < count; i++) ALWAYS_ASSERT(memcmp(&views[i].cursor, &seen[i].cursor, sizeof seen[i].cursor) == 0);
  cursor_table_destroy(table);
  cursor_table_destroy(again);
  free(room);
  return 0;
}
