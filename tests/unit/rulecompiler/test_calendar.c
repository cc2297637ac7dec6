/* time_of_day and weekday of spans in time zones, from rule text to column, beside the C library's own calendar. */
#include "cmocka_test.h"

#include "engine.h"
#include "heap_arena.h"
#include "line_ring.h"
#include "rule_text_support.h"
#include "rules_internal.h"
#include <time.h>

static const char *const zones[] = {"UTC",
                                    "Z",
                                    "+02:00",
                                    "-09:30",
                                    "+14:00",
                                    "Europe/Berlin",
                                    "America/New_York",
                                    "Asia/Kolkata",
                                    "Australia/Lord_Howe",
                                    "America/Sao_Paulo",
                                    "Africa/Casablanca",
                                    "Europe/Dublin",
                                    "Pacific/Apia",
                                    "America/Nuuk",
                                    "Asia/Tehran"};

/* POSIX has the sign of fixed offsets the other way round. */
static void set_local_zone(const char *zone) {
  char text[64];
  if (zone[0] == '+' || zone[0] == '-')
    snprintf(text, sizeof text, "<any>%c%s", zone[0] == '+' ? '-' : '+', zone + 1);
  else
    snprintf(text, sizeof text, "%s", zone[0] == 'Z' ? "UTC" : zone);
  setenv("TZ", text, 1);
  tzset();
}

static uint64_t some_time(void) {
  const uint64_t seconds = (uint64_t)random() * 2 % 4102444800u; /* to the end of 2099 */
  return seconds * 1000000000 + (uint64_t)random() % 1000000000;
}

static void check_row(const struct event_batch *batch, uint32_t row, const char *zone) {
  static const char *const days[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};
  const struct image_kind *kind = &batch->image->kinds[EVENT_SPAN];
  const uint64_t start_ns = batch->fields[row].start_ns;
  const time_t seconds = (time_t)(start_ns / 1000000000);
  struct tm local;
  localtime_r(&seconds, &local);
  const int64_t since_midnight_ns =
      ((int64_t)local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec) * 1000000000 + (int64_t)(start_ns % 1000000000);
  for (uint32_t c = 0; c < kind->column_count; c++) {
    const struct value *value = event_batch_value(batch, row, c);
    if (kind->columns[c].intrinsic == INTRINSIC_TIME_OF_DAY) {
      if (value->type != VALUE_INTEGER || value->integer != since_midnight_ns)
        fail_msg("%s at %llu: time of day %lld, not %lld", zone, (unsigned long long)start_ns, (long long)value->integer,
                 (long long)since_midnight_ns);
    } else if (strlen(days[local.tm_wday]) != value->length || memcmp(value->text, days[local.tm_wday], value->length) != 0) {
      fail_msg("%s at %llu: %.*s, not %s", zone, (unsigned long long)start_ns, (int)value->length, value->text,
               days[local.tm_wday]);
    }
  }
}

static void check_zone(const char *zone) {
  char text[256];
  snprintf(text, sizeof text, "rules:\n  - {name: a, on: span, timezone: '%s', if: weekday = monday && time_of_day > 1h}\n",
           zone);
  struct rule_image *image = compile_text(text);
  struct heap_arena *heap = heap_arena_create();
  struct engine_config config = {.shards = 1, .column_capacity = 8, .traces_max = 16, .captures_max = 16, .idle_ns = 1};
  config.records = record_ring_create(heap_arena_arena(heap), 1 << 20);
  config.digests_to[0] = line_ring_create(heap_arena_arena(heap), 64);
  struct engine *engine = engine_create(heap_arena_arena(heap), &config, 1);
  assert_true(engine_image_fits(image, 8));
  engine_adopt(engine, image);
  set_local_zone(zone);
  struct event_batch *batch = engine_batch(engine, EVENT_SPAN);
  struct intrinsic_text scratch;
  for (int round = 0; round < 400; round++) {
    batch->count = 0;
    const uint64_t near = some_time();
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) {
      event_batch_add(batch);
      batch->fields[row].start_ns = round % 2 ? some_time() : near + (uint64_t)row * 1800000000000;
    }
    intrinsics_fill(batch, &scratch);
    for (uint32_t row = 0; row < EVENT_BATCH_ROWS; row++) check_row(batch, row, zone);
  }
  batch->count = 0;
  event_batch_add(batch);
  batch->fields[0].start_ns = UINT64_MAX;
  intrinsics_fill(batch, &scratch);
  for (uint32_t c = 0; c < image->kinds[EVENT_SPAN].column_count; c++)
    assert_int_equal(event_batch_value(batch, 0, c)->type, VALUE_NULL);
  heap_arena_destroy(heap);
  rule_image_free(image);
}

static void test_zones(void **state) {
  (void)state;
  srandom(31);
  for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) check_zone(zones[i]);
}

/* One rule's zone is not another's, in single-event rules as in selectors; the key survives the canonical text. */
static void test_zones_apart(void **state) {
  (void)state;
  const char *text = "rules:\n"
                     "  - {name: a, on: span, timezone: Asia/Tokyo, if: time_of_day < 09:00}\n"
                     "  - {name: b, on: span, if: time_of_day < 09:00}\n"
                     "  - {name: c, timezone: Asia/Tokyo, when: '{weekday = monday}', never: '{root}'}\n"
                     "  - {name: d, when: '{weekday = monday}', never: '{root}'}\n"
                     "  - {name: e, timezone: Asia/Tokyo, when: '{root}', never: '{weekday = monday}'}\n";
  struct rule_set *set = parse_good(text);
  struct rule_image *image = compile_good(set, 1, NULL, 1);
  assert_int_equal(image->zone_count, 2);
  assert_int_equal(image->kinds[EVENT_SPAN].column_count, 5); /* two times of day, two weekdays, root */
  assert_int_equal(image->selector_count, 3);
  char *canonical = rule_set_text(set, NULL);
  assert_non_null(strstr(canonical, "    timezone: 'Asia/Tokyo'\n"));
  struct rule_set *again = parse_good(canonical);
  assert_string_equal(rule_set_at(again, 0)->timezone, "Asia/Tokyo");
  assert_null(rule_set_at(again, 1)->timezone);
  free(canonical);
  rule_set_free(again);
  rule_set_free(set);
  rule_image_free(image);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_zones), cmocka_unit_test(test_zones_apart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
