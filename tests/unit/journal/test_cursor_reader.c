/* Violations from where a cursor is: in order, each once, over segments, through removals. */
#include "cmocka_test.h"
#include "cursor_reader.h"
#include "journal_retention.h"
#include "journal_rig.h"
#include <errno.h>
#include <string.h>

#define ALL UINT32_MAX

static struct journal_io *io;
static struct journal_rig rig;
static struct cursor_readers *readers;

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  readers = cursor_readers_create(io);
  return readers ? rig_open(&rig) : -1;
}

static int tear_down(void **state) {
  (void)state;
  cursor_readers_destroy(readers);
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

static void add_violation(uint64_t number) {
  struct record_ring *ring = rig.config.rings[0];
  const struct violation violation = {
      .wall_ns = number, .rule = {"r", 1}, .message = {"found", 5}, .fixed = {.count = (uint32_t)number}};
  void *record = record_ring_reserve(ring, violation_encoded_bytes(&violation));
  assert_non_null(record);
  violation_encode(&violation, record);
  record_ring_publish(ring);
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
}

/* Every third record is a violation; each has a block of its own: 31 a segment. */
static void fill(uint32_t records) {
  for (uint32_t i = 0; i < records; i++) {
    const uint64_t lsn = journal_durable_lsn(rig.journal) + 1;
    if (lsn % 3 == 0)
      add_violation(lsn);
    else
      rig_append(&rig, 1, 3000);
  }
}

struct given {
  uint64_t lsns[200];
  uint32_t count, stop_at;
};

static bool take(void *context, uint64_t lsn, const struct violation *violation) {
  struct given *given = context;
  assert_int_equal(violation->fixed.count, lsn);
  assert_int_equal(violation->wall_ns, lsn);
  assert_true(given->count < 200);
  given->lsns[given->count++] = lsn;
  return given->count != given->stop_at;
}

static struct cursor_reading read_after(uint64_t after_lsn, uint32_t limit, struct given *given) {
  struct cursor_reading reading;
  assert_int_equal(cursor_readers_read(readers, after_lsn, journal_durable_lsn(rig.journal), limit, take, given, &reading), 0);
  assert_int_equal(reading.given, given->count);
  return reading;
}

static void remove_first(uint64_t segments) {
  for (uint64_t i = 1; i <= segments; i++) assert_int_equal(journal_remove_segment(io, i), 0);
}

static void an_empty_journal_has_nothing(void **state) {
  (void)state;
  struct given given = {.count = 0};
  const struct cursor_reading reading = read_after(0, ALL, &given);
  assert_int_equal(reading.position, 0);
  assert_false(reading.more);
}

static void all_are_given_once_from_any_place_in_pieces_of_any_size(void **state) {
  (void)state;
  fill(100); /* four segments */
  for (uint64_t from = 0; from <= 100; from += 7)
    for (uint32_t piece = 1; piece <= 40; piece += 13) {
      uint64_t at = from, expected = from / 3 * 3 + 3;
      for (bool more = true; more;) {
        struct given given = {.count = 0};
        const struct cursor_reading reading = read_after(at, piece, &given);
        for (uint32_t i = 0; i < given.count; i++, expected += 3) assert_int_equal(given.lsns[i], expected);
        assert_true(reading.position > at || !reading.more);
        at = reading.position;
        more = reading.more;
      }
      assert_int_equal(expected, 102);
      assert_int_equal(at, 100); /* what is no violation is passed, too */
    }
}

static void who_comes_back_goes_on_and_sees_what_is_new(void **state) {
  (void)state;
  uint64_t at = 0, expected = 3;
  for (int round = 0; round < 120; round++) {
    struct given given = {.count = 0};
    fill(1);
    const struct cursor_reading reading = read_after(at, ALL, &given);
    for (uint32_t i = 0; i < given.count; i++, expected += 3) assert_int_equal(given.lsns[i], expected);
    at = reading.position;
    assert_int_equal(at, journal_durable_lsn(rig.journal));
  }
  assert_int_equal(expected, 123);
}

static void one_that_has_enough_is_given_no_more(void **state) {
  (void)state;
  fill(60);
  struct given given = {.stop_at = 4};
  const struct cursor_reading reading = read_after(0, ALL, &given);
  assert_int_equal(given.count, 4);
  assert_int_equal(reading.position, 12);
  assert_true(reading.more);
}

static void a_limit_of_what_is_durable_is_kept(void **state) {
  (void)state;
  struct given given = {.count = 0};
  struct cursor_reading reading;
  fill(60);
  assert_int_equal(cursor_readers_read(readers, 0, 30, ALL, take, &given, &reading), 0);
  assert_int_equal(given.count, 10);
  assert_int_equal(reading.position, 30);
}

static void what_was_removed_is_told_as_a_gap(void **state) {
  (void)state;
  fill(100);
  remove_first(2); /* LSN 1 to 62 */
  struct given given = {.count = 0};
  struct cursor_reading reading = read_after(10, ALL, &given);
  assert_int_equal(given.count, 0);
  assert_int_equal(reading.gap_from, 11);
  assert_int_equal(reading.gap_to, 62);
  assert_int_equal(reading.position, 10);
  reading = read_after(62, ALL, &given);
  assert_int_equal(reading.gap_to, 0);
  assert_int_equal(given.lsns[0], 63);
  assert_int_equal(given.count, 13);
}

/* It had begun: the segment that it has open is read to its end; what was given comes first, and then the gap. */
static void a_reader_that_is_overtaken_is_told_where(void **state) {
  (void)state;
  fill(130);
  struct given given = {.count = 0};
  struct cursor_reading reading = read_after(0, 5, &given);
  assert_int_equal(reading.position, 15);
  remove_first(3); /* LSN 1 to 93 */
  given.count = 0;
  reading = read_after(15, ALL, &given);
  assert_true(given.count > 0 && given.lsns[0] == 18);
  assert_int_equal(reading.gap_to, 0);
  assert_true(reading.more);
  const uint64_t at = reading.position;
  assert_true(at <= 31);
  given.count = 0;
  reading = read_after(at, ALL, &given);
  assert_int_equal(given.count, 0);
  assert_int_equal(reading.gap_from, at + 1);
  assert_int_equal(reading.gap_to, 93);
}

/* A file that is kept open would keep its room. */
static void readers_of_what_is_removed_are_let_go(void **state) {
  (void)state;
  fill(130);
  struct given given = {.count = 0};
  read_after(0, 5, &given);
  remove_first(3);
  cursor_readers_let_go(readers, 94);
  given.count = 0;
  const struct cursor_reading reading = read_after(15, ALL, &given);
  assert_int_equal(given.count, 0);
  assert_int_equal(reading.gap_from, 16);
  assert_int_equal(reading.gap_to, 93);
}

static void damage_is_an_error_and_not_an_end(void **state) {
  (void)state;
  size_t length;
  struct given given = {.count = 0};
  struct cursor_reading reading;
  fill(60);
  journal_sim_io_bytes(io, "journal-0000000000000001.seg", &length)[20 * 4096 + 100] ^= 1;
  assert_int_equal(cursor_readers_read(readers, 0, 60, ALL, take, &given, &reading), -EBADMSG);
}

static void many_readers_share_a_few_places(void **state) {
  (void)state;
  fill(130);
  for (int round = 0; round < 3; round++)
    for (uint64_t reader = 0; reader < 40; reader++) {
      struct given given = {.count = 0};
      const struct cursor_reading reading = read_after(reader * 3, 2, &given);
      assert_int_equal(given.lsns[0], reader * 3 + 3);
      assert_int_equal(reading.position, reader * 3 + 6);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(an_empty_journal_has_nothing),
      TEST(all_are_given_once_from_any_place_in_pieces_of_any_size),
      TEST(who_comes_back_goes_on_and_sees_what_is_new),
      TEST(one_that_has_enough_is_given_no_more),
      TEST(a_limit_of_what_is_durable_is_kept),
      TEST(what_was_removed_is_told_as_a_gap),
      TEST(a_reader_that_is_overtaken_is_told_where),
      TEST(readers_of_what_is_removed_are_let_go),
      TEST(damage_is_an_error_and_not_an_end),
      TEST(many_readers_share_a_few_places),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
