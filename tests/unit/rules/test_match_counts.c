/* Shadow rules and the count of matches each rule has. */
#include "engine_rig.h"

static const struct rig_limits roomy = {.record_bytes = 1 << 16, .digest_lines = 256, .traces = 16, .captures = 16};

static const char rules[] = "rules:\n"
                            "  - {name: seen, on: span, mode: shadow, if: 'name = \"a\"'}\n"
                            "  - {name: told, on: span, mode: enforce, if: 'name = \"a\" || name = \"b\"'}\n"
                            "  - name: quiet-trace\n    mode: shadow\n    when: '{name = \"a\"}'\n    never: '{name = \"b\"}'\n"
                            "  - name: loud-trace\n    when: '{name = \"a\"}'\n    always: '{name = \"c\"}'\n";

static void names(void *context, const struct violation *violation) {
  char *into = context;
  strncat(into, violation->rule.at, violation->rule.length);
  strcat(into, " ");
}

static uint64_t matches(const struct engine_rig *rig, const char *rule) {
  const uint32_t slot = rule_image_match_slot(rig->image, rule_set_find(rig->set, rule));
  uint64_t sum = 0;
  assert_int_not_equal(slot, RULE_MATCH_SLOT_NONE);
  for (uint32_t i = 0; i < rig->engines; i++) sum += engine_rule_matches(rig->engine[i], slot);
  return sum;
}

static void shadow_rules_are_counted_and_never_published(void **state) {
  (void)state;
  struct engine_rig rig;
  char raised[256] = "";
  rig_open(&rig, 2, &roomy, rules);
  assert_true(rig_send(&rig, 0, &(struct rig_span){.trace = 1, .span = 1, .name = "a", .amount = -1}));
  assert_true(rig_send(&rig, 1, &(struct rig_span){.trace = 1, .span = 2, .name = "b", .amount = -1}));
  rig_deliver(&rig);
  rig_pass(&rig, 4 * RIG_SECOND);
  rig_violations(&rig, names, raised);
  assert_null(strstr(raised, "seen"));
  assert_null(strstr(raised, "quiet-trace"));
  assert_non_null(strstr(raised, "loud-trace"));
  assert_int_equal(matches(&rig, "seen"), 1);
  assert_int_equal(matches(&rig, "told"), 2);
  assert_int_equal(matches(&rig, "quiet-trace"), 1);
  assert_int_equal(matches(&rig, "loud-trace"), 1);
  rig_check_laws(&rig);
  rig_close(&rig);
}

static void what_is_rolled_back_is_not_counted(void **state) {
  (void)state;
  struct engine_rig rig;
  rig_open(&rig, 1, &roomy, rules);
  const struct rig_span span = {.trace = 1, .span = 1, .name = "a", .amount = -1};
  assert_true(rig_evaluate(&rig, 0, &span));
  engine_rollback(rig.engine[0]);
  assert_int_equal(matches(&rig, "seen"), 0);
  assert_int_equal(matches(&rig, "told"), 0);
  assert_true(rig_evaluate(&rig, 0, &span));
  assert_true(rig_evaluate(&rig, 0, &span));
  assert_int_equal(matches(&rig, "told"), 0);
  engine_commit(rig.engine[0]);
  assert_int_equal(matches(&rig, "seen"), 2);
  assert_int_equal(matches(&rig, "told"), 2);
  rig_close(&rig);
}

static uint32_t slot_of(const struct engine_rig *rig, const char *rule) {
  return rule_image_match_slot(rig->image, rule_set_find(rig->set, rule));
}

#define RULE(name, more) "  - {name: " name ", on: span, " more "if: 'name = \"a\"'}\n"

static void a_slot_stays_with_its_rule_and_rests_a_generation_before_another_gets_it(void **state) {
  (void)state;
  struct engine_rig rig;
  enum rule_mode mode;
  bool fresh;
  rig_open(&rig, 1, &roomy, "rules:\n" RULE("one", "") RULE("two", "") RULE("three", ""));
  const uint32_t one = slot_of(&rig, "one"), two = slot_of(&rig, "two"), three = slot_of(&rig, "three");
  assert_true(rule_image_match_slot_used(rig.image, two, &mode, &fresh));
  assert_true(fresh);
  rig_apply(&rig, "rules:\n" RULE("three", "") RULE("four", "") RULE("one", "severity: low, "));
  assert_int_equal(slot_of(&rig, "one"), one);
  assert_int_equal(slot_of(&rig, "three"), three);
  assert_int_not_equal(slot_of(&rig, "four"), two);
  assert_true(rule_image_match_slot_used(rig.image, one, &mode, &fresh));
  assert_false(fresh);
  assert_false(rule_image_match_slot_used(rig.image, two, &mode, &fresh));
  rig_apply(&rig, "rules:\n" RULE("three", "enabled: false, ") RULE("five", "") RULE("one", "mode: shadow, "));
  assert_int_equal(slot_of(&rig, "five"), two);
  assert_int_equal(slot_of(&rig, "three"), RULE_MATCH_SLOT_NONE);
  /* What it matched in shadow is not what it matched in force. */
  assert_int_not_equal(slot_of(&rig, "one"), one);
  assert_true(rule_image_match_slot_used(rig.image, slot_of(&rig, "one"), &mode, &fresh));
  assert_true(fresh && mode == RULE_SHADOW);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(shadow_rules_are_counted_and_never_published),
      cmocka_unit_test(what_is_rolled_back_is_not_counted),
      cmocka_unit_test(a_slot_stays_with_its_rule_and_rests_a_generation_before_another_gets_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
