#include "management_rules_internal.h"
#include "text_buffer_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What answers tell and a rule does not hold. */
static const char *const told_keys[] = {"created_at", "created_by", "updated_at", "updated_by",
                                        "state",      "generation", "matches",    NULL};
static const char *const envelope_keys[] = {"total_count", "next", "atomic", "partial", NULL};
static const char *const part_keys[] = {"if", "when", "always", "never", NULL};

static bool is_among(const char *const *words, const char *at, size_t length) {
  for (; *words; words++)
    if (strlen(*words) == length && memcmp(*words, at, length) == 0) return true;
  return false;
}

/* Copies valid JSON, leaving out members of objects. The text has been parsed before: it cannot end too soon. */
struct json_copy {
  const char *at;
  char *out;
};

static void copy_bytes(struct json_copy *copy, size_t length) {
  memcpy(copy->out, copy->at, length);
  copy->out += length;
  copy->at += length;
}

static void copy_space(struct json_copy *copy) { copy_bytes(copy, strspn(copy->at, " \t\r\n")); }

static unsigned hex4(const char *at) {
  char digits[5] = {at[0], at[1], at[2], at[3], '\0'};
  return (unsigned)strtoul(digits, NULL, 16);
}

/* YAML's double quotes read JSON's escapes but for `\/` and surrogate pairs. */
static void copy_string(struct json_copy *copy) {
  copy_bytes(copy, 1);
  while (*copy->at != '"') {
    if (*copy->at != '\\') {
      copy_bytes(copy, 1);
    } else if (copy->at[1] == '/') {
      copy->at++;
      copy_bytes(copy, 1);
    } else if (copy->at[1] == 'u' && (hex4(copy->at + 2) & 0xfc00) == 0xd800) {
      const unsigned code = 0x10000 + ((hex4(copy->at + 2) & 0x3ff) << 10) + (hex4(copy->at + 8) & 0x3ff);
      copy->out += sprintf(copy->out, "\\U%08x", code);
      copy->at += 12;
    } else {
      copy_bytes(copy, 2);
    }
  }
  copy_bytes(copy, 1);
}

static void copy_value(struct json_copy *copy) {
  unsigned depth = 0;
  do {
    const char next = *copy->at;
    if (next == '"') {
      copy_string(copy);
      continue;
    }
    depth += next == '{' || next == '[';
    depth -= next == '}' || next == ']';
    const bool word = depth == 0 && next != '}' && next != ']';
    copy_bytes(copy, word ? strcspn(copy->at, ",]} \t\r\n") : 1);
  } while (depth > 0);
}

/* What was copied since `from` becomes blanks: lines and columns stay. */
static void blank(char *from, const char *end) {
  for (; from < end; from++)
    if (*from != '\n') *from = ' ';
}

/* `skip` says of a key and the first character of its value whether the member is left out, or gives another key. */
typedef bool (*member_judge)(const void *context, const char *key, size_t length, char value, const char **instead);

static void copy_object(struct json_copy *copy, member_judge left_out, const void *context,
                        void (*inside)(struct json_copy *copy, const void *context, const char *key, size_t length)) {
  copy_bytes(copy, 1);
  for (copy_space(copy); *copy->at != '}'; copy_space(copy)) {
    char *from = copy->out;
    const char *key = copy->at + 1, *instead = NULL;
    const size_t length = strcspn(key, "\"");
    copy_string(copy);
    const char *value = copy->at + strspn(copy->at, " \t\r\n:");
    const bool out = left_out(context, key, length, *value, &instead);
    if (instead) copy->out = from + sprintf(from, "\"%s\"", instead);
    copy_space(copy);
    copy_bytes(copy, 1);
    copy_space(copy);
    if (inside)
      inside(copy, context, key, length);
    else
      copy_value(copy);
    copy_space(copy);
    if (*copy->at == ',') copy_bytes(copy, 1);
    if (out) blank(from, copy->out);
  }
  copy_bytes(copy, 1);
}

struct rule_judgement {
  bool has_name, has_expression, drop_expression, drop_parts;
  bool of_one_event; /* `on` says so: the expression is its `if` */
};

static bool rule_member(const void *context, const char *key, size_t length, char value, const char **instead) {
  const struct rule_judgement *judgement = context;
  if (value == 'n' || is_among(told_keys, key, length)) return true;
  if (length == 2 && memcmp(key, "id", 2) == 0) {
    if (!judgement->has_name) *instead = "name";
    return judgement->has_name;
  }
  if (length == 10 && memcmp(key, "expression", 10) == 0) {
    if (judgement->of_one_event) *instead = "if";
    return judgement->drop_expression;
  }
  /* BeTrace's expression says by itself that it is about traces. */
  if (length == 2 && memcmp(key, "on", 2) == 0) return judgement->has_expression && !judgement->of_one_event;
  return judgement->drop_parts && is_among(part_keys, key, length);
}

static const char *member_text(const json_t *rule, const char *key) { return json_string_value(json_object_get(rule, key)); }

/* Answers tell conditions twice: as keys of their own, and as one expression. Of a body that gives both, what differs from the
 * rule in force counts. */
static struct rule_judgement judge_rule(const json_t *rule, const json_t *current) {
  struct rule_judgement judgement = {.has_name = member_text(rule, "name") != NULL};
  const char *expression = member_text(rule, "expression");
  const char *on = member_text(rule, "on");
  judgement.of_one_event = on && strcmp(on, "trace") != 0;
  bool any_part = false, parts_as_before = current != NULL;
  for (unsigned i = 0; part_keys[i]; i++) {
    const json_t *part = json_object_get(rule, part_keys[i]), *before = json_object_get(current, part_keys[i]);
    any_part = any_part || json_is_string(part);
    parts_as_before = parts_as_before && json_equal((part ? part : before), before);
  }
  judgement.has_expression = expression != NULL;
  if (!expression || !any_part) return judgement;
  json_t *composed = json_expression(member_text(rule, "if"), member_text(rule, "when"), member_text(rule, "always"),
                                     member_text(rule, "never"));
  const char *before = member_text(current, "expression");
  judgement.drop_expression =
      (composed && strcmp(json_string_value(composed), expression) == 0) || (before && strcmp(before, expression) == 0);
  judgement.drop_parts = !judgement.drop_expression && parts_as_before;
  judgement.has_expression = !judgement.drop_expression;
  json_decref(composed);
  return judgement;
}

struct rules_context {
  const json_t *rules, *current;
};

static void copy_rule(struct json_copy *copy, const json_t *rule, const json_t *current) {
  if (!json_is_object(rule)) {
    copy_value(copy);
    return;
  }
  const struct rule_judgement judgement = judge_rule(rule, current);
  copy_object(copy, rule_member, &judgement, NULL);
}

static void copy_rules(struct json_copy *copy, const json_t *rules, const json_t *current) {
  copy_bytes(copy, 1);
  copy_space(copy);
  for (size_t i = 0; i < json_array_size(rules); i++) {
    copy_rule(copy, json_array_get(rules, i), current);
    copy_space(copy);
    if (*copy->at == ',') copy_bytes(copy, 1);
    copy_space(copy);
  }
  copy_bytes(copy, 1);
}

static bool envelope_member(const void *context, const char *key, size_t length, char value, const char **instead) {
  (void)context, (void)value, (void)instead;
  return is_among(envelope_keys, key, length);
}

static void copy_envelope_value(struct json_copy *copy, const void *context, const char *key, size_t length) {
  const struct rules_context *rules = context;
  if (length == 5 && memcmp(key, "rules", 5) == 0 && *copy->at == '[')
    copy_rules(copy, rules->rules, rules->current);
  else
    copy_value(copy);
}

/* A rule, a list of rules, or an object with `rules`. */
static bool convert(const struct management_request *request, const json_t *current, struct rule_body *body) {
  static const char before[] = "{\"rules\":\n", one_before[] = "{\"rules\":[\n";
  const bool list = json_is_array(body->parsed);
  const json_t *rules = json_object_get(body->parsed, "rules");
  struct json_copy copy = {.at = request->body};
  body->text = copy.out = malloc(2 * request->body_length + 64); /* a key may grow from `id` to `name` */
  if (!body->text) return false;
  if (rules) {
    const struct rules_context context = {rules, current};
    copy_space(&copy);
    copy_object(&copy, envelope_member, &context, copy_envelope_value);
  } else {
    const char *head = list ? before : one_before;
    copy.out = stpcpy(copy.out, head);
    body->lines_before = 1;
    copy_space(&copy);
    if (list)
      copy_rules(&copy, body->parsed, current);
    else
      copy_rule(&copy, body->parsed, current);
    copy.out = stpcpy(copy.out, list ? "\n}\n" : "\n]}\n");
  }
  body->length = (size_t)(copy.out - body->text);
  return true;
}

bool rule_body_read(const struct management_request *request, const json_t *current, struct rule_body *body) {
  *body = (struct rule_body){0};
  const char *first = request->body ? request->body + strspn(request->body, " \t\r\n") : "";
  if (*first == '\0') {
    snprintf(body->wrong, sizeof body->wrong, "the body is empty: a rule, as JSON or YAML, is expected");
    return false;
  }
  body->json = *first == '{' || *first == '[';
  if (!body->json) {
    body->text = malloc(request->body_length + 1);
    if (!body->text) return false;
    memcpy(body->text, request->body, request->body_length + 1);
    body->length = request->body_length;
    return true;
  }
  json_error_t error;
  body->parsed = json_loadb(request->body, request->body_length, JSON_REJECT_DUPLICATES, &error);
  if (body->parsed) return convert(request, current, body);
  snprintf(body->wrong, sizeof body->wrong, "not JSON: %s", error.text);
  body->line = (uint32_t)error.line;
  body->column = (uint32_t)error.column;
  return false;
}

void rule_body_free(struct rule_body *body) {
  free(body->text);
  json_decref(body->parsed);
  *body = (struct rule_body){0};
}
