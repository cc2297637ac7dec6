#include "cmocka_test.h"
#include "test_random.h"
#include "uuid7.h"
#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define START_MS UINT64_C(1700000000000)

static const struct siphash_key key = {.k0 = 0x1122334455667788, .k1 = 0x99aabbccddeeff00};

static uint64_t uuid_ms(const uint8_t uuid[16]) {
  uint64_t ms = 0;
  for (unsigned i = 0; i < 6; i++) ms = ms << 8 | uuid[i];
  return ms;
}

static void test_layout(void **state) {
  (void)state;
  struct uuid7_source source = {.key = key, .origin = 7};
  uint8_t uuid[16];
  for (unsigned i = 0; i < 1000; i++) {
    uuid7_next(&source, (START_MS + i) * MS + 999999, uuid);
    assert_int_equal(uuid_ms(uuid), START_MS + i);
    assert_int_equal(uuid[6] >> 4, 7);
    assert_int_equal(uuid[8] >> 6, 2);
  }
}

static void test_text(void **state) {
  (void)state;
  /* RFC 9562 appendix A.6. */
  static const uint8_t uuid[16] = {0x01, 0x7f, 0x22, 0xe2, 0x79, 0xb0, 0x7c, 0xc3,
                                   0x98, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f};
  char text[37];
  uuid7_text(uuid, text);
  assert_string_equal(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

/* Whatever the clock does: still, running, stepping back. */
static void test_each_id_is_after_the_last(void **state) {
  (void)state;
  struct uuid7_source source = {.key = key, .counter = 4000};
  struct test_random random = {6};
  uint8_t last[16] = {0}, uuid[16];
  uint64_t wall_ns = START_MS * MS;
  for (unsigned i = 0; i < 1000000; i++) {
    const uint32_t step = random_below(&random, 1000);
    if (step == 0)
      wall_ns -= random_below(&random, 50) * MS;
    else if (step < 20)
      wall_ns += random_below(&random, 2000000);
    uuid7_next(&source, wall_ns, uuid);
    assert_true(memcmp(last, uuid, sizeof uuid) < 0);
    memcpy(last, uuid, sizeof uuid);
  }
}

/* At up to 4,096 ids a millisecond, an id's time is at most one millisecond ahead of the clock. */
static void test_time_stays_near_the_clock(void **state) {
  (void)state;
  struct uuid7_source source = {.key = key, .counter = 123};
  uint8_t uuid[16];
  for (uint64_t ms = START_MS; ms < START_MS + 100; ms++) {
    for (unsigned i = 0; i < 4096; i++) {
      uuid7_next(&source, ms * MS, uuid);
      assert_true(uuid_ms(uuid) >= ms && uuid_ms(uuid) <= ms + 1);
    }
  }
}

static int compare_uuids(const void *left, const void *right) { return memcmp(left, right, 16); }

/* Shards, nodes and restarts share the clock and even the counter; their ids do not meet. */
static void test_sources_do_not_meet(void **state) {
  (void)state;
  enum { SOURCES = 16, EACH = 50000 };
  uint8_t(*uuids)[16] = malloc((size_t)SOURCES * EACH * 16);
  assert_non_null(uuids);
  for (unsigned i = 0; i < SOURCES; i++) {
    struct uuid7_source source = {.key = key, .origin = i / 2};
    if (i % 2) source.key.k1 ^= 1;
    for (unsigned j = 0; j < EACH; j++) uuid7_next(&source, START_MS * MS, uuids[i * EACH + j]);
  }
  qsort(uuids, (size_t)SOURCES * EACH, 16, compare_uuids);
  for (unsigned i = 1; i < SOURCES * EACH; i++) assert_memory_not_equal(uuids[i - 1], uuids[i], 16);
  free(uuids);
}

/* The 62 drawn bits look random: each is set about half the time. */
static void test_drawn_bits_are_balanced(void **state) {
  (void)state;
  struct uuid7_source source = {.key = key};
  unsigned set[64] = {0};
  uint8_t uuid[16];
  for (unsigned i = 0; i < 100000; i++) {
    uuid7_next(&source, START_MS * MS, uuid);
    for (unsigned bit = 0; bit < 64; bit++) set[bit] += (unsigned)uuid[8 + bit / 8] >> (7 - bit % 8) & 1u;
  }
  /* 10 standard deviations of 158. */
  for (unsigned bit = 2; bit < 64; bit++) assert_in_range(set[bit], 50000 - 1580, 50000 + 1580);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_layout),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_each_id_is_after_the_last),
      cmocka_unit_test(test_time_stays_near_the_clock),
      cmocka_unit_test(test_sources_do_not_meet),
      cmocka_unit_test(test_drawn_bits_are_balanced),
  };
  return cmocka_run_group_tests_name("uuid7", tests, NULL, NULL);
}
