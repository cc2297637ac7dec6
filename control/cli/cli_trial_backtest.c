/* `tripline rules backtest`: the differences as a table, and how far it has come. */
#include "cli_trial_internal.h"
#include "json_values.h"
#include "trial_backtest.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000u
#define DRAW_EVERY_NS 100000000ull
#define TELL_EVERY_NS 5000000000ull /* where nothing can be drawn over */
#define BAR_CELLS 30u

struct bar {
  bool terminal, drawn;
  uint64_t began_ns, next_ns;
};

static uint64_t monotonic_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void draw(void *context, const struct trial_progress *progress) {
  struct bar *bar = context;
  const uint64_t now_ns = monotonic_ns();
  if (now_ns < bar->next_ns) return;
  bar->next_ns = now_ns + (bar->terminal ? DRAW_EVERY_NS : TELL_EVERY_NS);
  const double rate = (double)progress->events * 1e9 / (double)(now_ns - bar->began_ns + 1);
  const unsigned percent =
      progress->total_bytes ? (unsigned)((double)progress->done_bytes * 100 / (double)progress->total_bytes) : 0;
  if (!bar->terminal) {
    fprintf(stderr, "%u %%, %" PRIu64 " events, %.0f events/s, %" PRIu64 " violations\n", percent, progress->events, rate,
            progress->violations);
    return;
  }
  char cells[BAR_CELLS + 1];
  for (unsigned i = 0; i < BAR_CELLS; i++) cells[i] = i < percent * BAR_CELLS / 100 ? '#' : '.';
  cells[BAR_CELLS] = '\0';
  fprintf(stderr, "\r[%s] %3u %%  %.0f events/s  %" PRIu64 " violations \033[K", cells, percent, rate, progress->violations);
  bar->drawn = true;
}

static long long number(json_t *object, const char *key) { return (long long)json_integer_value(json_object_get(object, key)); }

static void print_counts(const char *title, json_t *counts) {
  const char *key;
  json_t *value;
  if (json_object_size(counts) == 0) return;
  printf("%s:", title);
  json_object_foreach(counts, key, value) printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
  putchar('\n');
}

static void print_input(json_t *input) {
  const char *note = json_string_value(json_object_get(input, "note")),
             *first = json_string_value(json_object_get(input, "first"));
  printf("%s (%s)", json_string_value(json_object_get(input, "recording")), json_string_value(json_object_get(input, "format")));
  if (first) printf(", %s to %s", first, json_string_value(json_object_get(input, "last")));
  putchar('\n');
  if (json_object_get(input, "frames"))
    printf("%lld frames, %lld read: %lld connections with %lld requests, %lld datagrams\n", number(input, "frames"),
           number(input, "frames_read"), number(input, "connections"), number(input, "requests"), number(input, "datagrams"));
  if (note)
    printf("%lld violations, %lld webhooks recorded, %lld of them judged again\nnote: %s\n", number(input, "recorded_violations"),
           number(input, "recorded_webhooks"), number(input, "webhooks_judged"), note);
  else
    printf("judged: %lld spans, %lld webhooks, %lld alerts of %lld bodies\n", number(input, "spans_judged"),
           number(input, "webhooks_judged"), number(input, "alerts_judged"), number(input, "bodies"));
  print_counts("webhooks not judged", json_object_get(input, "webhooks_not_judged"));
  print_counts("bodies refused", json_object_get(input, "bodies_refused"));
  print_counts("spans rejected", json_object_get(input, "spans_rejected"));
  print_counts("not read", json_object_get(input, "unread"));
  putchar('\n');
}

static void print_list(json_t *result, const char *key, const char *title) {
  json_t *list = json_object_get(json_object_get(result, "violations"), key), *violation;
  const long long all = number(json_object_get(result, "totals"), key);
  size_t index;
  if (all == 0) return;
  printf("\n%s:\n", title);
  json_array_foreach(list, index, violation) {
    const char *trace = json_string_value(json_object_get(violation, "trace_id"));
    printf("  %s  %s  ", json_string_value(json_object_get(violation, "time")),
           json_string_value(json_object_get(violation, "rule")));
    if (trace) printf("%s  ", trace);
    cli_trial_print_clean(json_string_value(json_object_get(violation, "message")));
    putchar('\n');
  }
  if (all > (long long)json_array_size(list)) printf("  and %lld more (--limit)\n", all - (long long)json_array_size(list));
}

static void print_result(const struct cli *cli, json_t *result, bool compared) {
  static const struct cli_column both[] = {
      {"RULE", "rule"}, {"BOTH", "both"}, {"ONLY NEW", "only_new"}, {"ONLY CURRENT", "only_current"}, {NULL, NULL}};
  static const struct cli_column one[] = {{"RULE", "rule"}, {"FIRES", "only_new"}, {NULL, NULL}};
  static const struct cli_column recorded[] = {{"RULE", "rule"},
                                               {"BOTH", "both"},
                                               {"ONLY NEW", "only_new"},
                                               {"ONLY CURRENT", "only_current"},
                                               {"NOT JUDGED", "not_judged"},
                                               {NULL, NULL}};
  json_t *totals = json_object_get(result, "totals"), *total = json_pack("{s:s}", "rule", "(all)");
  const bool journal = json_object_get(totals, "not_judged") != NULL;
  print_input(json_object_get(result, "input"));
  json_object_update(total, totals);
  json_array_append_new(json_object_get(result, "rules"), total);
  cli_print(cli, result, json_object_get(result, "rules"), journal ? recorded : compared ? both : one);
  print_list(result, "only_new", compared || journal ? "only with the new rules" : "fires");
  print_list(result, "only_current", "not any more with the new rules");
}

static bool read_limit(const struct cli *cli, size_t *limit) {
  char *end = NULL;
  *limit = LIMIT_DEFAULT;
  if (!cli->limit) return true;
  *limit = *cli->limit >= '0' && *cli->limit <= '9' ? strtoul(cli->limit, &end, 10) : 0;
  return end && *end == '\0' && *limit <= LIMIT_MAX;
}

/* --rules and the words after the verb are the new rules. */
static struct rule_set *load_new(const struct cli *cli, int *result) {
  const char *paths[CLI_RULE_FILES_MAX + CLI_WORDS_MAX];
  size_t count = 0;
  for (int i = 0; i < cli->rules_count; i++) paths[count++] = cli->rules[i];
  for (int i = 2; i < cli->word_count; i++) paths[count++] = cli->words[i];
  return cli_trial_load(paths, count, result);
}

static int run(const struct cli *cli, const struct rule_set *rules, const struct rule_set *against, size_t limit) {
  struct rule_errors errors = {0};
  struct bar bar = {.terminal = isatty(STDERR_FILENO), .began_ns = monotonic_ns()};
  const struct trial_backtest backtest = {
      .rules = rules, .against = against, .recording = cli->from, .shards = 1, .limit = limit, .context = &bar, .progress = draw};
  bar.next_ns = bar.began_ns + (bar.terminal ? DRAW_EVERY_NS : TELL_EVERY_NS);
  json_t *result = trial_backtest_run(&backtest, &errors);
  if (bar.drawn) fputs("\r\033[K", stderr);
  if (errors.count) rule_errors_print(&errors, stderr);
  rule_errors_free(&errors);
  if (!result) return CLI_USAGE;
  if (cli->output == OUTPUT_TABLE)
    print_result(cli, result, against != NULL);
  else
    cli_print(cli, result, NULL, NULL);
  json_decref(result);
  return CLI_OK;
}

int cli_rules_backtest(const struct cli *cli) {
  int result;
  size_t limit;
  if (!cli->from || cli->rules_count == 0) return cli_usage(cli, false);
  if (!read_limit(cli, &limit)) {
    fprintf(stderr, "tripline: --limit is a number up to %u\n", LIMIT_MAX);
    return CLI_USAGE;
  }
  struct rule_set *rules = load_new(cli, &result), *against = NULL;
  if (rules && cli->against)
    against =
        strcmp(cli->against, "daemon") == 0 ? cli_trial_daemon_rules(cli, &result) : cli_trial_load(&cli->against, 1, &result);
  if (rules && (against || !cli->against)) result = run(cli, rules, against, limit);
  if (against) rule_set_free(against);
  if (rules) rule_set_free(rules);
  return result;
}
