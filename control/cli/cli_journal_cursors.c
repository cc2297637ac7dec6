#include "cli_journal_internal.h"
#include "cursor_records.h"
#include "json_values.h"

static json_t *entry_json(const struct cursor_entry *entry) {
  return json_pack("{s:s, s:s, s:b, s:I, s:o, s:o, s:I, s:I, s:s}", "name", entry->name, "kind",
                   entry->kind == CURSOR_SINK ? "sink" : "tail", "hold", entry->holds, "lsn", (json_int_t)entry->lsn, "created",
                   json_time(entry->created_wall_ns), "moved", json_time(entry->moved_wall_ns), "removed_lsn",
                   (json_int_t)entry->removed_lsn, "lost_records", (json_int_t)entry->lost_records, "who", entry->who);
}

json_t *cli_journal_cursors(uint64_t lsn, const struct record_header *record) {
  static const char *const one[] = {"?", "created", "advanced", "reset"}, *const several[] = {"?", "snapshot", "deleted",
                                                                                              "overtaken"};
  uint32_t count;
  const struct cursor_entry *entries = cursor_record_entries(record, lsn, &count);
  if (!entries) return NULL;
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++) json_array_append_new(list, entry_json(&entries[i]));
  const char *event = record->type == RECORD_CURSOR ? one[((const struct cursor_record *)record)->event]
                                                    : several[((const struct cursors_record *)record)->event];
  return json_pack("{s:s, s:o}", "event", event, "cursors", list);
}
