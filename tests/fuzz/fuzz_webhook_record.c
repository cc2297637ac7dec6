/* A webhook's record: no over-read, texts inside the record, and what is read is written again byte by byte. */
#include "always_assert.h"
#include "webhook_record.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void inside(const uint8_t *record, size_t length, const void *at, size_t bytes) {
  const uint8_t *start = at;
  ALWAYS_ASSERT(start >= record && bytes <= length && start <= record + length - bytes);
}

static void look_inside(const uint8_t *record, size_t length, const struct webhook_account *account) {
  inside(record, length, account->violation_ids, 16u * (size_t)account->audit.violation_id_count);
  for (uint32_t i = 0; i < account->audit.header_count; i++) {
    inside(record, length, account->headers[i].name.at, account->headers[i].name.length);
    inside(record, length, account->headers[i].value.at, account->headers[i].value.length);
  }
  if (account->body) inside(record, length, account->body, account->record.body_bytes);
  ALWAYS_ASSERT(account->header_bytes <= WEBHOOK_AUDIT_HEADER_BYTES);
}

/* Flags of headers that mean nothing are not written again. */
static bool knows_all_flags(const struct webhook_account *account) {
  for (uint32_t i = 0; i < account->audit.header_count; i++)
    if ((uint8_t)account->headers[i].name.at[-3] > WEBHOOK_HEADER_CUT) return false;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct webhook_account account;
  if (length > 64 * 1024) return 0;
  uint8_t *record = malloc(length ? length : 1), *again = malloc(length ? length : 1);
  if (!record || !again) abort();
  if (length) memcpy(record, bytes, length);
  /* The frame around a record has its length, too: the fuzzer need not guess it. */
  if (length >= sizeof(struct record_header)) {
    struct record_header header;
    memcpy(&header, record, sizeof header);
    header.bytes = (uint32_t)length;
    memcpy(record, &header, sizeof header);
  }
  if (webhook_account_read(record, length, &account)) {
    if (account.audited) look_inside(record, length, &account);
    ALWAYS_ASSERT(webhook_account_bytes(&account) == length);
    webhook_account_write(&account, again);
    if (!account.audited || knows_all_flags(&account)) ALWAYS_ASSERT(memcmp(record, again, length) == 0);
  }
  free(record);
  free(again);
  return 0;
}
