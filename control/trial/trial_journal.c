/* A journal as it lies: what was raised, and webhooks. Those whose bodies are in it whole are judged again; spans are not in it.
 */
#include "journal_scan.h"
#include "trial_document_internal.h"
#include "trial_input_internal.h"
#include "webhook_record.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_SHARDS 256u
#define HELD_MAX 65536u /* violations at once; one request cannot raise as many */

/* What single events of a webhook raised stands before its record among those of its shard. */
struct held_violation {
  struct held_violation *next;
  uint8_t correlation_id[16];
  size_t bytes;
  uint64_t record[];
};

struct journal_reading {
  const struct trial_reader *reader;
  struct trial_report *report;
  struct held_violation *held[HELD_SHARDS], **last[HELD_SHARDS];
  uint32_t held_count;
  struct webhook_account account;
};

const char *trial_unjudged_name(enum trial_unjudged why) {
  static const char *const names[UNJUDGED_REASONS] = {"earlier_release", "body_not_kept", "body_too_large",
                                                      "verdict_missing", "refused",       "malformed"};
  return (unsigned)why < UNJUDGED_REASONS ? names[why] : "unknown";
}

static void give(struct journal_reading *reading, const struct violation *violation, bool judged_again) {
  if (reading->reader->violation) reading->reader->violation(reading->reader->context, violation, judged_again);
}

static void let_go(struct journal_reading *reading, uint16_t shard, const uint8_t *correlation_id, bool judged_again) {
  struct violation violation;
  while (reading->held[shard]) {
    struct held_violation *held = reading->held[shard];
    const bool own = correlation_id && memcmp(held->correlation_id, correlation_id, 16) == 0;
    if (violation_decode(held->record, held->bytes, &violation)) give(reading, &violation, own && judged_again);
    reading->held[shard] = held->next;
    reading->held_count--;
    free(held);
  }
}

static bool hold(struct journal_reading *reading, const struct record_header *record, const struct violation *violation) {
  static const uint8_t none[16];
  const bool of_webhook = violation->fixed.source == RULE_ON_WEBHOOK || violation->fixed.source == RULE_ON_ALERT;
  if (!of_webhook || violation->fixed.has_trace || memcmp(violation->fixed.trace_id, none, sizeof none) == 0 ||
      record->shard >= HELD_SHARDS || reading->held_count == HELD_MAX)
    return false;
  struct held_violation *held = malloc(sizeof *held + record->bytes);
  if (!held) return false;
  *held = (struct held_violation){.bytes = record->bytes};
  memcpy(held->correlation_id, violation->fixed.trace_id, sizeof held->correlation_id);
  memcpy(held->record, record, record->bytes);
  if (!reading->held[record->shard]) reading->last[record->shard] = &reading->held[record->shard];
  *reading->last[record->shard] = held;
  reading->last[record->shard] = &held->next;
  reading->held_count++;
  return true;
}

static uint32_t count_held(const struct journal_reading *reading, uint16_t shard, const uint8_t correlation_id[16]) {
  uint32_t count = 0;
  for (const struct held_violation *held = reading->held[shard]; held; held = held->next)
    count += memcmp(held->correlation_id, correlation_id, 16) == 0;
  return count;
}

/* UNJUDGED_REASONS: it was judged again. */
static enum trial_unjudged judge(struct journal_reading *reading) {
  struct webhook_account *account = &reading->account;
  const struct webhook_record *record = &account->record;
  char source[sizeof record->source + 1] = "";
  if (!account->audited) return UNJUDGED_EARLIER_RELEASE;
  if (!account->body) return account->audit.flags & WEBHOOK_BODY_TOO_LARGE ? UNJUDGED_TOO_LARGE : UNJUDGED_NOT_KEPT;
  if (count_held(reading, record->header.shard, record->correlation_id) != account->audit.violations)
    return UNJUDGED_VERDICT_MISSING;
  memcpy(source, record->source, record->source_length);
  const struct trial_body body = {.format = TRIAL_RECORDED_WEBHOOK,
                                  .bytes = account->body,
                                  .length = record->body_bytes,
                                  .source = source,
                                  .recorded = record};
  struct trial_answer answer = {.refusal = TRIAL_TOO_LARGE};
  if (reading->reader->body) reading->reader->body(reading->reader->context, record->header.wall_ns, &body, &answer);
  return answer.refusal == TRIAL_TAKEN ? UNJUDGED_REASONS : UNJUDGED_REFUSED;
}

static void take_webhook(struct journal_reading *reading, const struct record_header *record) {
  enum trial_unjudged why = UNJUDGED_MALFORMED;
  reading->report->recorded_webhooks++;
  const bool readable = record->shard < HELD_SHARDS && webhook_account_read(record, record->bytes, &reading->account);
  if (readable) why = judge(reading);
  if (why < UNJUDGED_REASONS)
    reading->report->webhooks_not_judged[why]++;
  else
    reading->report->webhooks_judged++;
  if (readable) let_go(reading, record->shard, reading->account.record.correlation_id, why == UNJUDGED_REASONS);
}

static void take_record(void *context, uint64_t lsn, uint64_t segment, uint64_t offset, const struct record_header *record) {
  struct journal_reading *reading = context;
  struct violation violation;
  (void)lsn, (void)segment, (void)offset;
  reading->report->journal_records++;
  if (record->type == RECORD_WEBHOOK) take_webhook(reading, record);
  if (record->type == RECORD_VIOLATION && violation_decode(record, record->bytes, &violation)) {
    reading->report->recorded_violations++;
    if (!hold(reading, record, &violation)) give(reading, &violation, false);
  }
  if (reading->reader->progress) reading->reader->progress(reading->reader->context, 0, 0);
}

static int scan_journal(struct journal_io *io, struct journal_reading *reading, struct journal_scan *scan) {
  const struct journal_scan_handler handler = {.context = reading, .record = take_record};
  const int result = journal_scan(io, &handler, scan);
  for (uint16_t shard = 0; shard < HELD_SHARDS; shard++) let_go(reading, shard, NULL, false);
  return result;
}

bool trial_journal_read(const char *directory, const struct trial_reader *reader, struct trial_report *report,
                        struct rule_errors *errors) {
  struct journal_scan scan;
  int error = 0;
  report->recording = RECORDING_JOURNAL;
  report->format = "journal";
  struct journal_io *io = journal_read_only_io_create(directory, &error);
  struct journal_reading *reading = io ? calloc(1, sizeof *reading) : NULL;
  if (io) {
    error = -ENOMEM;
    if (reading) {
      *reading = (struct journal_reading){.reader = reader, .report = report};
      error = scan_journal(io, reading, &scan);
    }
    free(reading);
    io->operations->destroy(io);
  }
  if (error < 0) {
    trial_error_file(errors, directory, "the journal cannot be read: %s",
                     error == -EPROTONOSUPPORT ? "a later version wrote it" : strerror(-error));
    return false;
  }
  if (scan.newest.version == 0) {
    trial_error_file(errors, directory, "is no journal's folder");
    return false;
  }
  report->journal_damages = scan.damages;
  report->total_bytes = scan.batch_bytes;
  return true;
}
