#include "management_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* `matches` is null for a rule that is not judged. */
static void add_matches(const struct appliance *appliance, const struct rule_definition *rule, json_t *json) {
  uint64_t matches;
  bool own_series;
  const bool judged = appliance->rule_matches(appliance->context, rule, &matches, &own_series);
  json_object_set_new(json, "mode", json_string(rule->mode == RULE_SHADOW ? "shadow" : "enforce"));
  json_object_set_new(json, "matches", judged ? json_integer((json_int_t)matches) : json_null());
}

static json_t *rule_of(const struct appliance *appliance, const struct rule_definition *rule, bool whole) {
  json_t *tags = json_array();
  for (size_t i = 0; i < rule->tag_count; i++) json_array_append_new(tags, json_string(rule->tags[i]));
  json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:i, s:o, s:s?}", "name", rule->name, "severity", severity_word(rule->severity),
                           "on", rule_on_word(rule->on), "enabled", rule->enabled, "version", (int)rule->version, "tags", tags,
                           "description", rule->description);
  add_matches(appliance, rule, json);
  if (!whole) return json;
  json_object_set_new(json, "if", rule->condition_text ? json_string(rule->condition_text) : json_null());
  json_object_set_new(json, "when", rule->when_text ? json_string(rule->when_text) : json_null());
  json_object_set_new(json, "always", rule->always_text ? json_string(rule->always_text) : json_null());
  json_object_set_new(json, "never", rule->never_text ? json_string(rule->never_text) : json_null());
  json_object_set_new(json, "message", rule->message ? json_string(rule->message) : json_null());
  return json;
}

enum MHD_Result handle_rules_list(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  json_t *rules = json_array();
  const struct rule_set *set = appliance->rules_acquire(appliance->context);
  for (size_t i = 0; set && i < rule_set_count(set); i++)
    json_array_append_new(rules, rule_of(appliance, rule_set_at(set, i), false));
  appliance->rules_release(appliance->context);
  return answer_json(request, 200, json_pack("{s:o}", "rules", rules));
}

enum MHD_Result handle_rule(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  const struct rule_set *set = appliance->rules_acquire(appliance->context);
  const struct rule_definition *rule = set ? rule_set_find(set, name) : NULL;
  json_t *json = rule ? rule_of(appliance, rule, true) : NULL;
  appliance->rules_release(appliance->context);
  return json ? answer_json(request, 200, json) : answer_error(request, 404, "not_found", "no such rule");
}

struct rule_files {
  json_t *body; /* the texts live in it */
  struct appliance_file *files;
  size_t count;
  bool merge;
};

static bool read_files(struct management_request *request, struct rule_files *input) {
  *input = (struct rule_files){
      .body = request->body_length ? json_loadb(request->body, request->body_length, JSON_ALLOW_NUL, NULL) : json_object()};
  if (!json_is_object(input->body)) return false;
  json_t *files = json_object_get(input->body, "files"), *file;
  size_t index;
  if (files && !json_is_array(files)) return false;
  input->merge = json_is_true(json_object_get(input->body, "merge"));
  input->files = calloc(json_array_size(files) + 1, sizeof *input->files);
  if (!input->files) return false;
  json_array_foreach(files, index, file) {
    json_t *name = json_object_get(file, "name"), *text = json_object_get(file, "text");
    if (!json_is_string(name) || !json_is_string(text)) return false;
    input->files[input->count++] = (struct appliance_file){
        .name = json_string_value(name), .text = json_string_value(text), .length = json_string_length(text)};
  }
  return true;
}

static void free_files(struct rule_files *input) {
  free(input->files);
  json_decref(input->body);
}

static json_t *result_of(const struct appliance_apply_result *result) {
  return json_pack("{s:I, s:i, s:I, s:I, s:I, s:I, s:s}", "generation", (json_int_t)result->generation, "rules",
                   (int)result->rules, "added", (json_int_t)result->difference.added, "changed",
                   (json_int_t)result->difference.changed, "removed", (json_int_t)result->difference.removed, "unchanged",
                   (json_int_t)result->difference.unchanged, "sha256", result->sha256);
}

enum MHD_Result handle_rules_apply(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_files input;
  struct rule_errors errors = {0};
  struct appliance_apply_result result = {0};
  char who[64];
  if (!read_files(request, &input)) {
    free_files(&input);
    return answer_error(request, 400, "malformed", "the body must be {\"files\":[{\"name\",\"text\"}],\"merge\":bool}");
  }
  snprintf(who, sizeof who, "uid %u", request->peer_uid);
  const int status = appliance->rules_apply(appliance->context, input.files, input.count, input.merge, who, &errors, &result);
  free_files(&input);
  enum MHD_Result answered;
  if (status == 0) {
    answered = answer_json(request, 200, result_of(&result));
  } else if (status == -EINVAL) {
    answered = answer_json(request, 400,
                           json_pack("{s:s, s:s, s:s, s:o}", "code", "invalid_rules", "message", "nothing was changed",
                                     "correlation_id", "", "errors", json_rule_errors(&errors)));
  } else {
    answered = answer_error(request, 503, "not_durable", "the rule set could not be made durable; nothing was changed");
  }
  rule_errors_free(&errors);
  return answered;
}

enum MHD_Result handle_rules_validate(struct management_request *request) {
  struct rule_files input;
  struct rule_errors errors = {0};
  if (!read_files(request, &input)) {
    free_files(&input);
    return answer_error(request, 400, "malformed", "the body must be {\"files\":[{\"name\",\"text\"}]}");
  }
  for (size_t i = 0; i < input.count; i++) {
    struct rule_set *set = rule_set_parse(input.files[i].name, input.files[i].text, input.files[i].length, &errors);
    struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
    if (image) rule_image_free(image);
    if (set) rule_set_free(set);
  }
  free_files(&input);
  json_t *json = json_pack("{s:b, s:o}", "valid", errors.count == 0, "errors", json_rule_errors(&errors));
  rule_errors_free(&errors);
  return answer_json(request, 200, json);
}
