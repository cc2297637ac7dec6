#include "cli_journal_internal.h"
#include "hexadecimal.h"
#include "journal_checkpoint.h"
#include "json_values.h"
#include "json_webhook.h"
#include "uuid7.h"
#include "violation.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct output {
  const struct cli *cli;
  char node[37];
  uint64_t from_lsn, left; /* records to print yet */
  uint64_t since_ns, until_ns;
  bool csv, webhooks;
  struct rules_reader rules;
  struct webhook_account account; /* that is printed */
};

static const char *const type_words[] = {"?",         "violation",  "webhook",      "rules_begin", "rules_chunk", "rules_commit",
                                         "retention", "replay_ids", "state_commit", "checkpoint",  "cursor",      "cursors"};

static void print_line(json_t *json) {
  char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
  if (text) puts(text);
  free(text);
  json_decref(json);
}

static json_t *checkpoint_json(const struct checkpoint_record *checkpoint) {
  char chain[2 * JOURNAL_CHAIN_BYTES + 1] = "";
  hex_encode(checkpoint->chain, sizeof checkpoint->chain, chain);
  return json_pack("{s:I, s:s, s:s%, s:s}", "lsn", (json_int_t)checkpoint->lsn, "chain", chain, "key_id", checkpoint->key_id,
                   strnlen(checkpoint->key_id, sizeof checkpoint->key_id), "algorithm",
                   checkpoint->algorithm == CHECKPOINT_ED25519       ? "ed25519"
                   : checkpoint->algorithm == CHECKPOINT_HMAC_SHA256 ? "hmac-sha256"
                                                                     : "?");
}

static void dump_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct output *output = context;
  struct violation violation;
  json_t *rules = cli_journal_rules(&output->rules, record);
  if (lsn < output->from_lsn || output->left == 0) {
    json_decref(rules);
    return;
  }
  output->left--;
  json_t *json =
      json_pack("{s:I, s:s, s:i, s:o, s:o, s:I, s:I, s:I}", "lsn", (json_int_t)lsn, "type",
                record->type < sizeof type_words / sizeof *type_words ? type_words[record->type] : "?", "type_number",
                (int)record->type, "shard", record->shard == RECORD_SHARD_CONTROL ? json_null() : json_integer(record->shard),
                "time", json_time(record->wall_ns), "bytes", (json_int_t)record->bytes, "segment", (json_int_t)segment,
                "batch_offset", (json_int_t)offset);
  if (record->type == RECORD_VIOLATION && violation_decode(record, record->bytes, &violation))
    json_object_set_new(json, "violation", json_violation(&violation, lsn, output->node));
  if (record->type == RECORD_WEBHOOK && webhook_account_read(record, record->bytes, &output->account))
    json_object_set_new(json, "webhook", json_webhook(&output->account, lsn, output->node, true));
  if (record->type == RECORD_CHECKPOINT && record->bytes == sizeof(struct checkpoint_record))
    json_object_set_new(json, "checkpoint", checkpoint_json((const struct checkpoint_record *)record));
  json_t *cursors = cli_journal_cursors(lsn, record);
  if (cursors) json_object_set_new(json, "cursors", cursors);
  if (rules) json_object_set_new(json, "rules", rules);
  print_line(json);
}

static void print_csv_field(json_t *value, bool last) {
  char *made = NULL;
  const char *text = json_string_value(value);
  if (json_is_array(value) || json_is_object(value))
    text = made = json_dumps(value, JSON_COMPACT);
  else if (value && !text && !json_is_null(value))
    text = made = json_dumps(value, JSON_ENCODE_ANY);
  if (!text) text = "";
  const bool quoted = text[strcspn(text, ",\"\r\n")] != '\0';
  if (quoted) putchar('"');
  for (; *text; text++) {
    if (*text == '"') putchar('"');
    putchar(*text);
  }
  if (quoted) putchar('"');
  fputs(last ? "\r\n" : ",", stdout);
  free(made);
}

static const char *const violation_columns[] = {
    "lsn",        "time",      "severity", "rule", "rule_version", "source",     "service", "trace_id",       "span_ids", "count",
    "first_seen", "last_seen", "message",  "id",   "node",         "attributes", "shard",   "correlation_id", NULL};
/* Those of the verdict after the others; each webhook in a line of its own, headers and ids as JSON. */
static const char *const webhook_columns[] = {"lsn",
                                              "time",
                                              "received",
                                              "source",
                                              "kind",
                                              "status",
                                              "peer",
                                              "peer_port",
                                              "id_key",
                                              "id_remembered_until",
                                              "correlation_id",
                                              "headers",
                                              "headers_left_out",
                                              "body_bytes",
                                              "body_sha256",
                                              "body_state",
                                              "body",
                                              "body_encoding",
                                              "node",
                                              "shard",
                                              "generation",
                                              "violations",
                                              "shadow_matches",
                                              "window_matches",
                                              "partial",
                                              "violation_ids",
                                              NULL};

static void print_csv_line(json_t *json, const char *const *columns) {
  json_t *verdict = json_object_get(json, "verdict");
  for (; *columns; columns++) {
    json_t *value = json_object_get(json, *columns);
    if (!value) value = json_object_get(verdict, *columns);
    print_csv_field(value, columns[1] == NULL);
  }
}

static bool text_is(struct event_text text, const char *wanted) {
  return text.at && strlen(wanted) == text.length && memcmp(text.at, wanted, text.length) == 0;
}

static bool wanted(const struct output *output, const struct violation *violation) {
  const struct cli *cli = output->cli;
  return (!cli->rule || text_is(violation->rule, cli->rule)) && (!cli->service || text_is(violation->service, cli->service)) &&
         (!cli->severity || strcmp(cli->severity, severity_word(violation->fixed.severity)) == 0) &&
         (!cli->source || strcmp(cli->source, rule_on_word(violation->fixed.source)) == 0) &&
         (!output->since_ns || violation->wall_ns >= output->since_ns) &&
         (!output->until_ns || violation->wall_ns < output->until_ns);
}

static bool webhook_wanted(const struct output *output, const struct webhook_record *webhook) {
  const char *source = output->cli->source;
  return (!source || text_is((struct event_text){webhook->source, webhook->source_length}, source)) &&
         (!output->since_ns || webhook->header.wall_ns >= output->since_ns) &&
         (!output->until_ns || webhook->header.wall_ns < output->until_ns);
}

static void export_webhook(struct output *output, uint64_t lsn, const struct record_header *record) {
  if (!webhook_account_read(record, record->bytes, &output->account) || !webhook_wanted(output, &output->account.record)) return;
  output->left--;
  json_t *json = json_webhook(&output->account, lsn, output->node, true);
  if (!output->csv) {
    print_line(json);
    return;
  }
  print_csv_line(json, webhook_columns);
  json_decref(json);
}

static void export_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct output *output = context;
  struct violation violation;
  (void)segment, (void)offset;
  if (record->type != (output->webhooks ? RECORD_WEBHOOK : RECORD_VIOLATION) || lsn < output->from_lsn || output->left == 0)
    return;
  if (output->webhooks) {
    export_webhook(output, lsn, record);
    return;
  }
  if (!violation_decode(record, record->bytes, &violation) || !wanted(output, &violation)) return;
  output->left--;
  json_t *json = json_violation(&violation, lsn, output->node);
  if (!output->csv) {
    print_line(json);
    return;
  }
  print_csv_line(json, violation_columns);
  json_decref(json);
}

static bool read_number(const char *text, uint64_t otherwise, uint64_t *number) {
  char *end = NULL;
  *number = otherwise;
  if (!text) return true;
  if (*text < '0' || *text > '9') return false;
  *number = strtoull(text, &end, 10);
  return *end == '\0';
}

static bool read_output(const struct cli *cli, struct output *output) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  *output = (struct output){.cli = cli};
  if (cli->format && strcmp(cli->format, "jsonl") != 0 && strcmp(cli->format, "csv") != 0) return false;
  if (cli->type && strcmp(cli->type, "violation") != 0 && strcmp(cli->type, "webhook") != 0) return false;
  output->csv = cli->format && strcmp(cli->format, "csv") == 0;
  output->webhooks = cli->type && strcmp(cli->type, "webhook") == 0;
  return read_number(cli->from, 0, &output->from_lsn) && read_number(cli->limit, UINT64_MAX, &output->left) &&
         (!cli->since || parse_time(cli->since, now_ns, &output->since_ns)) &&
         (!cli->until || parse_time(cli->until, now_ns, &output->until_ns));
}

static int print_records(const struct cli *cli, void (*record)(void *context, uint64_t lsn, uint64_t segment, uint64_t offset,
                                                               const struct record_header *record)) {
  struct output output;
  struct journal_scan scan;
  if (!read_output(cli, &output)) {
    fputs("tripline: --from and --limit are numbers, --since and --until times, --format is jsonl or csv, --type is violation "
          "or webhook\n",
          stderr);
    return CLI_USAGE;
  }
  struct journal_io *io = cli_journal_open(cli);
  if (!io) return CLI_FAILED;
  /* Once for the node's name, which every violation carries, and to know what is damaged before anything is printed. */
  int result = journal_scan(io, &(struct journal_scan_handler){0}, &scan);
  if (result == 0 && scan.newest.version) uuid7_text(scan.newest.node_id, output.node);
  const char *const *columns = output.webhooks ? webhook_columns : violation_columns;
  for (; output.csv && *columns; columns++) printf("%s%s", *columns, columns[1] ? "," : "\r\n");
  const struct journal_scan_handler handler = {.context = &output, .record = record};
  if (result == 0) result = journal_scan(io, &handler, &scan);
  io->operations->destroy(io);
  rules_reader_free(&output.rules);
  if (result < 0) {
    fprintf(stderr, "tripline: the journal cannot be read: %s\n", strerror(-result));
    return CLI_FAILED;
  }
  if (scan.damages == 0) return CLI_OK;
  fprintf(stderr, "tripline: the journal is damaged in %llu places, the first: ", (unsigned long long)scan.damages);
  cli_journal_print_damage(stderr, &scan.first_damage);
  return CLI_FAILED;
}

int cli_journal_dump(const struct cli *cli) { return print_records(cli, dump_record); }

int cli_journal_export(const struct cli *cli) { return print_records(cli, export_record); }
