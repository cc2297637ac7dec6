/* Texts with many rules: import, apply, validate. */
#include "management_rules_internal.h"
#include "text_buffer_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct rule_files {
  json_t *body; /* the texts live in it */
  struct rule_text *files;
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
    input->files[input->count++] =
        (struct rule_text){.name = json_string_value(name), .text = json_string_value(text), .length = json_string_length(text)};
  }
  return true;
}

static void free_files(struct rule_files *input) {
  free(input->files);
  json_decref(input->body);
}

enum MHD_Result handle_rules_apply(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_files input;
  struct rule_result result;
  char who[RULE_WHO_BYTES];
  if (!read_files(request, &input)) {
    free_files(&input);
    return answer_error(request, 400, "malformed", "the body must be {\"files\":[{\"name\",\"text\"}],\"merge\":bool}");
  }
  request_who(request, who);
  const struct rule_request change = {.action = input.count == 0 ? RULE_ACTION_RELOAD
                                                : input.merge    ? RULE_ACTION_MERGE
                                                                 : RULE_ACTION_APPLY,
                                      .texts = input.files,
                                      .text_count = input.count,
                                      .who = who};
  const int status = appliance->rules_change(appliance->context, &change, &result);
  free_files(&input);
  const enum MHD_Result answered =
      status == 0 ? answer_json(request, 200, json_rule_result(&result)) : answer_refusal(request, status, &result, 0);
  rule_result_free(&result);
  return answered;
}

static json_t *json_outcome(const struct rule_outcome *outcome, size_t index, uint32_t lines_before) {
  json_t *json =
      json_pack("{s:I, s:s, s:s}", "index", (json_int_t)index, "name", outcome->name, "status", rule_outcome_word(outcome->kind));
  if (outcome->kind != RULE_FAILED) {
    json_object_set_new(json, "version", json_integer(outcome->version));
    return json;
  }
  const uint32_t line = outcome->error.line > lines_before ? outcome->error.line - lines_before : outcome->error.line;
  json_object_set_new(json, "line", json_integer(line));
  json_object_set_new(json, "column", json_integer(outcome->error.column));
  json_object_set_new(json, "message", json_string(outcome->error.message));
  return json;
}

/* BeTrace's shape, and each rule's own result. */
static json_t *json_import(const struct rule_result *result, uint32_t lines_before) {
  json_t *json = json_rule_result(result), *errors = json_array(), *imported = json_array(), *results = json_array();
  for (size_t i = 0; i < result->outcome_count; i++) {
    const struct rule_outcome *outcome = &result->outcomes[i];
    json_t *told = json_outcome(outcome, i, lines_before);
    json_array_append_new(results, told);
    if (outcome->kind == RULE_FAILED) {
      json_t *error = json_copy(told);
      json_object_set_new(error, "rule_id", json_string(outcome->name));
      json_array_append_new(errors, error);
    } else {
      json_array_append_new(imported, json_string(outcome->name));
    }
  }
  json_object_set_new(json, "total", json_integer((json_int_t)result->outcome_count));
  json_object_set_new(json, "succeeded", json_integer((json_int_t)(result->outcome_count - result->failed)));
  json_object_set_new(json, "failed", json_integer((json_int_t)result->failed));
  json_object_set_new(json, "errors", errors);
  json_object_set_new(json, "imported", imported);
  json_object_set_new(json, "results", results);
  return json;
}

static bool asks_partial(const struct management_request *request, const struct rule_body *body) {
  const char *argument = request_argument(request, "atomic");
  if (argument) return strcmp(argument, "false") == 0 || strcmp(argument, "0") == 0;
  return json_is_false(json_object_get(body->parsed, "atomic"));
}

enum MHD_Result handle_rules_import(struct management_request *request) {
  const struct appliance *appliance = request->appliance;
  struct rule_body body;
  struct rule_result result;
  char who[RULE_WHO_BYTES];
  enum MHD_Result answered;
  if (rule_body_read(request, NULL, &body)) {
    const struct rule_text text = {.name = "body", .text = body.text, .length = body.length};
    request_who(request, who);
    const struct rule_request change = {
        .action = RULE_ACTION_IMPORT, .texts = &text, .text_count = 1, .partial = asks_partial(request, &body), .who = who};
    const int status = appliance->rules_change(appliance->context, &change, &result);
    answered = status == 0 ? answer_json(request, result.failed ? 207 : 200, json_import(&result, body.lines_before))
                           : answer_refusal(request, status, &result, body.lines_before);
    rule_result_free(&result);
  } else {
    answered = answer_bad_body(request, &body);
  }
  rule_body_free(&body);
  return answered;
}

static void move_back(json_t *error, const char *key, uint32_t before) {
  const json_int_t place = json_integer_value(json_object_get(error, key));
  if (place > (json_int_t)before) json_object_set_new(error, key, json_integer(place - (json_int_t)before));
}

static enum MHD_Result answer_validity(struct management_request *request, const struct rule_text *texts, size_t count,
                                       uint32_t lines_before, uint32_t columns_before) {
  struct rule_result result = {0};
  struct rule_set *set = rule_set_parse_texts(texts, count, false, &result.errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &result.errors) : NULL;
  json_t *errors = json_rule_errors(&result.errors), *error;
  size_t index;
  json_array_foreach(errors, index, error) {
    move_back(error, "line", lines_before);
    move_back(error, "column", columns_before);
  }
  json_t *json =
      json_pack("{s:b, s:I, s:o}", "valid", image != NULL, "rules", set ? (json_int_t)rule_set_count(set) : 0, "errors", errors);
  error = json_array_get(errors, 0);
  if (error)
    json_object_set_new(json, "error",
                        json_sprintf("%lld:%lld: %s", (long long)json_integer_value(json_object_get(error, "line")),
                                     (long long)json_integer_value(json_object_get(error, "column")),
                                     json_string_value(json_object_get(error, "message"))));
  if (image) rule_image_free(image);
  rule_set_free(set);
  rule_errors_free(&result.errors);
  return answer_json(request, 200, json);
}

#define EXPRESSION_LINES 3u
#define EXPRESSION_COLUMNS 3u

/* A condition alone, as a block: its lines and columns are its own. */
static enum MHD_Result validate_expression(struct management_request *request, const char *expression, const char *on) {
  struct text_buffer out = {0};
  const bool of_one_event = on && strcmp(on, "trace") != 0;
  text_append(&out, "rules:\n- name: expression%s%s\n  %s: |1\n", of_one_event ? "\n  on: " : "", of_one_event ? on : "",
              of_one_event ? "if" : "expression");
  for (const char *line = expression; *line; line += strspn(line, "\n") > 0) {
    const int length = (int)strcspn(line, "\n");
    text_append(&out, "   %.*s\n", length, line);
    line += length;
  }
  if (out.failed) return MHD_NO;
  const struct rule_text text = {.name = "expression", .text = out.text, .length = out.length};
  const enum MHD_Result answered = answer_validity(request, &text, 1, EXPRESSION_LINES + of_one_event, EXPRESSION_COLUMNS);
  free(out.text);
  return answered;
}

/* {"files":[...]} as apply takes them; or rules as import takes them; or a condition alone, {"expression":"..."}. */
enum MHD_Result handle_rules_validate(struct management_request *request) {
  struct rule_files input;
  struct rule_body body;
  enum MHD_Result answered;
  const bool files = read_files(request, &input) && json_object_get(input.body, "files");
  const char *expression = json_string_value(json_object_get(input.body, "expression"));
  if (files) {
    answered = answer_validity(request, input.files, input.count, 0, 0);
  } else if (expression && !json_object_get(input.body, "name")) {
    answered = validate_expression(request, expression, json_string_value(json_object_get(input.body, "on")));
  } else if (rule_body_read(request, NULL, &body)) {
    const struct rule_text text = {.name = "body", .text = body.text, .length = body.length};
    answered = answer_validity(request, &text, 1, body.lines_before, 0);
    rule_body_free(&body);
  } else {
    answered = answer_bad_body(request, &body);
    rule_body_free(&body);
  }
  free_files(&input);
  return answered;
}
