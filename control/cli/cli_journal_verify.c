#include "checkpoint_audit.h"
#include "cli_journal_internal.h"
#include "json_values.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct verification {
  struct checkpoint_key *keys[CLI_KEYS_MAX];
  int key_count;
  struct checkpoint_audit *audit;
  struct journal_scan scan;
  struct checkpoint_report report;
};

static bool load_key(struct verification *verification, const char *text) {
  char id[CHECKPOINT_KEY_ID_BYTES + 1], error[512];
  const char *equals = strchr(text, '=');
  const size_t length = equals ? (size_t)(equals - text) : 0;
  if (length == 0 || length > CHECKPOINT_KEY_ID_BYTES) {
    fprintf(stderr, "tripline: --key is ID=FILE, the id at most %d characters\n", CHECKPOINT_KEY_ID_BYTES);
    return false;
  }
  memcpy(id, text, length);
  id[length] = '\0';
  struct checkpoint_key *key = checkpoint_key_load(id, equals + 1, false, error, sizeof error);
  if (key) verification->keys[verification->key_count++] = key;
  if (!key) fprintf(stderr, "tripline: key %s: %s\n", id, error);
  return key != NULL;
}

static void on_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  const struct verification *verification = context;
  (void)segment, (void)offset;
  checkpoint_audit_record(verification->audit, lsn, record);
}

static void on_batch(void *context, uint64_t last_lsn, const uint8_t *chain) {
  const struct verification *verification = context;
  checkpoint_audit_batch(verification->audit, last_lsn, chain);
}

static void on_damage(void *context, const struct journal_damage *damage) {
  (void)context;
  cli_journal_print_damage(stderr, damage);
}

static int walk(const struct cli *cli, struct verification *verification) {
  struct journal_io *io = cli_journal_open(cli);
  if (!io) return CLI_FAILED;
  const struct journal_scan_handler handler = {
      .context = verification, .batch = on_batch, .record = on_record, .damage = on_damage};
  const int result = journal_scan(io, &handler, &verification->scan);
  io->operations->destroy(io);
  if (result < 0) return cli_journal_read_failed(result);
  if (checkpoint_audit_result(verification->audit, &verification->report)) return CLI_OK;
  fputs("tripline: no memory for the chain between two checkpoints\n", stderr);
  return CLI_FAILED;
}

static void print(const struct cli *cli, const struct verification *verification) {
  const struct checkpoint_report *report = &verification->report;
  const struct journal_scan *scan = &verification->scan;
  json_t *json = cli_journal_scan_json(scan);
  json_t *checkpoints =
      json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "checkpoints", (json_int_t)report->checkpoints, "checkpoints_verified",
                (json_int_t)report->verified, "checkpoints_of_unknown_keys", (json_int_t)report->unknown_keys,
                "checkpoints_older", (json_int_t)report->older, "checkpoints_wrong", (json_int_t)report->wrong, "signed_lsn",
                report->signed_lsn ? json_integer((json_int_t)report->signed_lsn) : json_null(), "signed_at",
                report->signed_lsn ? json_time(report->signed_wall_ns) : json_null());
  json_object_update(json, checkpoints);
  json_decref(checkpoints);
  cli_journal_print(cli, json);
  if (cli->output != OUTPUT_TABLE || scan->damages || report->wrong) return;
  printf("whole: LSN %llu to %llu, %s\n", (unsigned long long)scan->first_lsn, (unsigned long long)scan->last_lsn,
         scan->chained ? "the hash chain holds" : "by checksums; not all of it has a hash chain");
  if (report->signed_lsn)
    printf("signed: LSN %llu to %llu; the %llu after them are not yet\n", (unsigned long long)scan->first_lsn,
           (unsigned long long)report->signed_lsn, (unsigned long long)(scan->last_lsn - report->signed_lsn));
}

/* With keys at hand it must be signed by one of them: who can write it anew can leave the checkpoints out, too. */
static int judge(const struct verification *verification) {
  const struct journal_scan *scan = &verification->scan;
  const struct checkpoint_report *report = &verification->report;
  if (scan->damages > 0) {
    fputs("first break: ", stderr);
    cli_journal_print_damage(stderr, &scan->first_damage);
  }
  if (report->wrong > 0)
    fprintf(stderr, "first wrong checkpoint: LSN %llu: %s\n", (unsigned long long)report->first_wrong_lsn, report->first_wrong);
  const bool unsigned_whole = verification->key_count > 0 && report->signed_lsn == 0;
  if (unsigned_whole) fputs("tripline: nothing in it is signed by the keys that were given\n", stderr);
  return scan->damages || report->wrong || unsigned_whole ? CLI_FAILED : CLI_OK;
}

int cli_journal_verify(const struct cli *cli) {
  struct verification verification = {.key_count = 0};
  int result = CLI_OK;
  for (int i = 0; i < cli->key_count && result == CLI_OK; i++)
    if (!load_key(&verification, cli->keys[i])) result = CLI_USAGE;
  verification.audit = checkpoint_audit_create(verification.keys, (size_t)verification.key_count);
  if (!verification.audit) result = CLI_FAILED;
  if (result == CLI_OK) result = walk(cli, &verification);
  if (result == CLI_OK) {
    print(cli, &verification);
    result = judge(&verification);
  }
  checkpoint_audit_free(verification.audit);
  for (int i = 0; i < verification.key_count; i++) checkpoint_key_free(verification.keys[i]);
  return result;
}
