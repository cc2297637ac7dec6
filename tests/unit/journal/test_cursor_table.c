/* Cursors: what a change needs, how few records many advances make, what survives, and what retention may do to them. */
#include "cmocka_test.h"
#include "cursor_log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull

static struct cursor_log log_;
static struct cursor_table *table;
static struct cursor_view view;

static int set_up(void **state) {
  (void)state;
  cursor_log_init(&log_);
  cursor_log_append(&log_, 1000);
  const struct cursor_journal face = cursor_log_face(&log_);
  table = cursor_table_create(&face);
  cursor_table_recovered(table, 1);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  cursor_table_destroy(table);
  cursor_log_free(&log_);
  return 0;
}

static struct cursor_request request_of(enum cursor_action action, const char *name, uint64_t lsn) {
  return (struct cursor_request){.action = action, .name = name, .who = "uid 7", .lsn = lsn, .kind = -1, .holds = -1};
}

static enum cursor_result set(const char *name, uint64_t lsn) {
  const struct cursor_request request = request_of(CURSOR_SET, name, lsn);
  return cursor_table_change(table, &request, &view);
}

static enum cursor_result reset(const char *name, uint64_t lsn) {
  const struct cursor_request request = request_of(CURSOR_RESET, name, lsn);
  return cursor_table_change(table, &request, &view);
}

static enum cursor_result drop(const char *name) {
  const struct cursor_request request = request_of(CURSOR_DELETE, name, 0);
  return cursor_table_change(table, &request, &view);
}

static enum cursor_result make_sink(const char *name, uint64_t lsn) {
  struct cursor_request request = request_of(CURSOR_SET, name, lsn);
  request.kind = CURSOR_SINK;
  return cursor_table_change(table, &request, &view);
}

/* UINT64_MAX: none of that name. */
static uint64_t lsn_of(struct cursor_table *in, const char *name) {
  struct cursor_view found;
  return cursor_table_find(in, name, &found) ? found.cursor.lsn : UINT64_MAX;
}

static void a_name_is_plain_and_bounded(void **state) {
  (void)state;
  static const char *const good[] = {"a", "Z9", "sink.alertmanager-1", "a_b",
                                     "a23456789012345678901234567890123456789012345678901234567890123"};
  static const char *const bad[] = {
      "",    ".a",  "-a",       "_a", "a b",
      "a/b", "a\n", "\xc3\xa4", "a%", "a2345678901234567890123456789012345678901234567890123456789012345"};
  for (unsigned i = 0; i < sizeof good / sizeof *good; i++) assert_int_equal(set(good[i], 1), CURSOR_MADE);
  const uint32_t records = log_.count;
  for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(set(bad[i], 1), CURSOR_BAD_NAME);
  assert_int_equal(log_.count, records);
}

static void a_cursor_is_made_moved_reset_and_deleted(void **state) {
  (void)state;
  assert_int_equal(set("a", 400), CURSOR_MADE);
  assert_int_equal(view.cursor.lsn, 400);
  assert_int_equal(view.durable_lsn, 400);
  assert_string_equal(view.cursor.who, "uid 7");
  assert_int_equal(view.cursor.kind, CURSOR_TAIL);
  assert_false(view.cursor.holds);
  assert_int_equal(set("a", 600), CURSOR_OK);
  assert_int_equal(set("a", 600), CURSOR_OK);
  assert_int_equal(set("a", 599), CURSOR_BACKWARDS);
  assert_int_equal(lsn_of(table, "a"), 600);
  assert_int_equal(set("a", 5000), CURSOR_BEYOND);
  assert_int_equal(reset("a", 5000), CURSOR_BEYOND);
  assert_int_equal(reset("a", 3), CURSOR_OK);
  assert_int_equal(lsn_of(table, "a"), 3);
  assert_int_equal(reset("b", 3), CURSOR_UNKNOWN);
  assert_int_equal(drop("b"), CURSOR_UNKNOWN);
  assert_int_equal(drop("a"), CURSOR_OK);
  assert_int_equal(view.cursor.lsn, 3);
  assert_int_equal(lsn_of(table, "a"), UINT64_MAX);
  assert_int_equal(set("a", 9), CURSOR_MADE);
}

static void the_places_now_and_oldest(void **state) {
  (void)state;
  struct cursor_request request = request_of(CURSOR_SET, "a", 0);
  request.place = CURSOR_AT_NOW;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_MADE);
  assert_int_equal(view.cursor.lsn, 1000);
  cursor_table_recovered(table, 101);
  request.place = CURSOR_AT_OLDEST;
  request.action = CURSOR_RESET;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_OK);
  assert_int_equal(view.cursor.lsn, 100);
  assert_int_equal(view.gap_from, 0);
  assert_int_equal(reset("a", 99), CURSOR_REMOVED);
  assert_int_equal(set("new", 99), CURSOR_REMOVED);
  assert_int_equal(lsn_of(table, "new"), UINT64_MAX);
}

static void what_is_expected_must_be_so(void **state) {
  (void)state;
  struct cursor_request request = request_of(CURSOR_SET, "a", 20);
  request.expected = true;
  request.expected_lsn = 10;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_UNKNOWN); /* not made again after it was deleted */
  assert_int_equal(set("a", 11), CURSOR_MADE);
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_NOT_THERE);
  request.expected_lsn = 11;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_OK);
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_OK); /* asked again after a lost answer */
  assert_int_equal(lsn_of(table, "a"), 20);
}

static void there_is_room_for_so_many(void **state) {
  (void)state;
  char name[16];
  for (unsigned i = 0; i < CURSORS_MAX; i++) {
    snprintf(name, sizeof name, "c%u", i);
    assert_int_equal(set(name, i), CURSOR_MADE);
  }
  assert_int_equal(set("more", 1), CURSOR_NO_ROOM);
  assert_int_equal(drop("c77"), CURSOR_OK);
  assert_int_equal(set("more", 1), CURSOR_MADE);
  static struct cursor_view views[CURSORS_MAX];
  assert_int_equal(cursor_table_list(table, views), CURSORS_MAX);
  for (unsigned i = 1; i < CURSORS_MAX; i++) assert_true(strcmp(views[i - 1].cursor.name, views[i].cursor.name) < 0);
}

/* A writer that asks again and again: ten records a second, and each answer is durable. */
static void advances_of_one_cursor_coalesce(void **state) {
  (void)state;
  set("a", 0);
  const uint32_t before = log_.count;
  for (uint64_t lsn = 1; lsn <= 50; lsn++) {
    assert_int_equal(set("a", lsn), CURSOR_OK);
    struct cursor_table *recovered = cursor_log_recover(&log_, 0, false);
    assert_int_equal(lsn_of(recovered, "a"), lsn);
    cursor_table_destroy(recovered);
  }
  assert_int_equal(log_.count - before, 50);
  assert_true(log_.paused_ns >= 49 * CURSOR_RECORD_EVERY_NS); /* it waited for each */
}

static void advance_by_another(void *context) {
  (void)context;
  for (uint64_t lsn = 101; lsn <= 200; lsn++) assert_true(cursor_table_advance(table, "a", lsn, true));
}

static void those_who_wait_for_one_record_share_it(void **state) {
  (void)state;
  set("a", 0);
  log_.on_pause = advance_by_another;
  const uint32_t before = log_.count;
  assert_int_equal(set("a", 100), CURSOR_OK);
  log_.on_pause = NULL;
  assert_int_equal(log_.count - before, 1);
  struct cursor_table *recovered = cursor_log_recover(&log_, 0, false);
  assert_int_equal(lsn_of(recovered, "a"), 200);
  cursor_table_destroy(recovered);
}

static void a_reader_in_the_process_is_recorded_when_due(void **state) {
  (void)state;
  uint64_t position;
  make_sink("s", 0);
  log_.now_ns += CURSOR_RECORD_EVERY_NS;
  const uint32_t before = log_.count;
  for (uint64_t lsn = 1; lsn <= 500; lsn++) {
    assert_true(cursor_table_advance(table, "s", lsn, true));
    log_.now_ns += MS;
    cursor_table_write(table, false, &position);
  }
  assert_in_range(log_.count - before, 5, 6);
  assert_false(cursor_table_advance(table, "s", 499, true));
  assert_false(cursor_table_advance(table, "s", 100000, true));
  assert_false(cursor_table_advance(table, "t", 501, true));
  cursor_table_write(table, true, &position);
  assert_int_equal(position, log_.count);
  cursor_log_sync(&log_);
  struct cursor_table *recovered = cursor_log_recover(&log_, 0, false);
  assert_int_equal(lsn_of(recovered, "s"), 500);
  cursor_table_destroy(recovered);
}

/* Else a record would be the reason for the next one, for ever. */
static void what_is_only_passed_is_recorded_by_the_thousand(void **state) {
  (void)state;
  uint64_t position;
  make_sink("s", 0);
  cursor_log_append(&log_, 5000);
  const uint32_t before = log_.count;
  for (uint64_t lsn = 1; lsn <= 5000; lsn++) {
    log_.now_ns += CURSOR_RECORD_EVERY_NS;
    cursor_table_advance(table, "s", lsn, false);
    cursor_table_write(table, false, &position);
  }
  assert_int_equal(log_.count - before, 5);
}

static void all_survives_a_restart_and_nothing_that_was_not_durable_is_promised(void **state) {
  (void)state;
  set("a", 10);
  make_sink("b", 20);
  set("c", 30);
  drop("c");
  reset("a", 5);
  log_.at_once = false;
  log_.now_ns += CURSOR_RECORD_EVERY_NS;
  assert_int_equal(set("b", 40), CURSOR_NOT_DURABLE);
  assert_int_equal(cursor_table_needed_lsn(table), 21); /* as a crash would bring it back */
  struct cursor_table *recovered = cursor_log_recover(&log_, 0, false);
  assert_int_equal(lsn_of(recovered, "a"), 5);
  assert_int_equal(lsn_of(recovered, "b"), 20);
  assert_int_equal(lsn_of(recovered, "c"), UINT64_MAX);
  assert_true(cursor_table_find(recovered, "b", &view));
  assert_int_equal(view.cursor.kind, CURSOR_SINK);
  assert_true(view.cursor.holds);
  assert_string_equal(view.cursor.who, "uid 7");
  cursor_table_destroy(recovered);
  cursor_log_sync(&log_);
  assert_int_equal(cursor_table_needed_lsn(table), 41);
}

static void a_journal_in_trouble_changes_nothing(void **state) {
  (void)state;
  set("a", 10);
  log_.trouble = -ENOSPC;
  assert_int_equal(set("a", 11), CURSOR_NOT_DURABLE);
  assert_int_equal(set("b", 11), CURSOR_NOT_DURABLE);
  assert_int_equal(drop("a"), CURSOR_NOT_DURABLE);
  log_.trouble = 0;
  log_.full = true;
  log_.now_ns += CURSOR_RECORD_EVERY_NS;
  assert_int_equal(set("b", 11), CURSOR_NOT_DURABLE);
  assert_int_equal(reset("a", 1), CURSOR_NOT_DURABLE);
  assert_int_equal(drop("a"), CURSOR_NOT_DURABLE);
  assert_int_equal(lsn_of(table, "a"), 10);
  assert_int_equal(lsn_of(table, "b"), UINT64_MAX);
  /* And it goes on by itself. */
  log_.full = false;
  assert_int_equal(set("a", 12), CURSOR_OK);
  assert_int_equal(set("b", 11), CURSOR_MADE);
}

static void a_snapshot_stands_for_all_before_it(void **state) {
  (void)state;
  size_t bytes;
  set("a", 10);
  make_sink("b", 20);
  set("gone", 1);
  drop("gone");
  cursor_table_advance(table, "b", 25, true); /* not written by itself */
  const uint32_t before = log_.count;
  assert_int_equal(cursor_table_snapshot(table, 1000, &bytes), 0);
  assert_int_equal(bytes, sizeof(struct cursors_record) + 2 * sizeof(struct cursor_entry));
  cursor_log_sync(&log_);
  for (uint32_t from = 0; from <= before; from++) { /* wherever recovery begins */
    struct cursor_table *recovered = cursor_log_recover(&log_, from, false);
    assert_int_equal(lsn_of(recovered, "a"), 10);
    assert_int_equal(lsn_of(recovered, "b"), 25);
    assert_int_equal(lsn_of(recovered, "gone"), UINT64_MAX);
    cursor_table_destroy(recovered);
  }
  assert_int_equal(cursor_table_needed_lsn(table), 26);
}

struct told {
  unsigned count;
  char names[4][CURSOR_NAME_BYTES];
  struct cursor_view views[4];
};

static void tell(void *context, const struct cursor_view *overtaken) {
  struct told *told = context;
  assert_true(told->count < 4);
  told->views[told->count++] = *overtaken;
}

static void retention_waits_for_those_that_hold(void **state) {
  (void)state;
  struct told told = {0};
  uint64_t position;
  assert_int_equal(cursor_table_needed_lsn(table), UINT64_MAX);
  set("tail", 50);
  assert_int_equal(cursor_table_needed_lsn(table), UINT64_MAX);
  make_sink("sink", 100);
  assert_int_equal(cursor_table_needed_lsn(table), 101);
  assert_int_equal(cursor_table_let_go(table, 102, false, tell, &told, &position), -EBUSY);
  assert_int_equal(cursor_table_let_go(table, 101, false, tell, &told, &position), 0);
  assert_int_equal(told.count, 1); /* who does not hold is told of as well */
  assert_string_equal(told.views[0].cursor.name, "tail");
  assert_int_equal(told.views[0].gap_from, 51);
  assert_int_equal(told.views[0].gap_to, 100);
  assert_int_equal(told.views[0].cursor.lost_records, 50);
  assert_int_equal(reset("sink", 99), CURSOR_REMOVED);
  assert_int_equal(drop("sink"), CURSOR_OK);
  assert_int_equal(cursor_table_needed_lsn(table), UINT64_MAX);
}

static void a_tail_may_hold_and_stop_holding(void **state) {
  (void)state;
  struct cursor_request request = request_of(CURSOR_SET, "tail", 50);
  request.holds = 1;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_MADE);
  assert_int_equal(cursor_table_needed_lsn(table), 51);
  request.place = CURSOR_STAY;
  request.holds = 0;
  assert_int_equal(cursor_table_change(table, &request, &view), CURSOR_OK);
  assert_int_equal(cursor_table_needed_lsn(table), UINT64_MAX);
  assert_int_equal(lsn_of(table, "tail"), 50);
}

/* Nothing is needed less because a deletion is on its way. */
static void a_deleted_cursor_holds_until_that_is_durable(void **state) {
  (void)state;
  make_sink("sink", 100);
  log_.at_once = false;
  assert_int_equal(drop("sink"), CURSOR_NOT_DURABLE);
  assert_int_equal(lsn_of(table, "sink"), UINT64_MAX);
  assert_int_equal(cursor_table_needed_lsn(table), 101);
  cursor_log_sync(&log_);
  assert_int_equal(cursor_table_needed_lsn(table), UINT64_MAX);
}

static void what_was_overtaken_is_told_by_a_record(void **state) {
  (void)state;
  struct told told = {0};
  uint64_t position = 0;
  make_sink("a", 100);
  make_sink("b", 700);
  log_.full = true;
  assert_int_equal(cursor_table_let_go(table, 301, true, tell, &told, &position), -EAGAIN);
  log_.full = false;
  assert_int_equal(told.count, 0);
  assert_true(cursor_table_find(table, "a", &view));
  assert_int_equal(view.gap_from, 0);
  assert_int_equal(cursor_table_let_go(table, 301, true, tell, &told, &position), 0);
  assert_int_equal(told.count, 1);
  assert_int_equal(cursor_table_let_go(table, 401, true, tell, &told, &position), 0);
  assert_int_equal(told.count, 2);
  assert_int_equal(told.views[1].cursor.lost_records, 300);
  cursor_log_sync(&log_);
  struct cursor_table *recovered = cursor_log_recover(&log_, 0, false);
  cursor_table_recovered(recovered, 401);
  assert_true(cursor_table_find(recovered, "a", &view));
  assert_int_equal(view.cursor.removed_lsn, 400);
  assert_int_equal(view.cursor.lost_records, 300);
  assert_int_equal(view.gap_from, 101);
  assert_int_equal(view.gap_to, 400);
  cursor_table_destroy(recovered);
  /* The reader takes note of it by going on behind it; where it stood before is no place to go back to. */
  assert_int_equal(set("a", 400), CURSOR_OK);
  assert_int_equal(view.gap_from, 0);
  assert_int_equal(reset("a", 399), CURSOR_REMOVED);
  const struct cursor_counters counters = cursor_table_counters(table);
  assert_int_equal(counters.overtaken, 2);
  assert_int_equal(counters.lost_records, 300);
}

static struct cursor_entry entry_named(const char *name) {
  struct cursor_entry entry = {.lsn = 5};
  snprintf(entry.name, sizeof entry.name, "%s", name);
  return entry;
}

static struct cursor_record record_of(const char *name) {
  return (struct cursor_record){.header = {.type = RECORD_CURSOR, .bytes = sizeof(struct cursor_record)},
                                .event = CURSOR_EVENT_CREATED,
                                .cursor = entry_named(name)};
}

static void a_hostile_record_says_nothing(void **state) {
  (void)state;
  struct cursor_record bad[14];
  const struct cursor_record good = record_of("good");
  cursor_table_see(table, 10, &good.header);
  assert_int_equal(lsn_of(table, "good"), 5);
  for (unsigned i = 0; i < 14; i++) bad[i] = record_of("bad");
  bad[0].event = 0;
  bad[1].event = 4;
  bad[2].header.bytes = sizeof(struct record_header);
  bad[3].header.bytes -= 8;
  bad[4].cursor.lsn = 10; /* of itself */
  bad[5].cursor.lsn = UINT64_MAX;
  bad[6].cursor.removed_lsn = 10;
  bad[7].cursor.kind = CURSOR_KINDS;
  bad[8].cursor.holds = 2;
  bad[9].cursor.name[1] = '/';
  bad[10].cursor.name[20] = 'x';
  memset(bad[11].cursor.name, 'a', CURSOR_NAME_BYTES);
  memset(bad[12].cursor.who, 'a', CURSOR_WHO_BYTES);
  bad[13].cursor.name[0] = '\0';
  for (unsigned i = 0; i < 14; i++) {
    cursor_table_see(table, 10, &bad[i].header);
    assert_int_equal(cursor_table_recovered(table, 1), i + 1);
    assert_int_equal(lsn_of(table, "bad"), UINT64_MAX);
  }
  assert_int_equal(lsn_of(table, "good"), 5);
}

static void see_several(uint32_t event, uint32_t count, uint32_t bytes, const char *first, const char *second) {
  union {
    struct cursors_record record;
    uint8_t room[sizeof(struct cursors_record) + 2 * sizeof(struct cursor_entry)];
  } all = {.record = {.header = {.type = RECORD_CURSORS, .bytes = bytes}, .event = event, .count = count}};
  const struct cursor_entry entries[2] = {entry_named(first), entry_named(second)};
  memcpy(all.record.cursors, entries, sizeof entries);
  cursor_table_see(table, 10, &all.record.header);
}

static void a_hostile_snapshot_says_nothing(void **state) {
  (void)state;
  const uint32_t two = sizeof(struct cursors_record) + 2 * sizeof(struct cursor_entry);
  const uint32_t one = sizeof(struct cursors_record) + sizeof(struct cursor_entry);
  set("kept", 3);
  see_several(CURSORS_EVENT_SNAPSHOT, 2, two, "a", "a");
  see_several(CURSORS_EVENT_SNAPSHOT, 2, two, "a", "/");
  see_several(CURSORS_EVENT_SNAPSHOT, 3, two, "a", "b");
  see_several(CURSORS_EVENT_SNAPSHOT, UINT32_MAX, two, "a", "b");
  see_several(CURSORS_EVENT_SNAPSHOT, 0, sizeof(struct cursors_record) - 8, "a", "b");
  see_several(CURSORS_EVENT_DELETED, 2, two, "a", "kept");
  see_several(CURSORS_EVENT_DELETED, 0, sizeof(struct cursors_record), "a", "b");
  see_several(4, 2, two, "a", "b");
  see_several(0, 2, two, "a", "b");
  assert_int_equal(cursor_table_recovered(table, 1), 9);
  assert_int_equal(lsn_of(table, "kept"), 3);
  see_several(CURSORS_EVENT_DELETED, 1, one, "unknown", "b");
  assert_int_equal(lsn_of(table, "kept"), 3);
  see_several(CURSORS_EVENT_OVERTAKEN, 2, two, "a", "b");
  assert_int_equal(lsn_of(table, "kept"), UINT64_MAX);
  assert_int_equal(lsn_of(table, "a"), 5);
  see_several(CURSORS_EVENT_SNAPSHOT, 0, sizeof(struct cursors_record), "a", "b");
  assert_int_equal(lsn_of(table, "a"), UINT64_MAX);
  assert_int_equal(cursor_table_recovered(table, 1), 9);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_name_is_plain_and_bounded),
      TEST(a_cursor_is_made_moved_reset_and_deleted),
      TEST(the_places_now_and_oldest),
      TEST(what_is_expected_must_be_so),
      TEST(there_is_room_for_so_many),
      TEST(advances_of_one_cursor_coalesce),
      TEST(those_who_wait_for_one_record_share_it),
      TEST(a_reader_in_the_process_is_recorded_when_due),
      TEST(what_is_only_passed_is_recorded_by_the_thousand),
      TEST(all_survives_a_restart_and_nothing_that_was_not_durable_is_promised),
      TEST(a_journal_in_trouble_changes_nothing),
      TEST(a_snapshot_stands_for_all_before_it),
      TEST(retention_waits_for_those_that_hold),
      TEST(a_tail_may_hold_and_stop_holding),
      TEST(a_deleted_cursor_holds_until_that_is_durable),
      TEST(what_was_overtaken_is_told_by_a_record),
      TEST(a_hostile_record_says_nothing),
      TEST(a_hostile_snapshot_says_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
