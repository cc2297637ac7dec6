/* The fast sum against the plain one, at every length and alignment. */
#include "checksum.h"
#include "cmocka_test.h"
#include "network_bench.h"
#include <string.h>

static void sums_agree_at_every_length_and_offset(void **state) {
  (void)state;
  uint8_t bytes[2200];
  uint32_t random = 12345;
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)((random = random * 1103515245 + 12345) >> 16);
  for (uint32_t offset = 0; offset < 9; offset++) {
    for (uint32_t length = 0; length < 2100; length = length < 80 ? length + 1 : length + 37) {
      const uint16_t fast = (uint16_t)~checksum_fold(checksum_add(0, bytes + offset, length));
      const uint16_t plain = bench_checksum(bytes + offset, length, 0);
      uint8_t stored[2];
      memcpy(stored, &fast, 2);
      assert_int_equal(stored[0] << 8 | stored[1], plain);
    }
  }
}

static void all_ones_do_not_lose_a_carry(void **state) {
  (void)state;
  static uint8_t bytes[65536];
  memset(bytes, 0xff, sizeof bytes);
  assert_int_equal(checksum_fold(checksum_add(UINT32_MAX, bytes, sizeof bytes)), 0xffff);
  assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
  assert_int_equal(checksum_fold(0), 0);
}

static void sums_continue(void **state) {
  (void)state;
  uint8_t bytes[301];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7 + 3);
  const uint16_t whole = checksum_fold(checksum_add(0, bytes, sizeof bytes));
  for (size_t cut = 0; cut < sizeof bytes; cut += 2) {
    const uint64_t first = checksum_add(0, bytes, cut);
    assert_int_equal(checksum_fold(checksum_add(first, bytes + cut, sizeof bytes - cut)), whole);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums_agree_at_every_length_and_offset),
      cmocka_unit_test(all_ones_do_not_lose_a_carry),
      cmocka_unit_test(sums_continue),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
