#include "cli_trial_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_trial_print_clean(const char *text) {
  for (; text && *text; text++) putchar((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
}

struct rule_set *cli_trial_load(const char *const *paths, size_t count, int *result) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_load(paths, count, &errors);
  if (errors.count) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  *result = set ? CLI_OK : CLI_USAGE;
  return set;
}

/* A rule as the API shows it is one as it is written, but for the keys that are null: JSON is YAML. */
static json_t *as_written(json_t *shown) {
  static const char *const keys[] = {"name",        "severity",  "on",         "enabled", "version", "tags",
                                     "description", "if",        "expression", "when",    "always",  "never",
                                     "within",      "message",   "mode",       "window",  "for",     "repeat_after",
                                     "suppress",    "threshold", "timezone",   NULL};
  json_t *written = json_object();
  for (size_t i = 0; keys[i]; i++) {
    json_t *value = json_object_get(shown, keys[i]);
    if (value && !json_is_null(value)) json_object_set(written, keys[i], value);
  }
  return written;
}

static int add_rule(const struct cli *cli, const char *name, json_t *rules) {
  char path[512];
  json_t *rule;
  snprintf(path, sizeof path, "/v1/rules/%.400s", name);
  const int result = cli_get(cli, path, &rule);
  if (result != CLI_OK) return result;
  json_array_append_new(rules, as_written(rule));
  json_decref(rule);
  return CLI_OK;
}

static struct rule_set *parse(json_t *rules, int *result) {
  struct rule_errors errors = {0};
  json_t *file = json_pack("{s:O}", "rules", rules);
  char *text = file ? json_dumps(file, JSON_INDENT(1)) : NULL;
  struct rule_set *set = text ? rule_set_parse("daemon", text, strlen(text), &errors) : NULL;
  if (errors.count) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  json_decref(file);
  free(text);
  *result = set ? CLI_OK : CLI_FAILED;
  return set;
}

struct rule_set *cli_trial_daemon_rules(const struct cli *cli, int *result) {
  json_t *list, *rule, *rules = json_array();
  struct rule_set *set = NULL;
  size_t index;
  *result = cli_get(cli, "/v1/rules", &list);
  if (*result == CLI_OK) {
    json_array_foreach(json_object_get(list, "rules"), index, rule) {
      const char *name = json_string_value(json_object_get(rule, "name"));
      if (name && *result == CLI_OK) *result = add_rule(cli, name, rules);
    }
    if (*result == CLI_OK) set = parse(rules, result);
    json_decref(list);
  }
  json_decref(rules);
  return set;
}
