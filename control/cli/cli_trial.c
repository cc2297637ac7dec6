/* `tripline rules test`: rules on trial, here, without a daemon. */
#include "cli_trial_internal.h"
#include "json_values.h"
#include "trial_suite.h"
#include <stdio.h>
#include <stdlib.h>

static void print_failures(json_t *test) {
  const char *file = json_string_value(json_object_get(test, "file"));
  json_t *failure, *detail;
  size_t index, at;
  json_array_foreach(json_object_get(test, "failures"), index, failure) {
    printf("# %s:%d:%d: ", file, (int)json_integer_value(json_object_get(failure, "line")),
           (int)json_integer_value(json_object_get(failure, "column")));
    cli_trial_print_clean(json_string_value(json_object_get(failure, "message")));
    putchar('\n');
    json_array_foreach(json_object_get(failure, "details"), at, detail) {
      printf("#   ");
      cli_trial_print_clean(json_string_value(detail));
      putchar('\n');
    }
  }
}

/* Test Anything Protocol, version 13: what a CI reads and people too. */
static void print_tap(json_t *results) {
  json_t *tests = json_object_get(results, "tests"), *test;
  size_t index;
  printf("1..%zu\n", json_array_size(tests));
  json_array_foreach(tests, index, test) {
    printf("%s %zu - %s: ", json_is_true(json_object_get(test, "passed")) ? "ok" : "not ok", index + 1,
           json_string_value(json_object_get(test, "file")));
    for (const char *c = json_string_value(json_object_get(test, "name")); c && *c; c++)
      if (*c != '#' && (unsigned char)*c >= ' ') putchar(*c); /* a # would begin a directive */
    putchar('\n');
    print_failures(test);
  }
  printf("# %lld passed, %lld failed\n", (long long)json_integer_value(json_object_get(results, "passed")),
         (long long)json_integer_value(json_object_get(results, "failed")));
}

int cli_rules_test(const struct cli *cli) {
  struct rule_errors errors = {0};
  if (cli->word_count < 3) return cli_usage(cli, false);
  json_t *results = trial_suite_run(&cli->words[2], (size_t)cli->word_count - 2, &errors);
  if (!results) {
    fputs("tripline: no memory\n", stderr);
    return CLI_FAILED;
  }
  if (errors.count) rule_errors_print(&errors, stderr);
  if (cli->output == OUTPUT_TABLE) {
    print_tap(results);
  } else {
    json_object_set_new(results, "errors", json_rule_errors(&errors));
    cli_print(cli, results, NULL, NULL);
  }
  const bool bad_files = errors.count > 0, failed = json_integer_value(json_object_get(results, "failed")) > 0;
  rule_errors_free(&errors);
  json_decref(results);
  return bad_files ? CLI_USAGE : failed ? CLI_FAILED : CLI_OK;
}
