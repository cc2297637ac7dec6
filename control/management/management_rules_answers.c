/* What a change came to, as an answer. */
#include "management_rules_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *errors_of(const struct rule_errors *errors, uint32_t lines_before) {
  json_t *list = json_rule_errors(errors), *error;
  size_t index;
  json_array_foreach(list, index, error) {
    const json_int_t line = json_integer_value(json_object_get(error, "line"));
    if (line > (json_int_t)lines_before) json_object_set_new(error, "line", json_integer(line - (json_int_t)lines_before));
  }
  return list;
}

static void correlate(json_t *json) {
  char text[40];
  correlation_text(text);
  json_object_set_new(json, "correlation_id", json_string(text));
}

static const struct {
  int error;
  unsigned status;
  const char *code;
} refusals[] = {{-EINVAL, 400, "invalid_rules"}, {-ENOENT, 404, "not_found"}, {-ENODATA, 404, "not_remembered"},
                {-EEXIST, 409, "exists"},        {-EBUSY, 409, "busy"},       {-ESTALE, 409, "version"}};

enum MHD_Result answer_refusal(struct management_request *request, int status, struct rule_result *result,
                               uint32_t lines_before) {
  unsigned http = 503;
  const char *code = "not_durable";
  char first[320];
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    if (refusals[i].error == status) {
      http = refusals[i].status;
      code = refusals[i].code;
    }
  const char *message = result->refusal[0] ? result->refusal
                        : http == 503      ? "the change could not be made durable; nothing was changed"
                                           : "nothing was changed";
  json_t *json = json_pack("{s:s, s:s}", "code", code, "message", message);
  correlate(json);
  if (result->errors.count > 0) {
    const struct rule_error *error = &result->errors.items[0];
    const uint32_t line = error->line > lines_before ? error->line - lines_before : error->line;
    snprintf(first, sizeof first, "%u:%u: %s", line, error->column, error->message);
    json_object_set_new(json, "error", json_string(first));
    json_object_set_new(json, "errors", errors_of(&result->errors, lines_before));
  }
  return answer_json(request, http, json);
}

enum MHD_Result answer_bad_body(struct management_request *request, const struct rule_body *body) {
  if (!body->wrong[0]) return MHD_NO;
  json_t *json = json_pack("{s:s, s:s, s:[{s:i, s:i, s:s}]}", "code", "malformed", "message", body->wrong, "errors", "line",
                           (int)body->line, "column", (int)body->column, "message", body->wrong);
  correlate(json);
  return answer_json(request, 400, json);
}

json_t *json_rule_result(const struct rule_result *result) {
  const struct rule_set_difference *difference = &result->difference;
  return json_pack("{s:I, s:i, s:I, s:I, s:I, s:I, s:o}", "generation", (json_int_t)result->generation, "rules",
                   (int)result->rules, "added", (json_int_t)difference->added, "changed", (json_int_t)difference->changed,
                   "removed", (json_int_t)difference->removed, "unchanged", (json_int_t)difference->unchanged, "sha256",
                   json_sha256(result->sha256));
}
