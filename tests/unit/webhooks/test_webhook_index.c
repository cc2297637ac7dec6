/* The sparse index: it never leaves out what is there, however full it is, and points at little else. */
#include "cmocka_test.h"
#include "replay_table.h"
#include "webhook_index_internal.h"
#include <stdio.h>
#include <string.h>

static struct webhook_index webhooks;

static int tear_down(void **state) {
  (void)state;
  webhook_index_destroy(&webhooks);
  return 0;
}

static void record_of(uint64_t n, struct webhook_record *record) {
  char id[32];
  snprintf(id, sizeof id, "id-%llu", (unsigned long long)n);
  *record = (struct webhook_record){.header = {.type = RECORD_WEBHOOK, .wall_ns = n * 1000000}, .status = n % 2 ? 200 : 202};
  record->source_length = (uint8_t)snprintf(record->source, sizeof record->source, "source-%llu", (unsigned long long)(n / 5000));
  for (unsigned i = 0; i < 6; i++) record->correlation_id[i] = (uint8_t)(n >> (40 - 8 * i));
  const struct replay_key key = replay_key_of(record->source, record->source_length, id, (uint32_t)strlen(id));
  memcpy(record->id_key, key.bytes, sizeof key.bytes);
}

/* Webhook n has LSN 2n and 1 KiB of the log, a segment holds 1,000. */
static void fill(uint64_t count) {
  struct webhook_record record;
  for (uint64_t n = 1; n <= count; n++) {
    record_of(n, &record);
    webhook_index_add(&webhooks, 2 * n, &record,
                      (struct journal_position){.segment = 1 + n / 1000, .offset = 4096 + n % 1000 * 1024 / 4096 * 4096});
  }
}

static bool holds(const struct webhook_entry *entry, uint64_t lsn) {
  return entry && entry->span.first_lsn <= lsn && entry->span.last_lsn >= lsn;
}

static void all_are_covered(uint64_t count) {
  uint64_t below = UINT64_MAX, covered = 0;
  for (const struct webhook_entry *entry; (entry = webhook_index_find(&webhooks, below, &(struct webhook_wanted){0}));) {
    covered += entry->webhooks;
    assert_true(entry->span.last_lsn < below || below == UINT64_MAX);
    below = entry->span.first_lsn;
  }
  assert_int_equal(below, 2);
  assert_int_equal(covered, count);
  assert_int_equal(webhooks.webhooks, count);
}

static void an_entry_begins_with_each_segment(void **state) {
  (void)state;
  assert_true(webhook_index_create(&webhooks, 64));
  fill(10500);
  assert_int_equal(webhooks.count, 11);
  all_are_covered(10500);
}

static void each_is_found_by_what_it_has(void **state) {
  (void)state;
  assert_true(webhook_index_create(&webhooks, 64));
  fill(20000);
  for (uint64_t n = 1; n <= 20000; n += 7) {
    struct webhook_record record;
    record_of(n, &record);
    assert_true(holds(webhook_index_find(&webhooks, UINT64_MAX, &(struct webhook_wanted){.id_ms = n}), 2 * n));
    /* Another may be said to hold it by mistake; it is among them. */
    uint64_t below = UINT64_MAX;
    bool found = false;
    for (const struct webhook_entry *entry;
         (entry = webhook_index_find(&webhooks, below, &(struct webhook_wanted){.key = record.id_key}));
         below = entry->span.first_lsn)
      found = found || holds(entry, 2 * n);
    assert_true(found);
  }
}

static uint32_t count_entries(const struct webhook_wanted *wanted) {
  uint32_t count = 0;
  uint64_t below = UINT64_MAX;
  for (const struct webhook_entry *entry; (entry = webhook_index_find(&webhooks, below, wanted)); below = entry->span.first_lsn)
    count++;
  return count;
}

static void little_else_is_read(void **state) {
  (void)state;
  assert_true(webhook_index_create(&webhooks, 256));
  fill(100000);
  assert_int_equal(webhooks.count, 101);
  uint32_t by_key = 0;
  for (uint64_t n = 200001; n <= 200100; n++) { /* that are not there */
    struct webhook_record record;
    record_of(n, &record);
    by_key += count_entries(&(struct webhook_wanted){.key = record.id_key});
  }
  assert_true(by_key < 100 * 101 / 20);
  assert_int_equal(count_entries(&(struct webhook_wanted){.id_ms = 50500}), 1);
  assert_true(count_entries(&(struct webhook_wanted){.since_ns = 99500ull * 1000000}) <= 2);
  assert_true(count_entries(&(struct webhook_wanted){.until_ns = 500ull * 1000000}) == 1);
  assert_true(count_entries(&(struct webhook_wanted){.sources = webhook_source_bit("source-3", 8)}) < 30);
  assert_int_equal(count_entries(&(struct webhook_wanted){.statuses = webhook_status_bit(404)}), 0);
}

static void a_full_index_forgets_nothing(void **state) {
  (void)state;
  assert_true(webhook_index_create(&webhooks, 16));
  fill(100000);
  assert_true(webhooks.merges > 0);
  assert_true(webhooks.count <= 16);
  all_are_covered(100000);
  for (uint64_t n = 1; n <= 100000; n += 4999)
    assert_true(holds(webhook_index_find(&webhooks, UINT64_MAX, &(struct webhook_wanted){.id_ms = n}), 2 * n));
}

static void what_was_removed_is_not_pointed_at(void **state) {
  (void)state;
  assert_true(webhook_index_create(&webhooks, 64));
  fill(10500);
  webhook_index_forget(&webhooks, 2 * 3000); /* the first of segment 4 */
  const struct webhook_entry *oldest = &webhooks.entries[webhooks.begin];
  assert_int_equal(oldest->span.first_lsn, 6000);
  assert_int_equal(oldest->span.at.segment, 4);
  assert_int_equal(webhooks.webhooks, 10500 - 2999);
  webhook_index_destroy(&webhooks);
  assert_true(webhook_index_create(&webhooks, 4)); /* merged entries reach over segments */
  fill(10500);
  webhook_index_forget(&webhooks, 2 * 3000);
  oldest = &webhooks.entries[webhooks.begin];
  assert_true(oldest->span.first_lsn >= 6000);
  assert_true(oldest->span.at.segment == 0 || oldest->span.at.segment >= 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(an_entry_begins_with_each_segment, tear_down),
      cmocka_unit_test_teardown(each_is_found_by_what_it_has, tear_down),
      cmocka_unit_test_teardown(little_else_is_read, tear_down),
      cmocka_unit_test_teardown(a_full_index_forgets_nothing, tear_down),
      cmocka_unit_test_teardown(what_was_removed_is_not_pointed_at, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
