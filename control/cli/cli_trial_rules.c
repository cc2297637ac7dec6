#include "cli_trial_internal.h"
#include <stdio.h>
#include <stdlib.h>

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

struct rule_set *cli_trial_daemon_rules(const struct cli *cli, int *result) {
  struct rule_errors errors = {0};
  struct cli_answer answer;
  *result = cli_request(cli, "GET", "/v1/ruleset", NULL, &answer);
  if (*result != CLI_OK) return NULL;
  struct rule_set *set = NULL;
  if (answer.status != 200) {
    *result = cli_explain(&answer);
  } else if (!(set = rule_set_parse("daemon", answer.text, answer.length, &errors))) {
    rule_errors_print(&errors, stderr);
    *result = CLI_FAILED;
  }
  rule_errors_free(&errors);
  free(answer.text);
  return set;
}
