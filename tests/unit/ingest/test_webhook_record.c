/* Both forms of a webhook's record: what is written is read back, what is too long is cut and marked, and of hostile bytes none
 * is believed. */
#include "cmocka_test.h"
#include "guard_page.h"
#include "webhook_record.h"
#include <stdlib.h>
#include <string.h>

static uint8_t room[64 * 1024];

static struct event_text text(const char *literal) { return (struct event_text){literal, (uint32_t)strlen(literal)}; }

static struct webhook_account make(bool audited) {
  struct webhook_account account = {.audited = audited};
  account.record = (struct webhook_record){.header = {.type = RECORD_WEBHOOK, .shard = 3, .wall_ns = 77},
                                           .correlation_id = {1, 2, 3},
                                           .body_sha256 = {9},
                                           .status = 200,
                                           .source_length = 6,
                                           .body_bytes = 11,
                                           .source = "orders"};
  return account;
}

static uint32_t write_to(uint8_t *record, struct webhook_account *account) {
  account->record.header.bytes = webhook_account_bytes(account);
  assert_true(account->record.header.bytes <= sizeof room);
  webhook_account_write(account, record);
  return account->record.header.bytes;
}

static void the_short_form_is_read_as_ever(void **state) {
  (void)state;
  struct webhook_account account = make(false), read;
  const uint32_t bytes = write_to(room, &account);
  assert_int_equal(bytes, sizeof(struct webhook_record));
  memset(&read, 0xff, sizeof read);
  assert_true(webhook_account_read(room, bytes, &read));
  assert_false(read.audited);
  assert_memory_equal(&read.record, &account.record, sizeof account.record);
  assert_null(read.body);
  assert_int_equal(read.audit.header_count, 0);
}

static void the_long_form_is_read_as_written(void **state) {
  (void)state;
  static const uint8_t ids[2][16] = {{0xaa}, {0xbb, 1}};
  struct webhook_account account = make(true), read;
  account.audit = (struct webhook_audit){.received_ns = 5,
                                         .generation = 6,
                                         .peer = {[10] = 0xff, 0xff, 10, 86, 0, 1},
                                         .peer_port = 4321,
                                         .flags = WEBHOOK_BODY_KEPT | WEBHOOK_VERDICT_PARTIAL,
                                         .violations = 40,
                                         .shadow_matches = 2,
                                         .window_matches = 3,
                                         .kept_bytes = 11,
                                         .violation_id_count = 2};
  account.violation_ids = ids;
  account.body = (const uint8_t *)"{\"a\":12345}";
  webhook_account_add_header(&account, text("content-type"), text("application/json"));
  webhook_account_add_header(&account, text("x-empty"), text(""));
  webhook_account_add_header(&account, text("content-type"), text("again"));
  const uint32_t bytes = write_to(room, &account);
  assert_int_equal(bytes, 160 + 56 + 2 * 16 + (4 + 12 + 16) + (4 + 7) + (4 + 12 + 5) + 11);
  memset(&read, 0xff, sizeof read);
  assert_true(webhook_account_read(room, bytes, &read));
  assert_true(read.audited);
  assert_memory_equal(&read.audit, &account.audit, sizeof account.audit);
  assert_memory_equal(read.violation_ids, ids, sizeof ids);
  assert_memory_equal(read.body, account.body, 11);
  assert_int_equal(read.header_bytes, account.header_bytes);
  for (uint32_t i = 0; i < 3; i++) {
    assert_false(read.headers[i].cut);
    assert_int_equal(read.headers[i].name.length, account.headers[i].name.length);
    assert_int_equal(read.headers[i].value.length, account.headers[i].value.length);
    assert_memory_equal(read.headers[i].name.at, account.headers[i].name.at, account.headers[i].name.length);
  }
  assert_memory_equal(read.headers[2].value.at, "again", 5);
}

static void what_is_too_long_is_cut_and_marked(void **state) {
  (void)state;
  static char value[2 * WEBHOOK_AUDIT_VALUE_BYTES_MAX];
  struct webhook_account account = make(true), read;
  memset(value, 'v', sizeof value);
  webhook_account_add_header(&account, text("just"), (struct event_text){value, WEBHOOK_AUDIT_VALUE_BYTES_MAX});
  webhook_account_add_header(&account, text("over"), (struct event_text){value, WEBHOOK_AUDIT_VALUE_BYTES_MAX + 1});
  assert_false(account.headers[0].cut);
  assert_true(account.headers[1].cut);
  for (unsigned i = 0; i < 6; i++) webhook_account_add_header(&account, text("more"), (struct event_text){value, 512});
  /* 8 * 520 are more than 4096: the last was cut to what was left. */
  assert_int_equal(account.audit.header_count, 8);
  assert_true(account.headers[7].cut);
  assert_int_equal(account.header_bytes, WEBHOOK_AUDIT_HEADER_BYTES);
  webhook_account_add_header(&account, text("none"), text("x"));
  assert_int_equal(account.audit.header_count, 8);
  assert_int_equal(account.audit.headers_left_out, 1);
  const uint32_t bytes = write_to(room, &account);
  assert_true(webhook_account_read(room, bytes, &read));
  assert_int_equal(read.headers[7].value.length, 512 - (8 * 520 - 4096));
  assert_true(read.headers[1].cut && read.headers[7].cut && !read.headers[0].cut);
  assert_int_equal(read.audit.headers_left_out, 1);
}

static void the_longest_fits_a_record(void **state) {
  (void)state;
  static uint8_t ids[WEBHOOK_AUDIT_IDS_MAX][16], body[WEBHOOK_AUDIT_BODY_BYTES_MAX];
  static char value[WEBHOOK_AUDIT_VALUE_BYTES_MAX];
  struct webhook_account account = make(true), read;
  account.audit = (struct webhook_audit){.flags = WEBHOOK_BODY_KEPT,
                                         .violations = WEBHOOK_AUDIT_IDS_MAX,
                                         .violation_id_count = WEBHOOK_AUDIT_IDS_MAX,
                                         .kept_bytes = sizeof body};
  account.record.body_bytes = sizeof body;
  account.violation_ids = ids;
  account.body = body;
  for (uint32_t i = 0; i < 2 * WEBHOOK_AUDIT_HEADERS_MAX; i++)
    webhook_account_add_header(&account, text("name"), (struct event_text){value, i % 2 ? sizeof value : 3});
  const uint32_t bytes = write_to(room, &account);
  assert_true(webhook_account_read(room, bytes, &read));
  assert_int_equal(read.audit.header_count + read.audit.headers_left_out, 2 * WEBHOOK_AUDIT_HEADERS_MAX);
}

static void every_length_but_the_whole_is_refused(void **state) {
  (void)state;
  static const uint8_t ids[1][16] = {{1}};
  struct webhook_account account = make(true), read;
  account.audit = (struct webhook_audit){.flags = WEBHOOK_BODY_KEPT, .violations = 1, .violation_id_count = 1, .kept_bytes = 11};
  account.violation_ids = ids;
  account.body = (const uint8_t *)"{\"a\":12345}";
  webhook_account_add_header(&account, text("a"), text("b"));
  const uint32_t bytes = write_to(room, &account);
  for (uint32_t cut = 0; cut < bytes; cut++) {
    struct guarded guarded = guarded_copy(room, cut);
    if (cut >= sizeof(struct record_header)) memcpy(guarded.bytes + offsetof(struct record_header, bytes), &cut, sizeof cut);
    /* The fixed part alone is the short form. */
    assert_int_equal(webhook_account_read(guarded.bytes, cut, &read), cut == sizeof(struct webhook_record));
    guarded_free(&guarded);
  }
  ((struct record_header *)(void *)room)->bytes = bytes + 1;
  assert_false(webhook_account_read(room, bytes + 1, &read));
}

static void lies_are_refused(void **state) {
  (void)state;
  struct webhook_account account = make(true), read;
  const uint32_t bytes = write_to(room, &account);
  struct webhook_record *record = (struct webhook_record *)(void *)room;
  struct webhook_audit *audit = (struct webhook_audit *)(void *)(room + sizeof *record);
  assert_true(webhook_account_read(room, bytes, &read));
  record->source_length = 65;
  assert_false(webhook_account_read(room, bytes, &read));
  record->source_length = 64;
  record->header.type = RECORD_VIOLATION;
  assert_false(webhook_account_read(room, bytes, &read));
  record->header.type = RECORD_WEBHOOK;
  assert_true(webhook_account_read(room, bytes, &read));
  audit->violation_id_count = 1; /* and no violation */
  assert_false(webhook_account_read(room, bytes, &read));
  audit->violation_id_count = 0;
  audit->header_count = WEBHOOK_AUDIT_HEADERS_MAX + 1;
  assert_false(webhook_account_read(room, bytes, &read));
  audit->header_count = 0;
  audit->kept_bytes = 1; /* of a body that was not kept */
  assert_false(webhook_account_read(room, bytes, &read));
  audit->flags = WEBHOOK_BODY_KEPT; /* a part of it */
  assert_false(webhook_account_read(room, bytes, &read));
  audit->kept_bytes = 0;
  audit->flags = 0x8000; /* of a later release */
  assert_true(webhook_account_read(room, bytes, &read));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_short_form_is_read_as_ever),        cmocka_unit_test(the_long_form_is_read_as_written),
      cmocka_unit_test(what_is_too_long_is_cut_and_marked),    cmocka_unit_test(the_longest_fits_a_record),
      cmocka_unit_test(every_length_but_the_whole_is_refused), cmocka_unit_test(lies_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
