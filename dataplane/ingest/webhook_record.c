#include "webhook_record.h"
#include "always_assert.h"
#include "cursor.h"

#define HEADER_LENGTHS_BYTES 4u

_Static_assert(sizeof(struct webhook_record) == 160 && sizeof(struct webhook_audit) == 56, "part of the journal format");
_Static_assert(sizeof(struct webhook_record) + sizeof(struct webhook_audit) + WEBHOOK_AUDIT_IDS_MAX * 16 +
                       WEBHOOK_AUDIT_HEADER_BYTES + WEBHOOK_AUDIT_BODY_BYTES_MAX <=
                   64 * 1024,
               "the longest fits a record");

void webhook_account_add_header(struct webhook_account *account, struct event_text name, struct event_text value) {
  ALWAYS_ASSERT(name.length <= WEBHOOK_AUDIT_NAME_BYTES_MAX);
  const uint32_t left = WEBHOOK_AUDIT_HEADER_BYTES - account->header_bytes;
  if (account->audit.header_count == WEBHOOK_AUDIT_HEADERS_MAX || left < HEADER_LENGTHS_BYTES + name.length) {
    if (account->audit.headers_left_out < UINT16_MAX) account->audit.headers_left_out++;
    return;
  }
  const uint32_t room = left - HEADER_LENGTHS_BYTES - name.length;
  const uint32_t most = room < WEBHOOK_AUDIT_VALUE_BYTES_MAX ? room : WEBHOOK_AUDIT_VALUE_BYTES_MAX;
  const uint32_t kept = value.length < most ? value.length : most;
  account->headers[account->audit.header_count++] =
      (struct webhook_audit_header){.name = name, .value = {value.at, kept}, .cut = kept < value.length};
  account->header_bytes += HEADER_LENGTHS_BYTES + name.length + kept;
}

uint32_t webhook_account_bytes(const struct webhook_account *account) {
  if (!account->audited) return sizeof account->record;
  return (uint32_t)(sizeof account->record + sizeof account->audit) + 16u * account->audit.violation_id_count +
         account->header_bytes + account->audit.kept_bytes;
}

void webhook_account_write_tail(const struct webhook_account *account, uint8_t *out) {
  const struct webhook_audit *audit = &account->audit;
  const size_t id_bytes = 16u * (size_t)audit->violation_id_count;
  if (id_bytes) memcpy(out, account->violation_ids, id_bytes);
  out += id_bytes;
  for (uint32_t i = 0; i < audit->header_count; i++) {
    const struct webhook_audit_header *header = &account->headers[i];
    const uint16_t value_length = (uint16_t)header->value.length;
    out[0] = (uint8_t)header->name.length;
    out[1] = header->cut ? WEBHOOK_HEADER_CUT : 0;
    memcpy(out + 2, &value_length, sizeof value_length);
    memcpy(out + HEADER_LENGTHS_BYTES, header->name.at, header->name.length);
    if (value_length) memcpy(out + HEADER_LENGTHS_BYTES + header->name.length, header->value.at, value_length);
    out += HEADER_LENGTHS_BYTES + header->name.length + value_length;
  }
  if (audit->kept_bytes) memcpy(out, account->body, audit->kept_bytes);
}

void webhook_account_write(const struct webhook_account *account, void *record) {
  uint8_t *out = record;
  memcpy(out, &account->record, sizeof account->record);
  if (!account->audited) return;
  memcpy(out + sizeof account->record, &account->audit, sizeof account->audit);
  webhook_account_write_tail(account, out + sizeof account->record + sizeof account->audit);
}

static bool read_headers(struct cursor *cursor, struct webhook_account *account) {
  const size_t before = cursor_left(cursor);
  for (uint32_t i = 0; i < account->audit.header_count; i++) {
    struct webhook_audit_header *header = &account->headers[i];
    header->name.length = cursor_u8(cursor);
    header->cut = cursor_u8(cursor) & WEBHOOK_HEADER_CUT;
    header->value.length = cursor_le16(cursor);
    header->name.at = (const char *)cursor_bytes(cursor, header->name.length);
    header->value.at = (const char *)cursor_bytes(cursor, header->value.length);
    if (cursor->failed || header->name.length > WEBHOOK_AUDIT_NAME_BYTES_MAX ||
        header->value.length > WEBHOOK_AUDIT_VALUE_BYTES_MAX)
      return false;
  }
  account->header_bytes = (uint32_t)(before - cursor_left(cursor));
  return account->header_bytes <= WEBHOOK_AUDIT_HEADER_BYTES;
}

static bool read_audit(struct cursor *cursor, struct webhook_account *account) {
  struct webhook_audit *audit = &account->audit;
  const uint8_t *fixed = cursor_bytes(cursor, sizeof *audit);
  if (!fixed) return false;
  memcpy(audit, fixed, sizeof *audit);
  if (audit->violation_id_count > WEBHOOK_AUDIT_IDS_MAX || audit->violation_id_count > audit->violations ||
      audit->header_count > WEBHOOK_AUDIT_HEADERS_MAX)
    return false;
  const bool kept = audit->flags & WEBHOOK_BODY_KEPT;
  if (audit->kept_bytes != (kept ? account->record.body_bytes : 0)) return false;
  account->violation_ids = (const void *)cursor_bytes(cursor, 16u * (size_t)audit->violation_id_count);
  if (!read_headers(cursor, account)) return false;
  account->body = kept ? cursor_bytes(cursor, audit->kept_bytes) : NULL;
  return !cursor->failed && cursor_left(cursor) == 0;
}

bool webhook_account_read(const void *record, size_t bytes, struct webhook_account *account) {
  struct cursor cursor = cursor_over(record, bytes);
  const uint8_t *fixed = cursor_bytes(&cursor, sizeof account->record);
  if (!fixed) return false;
  memcpy(&account->record, fixed, sizeof account->record);
  if (account->record.header.type != RECORD_WEBHOOK || account->record.header.bytes != bytes ||
      account->record.source_length > sizeof account->record.source)
    return false;
  account->audited = bytes > sizeof account->record;
  account->audit = (struct webhook_audit){0};
  account->violation_ids = NULL;
  account->body = NULL;
  account->header_bytes = 0;
  return !account->audited || read_audit(&cursor, account);
}
