#include "shard_internal.h"
#include "webhook_record.h"

/* As they came, repetitions too. */
static void keep_headers(struct webhook_account *account, const struct webhook_recording *recording,
                         const struct http_request *request) {
  for (uint32_t h = 0; recording->header_count && h < request->header_count; h++) {
    const struct http_header *header = &request->headers[h];
    for (uint32_t i = 0; i < recording->header_count; i++) {
      if (recording->headers[i].length != header->name.length ||
          memcmp(recording->headers[i].name, header->name.at, header->name.length) != 0)
        continue;
      webhook_account_add_header(account, (struct event_text){header->name.at, header->name.length},
                                 (struct event_text){header->value.at, header->value.length});
      break;
    }
  }
}

static void keep_body(struct webhook_account *account, const struct webhook_recording *recording,
                      const struct http_request *request) {
  if (recording->body_bytes == 0) return;
  if (request->body_bytes > recording->body_bytes) {
    account->audit.flags |= WEBHOOK_BODY_TOO_LARGE;
    return;
  }
  account->audit.flags |= WEBHOOK_BODY_KEPT;
  account->audit.kept_bytes = request->body_bytes;
  account->body = request->body;
}

static void fill_record(struct webhook_record *record, uint32_t bytes, const struct shard *shard, const struct parked *parked,
                        const struct http_request *request) {
  *record = (struct webhook_record){
      .header = {.type = RECORD_WEBHOOK, .shard = shard->config.shard, .bytes = bytes, .wall_ns = shard->wall_ns},
      .status = parked->answer.status,
      .source_kind = (uint8_t)parked->source->kind,
      .source_length = (uint8_t)strlen(parked->source->name),
      .body_bytes = request->body_bytes};
  memcpy(record->correlation_id, parked->answer.correlation_id, sizeof record->correlation_id);
  if (parked->claimed) {
    memcpy(record->id_key, parked->key.bytes, sizeof record->id_key);
    record->remember_until_ns = parked->remember_until_ns;
  }
  memcpy(record->body_sha256, parked->body_sha256, sizeof record->body_sha256);
  memcpy(record->source, parked->source->name, record->source_length);
}

static void fill_audit(struct webhook_audit *audit, const struct webhook_audit *kept, const struct engine_verdict *verdict,
                       const struct parked *parked, const struct http_request *request) {
  *audit = (struct webhook_audit){.received_ns = parked->received_wall_ns,
                                  .generation = verdict->generation,
                                  .peer_port = request->peer_port,
                                  .flags = (uint16_t)(kept->flags | (verdict->partial ? WEBHOOK_VERDICT_PARTIAL : 0)),
                                  .violations = verdict->violations,
                                  .shadow_matches = verdict->shadow_matches,
                                  .window_matches = verdict->window_matches,
                                  .kept_bytes = kept->kept_bytes,
                                  .headers_left_out = kept->headers_left_out,
                                  .header_count = kept->header_count,
                                  .violation_id_count = kept->violation_id_count};
  ip_address_store(audit->peer, &request->peer);
}

/* The fixed parts are filled where they will be read: a webhook of which nothing is kept costs no copy more. */
bool shard_reserve_webhook_record(struct shard *shard, const struct parked *parked, const struct http_request *request,
                                  bool *never) {
  const struct engine_verdict verdict = engine_verdict(shard->engine);
  struct webhook_account account;
  account.audited = true;
  account.audit = (struct webhook_audit){.violation_id_count = (uint8_t)verdict.raised_id_count};
  account.violation_ids = verdict.raised_ids;
  account.body = NULL;
  account.header_bytes = 0;
  keep_headers(&account, &parked->source->recording, request);
  keep_body(&account, &parked->source->recording, request);
  const uint32_t bytes = webhook_account_bytes(&account);
  uint8_t *room = record_ring_reserve(shard->config.records, bytes);
  *never = !room && !engine_could_hold(shard->engine, bytes);
  if (!room) return false;
  struct webhook_record *record = (struct webhook_record *)(void *)room;
  struct webhook_audit *audit = (struct webhook_audit *)(void *)(record + 1);
  fill_record(record, bytes, shard, parked, request);
  fill_audit(audit, &account.audit, &verdict, parked, request);
  webhook_account_write_tail(&account, (uint8_t *)(audit + 1));
  return true;
}
