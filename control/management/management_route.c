/* From method and path to what answers. */
#include "management_internal.h"
#include <string.h>

struct fixed_route {
  const char *path;
  enum MHD_Result (*handle)(struct management_request *request);
};

static enum MHD_Result liveness(struct management_request *request) { return handle_health(request, HEALTH_LIVE); }
static enum MHD_Result readiness(struct management_request *request) { return handle_health(request, HEALTH_READY); }
static enum MHD_Result health(struct management_request *request) { return handle_health(request, HEALTH_BETRACE_LIVE); }
static enum MHD_Result ready(struct management_request *request) { return handle_health(request, HEALTH_BETRACE_READY); }
static enum MHD_Result bulk_enable(struct management_request *request) { return handle_rules_bulk(request, RULE_ACTION_ENABLE); }
static enum MHD_Result bulk_disable(struct management_request *request) {
  return handle_rules_bulk(request, RULE_ACTION_DISABLE);
}
static enum MHD_Result bulk_delete(struct management_request *request) { return handle_rules_bulk(request, RULE_ACTION_DELETE); }

static const struct fixed_route gets[] = {{"/metrics", handle_metrics},
                                          {"/healthz", liveness},
                                          {"/readyz", readiness},
                                          {"/v1/health", health},
                                          {"/v1/ready", ready},
                                          {"/v1/status", handle_status},
                                          {"/v1/shards", handle_shards},
                                          {"/v1/rules", handle_rules_list},
                                          {"/v1/ruleset", handle_set_export},
                                          {"/v1/ruleset/history", handle_set_history},
                                          {"/v1/ruleset/diff", handle_set_diff},
                                          {"/v1/ruleset/failed", handle_set_failed},
                                          {"/v1/cursors", handle_cursors_list},
                                          {"/v1/webhooks", handle_webhooks},
                                          {"/v1/blackbox", handle_blackbox},
                                          {"/v1/blackbox/stats", handle_blackbox_stats},
                                          {"/v1/violations", handle_violations},
                                          {"/v1/violations/counts", handle_violations_counts},
                                          {"/v1/violations/tail", handle_violations_tail}};

static const struct fixed_route posts[] = {
    {"/v1/rules", handle_rule_create},           {"/v1/rules/apply", handle_rules_apply},
    {"/v1/rules/import", handle_rules_import},   {"/v1/rules/validate", handle_rules_validate},
    {"/v1/rules/enable", bulk_enable},           {"/v1/rules/disable", bulk_disable},
    {"/v1/rules/delete", bulk_delete},           {"/v1/ruleset/rollback", handle_set_rollback},
    {"/v1/journal/flush", handle_journal_flush}, {"/v1/config/reload", handle_config_reload}};

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const struct fixed_route *find(const struct fixed_route *routes, size_t count, const char *path) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(routes[i].path, path) == 0) return &routes[i];
  return NULL;
}

/* /v1/rules/NAME and /v1/rules/NAME/VERB: the name, and what follows it. NULL: another path. */
static const char *read_named_path(const char *path, const char *prefix, char name[256]) {
  const size_t prefix_length = strlen(prefix);
  if (strncmp(path, prefix, prefix_length) != 0) return NULL;
  path += prefix_length;
  const size_t length = strcspn(path, "/");
  if (length == 0 || length >= 256) return NULL;
  memcpy(name, path, length);
  name[length] = '\0';
  return path + length;
}

static enum MHD_Result route_rule(struct management_request *request, const char *name, const char *verb) {
  const char *method = request->method;
  const bool get = strcmp(method, "GET") == 0, post = strcmp(method, "POST") == 0;
  if (*verb == '\0') {
    /* A rule may have the name of a verb: then it is the rule that is got. */
    if (get && find(posts, COUNT(posts), request->path) && !rule_is_known(request, name))
      return answer_error(request, 405, "method", "this path takes POST");
    if (get) return handle_rule(request, name);
    if (strcmp(method, "PUT") == 0) return handle_rule_update(request, name);
    if (strcmp(method, "DELETE") == 0) return handle_rule_delete(request, name);
    return post ? answer_error(request, 404, "not_found", "no such path takes POST")
                : answer_error(request, 405, "method", "a rule takes GET, PUT and DELETE");
  }
  if (strcmp(verb, "/history") == 0 && get) return handle_rule_history(request, name);
  if (strcmp(verb, "/diff") == 0 && get) return handle_rule_diff(request, name);
  if (strcmp(verb, "/enable") == 0 && post) return handle_rule_toggle(request, name, true);
  if (strcmp(verb, "/disable") == 0 && post) return handle_rule_toggle(request, name, false);
  if (strcmp(verb, "/rollback") == 0 && post) return handle_rule_rollback(request, name);
  return answer_error(request, 404, "not_found", "no such path, or not by this method");
}

static enum MHD_Result route_cursor(struct management_request *request, const char *name, const char *verb) {
  const char *method = request->method;
  if (strcmp(verb, "/reset") == 0 && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0))
    return handle_cursor_reset(request, name);
  if (*verb != '\0') return answer_error(request, 404, "not_found", "no such path, or not by this method");
  if (strcmp(method, "GET") == 0) return handle_cursor(request, name);
  if (strcmp(method, "PUT") == 0) return handle_cursor_put(request, name);
  if (strcmp(method, "DELETE") == 0) return handle_cursor_delete(request, name);
  return answer_error(request, 405, "method", "a cursor takes GET, PUT and DELETE");
}

enum MHD_Result management_route(struct management_request *request) {
  char name[256];
  struct appliance_start start;
  if (request->appliance->starting(request->appliance->context, &start)) return management_route_starting(request, &start);
  const bool get = strcmp(request->method, "GET") == 0, post = strcmp(request->method, "POST") == 0;
  if (!get && !request->may_change) return answer_error(request, 405, "read_only", "changes go through the unix socket");
  if (request->too_large) return answer_error(request, 413, "too_large", "the body is larger than 256 MiB");
  const struct fixed_route *route = get    ? find(gets, COUNT(gets), request->path)
                                    : post ? find(posts, COUNT(posts), request->path)
                                           : NULL;
  if (route) return route->handle(request);
  static const char webhook[] = "/v1/webhooks/";
  if (get && strncmp(request->path, webhook, sizeof webhook - 1) == 0)
    return handle_webhook(request, request->path + sizeof webhook - 1);
  const char *verb = read_named_path(request->path, "/v1/rules/", name);
  if (verb) return route_rule(request, name, verb);
  verb = read_named_path(request->path, "/v1/cursors/", name);
  if (verb) return route_cursor(request, name, verb);
  if (find(gets, COUNT(gets), request->path) || find(posts, COUNT(posts), request->path))
    return get    ? answer_error(request, 405, "method", "this path takes POST")
           : post ? answer_error(request, 404, "not_found", "no such path takes POST")
                  : answer_error(request, 405, "method", "this path takes GET or POST");
  if (!get && !post) return answer_error(request, 405, "method", "only GET and POST are answered here");
  return answer_error(request, 404, "not_found", post ? "no such path takes POST" : "no such path");
}
