#include "cursor_records.h"
#include <string.h>

static bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool cursor_name_is_good(const char *name) {
  size_t length = 0;
  if (!is_plain(name[0])) return false;
  while (length < CURSOR_NAME_BYTES && (is_plain(name[length]) || (name[length] && strchr("._-", name[length])))) length++;
  return length < CURSOR_NAME_BYTES && name[length] == '\0';
}

/* NUL-terminated, and nothing but zeros behind it. */
static bool ends(const char *text, size_t room) {
  const char *end = memchr(text, '\0', room);
  for (const char *at = end; at && at < text + room; at++)
    if (*at) return false;
  return end != NULL;
}

bool cursor_entry_is_good(const struct cursor_entry *entry, uint64_t record_lsn) {
  return ends(entry->name, sizeof entry->name) && ends(entry->who, sizeof entry->who) && cursor_name_is_good(entry->name) &&
         entry->kind < CURSOR_KINDS && entry->holds <= 1 && entry->lsn < record_lsn && entry->removed_lsn < record_lsn;
}

static const struct cursor_entry *one(const struct record_header *header) {
  const struct cursor_record *record = (const void *)header;
  if (header->bytes != sizeof *record || record->event < CURSOR_EVENT_CREATED || record->event > CURSOR_EVENT_RESET) return NULL;
  return &record->cursor;
}

static const struct cursor_entry *several(const struct record_header *header, uint32_t *count) {
  const struct cursors_record *record = (const void *)header;
  if (header->bytes < sizeof *record || record->count > CURSORS_MAX) return NULL;
  if (header->bytes != sizeof *record + record->count * sizeof record->cursors[0]) return NULL;
  if (record->event < CURSORS_EVENT_SNAPSHOT || record->event > CURSORS_EVENT_OVERTAKEN) return NULL;
  if (record->event == CURSORS_EVENT_DELETED && record->count != 1) return NULL;
  *count = record->count;
  return record->cursors;
}

static bool names_differ(const struct cursor_entry *entries, uint32_t count) {
  for (uint32_t i = 1; i < count; i++)
    for (uint32_t j = 0; j < i; j++)
      if (strcmp(entries[i].name, entries[j].name) == 0) return false;
  return true;
}

const struct cursor_entry *cursor_record_entries(const struct record_header *record, uint64_t record_lsn, uint32_t *count) {
  *count = 1;
  const struct cursor_entry *entries = record->type == RECORD_CURSOR    ? one(record)
                                       : record->type == RECORD_CURSORS ? several(record, count)
                                                                        : NULL;
  for (uint32_t i = 0; entries && i < *count; i++)
    if (!cursor_entry_is_good(&entries[i], record_lsn)) return NULL;
  return entries && names_differ(entries, *count) ? entries : NULL;
}
