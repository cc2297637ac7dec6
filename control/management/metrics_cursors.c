/* Cursors: at most CURSORS_MAX of them, and their names need no escapes. */
#include "metrics_internal.h"
#include <stdlib.h>

static void head(struct text_buffer *out, const char *name, const char *type, const char *help) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void alone(struct text_buffer *out, const char *name, const char *type, const char *help, uint64_t value) {
  head(out, name, type, help);
  text_append(out, "%s %llu\n", name, (unsigned long long)value);
}

static void by_cursor(struct text_buffer *out, const struct cursor_view *views, uint32_t count) {
  head(out, "tripline_cursor_lag_records", "gauge", "Durable records that the cursor has not acknowledged.");
  for (uint32_t i = 0; i < count; i++)
    text_append(out, "tripline_cursor_lag_records{cursor=\"%s\"} %llu\n", views[i].cursor.name,
                (unsigned long long)views[i].lag_records);
  head(out, "tripline_cursor_holds", "gauge", "1 when retention waits for the cursor.");
  for (uint32_t i = 0; i < count; i++)
    text_append(out, "tripline_cursor_holds{cursor=\"%s\"} %u\n", views[i].cursor.name, views[i].cursor.holds);
  head(out, "tripline_cursor_moved_time_seconds", "gauge", "When the cursor moved last, Unix time.");
  for (uint32_t i = 0; i < count; i++)
    text_append(out, "tripline_cursor_moved_time_seconds{cursor=\"%s\"} %.17g\n", views[i].cursor.name,
                (double)views[i].cursor.moved_wall_ns / 1e9);
  head(out, "tripline_cursor_lost_records_total", "counter", "Records that were removed before the cursor had them.");
  for (uint32_t i = 0; i < count; i++)
    text_append(out, "tripline_cursor_lost_records_total{cursor=\"%s\"} %llu\n", views[i].cursor.name,
                (unsigned long long)views[i].cursor.lost_records);
}

void metrics_render_cursors(struct text_buffer *out, const struct appliance *appliance, const struct appliance_journal *journal) {
  struct cursor_view *views = malloc(CURSORS_MAX * sizeof *views);
  const uint32_t count = views ? cursor_table_list(appliance->cursors(appliance->context), views) : 0;
  const struct cursor_counters counters = cursor_table_counters(appliance->cursors(appliance->context));
  alone(out, "tripline_cursors", "gauge", "Named cursors that readers of the journal have.", count);
  alone(out, "tripline_cursor_records_total", "counter", "Records written about cursors.", counters.records);
  alone(out, "tripline_cursors_overtaken_total", "counter", "Times that retention removed what a cursor had not had.",
        counters.overtaken);
  alone(out, "tripline_journal_retention_held_bytes", "gauge",
        "Bytes of segments over the limits of retention, but still needed.", journal->kept.held_bytes);
  alone(out, "tripline_journal_retention_cursor_segments", "gauge", "Of the held segments those that a cursor needs.",
        journal->kept.held_by_cursors);
  alone(out, "tripline_journal_overtaken_segments_total", "counter",
        "Segments removed although a cursor that holds had not had all of them.", journal->kept.overtaken_segments);
  by_cursor(out, views, count);
  free(views);
}
