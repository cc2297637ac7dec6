/* `tripline rules explain`: offline, or of the daemon's rules. */
#include "cli_trial_internal.h"
#include "trial_explain.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEASURE_NS 60000000ull

static const char *text_of(json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text ? text : "";
}

static void print_list(const char *title, json_t *list, const char *key, const char *what) {
  json_t *item;
  size_t index;
  if (json_array_size(list) == 0) return;
  printf("%s\n", title);
  json_array_foreach(list, index, item) {
    const long long rules = (long long)json_integer_value(json_object_get(item, "rules"));
    printf("  ");
    cli_trial_print_clean(text_of(item, key));
    if (rules > 1)
      printf("   (%s by %lld rules)\n", what, rules);
    else
      printf("   (%s by this rule alone)\n", what);
  }
}

static void print_keys(json_t *found) {
  json_t *key, *selector, *keys;
  size_t index, at;
  if (!found) return;
  printf("found by: %s\n", text_of(found, "how"));
  json_array_foreach(json_object_get(found, "keys"), index, key) {
    printf("  ");
    cli_trial_print_clean(json_string_value(key));
    putchar('\n');
  }
  json_array_foreach(json_object_get(found, "selectors"), index, selector) {
    printf("  ");
    cli_trial_print_clean(text_of(selector, "selector"));
    keys = json_object_get(selector, "keys");
    printf(json_is_true(json_object_get(selector, "always_run")) ? ": tried on every batch\n" : ": tried where");
    json_array_foreach(keys, at, key) {
      printf("%s ", at ? " or" : "");
      cli_trial_print_clean(json_string_value(key));
    }
    if (json_array_size(keys)) putchar('\n');
  }
}

static void print_estimate(json_t *estimate) {
  if (!estimate) return;
  const json_t *match = json_object_get(estimate, "ns_per_match");
  printf("estimate: %.1f ns an event", json_real_value(json_object_get(estimate, "ns_per_event")));
  if (json_is_real(match))
    printf(", %.1f ns a match", json_real_value(match));
  else
    printf(", a match could not be made up");
  printf("\n  %s\n", text_of(estimate, "note"));
}

static void print_text(json_t *json) {
  json_t *condition, *memory = json_object_get(json, "memory");
  const long long number = (long long)json_integer_value(json_object_get(json, "version"));
  char version[32] = ""; /* rules in files have none */
  size_t index;
  if (number) snprintf(version, sizeof version, ", version %lld", number);
  printf("%s: on %s, %s, mode %s%s%s\n\n%s\n", text_of(json, "name"), text_of(json, "on"), text_of(json, "severity"),
         text_of(json, "mode"), json_is_true(json_object_get(json, "enabled")) ? "" : ", disabled: not compiled", version,
         text_of(json, "text"));
  json_array_foreach(json_object_get(json, "conditions"), index, condition) {
    printf("%s, compiled: ", text_of(condition, "part"));
    cli_trial_print_clean(text_of(condition, "compiled"));
    putchar('\n');
  }
  if (json_is_string(json_object_get(json, "betrace"))) {
    printf("in BeTrace's notation: ");
    cli_trial_print_clean(text_of(json, "betrace"));
    putchar('\n');
  }
  print_list("columns:", json_object_get(json, "columns"), "reference", "read");
  print_list("predicates:", json_object_get(json, "predicates"), "predicate", "made");
  print_keys(json_object_get(json, "found_by"));
  printf("owner: %s\n", text_of(json, "owner"));
  if (memory)
    printf("memory: %lld bytes of its own in the image, %lld in pattern databases that it shares\n",
           (long long)json_integer_value(json_object_get(memory, "image_bytes_own")),
           (long long)json_integer_value(json_object_get(memory, "pattern_bytes_shared")));
  print_estimate(json_object_get(json, "estimate"));
}

static int explain(const struct cli *cli, const struct rule_set *set, const char *name) {
  struct rule_errors errors = {0};
  json_t *json = trial_explain(set, name, MEASURE_NS, &errors);
  int result = json ? CLI_OK : errors.count ? CLI_USAGE : CLI_NOT_FOUND;
  if (errors.count) rule_errors_print(&errors, stderr);
  if (result == CLI_NOT_FOUND) fprintf(stderr, "tripline: there is no rule '%s'\n", name);
  if (json && cli->output == OUTPUT_TABLE)
    print_text(json);
  else if (json)
    cli_print(cli, json, NULL, NULL);
  json_decref(json);
  rule_errors_free(&errors);
  return result;
}

int cli_rules_explain(const struct cli *cli) {
  const char *paths[CLI_RULE_FILES_MAX + CLI_WORDS_MAX];
  size_t count = 0;
  int result;
  if (cli->word_count < 3) return cli_usage(cli, false);
  for (int i = 0; i < cli->rules_count; i++) paths[count++] = cli->rules[i];
  for (int i = 3; i < cli->word_count; i++) paths[count++] = cli->words[i];
  struct rule_set *set = count ? cli_trial_load(paths, count, &result) : cli_trial_daemon_rules(cli, &result);
  if (!set) return result;
  result = explain(cli, set, cli->words[2]);
  rule_set_free(set);
  return result;
}
