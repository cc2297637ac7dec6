/* Counts by rule stay apart, whatever their hashes, and stay bounded. */
#include "cmocka_test.h"
#include "violation_counts.h"
#include <stdio.h>
#include <string.h>

struct seen {
  uint32_t rules;
  uint64_t total, others, of_wanted;
  const char *wanted;
};

static void see(void *context, const char *rule, uint64_t count) {
  struct seen *seen = context;
  seen->total += count;
  if (rule[0] == 0) {
    seen->others += count;
    return;
  }
  seen->rules++;
  if (seen->wanted && strcmp(rule, seen->wanted) == 0) seen->of_wanted += count;
}

static void add(struct violation_counts *counts, const char *name, uint32_t hash) {
  violation_counts_add(counts, (struct event_text){name, (uint32_t)strlen(name)}, hash);
}

static void rules_with_one_hash_are_told_apart(void **state) {
  (void)state;
  struct violation_counts *counts = violation_counts_create();
  for (int i = 0; i < 3; i++) add(counts, "first", 2047);
  add(counts, "second", 2047);
  add(counts, "sec", 2047);
  struct seen seen = {.wanted = "first"};
  violation_counts_each(counts, see, &seen);
  assert_int_equal(seen.rules, 3);
  assert_int_equal(seen.of_wanted, 3);
  assert_int_equal(seen.total, 5);
  violation_counts_destroy(counts);
}

static void beyond_the_bound_they_are_counted_together(void **state) {
  (void)state;
  struct violation_counts *counts = violation_counts_create();
  char name[32];
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t i = 0; i < VIOLATION_COUNTS_MAX + 10; i++) {
      snprintf(name, sizeof name, "rule-%u", i);
      add(counts, name, i * 7);
    }
  }
  char longest[200];
  memset(longest, 'a', sizeof longest);
  violation_counts_add(counts, (struct event_text){longest, sizeof longest}, 1);
  struct seen seen = {.wanted = "rule-999"};
  violation_counts_each(counts, see, &seen);
  assert_int_equal(seen.rules, VIOLATION_COUNTS_MAX);
  assert_int_equal(seen.of_wanted, 2);
  assert_int_equal(seen.others, 21);
  violation_counts_destroy(counts);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rules_with_one_hash_are_told_apart),
                                     cmocka_unit_test(beyond_the_bound_they_are_counted_together)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
