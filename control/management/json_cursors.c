#include "json_cursors.h"
#include "json_values.h"
#include <stdlib.h>
#include <time.h>

const char *cursor_kind_word(unsigned kind) { return kind == CURSOR_SINK ? "sink" : "tail"; }

static uint64_t now_wall_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* One that is at the end has nothing to move for. */
static bool is_stale(const struct appliance *appliance, const struct cursor_view *view) {
  const uint64_t now_ns = now_wall_ns();
  return appliance->cursor_stale_ns && view->cursor.holds && view->lag_records > 0 && view->cursor.moved_wall_ns < now_ns &&
         now_ns - view->cursor.moved_wall_ns > appliance->cursor_stale_ns;
}

json_t *json_cursor(const struct appliance *appliance, const struct cursor_view *view) {
  const struct cursor_entry *cursor = &view->cursor;
  json_t *gap =
      view->gap_to ? json_pack("{s:I, s:I}", "from", (json_int_t)view->gap_from, "to", (json_int_t)view->gap_to) : json_null();
  return json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:o, s:I, s:b, s:o, s:o, s:s}", "name", cursor->name, "kind",
                   cursor_kind_word(cursor->kind), "hold", cursor->holds, "lsn", (json_int_t)cursor->lsn, "durable_lsn",
                   (json_int_t)view->durable_lsn, "lag_records", (json_int_t)view->lag_records, "gap", gap, "lost_records",
                   (json_int_t)cursor->lost_records, "stale", is_stale(appliance, view), "created",
                   json_time(cursor->created_wall_ns), "moved", json_time(cursor->moved_wall_ns), "who", cursor->who);
}

/* *views: malloc'd; NULL without memory. */
static uint32_t take(const struct appliance *appliance, struct cursor_view **views) {
  *views = malloc(CURSORS_MAX * sizeof **views);
  return *views ? cursor_table_list(appliance->cursors(appliance->context), *views) : 0;
}

json_t *json_cursors(const struct appliance *appliance) {
  struct cursor_view *views;
  const uint32_t count = take(appliance, &views);
  json_t *list = views ? json_array() : NULL;
  for (uint32_t i = 0; i < count; i++) json_array_append_new(list, json_cursor(appliance, &views[i]));
  free(views);
  return list;
}

json_t *json_cursors_state(const struct appliance *appliance) {
  struct cursor_view *views;
  const uint32_t count = take(appliance, &views);
  const struct cursor_counters counters = cursor_table_counters(appliance->cursors(appliance->context));
  json_t *attention = json_array();
  int holding = 0, stale = 0, with_gap = 0;
  for (uint32_t i = 0; i < count; i++) {
    const bool is_old = is_stale(appliance, &views[i]), gap = views[i].gap_to > 0;
    holding += views[i].cursor.holds;
    stale += is_old;
    with_gap += gap;
    if (is_old || gap) json_array_append_new(attention, json_cursor(appliance, &views[i]));
  }
  free(views);
  return json_pack("{s:i, s:i, s:i, s:i, s:I, s:I, s:o}", "cursors", (int)count, "holding", holding, "stale", stale, "with_gap",
                   with_gap, "overtaken", (json_int_t)counters.overtaken, "lost_records", (json_int_t)counters.lost_records,
                   "attention", attention);
}
