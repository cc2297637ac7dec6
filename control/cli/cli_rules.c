#include "cli_internal.h"
#include "rule_set.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (16u << 20)

static int list_rules(const struct cli *cli) {
  static const struct cli_column columns[] = {
      {"NAME", "name"},       {"ON", "on"},     {"SEVERITY", "severity"},       {"ENABLED", "enabled"},
      {"VERSION", "version"}, {"TAGS", "tags"}, {"DESCRIPTION", "description"}, {NULL, NULL}};
  json_t *json;
  const int result = cli_get(cli, "/v1/rules", &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "rules"), columns);
  json_decref(json);
  return CLI_OK;
}

static int get_rule(const struct cli *cli, const char *name) {
  char path[512];
  json_t *json;
  if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._")]) {
    fprintf(stderr, "tripline: '%s' is no rule name\n", name);
    return CLI_NOT_FOUND;
  }
  snprintf(path, sizeof path, "/v1/rules/%.400s", name);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  if (cli->output == OUTPUT_JSON) {
    cli_print(cli, json, NULL, NULL);
  } else {
    cli_print_yaml(json);
  }
  json_decref(json);
  return CLI_OK;
}

/* Offline: needs no daemon, no root, no hugepages. */
static int validate(const struct cli *cli) {
  struct rule_errors errors = {0};
  struct rule_set *set = rule_set_load(&cli->words[2], (size_t)cli->word_count - 2, &errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  if (errors.count) rule_errors_print(&errors, stderr);
  const bool valid = image && errors.count == 0;
  if (cli->output == OUTPUT_JSON) {
    printf("{\"valid\":%s,\"rules\":%zu,\"errors\":%zu}\n", valid ? "true" : "false", set ? rule_set_count(set) : 0,
           errors.count);
  } else if (valid) {
    printf("%zu rules, no errors\n", rule_set_count(set));
  }
  if (image) rule_image_free(image);
  if (set) rule_set_free(set);
  rule_errors_free(&errors);
  return valid ? CLI_OK : CLI_FAILED;
}

static int add_file(json_t *files, const char *path) {
  FILE *file = fopen(path, "re");
  char *text = malloc(FILE_BYTES_MAX);
  const size_t length = file && text ? fread(text, 1, FILE_BYTES_MAX, file) : 0;
  int result = CLI_OK;
  if (!file || !text || length == FILE_BYTES_MAX) {
    fprintf(stderr, "tripline: %s: %s\n", path, file ? "too large" : strerror(errno));
    result = CLI_FAILED;
  } else {
    json_t *content = json_stringn(text, length);
    if (content) {
      json_array_append_new(files, json_pack("{s:s, s:o}", "name", path, "text", content));
    } else {
      fprintf(stderr, "tripline: %s: not UTF-8 text\n", path);
      result = CLI_FAILED;
    }
  }
  if (file) fclose(file);
  free(text);
  return result;
}

/* Unit tests (`checkout.test.yaml`) lie beside the rules. */
static int is_rule_file(const struct dirent *entry) {
  const char *dot = strrchr(entry->d_name, '.');
  if (entry->d_name[0] == '.' || !dot || (strcmp(dot, ".yaml") != 0 && strcmp(dot, ".yml") != 0)) return 0;
  return dot - entry->d_name < 5 || strncmp(dot - 5, ".test", 5) != 0;
}

static int add_path(json_t *files, const char *path) {
  struct stat status;
  struct dirent **entries = NULL;
  if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) return add_file(files, path);
  const int count = scandir(path, &entries, is_rule_file, alphasort);
  int result = count < 0 ? CLI_FAILED : CLI_OK;
  for (int i = 0; i < count; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
    if (result == CLI_OK) result = add_file(files, name);
    free(entries[i]);
  }
  free(entries);
  return result;
}

static int apply(const struct cli *cli) {
  json_t *files = json_array();
  for (int i = 2; i < cli->word_count; i++)
    if (add_path(files, cli->words[i]) != CLI_OK) return CLI_FAILED;
  json_t *body = json_pack("{s:o, s:b}", "files", files, "merge", cli->merge);
  char *text = json_dumps(body, JSON_COMPACT);
  struct cli_answer answer;
  json_decref(body);
  int result = text ? cli_request(cli, "POST", "/v1/rules/apply", text, &answer) : CLI_FAILED;
  free(text);
  if (result != CLI_OK) return result;
  if (answer.status != 200) {
    result = cli_explain(&answer);
  } else {
    json_t *json = json_loads(answer.text, 0, NULL);
    static const struct cli_column columns[] = {
        {"GENERATION", "generation"}, {"RULES", "rules"},         {"ADDED", "added"},   {"CHANGED", "changed"},
        {"REMOVED", "removed"},       {"UNCHANGED", "unchanged"}, {"SHA256", "sha256"}, {NULL, NULL}};
    json_t *list = json_pack("[O]", json);
    cli_print(cli, json, list, columns);
    json_decref(list);
    json_decref(json);
  }
  free(answer.text);
  return result;
}

int cli_rules(const struct cli *cli) {
  const char *verb = cli->word_count > 1 ? cli->words[1] : "";
  if (strcmp(verb, "list") == 0 && cli->word_count == 2) return list_rules(cli);
  if (strcmp(verb, "get") == 0 && cli->word_count == 3) return get_rule(cli, cli->words[2]);
  if (strcmp(verb, "validate") == 0 && cli->word_count >= 3) return validate(cli);
  if (strcmp(verb, "apply") == 0) return apply(cli);
  if (strcmp(verb, "test") == 0) return cli_rules_test(cli);
  return cli_usage(cli, false);
}
