/* What rules were, and why some are not. */
#include "cli_rules_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The path of a rule, or of the set when none is named; false: no such name. */
static bool path_of(const struct cli *cli, const char *what, char path[1024]) {
  if (cli->word_count == 2) {
    snprintf(path, 1024, "/v1/ruleset/%s", what);
    return true;
  }
  if (!cli_is_rule_name(cli->words[2])) return false;
  snprintf(path, 1024, "/v1/rules/%s/%s", cli->words[2], what);
  return true;
}

int cli_rules_history(const struct cli *cli) {
  static const struct cli_column of_rule[] = {
      {"VERSION", "version"}, {"GENERATION", "generation"}, {"ACTION", "action"}, {"AT", "at"},
      {"BY", "by"},           {"IN FORCE", "in_force"},     {NULL, NULL}};
  static const struct cli_column of_set[] = {
      {"GENERATION", "generation"}, {"ACTION", "action"},   {"AT", "at"},       {"BY", "by"}, {"ADDED", "added"},
      {"CHANGED", "changed"},       {"REMOVED", "removed"}, {"RULES", "rules"}, {NULL, NULL}};
  char path[1024];
  json_t *json;
  if (cli->word_count > 3) return cli_usage(cli, false);
  if (!path_of(cli, "history", path)) return CLI_NOT_FOUND;
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  const bool set = cli->word_count == 2;
  cli_print(cli, json, json_object_get(json, set ? "generations" : "versions"), set ? of_set : of_rule);
  json_decref(json);
  return CLI_OK;
}

static void print_names(const char *mark, json_t *list) {
  size_t index;
  json_t *item;
  json_array_foreach(list, index, item) {
    if (json_is_string(item))
      printf("%s %s\n", mark, json_string_value(item));
    else
      printf("%s %s (version %lld, now %lld)\n", mark, json_string_value(json_object_get(item, "name")),
             (long long)json_integer_value(json_object_get(item, "from")),
             (long long)json_integer_value(json_object_get(item, "to")));
  }
}

int cli_rules_diff(const struct cli *cli) {
  char path[1024];
  json_t *json;
  if (cli->word_count > 3) return cli_usage(cli, false);
  if (!path_of(cli, "diff", path)) return CLI_NOT_FOUND;
  cli_add_argument(path, sizeof path, "from", cli->from);
  cli_add_argument(path, sizeof path, "to", cli->to);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  const char *text = json_string_value(json_object_get(json, "diff"));
  if (cli->output != OUTPUT_TABLE) {
    cli_print(cli, json, NULL, NULL);
  } else if (text) {
    fputs(text, stdout);
  } else {
    print_names("+", json_object_get(json, "added"));
    print_names("~", json_object_get(json, "changed"));
    print_names("-", json_object_get(json, "removed"));
  }
  json_decref(json);
  return CLI_OK;
}

int cli_rules_failed(const struct cli *cli) {
  static const struct cli_column columns[] = {{"NAME", "name"},     {"AT", "at"},           {"BY", "by"},
                                              {"ACTION", "action"}, {"FILE", "file"},       {"LINE", "line"},
                                              {"COLUMN", "column"}, {"MESSAGE", "message"}, {NULL, NULL}};
  json_t *json;
  if (cli->word_count != 2) return cli_usage(cli, false);
  const int result = cli_get(cli, "/v1/ruleset/failed", &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "failed"), columns);
  json_decref(json);
  return CLI_OK;
}

int cli_rules_export(const struct cli *cli) {
  char path[4096] = "/v1/ruleset";
  struct cli_answer answer;
  for (int i = 2; i < cli->word_count; i++) cli_add_argument(path, sizeof path, "name", cli->words[i]);
  int result = cli_request(cli, "GET", path, NULL, &answer);
  if (result != CLI_OK) return result;
  if (answer.status != 200)
    result = cli_explain(&answer);
  else
    fwrite(answer.text, 1, answer.length, stdout);
  free(answer.text);
  return result;
}
