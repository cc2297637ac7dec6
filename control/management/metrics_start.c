/* How far a start is: recovery of the journal, then its index. */
#include "metrics.h"
#include "metrics_internal.h"
#include <stdlib.h>

static void number(struct text_buffer *out, const char *name, const char *type, const char *help, double value) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name, value);
}

void metrics_render_recovery(struct text_buffer *out, const struct appliance_recovery *recovery) {
  number(out, "tripline_recovery_progress_ratio", "gauge", "How much of what recovery must read it has read; 1 when it is over.",
         recovery->ratio);
  number(out, "tripline_recovery_read_bytes", "gauge", "Bytes of the journal that recovery has read.",
         (double)recovery->bytes_read);
  number(out, "tripline_recovery_to_read_bytes", "gauge", "Bytes that it must read; 0 until it is known.",
         (double)recovery->bytes_to_read);
  number(out, "tripline_recovery_records", "gauge", "Records that it has found.", (double)recovery->records);
  number(out, "tripline_recovery_seconds", "gauge", "How long it has taken.", (double)recovery->elapsed_ns / 1e9);
}

void metrics_render_index(struct text_buffer *out, const struct appliance_index *index) {
  number(out, "tripline_violation_index_progress_ratio", "gauge",
         "How much of the log of earlier runs is in the index of violations; 1 when all is.", index->ratio);
  number(out, "tripline_violation_index_entries", "gauge", "Violations that can be asked for.", (double)index->extent.count);
  number(out, "tripline_violation_index_capacity", "gauge", "The most that there can be: journal.index_violations.",
         (double)index->extent.capacity);
  number(out, "tripline_violation_index_let_go_total", "counter",
         "Violations that left the index: for newer ones, or with their segments.", (double)index->extent.let_go);
  number(out, "tripline_violation_index_bytes", "gauge", "Memory of the index when it is full.", (double)index->extent.bytes);
}

char *metrics_render_start(const struct appliance_start *start, size_t *length) {
  struct text_buffer out = {0};
  number(&out, "tripline_ready", "gauge", "1 when it takes traffic.", 0);
  metrics_render_recovery(&out, &start->recovery);
  if (out.failed) {
    free(out.text);
    return NULL;
  }
  *length = out.length;
  return out.text;
}
