/* Queries over a journal on the simulated disk: every filter against a plain walk over what was written, in pages of any size. */
#include "cmocka_test.h"
#include "journal_fault_io.h"
#include "journal_rig.h"
#include "replay_table.h"
#include "violation_store.h"
#include "webhook_fixture.h"
#include "webhook_store.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBHOOKS 3000u
#define BASE_NS 1700000000000000000ull

static struct journal_io *io;
static struct journal_rig rig;
static struct webhook_store *store;
static struct violation_store *reading; /* what feeds it in the daemon */
static char ids[WEBHOOKS + 1][16];

static void see(void *context, uint64_t lsn, const struct record_header *record, struct journal_position position) {
  webhook_store_see(context, lsn, record, position);
}

/* The nth has LSN n; all else follows from n. Every fifth is of an earlier release. */
static struct webhook_fixture webhook_of(uint32_t n) {
  static const char *const sources[] = {"orders", "alertmanager", "github"};
  static char body[300];
  snprintf(ids[n], sizeof ids[n], "id-%u", n);
  snprintf(body, sizeof body, "{\"n\":%u,\"filler\":\"%0*d\"}", n, (int)(n % 250) + 1, 0);
  return (struct webhook_fixture){.source = sources[n % 3],
                                  .status = n % 4 ? 200 : 202,
                                  .wall_ns = BASE_NS + n / 10 * 1000000,
                                  .number = n,
                                  .claimed_id = n % 2 ? ids[n] : NULL,
                                  .body = body,
                                  .short_form = n % 5 == 0,
                                  .too_large = n % 7 == 0};
}

static int set_up(void **state) {
  (void)state;
  io = journal_sim_io_create(&(struct journal_sim_io_options){.seed = 3, .latency_least_ns = 1000, .latency_most_ns = 1000});
  rig_init(&rig, io, 1);
  store = webhook_store_create(io);
  reading = violation_store_create(io, 500);
  violation_store_observe(reading, see, store);
  if (rig_open(&rig) != 0) return -1;
  for (uint32_t n = 1; n <= WEBHOOKS; n++) {
    const struct webhook_fixture webhook = webhook_of(n);
    assert_true(webhook_fixture_publish(rig.config.rings[0], &webhook));
    if (n % 40 == 0) assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  }
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  return violation_store_catch_up(reading, journal_durable_lsn(rig.journal));
}

static int tear_down(void **state) {
  (void)state;
  violation_store_destroy(reading);
  webhook_store_destroy(store);
  rig_free(&rig);
  io->operations->destroy(io);
  return 0;
}

struct page {
  uint32_t expected[WEBHOOKS], count; /* newest first */
  uint32_t seen;
};

static bool check(void *context, uint64_t lsn, const struct webhook_account *account) {
  struct page *page = context;
  assert_true(page->seen < page->count);
  const uint32_t n = page->expected[page->seen++];
  assert_int_equal(lsn, n);
  const struct webhook_fixture webhook = webhook_of(n);
  assert_int_equal(account->audited, !webhook.short_form);
  assert_int_equal(account->body != NULL, !webhook.short_form && !webhook.too_large);
  if (account->body) assert_memory_equal(account->body, webhook.body, strlen(webhook.body));
  return true;
}

static bool wanted(const struct webhook_filter *filter, uint32_t n) {
  const struct webhook_fixture webhook = webhook_of(n);
  uint8_t correlation_id[16];
  webhook_fixture_correlation_id(&webhook, correlation_id);
  if (filter->source && strcmp(filter->source, webhook.source) != 0) return false;
  if (filter->status && filter->status != webhook.status) return false;
  if (filter->since_ns && webhook.wall_ns < filter->since_ns) return false;
  if (filter->until_ns && webhook.wall_ns >= filter->until_ns) return false;
  if (filter->has_correlation_id && memcmp(filter->correlation_id, correlation_id, 16) != 0) return false;
  if (!filter->has_id_key) return true;
  if (!webhook.claimed_id) return false;
  const struct replay_key key = replay_key_of(webhook.source, (uint32_t)strlen(webhook.source), ids[n], (uint32_t)strlen(ids[n]));
  return memcmp(key.bytes, filter->id_key, 16) == 0;
}

static uint32_t expect_pages(struct webhook_filter filter, uint32_t limit) {
  static struct page page;
  uint64_t more_lsn = 0;
  page = (struct page){0};
  for (uint32_t n = WEBHOOKS; n > 0; n--)
    if (wanted(&filter, n)) page.expected[page.count++] = n;
  filter.limit = limit;
  do {
    const uint32_t before = page.seen;
    filter.before_lsn = more_lsn;
    const int given = webhook_store_query(store, &filter, check, &page, &more_lsn);
    assert_int_equal(given, page.seen - before);
    assert_true((uint32_t)given == limit || more_lsn == 0);
  } while (more_lsn);
  assert_int_equal(page.seen, page.count);
  return page.count;
}

static void every_filter_finds_what_a_walk_finds(void **state) {
  (void)state;
  static const uint32_t limits[] = {1, 7, 100, 10000};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    const uint32_t limit = limits[i];
    assert_int_equal(expect_pages((struct webhook_filter){.source = NULL}, limit == 1 ? 3 : limit), WEBHOOKS);
    assert_int_equal(expect_pages((struct webhook_filter){.source = "github"}, limit), 1000);
    assert_int_equal(expect_pages((struct webhook_filter){.source = "nobody"}, limit), 0);
    assert_int_equal(expect_pages((struct webhook_filter){.status = 202, .source = "orders"}, limit), 250);
    assert_int_equal(expect_pages((struct webhook_filter){.status = 404}, limit), 0);
    assert_int_equal(expect_pages((struct webhook_filter){.since_ns = BASE_NS + 20000000, .until_ns = BASE_NS + 23000000}, limit),
                     30);
  }
}

static void each_is_found_by_its_ids(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= WEBHOOKS; n += 97) {
    const struct webhook_fixture webhook = webhook_of(n);
    struct webhook_filter filter = {.has_correlation_id = true};
    webhook_fixture_correlation_id(&webhook, filter.correlation_id);
    assert_int_equal(expect_pages(filter, 1), 1);
    filter = (struct webhook_filter){.has_id_key = true};
    const struct replay_key key =
        replay_key_of(webhook.source, (uint32_t)strlen(webhook.source), ids[n], (uint32_t)strlen(ids[n]));
    memcpy(filter.id_key, key.bytes, 16);
    assert_int_equal(expect_pages(filter, 1), n % 2);
  }
}

/* More is written while a reader turns pages: what it gets neither repeats nor skips. */
static void pages_are_stable(void **state) {
  (void)state;
  static struct page page;
  uint64_t more_lsn = 0;
  page = (struct page){.count = 20};
  for (uint32_t i = 0; i < 20; i++) page.expected[i] = WEBHOOKS - i;
  struct webhook_filter filter = {.limit = 10};
  assert_int_equal(webhook_store_query(store, &filter, check, &page, &more_lsn), 10);
  const struct webhook_fixture another = webhook_of(WEBHOOKS);
  for (uint32_t i = 0; i < 50; i++) assert_true(webhook_fixture_publish(rig.config.rings[0], &another));
  assert_int_equal(journal_drain(rig.journal, rig.now_ns, rig.wall_ns), 0);
  assert_int_equal(violation_store_catch_up(reading, journal_durable_lsn(rig.journal)), 0);
  assert_int_equal(webhook_store_figures(store).webhooks, WEBHOOKS + 50);
  filter.before_lsn = more_lsn;
  assert_int_equal(webhook_store_query(store, &filter, check, &page, &more_lsn), 10);
  assert_int_equal(page.seen, 20);
}

static struct {
  struct journal_io_operations operations;
  uint64_t bytes;
  int (*read)(struct journal_io *io, int file, void *buffer, uint32_t bytes, uint64_t offset);
} counting;

static int count_read(struct journal_io *counted, int file, void *buffer, uint32_t bytes, uint64_t offset) {
  const int result = counting.read(counted, file, buffer, bytes, offset);
  if (result > 0) counting.bytes += (uint64_t)result;
  return result;
}

static void a_lookup_reads_little_of_the_log(void **state) {
  (void)state;
  const struct journal_io_operations *before = io->operations;
  counting.operations = *before;
  counting.read = before->read;
  counting.operations.read = count_read;
  io->operations = &counting.operations;
  counting.bytes = 0;
  assert_int_equal(expect_pages((struct webhook_filter){.source = NULL}, 10000), WEBHOOKS);
  const uint64_t whole = counting.bytes;
  struct webhook_filter filter = {.has_correlation_id = true};
  const struct webhook_fixture webhook = webhook_of(1500);
  webhook_fixture_correlation_id(&webhook, filter.correlation_id);
  counting.bytes = 0;
  assert_int_equal(expect_pages(filter, 1), 1);
  assert_true(counting.bytes < 6 * RIG_SEGMENT_BYTES);
  assert_true(counting.bytes < whole / 3);
  io->operations = before;
}

static bool stop_at_once(void *context, uint64_t lsn, const struct webhook_account *account) {
  (void)lsn, (void)account;
  ++*(uint32_t *)context;
  return false;
}

static void the_caller_may_stop(void **state) {
  (void)state;
  uint32_t calls = 0;
  uint64_t more_lsn = 0;
  const struct webhook_filter filter = {.limit = 100};
  assert_int_equal(webhook_store_query(store, &filter, stop_at_once, &calls, &more_lsn), 1);
  assert_int_equal(calls, 1);
  assert_int_equal(more_lsn, WEBHOOKS);
}

/* Segments go; what is left is found, and a reader that was on its way is told nothing wrong. */
static void retention_takes_the_oldest(void **state) {
  (void)state;
  uint64_t more_lsn = 0, oldest_lsn = 0;
  static struct page page;
  assert_int_equal(io->operations->remove(io, "journal-0000000000000001.seg"), 0);
  assert_int_equal(io->operations->remove(io, "journal-0000000000000002.seg"), 0);
  assert_int_equal(journal_oldest_lsn(io, &oldest_lsn), 0);
  assert_true(oldest_lsn > 1);
  webhook_store_forget(store, oldest_lsn);
  assert_int_equal(webhook_store_figures(store).first_lsn, oldest_lsn);
  page = (struct page){.count = WEBHOOKS - (uint32_t)oldest_lsn + 1};
  for (uint32_t i = 0; i < page.count; i++) page.expected[i] = WEBHOOKS - i;
  const struct webhook_filter filter = {.limit = 10000};
  assert_int_equal(webhook_store_query(store, &filter, check, &page, &more_lsn), page.count);
  assert_int_equal(more_lsn, 0);
}

static void a_disk_that_cannot_be_read_is_an_error(void **state) {
  (void)state;
  struct journal_io *faulty = journal_fault_io_create(io);
  struct webhook_store *of_faulty = webhook_store_create(faulty);
  uint32_t calls = 0;
  uint64_t more_lsn = 0;
  struct webhook_record record = {.header = {.type = RECORD_WEBHOOK, .bytes = sizeof record}};
  webhook_store_see(of_faulty, 1, &record.header, (struct journal_position){.segment = 1, .offset = 4096});
  journal_fault_io_arm(faulty, &(struct journal_fault){.point = FAULT_READ, .nth = 1, .error = -EIO});
  const struct webhook_filter filter = {.limit = 1};
  assert_int_equal(webhook_store_query(of_faulty, &filter, stop_at_once, &calls, &more_lsn), 1); /* looked for as ever */
  journal_fault_io_arm(faulty, &(struct journal_fault){.point = FAULT_LIST, .nth = 1, .error = -EIO});
  webhook_store_destroy(of_faulty);
  of_faulty = webhook_store_create(faulty);
  webhook_store_see(of_faulty, 1, &record.header, (struct journal_position){.segment = 77, .offset = 4096});
  assert_int_equal(webhook_store_query(of_faulty, &filter, stop_at_once, &calls, &more_lsn), -EIO);
  webhook_store_destroy(of_faulty);
  faulty->operations->destroy(faulty);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(every_filter_finds_what_a_walk_finds, set_up, tear_down),
      cmocka_unit_test_setup_teardown(each_is_found_by_its_ids, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_lookup_reads_little_of_the_log, set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_caller_may_stop, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_disk_that_cannot_be_read_is_an_error, set_up, tear_down),
      cmocka_unit_test_setup_teardown(pages_are_stable, set_up, tear_down),
      cmocka_unit_test_setup_teardown(retention_takes_the_oldest, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
