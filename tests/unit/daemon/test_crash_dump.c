/* What a process leaves that dies: of one of our assertions, of a stack that ran over, on a signal from outside; and that nothing
 * is left where the recorder is off. Each dies in a process of its own. */
#include "always_assert.h"
#include "cmocka_test.h"
#include "daemon_internal.h"
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[32];
static char dump_path[300];

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "crash-dump-XXXXXX");
  return mkdtemp(directory) ? 0 : -1;
}

static unsigned for_each_file(void (*visit)(const char *path)) {
  unsigned count = 0;
  DIR *listing = opendir(directory);
  for (struct dirent *entry; listing && (entry = readdir(listing));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(dump_path, sizeof dump_path, "%s/%s", directory, entry->d_name);
    if (visit) visit(dump_path);
    count++;
  }
  if (listing) closedir(listing);
  return count;
}

static void remove_file(const char *path) { unlink(path); }

static int tear_down(void **state) {
  (void)state;
  for_each_file(remove_file);
  return rmdir(directory);
}

/* Never returns to the caller in the child. True when it died, by the signal or by a sanitizer that was told of it. */
static bool dies(void (*crash)(void), bool enabled) {
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    static struct daemon appliance;
    const struct rlimit none = {0, 0};
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      signal(numbers[i], SIG_DFL); /* CMocka's go on with the next test */
    alarm(60);
    snprintf(appliance.config.data_dir, sizeof appliance.config.data_dir, "%s", directory);
    appliance.config.recorder.enabled = enabled;
    if (crash_dump_install(&appliance) != 0) _exit(0);
    crash();
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static json_t *only_dump(void) {
  struct stat about;
  assert_int_equal(for_each_file(NULL), 1);
  assert_int_equal(stat(dump_path, &about), 0);
  assert_int_equal(about.st_mode & 0777 & ~0640u, 0);
  json_t *json = json_load_file(dump_path, 0, NULL);
  assert_non_null(json);
  return json;
}

static const char *text_of(json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text ? text : "";
}

static void fail_an_assertion(void) {
  const char *name = "a\\b";
  ALWAYS_ASSERT(strcmp(name, "\"quoted\"") == 0);
}

static void an_assertion_is_named(void **state) {
  (void)state;
  assert_true(dies(fail_an_assertion, true));
  json_t *json = only_dump(), *assertion = json_object_get(json, "assertion");
  assert_true(strcmp(text_of(json, "signal"), "SIGILL") == 0 || strcmp(text_of(json, "signal"), "SIGTRAP") == 0);
  assert_string_equal(text_of(assertion, "expression"), "strcmp(name, \"\\\"quoted\\\"\") == 0");
  assert_non_null(strstr(text_of(assertion, "file"), "test_crash_dump.c"));
  assert_true(json_integer_value(json_object_get(assertion, "line")) > 0);
  assert_true(json_is_null(json_object_get(json, "shard")));
  assert_true(json_is_array(json_object_get(json, "events")));
  json_decref(json);
}

/* Until the stack ends: `more` is never zero, which the compiler cannot know. */
static volatile int more = 1;
static int run_over(int depth) {
  volatile char frame[4096];
  frame[0] = (char)depth;
  return more ? run_over(depth + 1) + frame[0] : 0;
}

static void *run_over_in_thread(void *context) {
  (void)context;
  crash_dump_thread(5);
  more = run_over(0);
  return NULL;
}

static void run_over_a_stack(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_over_in_thread, NULL) == 0) pthread_join(thread, NULL);
}

/* The handler has a stack of its own: it could not begin on the one that is full. */
static void a_stack_that_ran_over_leaves_a_dump(void **state) {
  (void)state;
  assert_true(dies(run_over_a_stack, true));
  json_t *json = only_dump();
  assert_string_equal(text_of(json, "signal"), "SIGSEGV");
  assert_int_equal(json_integer_value(json_object_get(json, "shard")), 5);
  assert_true(json_is_null(json_object_get(json, "assertion")));
  json_decref(json);
}

static void end_by_signal(void) { raise(SIGABRT); }

static void a_signal_takes_its_usual_way_then(void **state) {
  (void)state;
  assert_true(dies(end_by_signal, true));
  json_t *json = only_dump();
  assert_string_equal(text_of(json, "signal"), "SIGABRT");
  json_decref(json);
}

static void without_a_recorder_nothing_is_left(void **state) {
  (void)state;
  assert_true(dies(end_by_signal, false));
  assert_int_equal(for_each_file(NULL), 0);
}

/* Where there is no room for a file it still dies. */
static void lose_the_directory(void) {
  rmdir(directory);
  raise(SIGABRT);
}

static void a_directory_that_is_gone_does_not_matter(void **state) {
  (void)state;
  assert_true(dies(lose_the_directory, true));
  assert_int_equal(mkdir(directory, 0700), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_assertion_is_named, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_stack_that_ran_over_leaves_a_dump, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_signal_takes_its_usual_way_then, set_up, tear_down),
      cmocka_unit_test_setup_teardown(without_a_recorder_nothing_is_left, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_directory_that_is_gone_does_not_matter, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
