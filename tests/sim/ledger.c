#include "ledger.h"
#include "image.h"
#include "violation.h"
#include "webhook_record.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERDICT_MEMORY_NS 60000000000ull

static _Noreturn void wrong(const struct ledger *ledger, uint32_t number, const char *why) {
  const struct ledger_entry *entry = &ledger->entries[number];
  fprintf(stderr, "entry e%u (event %u, rule %s, %s, expectation %d, found %d, found before %d): %s\n", number, entry->event,
          entry->rule, entry->faulty ? "faulty" : "blameless", (int)entry->expectation, entry->found, entry->found_before, why);
  abort();
}

void ledger_free(struct ledger *ledger) { free(ledger->entries); }

uint32_t ledger_add(struct ledger *ledger, const char *rule, uint32_t event, bool faulty) {
  if (ledger->count == ledger->room) {
    ledger->room = 2 * ledger->room + 256;
    ledger->entries = realloc(ledger->entries, ledger->room * sizeof *ledger->entries);
    if (!ledger->entries) abort();
  }
  ledger->entries[ledger->count] = (struct ledger_entry){.rule = rule, .event = event, .faulty = faulty};
  return ledger->count++;
}

void ledger_name(uint32_t entry, char name[24]) { snprintf(name, 24, "e%u", entry); }

void ledger_sent(struct ledger *ledger, uint32_t number) {
  struct ledger_entry *entry = &ledger->entries[number];
  if (entry->faulty && entry->expectation == LEDGER_NEVER) entry->expectation = LEDGER_MAY;
}

void ledger_answered(struct ledger *ledger, uint32_t number, enum ledger_expectation expectation) {
  struct ledger_entry *entry = &ledger->entries[number];
  if (!entry->faulty) return;
  if (expectation == LEDGER_NEVER && (entry->found || entry->found_before)) wrong(ledger, number, "refused, and yet judged");
  if (expectation == LEDGER_DURABLE && !entry->found) wrong(ledger, number, "acknowledged as durable before it was");
  if (expectation == LEDGER_NEVER || expectation > entry->expectation) entry->expectation = expectation;
}

static void read_violation(struct ledger *ledger, const struct violation *violation) {
  char text[24] = "";
  unsigned number = 0;
  char more = 0;
  if (violation->message.length < sizeof text) memcpy(text, violation->message.at, violation->message.length);
  if (sscanf(text, "e%u%c", &number, &more) != 1 || number >= ledger->count) {
    fprintf(stderr, "a violation of rule %.*s on what was never sent: \"%.*s\"\n", (int)violation->rule.length,
            violation->rule.at, (int)violation->message.length, violation->message.at);
    abort();
  }
  struct ledger_entry *entry = &ledger->entries[number];
  if (strlen(entry->rule) != violation->rule.length || memcmp(entry->rule, violation->rule.at, violation->rule.length) != 0)
    wrong(ledger, number, "found faulty by another rule");
  const bool forgotten = entry->of_trace && violation->wall_ns - entry->judged_ns >= VERDICT_MEMORY_NS;
  entry->judged_ns = violation->wall_ns;
  if (entry->expectation == LEDGER_NEVER) wrong(ledger, number, "a false violation");
  if (entry->found && !entry->repeatable && !forgotten) wrong(ledger, number, "there twice");
  entry->found = true;
}

static _Noreturn void wrong_record(const struct record_header *record, const char *why) {
  fprintf(stderr, "a record of type %u, shard %u, %u bytes: %s\n", record->type, record->shard, record->bytes, why);
  abort();
}

/* What single events of a webhook raise names it, and stands before its record. */
static void note_raised(struct ledger *ledger, const struct record_header *record, const struct violation *violation) {
  static const uint8_t none[16];
  const uint8_t *id = violation->fixed.trace_id;
  if (violation->fixed.source != RULE_ON_WEBHOOK && violation->fixed.source != RULE_ON_ALERT) return;
  if (violation->fixed.has_trace || memcmp(id, none, sizeof none) == 0) wrong_record(record, "names no webhook");
  if (memcmp(ledger->raised[record->shard].correlation_id, id, sizeof none) != 0) ledger->raised[record->shard].violations = 0;
  memcpy(ledger->raised[record->shard].correlation_id, id, sizeof none);
  memcpy(ledger->raised[record->shard].last_id, violation->fixed.id, sizeof none);
  ledger->raised[record->shard].violations++;
}

static void read_webhook(struct ledger *ledger, const struct record_header *record) {
  struct webhook_account account;
  uint8_t sha256[32];
  if (!webhook_account_read(record, record->bytes, &account) || !account.audited) wrong_record(record, "is no webhook");
  const bool named = memcmp(ledger->raised[record->shard].correlation_id, account.record.correlation_id, 16) == 0;
  const uint32_t raised = named ? ledger->raised[record->shard].violations : 0;
  if (raised != account.audit.violations) wrong_record(record, "says of other violations than there are");
  if (raised && raised <= WEBHOOK_AUDIT_IDS_MAX &&
      memcmp(account.violation_ids[raised - 1], ledger->raised[record->shard].last_id, 16) != 0)
    wrong_record(record, "names another violation");
  if (account.body) {
    SHA256(account.body, account.record.body_bytes, sha256);
    if (memcmp(sha256, account.record.body_sha256, sizeof sha256) != 0) wrong_record(record, "has another body");
  }
  ledger->webhook_records++;
}

void ledger_read(struct ledger *ledger, const struct record_header *record) {
  struct violation violation;
  if (record->shard >= LEDGER_SHARDS_MAX) wrong_record(record, "of no shard");
  if (record->type == RECORD_WEBHOOK) {
    read_webhook(ledger, record);
    return;
  }
  if (record->type != RECORD_VIOLATION || !violation_decode(record, record->bytes, &violation))
    wrong_record(record, "is no violation");
  note_raised(ledger, record, &violation);
  read_violation(ledger, &violation);
}

void ledger_power_cut(struct ledger *ledger) {
  for (uint32_t i = 0; i < ledger->count; i++) {
    struct ledger_entry *entry = &ledger->entries[i];
    if (entry->expectation == LEDGER_RECEIVED && !entry->found) entry->expectation = LEDGER_MAY;
  }
}

void ledger_reread(struct ledger *ledger) {
  ledger->webhook_records = 0;
  memset(ledger->raised, 0, sizeof ledger->raised);
  for (uint32_t i = 0; i < ledger->count; i++) {
    struct ledger_entry *entry = &ledger->entries[i];
    entry->found_before |= entry->found;
    entry->found = false;
  }
}

void ledger_check_recovered(const struct ledger *ledger) {
  for (uint32_t i = 0; i < ledger->count; i++)
    if (ledger->entries[i].found_before && !ledger->entries[i].found) wrong(ledger, i, "was durable and is lost");
}

void ledger_check_promises(const struct ledger *ledger) {
  for (uint32_t i = 0; i < ledger->count; i++)
    if (ledger->entries[i].expectation >= LEDGER_RECEIVED && !ledger->entries[i].found)
      wrong(ledger, i, "promised, and not there");
}

uint64_t ledger_verdicts(const struct ledger *ledger, uint32_t *violations) {
  uint64_t digest = 0;
  *violations = 0;
  for (uint32_t i = 0; i < ledger->count; i++) {
    if (!ledger->entries[i].found || ledger->entries[i].repeatable) continue;
    uint64_t mixed = (ledger->entries[i].event + 1) * 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9ull;
    digest += mixed ^ mixed >> 32;
    (*violations)++;
  }
  return digest;
}
