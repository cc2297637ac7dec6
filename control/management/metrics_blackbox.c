/* What the shards' flight recorders took. */
#include "flight_text.h"
#include "metrics_internal.h"

#define EACH_SHARD(index) for (uint32_t index = 0; index < snapshot->shard_count; index++)

static void render_kinds(struct text_buffer *out, const struct appliance_snapshot *snapshot, const char *name, size_t offset,
                         const char *help) {
  text_append(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
  EACH_SHARD(i) {
    const uint64_t *counts = (const uint64_t *)(const void *)((const char *)&snapshot->shards[i].flight + offset);
    for (unsigned kind = 0; kind < FLIGHT_KINDS; kind++)
      text_append(out, "%s{shard=\"%u\",kind=\"%s\"} %llu\n", name, i, flight_kind_name(kind), (unsigned long long)counts[kind]);
  }
}

static void render_number(struct text_buffer *out, const struct appliance_snapshot *snapshot, const char *name, const char *type,
                          uint64_t (*read)(const struct flight_counters *flight), const char *help) {
  text_append(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
  EACH_SHARD(i)
  text_append(out, "%s{shard=\"%u\"} %llu\n", name, i, (unsigned long long)read(&snapshot->shards[i].flight));
}

static uint64_t sampled_out(const struct flight_counters *flight) { return flight->sampled_out; }
static uint64_t overwritten(const struct flight_counters *flight) { return flight->overwritten; }
static uint64_t capacity(const struct flight_counters *flight) { return flight->capacity; }

void metrics_render_blackbox(struct text_buffer *out, const struct appliance_snapshot *snapshot) {
  render_kinds(out, snapshot, "tripline_blackbox_events_total", offsetof(struct flight_counters, recorded),
               "Events that the flight recorder took, by kind.");
  render_kinds(out, snapshot, "tripline_blackbox_skipped_total", offsetof(struct flight_counters, skipped),
               "Events beyond what a kind may have in a tick, so that a flood costs no more.");
  render_number(out, snapshot, "tripline_blackbox_sampled_out_total", "counter", sampled_out,
                "Ordinary events that the sample left out.");
  render_number(out, snapshot, "tripline_blackbox_overwritten_total", "counter", overwritten,
                "Events that made room for later ones.");
  render_number(out, snapshot, "tripline_blackbox_capacity", "gauge", capacity,
                "Events that the flight recorder holds; 0 when it is off.");
}
