/* What the limits let go, and what is held for whoever needs it. */
#include "cmocka_test.h"
#include "journal_format_internal.h"
#include "journal_retention.h"
#include "journal_rig.h"
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull

/* Ten segments of 100 records and 1000 bytes, one a second from 100 s on. */
static struct journal_segment segments[10];

static int set_up(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 10; i++)
    segments[i] = (struct journal_segment){
        .segment = i + 3, .first_lsn = 1 + i * 100, .created_wall_ns = (100 + i) * SECOND, .bytes = 1000};
  return 0;
}

static struct journal_retention judge(struct journal_limits limits, uint64_t needed_lsn) {
  const struct journal_needs needs = {.state_lsn = needed_lsn, .cursor_lsn = UINT64_MAX};
  return journal_retention_judge(segments, 10, &limits, &needs, 1000, 110 * SECOND);
}

static void test_without_limits_all_stays(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){0}, 1000).removable, 0);
  const struct journal_needs needs = {.state_lsn = 1, .cursor_lsn = UINT64_MAX};
  assert_int_equal(journal_retention_judge(segments, 0, &(struct journal_limits){.bytes = 1}, &needs, 1, 1).removable, 0);
}

/* A segment's youngest record is as old as the next segment's first use. */
static void test_age(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){.age_ns = 5 * SECOND}, 1000).removable, 4);
  assert_int_equal(judge((struct journal_limits){.age_ns = 9 * SECOND}, 1000).removable, 0);
  assert_int_equal(judge((struct journal_limits){.age_ns = 1}, 1000).removable, 9); /* the one in use stays */
  /* A clock that was set back lets nothing go. */
  const struct journal_needs needs = {.state_lsn = 1000, .cursor_lsn = UINT64_MAX};
  assert_int_equal(journal_retention_judge(segments, 10, &(struct journal_limits){.age_ns = 1}, &needs, 1000, 1).removable, 0);
}

static void test_bytes(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){.bytes = 10000}, 1000).removable, 0);
  assert_int_equal(judge((struct journal_limits){.bytes = 9999}, 1000).removable, 1);
  assert_int_equal(judge((struct journal_limits){.bytes = 3000}, 1000).removable, 7);
  assert_int_equal(judge((struct journal_limits){.bytes = 1}, 1000).removable, 9);
}

static void test_records(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){.records = 900}, 1000).removable, 1);
  assert_int_equal(judge((struct journal_limits){.records = 901}, 1000).removable, 0);
  assert_int_equal(judge((struct journal_limits){.records = 1}, 1000).removable, 9);
}

static void test_what_is_needed_is_held(void **state) {
  (void)state;
  const struct journal_retention retention = judge((struct journal_limits){.bytes = 3000}, 350);
  assert_int_equal(retention.removable, 3); /* LSN 350 is in the fourth */
  assert_int_equal(retention.held_by_state, 4);
  assert_int_equal(judge((struct journal_limits){.bytes = 3000}, 0).removable, 0);
  assert_int_equal(judge((struct journal_limits){.bytes = 3000}, 0).held_by_state, 7);
}

/* Ten segments, 1 to 1000: over a limit of 3,000 bytes are seven. */
static void test_what_cursors_need_is_held_up_to_the_hard_limit(void **state) {
  (void)state;
  static const struct {
    const char *what;
    struct journal_limits limits;
    struct journal_needs needs;
    struct journal_retention wanted;
  } rows[] = {
      {"no cursor", {.bytes = 3000}, {1000, UINT64_MAX}, {.removable = 7}},
      {"a cursor at the end", {.bytes = 3000}, {1000, 1001}, {.removable = 7}},
      {"it has had all that goes", {.bytes = 3000}, {1000, 701}, {.removable = 7}},
      {"one record is missing", {.bytes = 3000}, {1000, 700}, {.removable = 6, .held_by_cursors = 1, .held_bytes = 1000}},
      {"half of it", {.bytes = 3000}, {1000, 350}, {.removable = 3, .held_by_cursors = 4, .held_bytes = 4000}},
      {"it needs all", {.bytes = 3000}, {1000, 1}, {.held_by_cursors = 7, .held_bytes = 7000}},
      {"by age", {.age_ns = 5 * SECOND}, {1000, 1}, {.held_by_cursors = 4, .held_bytes = 4000}},
      {"by records", {.records = 900}, {1000, 1}, {.held_by_cursors = 1, .held_bytes = 1000}},
      {"under every limit", {.bytes = 10000}, {1000, 1}, {0}},
      {"the hard limit",
       {.bytes = 3000, .bytes_hard = 6000},
       {1000, 1},
       {.removable = 4, .overtaking = 4, .held_by_cursors = 3, .held_bytes = 3000}},
      {"some had, some overtaken",
       {.bytes = 3000, .bytes_hard = 6000},
       {1000, 250},
       {.removable = 4, .overtaking = 2, .held_by_cursors = 3, .held_bytes = 3000}},
      {"a hard limit that is not reached",
       {.bytes = 3000, .bytes_hard = 10000},
       {1000, 1},
       {.held_by_cursors = 7, .held_bytes = 7000}},
      {"a hard limit alone", {.bytes_hard = 6000}, {1000, 1}, {.removable = 4, .overtaking = 4}},
      {"a hard limit alone, no cursor", {.bytes_hard = 6000}, {1000, UINT64_MAX}, {.removable = 4}},
      {"a full disk", {.bytes = 3000, .no_room = true}, {1000, 1}, {.removable = 7, .overtaking = 7}},
      {"a full disk without a limit", {.no_room = true}, {1000, 1}, {0}},
      {"the state comes first",
       {.bytes = 3000, .bytes_hard = 6000},
       {150, 1},
       {.removable = 1, .overtaking = 1, .held_by_state = 6, .held_bytes = 6000}},
      {"the state and a full disk", {.bytes = 3000, .no_room = true}, {0, 1}, {.held_by_state = 7, .held_bytes = 7000}},
      {"both hold", {.bytes = 3000}, {350, 150}, {.removable = 1, .held_by_state = 4, .held_by_cursors = 2, .held_bytes = 6000}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct journal_retention found =
        journal_retention_judge(segments, 10, &rows[i].limits, &rows[i].needs, 1000, 110 * SECOND);
    if (memcmp(&found, &rows[i].wanted, sizeof found) != 0)
      fail_msg("%s: removable %zu, overtaking %zu, held by state %zu, by cursors %zu, %llu bytes", rows[i].what, found.removable,
               found.overtaking, found.held_by_state, found.held_by_cursors, (unsigned long long)found.held_bytes);
  }
}

static void test_segments_are_listed_by_their_headers(void **state) {
  (void)state;
  struct journal_io *io =
      journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  struct journal_rig rig;
  struct journal_segment *list;
  size_t count;
  rig_init(&rig, io, 1);
  assert_int_equal(rig_open(&rig), 0);
  for (int i = 0; i < 70; i++) rig_append(&rig, 1, 3000);
  assert_int_equal(journal_segments(io, &list, &count), 0);
  assert_int_equal(count, 3); /* and one is prepared */
  for (uint64_t i = 0; i < 3; i++) {
    assert_int_equal(list[i].segment, i + 1);
    assert_int_equal(list[i].first_lsn, 1 + i * 31);
    assert_int_equal(list[i].bytes, RIG_SEGMENT_BYTES);
    assert_int_equal(list[i].version, JOURNAL_VERSION);
  }
  free(list);
  assert_int_equal(journal_remove_segment(io, 1), 0);
  assert_int_equal(journal_remove_segment(io, 1), 0);
  assert_int_equal(journal_segments(io, &list, &count), 0);
  assert_int_equal(count, 2);
  free(list);
  rig_free(&rig);
  io->operations->destroy(io);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup(name, set_up)
  const struct CMUnitTest tests[] = {
      TEST(test_without_limits_all_stays),
      TEST(test_age),
      TEST(test_bytes),
      TEST(test_records),
      TEST(test_what_is_needed_is_held),
      TEST(test_what_cursors_need_is_held_up_to_the_hard_limit),
      TEST(test_segments_are_listed_by_their_headers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
