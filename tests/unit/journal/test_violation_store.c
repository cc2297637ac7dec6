#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_format_internal.h"
#include "journal_rig.h"
#include "violation_store.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULES 3
static const char *const rule_names[RULES] = {"slow-checkout", "pii-leaves-service", "payment-without-fraud-check"};

static struct journal_io *io;
static struct journal_rig rig;
static struct violation_store *store;

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  store = violation_store_create(io, 500);
  return rig_open(&rig);
}

static int tear_down(void **state) {
  (void)state;
  violation_store_destroy(store);
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

/* The nth violation: rule, severity, trace and time follow from n. */
static void publish_violation(uint64_t n) {
  char message[64];
  const int length = snprintf(message, sizeof message, "violation %llu", (unsigned long long)n);
  struct violation violation = {.wall_ns = 1000 + n * 10,
                                .shard = 0,
                                .rule = {rule_names[n % RULES], (uint32_t)strlen(rule_names[n % RULES])},
                                .message = {message, (uint32_t)length}};
  violation.fixed.severity = (uint8_t)(n % 5);
  violation.fixed.has_trace = n % 4 != 0;
  violation.fixed.trace_id[0] = (uint8_t)(n % 7);
  violation.fixed.trace_id[15] = (uint8_t)(n % 2); /* beyond the half that the index keeps */
  const uint32_t bytes = violation_encoded_bytes(&violation);
  void *record = record_ring_reserve(rig.config.rings[0], bytes);
  assert_non_null(record);
  violation_encode(&violation, record);
  record_ring_publish(rig.config.rings[0]);
}

/* `count` violations, with other records between: violation n has LSN 2n. */
static void append(uint64_t first, uint64_t count) {
  for (uint64_t n = first; n < first + count; n++) {
    assert_true(rig_publish(&rig, 0, 100));
    publish_violation(n);
    if (n % 10 == 0) assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  }
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  rig.now_ns = io->operations->now(io);
}

static void catch_up(void) { assert_int_equal(violation_store_catch_up(store, journal_durable_lsn(rig.journal)), 0); }

struct answer {
  uint64_t lsns[2000];
  uint32_t count;
  uint32_t stop_after;
};

static bool collect(void *context, uint64_t lsn, const struct violation *violation) {
  struct answer *answer = context;
  const uint64_t n = lsn / 2;
  char message[64];
  const int length = snprintf(message, sizeof message, "violation %llu", (unsigned long long)n);
  assert_int_equal(violation->message.length, length);
  assert_memory_equal(violation->message.at, message, (size_t)length);
  assert_int_equal(violation->wall_ns, 1000 + n * 10);
  answer->lsns[answer->count++] = lsn;
  return answer->count != answer->stop_after;
}

static struct answer query(struct violation_filter filter) {
  struct answer answer = {0};
  if (!filter.limit) filter.limit = 2000;
  const int given = violation_store_query(store, &filter, collect, &answer);
  assert_int_equal(given, answer.count);
  return answer;
}

static void test_an_empty_store_answers_nothing(void **state) {
  (void)state;
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1}).count, 0);
  catch_up();
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1}).count, 0);
  assert_int_equal(violation_store_count(store), 0);
  assert_int_equal(violation_store_last_lsn(store), 0);
}

static void test_newest_first_and_only_violations(void **state) {
  (void)state;
  append(1, 100);
  catch_up();
  assert_int_equal(violation_store_count(store), 100);
  assert_int_equal(violation_store_last_lsn(store), 200);
  const struct answer answer = query((struct violation_filter){.severity = -1, .source = -1});
  assert_int_equal(answer.count, 100);
  for (uint32_t i = 0; i < 100; i++) assert_int_equal(answer.lsns[i], 200 - 2 * i);
}

static void test_only_what_is_durable_is_seen(void **state) {
  (void)state;
  append(1, 10);
  assert_int_equal(violation_store_catch_up(store, 11), 0);
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1}).count, 5);
  catch_up();
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1}).count, 10);
}

static void test_filters_agree_with_a_scan(void **state) {
  (void)state;
  append(1, 400);
  catch_up();
  for (int rule = -1; rule < RULES; rule++)
    for (int severity = -1; severity < 5; severity++)
      for (int trace = -1; trace < 7; trace++)
        for (int times = 0; times < 4; times++) {
          struct violation_filter filter = {.severity = severity, .source = -1, .rule = rule < 0 ? NULL : rule_names[rule]};
          filter.has_trace_id = trace >= 0;
          filter.trace_id[0] = (uint8_t)trace;
          filter.trace_id[15] = 1;
          if (times & 1) filter.since_ns = 1000 + 100 * 10;
          if (times & 2) filter.until_ns = 1000 + 300 * 10;
          const struct answer answer = query(filter);
          uint32_t expected = 0;
          for (uint64_t n = 400; n >= 1; n--) {
            if ((rule >= 0 && n % RULES != (uint64_t)rule) || (severity >= 0 && n % 5 != (uint64_t)severity)) continue;
            if (trace >= 0 && (n % 4 == 0 || n % 7 != (uint64_t)trace || n % 2 != 1)) continue;
            if (((times & 1) && n < 100) || ((times & 2) && n >= 300)) continue;
            assert_true(expected < answer.count);
            assert_int_equal(answer.lsns[expected++], 2 * n);
          }
          assert_int_equal(answer.count, expected);
        }
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1, .rule = "slow"}).count, 0);
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1, .rule = ""}).count, 0);
}

static void test_pages_by_cursor_give_all_once(void **state) {
  (void)state;
  append(1, 333);
  catch_up();
  uint64_t before = 0, expected = 333;
  for (;;) {
    const struct answer page = query((struct violation_filter){.severity = -1, .source = -1, .limit = 10, .before_lsn = before});
    for (uint32_t i = 0; i < page.count; i++) assert_int_equal(page.lsns[i], 2 * expected--);
    if (page.count < 10) break;
    before = page.lsns[page.count - 1];
    if (expected == 200) {
      append(334, 5); /* what arrives meanwhile does not move the pages */
      catch_up();
    }
  }
  assert_int_equal(expected, 0);
}

static void test_tail_reads_oldest_first_after_a_cursor(void **state) {
  (void)state;
  append(1, 50);
  catch_up();
  struct answer answer = query((struct violation_filter){.severity = -1, .source = -1, .oldest_first = true, .after_lsn = 80});
  assert_int_equal(answer.count, 10);
  for (uint32_t i = 0; i < 10; i++) assert_int_equal(answer.lsns[i], 82 + 2 * i);
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1, .oldest_first = true, .after_lsn = 100}).count,
                   0);
  append(51, 1);
  catch_up();
  answer = query((struct violation_filter){.severity = -1, .source = -1, .oldest_first = true, .after_lsn = 100});
  assert_int_equal(answer.count, 1);
  assert_int_equal(answer.lsns[0], 102);
}

static void test_the_callback_may_stop(void **state) {
  (void)state;
  append(1, 50);
  catch_up();
  struct answer answer = {.stop_after = 7};
  const struct violation_filter filter = {.severity = -1, .source = -1, .limit = 100};
  assert_int_equal(violation_store_query(store, &filter, collect, &answer), 7);
  assert_int_equal(answer.count, 7);
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1, .limit = 3}).count, 3);
}

static void test_the_newest_stay_when_it_is_full(void **state) {
  (void)state;
  append(1, 1300);
  catch_up();
  assert_int_equal(violation_store_count(store), 500);
  assert_int_equal(violation_store_total(store), 1300);
  const struct answer answer = query((struct violation_filter){.severity = -1, .source = -1});
  assert_int_equal(answer.count, 500);
  for (uint32_t i = 0; i < 500; i++) assert_int_equal(answer.lsns[i], 2600 - 2 * i);
}

static void test_a_restart_finds_them_again(void **state) {
  (void)state;
  append(1, 120);
  rig_close(&rig);
  violation_store_destroy(store);
  store = violation_store_create(io, 500);
  assert_int_equal(rig_open(&rig), 0);
  catch_up();
  assert_int_equal(query((struct violation_filter){.severity = -1, .source = -1}).count, 120);
}

static void test_damage_is_an_error_not_an_answer(void **state) {
  (void)state;
  append(1, 50);
  catch_up();
  size_t length;
  uint8_t *bytes = journal_sim_io_bytes(io, "journal-0000000000000001.seg", &length);
  for (size_t at = 4096; at < 16384; at += 64) bytes[at] ^= 1;
  struct answer answer = {0};
  const struct violation_filter filter = {.severity = -1, .source = -1, .limit = 100};
  assert_int_equal(violation_store_query(store, &filter, collect, &answer), -EBADMSG);
}

static void test_a_read_error_passes(void **state) {
  (void)state;
  append(1, 50);
  struct journal_io *faulty = journal_fault_io_create(io);
  violation_store_destroy(store);
  store = violation_store_create(faulty, 500);
  journal_fault_io_arm(faulty, &(struct journal_fault){.point = FAULT_READ, .nth = 2, .error = -EIO});
  assert_int_equal(violation_store_catch_up(store, 100), -EIO);
  assert_int_equal(violation_store_catch_up(store, 100), 0);
  assert_int_equal(violation_store_count(store), 50);
  violation_store_destroy(store);
  store = NULL;
  faulty->operations->destroy(faulty);
}

static void see(void *context, uint64_t lsn, const struct record_header *record, struct journal_position position) {
  uint64_t *seen = context;
  assert_true(position.segment > 0 && position.offset > 0);
  assert_int_equal(lsn, ++*seen);
  assert_true(record->type == RECORD_VIOLATION || record->type == RECORD_WEBHOOK);
}

static bool count_one(void *context, uint64_t lsn, const struct violation *violation) {
  (void)lsn, (void)violation;
  ++*(uint32_t *)context;
  return true;
}

static void test_every_record_is_seen_once_and_this_run_is_counted(void **state) {
  (void)state;
  uint64_t seen = 0;
  violation_store_observe(store, see, &seen);
  violation_store_begin_run(store, 21);
  append(1, 20);
  assert_int_equal(violation_store_catch_up_within(store, 30, 1000000), 0);
  assert_int_equal(violation_store_catch_up(store, 40), 0);
  assert_int_equal(violation_store_catch_up(store, 40), 0);
  assert_int_equal(seen, 40);
  assert_int_equal(violation_store_total(store), 20);
  assert_int_equal(violation_store_run_total(store), 10);
}

/* Retention: what is forgotten is not read, and its segments may go while queries run. */
static void test_what_is_forgotten_is_not_asked_for(void **state) {
  (void)state;
  append(1, 400);
  assert_int_equal(violation_store_catch_up(store, journal_durable_lsn(rig.journal)), 0);
  uint64_t *segments;
  size_t files;
  assert_int_equal(journal_list_segments(io, &segments, &files), 0);
  assert_true(files > 2);
  struct journal_reader *reader;
  int error;
  reader = journal_reader_open(io, 1, &error);
  uint64_t lsn = 0;
  const struct record_header *record;
  do assert_int_equal(journal_reader_next(reader, 800, &lsn, &record), JOURNAL_READ_RECORD);
  while (journal_reader_position(reader).segment == 1);
  journal_reader_close(reader);
  violation_store_forget(store, lsn);
  violation_store_forget(store, 2);
  assert_int_equal(io->operations->remove(io, "journal-0000000000000001.seg"), 0);
  uint32_t count = 0;
  const struct violation_filter filter = {.severity = -1, .source = -1, .limit = 1000};
  const int given = violation_store_query(store, &filter, count_one, &count);
  assert_int_equal(given, violation_store_count(store));
  assert_int_equal(given, 400 - (int)(lsn - 1) / 2);
  assert_int_equal(violation_store_total(store), 400);
  free(segments);
}

/* A store that is opened late begins at what is left. */
static void test_the_index_begins_at_what_retention_left(void **state) {
  (void)state;
  append(1, 400);
  assert_int_equal(io->operations->remove(io, "journal-0000000000000001.seg"), 0);
  assert_int_equal(violation_store_catch_up(store, journal_durable_lsn(rig.journal)), 0);
  assert_true(violation_store_total(store) < 400 && violation_store_total(store) > 0);
}

/* Service, source and id follow from n too. */
static void publish_full(uint64_t n) {
  char service[32];
  const int length = snprintf(service, sizeof service, "service-%llu", (unsigned long long)(n % 6));
  struct violation violation = {.wall_ns = 1000000 + n * 10,
                                .rule = {rule_names[n % RULES], (uint32_t)strlen(rule_names[n % RULES])},
                                .message = {"", 0},
                                .service = {n % 6 ? service : NULL, n % 6 ? (uint32_t)length : 0}};
  violation.fixed.severity = (uint8_t)(n % 5);
  violation.fixed.source = (uint8_t)(n / 5000 % 4);
  memcpy(violation.fixed.id, &n, sizeof n);
  violation.fixed.has_trace = true;
  violation.fixed.trace_id[3] = (uint8_t)(n / 2);
  violation.fixed.trace_id[4] = (uint8_t)(n / 2 >> 8);
  void *record = record_ring_reserve(rig.config.rings[0], violation_encoded_bytes(&violation));
  assert_non_null(record);
  violation_encode(&violation, record);
  record_ring_publish(rig.config.rings[0]);
}

#define MANY 12000u /* three groups of the index */

static struct violation_store *open_many(uint32_t capacity) {
  for (uint64_t n = 1; n <= MANY; n++) {
    publish_full(n);
    if (n % 50 == 0) assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  }
  struct violation_store *many = violation_store_create(io, capacity);
  assert_int_equal(violation_store_catch_up(many, journal_durable_lsn(rig.journal)), 0);
  return many;
}

struct numbers {
  uint64_t got[MANY + 1];
  uint32_t count;
};

static bool take_number(void *context, uint64_t lsn, const struct violation *violation) {
  struct numbers *numbers = context;
  uint64_t n;
  memcpy(&n, violation->fixed.id, sizeof n);
  assert_int_equal(lsn, n); /* nothing else is in this journal */
  numbers->got[numbers->count++] = n;
  return true;
}

static bool wanted(const struct violation_filter *filter, uint64_t n) {
  char service[32];
  snprintf(service, sizeof service, "service-%llu", (unsigned long long)(n % 6));
  uint64_t id = 0;
  memcpy(&id, filter->id, sizeof id);
  return (!filter->rule || strcmp(filter->rule, rule_names[n % RULES]) == 0) &&
         (!filter->service || (n % 6 && strcmp(filter->service, service) == 0)) &&
         (filter->severity < 0 || (uint64_t)filter->severity == n % 5) &&
         (filter->source < 0 || (uint64_t)filter->source == n / 5000 % 4) && (!filter->has_id || id == n) &&
         (!filter->has_trace_id || (filter->trace_id[3] == (uint8_t)(n / 2) && filter->trace_id[4] == (uint8_t)(n / 2 >> 8))) &&
         (!filter->since_ns || 1000000 + n * 10 >= filter->since_ns) &&
         (!filter->until_ns || 1000000 + n * 10 < filter->until_ns);
}

static const struct violation_filter many_filters[] = {
    {.severity = -1, .source = -1},
    {.severity = 3, .source = -1},
    {.severity = -1, .source = 1},
    {.severity = -1, .source = 3},
    {.severity = -1, .source = -1, .service = "service-4"},
    {.severity = -1, .source = -1, .service = "service-0"},
    {.severity = 2, .source = 0, .service = "service-2", .rule = "payment-without-fraud-check"},
    {.severity = -1, .source = -1, .rule = "no such rule"},
    {.severity = -1, .source = -1, .has_id = true, .id = {0x10, 0x27}},
    {.severity = -1, .source = -1, .has_id = true, .id = {9, 9, 9}},
    {.severity = -1, .source = -1, .has_trace_id = true, .trace_id = {0, 0, 0, 0x44, 0x12}},
    {.severity = -1, .source = -1, .since_ns = 1000000 + 90000, .until_ns = 1000000 + 90500},
};

/* By any filter, in both orders, and page by page, against a scan. */
static void test_every_filter_in_both_orders_and_by_pages(void **state) {
  (void)state;
  struct violation_store *many = open_many(50000);
  struct numbers *numbers = malloc(sizeof *numbers);
  for (size_t f = 0; f < sizeof many_filters / sizeof many_filters[0]; f++)
    for (int order = 0; order < 2; order++) {
      struct violation_filter filter = many_filters[f];
      filter.oldest_first = order;
      filter.limit = 700;
      numbers->count = 0;
      for (;;) {
        const int given = violation_store_query(many, &filter, take_number, numbers);
        assert_true(given >= 0);
        if ((uint32_t)given < filter.limit) break;
        *(order ? &filter.after_lsn : &filter.before_lsn) = numbers->got[numbers->count - 1];
      }
      uint32_t at = 0;
      for (uint64_t i = 1; i <= MANY; i++) {
        const uint64_t n = order ? i : MANY + 1 - i;
        if (!wanted(&filter, n)) continue;
        assert_true(at < numbers->count);
        assert_int_equal(numbers->got[at++], n);
      }
      if (at != numbers->count) fail_msg("filter %zu: %u instead of %u", f, numbers->count, at);
    }
  free(numbers);
  violation_store_destroy(many);
}

/* The groups' summaries are of what was overwritten, too: nothing is missed for that. */
static void test_a_full_index_misses_nothing_it_holds(void **state) {
  (void)state;
  struct violation_store *many = open_many(5000);
  struct numbers *numbers = calloc(1, sizeof *numbers);
  const struct violation_filter filter = {.severity = -1, .source = -1, .service = "service-4", .limit = MANY};
  assert_true(violation_store_query(many, &filter, take_number, numbers) > 0);
  uint32_t expected = 0;
  for (uint64_t n = MANY; n > MANY - 5000; n--) expected += n % 6 == 4;
  assert_int_equal(numbers->count, expected);
  free(numbers);
  violation_store_destroy(many);
}

static void test_counts_agree_with_a_scan(void **state) {
  (void)state;
  struct violation_store *many = open_many(50000);
  for (size_t f = 0; f < sizeof many_filters / sizeof many_filters[0]; f++)
    for (int group = 0; group < 3; group++) {
      const struct violation_filter *filter = &many_filters[f];
      struct violation_count *counts;
      size_t count;
      uint64_t total, sum = 0, expected = 0;
      assert_int_equal(violation_store_count_groups(many, filter, (enum violation_group)group, 7000, &counts, &count, &total), 0);
      for (size_t i = 0; i < count; i++) {
        uint64_t members = 0;
        for (uint64_t n = 1; n <= MANY; n++)
          members +=
              wanted(filter, n) && (group == VIOLATIONS_BY_RULE       ? strcmp(counts[i].rule, rule_names[n % RULES]) == 0
                                    : group == VIOLATIONS_BY_SEVERITY ? counts[i].severity == n % 5
                                                                      : (1000000 + n * 10) / 7000 * 7000 == counts[i].from_ns);
        assert_int_equal(counts[i].count, members);
        sum += members;
      }
      for (uint64_t n = 1; n <= MANY; n++) expected += wanted(filter, n);
      assert_int_equal(total, expected);
      assert_int_equal(sum, expected);
      free(counts);
    }
  struct violation_count *counts;
  size_t count;
  uint64_t total;
  assert_int_equal(violation_store_count_groups(many, &many_filters[0], VIOLATIONS_BY_TIME, 10, &counts, &count, &total), -E2BIG);
  violation_store_destroy(many);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_an_empty_store_answers_nothing),
      TEST(test_newest_first_and_only_violations),
      TEST(test_only_what_is_durable_is_seen),
      TEST(test_filters_agree_with_a_scan),
      TEST(test_pages_by_cursor_give_all_once),
      TEST(test_tail_reads_oldest_first_after_a_cursor),
      TEST(test_the_callback_may_stop),
      TEST(test_the_newest_stay_when_it_is_full),
      TEST(test_a_restart_finds_them_again),
      TEST(test_damage_is_an_error_not_an_answer),
      TEST(test_a_read_error_passes),
      TEST(test_every_record_is_seen_once_and_this_run_is_counted),
      TEST(test_what_is_forgotten_is_not_asked_for),
      TEST(test_the_index_begins_at_what_retention_left),
      TEST(test_every_filter_in_both_orders_and_by_pages),
      TEST(test_a_full_index_misses_nothing_it_holds),
      TEST(test_counts_agree_with_a_scan),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
