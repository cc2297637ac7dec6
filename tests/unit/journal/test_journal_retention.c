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
  return journal_retention_judge(segments, 10, &limits, needed_lsn, 1000, 110 * SECOND);
}

static void test_without_limits_all_stays(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){0}, 1000).removable, 0);
  assert_int_equal(journal_retention_judge(segments, 0, &(struct journal_limits){.bytes = 1}, 1, 1, 1).removable, 0);
}

/* A segment's youngest record is as old as the next segment's first use. */
static void test_age(void **state) {
  (void)state;
  assert_int_equal(judge((struct journal_limits){.age_ns = 5 * SECOND}, 1000).removable, 4);
  assert_int_equal(judge((struct journal_limits){.age_ns = 9 * SECOND}, 1000).removable, 0);
  assert_int_equal(judge((struct journal_limits){.age_ns = 1}, 1000).removable, 9); /* the one in use stays */
  /* A clock that was set back lets nothing go. */
  assert_int_equal(journal_retention_judge(segments, 10, &(struct journal_limits){.age_ns = 1}, 1000, 1000, 1).removable, 0);
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
  assert_int_equal(retention.held, 4);
  assert_int_equal(judge((struct journal_limits){.bytes = 3000}, 0).removable, 0);
  assert_int_equal(judge((struct journal_limits){.bytes = 3000}, 0).held, 7);
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
      TEST(test_segments_are_listed_by_their_headers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
