/* Changes of rules through the daemon. */
#include "cli_rules_internal.h"
#include "rule_set.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX (64u << 20)

char *cli_read_file(const char *path, size_t *length) {
  FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
  char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
  *length = text ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
  const bool good = text && *length <= FILE_BYTES_MAX && !ferror(file);
  if (!good) fprintf(stderr, "tripline: %s: %s\n", path, *length > FILE_BYTES_MAX ? "too large" : strerror(errno));
  if (file && file != stdin) fclose(file);
  if (good) {
    text[*length] = '\0';
    char *fitting = realloc(text, *length + 1);
    return fitting ? fitting : text;
  }
  free(text);
  return NULL;
}

bool cli_is_rule_name(const char *name) {
  static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
  if (*name && name[strspn(name, characters)] == '\0' && strlen(name) <= 128) return true;
  fprintf(stderr, "tripline: '%s' is no rule name\n", name);
  return false;
}

int cli_rules_send(const struct cli *cli, const char *method, const char *path, const char *body, const char *file,
                   int (*print)(const struct cli *cli, json_t *answer)) {
  struct cli_answer answer;
  int result = cli_request(cli, method, path, body, &answer);
  if (result != CLI_OK) return result;
  json_t *json = answer.status == 200 || answer.status == 207 ? json_loads(answer.text, 0, NULL) : NULL;
  if (json)
    result = print(cli, json);
  else
    result = cli_explain_file(&answer, file);
  free(answer.text);
  return result;
}

int cli_print_rule(const struct cli *cli, json_t *rule) {
  if (cli->output == OUTPUT_JSON)
    cli_print(cli, rule, NULL, NULL);
  else
    cli_print_yaml(rule);
  json_decref(rule);
  return CLI_OK;
}

int cli_print_applied(const struct cli *cli, json_t *answer) {
  static const struct cli_column columns[] = {
      {"GENERATION", "generation"}, {"RULES", "rules"},         {"ADDED", "added"},   {"CHANGED", "changed"},
      {"REMOVED", "removed"},       {"UNCHANGED", "unchanged"}, {"SHA256", "sha256"}, {NULL, NULL}};
  json_t *list = json_pack("[O]", answer);
  cli_print(cli, answer, list, columns);
  json_decref(list);
  json_decref(answer);
  return CLI_OK;
}

/* The name that the file gives: of JSON a rule's own, of YAML the only one in `rules:`. */
static char *name_in(const char *text, size_t length) {
  json_t *json = json_loadb(text, length, 0, NULL);
  const json_t *list = json_object_get(json, "rules"), *rule = json_array_size(list) == 1 ? json_array_get(list, 0) : json;
  const char *given = json_string_value(json_object_get(rule, "name"));
  if (!given) given = json_string_value(json_object_get(rule, "id"));
  char *name = given ? strdup(given) : NULL;
  json_decref(json);
  if (json) return name;
  struct rule_errors errors = {0};
  const struct rule_text one = {.name = "", .text = text, .length = length};
  struct rule_set *set = rule_set_parse_texts(&one, 1, true, &errors);
  if (rule_set_count(set) == 1) name = strdup(rule_set_at(set, 0)->name);
  rule_set_free(set);
  rule_errors_free(&errors);
  return name;
}

int cli_rules_create(const struct cli *cli) {
  size_t length;
  if (cli->word_count != 2 || !cli->file) return cli_usage(cli, false);
  char *text = cli_read_file(cli->file, &length);
  if (!text) return CLI_FAILED;
  const int result = cli_rules_send(cli, "POST", "/v1/rules", text, cli->file, cli_print_rule);
  free(text);
  return result;
}

int cli_rules_update(const struct cli *cli) {
  char path[512];
  size_t length;
  if (cli->word_count > 3 || !cli->file) return cli_usage(cli, false);
  char *text = cli_read_file(cli->file, &length);
  if (!text) return CLI_FAILED;
  char *name = cli->word_count == 3 ? strdup(cli->words[2]) : name_in(text, length);
  int result = CLI_FAILED;
  if (!name) {
    fprintf(stderr, "tripline: %s: which rule? The file does not give one good rule; name it: update NAME -f FILE\n", cli->file);
  } else if (!cli_is_rule_name(name)) {
    result = CLI_NOT_FOUND;
  } else {
    snprintf(path, sizeof path, "/v1/rules/%s", name);
    cli_add_argument(path, sizeof path, "expected_version", cli->expect);
    result = cli_rules_send(cli, "PUT", path, text, cli->file, cli_print_rule);
  }
  free(name);
  free(text);
  return result;
}

static int print_outcomes(const struct cli *cli, json_t *answer) {
  static const struct cli_column columns[] = {{"NAME", "name"}, {"STATUS", "status"}, {"VERSION", "version"}, {NULL, NULL}};
  cli_print(cli, answer, json_object_get(answer, "results"), columns);
  json_decref(answer);
  return CLI_OK;
}

static int send_names(const struct cli *cli, const char *path) {
  json_t *names = json_array(), *tags = json_array();
  for (int i = 2; i < cli->word_count; i++) json_array_append_new(names, json_string(cli->words[i]));
  for (int i = 0; i < cli->tag_count; i++) json_array_append_new(tags, json_string(cli->tags[i]));
  json_t *body = json_pack("{s:o, s:o}", "names", names, "tags", tags);
  char *text = json_dumps(body, JSON_COMPACT);
  json_decref(body);
  const int result = text ? cli_rules_send(cli, "POST", path, text, NULL, print_outcomes) : CLI_FAILED;
  free(text);
  return result;
}

int cli_rules_toggle(const struct cli *cli, bool enabled) {
  if ((cli->word_count > 2) == (cli->tag_count > 0)) return cli_usage(cli, false);
  return send_names(cli, enabled ? "/v1/rules/enable" : "/v1/rules/disable");
}

int cli_rules_delete(const struct cli *cli) {
  if (cli->word_count < 3 || cli->tag_count > 0) return cli_usage(cli, false);
  return send_names(cli, "/v1/rules/delete");
}

static int print_import(const struct cli *cli, json_t *answer) {
  static const struct cli_column columns[] = {{"NAME", "name"}, {"STATUS", "status"},   {"VERSION", "version"},
                                              {"LINE", "line"}, {"MESSAGE", "message"}, {NULL, NULL}};
  const bool failed = json_integer_value(json_object_get(answer, "failed")) > 0;
  cli_print(cli, answer, json_object_get(answer, "results"), columns);
  json_decref(answer);
  return failed ? CLI_FAILED : CLI_OK;
}

int cli_rules_import(const struct cli *cli) {
  size_t length;
  if (cli->word_count != 3 || (cli->atomic && cli->partial)) return cli_usage(cli, false);
  char *text = cli_read_file(cli->words[2], &length);
  if (!text) return CLI_FAILED;
  const int result = cli_rules_send(cli, "POST", cli->partial ? "/v1/rules/import?atomic=false" : "/v1/rules/import?atomic=true",
                                    text, cli->words[2], print_import);
  free(text);
  return result;
}

int cli_rules_rollback(const struct cli *cli) {
  char path[512], body[64];
  const char *number = cli->generation ? cli->generation : cli->word_count == 4 ? cli->words[3] : "";
  const bool good =
      *number && strlen(number) <= 18 && number[strspn(number, "0123456789")] == '\0' && strtoll(number, NULL, 10) > 0;
  if (!good || cli->word_count != (cli->generation ? 2 : 4)) return cli_usage(cli, false);
  snprintf(body, sizeof body, "{\"%s\":%lld}", cli->generation ? "generation" : "version", strtoll(number, NULL, 10));
  if (cli->generation) return cli_rules_send(cli, "POST", "/v1/ruleset/rollback", body, NULL, cli_print_applied);
  if (!cli_is_rule_name(cli->words[2])) return CLI_NOT_FOUND;
  snprintf(path, sizeof path, "/v1/rules/%s/rollback", cli->words[2]);
  return cli_rules_send(cli, "POST", path, body, NULL, cli_print_rule);
}
