/* Selectors of trace rules: shared by canonical text, their bits stable from one generation to the next. */
#include "cmocka_test.h"

#include "rule_text_support.h"

static struct rule_image *compile_next(const char *text, uint64_t generation, const struct rule_image *previous) {
  struct rule_set *set = parse_good(text);
  struct rule_image *image = compile_good(set, generation, previous, 0);
  rule_set_free(set);
  return image;
}

/* The bit of the one selector of a `when`. */
static uint32_t when_bit(const struct rule_image *image, uint32_t rule) {
  assert_int_equal(image->trace_rules[rule].when.count, 1);
  return image->trace_rules[rule].when.operations[0];
}

static const struct image_selector *selector_at(const struct rule_image *image, uint32_t bit) {
  for (uint32_t i = 0; i < image->selector_count; i++)
    if (image->selectors[i].bit == bit) return &image->selectors[i];
  return NULL;
}

/* Where a rule mentions the selector of a bit. */
static uint8_t mention(const struct image_rule *rule, uint32_t bit) {
  for (uint32_t i = 0; i < rule->selector_count; i++)
    if (rule->selectors[i].bit == bit) return rule->selectors[i].in;
  return 0;
}

static void test_sharing(void **state) {
  (void)state;
  struct rule_image *image = compile_next("rules:\n"
                                          "  - {name: a, when: '{root && span.a=1}', always: '{span.b}', never: '!{span.c}'}\n"
                                          "  - {name: b, when: '{ (root) and span.a == 1 }', never: '{span.c} || {span.b}'}\n",
                                          1, NULL);
  assert_int_equal(image->selector_count, 3);
  assert_int_equal(image->trace_rule_count, 2);
  const struct image_rule *a = &image->trace_rules[0], *b = &image->trace_rules[1];
  assert_int_equal(when_bit(image, 0), when_bit(image, 1));
  assert_int_equal(a->trace_rule, 0);
  assert_int_equal(b->trace_rule, 1);
  assert_int_equal(mention(a, when_bit(image, 0)), MENTION_WHEN);
  assert_int_equal(a->never.count, 2);
  assert_int_equal(a->never.operations[1], PROGRAM_NOT);
  assert_int_equal(mention(a, a->never.operations[0]), MENTION_NEVER);
  assert_int_equal(mention(a, a->always.operations[0]), MENTION_ALWAYS);
  assert_int_equal(b->selector_count, 3);
  assert_int_equal(mention(b, a->never.operations[0]), MENTION_NEVER);
  assert_int_equal(mention(b, a->always.operations[0]), MENTION_NEVER);
  assert_int_equal(b->always.count, 0);
  assert_false(a->monotone_never);
  assert_true(b->monotone_never);
  assert_int_equal(a->since_generation, 1);
  assert_int_equal(selector_at(image, when_bit(image, 0))->condition.count, 3);
  rule_image_free(image);
}

static void test_monotone(void **state) {
  (void)state;
  struct rule_image *image = compile_next("rules:\n"
                                          "  - {name: a, when: '{root}', never: '{!(span.c = 1)}'}\n"
                                          "  - {name: b, when: '!{root}', never: '{span.c}'}\n"
                                          "  - {name: c, when: '{root}', always: '{span.c}'}\n"
                                          "  - {name: d, when: '{root}', never: '{span.b} && ({span.c} || !{span.d})'}\n"
                                          "  - {name: e, when: '!!{root}', never: '{span.b}', always: '!{span.d}'}\n",
                                          1, NULL);
  assert_true(image->trace_rules[0].monotone_never); /* negation within a selector is about one span */
  assert_false(image->trace_rules[1].monotone_never);
  assert_false(image->trace_rules[2].monotone_never);
  assert_false(image->trace_rules[3].monotone_never);
  assert_true(image->trace_rules[4].monotone_never);
  rule_image_free(image);
}

static void test_bits_are_stable(void **state) {
  (void)state;
  struct rule_image *first = compile_next("rules:\n"
                                          "  - {name: a, when: '{span.a}', always: '{span.x}'}\n"
                                          "  - {name: b, when: '{span.b}', always: '{span.x}'}\n"
                                          "  - {name: c, when: '{span.c}', always: '{span.x}'}\n",
                                          1, NULL);
  const uint32_t a = when_bit(first, 0), b = when_bit(first, 1), c = when_bit(first, 2);
  /* b goes, d comes, the order changes. */
  struct rule_image *second = compile_next("rules:\n"
                                           "  - {name: d, when: '{span.d}', always: '{span.x}'}\n"
                                           "  - {name: c, when: '{ span.c }', always: '{span.x}'}\n"
                                           "  - {name: a2, when: '{span.a}', always: '{span.c}'}\n",
                                           2, first);
  assert_int_equal(when_bit(second, 1), c);
  assert_int_equal(when_bit(second, 2), a);
  assert_int_equal(when_bit(second, 0), b); /* the freed bit, but young */
  assert_int_equal(selector_at(second, b)->since_generation, 2);
  assert_int_equal(selector_at(second, a)->since_generation, 1);
  assert_int_equal(second->trace_rules[0].since_generation, 2);
  assert_int_equal(second->trace_rules[1].since_generation, 1);
  assert_int_equal(second->trace_rules[2].since_generation, 1); /* a new rule over old selectors judges old traces too */
  rule_image_free(first);
  /* b comes back: its bits were not gathered in between, so it is young. */
  struct rule_image *third = compile_next("rules:\n"
                                          "  - {name: b, when: '{span.b}', always: '{span.x}'}\n"
                                          "  - {name: c, when: '{span.c}', always: '{span.x}'}\n",
                                          3, second);
  assert_int_equal(third->trace_rules[0].since_generation, 3);
  assert_int_equal(when_bit(third, 1), c);
  assert_int_equal(third->trace_rules[1].since_generation, 1);
  rule_image_free(second);
  rule_image_free(third);
}

/* Random sets over several generations: equal text keeps its bit while it lives, bits never clash. */
static void test_bits_over_generations(void **state) {
  (void)state;
  srandom(7);
  struct rule_image *previous = NULL;
  uint32_t previous_bit[400];
  bool previous_used[400] = {false};
  for (uint64_t generation = 1; generation <= 30; generation++) {
    char *text = calloc(1, 1 << 16), *end = text + sprintf(text, "rules: [\n");
    bool used[400] = {false};
    uint32_t order[400], count = 0;
    for (uint32_t i = 0; i < 400; i++) {
      if (count == 255 || random() % 2) continue;
      used[i] = true;
      order[count++] = i;
      end += sprintf(end, "  {name: r%u, when: '{span.k = %u}', always: '{root}'},\n", i, i);
    }
    sprintf(end, "]\n");
    struct rule_image *image = compile_next(text, generation, previous);
    bool taken[IMAGE_SELECTORS_MAX] = {false};
    for (uint32_t rule = 0; rule < count; rule++) {
      const uint32_t bit = when_bit(image, rule);
      assert_true(bit < IMAGE_SELECTORS_MAX);
      assert_false(taken[bit]);
      taken[bit] = true;
      if (previous_used[order[rule]])
        assert_int_equal(bit, previous_bit[order[rule]]);
      else
        assert_int_equal(selector_at(image, bit)->since_generation, generation);
      previous_bit[order[rule]] = bit;
    }
    memcpy(previous_used, used, sizeof used);
    rule_image_free(previous);
    previous = image;
    free(text);
  }
  rule_image_free(previous);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sharing),
      cmocka_unit_test(test_monotone),
      cmocka_unit_test(test_bits_are_stable),
      cmocka_unit_test(test_bits_over_generations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
