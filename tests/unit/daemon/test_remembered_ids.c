#include "cmocka_test.h"
#include "remembered_ids.h"
#include <stdlib.h>
#include <string.h>

#define NOW 1000u

static struct remembered_ids *remembered;

static int set_up(void **state) {
  (void)state;
  remembered = remembered_ids_create();
  return remembered ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  remembered_ids_destroy(remembered);
  return 0;
}

static void see_webhook(uint64_t lsn, uint32_t key, uint64_t until) {
  struct webhook_record record = {.header = {.type = RECORD_WEBHOOK, .bytes = sizeof record},
                                  .remember_until_ns = until,
                                  .status = 200,
                                  .body_sha256 = {(uint8_t)key}};
  memcpy(record.id_key, &key, sizeof key);
  assert_true(remembered_ids_see(remembered, lsn, &record.header, NOW));
}

static size_t count_at(uint64_t wall_ns) {
  struct remembered_id *ids;
  size_t count;
  assert_int_equal(remembered_ids_copy(remembered, wall_ns, &ids, &count), 0);
  free(ids);
  return count;
}

static void webhooks_without_an_id_or_out_of_time_are_not_remembered(void **state) {
  (void)state;
  see_webhook(1, 1, 0);
  see_webhook(2, 2, NOW);
  see_webhook(3, 3, NOW + 1);
  struct record_header other = {.type = RECORD_VIOLATION, .bytes = sizeof other};
  assert_true(remembered_ids_see(remembered, 4, &other, NOW));
  assert_int_equal(count_at(NOW), 1);
  assert_int_equal(count_at(NOW + 1), 0);
}

/* The long form begins as the short one. */
static void a_webhook_with_its_audit_is_remembered(void **state) {
  (void)state;
  struct webhook_account account = {.audited = true};
  uint64_t room[64];
  account.record = (struct webhook_record){.header = {.type = RECORD_WEBHOOK}, .remember_until_ns = NOW + 9, .status = 200};
  account.record.header.bytes = webhook_account_bytes(&account);
  webhook_account_write(&account, room);
  assert_true(remembered_ids_see(remembered, 1, (const struct record_header *)room, NOW));
  assert_int_equal(count_at(NOW), 1);
  struct record_header cut = {.type = RECORD_WEBHOOK, .bytes = sizeof cut};
  assert_true(remembered_ids_see(remembered, 2, &cut, NOW));
  assert_int_equal(count_at(NOW), 1);
}

static void an_lsn_counts_once(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) see_webhook(7, 1, NOW + 50);
  see_webhook(5, 2, NOW + 50);
  assert_int_equal(count_at(NOW), 1);
}

static void what_a_snapshot_and_its_records_say_is_there_once(void **state) {
  (void)state;
  const size_t bytes = sizeof(struct remembered_ids_record) + 3 * sizeof(struct remembered_id);
  struct remembered_ids_record *part = calloc(1, bytes);
  part->header = (struct record_header){.type = RECORD_REPLAY_IDS, .bytes = (uint32_t)bytes};
  part->count = 3;
  for (uint32_t i = 0; i < 3; i++) {
    memcpy(part->ids[i].key, &i, sizeof i);
    part->ids[i].remember_until_ns = NOW + 10 + i;
    part->ids[i].status = 200;
  }
  see_webhook(1, 1, NOW + 11);
  see_webhook(2, 1, NOW + 99); /* used again after its time */
  assert_true(remembered_ids_see(remembered, 3, &part->header, NOW));
  see_webhook(4, 9, NOW + 20);
  remembered_ids_recovered(remembered);
  struct remembered_id *ids;
  size_t count;
  assert_int_equal(remembered_ids_copy(remembered, NOW, &ids, &count), 0);
  assert_int_equal(count, 4);
  uint32_t longest = 0;
  for (size_t i = 0; i < count; i++) longest += ids[i].remember_until_ns == NOW + 99;
  assert_int_equal(longest, 1);
  free(ids);
  /* From here on what is written is known already. */
  assert_true(remembered_ids_see(remembered, 5, &part->header, NOW));
  assert_int_equal(count_at(NOW), 4);
  free(part);
}

static void a_part_that_does_not_add_up_says_nothing(void **state) {
  (void)state;
  struct remembered_ids_record part = {.header = {.type = RECORD_REPLAY_IDS, .bytes = sizeof part}, .count = 400};
  assert_true(remembered_ids_see(remembered, 1, &part.header, NOW));
  part.count = UINT32_MAX;
  assert_true(remembered_ids_see(remembered, 2, &part.header, NOW));
  part.header.bytes = sizeof(struct record_header);
  assert_true(remembered_ids_see(remembered, 3, &part.header, NOW));
  assert_int_equal(count_at(0), 0);
}

/* Room is used again: a long run with few live ids stays small. */
static void what_is_over_makes_room(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 100000; i++) see_webhook(i + 1, i, i % 1000 == 0 ? NOW + 1000000 : NOW + 1);
  assert_int_equal(count_at(NOW + 2), 100);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(webhooks_without_an_id_or_out_of_time_are_not_remembered),
      TEST(an_lsn_counts_once),
      TEST(a_webhook_with_its_audit_is_remembered),
      TEST(what_a_snapshot_and_its_records_say_is_there_once),
      TEST(a_part_that_does_not_add_up_says_nothing),
      TEST(what_is_over_makes_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
