/* What is answered while the appliance starts: from the start's own figures alone, as nothing else is there yet. */
#include "management_internal.h"
#include "metrics.h"
#include <stdlib.h>
#include <string.h>

#define RETRY_AFTER_S_MOST 60u

json_t *recovery_json(const struct appliance_recovery *recovery) {
  return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "percent", (int)appliance_percent(recovery->ratio),
                   "bytes_read", (json_int_t)recovery->bytes_read, "bytes_to_read", (json_int_t)recovery->bytes_to_read,
                   "segments_read", (json_int_t)recovery->segments_read, "segments_to_read",
                   (json_int_t)recovery->segments_to_read, "segment", (json_int_t)recovery->segment, "records",
                   (json_int_t)recovery->records, "elapsed_seconds", (double)recovery->elapsed_ns / 1e9, "estimated_rest_seconds",
                   (double)recovery->rest_ns / 1e9);
}

static const char *state_of(const struct appliance_start *start) {
  return start->phase == APPLIANCE_RECOVERING ? "recovering" : "starting";
}

static json_t *uptime_of(const struct appliance_start *start) {
  return json_real((double)(start->wall_ns - start->started_wall_ns) / 1e9);
}

static json_t *start_checks(const struct appliance_start *start) {
  return json_pack("[{s:s, s:b, s:s}]", "name", "start", "passed", 0, "detail", start->reason);
}

static enum MHD_Result answer_health(struct management_request *request, const struct appliance_start *start, bool ready,
                                     bool betrace) {
  const char *word = betrace ? (ready ? "UNHEALTHY" : "HEALTHY") : ready ? "failing" : "ok";
  json_t *json = json_pack("{s:s, s:s, s:s, s:o, s:o}", "status", word, "reason", start->reason, "version", start->version,
                           "uptime_seconds", uptime_of(start), "checks", start_checks(start));
  if (betrace) json_object_set_new(json, "metadata", json_pack("{s:s}", "node", start->node));
  return answer_json(request, ready ? 503 : 200, json);
}

static enum MHD_Result answer_status(struct management_request *request, const struct appliance_start *start) {
  json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "version", start->version, "node", start->node, "state",
                           state_of(start), "reason", start->reason, "ready", 0, "uptime_seconds", uptime_of(start), "recovery",
                           recovery_json(&start->recovery), "checks", start_checks(start));
  return answer_json(request, 200, json);
}

static enum MHD_Result answer_metrics(struct management_request *request, const struct appliance_start *start) {
  size_t length = 0;
  char *text = metrics_render_start(start, &length);
  return text ? answer_text(request, 200, METRICS_TYPE, text, length) : MHD_NO;
}

enum MHD_Result management_route_starting(struct management_request *request, const struct appliance_start *start) {
  const char *path = strcmp(request->method, "GET") == 0 ? request->path : "";
  if (start->recovery.rest_ns > 0) {
    const uint64_t rest_s = start->recovery.rest_ns / 1000000000u + 1;
    request->retry_after_s = rest_s < RETRY_AFTER_S_MOST ? (unsigned)rest_s : RETRY_AFTER_S_MOST;
  }
  if (strcmp(path, "/healthz") == 0) return answer_health(request, start, false, false);
  if (strcmp(path, "/readyz") == 0) return answer_health(request, start, true, false);
  if (strcmp(path, "/v1/health") == 0) return answer_health(request, start, false, true);
  if (strcmp(path, "/v1/ready") == 0) return answer_health(request, start, true, true);
  if (strcmp(path, "/v1/status") == 0) return answer_status(request, start);
  if (strcmp(path, "/metrics") == 0) return answer_metrics(request, start);
  return answer_error(request, 503, "starting", start->reason);
}
