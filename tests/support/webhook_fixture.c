#include "webhook_fixture.h"
#include "replay_table.h"
#include "sha256_of_run.h"
#include <string.h>

void webhook_fixture_correlation_id(const struct webhook_fixture *webhook, uint8_t id[16]) {
  const uint64_t ms = webhook->wall_ns / 1000000;
  for (unsigned i = 0; i < 6; i++) id[i] = (uint8_t)(ms >> (40 - 8 * i));
  id[6] = 0x70;
  id[7] = 0;
  memcpy(id + 8, &webhook->number, 8);
}

static void fill(struct webhook_account *account, const struct webhook_fixture *webhook) {
  *account = (struct webhook_account){.audited = !webhook->short_form};
  struct webhook_record *record = &account->record;
  *record = (struct webhook_record){.header = {.type = RECORD_WEBHOOK, .shard = webhook->shard, .wall_ns = webhook->wall_ns},
                                    .status = webhook->status,
                                    .source_kind = (uint8_t)webhook->kind,
                                    .source_length = (uint8_t)strlen(webhook->source),
                                    .body_bytes = (uint32_t)strlen(webhook->body)};
  memcpy(record->source, webhook->source, record->source_length);
  webhook_fixture_correlation_id(webhook, record->correlation_id);
  sha256(webhook->body, record->body_bytes, record->body_sha256);
  if (webhook->claimed_id) {
    const struct replay_key key =
        replay_key_of(webhook->source, record->source_length, webhook->claimed_id, (uint32_t)strlen(webhook->claimed_id));
    memcpy(record->id_key, key.bytes, sizeof record->id_key);
    record->remember_until_ns = webhook->wall_ns + 1000000000;
  }
}

bool webhook_fixture_publish(struct record_ring *ring, const struct webhook_fixture *webhook) {
  struct webhook_account account;
  fill(&account, webhook);
  account.audit = (struct webhook_audit){.received_ns = webhook->wall_ns,
                                         .generation = 1,
                                         .peer = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1},
                                         .peer_port = 4242,
                                         .flags = webhook->too_large ? WEBHOOK_BODY_TOO_LARGE : WEBHOOK_BODY_KEPT,
                                         .violations = webhook->violations};
  if (!webhook->too_large) {
    account.body = (const uint8_t *)webhook->body;
    account.audit.kept_bytes = account.record.body_bytes;
  }
  if (webhook->header_value)
    webhook_account_add_header(&account, (struct event_text){"x-sent-by", 9},
                               (struct event_text){webhook->header_value, (uint32_t)strlen(webhook->header_value)});
  void *room = record_ring_reserve(ring, account.record.header.bytes = webhook_account_bytes(&account));
  if (!room) return false;
  webhook_account_write(&account, room);
  record_ring_publish(ring);
  return true;
}
