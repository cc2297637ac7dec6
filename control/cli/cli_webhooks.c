/* `tripline webhooks`: what was accepted, from whom, and what the rules said. */
#include "cli_internal.h"
#include <stdlib.h>
#include <string.h>

static void print_more(json_t *json) {
  const char *next = json_string_value(json_object_get(json, "next"));
  if (next) fprintf(stderr, "more: --after %s\n", next);
}

/* The table is flat, the verdict is not. */
static void raise_violations(json_t *webhooks) {
  size_t index;
  json_t *webhook;
  json_array_foreach(webhooks, index, webhook) {
    json_t *violations = json_object_get(json_object_get(webhook, "verdict"), "violations");
    json_object_set(webhook, "violations", violations ? violations : json_null());
  }
}

static int list_webhooks(const struct cli *cli) {
  static const struct cli_column columns[] = {
      {"TIME", "time"}, {"SOURCE", "source"},    {"STATUS", "status"},   {"VIOLATIONS", "violations"},
      {"PEER", "peer"}, {"BYTES", "body_bytes"}, {"BODY", "body_state"}, {"CORRELATION ID", "correlation_id"},
      {NULL, NULL}};
  char path[4096] = "/v1/webhooks";
  json_t *json;
  cli_add_argument(path, sizeof path, "source", cli->source);
  cli_add_argument(path, sizeof path, "status", cli->status);
  cli_add_argument(path, sizeof path, "webhook_id", cli->id);
  cli_add_argument(path, sizeof path, "correlation_id", cli->correlation);
  cli_add_argument(path, sizeof path, "since", cli->since);
  cli_add_argument(path, sizeof path, "until", cli->until);
  cli_add_argument(path, sizeof path, "limit", cli->limit);
  cli_add_argument(path, sizeof path, "after", cli->after);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  if (cli->output == OUTPUT_TABLE) raise_violations(json_object_get(json, "webhooks"));
  cli_print(cli, json, json_object_get(json, "webhooks"), columns);
  if (cli->output == OUTPUT_TABLE) print_more(json);
  json_decref(json);
  return CLI_OK;
}

static void print_texts(json_t *json, const char *key, const char *title) {
  size_t index;
  json_t *item;
  json_array_foreach(json_object_get(json, key), index, item) printf("%-36s %s\n", title, json_string_value(item));
}

static int show_webhook(const struct cli *cli) {
  char path[256];
  json_t *json;
  if (strlen(cli->words[2]) != 36 || strchr(cli->words[2], '/')) {
    fputs("tripline: a webhook is named by its correlation id, 36 characters\n", stderr);
    return CLI_USAGE;
  }
  snprintf(path, sizeof path, "/v1/webhooks/%s", cli->words[2]);
  const int result = cli_get(cli, path, &json);
  if (result != CLI_OK) return result;
  if (cli->output == OUTPUT_TABLE) {
    static const struct cli_column headers[] = {
        {"HEADER", "name"}, {"VALUE", "value"}, {"ENCODING", "encoding"}, {"CUT", "cut"}, {NULL, NULL}};
    cli_print_pairs(json);
    print_texts(json_object_get(json, "verdict"), "violation_ids", "verdict.violation_id");
    if (json_array_size(json_object_get(json, "headers"))) {
      putchar('\n');
      cli_print(cli, json, json_object_get(json, "headers"), headers);
    }
  } else {
    cli_print(cli, json, NULL, NULL);
  }
  json_decref(json);
  return CLI_OK;
}

int cli_webhooks(const struct cli *cli) {
  if (cli->word_count == 2 && strcmp(cli->words[1], "list") == 0) return list_webhooks(cli);
  if (cli->word_count == 3 && strcmp(cli->words[1], "show") == 0) return show_webhook(cli);
  return cli_usage(cli, false);
}
