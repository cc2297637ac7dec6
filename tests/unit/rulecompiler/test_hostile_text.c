/* Text made to hurt: it is refused, or read, within a second, whatever it holds. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include <time.h>

/* Sanitizers and a busy machine make everything slower; a quadratic or worse reading misses even this by far. */
#define SECONDS_MAX 10.0

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct text {
  char *at;
  size_t length, room;
};

static void add(struct text *text, const char *piece, size_t times) {
  const size_t length = strlen(piece);
  while (text->length + length * times + 1 > text->room) {
    text->room = text->room ? text->room * 2 : 4096;
    text->at = realloc(text->at, text->room);
  }
  for (; times > 0; times--, text->length += length) memcpy(text->at + text->length, piece, length);
  text->at[text->length] = '\0';
}

/* Reads the text (and frees it); the first error must hold `part`, or the text be good when it is NULL. */
static void check(struct text *text, const char *part) {
  struct rule_errors errors = {0};
  const double start = seconds();
  struct rule_set *set = rule_set_parse("hostile.yaml", text->at, text->length, &errors);
  struct rule_image *image = set ? rule_image_compile(set, 1, NULL, 1, &errors) : NULL;
  const double taken = seconds() - start;
  if (taken > SECONDS_MAX) fprintf(stderr, "%.3f s\n", taken);
  assert_true(taken < SECONDS_MAX);
  if (part) {
    assert_null(image);
    assert_true(errors.count > 0);
    if (!strstr(errors.items[0].message, part)) fprintf(stderr, "not what was expected: %s\n", errors.items[0].message);
    assert_non_null(strstr(errors.items[0].message, part));
  } else {
    rule_errors_print(&errors, stderr);
    assert_non_null(image);
  }
  rule_image_free(image);
  rule_set_free(set);
  rule_errors_free(&errors);
  free(text->at);
  *text = (struct text){0};
}

static void test_deep_yaml(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules: ", 1);
  add(&text, "[", 1 << 20);
  check(&text, "");
  add(&text, "rules: ", 1);
  add(&text, "{a: ", 1 << 20);
  check(&text, "must be a list");
  add(&text, "x: ", 1);
  add(&text, "- ", 100000);
  check(&text, "");
  add(&text, "? ", 100000);
  check(&text, "");
}

static void test_deep_expressions(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"", 1);
  add(&text, "(", 60000);
  add(&text, "\"\n", 1);
  check(&text, "nested more than 64 deep");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"", 1);
  add(&text, "!(", 30000);
  add(&text, "\"\n", 1);
  check(&text, "nested more than 64 deep");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"", 1);
  add(&text, "!", 60000);
  add(&text, "root\"\n", 1);
  check(&text, NULL);
  add(&text, "rules:\n  - name: a\n    when: \"", 1);
  add(&text, "({", 30000);
  add(&text, "\"\n    always: '{root}'\n", 1);
  check(&text, "expected a comparison");
  /* 64 levels are allowed, 65 are not. */
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"", 1);
  add(&text, "(root || root && ", 64);
  add(&text, "root", 1);
  add(&text, ")", 64);
  add(&text, "\"\n", 1);
  check(&text, NULL);
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"", 1);
  add(&text, "(", 65);
  add(&text, "root", 1);
  add(&text, ")", 65);
  add(&text, "\"\n", 1);
  check(&text, "nested more than 64 deep");
}

#define IF "rules:\n  - name: a\n    on: span\n    if: \""

static void test_deep_values(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, IF "span.a = ", 1);
  add(&text, "(", 60000);
  add(&text, "\"\n", 1);
  check(&text, "nested more than 64 deep");
  add(&text, IF, 1);
  add(&text, "- ", 30000);
  add(&text, "span.a = 1\"\n", 1);
  check(&text, "nested more than 64 deep");
  add(&text, IF, 1);
  add(&text, "-(", 64);
  add(&text, "span.a", 1);
  add(&text, ")", 64);
  add(&text, " = 1\"\n", 1);
  check(&text, NULL);
  add(&text, IF, 1);
  add(&text, "(1 + ", 65);
  add(&text, "span.a", 1);
  add(&text, ")", 65);
  add(&text, " = 1\"\n", 1);
  check(&text, "nested more than 64 deep");
  add(&text, IF "span.a", 1);
  add(&text, " + span.a", 64);
  add(&text, " = span.b", 1);
  add(&text, " - span.a", 64);
  add(&text, "\"\n", 1);
  check(&text, NULL);
  add(&text, IF "1 = span.a", 1);
  add(&text, " + span.a", 6000);
  add(&text, "\"\n", 1);
  check(&text, "at most 64 operations");
}

static void test_many_values(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules:\n", 1);
  for (unsigned rule = 0; rule < 2000; rule++) {
    char head[96];
    snprintf(head, sizeof head, "  - name: r%u\n    on: span\n    if: \"%u < span.a", rule, rule);
    add(&text, head, 1);
    for (unsigned i = 0; i < 64; i++) {
      char piece[64];
      snprintf(piece, sizeof piece, " + span.some_long_key_%u_%u", rule, i);
      add(&text, piece, 1);
    }
    add(&text, "\"\n", 1);
  }
  check(&text, "more than 512 different references and calculations");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: 'span.a in cidr [\"10.0.0.0/8\"", 1);
  add(&text, ", \"fd00::/8\"", 5000);
  add(&text, "]'\n", 1);
  check(&text, NULL);
  add(&text, "rules:\n  - name: a\n    on: webhook\n    if: 'body.a", 1);
  add(&text, "[*]", 31);
  add(&text, " = 1'\n", 1);
  check(&text, NULL);
  add(&text, "rules:\n  - name: a\n    on: webhook\n    if: 'body.a", 1);
  add(&text, "[0]", 20000);
  add(&text, " = 1'\n", 1);
  check(&text, "at most 32 parts");
}

static void test_long_expressions(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"root", 1);
  add(&text, " || root", 8000);
  add(&text, "\"\n", 1);
  check(&text, NULL);
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"root", 1);
  add(&text, " && span.a", 6000);
  add(&text, " || root", 700);
  add(&text, "\"\n", 1);
  check(&text, "at most 65536 bytes");
  /* Short as written, too long with the blanks of the canonical form. */
  add(&text, "rules:\n  - name: a\n    on: span\n    if: \"root", 1);
  add(&text, "&&root", 10900);
  add(&text, "\"\n", 1);
  check(&text, "normalised");
}

static void test_megabyte_strings(void **state) {
  (void)state;
  struct text text = {0};
  static const char *const keys[] = {"name", "description", "message", "if", "severity", "on", "unknown-key"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    add(&text, "rules:\n  - ", 1);
    add(&text, keys[i], 1);
    add(&text, ": \"", 1);
    add(&text, "x", 4 << 20);
    add(&text, "\"\n", 1);
    check(&text, "");
  }
  add(&text, "rules:\n  - name: a\n    on: span\n    if: root\n    description: |\n", 1);
  add(&text, "      line\n", 400000);
  check(&text, "at most 4096 bytes");
  add(&text, "rules:\n  - ", 1);
  add(&text, "k", 2 << 20);
  add(&text, ": 1\n", 1);
  check(&text, "");
  add(&text, "#", 65 << 20);
  check(&text, "at most 67108864 bytes");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: root\n    tags: [", 1);
  add(&text, "a,", 1 << 20);
  add(&text, "]\n", 1);
  check(&text, "at most 64 tags");
}

static void test_many_errors_in_a_large_file(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "#                                                                                  \n", 150000);
  add(&text, "rules:\n", 1);
  add(&text, "  - {name: a, on: span, if: \"span.a = 1 && nmae = 1\"}\n", 5000);
  check(&text, "did you mean `name`");
}

static void test_bombs(void **state) {
  (void)state;
  static const char *const patterns[] = {
      "(a{1000}){1000}",
      "((((a{99}){99}){99}){99}){99}",
      "a{1,32767}",
      "(.{0,1000}){100}",
      "[\\\\p{L}\\\\p{N}]{200}",
      "(\\\\p{L}?.*){50}",
      "(x{2}){2}{2}{2}{2}{2}{2}{2}{2}",
      "a{99999999999999999}",
      "(a|b{400}c)",
      "((\\\\b|[^a])){99,}",
      "(((a{7}b){7}c){7}d)",
  };
  struct text text = {0};
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
    add(&text, "rules:\n  - name: a\n    on: span\n    if: name =~ \"", 1);
    add(&text, patterns[i], 1);
    add(&text, "\"\n", 1);
    check(&text, "repeats too much");
  }
  add(&text, "rules:\n  - name: a\n    on: span\n    if: name =~ \"", 1);
  add(&text, "(", 4000);
  add(&text, "\"\n", 1);
  check(&text, "");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: name =~ \"", 1);
  add(&text, "a|", 5000);
  add(&text, "\"\n", 1);
  check(&text, "at most 4096 bytes");
  add(&text, "rules:\n  - name: a\n    on: span\n    if: name =~ \"", 1);
  add(&text, ".*a", 1300);
  add(&text, "\"\n", 1);
  check(&text, NULL);
}

static void test_billion_laughs(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nrules: [*c]\n", 1);
  check(&text, "unknown key `a`");
}

static void test_ten_thousand_rules(void **state) {
  (void)state;
  struct text text = {0};
  add(&text, "rules:\n", 1);
  for (int i = 0; i < 10000; i++) {
    char rule[256];
    snprintf(
        rule, sizeof rule,
        "  - {name: rule%d, on: span, if: 'service = \"s%d\" && name = \"n%d\" && (duration > %dms || span.k%d = \"v%d\")'}\n", i,
        i % 300, i, i % 900, i % 200, i);
    add(&text, rule, 1);
  }
  check(&text, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_deep_yaml),
      cmocka_unit_test(test_deep_expressions),
      cmocka_unit_test(test_deep_values),
      cmocka_unit_test(test_many_values),
      cmocka_unit_test(test_long_expressions),
      cmocka_unit_test(test_megabyte_strings),
      cmocka_unit_test(test_bombs),
      cmocka_unit_test(test_many_errors_in_a_large_file),
      cmocka_unit_test(test_billion_laughs),
      cmocka_unit_test(test_ten_thousand_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
