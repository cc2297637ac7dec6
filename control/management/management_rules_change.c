/* Changes of single rules, and of several by name or tag. */
#include "management_rules_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct rule_text text_of(const struct rule_body *body) {
  return (struct rule_text){.name = "body", .text = body->text, .length = body->length};
}

static enum MHD_Result answer_rule(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  appliance->rules_read(appliance->context, &view);
  json_t *json = json_rule_named(appliance, &view, name);
  appliance->rules_release(appliance->context);
  if (!json) json = json_pack("{s:s}", "name", name); /* removed again meanwhile */
  return answer_json(request, 200, json);
}

/* The answer of success is the rule. */
static enum MHD_Result change_one(struct management_request *request, struct rule_request *change, const char *name,
                                  uint32_t lines_before) {
  const struct appliance *appliance = request->appliance;
  struct rule_result result;
  char who[RULE_WHO_BYTES];
  request_who(request, who);
  change->who = who;
  const int status = appliance->rules_change(appliance->context, change, &result);
  enum MHD_Result answered;
  if (status != 0)
    answered = answer_refusal(request, status, &result, lines_before);
  else if (change->action == RULE_ACTION_DELETE)
    answered = answer_json(request, 200,
                           json_pack("{s:b, s:s, s:I}", "success", 1, "name", name, "generation", (json_int_t)result.generation));
  else
    answered = answer_rule(request, name ? name : result.outcome_count ? result.outcomes[0].name : "");
  rule_result_free(&result);
  return answered;
}

static bool read_expected(struct management_request *request, struct rule_request *change) {
  const char *text = request_argument(request, "expected_version");
  uint64_t number = 0;
  if (text && !request_number(text, 1, UINT32_MAX, &number)) return false;
  change->expected_version = (uint32_t)number;
  return true;
}

enum MHD_Result handle_rule_create(struct management_request *request) {
  struct rule_body body;
  if (!rule_body_read(request, NULL, &body)) {
    const enum MHD_Result answered = answer_bad_body(request, &body);
    rule_body_free(&body);
    return answered;
  }
  const struct rule_text text = text_of(&body);
  struct rule_request change = {.action = RULE_ACTION_CREATE, .texts = &text, .text_count = 1};
  const enum MHD_Result answered = change_one(request, &change, NULL, body.lines_before);
  rule_body_free(&body);
  return answered;
}

enum MHD_Result handle_rule_update(struct management_request *request, const char *name) {
  const struct appliance *appliance = request->appliance;
  struct rule_view view;
  struct rule_body body;
  struct rule_request change = {.action = RULE_ACTION_UPDATE, .names = &name, .name_count = 1, .text_count = 1};
  if (!read_expected(request, &change)) return answer_error(request, 400, "argument", "expected_version is a version");
  appliance->rules_read(appliance->context, &view);
  json_t *current = json_rule_named(appliance, &view, name);
  appliance->rules_release(appliance->context);
  if (!current) return answer_error(request, 404, "not_found", "no such rule");
  enum MHD_Result answered;
  if (rule_body_read(request, current, &body)) {
    const struct rule_text text = text_of(&body);
    change.texts = &text;
    answered = change_one(request, &change, name, body.lines_before);
  } else {
    answered = answer_bad_body(request, &body);
  }
  rule_body_free(&body);
  json_decref(current);
  return answered;
}

enum MHD_Result handle_rule_delete(struct management_request *request, const char *name) {
  struct rule_request change = {.action = RULE_ACTION_DELETE, .names = &name, .name_count = 1};
  if (!read_expected(request, &change)) return answer_error(request, 400, "argument", "expected_version is a version");
  return change_one(request, &change, name, 0);
}

enum MHD_Result handle_rule_toggle(struct management_request *request, const char *name, bool enabled) {
  struct rule_request change = {.action = enabled ? RULE_ACTION_ENABLE : RULE_ACTION_DISABLE, .names = &name, .name_count = 1};
  return change_one(request, &change, name, 0);
}

enum MHD_Result handle_rule_rollback(struct management_request *request, const char *name) {
  json_t *body = json_loadb(request->body ? request->body : "", request->body_length, 0, NULL);
  const json_t *version = json_object_get(body, "version");
  const json_int_t number = json_integer_value(version);
  json_decref(body);
  if (number < 1 || number > UINT32_MAX) return answer_error(request, 400, "malformed", "the body must be {\"version\":N}");
  struct rule_request change = {.action = RULE_ACTION_ROLLBACK, .names = &name, .name_count = 1, .version = (uint32_t)number};
  if (!read_expected(request, &change)) return answer_error(request, 400, "argument", "expected_version is a version");
  return change_one(request, &change, name, 0);
}

/* The texts of a list; NULL when it is none. */
static const char **texts_of(const json_t *list, size_t *count) {
  size_t index;
  json_t *item;
  *count = 0;
  const char **texts = calloc(json_array_size(list) + 1, sizeof *texts);
  if (!texts || (list && !json_is_array(list))) {
    free(texts);
    return NULL;
  }
  json_array_foreach(list, index, item) {
    if (json_is_string(item)) texts[(*count)++] = json_string_value(item);
  }
  if (*count == json_array_size(list)) return texts;
  free(texts);
  return NULL;
}

static json_t *outcomes_of(const struct rule_result *result) {
  json_t *list = json_array();
  for (size_t i = 0; i < result->outcome_count; i++)
    json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", result->outcomes[i].name, "status",
                                          rule_outcome_word(result->outcomes[i].kind), "version",
                                          (json_int_t)result->outcomes[i].version));
  return list;
}

/* {"names":[...]} and {"tags":[...]}: all or none. */
enum MHD_Result handle_rules_bulk(struct management_request *request, enum rule_action action) {
  const struct appliance *appliance = request->appliance;
  struct rule_result result;
  char who[RULE_WHO_BYTES];
  json_t *body = json_loadb(request->body ? request->body : "", request->body_length, 0, NULL);
  struct rule_request change = {.action = action, .who = who};
  const char **names = texts_of(json_object_get(body, "names"), &change.name_count);
  const char **tags = texts_of(json_object_get(body, "tags"), &change.tag_count);
  change.names = names;
  change.tags = tags;
  enum MHD_Result answered;
  if (!names || !tags || change.name_count + change.tag_count == 0) {
    answered = answer_error(request, 400, "malformed", "the body must be {\"names\":[...]} or {\"tags\":[...]}");
  } else {
    request_who(request, who);
    const int status = appliance->rules_change(appliance->context, &change, &result);
    if (status == 0) {
      json_t *json = json_rule_result(&result);
      json_object_set_new(json, "results", outcomes_of(&result));
      answered = answer_json(request, 200, json);
    } else {
      answered = answer_refusal(request, status, &result, 0);
    }
    rule_result_free(&result);
  }
  free(names);
  free(tags);
  json_decref(body);
  return answered;
}
