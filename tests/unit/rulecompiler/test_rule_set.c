/* Sets: load from files, merge, versions, differences, and the text they are journalled as. */
#include "cmocka_test.h"

#include "rule_text_support.h"
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *directory, const char *name, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void remove_files(const char *directory, const char *const *names) {
  char path[512];
  for (; *names; names++) {
    snprintf(path, sizeof path, "%s/%s", directory, *names);
    unlink(path);
  }
  rmdir(directory);
}

static void test_load(void **state) {
  (void)state;
  char directory[] = "/tmp/tripline-rules-XXXXXX";
  assert_non_null(mkdtemp(directory));
  write_file(directory, "b.yaml", "rules:\n  - {name: b, on: span, if: root}\n");
  write_file(directory, "a.yml", "rules:\n  - {name: a, on: span, if: root}\n");
  write_file(directory, ".hidden.yaml", "not rules");
  write_file(directory, "notes.txt", "not rules");
  struct rule_errors errors = {0};
  const char *paths[] = {directory};
  struct rule_set *set = rule_set_load(paths, 1, &errors);
  assert_non_null(set);
  assert_int_equal(rule_set_count(set), 2);
  assert_string_equal(rule_set_at(set, 0)->name, "a");
  assert_string_equal(rule_set_at(set, 1)->name, "b");
  assert_null(rule_set_at(set, 2));
  assert_ptr_equal(rule_set_find(set, "b"), rule_set_at(set, 1));
  assert_null(rule_set_find(set, "c"));
  rule_set_free(set);

  /* One name twice, across files; and every other error of all files. */
  write_file(directory, "c.yaml", "rules:\n  - {name: a, on: span, if: root}\n  - {name: c, on: span, if: nmae}\n");
  char missing[256];
  snprintf(missing, sizeof missing, "%s/none.yaml", directory);
  const char *more[] = {directory, missing};
  assert_null(rule_set_load(more, 2, &errors));
  assert_int_equal(errors.count, 3);
  assert_non_null(strstr(errors.items[0].message, "already defined at"));
  assert_non_null(strstr(errors.items[0].message, "a.yml:2"));
  assert_int_equal(errors.items[0].line, 2);
  assert_non_null(strstr(errors.items[1].message, "did you mean `name`"));
  assert_non_null(strstr(errors.items[2].message, "No such file"));
  assert_int_equal(errors.items[2].line, 0);
  rule_errors_free(&errors);
  remove_files(directory, (const char *const[]){"a.yml", "b.yaml", "c.yaml", ".hidden.yaml", "notes.txt", NULL});
}

static void test_merge(void **state) {
  (void)state;
  struct rule_set *base = parse_good("rules:\n  - {name: a, on: span, if: root}\n  - {name: b, on: span, if: root}\n");
  struct rule_set *addition = parse_good("rules:\n  - {name: c, on: span, if: root}\n  - {name: a, on: span, if: '!root'}\n");
  struct rule_set *merged = rule_set_merge(base, addition);
  rule_set_free(base);
  rule_set_free(addition);
  assert_int_equal(rule_set_count(merged), 3);
  assert_string_equal(rule_set_at(merged, 0)->name, "a");
  assert_string_equal(rule_set_at(merged, 0)->condition_text, "!root");
  assert_string_equal(rule_set_at(merged, 1)->name, "b");
  assert_string_equal(rule_set_at(merged, 2)->name, "c");
  struct rule_set *alone = rule_set_merge(NULL, merged);
  assert_int_equal(rule_set_count(alone), 3);
  rule_set_free(merged);
  struct rule_image *image = compile_good(alone, 1, NULL, 1);
  rule_set_free(alone);
  assert_int_equal(image->rule_count, 3);
  rule_image_free(image);
}

static void test_versions(void **state) {
  (void)state;
  struct rule_set *first = parse_good("rules:\n"
                                      "  - {name: a, on: span, if: root}\n"
                                      "  - {name: b, on: span, if: root}\n"
                                      "  - {name: c, on: span, if: root, version: 9}\n");
  rule_set_adopt_versions(first, NULL);
  for (size_t i = 0; i < 3; i++) assert_int_equal(rule_set_at(first, i)->version, 1);
  struct rule_set *second = parse_good("rules:\n"
                                       "  - {name: b, on: span, if: root, severity: high}\n"
                                       "  - {if: ' ( root ) # same', name: a, on: span}\n"
                                       "  - {name: d, on: span, if: root}\n");
  rule_set_adopt_versions(second, first);
  assert_int_equal(rule_set_find(second, "a")->version, 1);
  assert_int_equal(rule_set_find(second, "b")->version, 2);
  assert_int_equal(rule_set_find(second, "d")->version, 1);
  assert_int_equal(rule_set_find(first, "b")->version, 1);
  const struct rule_set_difference difference = rule_set_compare(second, first);
  assert_int_equal(difference.added, 1);
  assert_int_equal(difference.changed, 1);
  assert_int_equal(difference.removed, 1);
  assert_int_equal(difference.unchanged, 1);
  const struct rule_set_difference all = rule_set_compare(second, NULL);
  assert_int_equal(all.added, 3);
  /* A version shared by two sets through a merge stays each set's own. */
  struct rule_set *merged = rule_set_merge(first, second);
  rule_set_adopt_versions(merged, second);
  assert_int_equal(rule_set_find(merged, "c")->version, 1);
  assert_int_equal(rule_set_find(merged, "b")->version, 2);
  rule_set_free(merged);
  rule_set_free(first);
  rule_set_free(second);
}

static void check_round_trip(struct rule_set *set) {
  size_t length, again_length;
  char *text = rule_set_text(set, &length);
  assert_int_equal(strlen(text), length);
  struct rule_errors errors = {0};
  struct rule_set *again = rule_set_parse("again.yaml", text, length, &errors);
  if (!again) {
    rule_errors_print(&errors, stderr);
    fprintf(stderr, "%s\n", text);
  }
  assert_non_null(again);
  char *again_text = rule_set_text(again, &again_length);
  assert_string_equal(text, again_text);
  const struct rule_set_difference difference = rule_set_compare(again, set);
  assert_int_equal(difference.unchanged, rule_set_count(set));
  for (size_t i = 0; i < rule_set_count(set); i++) {
    const struct rule_definition *a = rule_set_at(set, i), *b = rule_set_at(again, i);
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->message, b->message);
    assert_string_equal(a->description ? a->description : "-", b->description ? b->description : "-");
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->severity, b->severity);
    assert_int_equal(a->on, b->on);
    assert_int_equal(a->enabled, b->enabled);
    assert_int_equal(a->tag_count, b->tag_count);
    for (size_t t = 0; t < a->tag_count; t++) assert_string_equal(a->tags[t], b->tags[t]);
  }
  free(text);
  free(again_text);
  rule_set_free(again);
}

static void test_text_of_odd_texts(void **state) {
  (void)state;
  struct rule_set *set =
      parse_good("rules:\n"
                 "  - name: \"null\"\n"
                 "    on: span\n"
                 "    if: \"name = \\\"it's \\\\u0000 \\xe9 \\U0001F600 \\uFEFF \\u2028 \\x85\\\"\"\n"
                 "    description: \"lines\\nand\\ttabs, quotes ' \\\" \\\\ and \\x07 \\x7f \\x80 \\uFFFE \\U0010FFFF\"\n"
                 "    message: \" leading: # and ${name} \"\n"
                 "    tags: [\"\\n\", \"~\", '- x', ']']\n"
                 "  - {name: 5, on: span, if: root, description: '', version: 4294967295}\n");
  check_round_trip(set);
  rule_set_free(set);
  set = parse_good("rules: []\n");
  check_round_trip(set);
  rule_set_free(set);
}

/* Random expression text from the grammar, oddly spaced. */
static char *grow(char *end, unsigned depth, bool of_trace) {
  static const char *const leaves[] = {"root",        "span.a = 1",          "2s<duration",        "name in [\"x\", \"y\"]",
                                       "kind=server", "!span.b != 2",        "service !~ \"a|b\"", "span.\"a b\".c>=1.5",
                                       "true",        "span.c not in (true)"};
  const long pick = random() % (depth == 0 ? 1 : 5);
  if (pick == 0) {
    if (of_trace) {
      *end++ = '{';
      end = grow(end, depth > 2 ? 2 : depth, false);
      *end++ = '}';
      return end;
    }
    return end + sprintf(end, "%s", leaves[random() % 10]);
  }
  if (pick == 1) {
    end += sprintf(end, random() % 2 ? "!(" : "not (");
    end = grow(end, depth - 1, of_trace);
    return end + sprintf(end, ")");
  }
  if (pick == 2) {
    end += sprintf(end, "( ");
    end = grow(end, depth - 1, of_trace);
    return end + sprintf(end, " )");
  }
  end = grow(end, depth - 1, of_trace);
  end += sprintf(end, "%s", random() % 2 ? (random() % 2 ? " && " : " and ") : (random() % 2 ? " || " : "\n      or "));
  return grow(end, depth - 1, of_trace);
}

static void test_random_round_trips(void **state) {
  (void)state;
  srandom(42);
  for (int round = 0; round < 300; round++) {
    char *text = calloc(1, 1 << 20), *end = text + sprintf(text, "rules:\n");
    for (int i = 0; i < 10; i++) {
      const bool of_trace = random() % 3 == 0;
      end += sprintf(end, "  - name: r%d\n    severity: %s\n", i, random() % 2 ? "High" : "low");
      if (random() % 2) end += sprintf(end, "    version: %ld\n", random() % 100 + 1);
      if (random() % 4 == 0) end += sprintf(end, "    enabled: false\n");
      if (of_trace) {
        end += sprintf(end, "    never: |\n      ");
        end = grow(end, 3, true);
        end += sprintf(end, "\n");
      }
      end += sprintf(end, of_trace ? "    when: |\n      " : "    on: span\n    if: |\n      ");
      end = grow(end, (unsigned)random() % 6, of_trace);
      end += sprintf(end, "\n");
    }
    struct rule_set *set = parse_good(text);
    check_round_trip(set);
    struct rule_image *image = compile_good(set, 1, NULL, 0);
    rule_image_free(image);
    rule_set_free(set);
    free(text);
  }
}

static void test_shipped_rules(void **state) {
  (void)state;
  struct rule_errors errors = {0};
  const char *paths[] = {SOURCE_ROOT "/config/rules.d"};
  struct rule_set *set = rule_set_load(paths, 1, &errors);
  rule_errors_print(&errors, stderr);
  assert_non_null(set);
  static const char *const names[] = {"payment-without-fraud-check", "slow-checkout",   "error-without-retry",
                                      "pii-leaves-service",          "oversized-order", "critical-alert-outside-runbook"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct rule_definition *rule = rule_set_find(set, names[i]);
    assert_non_null(rule);
    assert_true(rule->enabled);
    assert_non_null(rule->description);
    assert_true(rule->tag_count > 0);
    assert_non_null(strstr(rule->message, "${"));
  }
  check_round_trip(set);
  struct rule_image *image = compile_good(set, 1, NULL, 2);
  rule_image_free(image);
  rule_set_free(set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_load),
      cmocka_unit_test(test_merge),
      cmocka_unit_test(test_versions),
      cmocka_unit_test(test_text_of_odd_texts),
      cmocka_unit_test(test_random_round_trips),
      cmocka_unit_test(test_shipped_rules),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
