/* A node id is made once and kept; a data directory has one daemon; a damaged id is refused rather than replaced. */
#include "cmocka_test.h"
#include "daemon_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[32];

static int set_up(void **state) {
  (void)state;
  strcpy(directory, "identity-XXXXXX");
  return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state) {
  static const char *const names[] = {"lock", "node-id"};
  char path[64];
  (void)state;
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    unlink(path);
  }
  return rmdir(directory);
}

/* In a process of its own, whose end frees the lock. The exit code is 0, or the error. */
static int open_in_child(uint8_t id[16]) {
  int pipes[2], status;
  assert_int_equal(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    static struct daemon appliance;
    snprintf(appliance.config.data_dir, sizeof appliance.config.data_dir, "%s", directory);
    const int result = identity_open(&appliance);
    if (write(pipes[1], appliance.node_id, 16) != 16) _exit(1);
    _exit(-result);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(read(pipes[0], id, 16), 16);
  close(pipes[0]);
  close(pipes[1]);
  return WEXITSTATUS(status);
}

static void the_node_id_is_kept(void **state) {
  (void)state;
  uint8_t first[16], second[16], zeros[16] = {0};
  assert_int_equal(open_in_child(first), 0);
  assert_memory_not_equal(first, zeros, 16);
  assert_int_equal(open_in_child(second), 0);
  assert_memory_equal(first, second, 16);
}

static void a_second_daemon_is_refused(void **state) {
  (void)state;
  char path[64];
  uint8_t id[16];
  assert_int_equal(open_in_child(id), 0);
  snprintf(path, sizeof path, "%s/lock", directory);
  const int lock = open(path, O_RDWR);
  assert_int_equal(flock(lock, LOCK_EX), 0);
  assert_int_equal(open_in_child(id), EBUSY);
  close(lock);
  assert_int_equal(open_in_child(id), 0);
}

static void a_damaged_id_is_refused(void **state) {
  (void)state;
  char path[64];
  uint8_t id[16];
  assert_int_equal(open_in_child(id), 0);
  snprintf(path, sizeof path, "%s/node-id", directory);
  assert_int_equal(truncate(path, 7), 0);
  assert_int_equal(open_in_child(id), EBADMSG);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_node_id_is_kept, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_second_daemon_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_damaged_id_is_refused, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
