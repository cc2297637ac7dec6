/* Lines as they come out of stderr, and the budget of an area. */
#include "cmocka_test.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char output[65536];
static int saved_stderr;
static FILE *capture;

static void begin_capture(void) {
  capture = tmpfile();
  assert_non_null(capture);
  fflush(stderr);
  saved_stderr = dup(STDERR_FILENO);
  assert_true(dup2(fileno(capture), STDERR_FILENO) >= 0);
}

static void end_capture(void) {
  fflush(stderr);
  assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
  close(saved_stderr);
  rewind(capture);
  output[fread(output, 1, sizeof output - 1, capture)] = '\0';
  fclose(capture);
}

static unsigned lines_with(const char *text) {
  unsigned count = 0;
  for (const char *at = output; (at = strstr(at, text)); at++) count++;
  return count;
}

/* The budget is of a second of the monotonic clock: each case begins with a fresh one. */
static void wait_for_a_new_second(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const struct timespec next = {.tv_sec = now.tv_sec + 1};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) != 0) continue;
}

static void a_line_has_level_area_and_text_on_one_line(void **state) {
  (void)state;
  begin_capture();
  log_warning("lines", "a\nb %d", 7);
  log_debug("lines", "below the threshold");
  end_capture();
  assert_string_equal(output, "WARNING lines: a b 7\n");
}

static void an_area_writes_twenty_lines_a_second_and_then_a_count(void **state) {
  (void)state;
  const uint64_t before = log_suppressed();
  wait_for_a_new_second();
  begin_capture();
  for (unsigned i = 0; i < 50; i++) log_info("busy", "one of many");
  log_info("quiet", "another area has its own budget");
  end_capture();
  assert_int_equal(lines_with("INFO busy: one of many\n"), 20);
  assert_int_equal(lines_with("INFO quiet: "), 1);
  assert_int_equal(log_suppressed() - before, 30);
  wait_for_a_new_second();
  begin_capture();
  log_info("busy", "again");
  end_capture();
  assert_string_equal(output, "WARNING busy: 30 more lines were suppressed\nINFO busy: again\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_has_level_area_and_text_on_one_line),
      cmocka_unit_test(an_area_writes_twenty_lines_a_second_and_then_a_count),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
