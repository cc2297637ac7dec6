#include "cli_journal_internal.h"
#include "hexadecimal.h"
#include "journal_salvage.h"
#include "uuid7.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory_of(const struct cli *cli) {
  static const char *const usual[] = {"./tripline-data/journal", "/var/lib/tripline/journal"};
  if (cli->directory) return cli->directory;
  return access(usual[0], F_OK) == 0 ? usual[0] : usual[1];
}

struct journal_io *cli_journal_open(const struct cli *cli) {
  int error;
  struct journal_io *io = journal_read_only_io_create(directory_of(cli), &error);
  if (!io) fprintf(stderr, "tripline: %s: %s\n", directory_of(cli), strerror(-error));
  return io;
}

static void hash_text(const uint8_t chain[JOURNAL_CHAIN_BYTES], char text[2 * JOURNAL_CHAIN_BYTES + 1]) {
  hex_encode(chain, JOURNAL_CHAIN_BYTES, text);
  text[2 * JOURNAL_CHAIN_BYTES] = '\0';
}

static json_t *damage_json(const struct journal_damage *damage) {
  const bool lost = damage->first_lsn > 0;
  return json_pack("{s:s, s:I, s:I, s:o, s:o, s:s}", "file", damage->file, "offset", (json_int_t)damage->offset, "bytes",
                   (json_int_t)damage->bytes, "first_lost_lsn", lost ? json_integer((json_int_t)damage->first_lsn) : json_null(),
                   "last_lost_lsn", lost ? json_integer((json_int_t)damage->last_lsn) : json_null(), "what", damage->what);
}

void cli_journal_print_damage(void *context, const struct journal_damage *damage) {
  FILE *out = context;
  fprintf(out, "%s: offset %llu: %s", damage->file, (unsigned long long)damage->offset, damage->what);
  if (damage->first_lsn)
    fprintf(out, "; lost: LSN %llu to %llu", (unsigned long long)damage->first_lsn, (unsigned long long)damage->last_lsn);
  fputc('\n', out);
}

json_t *cli_journal_scan_json(const struct journal_scan *scan) {
  char node[37] = "", chain[2 * JOURNAL_CHAIN_BYTES + 1] = "";
  if (scan->newest.version) uuid7_text(scan->newest.node_id, node);
  hash_text(scan->chain, chain);
  return json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "node", node, "version",
                   (int)scan->newest.version, "segments", (json_int_t)scan->segments, "unused_segments",
                   (json_int_t)scan->unused_segments, "batches", (json_int_t)scan->batches, "batch_bytes",
                   (json_int_t)scan->batch_bytes, "records", (json_int_t)scan->records, "first_lsn", (json_int_t)scan->first_lsn,
                   "last_lsn", (json_int_t)scan->last_lsn, "state_lsn", (json_int_t)scan->newest.state_lsn, "oldest_segment",
                   (json_int_t)scan->newest.oldest_segment, "torn_tail_bytes", (json_int_t)scan->torn_bytes, "damages",
                   (json_int_t)scan->damages, "first_damage", scan->damages ? damage_json(&scan->first_damage) : json_null(),
                   "hash_chain_end", scan->chained ? json_string(chain) : json_null());
}

int cli_journal_read_failed(int error) {
  fprintf(stderr, "tripline: the journal cannot be read: %s\n",
          error == -EPROTONOSUPPORT ? "a later version wrote it" : strerror(-error));
  return CLI_FAILED;
}

void cli_journal_print(const struct cli *cli, json_t *json) {
  if (cli->output == OUTPUT_TABLE)
    cli_print_pairs(json);
  else
    cli_print(cli, json, NULL, NULL);
  json_decref(json);
}

/* Of headers and the newest segment: quick, however much is kept. */
static int info(const struct cli *cli) {
  struct journal_scan scan;
  struct journal_io *io = cli_journal_open(cli);
  if (!io) return CLI_FAILED;
  const struct journal_scan_handler handler = {.context = stderr, .newest_only = true, .damage = cli_journal_print_damage};
  const int result = journal_scan(io, &handler, &scan);
  io->operations->destroy(io);
  if (result < 0) return cli_journal_read_failed(result);
  char node[37] = "";
  if (scan.newest.version) uuid7_text(scan.newest.node_id, node);
  json_t *json =
      json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I}", "node", node, "version", (int)scan.newest.version,
                "segments", (json_int_t)scan.segments, "unused_segments", (json_int_t)scan.unused_segments, "segment_bytes",
                (json_int_t)scan.newest.segment_bytes, "newest_segment", (json_int_t)scan.newest.segment, "first_lsn",
                (json_int_t)scan.first_lsn, "last_lsn", (json_int_t)scan.last_lsn, "state_lsn", (json_int_t)scan.newest.state_lsn,
                "oldest_segment", (json_int_t)scan.newest.oldest_segment, "hash_chain",
                scan.newest.chain_kind == JOURNAL_CHAIN_SHA256, "torn_tail_bytes", (json_int_t)scan.torn_bytes);
  cli_journal_print(cli, json);
  return CLI_OK;
}

static int salvage(const struct cli *cli) {
  struct journal_scan scan;
  uint64_t records = 0, salt = 0;
  const char *why = "";
  int error = 0;
  if (!cli->to) {
    fputs("tripline: journal salvage needs --to DIRECTORY for the new journal\n", stderr);
    return CLI_USAGE;
  }
  struct journal_io *from = cli_journal_open(cli);
  if (!from) return CLI_FAILED;
  struct journal_io *to = journal_io_uring_create(cli->to, &error, &why);
  if (to && getrandom(&salt, sizeof salt, 0) != sizeof salt) error = -EIO;
  const struct journal_scan_handler handler = {.context = stderr, .damage = cli_journal_print_damage};
  if (to && error == 0) error = journal_salvage(from, to, salt, &handler, &scan, &records, &why);
  if (to) to->operations->destroy(to);
  from->operations->destroy(from);
  if (error < 0) {
    fprintf(stderr, "tripline: %s: %s: %s\n", cli->to, why, strerror(-error));
    return CLI_FAILED;
  }
  printf("%llu records of LSN %llu to %llu are in %s as LSN 1 to %llu; %llu damaged places. The old journal is as it was\n",
         (unsigned long long)records, (unsigned long long)scan.first_lsn, (unsigned long long)scan.last_lsn, cli->to,
         (unsigned long long)records, (unsigned long long)scan.damages);
  return CLI_OK;
}

static int flush(const struct cli *cli) {
  struct cli_answer answer;
  const int result = cli_request(cli, "POST", "/v1/journal/flush", "{}", &answer);
  if (result != CLI_OK) return result;
  const int explained = answer.status == 200 ? CLI_OK : cli_explain(&answer);
  json_t *json = answer.status == 200 ? json_loads(answer.text, 0, NULL) : NULL;
  if (json && cli->output == OUTPUT_TABLE)
    printf("durable up to LSN %lld\n", (long long)json_integer_value(json_object_get(json, "durable_lsn")));
  else if (json)
    cli_print(cli, json, NULL, NULL);
  json_decref(json);
  free(answer.text);
  return explained;
}

int cli_journal(const struct cli *cli) {
  static const struct {
    const char *verb;
    int (*run)(const struct cli *cli);
  } verbs[] = {{"info", info},   {"verify", cli_journal_verify}, {"salvage", salvage},
               {"flush", flush}, {"dump", cli_journal_dump},     {"export", cli_journal_export}};
  for (size_t i = 0; cli->word_count == 2 && i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(cli->words[1], verbs[i].verb) == 0) return verbs[i].run(cli);
  return cli_usage(cli, false);
}
