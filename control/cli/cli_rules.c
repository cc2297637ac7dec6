#include "cli_rules_internal.h"
#include "rule_set.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int list_rules(const struct cli *cli) {
  static const struct cli_column columns[] = {
      {"NAME", "name"},       {"ON", "on"},           {"SEVERITY", "severity"}, {"ENABLED", "enabled"},         {"MODE", "mode"},
      {"VERSION", "version"}, {"MATCHES", "matches"}, {"TAGS", "tags"},         {"DESCRIPTION", "description"}, {NULL, NULL}};
  char path[4096] = "/v1/rules";
  json_t *json;
  if (cli->enabled) cli_add_argument(path, sizeof path, "enabled_only", "true");
  cli_add_argument(path, sizeof path, "severity", cli->severity);
  for (int i = 0; i < cli->tag_count; i++) cli_add_argument(path, sizeof path, "tag", cli->tags[i]);
  cli_add_argument(path, sizeof path, "limit", cli->limit);
  cli_add_argument(path, sizeof path, "after", cli->after);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "rules"), columns);
  json_decref(json);
  return CLI_OK;
}

static int get_rule(const struct cli *cli, const char *name) {
  char path[512];
  json_t *json;
  if (!cli_is_rule_name(name)) return CLI_NOT_FOUND;
  snprintf(path, sizeof path, "/v1/rules/%s", name);
  const int result = cli_get(cli, path, &json);
  return result == CLI_OK ? cli_print_rule(cli, json) : result;
}

/* Offline: needs no daemon, no root, no hugepages. */
static int validate(const struct cli *cli) {
  if (cli->word_count < 3) return cli_usage(cli, false);
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
  size_t length;
  char *text = cli_read_file(path, &length);
  if (!text) return CLI_FAILED;
  json_t *content = json_stringn(text, length);
  free(text);
  if (!content) {
    fprintf(stderr, "tripline: %s: not UTF-8 text\n", path);
    return CLI_FAILED;
  }
  json_array_append_new(files, json_pack("{s:s, s:o}", "name", path, "text", content));
  return CLI_OK;
}

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
  json_decref(body);
  const int result = text ? cli_rules_send(cli, "POST", "/v1/rules/apply", text, NULL, cli_print_applied) : CLI_FAILED;
  free(text);
  return result;
}

static int enable(const struct cli *cli) { return cli_rules_toggle(cli, true); }
static int disable(const struct cli *cli) { return cli_rules_toggle(cli, false); }
static int list(const struct cli *cli) { return cli->word_count == 2 ? list_rules(cli) : cli_usage(cli, false); }
static int get(const struct cli *cli) { return cli->word_count == 3 ? get_rule(cli, cli->words[2]) : cli_usage(cli, false); }

int cli_rules(const struct cli *cli) {
  static const struct {
    const char *verb;
    int (*run)(const struct cli *cli);
  } verbs[] = {{"list", list},
               {"get", get},
               {"create", cli_rules_create},
               {"update", cli_rules_update},
               {"enable", enable},
               {"disable", disable},
               {"delete", cli_rules_delete},
               {"import", cli_rules_import},
               {"apply", apply},
               {"validate", validate},
               {"export", cli_rules_export},
               {"history", cli_rules_history},
               {"diff", cli_rules_diff},
               {"rollback", cli_rules_rollback},
               {"failed", cli_rules_failed},
               {"test", cli_rules_test},
               {"backtest", cli_rules_backtest},
               {"explain", cli_rules_explain}};
  for (size_t i = 0; cli->word_count > 1 && i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(cli->words[1], verbs[i].verb) == 0) return verbs[i].run(cli);
  return cli_usage(cli, false);
}
