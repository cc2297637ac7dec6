#include "cli_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_pairs(const char *prefix, json_t *object) {
  const char *key;
  json_t *value;
  json_object_foreach(object, key, value) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, key);
    if (json_is_object(value)) {
      char inner[130];
      snprintf(inner, sizeof inner, "%s.", name);
      print_pairs(inner, value);
    } else if (!json_is_array(value)) {
      char *text =
          json_is_string(value) ? strdup(json_string_value(value)) : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
      printf("%-36s %s\n", name, text ? text : "");
      free(text);
    }
  }
}

void cli_print_pairs(json_t *object) { print_pairs("", object); }

static const struct cli_column certificate_columns[] = {{"LISTENER", "listener"},   {"NOT AFTER", "not_after"},
                                                        {"DAYS LEFT", "days_left"}, {"ASKS CLIENTS", "asks_clients"},
                                                        {"SHA256", "sha256"},       {NULL, NULL}};

static const struct cli_column cursor_columns[] = {
    {"CURSOR", "name"}, {"HOLD", "hold"}, {"LAG", "lag_records"}, {"LOST", "lost_records"}, {"STALE", "stale"},
    {"MOVED", "moved"}, {NULL, NULL}};

int cli_status(const struct cli *cli) {
  static const struct cli_column checks[] = {{"CHECK", "name"}, {"PASSED", "passed"}, {"DETAIL", "detail"}, {NULL, NULL}};
  json_t *json;
  if (cli->word_count > 1 && strcmp(cli->words[1], "show") != 0) return cli_usage(cli, false);
  const int result = cli_get(cli, "/v1/status", &json);
  if (result != CLI_OK) return result;
  if (cli->output == OUTPUT_TABLE) {
    print_pairs("", json);
    putchar('\n');
    cli_print(cli, json, json_object_get(json, "checks"), checks);
    if (json_array_size(json_object_get(json, "certificates"))) {
      putchar('\n');
      cli_print(cli, json, json_object_get(json, "certificates"), certificate_columns);
    }
    json_t *attention = json_object_get(json_object_get(json, "cursors"), "attention");
    if (json_array_size(attention)) {
      putchar('\n');
      cli_print(cli, json, attention, cursor_columns);
    }
  } else {
    cli_print(cli, json, NULL, NULL);
  }
  const bool ready = json_is_true(json_object_get(json, "ready"));
  json_decref(json);
  return ready ? CLI_OK : CLI_FAILED;
}

int cli_config(const struct cli *cli) {
  struct cli_answer answer;
  if (cli->word_count != 2 || strcmp(cli->words[1], "reload") != 0) return cli_usage(cli, false);
  int result = cli_request(cli, "POST", "/v1/config/reload", "", &answer);
  if (result != CLI_OK) return result;
  if (answer.status != 200) {
    result = cli_explain(&answer);
  } else {
    json_t *json = json_loads(answer.text, 0, NULL);
    cli_print(cli, json, json_object_get(json, "certificates"), certificate_columns);
    json_decref(json);
  }
  free(answer.text);
  return result;
}

int cli_shards(const struct cli *cli) {
  static const struct cli_column columns[] = {{"SHARD", "shard"},
                                              {"CORE", "core"},
                                              {"GEN", "generation"},
                                              {"BUSY", "busy_ratio"},
                                              {"FRAMES", "frames_received"},
                                              {"CONNS", "connections"},
                                              {"REQUESTS", "requests"},
                                              {"SPANS", "spans_evaluated"},
                                              {"WEBHOOKS", "webhooks_accepted"},
                                              {"VIOLATIONS", "violations_emitted"},
                                              {"TRACES", "traces_live"},
                                              {"LONG LOOPS", "long_loops"},
                                              {"HEAP BYTES", "heap_allocated_bytes"},
                                              {NULL, NULL}};
  json_t *json;
  if (cli->word_count != 2 || strcmp(cli->words[1], "list") != 0) return cli_usage(cli, false);
  const int result = cli_get(cli, "/v1/shards", &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "shards"), columns);
  json_decref(json);
  return CLI_OK;
}

static void add_filter(char *path, size_t room, const struct cli *cli) {
  cli_add_argument(path, room, "id", cli->id);
  cli_add_argument(path, room, "rule", cli->rule);
  cli_add_argument(path, room, "severity", cli->severity);
  cli_add_argument(path, room, "service", cli->service);
  cli_add_argument(path, room, "source", cli->source);
  cli_add_argument(path, room, "trace", cli->trace);
  cli_add_argument(path, room, "since", cli->since);
  cli_add_argument(path, room, "until", cli->until);
}

/* What a table alone would not say. */
static void warn_of_extent(const struct cli *cli, json_t *json) {
  if (cli->output != OUTPUT_TABLE) return;
  json_t *from = json_object_get(json, "index_from");
  if (json_is_false(json_object_get(json, "index_complete")))
    fputs("tripline: the index is still being read: there is more than this\n", stderr);
  if (json_is_object(from)) {
    const char *time = json_string_value(json_object_get(from, "time"));
    fprintf(stderr, "tripline: violations before LSN %lld (%s) have left the index\n",
            (long long)json_integer_value(json_object_get(from, "lsn")), time ? time : "none is left");
  }
}

static int count_violations(const struct cli *cli) {
  static const struct cli_column columns[] = {{"KEY", "key"}, {"COUNT", "count"}, {NULL, NULL}};
  char path[4096] = "/v1/violations/counts";
  json_t *json;
  add_filter(path, sizeof path, cli);
  cli_add_argument(path, sizeof path, "by", cli->by);
  cli_add_argument(path, sizeof path, "bucket", cli->bucket);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "counts"), columns);
  warn_of_extent(cli, json);
  json_decref(json);
  return CLI_OK;
}

static int list_violations(const struct cli *cli) {
  static const struct cli_column columns[] = {
      {"TIME", "time"},      {"SEVERITY", "severity"}, {"RULE", "rule"},       {"SERVICE", "service"},
      {"TRACE", "trace_id"}, {"COUNT", "count"},       {"MESSAGE", "message"}, {NULL, NULL}};
  char path[4096] = "/v1/violations";
  json_t *json;
  add_filter(path, sizeof path, cli);
  cli_add_argument(path, sizeof path, "order", cli->order);
  cli_add_argument(path, sizeof path, "limit", cli->limit);
  cli_add_argument(path, sizeof path, "after", cli->after);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  cli_print(cli, json, json_object_get(json, "violations"), columns);
  warn_of_extent(cli, json);
  json_decref(json);
  return CLI_OK;
}

static long count_lines(const char *text) {
  long lines = 0;
  for (; text && *text; text++) lines += *text == '\n';
  return lines;
}

static int tail_violations(const struct cli *cli) {
  char path[128] = "/v1/violations/tail";
  for (long seen = 0; cli->count == 0 || seen < cli->count;) {
    struct cli_answer answer;
    const int result = cli_request(cli, "GET", path, NULL, &answer);
    if (result != CLI_OK) return result;
    if (answer.status != 200) {
      const int explained = cli_explain(&answer);
      free(answer.text);
      return explained;
    }
    if (answer.text) fputs(answer.text, stdout);
    fflush(stdout);
    seen += count_lines(answer.text);
    free(answer.text);
    snprintf(path, sizeof path, "/v1/violations/tail?after=%s", answer.lsn);
    if (cli->count == 0 || seen < cli->count) usleep(200000);
  }
  return CLI_OK;
}

int cli_violations(const struct cli *cli) {
  if (cli->word_count == 2 && strcmp(cli->words[1], "list") == 0) return list_violations(cli);
  if (cli->word_count == 2 && strcmp(cli->words[1], "tail") == 0)
    return cli->cursor ? cli_tail_cursor(cli) : tail_violations(cli);
  if (cli->word_count == 2 && strcmp(cli->words[1], "count") == 0) return count_violations(cli);
  return cli_usage(cli, false);
}
