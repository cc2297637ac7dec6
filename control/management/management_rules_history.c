/* What rules were: of one, and of the whole set. */
#include "management_rules_internal.h"
#include "rule_text_diff.h"
#include "text_buffer_internal.h"
#include <stdlib.h>
#include <string.h>

static json_t *json_version(const struct rule_version *version, bool current) {
  return json_pack("{s:I, s:I, s:s, s:o, s:s, s:b, s:b, s:o}", "version", (json_int_t)version->version, "generation",
                   (json_int_t)version->generation, "action", rule_action_word(version->action), "at",
                   json_time(version->wall_ns), "by", version->who, "deleted", version->text == NULL, "in_force", current, "rule",
                   version->text ? json_of_rule_text(version->text, version->text_bytes) : json_null());
}

/* Newest first; a rule that was deleted has one, too, while it is remembered. */
enum MHD_Result handle_rule_history(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  json_t *versions = NULL;
  bool complete = false;
  appliance->rules_read(appliance->context, &view);
  const struct rule_record *record = rule_ledger_find(view.ledger, name);
  if (record && record->version_count > 0) {
    versions = json_array();
    complete = !record->shortened;
    for (uint32_t i = record->version_count; i > 0; i--)
      json_array_append_new(versions,
                            json_version(record->versions[i - 1], record->versions[i - 1] == rule_record_current(record)));
  }
  appliance->rules_release(appliance->context);
  if (!versions) return answer_error(request, 404, "not_found", "no such rule");
  return answer_json(request, 200, json_pack("{s:s, s:b, s:o}", "name", name, "complete", complete, "versions", versions));
}

/* What a rule's keys are in two versions, where they differ. */
static json_t *differing(const struct rule_version *from, const struct rule_version *to) {
  json_t *before = json_of_rule_text(from->text, from->text_bytes), *after = json_of_rule_text(to->text, to->text_bytes);
  json_t *changes = json_object(), *value;
  const char *key;
  json_object_foreach(before, key, value) {
    json_t *now = json_object_get(after, key);
    if (!json_equal(value, now))
      json_object_set_new(changes, key, json_pack("{s:O, s:O?}", "from", value, "to", now ? now : NULL));
  }
  json_object_foreach(after, key, value) {
    if (!json_object_get(before, key)) json_object_set_new(changes, key, json_pack("{s:n, s:O}", "from", "to", value));
  }
  json_decref(before);
  json_decref(after);
  return changes;
}

/* Without `to`: the one in force; without `from`: the one before `to`. */
static bool read_pair(const struct management_request *request, uint64_t newest, uint64_t *from, uint64_t *to) {
  const char *from_text = request_argument(request, "from"), *to_text = request_argument(request, "to");
  *to = newest;
  if (to_text && !request_number(to_text, 1, INT64_MAX, to)) return false;
  *from = *to > 1 ? *to - 1 : 1;
  return !from_text || request_number(from_text, 1, INT64_MAX, from);
}

enum MHD_Result handle_rule_diff(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  uint64_t from = 0, to = 0;
  json_t *json = NULL;
  appliance->rules_read(appliance->context, &view);
  const struct rule_record *record = rule_ledger_find(view.ledger, name);
  const struct rule_version *newest = record ? rule_record_newest(record) : NULL;
  const bool read = newest && read_pair(request, newest->version, &from, &to) && from <= UINT32_MAX && to <= UINT32_MAX;
  if (read) {
    const struct rule_version *before = rule_record_version(record, (uint32_t)from);
    const struct rule_version *after = rule_record_version(record, (uint32_t)to);
    if (before && after) {
      char *diff = rule_text_diff(before->text, before->text_bytes, after->text, after->text_bytes);
      json = json_pack("{s:s, s:I, s:I, s:o, s:s}", "name", name, "from", (json_int_t)from, "to", (json_int_t)to, "changes",
                       differing(before, after), "diff", diff);
      free(diff);
    }
  }
  appliance->rules_release(appliance->context);
  if (json) return answer_json(request, 200, json);
  if (!newest) return answer_error(request, 404, "not_found", "no such rule");
  if (!read) return answer_error(request, 400, "argument", "from and to are versions");
  return answer_error(request, 404, "not_remembered", "a version is not remembered, or was a deletion");
}

enum MHD_Result handle_set_history(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  json_t *list = json_array();
  appliance->rules_read(appliance->context, &view);
  const struct rule_generation *generation;
  const uint64_t oldest = rule_ledger_oldest_whole(view.ledger);
  for (size_t i = 0; (generation = rule_ledger_generation_at(view.ledger, i)); i++)
    json_array_append_new(list, json_pack("{s:I, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:o, s:b}", "generation",
                                          (json_int_t)generation->generation, "action", rule_action_word(generation->action),
                                          "at", json_time(generation->wall_ns), "by", generation->who, "added",
                                          (json_int_t)generation->added, "changed", (json_int_t)generation->changed, "removed",
                                          (json_int_t)generation->removed, "rules", (json_int_t)generation->rules, "sha256",
                                          json_sha256(generation->sha256), "can_roll_back", generation->generation >= oldest));
  const json_int_t now = (json_int_t)view.generation;
  appliance->rules_release(appliance->context);
  return answer_json(request, 200,
                     json_pack("{s:I, s:I, s:o}", "generation", now, "oldest", (json_int_t)oldest, "generations", list));
}

struct set_diff {
  uint64_t from, to;
  json_t *added, *changed, *removed;
};

static void diff_record(void *context, struct rule_record *record) {
  struct set_diff *diff = context;
  const struct rule_version *before = rule_record_at(record, diff->from), *after = rule_record_at(record, diff->to);
  if (before == after) return;
  if (!before)
    json_array_append_new(diff->added, json_string(record->name));
  else if (!after)
    json_array_append_new(diff->removed, json_string(record->name));
  else if (before->text_bytes != after->text_bytes || memcmp(before->text, after->text, before->text_bytes) != 0)
    json_array_append_new(diff->changed, json_pack("{s:s, s:I, s:I}", "name", record->name, "from", (json_int_t)before->version,
                                                   "to", (json_int_t)after->version));
}

enum MHD_Result handle_set_diff(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  struct set_diff diff = {.added = json_array(), .changed = json_array(), .removed = json_array()};
  appliance->rules_read(appliance->context, &view);
  const uint64_t oldest = rule_ledger_oldest_whole(view.ledger);
  const bool read = read_pair(request, view.generation, &diff.from, &diff.to);
  const bool remembered =
      read && diff.from >= oldest && diff.to >= oldest && diff.from <= view.generation && diff.to <= view.generation;
  if (remembered) rule_ledger_visit(view.ledger, diff_record, &diff);
  appliance->rules_release(appliance->context);
  json_t *json = json_pack("{s:I, s:I, s:o, s:o, s:o}", "from", (json_int_t)diff.from, "to", (json_int_t)diff.to, "added",
                           diff.added, "changed", diff.changed, "removed", diff.removed);
  if (remembered) return answer_json(request, 200, json);
  json_decref(json);
  return read ? answer_error(request, 404, "not_remembered", "a generation is not remembered")
              : answer_error(request, 400, "argument", "from and to are generations");
}

enum MHD_Result handle_set_rollback(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_result result;
  char who[RULE_WHO_BYTES];
  json_t *body = json_loadb(request->body ? request->body : "", request->body_length, 0, NULL);
  const json_int_t generation = json_integer_value(json_object_get(body, "generation"));
  json_decref(body);
  if (generation < 1) return answer_error(request, 400, "malformed", "the body must be {\"generation\":N}");
  request_who(request, who);
  const struct rule_request change = {.action = RULE_ACTION_ROLLBACK_SET, .generation = (uint64_t)generation, .who = who};
  const int status = appliance->rules_change(appliance->context, &change, &result);
  const enum MHD_Result answered =
      status == 0 ? answer_json(request, 200, json_rule_result(&result)) : answer_refusal(request, status, &result, 0);
  rule_result_free(&result);
  return answered;
}

enum MHD_Result handle_set_failed(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  json_t *list = json_array();
  appliance->rules_read(appliance->context, &view);
  for (size_t i = 0; i < view.failure_count; i++) {
    const struct rule_failure *failure = &view.failures[i];
    json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:s, s:s, s:I, s:I, s:s}", "name", failure->name, "action",
                                          rule_action_word(failure->action), "at", json_time(failure->wall_ns), "by",
                                          failure->who, "file", failure->error.file, "line", (json_int_t)failure->error.line,
                                          "column", (json_int_t)failure->error.column, "message", failure->error.message));
  }
  appliance->rules_release(appliance->context);
  return answer_json(request, 200, json_pack("{s:o}", "failed", list));
}

static enum MHD_Result add_name(void *context, enum MHD_ValueKind kind, const char *key, const char *value) {
  json_t *names = context;
  (void)kind;
  if (strcmp(key, "name") == 0 && value) json_array_append_new(names, json_string(value));
  return MHD_YES;
}

/* The rules of these names; NULL when one is not there. */
static char *text_of_some(const struct rule_view *view, const json_t *names, size_t *length) {
  struct text_buffer out = {0};
  size_t index;
  json_t *name;
  text_append(&out, "rules:\n");
  json_array_foreach(names, index, name) {
    const size_t at = view->set ? rule_set_index(view->set, json_string_value(name)) : RULE_SET_NONE;
    size_t bytes = 0;
    const char *text = at == RULE_SET_NONE ? NULL : rule_set_rule_text(view->set, at, &bytes);
    if (text) text_append(&out, "%.*s", (int)bytes, text);
    if (text && !out.failed) continue;
    free(out.text);
    return NULL;
  }
  *length = out.length;
  return out.text;
}

/* The set as a rule file, or the rules named. */
enum MHD_Result handle_set_export(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  size_t length = 0;
  char *text = NULL;
  json_t *names = json_array();
  MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_name, names);
  appliance->rules_read(appliance->context, &view);
  if (json_array_size(names) > 0)
    text = text_of_some(&view, names, &length);
  else if (view.set)
    text = rule_set_text(view.set, &length);
  appliance->rules_release(appliance->context);
  json_decref(names);
  if (!text) return answer_error(request, 404, "not_found", "no such rule");
  return answer_text(request, 200, "application/yaml", text, length);
}
