/* Every pair of state and event, for a rule that has a version in force and one that has none. */
#include "cmocka_test.h"
#include "rule_state.h"
#include <errno.h>
#include <string.h>

#define BUSY (-EBUSY)
#define THERE (-EEXIST)
#define ABSENT (-ENOENT)
#define MEANS_NOTHING (-EPROTO)

struct expectation {
  int result[RULE_EVENTS];
  enum rule_state after[RULE_EVENTS]; /* where the result is 0 */
};

/* Written from the lifecycle's description, not from its table: columns are create, update, delete, validated, compiled,
 * recorded, failed. `failed` goes to persisted when a version is in force. */
static const struct expectation expectations[RULE_STATES] = {
    [RULE_NONEXISTENT] = {{0, ABSENT, ABSENT, MEANS_NOTHING, MEANS_NOTHING, MEANS_NOTHING, MEANS_NOTHING}, {RULE_DRAFT}},
    [RULE_DRAFT] = {{BUSY, BUSY, BUSY, 0, MEANS_NOTHING, MEANS_NOTHING, 0}, {0, 0, 0, RULE_VALIDATED}},
    [RULE_VALIDATED] = {{BUSY, BUSY, BUSY, MEANS_NOTHING, 0, MEANS_NOTHING, 0}, {0, 0, 0, 0, RULE_COMPILED}},
    [RULE_COMPILED] = {{BUSY, BUSY, BUSY, MEANS_NOTHING, MEANS_NOTHING, 0, 0}, {0, 0, 0, 0, 0, RULE_PERSISTED}},
    [RULE_PERSISTED] = {{THERE, 0, 0, MEANS_NOTHING, MEANS_NOTHING, MEANS_NOTHING, MEANS_NOTHING},
                        {0, RULE_UPDATING, RULE_DELETING}},
    [RULE_UPDATING] = {{BUSY, BUSY, BUSY, 0, MEANS_NOTHING, MEANS_NOTHING, 0}, {0, 0, 0, RULE_VALIDATED}},
    [RULE_DELETING] = {{BUSY, BUSY, BUSY, MEANS_NOTHING, 0, 0, 0}, {0, 0, 0, 0, RULE_DELETING, RULE_NONEXISTENT}},
};

static void every_pair(void **unused) {
  (void)unused;
  unsigned pairs = 0;
  for (unsigned state = 0; state < RULE_STATES; state++)
    for (unsigned event = 0; event < RULE_EVENTS; event++)
      for (unsigned in_force = 0; in_force < 2; in_force++, pairs++) {
        struct rule_machine machine = {.state = (enum rule_state)state, .in_force = in_force};
        const int result = rule_machine_take(&machine, (enum rule_event)event);
        if (result != expectations[state].result[event])
          fail_msg("%s, event %u: %d, expected %d", rule_state_word((enum rule_state)state), event, result,
                   expectations[state].result[event]);
        enum rule_state after = (enum rule_state)state;
        if (result == 0) after = expectations[state].after[event];
        if (result == 0 && event == RULE_EVENT_FAILED) after = in_force ? RULE_PERSISTED : RULE_NONEXISTENT;
        assert_int_equal(machine.state, after);
        assert_int_equal(machine.in_force, result == 0 && event == RULE_EVENT_RECORDED ? state == RULE_COMPILED : in_force);
      }
  assert_int_equal(pairs, 7 * 7 * 2);
}

static void take_all(struct rule_machine *machine, const enum rule_event *events, unsigned count) {
  for (unsigned i = 0; i < count; i++) assert_int_equal(rule_machine_take(machine, events[i]), 0);
}

/* The ways that a rule's life goes, and back from every place where something may fail. */
static void whole_lives(void **unused) {
  (void)unused;
  static const enum rule_event creation[] = {RULE_EVENT_CREATE, RULE_EVENT_VALIDATED, RULE_EVENT_COMPILED, RULE_EVENT_RECORDED};
  static const enum rule_event update[] = {RULE_EVENT_UPDATE, RULE_EVENT_VALIDATED, RULE_EVENT_COMPILED, RULE_EVENT_RECORDED};
  static const enum rule_event deletion[] = {RULE_EVENT_DELETE, RULE_EVENT_COMPILED, RULE_EVENT_RECORDED};
  struct rule_machine machine = {0};
  for (unsigned reached = 1; reached < 4; reached++) {
    take_all(&machine, creation, reached);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_FAILED), 0);
    assert_int_equal(machine.state, RULE_NONEXISTENT);
  }
  take_all(&machine, creation, 4);
  assert_true(machine.in_force);
  for (unsigned reached = 1; reached < 4; reached++) {
    take_all(&machine, update, reached);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_DELETE), -EBUSY);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_UPDATE), -EBUSY);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_FAILED), 0);
    assert_int_equal(machine.state, RULE_PERSISTED);
    assert_true(machine.in_force);
  }
  take_all(&machine, update, 4);
  for (unsigned reached = 1; reached < 3; reached++) {
    take_all(&machine, deletion, reached);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_UPDATE), -EBUSY);
    assert_int_equal(rule_machine_take(&machine, RULE_EVENT_FAILED), 0);
    assert_int_equal(machine.state, RULE_PERSISTED);
  }
  take_all(&machine, deletion, 3);
  assert_false(machine.in_force);
  assert_int_equal(rule_machine_take(&machine, RULE_EVENT_DELETE), -ENOENT);
}

static void states_have_words(void **unused) {
  (void)unused;
  for (unsigned a = 0; a < RULE_STATES; a++)
    for (unsigned b = 0; b < a; b++)
      assert_string_not_equal(rule_state_word((enum rule_state)a), rule_state_word((enum rule_state)b));
  assert_string_equal(rule_state_word(RULE_UPDATING), "updating");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_pair), cmocka_unit_test(whole_lives),
                                     cmocka_unit_test(states_have_words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
