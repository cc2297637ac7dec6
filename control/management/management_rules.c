#include "management_rules_internal.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAGS_ASKED_MAX 64u

struct rule_filter {
  bool enabled_only;
  int severity; /* -1: any */
  const char *tags[TAGS_ASKED_MAX];
  size_t tag_count;
  const char *after;
  uint64_t limit;
};

static enum MHD_Result add_tag(void *context, enum MHD_ValueKind kind, const char *key, const char *value) {
  struct rule_filter *filter = context;
  (void)kind;
  if ((strcmp(key, "tag") == 0 || strcmp(key, "tags") == 0) && value && *value && filter->tag_count < TAGS_ASKED_MAX)
    filter->tags[filter->tag_count++] = value;
  return MHD_YES;
}

bool request_number(const char *text, uint64_t least, uint64_t most, uint64_t *number) {
  char *end = NULL;
  if (*text < '0' || *text > '9' || strlen(text) > 19) return false;
  *number = strtoull(text, &end, 10);
  return *end == '\0' && *number >= least && *number <= most;
}

static bool is_true(const char *text) { return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || *text == '\0'); }

/* NULL, or what is wrong. */
static const char *read_filter(const struct management_request *request, struct rule_filter *filter) {
  *filter = (struct rule_filter){.severity = -1, .limit = UINT64_MAX, .after = request_argument(request, "after")};
  const char *severity = request_argument(request, "severity"), *limit = request_argument(request, "limit");
  filter->enabled_only = is_true(request_argument(request, "enabled_only")) || is_true(request_argument(request, "enabled"));
  MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_tag, filter);
  for (int i = SEVERITY_INFO; severity && *severity && i <= SEVERITY_CRITICAL; i++)
    if (strcasecmp(severity, severity_word((unsigned)i)) == 0) filter->severity = i;
  if (severity && *severity && filter->severity < 0) return "severity is one of critical, high, medium, low, info";
  if (limit && !request_number(limit, 1, 1000000, &filter->limit)) return "limit is 1 to 1000000";
  return NULL;
}

static bool passes(const struct rule_definition *rule, const struct rule_filter *filter) {
  if ((filter->enabled_only && !rule->enabled) || (filter->severity >= 0 && rule->severity != (enum severity)filter->severity))
    return false;
  for (size_t wanted = 0; wanted < filter->tag_count; wanted++) {
    bool found = false;
    for (size_t i = 0; i < rule->tag_count && !found; i++) found = strcmp(rule->tags[i], filter->tags[wanted]) == 0;
    if (!found) return false;
  }
  return true;
}

/* By name; `next` is where to go on. */
enum MHD_Result handle_rules_list(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_filter filter;
  struct rule_view view;
  const char *wrong = read_filter(request, &filter);
  if (wrong) return answer_error(request, 400, "argument", wrong);
  json_t *rules = json_array(), *next = NULL;
  const char *last = NULL;
  size_t total = 0;
  appliance->rules_read(appliance->context, &view);
  for (size_t i = 0; view.set && i < rule_set_count(view.set); i++) {
    const struct rule_definition *rule = rule_set_at(view.set, i);
    if (!passes(rule, &filter)) continue;
    total++;
    if (filter.after && strcmp(rule->name, filter.after) <= 0) continue;
    if (json_array_size(rules) < filter.limit) {
      json_array_append_new(rules, json_rule(appliance, &view, i));
      last = rule->name;
    } else if (!next) {
      next = json_string(last);
    }
  }
  const json_int_t generation = (json_int_t)view.generation;
  appliance->rules_release(appliance->context);
  return answer_json(request, 200,
                     json_pack("{s:o, s:I, s:I, s:o}", "rules", rules, "total_count", (json_int_t)total, "generation", generation,
                               "next", next ? next : json_null()));
}

enum MHD_Result handle_rule(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  appliance->rules_read(appliance->context, &view);
  json_t *json = json_rule_named(appliance, &view, name);
  appliance->rules_release(appliance->context);
  return json ? answer_json(request, 200, json) : answer_error(request, 404, "not_found", "no such rule");
}

bool rule_is_known(const struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  appliance->rules_read(appliance->context, &view);
  const bool known = view.set && rule_set_find(view.set, name);
  appliance->rules_release(appliance->context);
  return known;
}

void request_who(const struct management_request *request, char who[RULE_WHO_BYTES]) {
  struct passwd entry, *found = NULL;
  char memory[1024];
  if (getpwuid_r(request->peer_uid, &entry, memory, sizeof memory, &found) == 0 && found)
    snprintf(who, RULE_WHO_BYTES, "uid %u (%.40s)", request->peer_uid, found->pw_name);
  else
    snprintf(who, RULE_WHO_BYTES, "uid %u", request->peer_uid);
}
