#pragma once
/* Inside the management room: rules in requests and answers. */
#include "management_internal.h"

/* A rule as answers tell it: the shape of BeTrace's API, and what Tripline has beyond it. */
json_t *json_rule(const struct appliance *appliance, const struct rule_view *view, size_t index);
/* The rule of that name as now in force, with every key that it was given, or NULL. */
json_t *json_rule_named(const struct appliance *appliance, const struct rule_view *view, const char *name);
json_t *json_sha256(const uint8_t sha256[32]);
/* The keys of a rule's canonical text: an item of the list `rules:`. */
json_t *json_of_rule_text(const char *text, size_t length);
/* What a rule's conditions are as one expression: NULL when it has none. */
json_t *json_expression(const char *condition, const char *when, const char *always, const char *never);

/* The rules that a body gives, as the text that the one loader reads. YAML goes as it is. JSON is YAML but for little: what only
 * answers tell (times, state, null values) is left out, and nothing else moves, so that places in it stay as they were. */
struct rule_body {
  char *text;
  size_t length;
  uint32_t lines_before; /* added in front of the body */
  bool json;
  json_t *parsed;  /* of JSON */
  char wrong[256]; /* why it is no text of rules */
  uint32_t line, column;
};
/* `current`: what it is to replace, or NULL. False: `wrong` says why. */
bool rule_body_read(const struct management_request *request, const json_t *current, struct rule_body *body);
void rule_body_free(struct rule_body *body);

/* One answer for whatever a change came to, but for success. */
enum MHD_Result answer_refusal(struct management_request *request, int status, struct rule_result *result, uint32_t lines_before);
enum MHD_Result answer_bad_body(struct management_request *request, const struct rule_body *body);
json_t *json_rule_result(const struct rule_result *result);
/* Who asks, for the record. */
void request_who(const struct management_request *request, char who[RULE_WHO_BYTES]);
bool request_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
