#include "always_assert.h"
#include "cmocka_test.h"
#include "expect_trap.h"
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static void check(void *context) { ALWAYS_ASSERT(*(const int *)context == 1); }

static void test_true_passes(void **state) {
  (void)state;
  int value = 1;
  check(&value);
  assert_null(assert_failed_expression);
}

static void test_false_traps(void **state) {
  (void)state;
  int value = 2;
  assert_true(traps(check, &value));
}

struct seen {
  char expression[64], file[128];
  int line;
};

static struct seen *seen;

static void on_trap(int signal_number) {
  (void)signal_number;
  strncpy(seen->expression, (const char *)assert_failed_expression, sizeof seen->expression - 1);
  strncpy(seen->file, (const char *)assert_failed_file, sizeof seen->file - 1);
  seen->line = assert_failed_line;
  _exit(0);
}

/* A crash handler finds out what failed. */
static void test_handler_reads_what_failed(void **state) {
  (void)state;
  seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(seen, MAP_FAILED);
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGILL, on_trap);
    signal(SIGTRAP, on_trap);
    int value = 2;
    check(&value);
    _exit(1);
  }
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(seen->expression, "*(const int *)context == 1");
  assert_non_null(strstr(seen->file, "test_always_assert.c"));
  assert_true(seen->line > 0);
  munmap(seen, sizeof *seen);
}

static void test_expression_runs_once(void **state) {
  (void)state;
  int runs = 0;
  ALWAYS_ASSERT(++runs == 1);
  assert_int_equal(runs, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_true_passes),
      cmocka_unit_test(test_false_traps),
      cmocka_unit_test(test_handler_reads_what_failed),
      cmocka_unit_test(test_expression_runs_once),
  };
  return cmocka_run_group_tests_name("always_assert", tests, NULL, NULL);
}
