#include "cmocka_test.h"
#include "journal_format_internal.h"
#include <stdlib.h>
#include <string.h>

static void test_crc32c_check_value(void **state) {
  (void)state;
  assert_int_equal(journal_checksum(0xffffffffu, "123456789", 9) ^ 0xffffffffu, 0xe3069283u);
}

static void test_lsn_seeds_differ(void **state) {
  (void)state;
  const uint32_t seed = journal_segment_seed(&(struct journal_identity){.salt = 5}, 1);
  for (uint64_t lsn = 1; lsn < 1000; lsn++) assert_int_not_equal(journal_lsn_seed(seed, lsn), journal_lsn_seed(seed, lsn + 1));
  assert_int_not_equal(seed, journal_segment_seed(&(struct journal_identity){.salt = 6}, 1));
  assert_int_not_equal(seed, journal_segment_seed(&(struct journal_identity){.salt = 5}, 2));
  assert_int_not_equal(seed, journal_segment_seed(&(struct journal_identity){.salt = 5, .node_id = {1}}, 1));
}

static void test_names(void **state) {
  (void)state;
  char name[SEGMENT_NAME_BYTES];
  uint64_t segment;
  segment_name(name, 0xabcdef, NAME_SEGMENT);
  assert_string_equal(name, "journal-0000000000abcdef.seg");
  assert_int_equal(segment_name_parse(name, &segment), NAME_SEGMENT);
  assert_int_equal(segment, 0xabcdef);
  segment_name(name, UINT64_MAX, NAME_TEMPORARY);
  assert_string_equal(name, "journal-ffffffffffffffff.tmp");
  assert_int_equal(segment_name_parse(name, &segment), NAME_TEMPORARY);
  assert_true(segment == UINT64_MAX);
  static const char *const others[] = {"",
                                       "journal-",
                                       "journal-1.seg",
                                       "journal-0000000000ABCDEF.seg",
                                       "journal-0000000000abcdef.seg2",
                                       "journal-0000000000abcdef.xyz",
                                       "Journal-0000000000abcdef.seg",
                                       "journal-000000000 abcdef.seg"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    assert_int_equal(segment_name_parse(others[i], &segment), NAME_OTHER);
}

static void test_zero(void **state) {
  (void)state;
  uint8_t *bytes = calloc(1, 3 * JOURNAL_BLOCK_BYTES);
  assert_true(journal_is_zero(bytes, 0));
  assert_true(journal_is_zero(bytes, 3 * JOURNAL_BLOCK_BYTES));
  for (size_t at = 0; at < 3 * JOURNAL_BLOCK_BYTES; at += 1021) {
    bytes[at] = 1;
    assert_false(journal_is_zero(bytes, 3 * JOURNAL_BLOCK_BYTES));
    bytes[at] = 0;
  }
  free(bytes);
}

static void test_segment_header_states(void **state) {
  (void)state;
  struct segment_header *header = aligned_alloc(JOURNAL_BLOCK_BYTES, JOURNAL_BLOCK_BYTES);
  memset(header, 0, JOURNAL_BLOCK_BYTES);
  assert_int_equal(segment_header_check(header), SEGMENT_ZERO);
  *header = (struct segment_header){
      .segment = 1, .first_lsn = 1, .segment_bytes = 1u << 20, .batch_bytes_max = JOURNAL_BATCH_BYTES_LEAST};
  segment_header_seal(header);
  assert_int_equal(segment_header_check(header), SEGMENT_VALID);
  header->version = JOURNAL_VERSION + 1;
  assert_int_equal(segment_header_check(header), SEGMENT_NEWER);
  header->version = 0;
  assert_int_equal(segment_header_check(header), SEGMENT_INVALID);
  segment_header_seal(header);
  /* Limits that would make readers allocate or divide badly, under a good checksum. */
  const struct segment_header good = *header;
  header->batch_bytes_max = 1u << 30;
  segment_header_seal(header);
  assert_int_equal(segment_header_check(header), SEGMENT_INVALID);
  *header = good;
  header->batch_bytes_max = 0;
  segment_header_seal(header);
  assert_int_equal(segment_header_check(header), SEGMENT_INVALID);
  *header = good;
  header->segment_bytes = UINT64_MAX - 4095;
  segment_header_seal(header);
  assert_int_equal(segment_header_check(header), SEGMENT_INVALID);
  *header = good;
  header->first_lsn = 0;
  segment_header_seal(header);
  assert_int_equal(segment_header_check(header), SEGMENT_INVALID);
  free(header);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_crc32c_check_value),
      cmocka_unit_test(test_lsn_seeds_differ),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_zero),
      cmocka_unit_test(test_segment_header_states),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
