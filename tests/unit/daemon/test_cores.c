/* Which cores poll: at least two shards on four cores, one on two or three; what was configured, or a refusal. */
#include "cmocka_test.h"
#include "daemon_internal.h"
#include <errno.h>
#include <string.h>

static const uint16_t allowed[] = {1, 2, 5, 6, 7, 8, 9, 10};
static struct daemon appliance;

static int set_up(void **state) {
  (void)state;
  memset(&appliance, 0, sizeof appliance);
  appliance.config.shards.control_core = appliance.config.shards.journal_core = -1;
  return 0;
}

static void cores_are_kept_for_control_and_journal(void **state) {
  static const struct {
    uint32_t cores, shards;
    bool shared, together; /* with a shard; control with journal */
  } table[] = {{1, 1, true, true}, {2, 1, false, true}, {3, 1, false, false}, {4, 2, false, false}, {8, 6, false, false}};
  (void)state;
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    set_up(NULL);
    assert_int_equal(cores_choose_from(&appliance, allowed, table[i].cores), 0);
    assert_int_equal(appliance.cores.count, table[i].shards);
    assert_int_equal(appliance.cores.shared, table[i].shared);
    assert_int_equal(appliance.cores.control == appliance.cores.journal, table[i].together);
  }
}

static void shards_have_cores_of_their_own(void **state) {
  (void)state;
  assert_int_equal(cores_choose_from(&appliance, allowed, 8), 0);
  for (uint32_t i = 0; i < appliance.cores.count; i++) {
    assert_int_equal(appliance.cores.shard_cores[i], allowed[2 + i]);
    assert_int_not_equal(appliance.cores.shard_cores[i], appliance.cores.control);
    assert_int_not_equal(appliance.cores.shard_cores[i], appliance.cores.journal);
  }
}

static void more_shards_than_cores_are_refused(void **state) {
  (void)state;
  appliance.config.shards.count = 3;
  assert_int_equal(cores_choose_from(&appliance, allowed, 2), -EINVAL);
  assert_int_equal(cores_choose_from(&appliance, allowed, 3), 0);
  assert_true(appliance.cores.shared);
}

static void cores_that_are_named_are_taken(void **state) {
  (void)state;
  appliance.config.shards.core_count = 1;
  appliance.config.shards.cores[0] = 1;
  appliance.config.shards.journal_core = 5;
  assert_int_equal(cores_choose_from(&appliance, allowed, 3), 0);
  assert_int_equal(appliance.cores.shard_cores[0], 1);
  assert_int_equal(appliance.cores.control, 2);
  assert_int_equal(appliance.cores.journal, 5);
  appliance.config.shards.cores[0] = 3; /* not among the allowed */
  assert_int_equal(cores_choose_from(&appliance, allowed, 3), -EINVAL);
}

static void this_machine_has_a_choice(void **state) {
  (void)state;
  assert_int_equal(cores_choose(&appliance), 0);
  assert_true(appliance.cores.count >= 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(cores_are_kept_for_control_and_journal, set_up),
      cmocka_unit_test_setup(shards_have_cores_of_their_own, set_up),
      cmocka_unit_test_setup(more_shards_than_cores_are_refused, set_up),
      cmocka_unit_test_setup(cores_that_are_named_are_taken, set_up),
      cmocka_unit_test_setup(this_machine_has_a_choice, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
