/* The flight recorders of the shards: their last events, merged by time, and how many there were. */
#include "flight_text.h"
#include "management_internal.h"
#include "text_buffer_internal.h"
#include <stdlib.h>

#define LIMIT_DEFAULT 1000u
#define LIMIT_MAX 1000000u

struct blackbox_filter {
  int kind; /* -1: all */
  uint32_t first_shard, end_shard;
  uint64_t limit;
};

static bool read_argument(const struct management_request *request, const char *name, uint64_t most, uint64_t *number) {
  const char *text = request_argument(request, name);
  return !text || argument_number(text, 0, most, number);
}

/* What is wrong with the arguments, or NULL. */
static const char *read_filter(const struct management_request *request, uint32_t shards, struct blackbox_filter *filter) {
  const char *kind = request_argument(request, "kind");
  uint64_t shard = UINT64_MAX;
  *filter = (struct blackbox_filter){.kind = kind ? flight_kind_of_name(kind) : -1, .limit = LIMIT_DEFAULT};
  if (kind && filter->kind < 0) return "no such kind of event";
  if (!read_argument(request, "limit", LIMIT_MAX, &filter->limit)) return "limit is a number up to 1000000";
  if (!read_argument(request, "shard", shards - 1, &shard)) return "there is no such shard";
  filter->first_shard = shard == UINT64_MAX ? 0 : (uint32_t)shard;
  filter->end_shard = shard == UINT64_MAX ? shards : (uint32_t)shard + 1;
  return NULL;
}

static int by_time(const void *a, const void *b) {
  const struct flight_event *left = a, *right = b;
  if (left->shard == right->shard) return left->sequence < right->sequence ? -1 : 1;
  if (left->wall_ns != right->wall_ns) return left->wall_ns < right->wall_ns ? -1 : 1;
  return left->shard < right->shard ? -1 : 1;
}

/* NULL: no memory. */
static struct flight_event *collect(const struct appliance *appliance, const struct blackbox_filter *filter, size_t *count) {
  size_t room = 0, kept = 0;
  for (uint32_t i = filter->first_shard; i < filter->end_shard; i++) room += appliance->blackbox(appliance->context, i, NULL, 0);
  struct flight_event *events = malloc((room + 1) * sizeof *events);
  for (uint32_t i = filter->first_shard; events && i < filter->end_shard; i++) {
    const uint32_t got = appliance->blackbox(appliance->context, i, events + kept, (uint32_t)(room - kept));
    const size_t end = kept + got;
    for (size_t at = kept; at < end; at++)
      if (filter->kind < 0 || events[at].kind == filter->kind) events[kept++] = events[at];
  }
  if (events) qsort(events, kept, sizeof *events, by_time);
  *count = kept;
  return events;
}

/* Oldest first; when there are more than `limit`, the newest of them. */
enum MHD_Result handle_blackbox(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct blackbox_filter filter;
  struct text_buffer out = {0};
  size_t count = 0;
  const char *wrong = read_filter(request, appliance->shard_count(appliance->context), &filter);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  struct flight_event *events = collect(appliance, &filter, &count);
  if (!events) return MHD_NO;
  text_append(&out, "{\"events\":[");
  for (size_t first = count > filter.limit ? count - filter.limit : 0, i = first; i < count; i++) {
    char text[FLIGHT_TEXT_BYTES_MAX];
    flight_text(&events[i], text);
    text_append(&out, "%s%s", i > first ? ",\n" : "\n", text);
  }
  text_append(&out, "\n]}\n");
  free(events);
  if (!out.failed) return answer_text(request, 200, "application/json", out.text, out.length);
  free(out.text);
  return MHD_NO;
}

static json_t *kinds_json(const uint64_t counts[FLIGHT_KINDS], uint64_t *total) {
  json_t *kinds = json_object();
  *total = 0;
  for (unsigned kind = 0; kind < FLIGHT_KINDS; kind++) {
    json_object_set_new(kinds, flight_kind_name(kind), json_integer((json_int_t)counts[kind]));
    *total += counts[kind];
  }
  return kinds;
}

enum MHD_Result handle_blackbox_stats(struct management_request *request) {
  struct appliance_snapshot *snapshot = malloc(sizeof *snapshot);
  if (!snapshot) return MHD_NO;
  request->appliance->snapshot(request->appliance->context, snapshot);
  json_t *shards = json_array();
  for (uint32_t i = 0; i < snapshot->shard_count; i++) {
    const struct flight_counters *flight = &snapshot->shards[i].flight;
    uint64_t recorded, skipped;
    json_t *recorded_by_kind = kinds_json(flight->recorded, &recorded), *skipped_by_kind = kinds_json(flight->skipped, &skipped);
    json_array_append_new(shards, json_pack("{s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "shard", (int)i, "enabled",
                                            flight->capacity > 0, "capacity", (json_int_t)flight->capacity, "recorded",
                                            (json_int_t)recorded, "sampled_out", (json_int_t)flight->sampled_out, "skipped",
                                            (json_int_t)skipped, "overwritten", (json_int_t)flight->overwritten,
                                            "recorded_by_kind", recorded_by_kind, "skipped_by_kind", skipped_by_kind));
  }
  free(snapshot);
  return answer_json(request, 200, json_pack("{s:o}", "shards", shards));
}
